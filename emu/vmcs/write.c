/* SPDX-License-Identifier: MIT */
/* Taking a snapshot, and writing it as text. */
#include <inttypes.h>
#include <string.h>

#include "emu/vmcs/snapshot.h"
#include "model/cpu/execute.h"
#include "model/cpu/msr.h"

#define WORD(name, msr) { #name, msr, offsetof(struct vmx_capability, name), false }
#define CONTROL_WORD(name, plain, msr) WORD(name.default1, plain), WORD(name.required, msr), WORD(name.allowed, msr)
#define WIDE(name, msr) { #name, msr, offsetof(struct vmx_capability, name), true }
/* The words in the order of enum control_word_id. */
const struct capability_part capability_parts[] = {
    CONTROL_WORD(pin, "IA32_VMX_PINBASED_CTLS", "IA32_VMX_TRUE_PINBASED_CTLS"),
    CONTROL_WORD(proc, "IA32_VMX_PROCBASED_CTLS", "IA32_VMX_TRUE_PROCBASED_CTLS"),
    CONTROL_WORD(proc2, "IA32_VMX_PROCBASED_CTLS2", "IA32_VMX_PROCBASED_CTLS2"),
    CONTROL_WORD(exit, "IA32_VMX_EXIT_CTLS", "IA32_VMX_TRUE_EXIT_CTLS"),
    CONTROL_WORD(entry, "IA32_VMX_ENTRY_CTLS", "IA32_VMX_TRUE_ENTRY_CTLS"),
    WIDE(basic, "IA32_VMX_BASIC"),
    WIDE(misc, "IA32_VMX_MISC"),
    WIDE(cr0_fixed0, "IA32_VMX_CR0_FIXED0"),
    WIDE(cr0_fixed1, "IA32_VMX_CR0_FIXED1"),
    WIDE(cr4_fixed0, "IA32_VMX_CR4_FIXED0"),
    WIDE(cr4_fixed1, "IA32_VMX_CR4_FIXED1"),
    WIDE(ept_vpid, "IA32_VMX_EPT_VPID_CAP"),
    WIDE(vmfunc, "IA32_VMX_VMFUNC"),
};
const unsigned capability_part_count = sizeof capability_parts / sizeof capability_parts[0];
_Static_assert(sizeof capability_parts / sizeof capability_parts[0] <= CAPABILITY_PARTS_MAX, "room for every part");

static void take_word(struct snapshot *snapshot, const struct memory *memory, uint64_t address)
{
    if (!memory_is_ram(memory, address, 8))
        return;
    snapshot->word[snapshot->words].address = address;
    snapshot->word[snapshot->words++].value = memory_read64(memory, address);
}

void snapshot_take(struct snapshot *snapshot, const struct cpu *cpu, const struct vmcs *vmcs, bool native)
{
    const struct model *model = cpu->model;

    memset(snapshot, 0, sizeof *snapshot);
    snapshot->vmcs = *vmcs;
    memset(snapshot->given, true, sizeof snapshot->given);
    memset(snapshot->part_given, true, sizeof snapshot->part_given);
    snapshot->width_given = snapshot->ia32e_given = true;
    snapshot->capability = model->capability;
    snapshot->physical_address_width = model->physical_address_width;
    snapshot->ia32e = cpu_long_mode(cpu);
    snapshot->native = native;
    take_word(snapshot, &model->memory, VMCS(vmcs, vmcs_link_pointer));
    take_word(snapshot, &model->memory, VMCS(vmcs, virtual_apic_address) + 0x80);
    for (unsigned i = 0; i < 4; i++)
        take_word(snapshot, &model->memory, (VMCS(vmcs, guest_cr3) & 0xffffffe0) + 8 * i);
}

bool vmcs_field_used(const struct vmcs *v, enum vmcs_field field)
{
    static const struct { uint16_t field, count; } areas[] = {
        { FIELD_exit_msr_store_address, FIELD_exit_msr_store_count },
        { FIELD_exit_msr_load_address, FIELD_exit_msr_load_count },
        { FIELD_entry_msr_load_address, FIELD_entry_msr_load_count },
        { FIELD_cr3_target_value_0, FIELD_cr3_target_count }, { FIELD_cr3_target_value_1, FIELD_cr3_target_count },
        { FIELD_cr3_target_value_2, FIELD_cr3_target_count }, { FIELD_cr3_target_value_3, FIELD_cr3_target_count },
        { FIELD_entry_exception_error_code, FIELD_entry_interruption_information },
        { FIELD_entry_instruction_length, FIELD_entry_interruption_information },
    };
    uint32_t proc = (uint32_t)VMCS(v, processor_based_controls);
    /* A field that exists with a control is used when the control is 1: ask as if it were the capability. */
    struct vmx_capability on = {
        .pin.allowed = (uint32_t)VMCS(v, pin_based_controls), .proc.allowed = proc,
        .proc2.allowed = proc & PROC_activate_secondary_controls ? (uint32_t)VMCS(v, secondary_processor_based_controls) : 0,
        .exit.allowed = (uint32_t)VMCS(v, exit_controls), .entry.allowed = (uint32_t)VMCS(v, entry_controls),
    };

    if (VMCS_ENCODING_TYPE(vmcs_encoding(field)) == VMCS_TYPE_EXIT_INFORMATION ||
        !capability_control_allowed(&on, vmcs_field_control(field)))
        return false;
    if (field == FIELD_io_bitmap_a_address || field == FIELD_io_bitmap_b_address)
        return proc & PROC_use_io_bitmaps;
    if (field == FIELD_executive_vmcs_pointer || field == FIELD_guest_smbase)
        return false;                                   /* SMM alone uses them */
    for (unsigned i = 0; i < sizeof areas / sizeof areas[0]; i++)
        if (areas[i].field == field)
            return v->field[areas[i].count];
    return true;
}

void vmcs_writer_text(const struct vmcs *v, bool native, enum vmcs_field field, const struct symbols *symbols, char *to,
                      size_t size)
{
    char name[SYMBOL_TEXT_MAX], caller[SYMBOL_TEXT_MAX], call[SYMBOL_TEXT_MAX + 40] = "", exits[40] = "";
    uint32_t since = v->exits + 1 - v->written[field];

    const bool saved = v->exits && VMCS_ENCODING_TYPE(vmcs_encoding(field)) == VMCS_TYPE_GUEST;

    if (v->written[field] == 0 && v->field[field] && !saved && !native) {
        snprintf(to, size, "not written by VMWRITE: it was in the region at VMPTRLD");
        return;
    }
    if (v->written[field] == 0) {
        snprintf(to, size, v->exits ? "never written by VMWRITE, %" PRIu32 " VM exits" : "never written",
                 v->exits);
        return;
    }
    /* Exits save guest state over it (28.3). */
    if (since && VMCS_ENCODING_TYPE(vmcs_encoding(field)) == VMCS_TYPE_GUEST)
        snprintf(exits, sizeof exits, ", then %" PRIu32 " VM exit%s", since, since == 1 ? "" : "s");
    /* A function that does nothing else is called by whom the reader wants to see. */
    if (v->caller[field])
        snprintf(call, sizeof call, ", called at rip 0x%" PRIx64 "%s", v->caller[field],
                 symbols_text(symbols, v->caller[field], caller));
    if (native)
        snprintf(to, size, "VMWRITE by the native L0%s", exits);
    else
        snprintf(to, size, "VMWRITE at rip 0x%" PRIx64 "%s%s%s", v->writer[field],
                 symbols_text(symbols, v->writer[field], name), call, exits);
}

void snapshot_writer(const struct snapshot *snapshot, enum vmcs_field field, const struct symbols *symbols, char *to,
                     size_t size)
{
    vmcs_writer_text(&snapshot->vmcs, snapshot->native, field, symbols, to, size);
}

void snapshot_write(const struct snapshot *snapshot, const struct symbols *symbols, FILE *to)
{
    const struct vmcs *v = &snapshot->vmcs;

    fprintf(to, "vmcs 0x%" PRIx64 "\n", v->pa);
    fprintf(to, "processor ia32e = %d\n", snapshot->ia32e);
    fprintf(to, "processor physical_address_width = %u\n", snapshot->physical_address_width);
    for (unsigned i = 0; i < capability_part_count; i++) {
        const char *at = (const char *)&snapshot->capability + capability_parts[i].offset;
        uint64_t value = 0;

        memcpy(&value, at, capability_parts[i].wide ? 8 : 4);
        fprintf(to, "capability %s = 0x%" PRIx64 "\n", capability_parts[i].name, value);
    }
    for (unsigned i = 0; i < snapshot->words; i++)
        fprintf(to, "memory 0x%" PRIx64 " = 0x%" PRIx64 "\n", snapshot->word[i].address, snapshot->word[i].value);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        char writer[SNAPSHOT_WRITER_MAX];

        snapshot_writer(snapshot, i, symbols, writer, sizeof writer);
        fprintf(to, "%s = 0x%-18" PRIx64 " # %s\n", vmcs_field_name(i), v->field[i], writer);
    }
    fputs("end\n", to);
}

const char *msr_entry_text(const struct msr_entry *e, char to[MSR_TEXT_MAX])
{
    const char *name = msr_kind(e->index) == KIND_UNKNOWN ? NULL : msr_name(e->index);

    snprintf(to, MSR_TEXT_MAX, "MSR 0x%" PRIx32 "%s%.40s%s = 0x%" PRIx64, e->index, name ? " (" : "", name ? name : "", name ? ")" : "", e->value);
    return to;
}
