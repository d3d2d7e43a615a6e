/* SPDX-License-Identifier: MIT */
/*
 * How many instructions have been executed, and where: known from the program, in every mode, with code segments of any base. Asked at each
 * access to a device, at faults in the midst of blocks, at limits of any number, step by step, and when all of it has been translated before.
 */
#include "tests/emu/fixture.h"

enum { TURNS = 5, BEFORE_FAULT = 4, PROGRAM = 3 + TURNS * 8 + BEFORE_FAULT };

/* Before the loop 3; each turn 8, the device is read behind 2 of them and written behind 5; then 4, and a load that faults. */
BLOB(count64, "mov ecx,5\n xor edx,edx\n nop\n1: inc edx\n push rax\n mov eax,[rbx]\n inc edx\n pop rax\n mov [rbx],edx\n dec ecx\n jnz 1b\n"
     "nop\n inc edx\n push rdx\n pop rax\n mov eax,[rsi]\n cpuid");
BLOB32(count32, "mov ecx,5\n xor edx,edx\n nop\n1: inc edx\n push eax\n mov eax,[ebx]\n inc edx\n pop eax\n mov [ebx],edx\n dec ecx\n jnz 1b\n"
       "nop\n inc edx\n push edx\n pop eax\n mov eax,[esi]\n cpuid");
BLOB16(count16, "mov ecx,5\n xor edx,edx\n nop\n1: inc edx\n push eax\n mov eax,[ebx]\n inc edx\n pop eax\n mov [ebx],edx\n dec ecx\n jnz 1b\n"
       "nop\n inc edx\n push edx\n pop eax\n mov eax,[esi]\n cpuid");

static struct fixture *f;
static void setup(void) { f = fixture_open(); }
static void teardown(void) { fixture_close(f); }

static uint64_t clocks[4 * TURNS];      /* of the device accesses of a run */
static unsigned accesses;

/* RIP of the instruction that makes the access: MOV, behind prefixes of 16-bit code; the other processor's is where it was. */
static void at_the_instruction(const struct cpu *cpu, bool write)
{
    const uint8_t *code = f->ram + (uint32_t)(engine_rip(f->engine, cpu) + cpu->seg[SEG_CS].base);

    while (*code == 0x66 || *code == 0x67)
        code++;
    ck_assert_uint_eq(*code, write ? 0x89 : 0x8b);
    ck_assert_uint_eq(engine_rip(f->engine, &f->model->cpu[1]), f->model->cpu[1].rip);
}

static uint64_t device_read(void *context, struct cpu *cpu, uint64_t pa, unsigned size)
{
    (void)pa, (void)size;
    at_the_instruction(cpu, !context);
    if (accesses < 4 * TURNS)
        clocks[accesses] = cpu->clock;
    accesses++;
    return 7;
}
static void device_write(void *context, struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    (void)value, (void)context;
    device_read(NULL, cpu, pa, size);
}

static const struct { const char *name; unsigned bits; void (*mode)(struct fixture *); uint64_t base; } modes[] = {
    { "64-bit", 64, fixture_long_mode, 0 },          { "compatibility mode", 32, fixture_long_mode, 0 },
    { "32-bit", 32, fixture_protected, 0 },          { "32-bit, base 1000H", 32, fixture_protected, 0x1000 },
    { "32-bit, base FFFFF000H", 32, fixture_protected, 0xfffff000 }, { "32-bit paging, base 10000H", 32, fixture_paging32, 0x10000 },
    { "16-bit, base F8000H", 16, fixture_protected, 0xf8000 },       { "PAE paging", 32, fixture_pae, 0 },
};
enum { MODES = sizeof modes / sizeof modes[0] };

static void begin(int i)
{
    const uint64_t device = modes[i].mode == fixture_paging32 || modes[i].mode == fixture_pae ? 0x1fe000 : FIXTURE_DEVICE;

    f->cpu->rip = FIXTURE_CODE - modes[i].base;
    if (modes[i].bits != 64)
        f->cpu->rip = (uint32_t)f->cpu->rip;
    f->cpu->gpr[RBX] = device;
    f->cpu->gpr[RSI] = modes[i].bits == 64 ? 0x8000000000000000ull : 0x70000000;
    f->cpu->gpr[RAX] = 0x1234;
    f->cpu->gpr[RSP] = FIXTURE_STACK;
    f->cpu->instructions = f->cpu->clock = 0;
    f->cpu->pending_debug = 0;
    accesses = 0;
}

/* The load that faults: of an address that is not canonical, or beyond the limit of paging; without paging there is none, but a device. */
static void end(const char *what, bool paging, uint64_t code_end)
{
    if (paging) {
        ck_assert_msg(f->stop.reason == STOP_EVENT, "%s: reason %d", what, f->stop.reason);
        ck_assert_msg(f->cpu->instructions == PROGRAM, "%s: %llu instructions", what, (unsigned long long)f->cpu->instructions);
    } else {
        ck_assert_msg(f->stop.reason == STOP_INSTRUCTION && f->cpu->rip == code_end - 2, "%s: reason %d, rip %llx", what, f->stop.reason, (unsigned long long)f->cpu->rip);
        ck_assert_msg(f->cpu->instructions == PROGRAM + 1, "%s: %llu instructions", what, (unsigned long long)f->cpu->instructions);
    }
    ck_assert_uint_eq(f->cpu->clock, f->cpu->instructions);
    ck_assert_uint_eq((uint32_t)f->cpu->gpr[RDX], 2 * TURNS + 1);
    ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK);
    ck_assert_msg(accesses == 2u * TURNS + !paging, "%s: %u accesses", what, accesses);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        ck_assert_msg(clocks[2 * turn] == 3 + 8 * turn + 2, "%s: read %u at %llu", what, turn, (unsigned long long)clocks[2 * turn]);
        ck_assert_msg(clocks[2 * turn + 1] == 3 + 8 * turn + 5, "%s: write %u at %llu", what, turn, (unsigned long long)clocks[2 * turn + 1]);
    }
}

START_TEST(counts_in_every_mode)
{
    const char *name = modes[_i].name;
    uint64_t code_end;
    bool paging;

    modes[_i].mode(f);
    f->model->bus.mmio_read = device_read, f->model->bus.mmio_write = device_write;
    if (modes[_i].bits == 64) {
        PUT(f, FIXTURE_CODE, count64);
        code_end = (uint64_t)(count64_end - count64);
    } else if (modes[_i].bits == 32) {
        PUT(f, FIXTURE_CODE, count32);
        code_end = (uint64_t)(count32_end - count32);
        fixture_segment(f->cpu, SEG_CS, SELECTOR_CODE32, 0xc09b);
    } else {
        PUT(f, FIXTURE_CODE, count16);
        code_end = (uint64_t)(count16_end - count16);
        fixture_segment(f->cpu, SEG_CS, SELECTOR_CODE16, 0x809b);
    }
    if (modes[_i].mode == fixture_paging32)
        memory_write32(&f->model->memory, FIXTURE_PT + 4 * 0x1fe, (uint32_t)FIXTURE_DEVICE | 7);
    if (modes[_i].mode == fixture_pae)
        fixture_put64(f, FIXTURE_PT + 8 * 0x1fe, FIXTURE_DEVICE | 7);
    f->cpu->seg[SEG_CS].base = modes[_i].base;
    fixture_flush(f);
    paging = f->cpu->cr0 & CR0_PG;
    begin(_i);
    code_end += f->cpu->rip;
    if (modes[_i].bits != 64)
        code_end = (uint32_t)code_end;
    for (unsigned again = 0; again < 3; again++) {          /* translated now, and before */
        begin(_i);
        fixture_run(f);
        end(name, paging, code_end);
    }
    for (unsigned limit = 1; limit < 20; limit++) {         /* in pieces */
        uint64_t before = 0;

        begin(_i);
        do {
            f->request.limit = f->cpu->clock + limit;
            fixture_run(f);
            if (f->stop.reason == STOP_LIMIT)
                ck_assert_msg(f->cpu->clock >= before + limit && f->cpu->clock < before + limit + 3 + 8, "%s: limit %u: %llu behind %llu", name, limit,
                              (unsigned long long)f->cpu->clock, (unsigned long long)before);
            before = f->cpu->clock;
        } while (f->stop.reason == STOP_LIMIT);
        end(name, paging, code_end);
    }
    f->request.limit = ~0ull;
    f->request.single_step = true;                          /* step by step */
    begin(_i);
    for (uint64_t steps = 1; fixture_run(f) == STOP_LIMIT; steps++)
        ck_assert_msg(f->cpu->instructions == steps, "%s: step %llu", name, (unsigned long long)steps);
    end(name, paging, code_end);
    f->request.single_step = false;
    begin(_i);
    fixture_run(f);
    end(name, paging, code_end);
}
END_TEST

/* A near branch to an address that is not canonical has not been executed: it is not counted, and no time has gone by. */
BLOB(to_nowhere, "nop\n jmp rax\n nop\n call rax\n nop\n push rax\n ret");
START_TEST(branches_to_nowhere_are_not_counted)
{
    static const struct { unsigned at, before; uint64_t rsp; } starts[] = { { 0, 1, 0 }, { 3, 1, 0 }, { 6, 2, 8 } };

    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, to_nowhere);
    for (unsigned i = 0; i < 2 * sizeof starts / sizeof starts[0]; i++) {
        f->cpu->gpr[RAX] = 0x800000000000;
        f->cpu->gpr[RSP] = FIXTURE_STACK;
        f->cpu->instructions = 0;
        f->cpu->clock = 100;
        fixture_run_at(f, FIXTURE_CODE + starts[i / 2].at);
        fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + starts[i / 2].at + (starts[i / 2].rsp ? 2 : 1));
        ck_assert_uint_eq(f->cpu->instructions, starts[i / 2].before);
        ck_assert_uint_eq(f->cpu->clock, 100 + starts[i / 2].before);
        ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK - starts[i / 2].rsp);
    }
}
END_TEST

/* A single step is one instruction, whatever the limit is; at the limit it is none. */
BLOB(five_steps, "nop\n inc eax\n nop\n inc eax\n nop\n cpuid");
START_TEST(a_step_is_one_instruction)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, five_steps);
    f->request.single_step = true;
    for (uint64_t limit = 0; limit < 5; limit++) {
        f->cpu->instructions = f->cpu->clock = 0;
        f->request.limit = limit;
        fixture_run_at(f, FIXTURE_CODE);
        ck_assert_int_eq(f->stop.reason, STOP_LIMIT);
        ck_assert_uint_eq(f->cpu->instructions, limit > 0);
        ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + (limit > 0));
    }
}
END_TEST

/* Who looks at registers between two runs changes nothing, the first time neither. */
BLOB(looked_at, "movq xmm0,[rbx]\n movhps xmm0,[rbx+8]\n movq xmm1,[rbx+16]\n movq xmm15,[rbx+24]\n fld qword ptr [rbx+32]\n cpuid\n"
     "movups [rbx],xmm0\n movups [rbx+16],xmm1\n movq [rbx+24],xmm15\n fstp qword ptr [rbx+32]\n cpuid");
START_TEST(looking_changes_nothing)
{
    static const uint64_t words[5] = { 0x1111222233334444, 0x5555666677778888, 0x9999aaaabbbbcccc, 0xddddeeeeffff0000, 0x4000000000000000 };
    uint8_t xmm[16][16];
    struct x87 x87;

    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, looked_at);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 5; i++)
            fixture_put64(f, 0x30000 + 8 * i, words[i]);
        f->cpu->gpr[RBX] = 0x30000;
        fixture_run_at(f, FIXTURE_CODE);
        ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
        engine_xmm(f->engine, &f->model->cpu[1], xmm);
        engine_xmm(f->engine, f->cpu, xmm);
        ck_assert_mem_eq(xmm[0], words, 16);
        ck_assert_mem_eq(xmm[1], words + 2, 8);
        ck_assert_mem_eq(xmm[15], words + 3, 8);
        engine_x87(f->engine, f->cpu, &x87);
        engine_xmm(f->engine, f->cpu, xmm);
        ck_assert_mem_eq(xmm[0], words, 16);
        for (unsigned i = 0; i < 5; i++)
            fixture_put64(f, 0x30000 + 8 * i, 0);
        fixture_run_at(f, f->cpu->rip + 2);
        ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
        for (unsigned i = 0; i < 5; i++)
            ck_assert_msg(fixture_get64(f, 0x30000 + 8 * i) == words[i], "round %u, word %u: %llx", round, i, (unsigned long long)fixture_get64(f, 0x30000 + 8 * i));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counts of the CPU engine");
    TCase *tc = tcase_create("counts");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, counts_in_every_mode, 0, MODES);
    tcase_add_test(tc, branches_to_nowhere_are_not_counted);
    tcase_add_test(tc, a_step_is_one_instruction);
    tcase_add_test(tc, looking_changes_nothing);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
