/* SPDX-License-Identifier: MIT */
/* One line for each VM exit of each program: the exit, and what it left. Options as those of tests/processor/main.c. */
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"
#include "tests/exits/exits.h"

enum { EXITS_OF_A_STEP = 6 };

static void tell_place(const struct program *p, unsigned index, unsigned number, unsigned step)
{
    static const char *const modes[] = { "long", "pae", "legacy" };

    number_in(index, 10), put("."), number_in(number, 10), put(" "), put(step < p->steps ? p->kind[step] : "done"), put("/");
    put(p->virtual_8086 ? "v86" : p->bits == 64 ? "64" : p->bits == 32 ? "32" : "16");
    put("/"), put(modes[p->mode]), put("/cpl"), number_in(p->level, 10);
    put(step < p->steps ? ":" : "/last:");
}

/* Does this exit define its instruction length, its instruction information?  SDM Vol. 3, 28.2.5. */
static int has_length(unsigned reason, uint32_t event)
{
    unsigned type = event >> 8 & 7;

    if (reason == EXIT_REASON_exception_or_nmi)
        return type == 5 || type == 6;
    if (reason == EXIT_REASON_task_switch)
        return 0;
    return reason != EXIT_REASON_triple_fault && reason != EXIT_REASON_ept_violation && reason != EXIT_REASON_ept_misconfiguration && reason < 64;
}

static int has_information(unsigned reason)
{
    return reason == EXIT_REASON_gdtr_or_idtr_access || reason == EXIT_REASON_ldtr_or_tr_access;
}

/* Of an unusable segment that bit and the DPL are defined (28.3.2); its base, in FS and GS, where it means something. */
static uint64_t rights(uint32_t field)
{
    uint64_t value = vmread(field);

    return value & 0x10000 ? value & 0x10060 : value;
}

static uint64_t base(const struct program *p, unsigned segment)
{
    int unusable = vmread(VMCS_guest_es_access_rights + 2 * segment) & 0x10000 ? 1 : 0;

    return unusable && p->mode != MODE_LONG ? 0 : vmread(VMCS_guest_es_base + 2 * segment);
}

/* `flags`: accessed and dirty flags are told, which a fault and an EPT violation leave open (4.8). */
static void tell_exit(const struct program *p, const uint64_t gpr[16], int *flags)
{
    unsigned reason = (uint32_t)vmread(VMCS_exit_reason);
    uint32_t event = (uint32_t)vmread(VMCS_exit_interruption_information), vectoring = (uint32_t)vmread(VMCS_idt_vectoring_information);
    uint64_t registers = 0, qualification = vmread(VMCS_exit_qualification);

    word("exit", reason);
    if (reason == EXIT_REASON_ept_violation)
        qualification &= 0x3f, word("gpa", vmread(VMCS_guest_physical_address) & ~0xfffull);
    /* B0 to B3 of breakpoints that are not enabled may be set (SDM Vol. 3, 28.2.1). */
    for (unsigned i = 0; i < 4 && reason == EXIT_REASON_exception_or_nmi && (event & 0xff) == 1; i++)
        qualification &= ~((uint64_t)!(vmread(VMCS_guest_dr7) >> 2 * i & 3) << i);
    word("qualification", qualification);
    if (event >> 31)
        word("event", event), word("error", event >> 11 & 1 ? vmread(VMCS_exit_interruption_error_code) : 0);
    if (vectoring >> 31)
        word("vectoring", vectoring), word("vectoring_error", vectoring >> 11 & 1 ? vmread(VMCS_idt_vectoring_error_code) : 0);
    if (has_length(reason, event))
        word("length", vmread(VMCS_exit_instruction_length));
    if (has_information(reason))
        word("information", vmread(VMCS_exit_instruction_information));
    word("rip", vmread(VMCS_guest_rip)), word("rsp", vmread(VMCS_guest_rsp)), word("rflags", vmread(VMCS_guest_rflags) & ~RFLAGS_RF);     /* docs/bochs-ledger.md, RF */
    word("cs", vmread(VMCS_guest_cs_selector)), word("cs_rights", vmread(VMCS_guest_cs_access_rights)), word("ss", vmread(VMCS_guest_ss_selector));
    word("ss_rights", rights(VMCS_guest_ss_access_rights)), word("ds", vmread(VMCS_guest_ds_selector)), word("es", vmread(VMCS_guest_es_selector));
    word("fs", vmread(VMCS_guest_fs_selector)), word("gs", vmread(VMCS_guest_gs_selector)), word("fs_base", base(p, SEG_FS));
    word("gs_base", base(p, SEG_GS)), word("ldtr", vmread(VMCS_guest_ldtr_selector)), word("tr", vmread(VMCS_guest_tr_selector));
    word("cr0", vmread(VMCS_guest_cr0)), word("cr4", vmread(VMCS_guest_cr4)), word("dr7", vmread(VMCS_guest_dr7)), word("efer", vmread(VMCS_guest_ia32_efer));
    word("interruptibility", vmread(VMCS_guest_interruptibility_state)), word("activity", vmread(VMCS_guest_activity_state));
    word("pending", vmread(VMCS_guest_pending_debug_exceptions));
    for (unsigned i = 0; i < 16; i++)
        if (i != RSP)
            registers = (registers ^ (p->bits == 64 ? gpr[i] : gpr[i] & 0xffffffff)) * 0x100000001b3, registers ^= registers >> 29;
    word("registers", registers >> 32);
    word("gdt", environment_sum(PAGE_GDT, 0, GDT_SIZE)), word("ldt", environment_sum(PAGE_LDT, 0, LDT_SIZE));
    word("tss", environment_sum(PAGE_TSS, 0, 0x100)), word("inner", environment_sum(PAGE_INNER, 0, PAGE));
    *flags &= reason != EXIT_REASON_ept_violation && reason != EXIT_REASON_task_switch && reason != EXIT_REASON_triple_fault &&
              (reason != EXIT_REASON_exception_or_nmi || ((event & 0xff) == 3 && !(vectoring >> 31))) && p->start->dr7 == 0;
    if (*flags && environment_written(p, PAGE_DATA))
        word("data", environment_sum(PAGE_DATA, 0, PAGE));
    if (*flags)
        word("pages", environment_flags(p));
    put("\n");
}

/* Goes on behind an instruction that exited. 0: the step is over. */
static int goes_on(void)
{
    unsigned reason = (uint32_t)vmread(VMCS_exit_reason);

    switch (reason) {
    case EXIT_REASON_ept_violation:
        guest_grant(vmread(VMCS_guest_physical_address));
        return !(vmread(VMCS_idt_vectoring_information) >> 31 & 1);
    case EXIT_REASON_exception_or_nmi:
    case EXIT_REASON_triple_fault:
    case EXIT_REASON_task_switch:
    case EXIT_REASON_hlt:
    case EXIT_REASON_ept_misconfiguration:
        return 0;
    default:
        if (reason >= 64)
            return 0;
        vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + vmread(VMCS_exit_instruction_length));
        vmwrite(VMCS_guest_interruptibility_state, 0);
        vmwrite(VMCS_guest_pending_debug_exceptions, 0);
        if (vmread(VMCS_guest_rflags) & RFLAGS_TF)      /* it would be a single step, but for the exit */
            return 0;
        return 1;
    }
}

static void run_step(struct program *p, unsigned index, unsigned step, unsigned *number)
{
    const struct start *s = &p->step[step];
    uint64_t gpr[16] = { s->gpr[0], s->gpr[1], s->gpr[2], s->gpr[3], 0, s->gpr[5], s->gpr[6], s->gpr[7], 0, 9, 10, 11, 12, 13, 14, 15 };
    vmx_result result;
    int flags = 1;

    p->start = &p->step[step];
    environment_pages(p);
    environment_again();
    guest_load(p, s);
    for (unsigned i = 0; i < EXITS_OF_A_STEP; i++) {
        tell_place(p, index, (*number)++, step);
        result = guest_run(gpr, i == 0);
        __asm__ volatile("lgdt %0" : : "m"(harness_gdtr));      /* its limit, which a VM exit makes FFFFH */
        if (result) {
            word("fail", (uint64_t)(unsigned)result), put("\n");
            return;
        }
        tell_exit(p, gpr, &flags);
        if (!goes_on())
            return;
    }
}

int main(const uint32_t *information);
int main(const uint32_t *information)
{
    static struct program program;
    uint64_t seed, first, count;

    report_open(information);
    seed = option("seed", 1), first = option("first", 0), count = option("count", 300);
    environment_open();
    guest_open();
    for (uint64_t i = first; i < first + count; i++) {
        unsigned number = 0;
        program.random = seed * 0x100000000 + i;
        environment_prepare(&program);
        generate(&program);
        guest_controls(&program);
        for (unsigned step = 0; step < program.steps; step++)
            run_step(&program, (unsigned)i, step, &number);
        harness_state();
        tell_place(&program, (unsigned)i, number, program.steps);
        put(" exit=1\n");
    }
    put("done\n");
    return 0;
}
