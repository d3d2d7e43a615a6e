/* SPDX-License-Identifier: MIT */
/* Checking a snapshot as VM entry would: on a model of its own, with nothing in it but the VMCS. */
#include <stdlib.h>
#include <string.h>

#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/check.h"

#define MEMORY_SIZE (4ull << 30)

static void assume(struct snapshot *s, enum vmcs_field field, uint64_t value)
{
    if (!s->given[field])
        s->vmcs.field[field] = value;
}

static void assume_segments(struct snapshot *s, bool ia32e)
{
    uint64_t access_rights = s->vmcs.field[FIELD_guest_ss_access_rights];
    /* One privilege level for all: SS's, where it is known. */
    uint64_t level = s->given[FIELD_guest_ss_access_rights] ? AR_DPL(access_rights) : 0;

    for (unsigned i = 0; i < SEG_COUNT; i++) {
        bool code = i == SEG_CS, task = i == SEG_TR, usable = i != SEG_LDTR;

        assume(s, FIELD_guest_es_selector + i, (i == SEG_TR || i == SEG_LDTR ? 0x18 : 0x10) | (usable && !task ? level : 0));
        assume(s, FIELD_guest_es_limit + i, task ? 0x67 : 0xffffffff);
        assume(s, FIELD_guest_es_access_rights + i, !usable ? AR_UNUSABLE
                                                    : task  ? 0x8b
                                                    : code  ? (ia32e ? 0xa09b : 0xc09b) | level << 5
                                                            : 0xc093 | level << 5);
    }
}

void snapshot_assume(struct snapshot *s)
{
    const struct vmx_capability *c = &s->capability;
    struct vmcs *v = &s->vmcs;

    assume(s, FIELD_pin_based_controls, c->pin.required);
    assume(s, FIELD_processor_based_controls, c->proc.required);
    assume(s, FIELD_exit_controls, c->exit.required | (s->ia32e ? EXIT_host_address_space_size : 0));
    assume(s, FIELD_entry_controls, c->entry.required | (s->ia32e ? ENTRY_ia32e_mode_guest : 0));
    bool ia32e = VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest, host64 = VMCS(v, exit_controls) & EXIT_host_address_space_size;

    assume(s, FIELD_virtual_processor_identifier, 1);
    assume(s, FIELD_ept_pointer, 3 << 3 | MEMORY_WB);
    assume(s, FIELD_vmcs_link_pointer, ~0ull);
    assume(s, FIELD_host_cr0, c->cr0_fixed0);
    assume(s, FIELD_host_cr4, c->cr4_fixed0 | CR4_PAE);
    assume(s, FIELD_host_ia32_efer, host64 ? EFER_LME | EFER_LMA : 0);
    assume(s, FIELD_host_cs_selector, 8);
    assume(s, FIELD_host_ss_selector, 0x10);
    assume(s, FIELD_host_tr_selector, 0x18);
    assume(s, FIELD_guest_cr0, c->cr0_fixed0);
    assume(s, FIELD_guest_cr4, c->cr4_fixed0 | (ia32e ? CR4_PAE : 0));
    assume(s, FIELD_guest_ia32_efer, ia32e ? EFER_LME | EFER_LMA : 0);
    assume(s, FIELD_guest_rflags, RFLAGS_FIXED);
    assume(s, FIELD_guest_dr7, 0x400);
    assume_segments(s, ia32e);
}

/* Does the snapshot hold the memory at this address, which a check would read? */
static bool holds_word(const struct snapshot *s, uint64_t address)
{
    for (unsigned i = 0; i < s->words; i++)
        if (s->word[i].address == address)
            return true;
    return false;
}

static bool begins(const struct check *check, const char *id)
{
    return strncmp(check->id, id, strlen(id)) == 0;
}

/* Does a row that failed look at memory that is not known?  (The rows: 27.2.1.1, 27.3.1.5, 27.3.1.6.) */
static bool reads_unknown_memory(const struct snapshot *s, const struct check *check)
{
    const struct vmcs *v = &s->vmcs;
    uint32_t proc2 = (uint32_t)VMCS(v, secondary_processor_based_controls);
    bool ept = (VMCS(v, processor_based_controls) & PROC_activate_secondary_controls) && (proc2 & PROC2_enable_ept);

    if (begins(check, "guest.link.revision") || begins(check, "guest.link.indicator"))
        return !holds_word(s, VMCS(v, vmcs_link_pointer));
    if (begins(check, "control.tpr_threshold.vtpr"))
        return !holds_word(s, VMCS(v, virtual_apic_address) + 0x80);
    if (begins(check, "guest.pdpte") && !ept)
        return !holds_word(s, (VMCS(v, guest_cr3) & 0xffffffe0) + 8 * (uint64_t)(check->id[11] - '0'));
    return false;
}

static bool rests_on_assumption(const struct snapshot *s, const struct check *check)
{
    unsigned fields[CHECK_FIELDS_MAX], count = check_fields(check, fields);

    for (unsigned i = 0; i < count; i++)
        if (!s->given[fields[i]])
            return true;
    return false;
}

static void evaluate(struct model *model, const struct snapshot *s, enum row_state row[SNAPSHOT_ROWS_MAX])
{
    struct cpu *cpu = &model->cpu[0];
    struct vmcs vmcs = s->vmcs;

    model_init(model, 1);
    model->capability = s->capability;
    model->physical_address_width = s->physical_address_width;
    CPU_MSR(cpu, ia32_efer) = s->ia32e ? EFER_LME | EFER_LMA : 0;
    for (unsigned i = 0; i < s->words; i++)
        memory_write64(&model->memory, s->word[i].address, s->word[i].value);
    for (unsigned i = 0; i < check_count && i < SNAPSHOT_ROWS_MAX; i++) {
        const struct check *check = &check_table[i];

        row[i] = check_holds(cpu, &vmcs, i) ? ROW_HOLDS
                 : reads_unknown_memory(s, check) || rests_on_assumption(s, check) ? ROW_UNDECIDED : ROW_FAILS;
    }
}

bool snapshot_check(const struct snapshot *snapshot, enum row_state row[SNAPSHOT_ROWS_MAX])
{
    struct model *model = calloc(1, sizeof *model);
    uint8_t *ram = host_memory_reserve(MEMORY_SIZE), *watch = calloc(1, MEMORY_SIZE / PAGE_SIZE);
    bool good = model && ram && watch;

    if (good) {
        memory_init(&model->memory, ram, MEMORY_SIZE, watch);
        evaluate(model, snapshot, row);
    }
    host_memory_release(ram, MEMORY_SIZE);
    free(watch);
    free(model);
    return good;
}
