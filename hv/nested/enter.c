/* SPDX-License-Identifier: MIT */
/* From L1 into L2, and whose the exits of L2 are. SDM Vol. 3, ch. 27. */
#include "hv/core.h"

#include "hv/nested/shadow.h"

/* Two adjacent pages for a VM-entry MSR-load list of MSR_AREA_MAX entries. */
static physical_address allocate_pair(void)
{
    enum { TRIES = 16 };
    physical_address page[TRIES], pair = PA(0);
    unsigned count = 0;

    while (count < TRIES && !pair.value) {
        page[count] = hal_page_allocate();
        if (!page[count].value)
            break;
        count++;
        if (count > 1 && page[count - 1].value == page[count - 2].value + PAGE_SIZE) {
            pair = page[count - 2];
            count -= 2;
        }
    }
    while (count)
        hal_page_free(page[--count]);
    return pair;
}

bool nested_create(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;

    n->current = NO_VMCS;
    for (unsigned i = 0; i < VMCS12_SLOTS; i++)
        n->slot[i].address = NO_VMCS;
    n->io_bitmap_absent = hal_page_allocate();
    n->msr_bitmap = hal_page_allocate();
    n->entry_msr_area = allocate_pair();
    if (!n->io_bitmap_absent.value || !n->msr_bitmap.value || !n->entry_msr_area.value ||
        !vept_affordable(cpu->machine) || !shadow_create(cpu))
        return false;
    n->virtual_apic_absent = hal_page_allocate();
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        n->buffer[i] = 0xff;
    return n->virtual_apic_absent.value && hal_pm_write(n->io_bitmap_absent, n->buffer, PAGE_SIZE) &&
           hal_pm_write(n->msr_bitmap, n->buffer, PAGE_SIZE) &&
           hal_pm_write(n->virtual_apic_absent, n->buffer, PAGE_SIZE);
}

/* The entry failed after the checks on controls and host state: to L1 it is an exit (SDM Vol. 3, 27.8). */
static void fail_late(struct hv_cpu *cpu, enum exit_reason reason, uint64_t qualification)
{
    exit_invent(cpu, (struct exit_record){ .reason = (uint32_t)reason | EXIT_REASON_ENTRY_FAILURE,
                                           .qualification = qualification });
    reflect_failed_entry(cpu);
}

/* It failed before; L1's instruction ends with a VMfail. */
static void fail_early(struct hv_cpu *cpu, enum vm_instruction_error error)
{
    shadow_leave(cpu);
    nested_entry_fails(cpu, error);
}

void nested_enter(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;

    carry_state(cpu);
    shadow_fetch(cpu);                          /* from here on vmcs01 need not be current */
    n->plan.settled = settled_holds(cpu);
    if (!n->plan.settled && !check12_controls(cpu)) {
        fail_early(cpu, VM_ERROR_entry_invalid_control);
        return;
    }
    if (!n->plan.settled && !check12_host_state(cpu)) {
        fail_early(cpu, VM_ERROR_entry_invalid_host_state);
        return;
    }
    if (!n->plan.settled)
        settle(cpu);
    n->plan.msr_count = VMCS12(cpu, entry_msr_load_count) ? msr_area_copy_entry_list(cpu) : 0;
    if (n->plan.msr_count && !msr_area_before_entry(cpu)) {
        hal_log(HAL_EVENT_HANDLED, cpu->exit.reason, 0, 0, 0);
        shadow_leave(cpu);
        return;
    }
    hal_log(HAL_EVENT_NESTED_ENTRY, cpu->exit.reason == EXIT_REASON_vmlaunch, n->current, 0, 0);
    n->plan.refused = !check12_guest_state(cpu, &n->plan.qualification);
    if (!n->plan.refused && n->plan.msr_count > MSR_AREA_MAX) {
        fail_late(cpu, EXIT_REASON_entry_failure_msr_loading, MSR_AREA_MAX + 1);
        return;
    }
    if (VMCS12(cpu, processor_based_controls) & PROC_use_msr_bitmaps)
        bitmap_copy(cpu);
    n->plan.eptp = n->vmcs12->settled.ept ? vept_pointer(cpu) : ept_pointer(&cpu->machine->ept01);
    n->plan.vpid = vpid_before_entry(cpu);
    shadow_enter(cpu);
    if (n->plan.refused) {                      /* by hardware too, which judges its share of the controls first */
        n->plan.dr7 = vmread(VMCS_guest_dr7);
        vmwrite(VMCS_guest_dr7, ~0ull);
    }
    n->entering = true;
    cpu->waits_for_sipi = VMCS12(cpu, guest_activity_state) == ACTIVITY_WAIT_FOR_SIPI;
    cpu->vmcs02->nmi_window = false;            /* its controls have been written anew */
    init_before_l2(cpu);                        /* an INIT that was blocked ends L2's run at once */
}

/* vmcs02 is what L2 goes on with once L1 has mended it. */
static void heal(const struct hv_cpu *cpu)
{
    if (cpu->nested.plan.refused)
        vmwrite(VMCS_guest_dr7, cpu->nested.plan.dr7);
}

void nested_entry_refused(struct hv_cpu *cpu)
{
    const uint32_t error = vmread32(VMCS_vm_instruction_error);

    msr_area_after_entry(cpu);
    if (error != VM_ERROR_entry_invalid_control)
        hal_fail_stop("the processor refused to enter vmcs02");
    if (!cpu->nested.entering) {
        if (!virtual_apic_refused(cpu))
            hal_fail_stop("the processor refused to enter vmcs02 again");
        reflect_exit(cpu);
        return;
    }
    heal(cpu);
    fail_early(cpu, VM_ERROR_entry_invalid_control);
}

/* SDM Vol. 3, 25.6.3: page faults go by mask and match as well. vmcs02 is current, and holds L1's values. */
bool nested_wants_exception(unsigned vector, uint32_t error_code)
{
    const bool wanted = vmread(VMCS_exception_bitmap) >> vector & 1;

    if (vector != VECTOR_PF)
        return wanted;
    return ((error_code & vmread32(VMCS_page_fault_error_code_mask)) ==
            vmread32(VMCS_page_fault_error_code_match)) == wanted;
}

/*
 * L0 is about to resume L2 behind an instruction that it executed for L2, or with the exception that came of it: the latter
 * ends with a monitor-trap-flag exit by itself (SDM Vol. 3, 26.5.2).
 */
static void instruction_ends(struct hv_cpu *cpu)
{
    if (cpu->level != 2 || !(VMCS12(cpu, processor_based_controls) & PROC_monitor_trap_flag) ||
        vmread(VMCS_entry_interruption_information) & INTERRUPTION_VALID)
        return;
    exit_invent(cpu, (struct exit_record){ .reason = EXIT_REASON_monitor_trap_flag });
    reflect_exit(cpu);
}

/* L0's own: what it intercepts for itself, or virtualises. False: L1's. */
static bool handle(struct hv_cpu *cpu)
{
    const uint32_t reason = cpu->exit.reason, msr = (uint32_t)guest_register(cpu, RCX);

    switch ((enum exit_reason)reason) {
    case EXIT_REASON_init_signal:
        if (!init_of_l0(cpu))
            return false;
        hal_log(HAL_EVENT_HANDLED, reason, 0, 0, 0);
        return true;
    case EXIT_REASON_ept_violation:
        if (vmcs12_ept(cpu)) {
            vept_violation(cpu);                /* may turn out to be L1's */
            return true;
        }
        hal_log(HAL_EVENT_HANDLED, reason, cpu->exit.qualification, 0, 0);
        ept01_violation(cpu);
        return true;
    case EXIT_REASON_rdmsr:
        if (bitmap_wants_msr(cpu, msr, false))
            return false;
        hal_log(HAL_EVENT_HANDLED, reason, 0, 0, 0);
        msr_read_exit(cpu);
        instruction_ends(cpu);
        return true;
    case EXIT_REASON_wrmsr:
        if (bitmap_wants_msr(cpu, msr, true))
            return false;
        hal_log(HAL_EVENT_HANDLED, reason, 0, 0, 0);
        if (msr_write_exit(cpu))
            instruction_ends(cpu);
        return true;
    case EXIT_REASON_cr_access:
        if (!virtual_apic_write_exit(cpu))
            return false;
        hal_log(HAL_EVENT_HANDLED, reason, cpu->exit.qualification, 0, 0);
        virtual_apic_write(cpu);
        instruction_ends(cpu);
        return true;
    case EXIT_REASON_exception_or_nmi:
        return machine_check_deliver(cpu);
    case EXIT_REASON_external_interrupt: case EXIT_REASON_triple_fault:
    case EXIT_REASON_startup_ipi: case EXIT_REASON_interrupt_window:
    case EXIT_REASON_nmi_window: case EXIT_REASON_task_switch: case EXIT_REASON_cpuid: case EXIT_REASON_getsec:
    case EXIT_REASON_hlt: case EXIT_REASON_invd: case EXIT_REASON_invlpg: case EXIT_REASON_rdpmc:
    case EXIT_REASON_rdtsc: case EXIT_REASON_rsm: case EXIT_REASON_vmcall: case EXIT_REASON_vmclear:
    case EXIT_REASON_vmlaunch: case EXIT_REASON_vmptrld: case EXIT_REASON_vmptrst: case EXIT_REASON_vmread:
    case EXIT_REASON_vmresume: case EXIT_REASON_vmwrite: case EXIT_REASON_vmxoff: case EXIT_REASON_vmxon:
    case EXIT_REASON_mov_dr: case EXIT_REASON_io_instruction: case EXIT_REASON_mwait:
    case EXIT_REASON_monitor_trap_flag: case EXIT_REASON_monitor: case EXIT_REASON_pause:
    case EXIT_REASON_tpr_below_threshold:
    case EXIT_REASON_gdtr_or_idtr_access: case EXIT_REASON_ldtr_or_tr_access: case EXIT_REASON_invept:
    case EXIT_REASON_rdtscp: case EXIT_REASON_preemption_timer_expired: case EXIT_REASON_invvpid:
    case EXIT_REASON_wbinvd: case EXIT_REASON_xsetbv: case EXIT_REASON_rdrand: case EXIT_REASON_invpcid:
    case EXIT_REASON_rdseed: case EXIT_REASON_seamcall: case EXIT_REASON_tdcall: case EXIT_REASON_rdmsr_immediate:
    case EXIT_REASON_wrmsrns_immediate:
        return false;
    case EXIT_REASON_ept_misconfiguration:
        hal_fail_stop("an EPT of L0's is misconfigured");
    default:
        hal_fail_stop("an exit of L2 that its controls exclude");
    }
}

/* An entry of L1's that hardware refused with an exit. */
static void failed(struct hv_cpu *cpu)
{
    if (!cpu->nested.entering)
        hal_fail_stop("the processor refused to enter vmcs02 again");
    cpu->nested.entering = false;
    if (cpu->nested.plan.refused) {
        heal(cpu);
        fail_late(cpu, EXIT_REASON_entry_failure_guest_state, cpu->nested.plan.qualification);
    } else {
        reflect_failed_entry(cpu);
    }
}

void nested_exit(struct hv_cpu *cpu)
{
    msr_area_after_entry(cpu);
    if (cpu->exit.reason & EXIT_REASON_ENTRY_FAILURE) {
        failed(cpu);
        return;
    }
    /* L2 may have changed these. */
    cpu->vmcs02->kept_known[KEPT_ENTRY] = cpu->vmcs02->kept_known[KEPT_EFER] = false;
    if (cpu->nested.entering) {
        cpu->nested.vmcs12->launched = true;
        if (cpu->nested.plan.msr_count)         /* L1's list is for L1's entry, not for those of L0 that follow */
            vmcs02_keep(cpu, KEPT_MSR_COUNT, VMCS_entry_msr_load_count, 0);
        cpu->nested.entering = false;
    }
    if (!(cpu->vmcs02->nmi_window && nmi_exit(cpu)) && !handle(cpu))
        reflect_exit(cpu);
}
