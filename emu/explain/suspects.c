/* SPDX-License-Identifier: MIT */
#include "emu/explain/suspects.h"

#include <inttypes.h>
#include <string.h>

#include "emu/explain/fixed_bits.h"
#include "model/vmx/check.h"
#include "model/vmx/vmx.h"

void verdict_text(enum verdict_kind kind, uint64_t value, char to[VERDICT_TEXT_MAX])
{
    const char *text = kind == VERDICT_EXIT ? exit_reason_text((uint32_t)value & 0xffff) : vm_error_text((int)value);

    if (kind == VERDICT_SVM)
        snprintf(to, VERDICT_TEXT_MAX, "hardware error 0xffffffff, which KVM says of AMD processors");
    else if (kind == VERDICT_ERROR && !value)
        snprintf(to, VERDICT_TEXT_MAX, "hardware error 0, which KVM says of VMfailInvalid");
    else
        snprintf(to, VERDICT_TEXT_MAX, "%s %" PRIu64 " (%s)", kind == VERDICT_EXIT ? "exit reason" : "VM-instruction error",
                 value & 0xffff, text ? text : "unknown");
}

/* Bits of CR4 that every processor with VMX and 64 bits has: VME to OSXMMEXCPT, and VMXE. */
#define CR4_EVERYWHERE (0x7ffull | CR4_VMXE)

/* Does the verdict leave the rows of this group open?  The groups are checked one after the other (27.2, 27.3). */
static bool in_question(enum verdict_kind kind, uint64_t value, enum check_group group)
{
    if (kind == VERDICT_EXIT)
        return group == CHECK_GUEST && (value & 0xffff) == EXIT_REASON_entry_failure_guest_state;
    return (group == CHECK_CONTROLS && value == VM_ERROR_entry_invalid_control) ||
           (group == CHECK_HOST && value == VM_ERROR_entry_invalid_host_state);
}

static void rows(const enum row_state row[], enum verdict_kind kind, uint64_t value, FILE *to)
{
    unsigned count = 0;

    for (unsigned i = 0; i < check_count; i++)
        if (row[i] == ROW_UNDECIDED && in_question(kind, value, check_table[i].group))
            fprintf(to, "%s %s", count++ ? "" : "  suspect: checks that are not decided:", check_table[i].id);
    if (count)
        fputc('\n', to);
}

/* Of QEMU's registers CR0 and CR4 are the guest's view. What fails if the hypervisor hands them on as they are? */
static void as_seen(const struct snapshot *s, const enum row_state row[], enum verdict_kind kind, uint64_t value, FILE *to)
{
    static struct snapshot handed_on;
    static enum row_state then[SNAPSHOT_ROWS_MAX];
    unsigned count = 0;

    if (!s->registers || !s->given[FIELD_cr0_read_shadow] || !s->given[FIELD_cr4_read_shadow])
        return;
    handed_on = *s;
    VMCS(&handed_on.vmcs, guest_cr0) = VMCS(&s->vmcs, cr0_read_shadow) | CR0_NE;
    VMCS(&handed_on.vmcs, guest_cr4) = VMCS(&s->vmcs, cr4_read_shadow) | CR4_VMXE;
    handed_on.given[FIELD_guest_cr0] = handed_on.given[FIELD_guest_cr4] = true;
    if (!snapshot_check(&handed_on, then))
        return;
    for (unsigned i = 0; i < check_count; i++)
        if (then[i] != ROW_HOLDS && row[i] == ROW_HOLDS && in_question(kind, value, check_table[i].group) &&
            strcmp(check_table[i].id, "guest.cr0.must_be_1") != 0)         /* which unrestricted guests need not */
            fprintf(to, "%s %s (%s)", count++ ? "," : "  suspect: if the hypervisor enters with the guest's CR0 and CR4 as they are here:", check_table[i].id,
                    check_table[i].text);
    if (count)
        fputc('\n', to);
}

static bool part_given(const struct snapshot *s, const char *name)
{
    for (unsigned i = 0; i < capability_part_count; i++)
        if (strcmp(capability_parts[i].name, name) == 0)
            return s->part_given[i];
    return false;
}

static void cr4(const struct snapshot *s, enum vmcs_field field, FILE *to)
{
    uint64_t bits = s->vmcs.field[field] & ~CR4_EVERYWHERE;
    char text[300];

    if (!s->given[field] || part_given(s, "cr4_fixed1"))
        return;
    /* What the host has set there is. */
    if (field == FIELD_guest_cr4 && s->given[FIELD_host_cr4])
        bits &= ~VMCS(&s->vmcs, host_cr4);
    if (!bits)
        return;
    fixed_bits_cr4(bits, text, sizeof text);
    fprintf(to, "  suspect: bits of %s that not every processor has: %s; IA32_VMX_CR4_FIXED1 decides (a line \"capability "
                "cr4_fixed1 = 0x...\")\n", field == FIELD_guest_cr4 ? "guest CR4" : "host CR4", text);
}

/* Fields with physical addresses, by group of their checks. */
static const struct { enum vmcs_field field; enum check_group group; } addresses[] = {
    { FIELD_io_bitmap_a_address, CHECK_CONTROLS }, { FIELD_io_bitmap_b_address, CHECK_CONTROLS },
    { FIELD_msr_bitmap_address, CHECK_CONTROLS }, { FIELD_virtual_apic_address, CHECK_CONTROLS },
    { FIELD_apic_access_address, CHECK_CONTROLS }, { FIELD_posted_interrupt_descriptor_address, CHECK_CONTROLS },
    { FIELD_ept_pointer, CHECK_CONTROLS }, { FIELD_pml_address, CHECK_CONTROLS }, { FIELD_eptp_list_address, CHECK_CONTROLS },
    { FIELD_vmread_bitmap_address, CHECK_CONTROLS }, { FIELD_vmwrite_bitmap_address, CHECK_CONTROLS },
    { FIELD_virtualization_exception_address, CHECK_CONTROLS }, { FIELD_exit_msr_store_address, CHECK_CONTROLS },
    { FIELD_exit_msr_load_address, CHECK_CONTROLS }, { FIELD_entry_msr_load_address, CHECK_CONTROLS },
    { FIELD_host_cr3, CHECK_HOST }, { FIELD_guest_cr3, CHECK_GUEST },
    { FIELD_guest_pdpte0, CHECK_GUEST }, { FIELD_guest_pdpte1, CHECK_GUEST },
    { FIELD_guest_pdpte2, CHECK_GUEST }, { FIELD_guest_pdpte3, CHECK_GUEST },
};

/* The processors with the narrowest addresses that VMX is found on have 36 bits. */
static void width(const struct snapshot *s, enum verdict_kind kind, uint64_t value, FILE *to)
{
    unsigned count = 0;

    if (s->width_given)
        return;
    for (unsigned i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        uint64_t address = s->vmcs.field[addresses[i].field];

        if (!s->given[addresses[i].field] || !vmcs_field_used(&s->vmcs, addresses[i].field) || !(address >> 36) ||
            !in_question(kind, value, addresses[i].group))
            continue;
        fprintf(to, "%s %s (needs %d)", count++ ? "," : "  suspect: the physical-address width (--width N), for",
                vmcs_field_name(addresses[i].field), 64 - __builtin_clzll(address));
    }
    if (count)
        fputc('\n', to);
}

static void controls(const struct snapshot *s, FILE *to)
{
    if (!s->profile_given && !part_given(s, "pin.allowed"))
        fputs("  suspect: controls that this processor does not offer: every one was taken as offered (--vmx-profile P, or "
              "lines \"IA32_VMX_TRUE_PROCBASED_CTLS = 0x...\")\n", to);
}

/* What is in no edition's list of checks, but has been seen. */
static void unwritten(const struct snapshot *s, FILE *to)
{
    const struct vmcs *v = &s->vmcs;
    bool wide = VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest && VMCS(v, guest_cs_access_rights) & AR_L;

    if (VMCS(v, entry_controls) & ENTRY_load_cet_state && s->given[FIELD_guest_ssp] && !wide && VMCS(v, guest_ssp) >> 32)
        fprintf(to, "  suspect: guest_ssp = 0x%" PRIx64 " has more than 32 bits, and the guest is not in 64-bit mode: "
                    "processors refuse that\n", VMCS(v, guest_ssp));
}

/* Does any check look at the field?  At PDPTEs only with PAE paging. */
static bool looked_at(const struct snapshot *s, unsigned field)
{
    const struct vmcs *v = &s->vmcs;
    unsigned fields[CHECK_FIELDS_MAX];

    if (field >= FIELD_guest_pdpte0 && field <= FIELD_guest_pdpte3 &&
        (!(VMCS(v, guest_cr0) & CR0_PG) || !(VMCS(v, guest_cr4) & CR4_PAE) ||
         VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest))
        return false;
    for (unsigned i = 0; i < check_count; i++)
        for (unsigned j = check_fields(&check_table[i], fields); j; j--)
            if (fields[j - 1] == field)
                return true;
    return false;
}

static void assumed(const struct snapshot *s, enum verdict_kind kind, uint64_t value, FILE *to)
{
    unsigned count = 0;

    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        unsigned type = VMCS_ENCODING_TYPE(vmcs_encoding(i));
        enum check_group group = type == VMCS_TYPE_GUEST ? CHECK_GUEST :
                                 type == VMCS_TYPE_HOST ? CHECK_HOST : CHECK_CONTROLS;

        if (!s->given[i] && vmcs_field_used(&s->vmcs, i) && in_question(kind, value, group) && looked_at(s, i))
            fprintf(to, "%s %s", count++ ? "" : "  suspect: fields that are not in the file:", vmcs_field_name(i));
    }
    if (count)
        fputc('\n', to);
}

static void msr_loading(const struct snapshot *s, FILE *to)
{
    uint64_t number = VMCS(&s->vmcs, exit_qualification);

    if (!s->given[FIELD_exit_qualification]) {
        fputs("  suspect: the entries of the VM-entry MSR-load area; the exit qualification would say which\n", to);
        return;
    }
    fprintf(to, "  suspect: entry %" PRIu64 " of the VM-entry MSR-load area (the exit qualification) [27.4]: ", number);
    for (unsigned i = 0; i < s->msrs; i++) {
        const struct msr_entry *e = &s->msr[i];
        char text[MSR_TEXT_MAX];

        if (e->list != MSR_LIST_ENTRY_LOAD || (e->number != number && e->number))
            continue;
        fprintf(to, "%s; no rule that all processors share refuses it: this one lacks the MSR, or reserves a bit of the value\n",
                msr_entry_text(e, text));
        return;
    }
    fputs("it is not in the file: 16 bytes at entry_msr_load_address", to);
    if (number)
        fprintf(to, " + 0x%" PRIx64, 16 * (number - 1));
    fputs(", of which bits 31:0 are the MSR, bits 63:32 must be 0, and bits 127:64 are its value\n", to);
}

void suspects_print(const struct snapshot *s, const enum row_state row[], enum verdict_kind kind, uint64_t value, FILE *to)
{
    if (kind == VERDICT_SVM)
        return;
    if (kind == VERDICT_EXIT && (value & 0xffff) == EXIT_REASON_entry_failure_msr_loading) {
        msr_loading(s, to);
        return;
    }
    if (kind == VERDICT_ERROR && !value)
        fputs("  suspect: no check of a VMCS: there was no current VMCS, or VMX operation had been left under KVM\n", to);
    else if (kind == VERDICT_ERROR && value != VM_ERROR_entry_invalid_control && value != VM_ERROR_entry_invalid_host_state)
        fputs("  suspect: no check of a VMCS: this error is about the instruction and the VMCS's launch state\n", to);
    rows(row, kind, value, to);
    as_seen(s, row, kind, value, to);
    if (in_question(kind, value, CHECK_CONTROLS))
        controls(s, to);
    if (in_question(kind, value, CHECK_HOST))
        cr4(s, FIELD_host_cr4, to);
    if (in_question(kind, value, CHECK_GUEST)) {
        cr4(s, FIELD_guest_cr4, to);
        unwritten(s, to);
    }
    width(s, kind, value, to);
    assumed(s, kind, value, to);
}
