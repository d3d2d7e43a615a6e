/* SPDX-License-Identifier: MIT */
/*
 * Strategy flip: each vmcs12 that is kept here has a private region F. While L1 runs, F is the shadow VMCS that vmcs01
 * links; while L2 runs, F is its VMCS. In between, F is VMCLEARed, for the link made it active, and its shadow
 * indicator is written in memory (SDM Vol. 3, 25.1, 25.10). Nothing is copied: L1 reads and writes hardware's own
 * fields, but for those where hardware needs another value (class I of field_classes.def), which L1 finds in vmcs12.
 *
 * F is private, so what is verified after VMCLEAR cannot change before the entry.
 *
 * HOST_RSP is of class I, and yet written often by an L1 whose stack is never at the same place twice (Linux: at each return from user space). Then
 * F has L1's value while L1 runs, which writes it without an exit, and L0's while L2 runs.
 */
#include "hv/nested/shadow.h"

/* Out of hardware's hands, and with the other indicator. */
static void flip(const struct hv_cpu *cpu, struct vmcs12 *vmcs12, uint32_t indicator)
{
    const physical_address region = vmcs12->hardware.region;

    if (hal_vmclear(region) != HAL_OK ||
        !hal_pm_write32(region, BASIC_REVISION(cpu->machine->physical.basic) | indicator))
        hal_fail_stop("a VMCS of L0 cannot be cleared");
    vmcs12->hardware.launched = false;
}

/* ---- HOST_RSP ---- */

/*
 * To exchange it costs a VMREAD and two VMWRITEs a round trip, about an eighth of an exit (cli/bench/weights.def): so it is exchanged from when L1 has
 * written it twice within as many entries as pay for the exit, until it has not changed for as many.
 */
enum { STACK_AGE = 8 };

/* Do L1's VMREADs and VMWRITEs of it go to F? */
static void stack_shadowed(struct hv_cpu *cpu, bool shadowed)
{
    struct shadow *shadow = &cpu->nested.shadow;
    /* The other fields of this byte are L0's host state, too. */
    const uint8_t bits = shadowed ? (uint8_t)~(1u << VMCS_host_rsp % 8) : 0xff;

    if (shadow->stack_shadowed == shadowed)
        return;
    if (!hal_pm_write(PA(shadow->read_bitmap.value + VMCS_host_rsp / 8), &bits, 1) ||
        !hal_pm_write(PA(shadow->write_bitmap.value + VMCS_host_rsp / 8), &bits, 1))
        hal_fail_stop("a page of L0 cannot be written");
    shadow->stack_shadowed = shadowed;
}

/* F is current: L1's value goes to vmcs12, and L0's to F. */
static void stack_from_region(const struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    const uint64_t rsp = vmread(VMCS_host_rsp);

    if (rsp != vmcs12->field[FIELD_host_rsp])
        vmcs12->stack_age = 0;
    vmcs12->field[FIELD_host_rsp] = rsp;
    vmwrite(VMCS_host_rsp, cpu->host.rsp);
}

/* An entry of L1's; F is current. */
static void stack_before_l2(struct hv_cpu *cpu)
{
    struct vmcs12 *vmcs12 = cpu->nested.vmcs12;

    if (vmcs12->stack_exchanged)
        stack_from_region(cpu, vmcs12);
    if (vmcs12->stack_age <= STACK_AGE) {
        vmcs12->stack_age++;
    } else if (vmcs12->stack_exchanged) {
        vmcs12->stack_exchanged = false;
        stack_shadowed(cpu, false);
    }
}

/* L1's VMWRITE has exited. */
void flip_written(struct hv_cpu *cpu, enum field_index field)
{
    struct vmcs12 *vmcs12 = cpu->nested.vmcs12;

    if (field != FIELD_host_rsp)
        return;
    if (vmcs12->stack_age && vmcs12->stack_age <= STACK_AGE) {
        vmcs12->stack_exchanged = true;
        shadow_select(vmcs12->hardware.region);
        vmcs12_to_hardware(vmcs12, FIELD_host_rsp);
        shadow_select(cpu->vmcs01.region);
        stack_shadowed(cpu, true);
    }
    vmcs12->stack_age = 0;
}

/* ---- while L1 runs ---- */

void flip_load(struct hv_cpu *cpu)
{
    struct vmcs12 *vmcs12 = cpu->nested.vmcs12;

    if (!vmcs12->shadowed) {
        shadow_select(vmcs12->hardware.region);
        fields_to_hardware(cpu, vmcs12, SET_FLIP);
        shadow_select(cpu->vmcs01.region);
        vmcs12->shadowed = true;
        vmcs12->stack_age = 0;
    }
    stack_shadowed(cpu, vmcs12->stack_exchanged);
    cpu->vmcs02 = &vmcs12->hardware;
    shadow_link(cpu, vmcs12->hardware.region);
}

/* vmcs01 is current, and links the region. */
static void late_from_region(const struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    if (!vmcs12->late)
        return;
    shadow_select(vmcs12->hardware.region);
    vmcs02_save_conditional(vmcs12);
    shadow_select(cpu->vmcs01.region);
}

void flip_release(struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    shadow_select(vmcs12->hardware.region);
    fields_from_hardware(cpu, vmcs12, SET_FLIP);
    if (vmcs12->late)
        vmcs02_save_conditional(vmcs12);
    if (vmcs12->stack_exchanged)
        stack_from_region(cpu, vmcs12);
    vmcs12->stack_exchanged = false;
    shadow_select(cpu->vmcs01.region);
    if (vmcs12->address == cpu->nested.current)
        shadow_link(cpu, PA(0));
    if (hal_vmclear(vmcs12->hardware.region) != HAL_OK)
        hal_fail_stop("a VMCS of L0 cannot be cleared");
    vmcs12->shadowed = false;
}

/* Class I: vmcs12 has it, sooner or later. */
void flip_before_read(struct hv_cpu *cpu, enum field_index field)
{
    if (field_table[field].class == CLASS_GUEST_CONDITIONAL)
        late_from_region(cpu, cpu->nested.vmcs12);
}

void flip_before_write(struct hv_cpu *cpu)
{
    late_from_region(cpu, cpu->nested.vmcs12);
}

/* ---- into L2 ---- */

/* vmcs01 stays active, and its link wrong until flip_leave(): it is not entered meanwhile. */
void flip_fetch(struct hv_cpu *cpu)
{
    flip(cpu, cpu->nested.vmcs12, 0);
    vmcs_select(cpu, 2);
#define FETCH_I(name)
#define FETCH_F(name)
#define FETCH_V(name) VMCS12(cpu, name) = vmread(VMCS_##name);
#define FIELD_CLASS(name, class, copy, flip, reason) FETCH_##flip(name)
#include "hv/nested/field_classes.def"
    stack_before_l2(cpu);
}

/* What vmcs02.c looks at of L2 to choose what to write: in IA-32e mode it needs nothing. */
static void read_paging(struct vmcs12 *vmcs12)
{
    vmcs12_from_hardware(vmcs12, FIELD_guest_cr0);
    vmcs12_from_hardware(vmcs12, FIELD_guest_cr3);
    vmcs12_from_hardware(vmcs12, FIELD_guest_cr4);
}

void flip_enter(struct hv_cpu *cpu)
{
    struct vmcs12 *vmcs12 = cpu->nested.vmcs12;
    const uint32_t proc = vmcs12->settled.proc02;

    if (!(VMCS12(cpu, entry_controls) & ENTRY_ia32e_mode_guest))
        read_paging(vmcs12);
    if (vmcs12->late && !vmcs12->settled.conditional_stays)
        vmcs02_save_conditional(vmcs12);
    cpu->nested.shadow.proc_edited = proc != VMCS12_32(cpu, processor_based_controls);
    if (cpu->nested.shadow.proc_edited)
        vmwrite(VMCS_processor_based_controls, proc);
    vmcs02_write_controls(cpu);
    vmcs02_write_conditional(cpu, vmcs_update);
}

/* ---- and back ---- */

/* An event of L0's for L2 goes through fields that L1 will read as its own. */
void flip_before_injection(struct hv_cpu *cpu)
{
    struct shadow *shadow = &cpu->nested.shadow;

    if (shadow->event_kept)
        return;
    shadow->event_kept = true;
    shadow->event[0] = vmread(VMCS_entry_interruption_information);
    shadow->event[1] = vmread(VMCS_entry_exception_error_code);
    shadow->event[2] = vmread(VMCS_entry_instruction_length);
}

void flip_save(struct hv_cpu *cpu)
{
    vmcs02_save_mode(cpu);
    cpu->nested.vmcs12->late = true;
}

/* Hardware has told L1 already, but for what is L0's own; and an entry that fails tells two fields (27.8). */
void flip_tell(struct hv_cpu *cpu)
{
    const struct exit_record *exit = &cpu->exit;
    const bool failed = exit->reason & EXIT_REASON_ENTRY_FAILURE;
    const unsigned told = failed ? EXIT_reason | EXIT_qualification : exit->own;

    if (!told)
        return;
    if (told & EXIT_reason)
        vmwrite(VMCS_exit_reason, exit->reason);
#define EXIT_PART(name, type, field)                                                                                \
    if (told & EXIT_##name)                                                                                         \
        vmwrite(VMCS_##field, exit->name);
#include "hv/exit_parts.def"
}

void flip_leave(struct hv_cpu *cpu)
{
    struct shadow *shadow = &cpu->nested.shadow;
    struct vmcs12 *vmcs12 = cpu->nested.vmcs12;

    if (cpu->level == 1)
        return;
    if (shadow->proc_edited)
        vmcs12_to_hardware(vmcs12, FIELD_processor_based_controls);
    if (shadow->event_kept) {
        vmwrite(VMCS_entry_interruption_information, shadow->event[0]);
        vmwrite(VMCS_entry_exception_error_code, shadow->event[1]);
        vmwrite(VMCS_entry_instruction_length, shadow->event[2]);
    }
    shadow->proc_edited = shadow->event_kept = false;
    if (vmcs12->stack_exchanged)
        vmcs12_to_hardware(vmcs12, FIELD_host_rsp);
    flip(cpu, vmcs12, VMCS_SHADOW_INDICATOR);
    vmcs_select(cpu, 1);
}
