/* SPDX-License-Identifier: MIT */
/* Checking a snapshot as VM entry would: on a model of its own, with nothing in it but the VMCS. */
#include <stdlib.h>
#include <string.h>

#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/check_parts.h"

#define MEMORY_SIZE (4ull << 30)

/* ---- assumptions ---- */

static void assume(struct snapshot *s, enum vmcs_field field, uint64_t value)
{
    if (!s->given[field])
        s->vmcs.field[field] = value;
}

/* 27.3.1.2: in virtual-8086 mode one value of each is right. */
static void assume_virtual_8086(struct snapshot *s)
{
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        const uint64_t *base = &s->vmcs.field[FIELD_guest_es_base + i], *selector = &s->vmcs.field[FIELD_guest_es_selector + i];

        if (s->given[FIELD_guest_es_base + i])
            assume(s, FIELD_guest_es_selector + i, *base >> 4 & 0xffff);
        assume(s, FIELD_guest_es_base + i, *selector << 4);
        assume(s, FIELD_guest_es_limit + i, 0xffff);
        assume(s, FIELD_guest_es_access_rights + i, 0xf3);
    }
}

static void assume_segments(struct snapshot *s, bool ia32e)
{
    uint64_t access_rights = s->vmcs.field[FIELD_guest_ss_access_rights];
    /* One privilege level for all: SS's, where it is known. */
    uint64_t level = s->given[FIELD_guest_ss_access_rights] ? AR_DPL(access_rights) : 0;

    for (unsigned i = 0; i < SEG_COUNT; i++) {
        bool code = i == SEG_CS, task = i == SEG_TR, usable = i != SEG_LDTR;

        assume(s, FIELD_guest_es_selector + i, (i == SEG_TR || i == SEG_LDTR ? 0x18 : 0x10) | (usable && !task ? level : 0));
        bool bytes = s->given[FIELD_guest_es_access_rights + i] && !(s->vmcs.field[FIELD_guest_es_access_rights + i] & AR_G);

        assume(s, FIELD_guest_es_limit + i, task ? 0x67 : bytes ? 0xffff : 0xffffffff);
        assume(s, FIELD_guest_es_access_rights + i, !usable ? AR_UNUSABLE
                                                    : task  ? 0x8b
                                                    : code  ? (ia32e ? 0xa09b : 0xc09b) | level << 5
                                                            : 0xc093 | level << 5);
        /* The access rights agree with a limit that is known. */
        uint64_t limit = s->vmcs.field[FIELD_guest_es_limit + i];
        if (!s->given[FIELD_guest_es_access_rights + i] && s->given[FIELD_guest_es_limit + i] && (limit & 0xfff) != 0xfff)
            s->vmcs.field[FIELD_guest_es_access_rights + i] &= ~(uint64_t)AR_G;
    }
}

static unsigned part(const char *name)
{
    unsigned i = 0;

    while (strcmp(capability_parts[i].name, name) != 0)
        i++;
    return i;
}

void snapshot_profile(struct snapshot *s, bool max, const struct vmx_lacks *lacks)
{
    struct vmx_capability all;
    static const size_t words[] = { offsetof(struct vmx_capability, pin), offsetof(struct vmx_capability, proc),
                                    offsetof(struct vmx_capability, proc2), offsetof(struct vmx_capability, exit),
                                    offsetof(struct vmx_capability, entry) };

    _Static_assert(sizeof words / sizeof words[0] == WORD_COUNT, "one for each control word");
    capability_init(&all, lacks);
    for (unsigned i = 0; i < WORD_COUNT; i++)
        if (!s->part_given[3 * i + 2])
            s->capability.word[i].allowed = max ? all.word[i].allowed : s->capability.word[i].allowed & ~lacks->word[i];
    if (!s->part_given[part("ept_vpid")])
        s->capability.ept_vpid = max ? all.ept_vpid : s->capability.ept_vpid & ~lacks->ept_vpid;
    if (!s->part_given[part("cr4_fixed1")]) {
        if (max)
            s->capability.cr4_fixed1 = all.cr4_fixed1;
        if (lacks->word[WORD_ENTRY] & ENTRY_load_cet_state)             /* CET itself came with it, */
            s->capability.cr4_fixed1 &= ~(uint64_t)CR4_CET;
        if (lacks->ept_vpid & CAPABILITY_EPT_WALK_5)                    /* and 57-bit addresses with that */
            s->capability.cr4_fixed1 &= ~(uint64_t)CR4_LA57;
    }
    s->profile_given = true;
}

/* What a processor is known to be by the VMCS itself, where the file does not say it. */
static void assume_processor(struct snapshot *s)
{
    const struct vmcs *v = &s->vmcs;

    if (!s->ia32e_given && s->given[FIELD_exit_controls])
        s->ia32e = VMCS(v, exit_controls) & EXIT_host_address_space_size;
    /* 5-level paging is used where the processor has it: without it, addresses are canonical by 48 bits. */
    if (!s->part_given[part("cr4_fixed1")] && !((s->given[FIELD_host_cr4] && VMCS(v, host_cr4) & CR4_LA57) ||
                                                (s->given[FIELD_guest_cr4] && VMCS(v, guest_cr4) & CR4_LA57)))
        s->capability.cr4_fixed1 &= ~(uint64_t)CR4_LA57;
}

/* The mode of the guest as far as its registers tell it. */
static bool guest_in_ia32e(const struct snapshot *s)
{
    const struct vmcs *v = &s->vmcs;

    if (s->given[FIELD_entry_controls])
        return VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest;
    if (s->given[FIELD_guest_ia32_efer])
        return VMCS(v, guest_ia32_efer) & EFER_LMA;
    if (s->given[FIELD_guest_cr0] && !(VMCS(v, guest_cr0) & CR0_PG))
        return false;
    return s->ia32e;
}

void snapshot_assume(struct snapshot *s)
{
    const struct vmx_capability *c = &s->capability;
    struct vmcs *v = &s->vmcs;
    uint64_t shadow0 = s->given[FIELD_cr0_read_shadow] ? VMCS(v, cr0_read_shadow) : 0;
    uint64_t shadow4 = s->given[FIELD_cr4_read_shadow] ? VMCS(v, cr4_read_shadow) : 0;

    assume_processor(s);
    assume(s, FIELD_pin_based_controls, c->pin.required);
    assume(s, FIELD_processor_based_controls, c->proc.required);
    assume(s, FIELD_exit_controls, c->exit.required | (s->ia32e ? EXIT_host_address_space_size : 0));
    assume(s, FIELD_entry_controls, c->entry.required | (guest_in_ia32e(s) ? ENTRY_ia32e_mode_guest : 0));
    bool ia32e = VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest,
         host64 = VMCS(v, exit_controls) & EXIT_host_address_space_size;

    assume(s, FIELD_virtual_processor_identifier, 1);
    assume(s, FIELD_ept_pointer, 3 << 3 | MEMORY_WB);
    assume(s, FIELD_vmcs_link_pointer, ~0ull);
    assume(s, FIELD_host_cr0, c->cr0_fixed0);
    assume(s, FIELD_host_cr4, c->cr4_fixed0 | CR4_PAE);
    assume(s, FIELD_host_ia32_efer, host64 ? EFER_LME | EFER_LMA : 0);
    assume(s, FIELD_host_cs_selector, 8);
    assume(s, FIELD_host_ss_selector, 0x10);
    assume(s, FIELD_host_tr_selector, 0x18);
    assume(s, FIELD_guest_cr0, c->cr0_fixed0 | shadow0);
    assume(s, FIELD_guest_cr4, c->cr4_fixed0 | shadow4 | (ia32e ? CR4_PAE : 0));
    assume(s, FIELD_guest_ia32_efer, ia32e ? EFER_LME | EFER_LMA : 0);
    assume(s, FIELD_guest_rflags, RFLAGS_FIXED);
    assume(s, FIELD_guest_dr7, 0x400);
    assume_segments(s, ia32e);
    if (VMCS(v, guest_rflags) & RFLAGS_VM)
        assume_virtual_8086(s);
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

/* Does a row that failed look at memory that is not known?  (27.2.1.1, 27.3.1.5; of PDPTEs that are not known, 0, none fails.) */
static bool reads_unknown_memory(const struct snapshot *s, const struct check *check)
{
    const struct vmcs *v = &s->vmcs;

    if (begins(check, "guest.link.revision") || begins(check, "guest.link.indicator"))
        return !holds_word(s, VMCS(v, vmcs_link_pointer));
    if (begins(check, "control.tpr_threshold.vtpr"))
        return !holds_word(s, VMCS(v, virtual_apic_address) + 0x80);
    return false;
}

/* ---- rows that rest on what was not given ---- */

#define CR3_LAM (3ull << 61)
#define PENDING_DEBUG_RESERVED 0xfffffffffffeaff0ull
#define INJECTION_RESERVED 0x7ffff000ull

enum { NO_BIT = 64 };

/*
 * Rows that some processors do not have, as they have what the row speaks of; and the bits of the field that none has. `part`: what would tell, and its
 * `bit` that says that the row does not count.
 */
static const struct {
    const char *id;
    enum vmcs_field field;
    uint64_t never;
    const char *part;
    uint8_t bit;
} processors_differ[] = {
    { "guest.debugctl.reserved", FIELD_guest_ia32_debugctl, ~0xffc7ull, "ept_vpid", NO_BIT },
    { "guest.perf_global_ctrl", FIELD_guest_ia32_perf_global_ctrl, 1ull << 63, "ept_vpid", NO_BIT },
    { "host.perf_global_ctrl", FIELD_host_ia32_perf_global_ctrl, 1ull << 63, "ept_vpid", NO_BIT },
    { "guest.interruptibility.enclave", FIELD_guest_interruptibility_state, 0, "ept_vpid", NO_BIT },
    { "guest.pending_debug.rtm", FIELD_guest_pending_debug_exceptions, 0, "ept_vpid", NO_BIT },
    /* 27.3.1.5: a processor may ask for it */
    { "guest.interruptibility.nmi_sti", FIELD_guest_interruptibility_state, 0, "ept_vpid", NO_BIT },
    /* bus-lock detection, bit 11 */
    { "guest.pending_debug.reserved", FIELD_guest_pending_debug_exceptions, PENDING_DEBUG_RESERVED & ~(1ull << 11), "ept_vpid", NO_BIT },
    /* linear-address masking, bits 62:61; all others from the physical-address width up are for nobody */
    { "guest.cr3.width", FIELD_guest_cr3, ~CR3_LAM, "ept_vpid", NO_BIT },
    { "host.cr3.width", FIELD_host_cr3, ~CR3_LAM, "ept_vpid", NO_BIT },
    /* supervisor shadow stacks, bit 7 */
    { "control.eptp.reserved", FIELD_ept_pointer, 0xf00, "ept_vpid", 23 },
    /* IA32_VMX_BASIC[56], which goes with CET: the row itself asks for it */
    { "control.injection.error_code_missing", FIELD_entry_interruption_information, 0, "basic", NO_BIT },
    { "control.injection.error_code_vector", FIELD_entry_interruption_information, 0, "basic", NO_BIT },
    /* FRED: nested exceptions, bit 13 (IA32_VMX_BASIC[58]); vectors 1 and 2 of type 7 are SYSCALL and SYSENTER */
    { "control.injection.reserved", FIELD_entry_interruption_information, INJECTION_RESERVED & ~(1ull << 13), "basic", 58 },
    { "control.injection.other_vector", FIELD_entry_interruption_information, 0xfc, "basic", 58 },
};

/* A row that fails here: does it on the processor that the snapshot is of? */
static enum row_state row_of_processor(const struct snapshot *s, const struct check *check)
{
    for (unsigned i = 0; i < sizeof processors_differ / sizeof processors_differ[0]; i++) {
        uint64_t never = processors_differ[i].never, value = s->vmcs.field[processors_differ[i].field];
        unsigned which = part(processors_differ[i].part), bit = processors_differ[i].bit;
        uint64_t word;

        if (strcmp(check->id, processors_differ[i].id) != 0)
            continue;
        if (never == ~CR3_LAM)
            never &= ~((1ull << s->physical_address_width) - 1);
        if (value & never || (s->profile_given && !s->part_given[which]))
            return ROW_FAILS;
        if (!s->part_given[which])
            return ROW_UNDECIDED;
        memcpy(&word, (const char *)&s->capability + capability_parts[which].offset, sizeof word);
        return bit < NO_BIT && word >> bit & 1 ? ROW_HOLDS : ROW_FAILS;
    }
    return ROW_FAILS;
}

struct search {
    struct cpu *cpu;
    const struct snapshot *s;
    enum row_state *row;
    unsigned failing;                   /* parts of the table (check_parts.h) in which a row fails */
    struct vmcs vmcs;
    bool varied[VMCS_FIELD_COUNT];
};

/* Rows of these parts that hold with these values of the fields are not decided. */
static void rule_out(struct search *search, unsigned parts)
{
    bool holds[SNAPSHOT_ROWS_MAX];

    if (!(parts &= search->failing))
        return;
    check_rows_of(search->cpu, &search->vmcs, parts, holds);
    search->failing &= ~parts;
    for (unsigned i = 0; i < check_count; i++) {
        if (search->row[i] != ROW_FAILS || !(check_part(&check_table[i]) & parts))
            continue;
        if (holds[i])
            search->row[i] = ROW_UNDECIDED;
        else
            search->failing |= check_part(&check_table[i]);
    }
}

/* The same with another value of one field: only what reads it can differ. */
static void rule_out_with(struct search *search, unsigned field, uint64_t value)
{
    uint64_t before = search->vmcs.field[field];

    search->vmcs.field[field] = value;
    rule_out(search, check_parts_reading(field, before ^ value) | PART_MEMORY);
    search->vmcs.field[field] = before;
}

/* The fields that no check looks at need no other values. */
static void find_varied(struct search *search)
{
    unsigned fields[CHECK_FIELDS_MAX];

    for (unsigned i = 0; i < check_count; i++)
        for (unsigned j = check_fields(&check_table[i], fields); j; j--)
            search->varied[fields[j - 1]] = !search->s->given[fields[j - 1]];
}

/* Tries other values of each field that was not given: each bit, none, all. */
static void vary(struct search *search)
{
    rule_out(search, PARTS_ALL);
    for (unsigned field = 0; field < VMCS_FIELD_COUNT; field++) {
        uint64_t value = search->vmcs.field[field], mask = vmcs_field_mask(field);

        if (!search->varied[field])
            continue;
        for (unsigned bit = 0; bit < 64 && mask >> bit; bit++)
            rule_out_with(search, field, value ^ 1ull << bit);
        rule_out_with(search, field, 0);
        rule_out_with(search, field, mask);
    }
}

/* Sets bits of a field that was not given. */
static void suppose(struct search *search, enum vmcs_field field, uint64_t set, uint64_t clear)
{
    if (!search->s->given[field])
        search->vmcs.field[field] = (search->vmcs.field[field] | set) & ~clear;
}

/*
 * A row fails only if no values of what was not given would make it hold. What a row looks at are few fields, and its
 * parts are alternatives: one other value, on top of one of the modes in which a guest can be, decides.
 */
static void vary_modes(struct search *search)
{
    const struct vmcs start = search->vmcs;

    find_varied(search);
    for (unsigned mode = 0; mode < 8; mode++) {
        bool unrestricted = mode & 1, real = mode & 2, ia32e = mode & 4;

        search->vmcs = start;
        suppose(search, FIELD_processor_based_controls, PROC_activate_secondary_controls, 0);
        suppose(search, FIELD_secondary_processor_based_controls,
                unrestricted ? PROC2_unrestricted_guest | PROC2_enable_ept : 0,
                unrestricted ? 0 : PROC2_unrestricted_guest);
        suppose(search, FIELD_guest_cr0, real ? 0 : CR0_PE | CR0_PG, real ? CR0_PE | CR0_PG : 0);
        suppose(search, FIELD_entry_controls, ia32e ? ENTRY_ia32e_mode_guest : 0, ia32e ? 0 : ENTRY_ia32e_mode_guest);
        suppose(search, FIELD_guest_cs_access_rights, ia32e ? AR_L : 0, ia32e ? AR_DB : AR_L);
        vary(search);
    }
}

static bool all_given(const struct snapshot *s)
{
    return !memchr(s->given, false, sizeof s->given);
}

/* Its mode needs no trying: without the file's word for it and without VM-exit controls it is IA-32e mode, in which every row holds by
 * itself with one value or the other of the controls. */
static void set_processor(struct model *model, const struct snapshot *s, bool la57)
{
    struct cpu *cpu = &model->cpu[0];

    model->capability = s->capability;
    if (la57)
        model->capability.cr4_fixed1 |= CR4_LA57;
    model->physical_address_width = s->physical_address_width;
    CPU_MSR(cpu, ia32_efer) = s->ia32e ? EFER_LME | EFER_LMA : 0;
}

static void evaluate(struct model *model, const struct snapshot *s, enum row_state row[SNAPSHOT_ROWS_MAX])
{
    struct search search = { .cpu = &model->cpu[0], .s = s, .row = row, .vmcs = s->vmcs };
    bool holds[SNAPSHOT_ROWS_MAX];

    model_init(model, 1);
    set_processor(model, s, false);
    for (unsigned i = 0; i < s->words; i++)
        memory_write64(&model->memory, s->word[i].address, s->word[i].value);
    check_rows(search.cpu, &s->vmcs, holds);
    for (unsigned i = 0; i < check_count; i++)
        row[i] = holds[i]                                   ? ROW_HOLDS
                 : reads_unknown_memory(s, &check_table[i]) ? ROW_UNDECIDED
                                                            : row_of_processor(s, &check_table[i]);
    for (unsigned i = 0; i < check_count; i++)
        search.failing |= row[i] == ROW_FAILS ? check_part(&check_table[i]) : 0;
    if (!search.failing || (all_given(s) && s->ia32e_given))
        return;
    vary_modes(&search);
    search.vmcs = s->vmcs;
    if (!s->part_given[part("cr4_fixed1")] && !s->given[FIELD_host_cr4]) {
        set_processor(model, s, true);
        rule_out(&search, PARTS_ALL);
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
