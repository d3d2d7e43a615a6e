/* SPDX-License-Identifier: MIT */
/* Segment loads and far transfers on every road: accessed and busy flags in memory, privilege of implicit accesses, tasks. */
#include "model/cpu/segment.h"
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void) { f = fixture_open(); }
static void teardown(void) { fixture_close(f); }

enum { FRESH_CODE = 0x48, FRESH_DATA = 0x50, GATE = 0x58, TASK = 0x60, TASK_GATE = 0x68 };
enum { OTHER_TSS = 0x5000 };

static unsigned rights_at(unsigned selector) { return f->ram[FIXTURE_GDT + (selector & ~7u) + 5]; }

/* Descriptors that nothing has accessed, for code of 16, 32 or 64 bits. */
static void fresh(uint64_t code)
{
    fixture_put64(f, FIXTURE_GDT + FRESH_CODE, code & ~(1ull << 40));
    fixture_put64(f, FIXTURE_GDT + FRESH_DATA, 0x00cf92000000ffff);
}

/* ---- the accessed flag ---- */

BLOB32(road_jmp, ".byte 0xea\n .long 1f - road_jmp\n .word 0x48\n 1: hlt");
BLOB32(road_jmp_memory, ".byte 0xc7, 0x03\n .long 1f - road_jmp_memory\n mov word ptr [ebx+4],0x48\n jmp fword ptr [ebx]\n 1: hlt");
BLOB32(road_call, ".byte 0x9a\n .long 1f - road_call\n .word 0x48\n 1: hlt");
BLOB32(road_ret, "push 0x48\n .byte 0x68\n .long 1f - road_ret\n .byte 0xcb\n 1: hlt");
BLOB32(road_ret_16, "push eax\n mov word ptr [esp+2],0x48\n mov word ptr [esp],0x1234\n .byte 0x66\n .byte 0xcb");
BLOB32(road_iret, "push 2\n push 0x48\n .byte 0x68\n .long 1f - road_iret\n iretd\n 1: hlt");
BLOB32(road_mov, "mov eax,0x50\n mov ds,ax\n hlt");
BLOB32(road_mov_ss, "mov eax,0x50\n mov ss,ax\n hlt");
BLOB32(road_pop, "push 0x50\n pop gs\n hlt");
BLOB32(road_les, "mov word ptr [ebx+4],0x50\n les eax,[ebx]\n hlt");
BLOB32(road_lss, "mov word ptr [ebx+4],0x50\n mov [ebx],esp\n lss esp,[ebx]\n hlt");
BLOB32(road_int, "int 0x30");
BLOB32(road_gate, ".byte 0x9a,0,0,0,0,0x58,0");
BLOB32(road_end, "hlt");

#define ROAD(name) { #name, name, name##_end }
static const struct road {
    const char *name;
    const uint8_t *from, *to;
} code_roads[] = { ROAD(road_jmp), ROAD(road_jmp_memory), ROAD(road_call), ROAD(road_ret), ROAD(road_iret), ROAD(road_int),
                   ROAD(road_gate) },
  data_roads[] = { ROAD(road_mov), ROAD(road_mov_ss), ROAD(road_pop), ROAD(road_les), ROAD(road_lss) };

/* The fresh code segment begins where the road does. */
static void place(const struct road *road, uint64_t code)
{
    fresh(code | (uint64_t)FIXTURE_CODE << 16);
    fixture_put(f, FIXTURE_CODE, road->from, (size_t)(road->to - road->from));
    PUT(f, FIXTURE_CODE + 0x800, road_end);
    f->cpu->gpr[RBX] = 0x30000;
    fixture_put64(f, FIXTURE_GDT + GATE, 0x800 | FRESH_CODE << 16 | 0x8c00ull << 32);
    fixture_put64(f, FIXTURE_IDT + 8 * 0x30, 0x800 | FRESH_CODE << 16 | 0x8e00ull << 32);
}

static void travel(void)
{
    fixture_run(f);
    if (f->stop.reason == STOP_EVENT && f->stop.event.vector == 0x30)
        fixture_deliver(f);
}

START_TEST(code_descriptors_become_accessed)
{
    fixture_protected(f);
    place(&code_roads[_i], 0x00cf9a000000ffff);
    travel();
    ck_assert_msg(f->stop.reason == STOP_INSTRUCTION && f->stop.insn.id == INSN_hlt, "%s", code_roads[_i].name);
    ck_assert_uint_eq(rights_at(FRESH_CODE), 0x9b);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, FRESH_CODE);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].access_rights, 0xc09b);
}
END_TEST

START_TEST(data_descriptors_become_accessed)
{
    fixture_protected(f);
    place(&data_roads[_i], 0x00cf9a000000ffff);
    travel();
    ck_assert_msg(f->stop.reason == STOP_INSTRUCTION && f->stop.insn.id == INSN_hlt, "%s", data_roads[_i].name);
    ck_assert_uint_eq(rights_at(FRESH_DATA), 0x93);
}
END_TEST

/* A table that cannot be written: #PF by an implicit write of a supervisor, and nothing is loaded. */
START_TEST(a_read_only_table_faults)
{
    bool code = _i < (int)(sizeof code_roads / sizeof *code_roads);
    const struct road *road = code ? &code_roads[_i] : &data_roads[_i - (int)(sizeof code_roads / sizeof *code_roads)];
    fixture_paging32(f);
    place(road, 0x00cf9a000000ffff);
    memory_write32(&f->model->memory, FIXTURE_PT + 4 * (FIXTURE_GDT >> 12), FIXTURE_GDT | 1);
    fixture_flush(f);
    travel();
    ck_assert_msg(f->stop.reason == STOP_EVENT && f->stop.event.vector == VECTOR_PF, "%s", road->name);
    ck_assert_uint_eq(f->stop.event.error_code, PF_PRESENT | PF_WRITE);
    ck_assert_uint_eq(f->stop.event.address, FIXTURE_GDT + (code ? FRESH_CODE : FRESH_DATA) + 5);
    ck_assert_uint_eq(rights_at(code ? FRESH_CODE : FRESH_DATA), code ? 0x9a : 0x92);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, SELECTOR_CODE32);
    f->cpu->cr0 &= ~CR0_WP;                 /* writes of a supervisor go through now */
    fixture_flush(f);
    f->cpu->gpr[RSP] = FIXTURE_STACK;
    f->cpu->rip = FIXTURE_CODE;
    travel();
    ck_assert_msg(f->stop.reason == STOP_INSTRUCTION, "%s", road->name);
    ck_assert_uint_eq(rights_at(code ? FRESH_CODE : FRESH_DATA), code ? 0x9b : 0x93);
}
END_TEST

BLOB(road_64, "push 0x48\n push 0x100100\n .byte 0x48\n .byte 0xcb");
START_TEST(descriptors_of_64_bit_code_too)
{
    fixture_long_mode(f);
    fresh(0x00af9a000000ffff);
    PUT(f, FIXTURE_CODE, road_64);
    PUT(f, FIXTURE_CODE + 0x100, road_end);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
    ck_assert_uint_eq(rights_at(FRESH_CODE), 0x9b);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].access_rights, 0xa09b);
    fresh(0x00cf9a000000ffff);              /* and of compatibility mode */
    fixture_run_at(f, FIXTURE_CODE);
    ck_assert_uint_eq(rights_at(FRESH_CODE), 0x9b);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].access_rights, 0xc09b);
}
END_TEST

BLOB(wide_ret, "push 0x48\n push 0x100100\n .byte 0x48\n .byte 0xcb");
BLOB(wide_iret, "mov eax,ss\n push rax\n push 0x80000\n push 2\n push 0x48\n push 0x100100\n iretq");
BLOB(wide_jmp, "mov dword ptr [rbx],0x100100\n mov word ptr [rbx+4],0x48\n .byte 0xff,0x2b");
BLOB(wide_call, "mov dword ptr [rbx],0x100100\n mov word ptr [rbx+4],0x48\n .byte 0xff,0x1b");
BLOB(wide_int, "int 0x30");
/* Vol. 2, Vol. 3, 5.8: L and D are not both 1 in IA-32e mode, on no road. */
START_TEST(code_segments_of_no_size)
{
    static const struct road roads[] = { ROAD(wide_ret), ROAD(wide_iret), ROAD(wide_jmp), ROAD(wide_call), ROAD(wide_int) };

    fixture_long_mode(f);
    fixture_gate(f, 0x30, FIXTURE_CODE + 0x100, 0);
    f->ram[FIXTURE_IDT + 16 * 0x30 + 2] = FRESH_CODE;
    fixture_put(f, FIXTURE_CODE, roads[_i].from, (size_t)(roads[_i].to - roads[_i].from));
    PUT(f, FIXTURE_CODE + 0x100, road_end);
    f->cpu->gpr[RBX] = 0x30000;
    fresh(0x00ef9a000000ffff);
    travel();
    ck_assert_msg(f->stop.reason == STOP_EVENT && f->stop.event.vector == VECTOR_GP && f->stop.event.error_code == FRESH_CODE, "%s", roads[_i].name);
    ck_assert_uint_eq(rights_at(FRESH_CODE), 0x9a);
}
END_TEST

START_TEST(a_16_bit_return)
{
    fixture_protected(f);
    fresh(0x00009a001234ffff);              /* base 1234H, 16 bits, limit FFFFH */
    PUT(f, FIXTURE_CODE, road_ret_16);
    PUT(f, 0x1234 + 0x1234, road_end);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, 0x1234);
    ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK);
    ck_assert_uint_eq(rights_at(FRESH_CODE), 0x9b);
    fixture_put64(f, FIXTURE_GDT + FRESH_CODE, 0x00009a0012341233);     /* limit 1233H: EIP is beyond it */
    fixture_protected(f);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + 14);
}
END_TEST

/* ---- privilege of implicit accesses ---- */

BLOB(user_iret, "push 0x23\n mov rcx,rsp\n push rcx\n pushfq\n push 0x2b\n push 0x100100\n iretq");
BLOB(user_ret, "push 0x2b\n push 0x100100\n .byte 0x48\n .byte 0xcb");
static void user_under_smap(void)
{
    fixture_long_mode(f);
    f->cpu->cr4 |= CR4_SMAP;
    for (unsigned page = 0; page < 0x10; page++)         /* tables are the supervisor's */
        fixture_put64(f, FIXTURE_PT + 8 * page, page << 12 | 3);
    fixture_flush(f);
    fixture_segment(f->cpu, SEG_CS, SELECTOR_USER_CODE64, 0xa0fb);
    fixture_segment(f->cpu, SEG_SS, SELECTOR_USER_DATA, 0xc0f3);
    PUT(f, FIXTURE_CODE + 0x100, road_end);
}

START_TEST(returns_in_user_mode_read_as_user)
{
    user_under_smap();
    PUT(f, FIXTURE_CODE, user_iret);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
    PUT(f, FIXTURE_CODE, user_ret);
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
    f->cpu->gpr[RSP] = 0x8000;              /* the supervisor's page, without anything to push before */
    fixture_run_at(f, FIXTURE_CODE + (uint64_t)(user_ret_end - user_ret) - 2);
    fixture_expect_event(f, VECTOR_PF, PF_PRESENT | PF_USER, FIXTURE_CODE + 7);
}
END_TEST

BLOB(mov_fs, "mov fs,eax\n hlt");
START_TEST(descriptor_tables_on_user_pages)
{
    fixture_long_mode(f);
    f->cpu->cr4 |= CR4_SMAP;
    PUT(f, FIXTURE_CODE, mov_fs);
    for (unsigned page = 0x100; page < 0x101; page++)
        fixture_put64(f, FIXTURE_PT + 8 * page, page << 12 | 3);
    fixture_put64(f, FIXTURE_PT + 8 * (FIXTURE_GDT >> 12), FIXTURE_GDT | 7);
    f->cpu->gpr[RAX] = SELECTOR_DATA;
    f->cpu->rflags |= RFLAGS_AC;            /* not for implicit accesses: SDM Vol. 3, 4.6.1 */
    fixture_flush(f);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_PF, PF_PRESENT, FIXTURE_CODE);
    ck_assert_uint_eq(f->stop.event.address, FIXTURE_GDT + SELECTOR_DATA);
}
END_TEST

START_TEST(frames_of_interrupts_on_user_pages)
{
    fixture_long_mode(f);
    f->cpu->cr4 |= CR4_SMAP;
    fixture_gate(f, 0x41, FIXTURE_CODE + 0x100, 0);
    PUT(f, FIXTURE_CODE + 0x100, road_end);
    for (unsigned page = 0; page < 512; page++)
        if (page != (FIXTURE_STACK >> 12) - 1)
            fixture_put64(f, FIXTURE_PT + 8 * page, page << 12 | 3);
    fixture_flush(f);
    for (unsigned ac = 0; ac < 2; ac++) {   /* the pushes are explicit accesses of a supervisor */
        f->cpu->rflags = RFLAGS_FIXED | (ac ? RFLAGS_AC : 0);
        f->cpu->event = (struct event){ .valid = true, .vector = 0x41, .type = EVENT_EXTERNAL_INTERRUPT };
        fixture_run(f);
        if (ac)
            fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
        else
            fixture_expect_event(f, VECTOR_PF, PF_PRESENT | PF_WRITE, FIXTURE_CODE);
    }
}
END_TEST

/* ---- states that VM entry would refuse ---- */

BLOB(mode_sysret, "sysretq");
START_TEST(sysret_forces_the_rpl_of_ss)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_sysret);
    PUT(f, FIXTURE_CODE + 0x100, road_end);
    CPU_MSR(f->cpu, ia32_star) = 0x0018000800000000;    /* RPL 0 */
    f->cpu->gpr[RCX] = FIXTURE_CODE + 0x100;
    f->cpu->gpr[R11] = RFLAGS_FIXED | RFLAGS_CF;
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
    ck_assert_uint_eq(f->cpu->seg[SEG_SS].selector, 0x23);
    ck_assert_uint_eq(f->cpu->seg[SEG_SS].access_rights, 0xc0f3);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, 0x2b);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].access_rights, 0xa0fb);
    ck_assert_uint_eq(f->cpu->rflags, RFLAGS_FIXED | RFLAGS_CF);
}
END_TEST

BLOB(null_ss, "xor eax,eax\n mov ss,eax\n hlt");
START_TEST(a_null_stack_segment_keeps_the_privilege_level)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, null_ss);
    f->cpu->seg[SEG_SS] = (struct segment){ 1, AR_UNUSABLE | 1u << 5, 0, 0 };
    f->cpu->seg[SEG_CS] = (struct segment){ 0x79, 0xa0bb, 0xffffffff, 0 };
    fixture_run(f);                         /* RPL 0 is not CPL 1 */
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + 2);
    ck_assert_uint_eq(cpu_cpl(f->cpu), 1);
}
END_TEST

/* ---- what Bochs showed (tests/processor) ---- */

BLOB(wide_pointer, ".byte 0x48,0x0f,0xb4,0x03\n hlt");
START_TEST(far_pointers_of_ten_bytes)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, wide_pointer);
    f->cpu->gpr[RBX] = 0x30000;
    fixture_put64(f, 0x30000, 0x1122334455667788);
    fixture_put64(f, 0x30008, SELECTOR_DATA);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 4);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 0x1122334455667788);
    ck_assert_uint_eq(f->cpu->seg[SEG_FS].selector, SELECTOR_DATA);
}
END_TEST

BLOB(breakpoint, "int3");
START_TEST(software_interrupts_push_rf_as_0)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, breakpoint);
    PUT(f, FIXTURE_CODE + 0x100, road_end);
    fixture_gate(f, 3, FIXTURE_CODE + 0x100, 0);
    f->cpu->rflags |= RFLAGS_RF;
    fixture_run(f);
    fixture_deliver(f);
    ck_assert_uint_eq(fixture_get64(f, f->cpu->gpr[RSP] + 16), RFLAGS_FIXED);
}
END_TEST

/* The offset has 64 bits, compatibility mode uses 32; 64-bit code has no base. */
BLOB(wide_jump, ".byte 0x48,0xff,0x2b");
START_TEST(offsets_and_bases_by_the_target_s_mode)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, wide_jump);
    PUT(f, FIXTURE_CODE + 0x100, road_end);
    f->cpu->gpr[RBX] = 0x30000;
    fixture_put64(f, 0x30000, 0x1234567800000000 | (FIXTURE_CODE + 0x100));
    fixture_put64(f, 0x30008, SELECTOR_CODE32);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
    fixture_long_mode(f);
    fixture_put64(f, FIXTURE_GDT + FRESH_CODE, 0x40af9b000000ffff);     /* base 40000000H */
    f->cpu->gpr[RBX] = 0x30000;
    fixture_put64(f, 0x30000, FIXTURE_CODE + 0x100);
    fixture_put64(f, 0x30008, FRESH_CODE);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
}
END_TEST

/* A table becomes dirty when it is written, not when an instruction that would have written it faults. */
START_TEST(a_fault_leaves_the_table_clean)
{
    fixture_protected(f);
    fixture_paging32(f);
    fresh(0x00409a0000000010);              /* limit 10H */
    fixture_put(f, FIXTURE_CODE, "\xea\x11\0\0\0\x48\0", 7);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
    ck_assert(!(memory_read32(&f->model->memory, FIXTURE_PT + 4 * (FIXTURE_GDT >> 12)) & 0x40));
}
END_TEST

BLOB(query, ".byte 0x0f,0x02,0xc8,0x0f,0x03,0xd0\n hlt");
/*
 * docs/limits.md, "Data segments": what the library accesses by itself is not checked against limit, type and null selector, nor is fetching
 * against the limit of CS; each of these is a #GP on hardware. What the model accesses is checked: here LGDT's operand.
 */
BLOB32(unchecked_load, "mov eax,[ebx]\n hlt");
BLOB32(unchecked_store, "mov [ebx],eax\n hlt");
BLOB32(checked_operand, "lgdt [ebx]\n hlt");
START_TEST(what_native_accesses_are_not_checked_for)
{
    static const struct { struct segment ds; bool store; } cases[] = {
        { { SELECTOR_DATA, 0x4093, 0xf, 0 }, false },                           /* beyond the limit */
        { { SELECTOR_DATA, 0x4097, 0x5000, 0 }, false },                        /* expand-down: below the limit */
        { { 0, AR_UNUSABLE, 0, 0 }, false },                                    /* null */
        { { SELECTOR_DATA, 0xc091, 0xffffffff, 0 }, true },                     /* read-only */
        { { SELECTOR_CODE32, 0xc099, 0xffffffff, 0 }, false },                  /* execute-only */
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_protected(f);
        f->cpu->seg[SEG_DS] = cases[i].ds;
        f->cpu->gpr[RBX] = 0x3000;
        if (cases[i].store)
            PUT(f, FIXTURE_CODE, unchecked_store);
        else
            PUT(f, FIXTURE_CODE, unchecked_load);
        fixture_run(f);
        fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 2);
        if (cases[i].store)
            continue;
        PUT(f, FIXTURE_CODE, checked_operand);
        f->cpu->rip = FIXTURE_CODE;
        fixture_run(f);
        fixture_expect_instruction(f, INSN_lgdt, FIXTURE_CODE);
        ck_assert_int_eq(execute(f->cpu, &f->stop.insn), STATUS_EVENT);
        ck_assert(f->cpu->event.vector == VECTOR_GP && f->cpu->event.error_code == 0);
        f->cpu->event.valid = false;
    }
    fixture_protected(f);
    PUT(f, FIXTURE_CODE, unchecked_load);
    f->cpu->seg[SEG_CS].limit = 0xfff;
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 2);
}
END_TEST

START_TEST(types_of_ia_32e_mode)
{
    for (unsigned type = 0; type < 16; type++) {
        bool has_rights = type == 2 || type == 9 || type == 11 || type == 12, has_limit = has_rights && type != 12;
        fixture_long_mode(f);
        PUT(f, FIXTURE_CODE, query);
        fixture_put64(f, FIXTURE_GDT + GATE, 0x0000800000000067 | (uint64_t)type << 40);
        f->cpu->gpr[RAX] = GATE;
        fixture_run(f);
        fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 6);
        ck_assert_uint_eq(f->cpu->gpr[RCX], has_rights ? 0x8000 | type << 8 : 0);
        ck_assert_uint_eq(f->cpu->gpr[RDX], has_limit ? 0x67 : 0);
        ck_assert_uint_eq(!!(f->cpu->rflags & RFLAGS_ZF), has_limit);
    }
}
END_TEST

/* ---- tasks ---- */

BLOB32(task_jump, "nop\n .byte 0xea,0,0,0,0,0x60,0");
BLOB32(task_call, "nop\n .byte 0x9a,0,0,0,0,0x68,0\n hlt");
BLOB32(task_back, "inc eax\n iretd");
static void other_task(void)
{
    fixture_protected(f);
    fixture_put64(f, FIXTURE_GDT + SELECTOR_TSS, 0x00008b0040000067);
    fixture_put64(f, FIXTURE_GDT + TASK, 0x0000890050000067);
    fixture_put64(f, FIXTURE_GDT + TASK_GATE, (uint64_t)TASK << 16 | 0x8500ull << 32);
    for (unsigned at = 0; at < 0x68; at += 4)
        memory_write32(&f->model->memory, OTHER_TSS + at, 0);
    memory_write32(&f->model->memory, OTHER_TSS + 0x20, FIXTURE_CODE + 0x100);
    memory_write32(&f->model->memory, OTHER_TSS + 0x24, RFLAGS_FIXED);
    memory_write32(&f->model->memory, OTHER_TSS + 0x28, 41);            /* EAX */
    memory_write32(&f->model->memory, OTHER_TSS + 0x38, 0x70000);       /* ESP */
    for (unsigned s = 0; s < 6; s++)
        memory_write32(&f->model->memory, OTHER_TSS + 0x48 + 4 * s, s == SEG_CS ? SELECTOR_CODE32 : SELECTOR_DATA);
    f->cpu->gpr[RBX] = 0x1111;
}

START_TEST(a_jump_to_a_task)
{
    other_task();
    PUT(f, FIXTURE_CODE, task_jump);
    PUT(f, FIXTURE_CODE + 0x100, road_end);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 41);
    ck_assert_uint_eq(f->cpu->gpr[RBX], 0);
    ck_assert_uint_eq(f->cpu->gpr[RSP], 0x70000);
    ck_assert_uint_eq(f->cpu->seg[SEG_TR].selector, TASK);
    ck_assert_uint_eq(f->cpu->seg[SEG_TR].access_rights, 0x8b);
    ck_assert(f->cpu->cr0 & CR0_TS);
    ck_assert_uint_eq(rights_at(SELECTOR_TSS), 0x89);
    ck_assert_uint_eq(rights_at(TASK), 0x8b);
    ck_assert_uint_eq(memory_read32(&f->model->memory, FIXTURE_TSS + 0x20), FIXTURE_CODE + 8);
    ck_assert_uint_eq(memory_read32(&f->model->memory, FIXTURE_TSS + 0x34), 0x1111);
    f->cpu->rip = FIXTURE_CODE + 1;         /* it is busy now */
    PUT(f, FIXTURE_CODE, task_jump);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, TASK, FIXTURE_CODE + 1);
}
END_TEST

START_TEST(a_call_through_a_task_gate_and_back)
{
    other_task();
    PUT(f, FIXTURE_CODE, task_call);
    PUT(f, FIXTURE_CODE + 0x100, task_back);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 8);
    ck_assert_uint_eq(f->cpu->gpr[RBX], 0x1111);
    ck_assert_uint_eq(f->cpu->seg[SEG_TR].selector, SELECTOR_TSS);
    ck_assert_uint_eq(rights_at(SELECTOR_TSS), 0x8b);
    ck_assert_uint_eq(rights_at(TASK), 0x89);
    ck_assert_uint_eq(memory_read32(&f->model->memory, OTHER_TSS + 0x28), 42);
    ck_assert_uint_eq(memory_read32(&f->model->memory, OTHER_TSS) & 0xffff, SELECTOR_TSS);
    ck_assert(!(f->cpu->rflags & RFLAGS_NT));
    ck_assert_uint_eq(f->cpu->instructions, 4);
}
END_TEST

START_TEST(an_exception_through_a_task_gate)
{
    other_task();
    PUT(f, FIXTURE_CODE, road_int);
    PUT(f, FIXTURE_CODE + 0x100, road_end);
    fixture_put64(f, FIXTURE_IDT + 8 * VECTOR_GP, (uint64_t)TASK << 16 | 0x8500ull << 32);
    f->cpu->idtr.limit = 8 * 0x30 - 1;
    fixture_run(f);
    fixture_deliver(f);                     /* no gate 30H */
    fixture_expect_event(f, VECTOR_GP, 0x30 * 8 + 2, FIXTURE_CODE);
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100);
    ck_assert_uint_eq(f->cpu->gpr[RSP], 0x70000 - 4);
    ck_assert_uint_eq(memory_read32(&f->model->memory, 0x70000 - 4), 0x30 * 8 + 2);
    ck_assert(f->cpu->rflags & RFLAGS_NT);
    ck_assert_uint_eq(memory_read32(&f->model->memory, FIXTURE_TSS + 0x20), FIXTURE_CODE);
    ck_assert(memory_read32(&f->model->memory, FIXTURE_TSS + 0x24) & RFLAGS_RF);
}
END_TEST

/* ---- an instruction whose rest lies in a page that is not there ---- */

BLOB32(far_pointer, ".byte 0xea,0,1,0x10,0,0x18,0");
START_TEST(instructions_cut_by_a_page)
{
    fixture_paging32(f);
    for (unsigned part = 1; part < 7; part++) {
        fixture_put(f, 0x41000 - part, far_pointer, part);
        memory_write32(&f->model->memory, FIXTURE_PT + 4 * 0x41, 0);
        fixture_flush(f);
        fixture_run_at(f, 0x41000 - part);
        fixture_expect_event(f, VECTOR_PF, 0, 0x41000 - part);
        ck_assert_uint_eq(f->stop.event.address, 0x41000);
    }
}
END_TEST

int main(void)
{
    enum { CODE_ROADS = sizeof code_roads / sizeof *code_roads, DATA_ROADS = sizeof data_roads / sizeof *data_roads };
    Suite *suite = suite_create("engine: segments");
    TCase *tc = tcase_create("segments");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, code_descriptors_become_accessed, 0, CODE_ROADS);
    tcase_add_loop_test(tc, data_descriptors_become_accessed, 0, DATA_ROADS);
    tcase_add_loop_test(tc, a_read_only_table_faults, 0, CODE_ROADS + DATA_ROADS);
    tcase_add_test(tc, descriptors_of_64_bit_code_too);
    tcase_add_loop_test(tc, code_segments_of_no_size, 0, 5);
    tcase_add_test(tc, a_16_bit_return);
    tcase_add_test(tc, returns_in_user_mode_read_as_user);
    tcase_add_test(tc, descriptor_tables_on_user_pages);
    tcase_add_test(tc, frames_of_interrupts_on_user_pages);
    tcase_add_test(tc, sysret_forces_the_rpl_of_ss);
    tcase_add_test(tc, a_null_stack_segment_keeps_the_privilege_level);
    tcase_add_test(tc, far_pointers_of_ten_bytes);
    tcase_add_test(tc, software_interrupts_push_rf_as_0);
    tcase_add_test(tc, offsets_and_bases_by_the_target_s_mode);
    tcase_add_test(tc, a_fault_leaves_the_table_clean);
    tcase_add_test(tc, what_native_accesses_are_not_checked_for);
    tcase_add_test(tc, types_of_ia_32e_mode);
    tcase_add_test(tc, a_jump_to_a_task);
    tcase_add_test(tc, a_call_through_a_task_gate_and_back);
    tcase_add_test(tc, an_exception_through_a_task_gate);
    tcase_add_test(tc, instructions_cut_by_a_page);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
