/* SPDX-License-Identifier: MIT */
/* Failed VM entries, for people. */
#include "emu/explain/entry_failure.h"

#include <inttypes.h>
#include <string.h>

#include "emu/explain/fixed_bits.h"
#include "model/vmx/check.h"
#include "model/vmx/vmx.h"

void entry_failure_row(struct entry_failure *failure, const struct check *row)
{
    if (failure->complete) {            /* the first row of another entry */
        failure->complete = false;
        failure->rows = 0;
    }
    if (failure->rows < SNAPSHOT_ROWS_MAX) {
        failure->of_core[failure->rows] = false;
        failure->row[failure->rows++] = row;
    }
}

static void note_msr(struct entry_failure *failure, const struct cpu *cpu, const struct vmcs *vmcs)
{
    failure->msr[0] = '\0';
    if (failure->late && (failure->result & 0xffff) == EXIT_REASON_entry_failure_msr_loading)
        msr_area_text(cpu, vmcs, MSR_LIST_ENTRY_LOAD, failure->qualification, failure->msr);
}

void entry_failure_of_l1(struct entry_failure *failure, const struct notice *notice)
{
    /* L1's processor is a copy of the machine's: the checks only look. */
    struct cpu cpu = *notice->cpu;
    const struct vmx_capability offered = cpu.model->capability;
    bool holds[SNAPSHOT_ROWS_MAX], holds_here[SNAPSHOT_ROWS_MAX];

    failure->complete = failure->has_vmcs = failure->of_l1 = true;
    failure->native = false;
    failure->unseen = notice->d;
    failure->late = notice->b & EXIT_REASON_ENTRY_FAILURE && !(notice->b >> 32);
    failure->result = (int64_t)notice->b;
    failure->qualification = notice->c;
    failure->rip = notice->cpu->rip;
    failure->rows = 0;
    snapshot_take(&failure->snapshot, notice->cpu, notice->vmcs, false);
    note_msr(failure, notice->cpu, notice->vmcs);
    check_rows(&cpu, notice->vmcs, holds);
    cpu.model->capability = *notice->capability;
    check_rows(&cpu, notice->vmcs, holds_here);
    cpu.model->capability = offered;
    for (unsigned i = 0; i < check_count && failure->rows < SNAPSHOT_ROWS_MAX && !failure->unseen; i++)
        if (!holds[i]) {
            failure->of_core[failure->rows] = holds_here[i];
            failure->row[failure->rows++] = &check_table[i];
        }
}

void entry_failure_complete(struct entry_failure *failure, const struct notice *notice, bool native)
{
    const struct vmcs *vmcs = notice->cpu->vmx.current;

    if (failure->complete)
        failure->rows = 0;
    failure->complete = true;
    failure->has_vmcs = vmcs && vmcs->pa == notice->a;
    failure->native = native;
    failure->of_l1 = failure->unseen = false;
    failure->late = notice->b & EXIT_REASON_ENTRY_FAILURE && !(notice->b >> 32);
    failure->result = (int64_t)notice->b;
    failure->qualification = notice->c;
    failure->rip = notice->cpu->rip;
    failure->msr[0] = '\0';
    if (failure->has_vmcs) {
        snapshot_take(&failure->snapshot, notice->cpu, vmcs, native);
        note_msr(failure, notice->cpu, vmcs);
    }
}

uint64_t entry_failure_hash(const struct entry_failure *failure)
{
    uint64_t hash = 0x100000001b3 * ((uint64_t)failure->result ^ failure->rip << 8 ^ 0xcbf29ce484222325);

    for (unsigned i = 0; i < failure->rows; i++)
        hash = (hash ^ (uint64_t)(failure->row[i] - check_table)) * 0x100000001b3;
    return hash ? hash : 1;
}

/* "exit 33 (VM-entry failure ...), qualification 0x0", "VM-instruction error 7: ..." */
static void print_result(const struct entry_failure *failure, FILE *to)
{
    const char *text;

    if (failure->late) {
        text = exit_reason_text((uint32_t)failure->result & 0xffff);
        fprintf(to, "exit %" PRId64 " (%s), qualification 0x%" PRIx64, failure->result & 0xffff, text ? text : "unknown",
                failure->qualification);
    } else if (failure->result == VMX_FAIL_INVALID) {
        fputs("VMfailInvalid: there is no current VMCS, or it is a shadow VMCS [27.1]", to);
    } else {
        text = vm_error_text((int)failure->result);
        fprintf(to, "VM-instruction error %" PRId64 ": %s", failure->result, text ? text : "unknown");
    }
}

/* A row of a PDPTE: the number of it, or 4. */
static unsigned pdpte_of(const struct check *row)
{
    return strncmp(row->id, "guest.pdpte", 11) == 0 ? (unsigned)(row->id[11] - '0') : 4;
}

/* Without EPT the entry comes from memory and not from the VMCS (27.3.1.6); and whoever sees this has often forgotten a control. */
static void print_pdpte(const struct snapshot *s, unsigned number, FILE *to, const char *prefix)
{
    uint64_t address = (VMCS(&s->vmcs, guest_cr3) & 0xffffffe0) + 8 * number;

    fprintf(to, "%s    PDPTE%u is read from memory at 0x%" PRIx64 ", by guest CR3, as there is no EPT", prefix, number, address);
    for (unsigned i = 0; i < s->words; i++)
        if (s->word[i].address == address) {
            fprintf(to, ": it is 0x%" PRIx64, s->word[i].value);
            break;
        }
    fputc('\n', to);
}

static bool uses_ept(const struct vmcs *v)
{
    return VMCS(v, processor_based_controls) & PROC_activate_secondary_controls &&
           VMCS(v, secondary_processor_based_controls) & PROC2_enable_ept;
}

static void print_row(const struct entry_failure *failure, unsigned number, const struct symbols *symbols, FILE *to, const char *prefix)
{
    const struct check *row = failure->row[number];
    unsigned fields[CHECK_FIELDS_MAX], count = check_fields(row, fields), pdpte = pdpte_of(row);
    char bits[FIXED_BITS_TEXT_MAX];

    fprintf(to, "%sentry failed: %s [%s] %s\n", prefix, row->id, row->section, row->text);
    for (unsigned i = 0; i < count; i++) {
        char writer[SNAPSHOT_WRITER_MAX];

        if (pdpte < 4 && i == 0 && !uses_ept(&failure->snapshot.vmcs)) {
            print_pdpte(&failure->snapshot, pdpte, to, prefix);
            continue;
        }
        snapshot_writer(&failure->snapshot, fields[i], symbols, writer, sizeof writer);
        fprintf(to, "%s    %s = 0x%" PRIx64 " (%s)\n", prefix, vmcs_field_name(fields[i]),
                failure->snapshot.vmcs.field[fields[i]], writer);
    }
    if (pdpte < 4)
        fprintf(to, "%s    entry control \"IA-32e mode guest\" is 0 (bit 9), so CR4.PAE means PAE paging: a 64-bit guest needs the control\n", prefix);
    if (fixed_bits_text(row, &failure->snapshot.capability, NULL, &failure->snapshot.vmcs, bits))
        fprintf(to, "%s    %s\n", prefix, bits);
    if (failure->of_core[number])
        fprintf(to, "%s    this processor has it, and the core does not offer it to L1: L1 reads so in IA32_VMX_* (docs/core.md, \"Not built, and refused or hidden\")\n",
                prefix);
}

/* What memory shows of an active VMCS (model/vmx/vmcs.h), and nothing that a program would write. */
static bool is_copy_of_active(const struct vmcs *v)
{
    return VMCS(v, pin_based_controls) == (uint32_t)VMCS_POISON && VMCS(v, guest_rip) == VMCS_POISON;
}

/* Whoever makes a VMCS writes these. */
static bool is_written(const struct vmcs *v)
{
    return v->written[FIELD_pin_based_controls] || v->written[FIELD_exit_controls] || v->written[FIELD_entry_controls];
}

/* Does a row ask for a secondary control that was written, and has no effect? */
static bool rests_on_secondary(const struct entry_failure *failure)
{
    const struct vmcs *v = &failure->snapshot.vmcs;
    unsigned fields[CHECK_FIELDS_MAX];

    if (VMCS(v, processor_based_controls) & PROC_activate_secondary_controls || !VMCS(v, secondary_processor_based_controls))
        return false;
    for (unsigned i = 0; i < failure->rows; i++)
        for (unsigned j = check_fields(failure->row[i], fields); j; j--)
            if (fields[j - 1] == FIELD_secondary_processor_based_controls)
                return true;
    return false;
}

static void print(const struct entry_failure *failure, const struct symbols *symbols, FILE *to, const char *prefix, unsigned most)
{
    char name[SYMBOL_TEXT_MAX];

    fputs("VM entry failed", to);
    if (failure->native)
        fputs(" (by the native L0)", to);
    else        /* when MSRs are loaded, RIP is the guest's already (27.4) */
        fprintf(to, " at %srip 0x%" PRIx64 "%s",
                failure->late && (failure->result & 0xffff) == EXIT_REASON_entry_failure_msr_loading ? "guest " : "",
                failure->rip, symbols_text(symbols, failure->rip, name));
    if (failure->has_vmcs)
        fprintf(to, ", VMCS 0x%" PRIx64, failure->snapshot.vmcs.pa);
    fputs(": ", to);
    print_result(failure, to);
    fputc('\n', to);
    if (failure->of_l1 && failure->unseen) {
        fprintf(to, "%sthe fields of this VMCS are not known here: its region held them already when L1 made it current by VMPTRLD, and they are not what L1 has "
                    "written to any VMCS by VMWRITE (a region that was changed as memory, or is not one of this run's)\n", prefix);
        return;
    }
    if (failure->of_l1 && !failure->rows && !failure->msr[0] && failure->result != VMX_FAIL_INVALID)
        fprintf(to, "%sno check fails on what L1 has written: the core has refused it for a reason of its own (docs/core.md, \"Not built, and refused or hidden\")\n",
                prefix);
    if (failure->msr[0])
        fprintf(to, "%sMSR not loaded: %s\n", prefix, failure->msr);
    if (!failure->has_vmcs || !failure->rows)
        return;
    if (is_copy_of_active(&failure->snapshot.vmcs)) {
        fprintf(to, "%sthis region is a copy of an active VMCS's memory, which holds nothing: VMCLEAR that VMCS before copying [25.11.1]\n", prefix);
        if (most == ENTRY_FAILURE_ROWS)         /* a dump has the rows all the same */
            return;
    }
    if (failure->of_l1 && !is_written(&failure->snapshot.vmcs))
        fprintf(to, "%sL1 has written none of the controls of this VMCS by VMWRITE: if its region was copied from another's, the core may have found "
                "other values than are shown here\n", prefix);
    for (unsigned i = 0; i < failure->rows && i < most; i++)
        print_row(failure, i, symbols, to, prefix);
    if (rests_on_secondary(failure))
        fprintf(to, "%s\"activate secondary controls\" (bit 31 of the primary processor-based controls, 0x%" PRIx64 ") is 0: the secondary ones, 0x%" PRIx64
                    ", do not count [25.6.2]\n", prefix, VMCS(&failure->snapshot.vmcs, processor_based_controls),
                VMCS(&failure->snapshot.vmcs, secondary_processor_based_controls));
    if (failure->rows > most)
        fprintf(to, "%sand %u more (--dump-vmcs FILE shows all)\n", prefix, failure->rows - most);
}

void entry_failure_print(const struct entry_failure *failure, const struct symbols *symbols, FILE *to, const char *prefix)
{
    print(failure, symbols, to, prefix, ENTRY_FAILURE_ROWS);
}

void entry_failure_dump(const struct entry_failure *failure, const struct symbols *symbols, FILE *to)
{
    if (!failure->has_vmcs || failure->unseen)
        return;
    fputs("# ", to);
    print(failure, symbols, to, "# ", SNAPSHOT_ROWS_MAX);
    snapshot_write(&failure->snapshot, symbols, to);
    fputc('\n', to);
}
