/* SPDX-License-Identifier: MIT */
/* Exit paths that do not give the guest its registers back (--check registers). */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

/* The guest executes CPUID for ever. */
extern const uint8_t asker[], asker_end[];
__asm__(".pushsection .rodata\n"
        "asker: cpuid\n"
        "   jmp asker\n"
        "asker_end:\n"
        ".popsection");

static struct guest *const guest = &guest_of_mistakes;

/* To the guest's next CPUID, which is answered. */
static void answer(void)
{
    vmx_result result = guest_enter(guest);

    must(!result && vmread(VMCS_exit_reason) == EXIT_REASON_cpuid, "the guest does not execute CPUID");
    guest->gpr[RAX] = guest->gpr[RBX] = guest->gpr[RCX] = guest->gpr[RDX] = 0x5e;
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 2);
}

static void begin(void)
{
    start_guest(asker, asker_end);
    answer();
    answer();
}

static void end(void)
{
    answer();
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

static void kept(void)
{
    begin();
    end();
}

static void general_lost(void)
{
    begin();
    guest->gpr[RSI] += 0x77;
    guest->gpr[R13] = 0x1300;
    end();
}

/* The instruction is to be executed again, but RAX is another one. */
static void general_lost_without_progress(void)
{
    begin();
    must(!guest_enter(guest), "VMRESUME");
    guest->gpr[RAX] = 0xbad;
    end();
}

static void cr2_lost(void)
{
    begin();
    __asm__ volatile("movq %0, %%cr2" : : "r"(0xc2c2ul));
    end();
}

static void debug_lost(void)
{
    begin();
    __asm__ volatile("movq %0, %%db1" : : "r"(0xd1d1ul));
    end();
}

static void xmm_lost(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR);
    begin();
    __asm__ volatile("movq %0, %%xmm5" : : "r"(0x5e5e5e5eul));
    end();
}

/* ---- what is right: registers that the guest cannot see, or that it asked to be changed ---- */

extern const uint8_t debugger[], debugger_end[], counter[], counter_end[], backdoor[], backdoor_end[], caller[], caller_end[],
    jumper[], jumper_end[], asks[], asks_end[], writes_lstar[], writes_lstar_end[], loads_tr[], loads_tr_end[], stores_tr[], stores_tr_end[];
__asm__(".pushsection .rodata\n"
        "debugger: movq %rax, %dr2\n   movq %dr3, %rdi\n   hlt\ndebugger_end:\n"
        "counter: cpuid\n   movq %xmm1, %rdi\n   hlt\ncounter_end:\n"
        "backdoor: movl $0x5658, %edx\n   movl $0x564d5868, %eax\n   inl %dx, %eax\n   hlt\nbackdoor_end:\n"
        "asks: inb $0x60, %al\n   hlt\nasks_end:\n"
        "writes_lstar: movl $0xc0000082, %ecx\n   movl $0x5678, %eax\n   xorl %edx, %edx\n   wrmsr\n   cpuid\n   hlt\nwrites_lstar_end:\n"
        "loads_tr: ltr %bx\n   hlt\nloads_tr_end:\n"
        "stores_tr: str %ebx\n   hlt\nstores_tr_end:\n"
        "caller: vmcall\n   hlt\ncaller_end:\n"
        /* JMP 28H:0 in 32-bit code */
        "jumper: .byte 0xea, 0, 0, 0, 0, 0x28, 0\n   hlt\njumper_end:\n"
        ".popsection");

static void set_bits(uint32_t field, uint64_t bits) { vmwrite(field, vmread(field) | bits); }
static void clear_bits(uint32_t field, uint64_t bits) { vmwrite(field, vmread(field) & ~bits); }
static void pass(void) { vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + vmread(VMCS_exit_instruction_length)); }

static void enter_until(unsigned reason)
{
    must(!guest_enter(guest) && vmread(VMCS_exit_reason) == reason, "another VM exit");
}

static void leave(void)
{
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

/* The guest's debug registers are loaded at its first MOV DR, which is executed again. */
static void debug_on_demand(void)
{
    start_guest(debugger, debugger_end);
    set_bits(VMCS_processor_based_controls, PROC_mov_dr_exiting);
    enter_until(EXIT_REASON_mov_dr);
    __asm__ volatile("movq %0, %%db3" : : "r"(0x3333ul));
    clear_bits(VMCS_processor_based_controls, PROC_mov_dr_exiting);
    enter_until(EXIT_REASON_hlt);
    must(guest->gpr[RDI] == 0x3333, "DR3 of the guest");
    leave();
}

/* Another exit, and the guest's debug registers are still not there. */
static void debug_of_host(void)
{
    start_guest(asker, asker_end);
    set_bits(VMCS_processor_based_controls, PROC_mov_dr_exiting);
    answer();
    __asm__ volatile("movq %0, %%db2" : : "r"(0x2222ul));
    answer();
    leave();
}

/* The guest's XMM registers are loaded when it asks for them: CR0.TS and #NM (Vol. 3, 2.5). */
static void xmm_on_demand(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR);
    start_guest(counter, counter_end);
    set_bits(VMCS_guest_cr0, CR0_TS);
    vmwrite(VMCS_cr0_guest_host_mask, CR0_TS);
    vmwrite(VMCS_exception_bitmap, 1u << VECTOR_NM);
    enter_until(EXIT_REASON_cpuid);
    pass();
    __asm__ volatile("movq %0, %%xmm1" : : "r"(0x1d1eul));
    enter_until(EXIT_REASON_exception_or_nmi);
    __asm__ volatile("movq %0, %%xmm1" : : "r"(0x9009ul));
    clear_bits(VMCS_guest_cr0, CR0_TS);
    enter_until(EXIT_REASON_hlt);
    must(guest->gpr[RDI] == 0x9009, "XMM1 of the guest");
    leave();
}

/* The same region, the same first instruction, another guest. */
static void begun_anew(void)
{
    for (unsigned life = 0; life < 2; life++) {
        start_guest(asker, asker_end);
        guest->gpr[RBP] = life + 0x100;
        enter_until(EXIT_REASON_cpuid);
        leave();
    }
}

static void backdoor_answered(void)
{
    start_guest(backdoor, backdoor_end);
    set_bits(VMCS_processor_based_controls, PROC_unconditional_io_exiting);
    enter_until(EXIT_REASON_io_instruction);
    pass();
    guest->gpr[RBX] = 0x564d5868;
    guest->gpr[RSI] = 1;
    enter_until(EXIT_REASON_hlt);
    leave();
}

/* IN to AL: the rest of RAX is not what it was, or is. */
static void in_answered(uint64_t upper)
{
    start_guest(asks, asks_end);
    set_bits(VMCS_processor_based_controls, PROC_unconditional_io_exiting);
    guest->gpr[RAX] = 0x11223344;
    enter_until(EXIT_REASON_io_instruction);
    guest->gpr[RAX] = upper | 0x5a;
    pass();
    enter_until(EXIT_REASON_hlt);
    leave();
}

static void in_answered_wide(void) { in_answered(0); }
static void in_answered_right(void) { in_answered(0x11223300); }

/* A base that SWAPGS of the guest would find. */
static void msr_lost(void)
{
    begin();
    wrmsr(MSR_ia32_kernel_gs_base, 0x5a5a000);
    end();
}

static void mxcsr_lost(void)
{
    const uint32_t other = 0x1f00;

    write_cr4(read_cr4() | CR4_OSFXSR);
    begin();
    __asm__ volatile("ldmxcsr %0" : : "m"(other));
    end();
}

static void x87_lost(void)
{
    begin();
    __asm__ volatile("fninit\n\tfldpi");
    end();
}

static void xcr0_lost(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(0), "a"(3), "d"(0));
    begin();
    __asm__ volatile("xsetbv" : : "c"(0), "a"(1), "d"(0));
    end();
}

static void pat_lost(void)
{
    begin();
    wrmsr(MSR_ia32_pat, 0x0606060606060606);
    end();
}

/* A guest writes LSTAR by an exit; later the hypervisor takes the register for itself. */
static void write_lstar(bool in_processor)
{
    start_guest(writes_lstar, writes_lstar_end);
    enter_until(EXIT_REASON_wrmsr);
    if (in_processor)
        wrmsr(MSR_ia32_lstar, 0x5678);
    pass();
    enter_until(EXIT_REASON_cpuid);
    wrmsr(MSR_ia32_lstar, 0x1234);
    pass();
    enter_until(EXIT_REASON_hlt);
    leave();
}

/* The guest's WRMSR was executed in its stead, so the processor kept what the guest wrote. */
static void lstar_lost(void) { write_lstar(true); }

/* The hypervisor keeps it elsewhere, and a guest that has no SYSCALL reads it by an exit: nothing is wrong. */
static void lstar_elsewhere(void) { write_lstar(false); }

/* LTR and STR: their operand is in RBX. */
static void task_register(const uint8_t *start, const uint8_t *end)
{
    start_guest(start, end);
    set_bits(VMCS_secondary_processor_based_controls, PROC2_descriptor_table_exiting);
    enter_until(EXIT_REASON_ldtr_or_tr_access);
    guest->gpr[RBX] = 0x18;
    pass();
    enter_until(EXIT_REASON_hlt);
    leave();
}

static void ltr_operand(void) { task_register(loads_tr, loads_tr_end); }
static void str_operand(void) { task_register(stores_tr, stores_tr_end); }

static void hypercall_changes(unsigned number)
{
    start_guest(caller, caller_end);
    enter_until(EXIT_REASON_vmcall);
    guest->gpr[number] = 0x40;
    pass();
    enter_until(EXIT_REASON_hlt);
    leave();
}

static void hypercall_changes_rdi(void) { hypercall_changes(RDI); }
static void hypercall_answers(void) { hypercall_changes(RAX); }

/* Half of what the guest asked for is done; the rest is in the registers, and the guest asks again. */
static void hypercall_goes_on(void)
{
    start_guest(caller, caller_end);
    enter_until(EXIT_REASON_vmcall);
    guest->gpr[RDI] = 0x40;
    enter_until(EXIT_REASON_vmcall);
    pass();
    enter_until(EXIT_REASON_hlt);
    leave();
}

/* The new task goes on behind the same kind of jump as the old one: at the same RIP. */
static void task_switched(void)
{
    static const struct controls controls = { .proc = PROC_hlt_exiting, .proc2 = PROC2_unrestricted_guest };
    const char *missing;

    start_vmx();
    missing = guest_create(guest, 1, &controls, jumper, jumper_end);
    must(!missing, missing);
    guest_protected_mode(guest, GUEST_PAGING_32, false);
    *(uint64_t *)(guest->memory + GUEST_GDT + 0x28) = 0x0000890060000067ull;
    vmwrite(VMCS_guest_gdtr_limit, 0x2f);
    enter_until(EXIT_REASON_task_switch);
    for (unsigned i = 0; i < 8; i++)
        guest->gpr[i] = 0x7a5c + i;
    pass();
    enter_until(EXIT_REASON_hlt);
    leave();
}

const struct mistake mistakes_of_registers[] = {
    { "registers-kept", kept },
    { "general-lost", general_lost },
    { "general-lost-without-progress", general_lost_without_progress },
    { "cr2-lost", cr2_lost },
    { "debug-lost", debug_lost },
    { "xmm-lost", xmm_lost },
    { "debug-on-demand", debug_on_demand },
    { "debug-of-host", debug_of_host },
    { "xmm-on-demand", xmm_on_demand },
    { "begun-anew", begun_anew },
    { "backdoor-answered", backdoor_answered },
    { "hypercall-goes-on", hypercall_goes_on },
    { "task-switched", task_switched },
    { "in-answered-wide", in_answered_wide },
    { "in-answered-right", in_answered_right },
    { "msr-lost", msr_lost },
    { "mxcsr-lost", mxcsr_lost }, { "x87-lost", x87_lost }, { "xcr0-lost", xcr0_lost }, { "pat-lost", pat_lost },
    { "lstar-lost", lstar_lost }, { "lstar-elsewhere", lstar_elsewhere }, { "ltr-operand", ltr_operand }, { "str-operand", str_operand },
    { "hypercall-changes-rdi", hypercall_changes_rdi }, { "hypercall-answers", hypercall_answers },
    { NULL, NULL },
};
