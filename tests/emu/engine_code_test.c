/* SPDX-License-Identifier: MIT */
/* Code that changes: by guest stores, through aliases, by the model; and counting, which must not depend on any of it. */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void)
{
    f = fixture_open();
    fixture_long_mode(f);
}
static void teardown(void) { fixture_close(f); }

enum { ALIAS = 0x70000, LOOPS = 3000 };

/* mov ecx,3; 1: mov eax,1; add edx,eax; inc dword [imm of the mov]; dec ecx; jnz 1b; hlt */
static const uint8_t same_block[] = { 0xb9, 3, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0x01, 0xc2, 0xff, 0x05, 0xf4, 0xff, 0xff, 0xff,
    0xff, 0xc9, 0x75, 0xef, 0xf4 };
START_TEST(store_into_its_own_block)
{
    fixture_put(f, FIXTURE_CODE, same_block, sizeof same_block);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 22);
    ck_assert_uint_eq(f->cpu->gpr[RDX], 6);
    ck_assert_uint_eq(f->cpu->instructions, 1 + 3 * 5);
}
END_TEST

/* mov byte [next instruction's imm],7; mov al,1; hlt */
static const uint8_t next_instruction[] = { 0xc6, 0x05, 1, 0, 0, 0, 7, 0xb0, 1, 0xf4 };
START_TEST(store_into_the_next_instruction)
{
    fixture_put(f, FIXTURE_CODE, next_instruction, sizeof next_instruction);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 9);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 7);
    ck_assert_uint_eq(f->cpu->instructions, 2);
}
END_TEST

BLOB(code_caller, "mov ecx,3000\n1: call rbx\n add edx,eax\n inc dword ptr [rdi+1]\n dec ecx\n jnz 1b\n hlt");
BLOB(code_callee, "mov eax,0\n ret");
BLOB(code_touch, "mov [rdi],eax\n mov [rdi],eax\n hlt");

static void modify(uint64_t callee, uint64_t store)
{
    uint64_t before = f->cpu->instructions;
    f->cpu->gpr[RBX] = callee, f->cpu->gpr[RDI] = store, f->cpu->gpr[RDX] = 0;
    PUT(f, 0x50000, code_callee);
    fixture_run_at(f, FIXTURE_CODE);
    ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
    ck_assert_uint_eq(f->cpu->gpr[RDX], LOOPS * (LOOPS - 1) / 2);
    ck_assert_uint_eq(f->cpu->instructions - before, 1 + LOOPS * 7);
}

START_TEST(stores_to_another_page_and_through_aliases)
{
    PUT(f, FIXTURE_CODE, code_caller);
    PUT(f, FIXTURE_CODE + 0x100, code_touch);
    fixture_put64(f, FIXTURE_PT + 8 * (ALIAS >> 12), 0x50000 | 7);
    fixture_put64(f, FIXTURE_PT + 8 * (ALIAS >> 12) + 8, 0x50000 | 7);
    fixture_flush(f);
    modify(0x50000, 0x50000);
    modify(0x50000, ALIAS);
    f->cpu->gpr[RDI] = ALIAS;                   /* the alias is written before the page has code */
    fixture_run_at(f, FIXTURE_CODE + 0x100);
    modify(0x50000, ALIAS);
    modify(ALIAS + 0x1000, ALIAS);
}
END_TEST

START_TEST(writes_of_the_model)
{
    PUT(f, FIXTURE_CODE, code_callee);
    f->ram[FIXTURE_CODE + 5] = 0xf4;
    for (uint8_t i = 0; i < 5; i++) {
        fixture_put(f, FIXTURE_CODE + 1, &i, 1);
        fixture_run_at(f, FIXTURE_CODE);
        fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 5);
        ck_assert_uint_eq(f->cpu->gpr[RAX], i);
        ck_assert(f->watch[FIXTURE_CODE >> 12] & WATCH_CODE);
    }
    for (uint64_t page = 0; page < 100; page++) {   /* more than memory.written[] holds */
        uint64_t at = 0x200000 + (page << 12);
        PUT(f, at, code_callee);
        f->ram[at + 5] = 0xf4;
        fixture_run_at(f, at);
    }
    for (uint64_t page = 0; page < 100; page++) {
        uint8_t value = (uint8_t)page;
        fixture_put(f, 0x200001 + (page << 12), &value, 1);
    }
    ck_assert(f->model->memory.written_overflow);
    for (uint64_t page = 0; page < 100; page++) {
        fixture_run_at(f, 0x200000 + (page << 12));
        ck_assert_uint_eq(f->cpu->gpr[RAX], page);
    }
}
END_TEST

BLOB(code_stale, "1: mov [rbx],rcx\n cpuid\n jmp 1b");
START_TEST(code_behind_a_stale_translation)
{
    PUT(f, 0x50000, code_stale);
    memset(f->ram + 0x51000, 0x90, 64);             /* the new page holds something else */
    f->cpu->gpr[RBX] = FIXTURE_PT + 8 * 0x50;
    f->cpu->gpr[RCX] = 0x51000 | 7;                 /* no INVLPG follows */
    fixture_run_at(f, 0x50000);
    fixture_expect_instruction(f, INSN_cpuid, 0x50003);
}
END_TEST

BLOB(code_count, "mov ecx,1000\n1: inc rax\n mov [rbx],rax\n push rax\n pop rdx\n dec ecx\n jnz 1b\n mov rax,[rsi]\n nop\n cpuid");
START_TEST(counts_are_exact)
{
    PUT(f, FIXTURE_CODE, code_count);
    f->cpu->gpr[RBX] = f->cpu->gpr[RSI] = 0x30000;
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
    ck_assert_uint_eq(f->cpu->instructions, 1 + 1000 * 6 + 2);
    ck_assert_uint_eq(f->cpu->clock, f->cpu->instructions);
    f->cpu->gpr[RSI] = 0x8000000000000000;
    fixture_run_at(f, FIXTURE_CODE);
    ck_assert_int_eq(f->stop.reason, STOP_EVENT);
    ck_assert_uint_eq(f->cpu->instructions, 6003 + 6001);
    f->cpu->clock += 1000000;                   /* time skipped while halted */
    f->request.limit = f->cpu->clock + 600;
    fixture_run_at(f, FIXTURE_CODE);
    ck_assert_int_eq(f->stop.reason, STOP_LIMIT);
    ck_assert_uint_ge(f->cpu->clock, f->request.limit);
    ck_assert_uint_le(f->cpu->clock, f->request.limit + 7);
    ck_assert_uint_eq(f->cpu->clock, f->cpu->instructions + 1000000);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 5);
    fixture_run(f);                             /* the limit is behind: nothing runs */
    ck_assert_int_eq(f->stop.reason, STOP_LIMIT);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 5);
}
END_TEST

BLOB(code_blocks, "mov ecx,40\n1: jmp 2f\n nop\n2: inc eax\n call 3f\n dec ecx\n jnz 1b\n cpuid\n3: inc edx\n inc rbx\n ret");
/* Blocks of 2, 1, 2, 3 and 2 instructions that follow each other without the engine: the limit is seen at the start of each. */
START_TEST(limits_between_chained_blocks)
{
    PUT(f, FIXTURE_CODE, code_blocks);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, f->cpu->rip);
    uint64_t all = f->cpu->instructions, end = f->cpu->rip;
    ck_assert_uint_eq(all, 1 + 40 * 8);
    for (uint64_t limit = 1; limit <= all; limit++) {
        uint64_t start = f->cpu->instructions, clock = f->cpu->clock;
        f->cpu->rip = FIXTURE_CODE;
        f->request.limit = clock + limit;
        engine_run(f->engine, f->cpu, &f->request, &f->stop);
        if (f->stop.reason == STOP_INSTRUCTION)
            break;                              /* the last block goes beyond the limit, and ends */
        ck_assert_int_eq(f->stop.reason, STOP_LIMIT);
        ck_assert_uint_ge(f->cpu->instructions, start + limit);
        ck_assert_uint_lt(f->cpu->instructions, start + limit + 3);
        ck_assert_uint_eq(f->cpu->clock - clock, f->cpu->instructions - start);
        f->request.limit = ~0ull;
        engine_run(f->engine, f->cpu, &f->request, &f->stop);
        fixture_expect_instruction(f, INSN_cpuid, end);
        ck_assert_uint_eq(f->cpu->instructions, start + all);
    }
    ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
}
END_TEST

START_TEST(single_steps_add_up)
{
    uint64_t steps = 0;
    PUT(f, FIXTURE_CODE, code_count);
    f->cpu->gpr[RBX] = f->cpu->gpr[RSI] = 0x30000;
    f->request.single_step = true;
    while (fixture_run(f) == STOP_LIMIT)
        ck_assert_uint_eq(f->cpu->instructions, ++steps);
    ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
    ck_assert_uint_eq(steps, 1 + 1000 * 6 + 2);
    ck_assert_uint_eq(f->cpu->instructions, steps);
    ck_assert_uint_eq(f->cpu->gpr[RDX], 1000);
}
END_TEST

BLOB(code_rep, "mov ecx,5\n lea rdi,[rbx]\n rep stosb\n cpuid");
START_TEST(repetitions_step_one_by_one)
{
    PUT(f, FIXTURE_CODE, code_rep);
    f->cpu->gpr[RBX] = 0x30000;
    fixture_run(f);
    uint64_t whole = f->cpu->instructions, steps = 0;
    f->request.single_step = true;
    f->cpu->rip = FIXTURE_CODE;
    while (fixture_run(f) == STOP_LIMIT)
        steps++;
    ck_assert_uint_eq(steps, whole);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 0);
}
END_TEST

BLOB(code_mixed, "1: add rax,rdi\n rol rax,7\n mov r8d,eax\n and r8d,0x3ff8\n mov [rsi+r8],rax\n add rdi,[rsi+r8]\n test al,3\n jnz 2f\n"
     " call 3f\n2: dec ecx\n jnz 1b\n hlt\n3: push rdi\n xor rdi,r8\n pop r9\n ret");
START_TEST(two_runs_are_identical)
{
    struct cpu first;
    uint8_t *ram = malloc(FIXTURE_RAM);
    for (int run = 0; run < 2; run++) {
        struct fixture *g = fixture_open();
        fixture_long_mode(g);
        PUT(g, FIXTURE_CODE, code_mixed);
        g->cpu->gpr[RCX] = 200000, g->cpu->gpr[RDI] = 0x1234567, g->cpu->gpr[RSI] = 0x200000;
        g->request.limit = 0;
        while (g->stop.reason == STOP_LIMIT) {
            g->request.limit += 10007;
            fixture_run(g);
        }
        ck_assert_int_eq(g->stop.reason, STOP_INSTRUCTION);
        if (run) {
            ck_assert_mem_eq(g->cpu->gpr, first.gpr, sizeof first.gpr);
            ck_assert_uint_eq(g->cpu->clock, first.clock);
            ck_assert_mem_eq(g->ram, ram, FIXTURE_RAM);
        }
        first = *g->cpu;
        memcpy(ram, g->ram, FIXTURE_RAM);
        fixture_close(g);
    }
    free(ram);
}
END_TEST

BLOB(code_sse, "movups xmm3,[rbx]\n fld1\n hlt\n paddq xmm3,xmm3\n movups [rbx],xmm3\n fadd st,st\n fstp qword ptr [rbx+16]\n hlt");
BLOB(code_store_imm, "mov [rdi],eax\n cpuid");
BLOB(code_load, "mov rax,[rdi]\n cpuid");
BLOB(code_imm, "mov ecx,0\n cpuid");
static void in_mode(bool non_root, uint64_t at)
{
    f->cpu->vmx.non_root = non_root;
    fixture_run_at(f, at);
    ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
    f->cpu->vmx.non_root = false;
}

/* Root and non-root operation have TLBs of their own: what the one has been allowed to write the other may translate. */
START_TEST(code_of_the_other_mode_of_operation)
{
    PUT(f, FIXTURE_CODE, code_store_imm);
    PUT(f, 0x50000, code_imm);
    f->cpu->gpr[RDI] = 0x50001;
    for (unsigned i = 1; i < 40; i++) {
        f->cpu->gpr[RAX] = i;
        in_mode(i & 4, FIXTURE_CODE);
        if (i & 1) {
            in_mode(!(i & 4), 0x50000);
            ck_assert_uint_eq(f->cpu->gpr[RCX], i);
        } else {
            in_mode(i & 4, 0x50000);
            ck_assert_uint_eq(f->cpu->gpr[RCX], i);
        }
    }
}
END_TEST

/* What is invalidated in the one mode of operation is not found in the other, and what was not may be. */
START_TEST(mappings_of_two_modes_of_operation)
{
    PUT(f, FIXTURE_CODE, code_load);
    fixture_put64(f, 0x30000, 0x1111);
    fixture_put64(f, 0x31000, 0x2222);
    f->cpu->gpr[RDI] = 0x30000;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t page = i & 1 ? 0x31000 : 0x30000;
        fixture_put64(f, FIXTURE_PT + 8 * 0x30, fixture_page(page));
        fixture_flush(f);
        for (unsigned mode = 0; mode < 4; mode++) {
            in_mode((i + mode) & 1, FIXTURE_CODE);
            ck_assert_uint_eq(f->cpu->gpr[RAX], i & 1 ? 0x2222 : 0x1111);
        }
    }
}
END_TEST

START_TEST(processors_keep_their_floating_point_state)
{
    struct cpu *cpus = f->model->cpu;
    PUT(f, FIXTURE_CODE, code_sse);
    for (unsigned i = 0; i < 2; i++) {
        cpus[i].gpr[RBX] = 0x30000 + 0x100 * i;
        fixture_put64(f, 0x30000 + 0x100 * i, 10 + i);
    }
    for (unsigned half = 0; half < 2; half++)
        for (unsigned i = 0; i < 2; i++) {
            engine_run(f->engine, &cpus[i], &f->request, &f->stop);
            ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
            cpus[i].rip++;
        }
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(fixture_get64(f, 0x30000 + 0x100 * i), 2 * (10 + i));
        ck_assert_uint_eq(fixture_get64(f, 0x30010 + 0x100 * i), 0x4000000000000000);     /* two */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: code and counting");
    TCase *tc = tcase_create("code");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, store_into_its_own_block);
    tcase_add_test(tc, store_into_the_next_instruction);
    tcase_add_test(tc, stores_to_another_page_and_through_aliases);
    tcase_add_test(tc, writes_of_the_model);
    tcase_add_test(tc, code_behind_a_stale_translation);
    tcase_add_test(tc, counts_are_exact);
    tcase_add_test(tc, limits_between_chained_blocks);
    tcase_add_test(tc, single_steps_add_up);
    tcase_add_test(tc, repetitions_step_one_by_one);
    tcase_add_test(tc, two_runs_are_identical);
    tcase_add_test(tc, code_of_the_other_mode_of_operation);
    tcase_add_test(tc, mappings_of_two_modes_of_operation);
    tcase_add_test(tc, processors_keep_their_floating_point_state);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
