/* SPDX-License-Identifier: MIT */
/* What L0 reads, writes and executes in the guest's place ends as it does without L0. */
#include "scenarios/guests/storm/storm.h"

static uint64_t operand;

#define READ_DR6(to) __asm__ volatile("mov %%dr6, %0" : "=r"(to))
#define WRITE_DR(n, value) __asm__ volatile("mov %0, %%dr" #n : : "r"((uint64_t)(value)) : "memory")

static int store_pointer(void)
{
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n vmptrst %0\n nop\n1: movq $0, fault_resume" : "=m"(operand) : : "memory", "cc");
    return fault_vector;
}

/* A data breakpoint on the operand of each number of DR0 to DR3. */
void case_breakpoints(void)
{
    const char *missing = vmx_start();

    expect("VMX", (uintptr_t)missing, 0);
    WRITE_DR(0, &operand);
    WRITE_DR(1, &operand);
    WRITE_DR(2, &operand);
    WRITE_DR(3, &operand);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t dr6;
        WRITE_DR(6, 0xffff0ff0);
        WRITE_DR(7, 0x400 | 1u << 2 * i | 0x9u << (16 + 4 * i));        /* 8 bytes, written */
        expect("vector", (uint64_t)store_pointer(), VECTOR_DB);
        READ_DR6(dr6);
        expect("DR6", dr6, 0xffff0ff0 | 1u << i);
    }
    WRITE_DR(7, 0x400);
    expect("without one", (uint64_t)store_pointer(), (uint64_t)-1);
}

/* ---- IA32_APIC_BASE in lists ---- */

extern const uint8_t l2_priority_start[], l2_priority_end[];    /* storm_cpu.S */
static struct guest l2;
static struct { uint64_t index, value; } list[2][1] __attribute__((aligned(16)));
static _Alignas(4096) volatile uint8_t page[3][4096];
enum { PAGE_UNREACHABLE = 5 };

static bool prepare(const struct controls *controls)
{
    const char *missing = vmx_start();

    if (!missing)
        missing = guest_create(&l2, 1, controls, l2_priority_start, l2_priority_end);
    expect("what is needed", (uintptr_t)missing, 0);
    if (!missing)
        guest_long_mode(&l2);
    return !missing;
}

static uint64_t run_l2(uint64_t entry_value, uint64_t exit_value)
{
    list[0][0].index = list[1][0].index = MSR_ia32_apic_base;
    list[0][0].value = entry_value;
    list[1][0].value = exit_value;
    vmwrite(VMCS_entry_msr_load_address, (uintptr_t)list[0]);
    vmwrite(VMCS_exit_msr_load_address, (uintptr_t)list[1]);
    vmwrite(VMCS_entry_msr_load_count, 1);
    vmwrite(VMCS_exit_msr_load_count, exit_value != 0);
    vmwrite(VMCS_guest_rip, GUEST_CODE);
    expect("entry", (uint64_t)guest_enter(&l2), 0);
    return vmread(VMCS_exit_reason);
}

static volatile bool list_over, spinning;
static void spin(unsigned number)
{
    (void)number;
    spinning = true;
    while (!list_over)
        __asm__ volatile("pause");
}

/* Moved, it is refused; disabled, L0 knows it, and no page can be given. */
void case_lists(void)
{
    const struct controls controls = { .proc = PROC_cr8_load_exiting, .entry = ENTRY_ia32e_mode_guest };
    const uint64_t base = rdmsr(MSR_ia32_apic_base);

    others_start(spin);
    WAIT_UNTIL(spinning);
    if (!prepare(&controls))
        return;
    expect("moved", run_l2(base + 0x10000, 0), EXIT_REASON_entry_failure_msr_loading | EXIT_REASON_ENTRY_FAILURE);
    expect("which entry", vmread(VMCS_exit_qualification), 1);
    expect("IA32_APIC_BASE", rdmsr(MSR_ia32_apic_base), base);
    expect("give a page", give(page[0]), 0);
    expect("disabled by the entry", run_l2(base & ~(uint64_t)APIC_BASE_ENABLE, 0), EXIT_REASON_cr_access);
    expect("IA32_APIC_BASE", rdmsr(MSR_ia32_apic_base), base & ~(uint64_t)APIC_BASE_ENABLE);
    expect("give a page", give(page[1]), PAGE_UNREACHABLE);
    expect("enabled by the entry, disabled by the exit", run_l2(base, base & ~(uint64_t)APIC_BASE_ENABLE), EXIT_REASON_cr_access);
    expect("give a page", give(page[1]), PAGE_UNREACHABLE);
    expect("enabled by the exit", run_l2(base & ~(uint64_t)APIC_BASE_ENABLE, base), EXIT_REASON_cr_access);
    expect("give a page", give(page[1]), 0);
    list_over = true;
    others_await(1);
}

/* ---- the virtual-APIC page ---- */

enum { NOTHING_THERE = 0x7f000000 };            /* neither RAM nor a device */

/* An L2 that sets its task priority to 0 and reads it back. */
void case_priority(void)
{
    const struct controls controls = { .proc = PROC_use_tpr_shadow, .entry = ENTRY_ia32e_mode_guest };

    if (!prepare(&controls))
        return;
    vmwrite(VMCS_virtual_apic_address, NOTHING_THERE);
    vmwrite(VMCS_tpr_threshold, 15);
    expect("entry", (uint64_t)guest_enter(&l2), 0);
    expect("exit reason", vmread(VMCS_exit_reason), EXIT_REASON_vmcall);
    expect("task priority in absent memory", l2.gpr[RAX], 15);
}
