/* SPDX-License-Identifier: MIT */
/* Entries of MSR areas that fail, for people. */
#include "emu/explain/msr_area.h"

#include <inttypes.h>
#include <string.h>

#include "emu/explain/refusal.h"
#include "model/cpu/access.h"
#include "model/cpu/execute.h"
#include "model/cpu/msr.h"
#include "model/refusal.h"
#include "model/vmx/vmx.h"

enum { WHY_MAX = 600 };

/* By the list's number. */
static const struct {
    const char *name, *section;
    enum vmcs_field address, count;
} areas[] = {
    [MSR_LIST_ENTRY_LOAD] = { "VM-entry MSR-load area", "27.4", FIELD_entry_msr_load_address, FIELD_entry_msr_load_count },
    [MSR_LIST_EXIT_STORE] = { "VM-exit MSR-store area", "28.4", FIELD_exit_msr_store_address, FIELD_exit_msr_store_count },
    [MSR_LIST_EXIT_LOAD] = { "VM-exit MSR-load area", "28.6", FIELD_exit_msr_load_address, FIELD_exit_msr_load_count },
};

/* The processor as the area finds it: what the VMCS has loaded before (27.3.2.1, 28.5.1). */
static void as_loaded(struct cpu *cpu, const struct vmcs *v, enum msr_list list)
{
    bool entry = list == MSR_LIST_ENTRY_LOAD;
    bool long_mode = entry ? VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest : VMCS(v, exit_controls) & EXIT_host_address_space_size;

    if (list == MSR_LIST_EXIT_STORE)
        return;
    cpu->cr0 = entry ? VMCS(v, guest_cr0) : VMCS(v, host_cr0);
    if (cpu->cr0 & CR0_PG)
        CPU_MSR(cpu, ia32_efer) = (CPU_MSR(cpu, ia32_efer) & ~(uint64_t)(EFER_LME | EFER_LMA)) | (long_mode ? EFER_LME | EFER_LMA : 0);
}

/* False: nothing here refuses the entry. */
static bool refused(const struct cpu *cpu, enum msr_list list, unsigned number, const uint64_t entry[2], char why[WHY_MAX])
{
    bool store = list == MSR_LIST_EXIT_STORE;
    const char *rule = msr_area_rule(&cpu->model->capability, number, entry, store);
    struct attempt attempt = { .cpu = cpu, .capability = &cpu->model->capability, .id = store ? INSN_rdmsr : INSN_wrmsr,
                               .operand = (uint32_t)entry[0], .value = entry[1] };
    const struct refusal *refusal = cpu_refuses(store ? REFUSALS_rdmsr : REFUSALS_wrmsr, &attempt);

    if (rule) {
        snprintf(why, WHY_MAX, "%s", rule);
        return true;
    }
    if (!refusal)
        return false;
    int used = snprintf(why, WHY_MAX, "%s refuses it: %s [%s] ", store ? "RDMSR" : "WRMSR", refusal->id, refusal->section);

    refusal_sentence(&attempt, refusal, why + used, WHY_MAX - (size_t)used);
    return true;
}

void msr_area_text(const struct cpu *cpu, const struct vmcs *vmcs, enum msr_list list, uint64_t number, char to[MSR_AREA_TEXT_MAX])
{
    uint64_t address = vmcs->field[areas[list].address], count = vmcs->field[areas[list].count];
    uint64_t first = number ? number : 1, last = number ? number : count;
    struct cpu view = *cpu;

    to[0] = '\0';
    as_loaded(&view, vmcs, list);
    for (uint64_t i = first; i <= last && i <= count; i++) {
        uint64_t at = address + 16 * (i - 1), entry[2] = { 0, 0 };
        char why[WHY_MAX] = "the local APIC refuses it";
        bool read = memory_read(&cpu->model->memory, at, entry, sizeof entry);

        if (!read)
            snprintf(why, sizeof why, "there is no memory");
        else if (!refused(&view, list, (unsigned)i, entry, why) && !(number && msr_kind((uint32_t)entry[0]) == KIND_APIC)) {
            if (!number)
                continue;
            snprintf(why, sizeof why, "no rule of docs/refusals.md says why it failed");
        }
        bool exchanged = read && msr_kind((uint32_t)entry[0]) == KIND_UNKNOWN && entry[1] && !(entry[1] >> 32) && msr_kind((uint32_t)entry[1]) != KIND_UNKNOWN;
        const char *name = msr_kind((uint32_t)entry[0]) == KIND_UNKNOWN ? "unknown" : msr_name((uint32_t)entry[0]);
        int used = snprintf(to, MSR_AREA_TEXT_MAX, "%s 0x%" PRIx64 ": entry %" PRIu64 " of %" PRIu64 ", at 0x%" PRIx64, areas[list].name, address,
                            i, count, at);

        if (read)
            used += snprintf(to + used, MSR_AREA_TEXT_MAX - (size_t)used, ", is MSR 0x%x (%s)", (unsigned)entry[0], name);
        if (read && list != MSR_LIST_EXIT_STORE)
            used += snprintf(to + used, MSR_AREA_TEXT_MAX - (size_t)used, ", value 0x%" PRIx64, entry[1]);
        used += snprintf(to + used, MSR_AREA_TEXT_MAX - (size_t)used, " [%s]: %s", areas[list].section, why);
        if (exchanged && used < MSR_AREA_TEXT_MAX)
            snprintf(to + used, MSR_AREA_TEXT_MAX - (size_t)used, "; are they exchanged?  The value is the number of %s, and bits 31:0 of an entry are the number, bits "
                     "127:64 the value", msr_name((uint32_t)entry[1]));
        return;
    }
}
