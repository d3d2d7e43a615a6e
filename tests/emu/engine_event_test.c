/* SPDX-License-Identifier: MIT */
/* Events: software interrupts stop undelivered, delivery through the IDT, shadows of STI and MOV SS, single step. */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void)
{
    f = fixture_open();
    fixture_long_mode(f);
}
static void teardown(void) { fixture_close(f); }

BLOB(event_int, "inc rax\n int3\n inc rax\n int 0x41\n inc rax\n cpuid");
BLOB(event_handler, "mov rdx,[rsp]\n mov rsi,[rsp+16]\n iretq");
BLOB(event_icebp, "nop\n .byte 0xf1\n nop\n cpuid");
BLOB(event_int6, "nop\n int 6\n nop");

START_TEST(software_interrupts)
{
    PUT(f, FIXTURE_CODE, event_int);
    PUT(f, FIXTURE_CODE + 0x100, event_handler);
    fixture_gate(f, 3, FIXTURE_CODE + 0x100, 0);
    fixture_gate(f, 0x41, FIXTURE_CODE + 0x100, 0);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_BP, 0, FIXTURE_CODE + 3);
    ck_assert_uint_eq(f->stop.event.type, EVENT_SOFTWARE_EXCEPTION);
    ck_assert_uint_eq(f->stop.event.instruction_length, 1);
    ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK);
    ck_assert_uint_eq(f->cpu->instructions, 1);
    fixture_deliver(f);
    fixture_expect_event(f, 0x41, 0, FIXTURE_CODE + 7);
    ck_assert_uint_eq(f->stop.event.type, EVENT_SOFTWARE_INTERRUPT);
    ck_assert_uint_eq(f->stop.event.instruction_length, 2);
    ck_assert_uint_eq(f->cpu->gpr[RDX], FIXTURE_CODE + 4);
    ck_assert(!f->cpu->event.valid);
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 12);
    ck_assert_uint_eq(f->cpu->gpr[RDX], FIXTURE_CODE + 9);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 3);
    ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK);
    ck_assert_uint_eq(f->cpu->instructions, 3 + 3 + 3);
}
END_TEST

START_TEST(privileged_software_exception)
{
    PUT(f, FIXTURE_CODE, event_icebp);
    PUT(f, FIXTURE_CODE + 0x100, event_handler);
    fixture_gate(f, 1, FIXTURE_CODE + 0x100, 0);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_DB, 0, FIXTURE_CODE + 1);
    ck_assert_uint_eq(f->stop.event.type, EVENT_PRIVILEGED_SOFTWARE_EXCEPTION);
    ck_assert_uint_eq(f->stop.event.instruction_length, 1);
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 3);
    ck_assert_uint_eq(f->cpu->gpr[RDX], FIXTURE_CODE + 2);
}
END_TEST

START_TEST(interrupt_number_of_invalid_opcode)
{
    PUT(f, FIXTURE_CODE, event_int6);
    fixture_run(f);
    fixture_expect_event(f, 6, 0, FIXTURE_CODE + 1);
    ck_assert_uint_eq(f->stop.event.type, EVENT_SOFTWARE_INTERRUPT);
}
END_TEST

BLOB(event_pf, "nop\n mov [rbx],rax\n cpuid");
BLOB(event_frame, "mov rdi,[rsp]\n mov rsi,[rsp+8]\n mov r8,[rsp+16]\n mov r9,[rsp+24]\n mov r10,[rsp+32]\n hlt");
START_TEST(page_fault_frame)
{
    PUT(f, FIXTURE_CODE, event_pf);
    PUT(f, FIXTURE_CODE + 0x100, event_frame);
    fixture_gate(f, 14, FIXTURE_CODE + 0x100, 0);
    fixture_put64(f, FIXTURE_PT + 8 * 0x40, 0);
    fixture_flush(f);
    f->cpu->gpr[RBX] = 0x40123;
    f->cpu->rflags |= RFLAGS_CF;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_PF, PF_WRITE, FIXTURE_CODE + 1);
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100 + 24);
    ck_assert_uint_eq(f->cpu->cr2, 0x40123);
    ck_assert_uint_eq(f->cpu->gpr[RDI], PF_WRITE);
    ck_assert_uint_eq(f->cpu->gpr[RSI], FIXTURE_CODE + 1);
    ck_assert_uint_eq(f->cpu->gpr[R8], SELECTOR_CODE64);
    ck_assert_uint_eq(f->cpu->gpr[R9], RFLAGS_FIXED | RFLAGS_CF | RFLAGS_RF);
    ck_assert_uint_eq(f->cpu->gpr[R10], FIXTURE_STACK);
    ck_assert_uint_eq(f->cpu->rflags, RFLAGS_FIXED | RFLAGS_CF);
}
END_TEST

START_TEST(nested_faults)
{
    PUT(f, FIXTURE_CODE, event_pf);
    fixture_put64(f, FIXTURE_PT + 8 * 0x40, 0);
    fixture_flush(f);
    f->cpu->gpr[RBX] = 0x40000;
    f->cpu->rflags |= RFLAGS_ZF;
    fixture_run(f);
    fixture_deliver(f);                     /* the gate of #PF is empty: that and #GP are a double fault */
    fixture_expect_event(f, VECTOR_DF, 0, FIXTURE_CODE + 1);
    ck_assert(f->stop.event.has_error_code);
    ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK);
    ck_assert_uint_eq(f->cpu->rflags, RFLAGS_FIXED | RFLAGS_ZF);
    ck_assert_uint_eq(f->cpu->instructions, 1);
    ck_assert_uint_eq(f->cpu->cr2, 0x40000);
    f->cpu->event = f->stop.event;          /* its gate is empty, too */
    ck_assert_int_eq(event_deliver(f->cpu), STATUS_SHUTDOWN);
    /* A missing IDT page: a page fault at the gate of an interrupt, by an implicit supervisor access; all in a row. */
    fixture_put64(f, FIXTURE_PT + 8 * (FIXTURE_IDT >> 12), 0);
    fixture_flush(f);
    f->cpu->event = (struct event){ .valid = true, .vector = 8, .type = EVENT_EXTERNAL_INTERRUPT };
    fixture_run(f);
    fixture_expect_event(f, VECTOR_PF, 0, FIXTURE_CODE + 1);
    ck_assert_uint_eq(f->stop.event.address, FIXTURE_IDT + 16 * 8);
}
END_TEST

START_TEST(double_fault)
{
    PUT(f, FIXTURE_CODE, event_pf);
    PUT(f, FIXTURE_CODE + 0x100, event_frame);
    fixture_put64(f, FIXTURE_PT + 8 * 0x40, 0);
    fixture_flush(f);
    fixture_gate(f, 8, FIXTURE_CODE + 0x100, 0);
    f->cpu->gpr[RBX] = 0x40000;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_deliver(f);                             /* no gate for #PF */
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100 + 24);
    ck_assert_uint_eq(f->cpu->gpr[RDI], 0);
    ck_assert_uint_eq(f->cpu->gpr[RSI], FIXTURE_CODE + 1);
}
END_TEST

BLOB(event_sti, "sti\n nop\n nop\n nop\n cpuid");
BLOB(event_spin, "1: inc rax\n jmp 1b");
START_TEST(sti_shadow)
{
    PUT(f, FIXTURE_CODE, event_sti);
    f->request.stop_when_interruptible = true;
    fixture_run(f);                         /* the instruction after STI is still protected */
    ck_assert_int_eq(f->stop.reason, STOP_INTERRUPTIBLE);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 2);
    ck_assert_uint_eq(f->cpu->interruptibility, 0);
    ck_assert_uint_eq(f->cpu->instructions, 2);
    /* Stopped right after STI, the shadow is visible and survives the stop. */
    f->cpu->rflags = RFLAGS_FIXED;
    f->request.single_step = true;
    fixture_run_at(f, FIXTURE_CODE);
    ck_assert_int_eq(f->stop.reason, STOP_LIMIT);
    ck_assert_uint_eq(f->cpu->interruptibility, BLOCKING_BY_STI);
    f->request.single_step = false;
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_INTERRUPTIBLE);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 2);
    /* STI with IF already set blocks nothing. */
    f->request.single_step = true;
    fixture_run_at(f, FIXTURE_CODE);
    ck_assert_uint_eq(f->cpu->interruptibility, 0);
}
END_TEST

BLOB(event_popf, "push 0x202\n popfq\n nop\n nop");
BLOB(event_iret, "push 0x10\n push 0x80000\n push 0x202\n push 8\n push 0x100200\n iretq");
START_TEST(interruptible_after_popf_and_iret)
{
    PUT(f, FIXTURE_CODE, event_popf);
    PUT(f, FIXTURE_CODE + 0x100, event_iret);
    PUT(f, FIXTURE_CODE + 0x200, event_spin);
    f->request.stop_when_interruptible = true;
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_INTERRUPTIBLE);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 6);
    f->cpu->rflags = RFLAGS_FIXED;
    fixture_run_at(f, FIXTURE_CODE + 0x100);
    ck_assert_int_eq(f->stop.reason, STOP_INTERRUPTIBLE);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 0x200);
    f->cpu->interruptibility = BLOCKING_BY_MOV_SS;      /* of the run's first instruction */
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_INTERRUPTIBLE);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 0x203);
}
END_TEST

BLOB(event_mov_ss, "mov ss,eax\n cpuid");
BLOB(event_sti_cpuid, "sti\n cpuid");
START_TEST(shadow_at_an_instruction_that_stops)
{
    PUT(f, FIXTURE_CODE, event_mov_ss);
    f->cpu->gpr[RAX] = SELECTOR_DATA;
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 2);
    ck_assert_uint_eq(f->cpu->interruptibility, BLOCKING_BY_MOV_SS);
    PUT(f, FIXTURE_CODE + 0x100, event_sti_cpuid);
    f->cpu->interruptibility = 0;
    fixture_run_at(f, FIXTURE_CODE + 0x100);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 0x101);
    ck_assert_uint_eq(f->cpu->interruptibility, BLOCKING_BY_STI);
}
END_TEST

START_TEST(interrupts_and_nmi)
{
    PUT(f, FIXTURE_CODE, event_spin);
    PUT(f, FIXTURE_CODE + 0x100, event_frame);
    fixture_gate(f, 0x50, FIXTURE_CODE + 0x100, 0);
    fixture_gate(f, 2, FIXTURE_CODE + 0x100, 0);
    f->cpu->rflags |= RFLAGS_IF;
    f->cpu->event = (struct event){ .valid = true, .vector = 0x50, .type = EVENT_EXTERNAL_INTERRUPT };
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100 + 24);
    ck_assert_uint_eq(f->cpu->gpr[RDI], FIXTURE_CODE);      /* no error code: RIP is on top */
    ck_assert_uint_eq(f->cpu->gpr[R8], RFLAGS_FIXED | RFLAGS_IF);
    ck_assert(!(f->cpu->rflags & RFLAGS_IF));
    ck_assert_uint_eq(f->cpu->interruptibility, 0);
    f->cpu->rip = FIXTURE_CODE;
    f->cpu->event = (struct event){ .valid = true, .vector = 2, .type = EVENT_NMI };
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->gpr[RDI], FIXTURE_CODE);
    ck_assert_uint_eq(f->cpu->interruptibility, BLOCKING_BY_NMI);
}
END_TEST

/*
 * 18.3.1.1: between two iterations of a repeated string instruction RF is set: an interrupt pushes it, and a breakpoint on the instruction
 * is not met again. Before the first one and after the last one it is clear; a jump to itself is no iteration.
 */
BLOB(event_rep_stos, "nop\n rep stosb\n hlt");
BLOB(event_rep_movs, "nop\n rep movsq\n hlt");
BLOB(event_rep_lods, "nop\n rep lodsw\n hlt");
BLOB(event_rep_cmps, "nop\n repe cmpsd\n hlt");
BLOB(event_rep_scas, "nop\n repne scasb\n hlt");
BLOB(event_no_rep, "nop\n 1: jmp 1b\n hlt");
START_TEST(repetitions_set_rf)
{
    static const uint8_t *const blob[] = { event_rep_stos, event_rep_movs, event_rep_lods, event_rep_cmps, event_rep_scas, event_no_rep };
    const bool repeats = _i < 5;
    unsigned between = 0;

    fixture_put(f, FIXTURE_CODE, blob[_i], 8);
    f->cpu->gpr[RSI] = 0x31000, f->cpu->gpr[RDI] = 0x32000, f->cpu->gpr[RCX] = 5;
    f->cpu->gpr[RAX] = 1;                       /* SCAS does not find it */
    f->request.single_step = true;
    for (unsigned step = 0; step < 8 && fixture_run(f) == STOP_LIMIT; step++) {
        const bool unfinished = f->cpu->rip == FIXTURE_CODE + 1 && step > 0 && f->cpu->gpr[RCX];
        ck_assert_uint_eq(f->cpu->rflags & RFLAGS_RF, unfinished && repeats ? RFLAGS_RF : 0);
        between += unfinished;
    }
    ck_assert_uint_eq(between, repeats ? 4 : 7);
    if (!repeats)
        return;
    fixture_expect_instruction(f, INSN_hlt, f->cpu->rip);
    ck_assert_uint_eq(f->cpu->rflags & RFLAGS_RF, 0);

    PUT(f, FIXTURE_CODE + 0x100, event_frame);
    fixture_gate(f, 0x50, FIXTURE_CODE + 0x100, 0);
    f->cpu->dr[0] = FIXTURE_CODE + 1;
    f->cpu->dr7 = 0x401;
    f->cpu->rip = FIXTURE_CODE;
    f->cpu->rflags |= RFLAGS_IF;
    f->cpu->gpr[RSI] = 0x31000, f->cpu->gpr[RDI] = 0x32000, f->cpu->gpr[RCX] = 5;
    fixture_run(f);
    ck_assert(fixture_run(f) == STOP_EVENT && f->stop.event.vector == VECTOR_DB);   /* once, before the first */
    f->cpu->rflags |= RFLAGS_RF;
    fixture_run(f);
    ck_assert(f->cpu->gpr[RCX] == 4 && fixture_run(f) == STOP_LIMIT && f->cpu->gpr[RCX] == 3);
    f->request.single_step = false;
    f->cpu->event = (struct event){ .valid = true, .vector = 0x50, .type = EVENT_EXTERNAL_INTERRUPT };
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100 + 24);
    ck_assert_uint_eq(f->cpu->gpr[RDI], FIXTURE_CODE + 1);
    ck_assert(f->cpu->gpr[R8] & RFLAGS_RF);
}
END_TEST

static void expect_debug_trap(uint64_t pending, uint64_t rip)
{
    ck_assert_int_eq(f->stop.reason, STOP_LIMIT);
    ck_assert_uint_eq(f->cpu->pending_debug, pending);
    ck_assert_uint_eq(f->cpu->rip, rip);
    f->cpu->pending_debug = 0;
}

BLOB(event_tf, "nop\n mov ss,eax\n nop\n nop\n cpuid");
START_TEST(single_step_trap)
{
    PUT(f, FIXTURE_CODE, event_tf);
    PUT(f, FIXTURE_CODE + 0x100, event_frame);
    fixture_gate(f, 1, FIXTURE_CODE + 0x100, 0);
    f->cpu->gpr[RAX] = SELECTOR_DATA;
    f->cpu->rflags |= RFLAGS_TF;
    fixture_run(f);
    expect_debug_trap(1u << 14, FIXTURE_CODE + 1);
    ck_assert_uint_eq(f->cpu->instructions, 1);
    fixture_run(f);                         /* MOV SS holds the trap back by one instruction */
    expect_debug_trap(1u << 14, FIXTURE_CODE + 4);
    ck_assert_uint_eq(f->cpu->instructions, 3);
    f->stop.event = (struct event){ .valid = true, .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION,
                                    .address = 1u << 14 };
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 0x100 + 24);
    ck_assert_uint_eq(f->cpu->dr6, 0xffff4ff0);
    ck_assert_uint_eq(f->cpu->gpr[RDI], FIXTURE_CODE + 4);
    ck_assert_uint_eq(f->cpu->gpr[R8], RFLAGS_FIXED | RFLAGS_TF);
    ck_assert(!(f->cpu->rflags & RFLAGS_TF));
}
END_TEST

BLOB(event_self, "1: jmp 1b");
START_TEST(single_step_of_a_jump_to_itself)
{
    PUT(f, FIXTURE_CODE, event_self);
    f->cpu->rflags |= RFLAGS_TF;
    fixture_run(f);
    expect_debug_trap(1u << 14, FIXTURE_CODE);
    ck_assert_uint_eq(f->cpu->instructions, 1);
}
END_TEST

BLOB(event_branch, "nop\n jz 1f\n nop\n 1: jnz 2f\n nop\n 2: cpuid");
START_TEST(single_step_on_branches)
{
    PUT(f, FIXTURE_CODE, event_branch);
    f->cpu->rflags |= RFLAGS_TF;
    CPU_MSR(f->cpu, ia32_debugctl) = DEBUGCTL_BTF;
    fixture_run(f);                         /* JZ is not taken, JNZ is */
    expect_debug_trap(1u << 14, FIXTURE_CODE + 7);
    ck_assert_uint_eq(f->cpu->instructions, 4);
}
END_TEST

BLOB(event_mov_ss_watched, "mov ss,[rbx]\n cpuid");
START_TEST(traps_behind_mov_ss_are_pending)
{
    PUT(f, FIXTURE_CODE, event_mov_ss_watched);
    f->cpu->gpr[RBX] = 0x30000;
    memory_write64(&f->model->memory, 0x30000, SELECTOR_DATA);
    f->cpu->rflags |= RFLAGS_TF;
    f->cpu->dr[3] = 0x30000;
    f->cpu->dr7 = 0x400 | 1u << 6 | 7u << 28;       /* DR3: two bytes read or written */
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 2);
    ck_assert_uint_eq(f->cpu->pending_debug, 1u << 14 | 1u << 12 | 8);
    ck_assert_uint_eq(f->cpu->interruptibility, BLOCKING_BY_MOV_SS);
}
END_TEST

BLOB(event_dr, "nop\n mov [rbx],al\n nop\n mov al,[rbx+4]\n nop\n cpuid");
START_TEST(breakpoints)
{
    PUT(f, FIXTURE_CODE, event_dr);
    f->cpu->gpr[RBX] = 0x30000;
    f->cpu->dr[0] = FIXTURE_CODE + 3;
    f->cpu->dr7 = 0x400 | 1;                /* DR0: execution */
    fixture_run(f);
    fixture_expect_event(f, VECTOR_DB, 0, FIXTURE_CODE + 3);
    ck_assert_uint_eq(f->stop.event.address, 1);
    ck_assert_uint_eq(f->cpu->instructions, 2);
    f->cpu->rflags |= RFLAGS_RF;            /* resumed */
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 8);
    ck_assert(!(f->cpu->rflags & RFLAGS_RF));
    f->cpu->dr[1] = 0x30000;
    f->cpu->dr7 = 0x400 | 1u << 3 | 1u << 20;       /* DR1, global: byte written */
    fixture_run_at(f, FIXTURE_CODE);
    expect_debug_trap(1u << 12 | 2, FIXTURE_CODE + 3);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 8);
    f->cpu->dr[2] = 0x30004;
    f->cpu->dr7 = 0x400 | 1u << 4 | 15u << 24;      /* DR2, local: four bytes read or written */
    fixture_run_at(f, FIXTURE_CODE);
    expect_debug_trap(1u << 12 | 4, FIXTURE_CODE + 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: events");
    TCase *tc = tcase_create("events");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, software_interrupts);
    tcase_add_test(tc, privileged_software_exception);
    tcase_add_test(tc, interrupt_number_of_invalid_opcode);
    tcase_add_test(tc, page_fault_frame);
    tcase_add_test(tc, nested_faults);
    tcase_add_test(tc, double_fault);
    tcase_add_test(tc, interruptible_after_popf_and_iret);
    tcase_add_test(tc, sti_shadow);
    tcase_add_test(tc, shadow_at_an_instruction_that_stops);
    tcase_add_test(tc, interrupts_and_nmi);
    tcase_add_loop_test(tc, repetitions_set_rf, 0, 6);
    tcase_add_test(tc, single_step_trap);
    tcase_add_test(tc, single_step_of_a_jump_to_itself);
    tcase_add_test(tc, single_step_on_branches);
    tcase_add_test(tc, traps_behind_mov_ss_are_pending);
    tcase_add_test(tc, breakpoints);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
