/* SPDX-License-Identifier: MIT */
/* The processor and the memory that vectors are tried with: see vectors.h. */
#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/vectors/vectors.h"

#define VMX_BASIC_TRUE_CONTROLS (1ull << 55)

/* The control words, their fields, and the MSRs that say what they may hold: SDM Vol. 3, A.3 to A.5. */
static const struct control_word {
    const char *name;
    uint32_t field, msr, true_msr;
} control_words[] = {
    { "pin", VMCS_pin_based_controls, MSR_ia32_vmx_pinbased_ctls, MSR_ia32_vmx_true_pinbased_ctls },
    { "proc", VMCS_processor_based_controls, MSR_ia32_vmx_procbased_ctls, MSR_ia32_vmx_true_procbased_ctls },
    { "proc2", VMCS_secondary_processor_based_controls, MSR_ia32_vmx_procbased_ctls2, MSR_ia32_vmx_procbased_ctls2 },
    { "exit", VMCS_exit_controls, MSR_ia32_vmx_exit_ctls, MSR_ia32_vmx_true_exit_ctls },
    { "entry", VMCS_entry_controls, MSR_ia32_vmx_entry_ctls, MSR_ia32_vmx_true_entry_ctls },
};
enum { CONTROL_WORDS = sizeof(control_words) / sizeof(control_words[0]) };

static uint64_t allowed(const struct control_word *word)
{
    return rdmsr(rdmsr(MSR_ia32_vmx_basic) & VMX_BASIC_TRUE_CONTROLS ? word->true_msr : word->msr);
}

static void print_msr(const char *name, uint32_t index)
{
    print("machine %s %lx\n", name, rdmsr(index));
}

void machine_print(void)
{
    for (unsigned i = 0; i < CONTROL_WORDS; i++)
        print("machine %s %lx\n", control_words[i].name, allowed(&control_words[i]));
    print_msr("misc", MSR_ia32_vmx_misc);
    print_msr("cr0_fixed0", MSR_ia32_vmx_cr0_fixed0);
    print_msr("cr0_fixed1", MSR_ia32_vmx_cr0_fixed1);
    print_msr("cr4_fixed0", MSR_ia32_vmx_cr4_fixed0);
    print_msr("cr4_fixed1", MSR_ia32_vmx_cr4_fixed1);
    print_msr("ept_vpid", MSR_ia32_vmx_ept_vpid_cap);
    print("machine address_widths %lx\n", (uint64_t)cpuid(0x80000008, 0).eax);
    print("machine extended_features %lx\n", (uint64_t)cpuid(0x80000001, 0).edx);
    print("machine features_7 %lx\n", (uint64_t)cpuid(7, 0).ebx);
}

/* What this program runs with: host_remember(). */
static struct {
    uint64_t cr0, cr3, cr4, efer, pat, fs_base, gs_base;
    struct descriptor_table gdtr, idtr;
    uint16_t cs, ss, tr;
} host;

void start_afresh(struct changes memory)
{
    void *arena = NULL;         /* address 0 is a page like any other here */
    uint64_t words = ARENA_END / 8;

    vmclear(ARENA_VMCS);        /* while it is active, its region is the processor's (25.11.1) */
    __asm__ volatile("rep stosq" : "+D"(arena), "+c"(words) : "a"(0) : "memory");
    for (unsigned i = 0; i < memory.count; i++)
        change_apply(&memory.change[i]);
    *(volatile uint32_t *)(uint64_t)ARENA_VMCS = vmcs_revision();
    if (vmclear(ARENA_VMCS) || vmptrld(ARENA_VMCS)) {
        print("vectors: VMCLEAR and VMPTRLD fail\n");
        quit(1);
    }
    guest_host_state();
    vmwrite(VMCS_host_ia32_pat, host.pat);
    vmwrite(VMCS_host_tr_selector, host.tr);    /* TR cannot be loaded again: its TSS is busy */
}

static const struct control_word *control_word_of(uint64_t field)
{
    for (unsigned i = 0; i < CONTROL_WORDS; i++)
        if (control_words[i].field == field)
            return &control_words[i];
    return NULL;
}

bool change_apply(const struct change *change)
{
    const struct control_word *word;
    uint64_t value = change->value;

    if (change->store) {
        if (change->operation == '~')
            value ^= vmcs_revision();
        *(volatile uint32_t *)change->where = (uint32_t)value;
        return true;
    }
    if (change->operation == '^')
        value ^= vmread(change->where);
    word = control_word_of(change->where);
    if (change->operation == '|' && word)
        value |= (uint32_t)allowed(word);
    return !vmwrite(change->where, value);
}

void host_remember(void)
{
    host.cr0 = read_cr0();
    host.cr3 = read_cr3();
    host.cr4 = read_cr4();
    host.efer = rdmsr(MSR_ia32_efer);
    host.pat = rdmsr(MSR_ia32_pat);
    host.fs_base = rdmsr(MSR_ia32_fs_base);
    host.gs_base = rdmsr(MSR_ia32_gs_base);
    __asm__("mov %%cs, %0" : "=r"(host.cs));
    __asm__("mov %%ss, %0" : "=r"(host.ss));
    __asm__("str %0" : "=r"(host.tr));
    host.gdtr = store_gdtr();
    host.idtr = store_idtr();
}

void host_restore(void)
{
    __asm__ volatile("lgdt %0" : : "m"(host.gdtr));
    __asm__ volatile("lidt %0" : : "m"(host.idtr));
    write_cr0(host.cr0);
    write_cr4(host.cr4);
    write_cr3(host.cr3);
    wrmsr(MSR_ia32_efer, host.efer);
    wrmsr(MSR_ia32_pat, host.pat);
    wrmsr(MSR_ia32_fs_base, host.fs_base);
    wrmsr(MSR_ia32_gs_base, host.gs_base);
    __asm__ volatile("mov %0, %%ss" : : "r"(host.ss));
    /* IRET ends the blocking by NMI that the guest may have left behind (6.7.1). */
    __asm__ volatile("movq %%rsp, %%rax\n\t"
                     "pushq %0\n\tpushq %%rax\n\tpushfq\n\tpushq %1\n\tpushq $1f\n\tiretq\n1:"
                     : : "r"((uint64_t)host.ss), "r"((uint64_t)host.cs) : "rax", "memory", "cc");
}

static void print_more(bool *first, const char *name)
{
    print(*first ? " unoffered=%s" : ",%s", name);
    *first = false;
}

void print_unoffered(void)
{
    uint64_t cr4_allowed = rdmsr(MSR_ia32_vmx_cr4_fixed1);
    bool first = true;

    for (unsigned i = 0; i < CONTROL_WORDS; i++) {
        uint64_t may = allowed(&control_words[i]), value = vmread(control_words[i].field);

        if (control_words[i].field == VMCS_secondary_processor_based_controls &&
            !(vmread(VMCS_processor_based_controls) & PROC_activate_secondary_controls))
            continue;
        if (value & ~(may >> 32) || (uint32_t)may & ~value)
            print_more(&first, control_words[i].name);
    }
    if (vmread(VMCS_host_cr4) & ~cr4_allowed)
        print_more(&first, "host_cr4");
    if (vmread(VMCS_guest_cr4) & ~cr4_allowed)
        print_more(&first, "guest_cr4");
}
