/* SPDX-License-Identifier: MIT */
/*
 * Writes a list of VM entries for scenarios/guests/vectors (the format: docs/vectors.md), and what the check table says of
 * each. The vectors come from the cases of tests/model/check_cases.h: each row broken, each row kept by undoing one of the
 * changes that break it, the unusual states that are right; each bit of each field that a row looks at, turned over; and
 * pairs of rows, chosen by the seed.
 *
 *   vector_list SEED PAIRS EVERY LIST EXPECTED
 *
 * Of the turned bits only each EVERY-th is written. A line of EXPECTED, tabs between: name; answer ("entered", VM-instruction
 * error, or exit reason and qualification); the rows that fail, each with the answer that it gives.
 * Left out is what this kind of guest cannot survive or reach: safe() below.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/random.h"
#include "tests/model/check_cases.h"

enum { USAGE = 2, PAIR_CHANGES = 2 * CASE_CHANGES, ARENA_BASE = 0x4000, ARENA_END = 0x42000, MSR_AREA_ENTRIES = 64 };
enum { CASES_MAX = 2048, NAME_MAX_LENGTH = 120, MODELLED_MEMORY = 128 << 20, PROGRAM_BASE = 0x90000, PROGRAM_END = 0x2000000 };
/* Bases that need another processor than the one we have, or a program outside IA-32e mode. */
enum { OUT_OF_REACH = HOST32 | NO_AD | NO_MTF | NO_LENGTH_0 | NEEDS_RDTSCP, IGNORED = OFFERED | WITH_IN_IA32E };

struct trial {
    char name[NAME_MAX_LENGTH];
    unsigned base;
    struct change change[PAIR_CHANGES];
    unsigned count;
};

static struct vmx_fixture f;
static FILE *list, *expected;
static struct trial cases[CASES_MAX];  /* what pairs are made of */
static unsigned case_count, written, left_out;

static void note_failed_row(void *context, const struct notice *notice)
{
    (void)context;
    if (notice->kind == NOTICE_CHECK_FAILED && f.failed_count < FIXTURE_FAILURES_MAX)
        f.failed[f.failed_count++] = notice->check;
}

/* The fixture, in as much memory as the machines have. Check's assertions work only in its tests. */
static bool open_fixture(void)
{
    f.model = calloc(1, sizeof(*f.model));
    f.ram = calloc(1, MODELLED_MEMORY);
    f.watch = calloc(1, MODELLED_MEMORY / PAGE_SIZE);
    if (!f.model || !f.ram || !f.watch)
        return false;
    memory_init(&f.model->memory, f.ram, MODELLED_MEMORY, f.watch);
    f.model->observer.notify = note_failed_row;
    model_init(f.model, 1);
    f.cpu = &f.model->cpu[0];
    fixture_processor(&f, f.cpu);
    fixture_region(&f, FIXTURE_VMXON, VMCS_REVISION);
    fixture_region(&f, FIXTURE_VMCS, VMCS_REVISION);
    return vmx_vmxon(f.cpu, FIXTURE_VMXON) == VMX_SUCCEED && vmx_vmclear(f.cpu, FIXTURE_VMCS) == VMX_SUCCEED &&
           vmx_vmptrld(f.cpu, FIXTURE_VMCS) == VMX_SUCCEED;
}

static const char *base_name(unsigned base)
{
    static const struct { unsigned flag; const char *name; } flags[] = {
        { PAE, "pae" }, { V86, "v86" }, { UNRESTRICTED, "unrestricted" }, { REAL, "real" }, { EPT, "ept" },
        { SHADOWING, "shadowing" }, { APIC, "apic" },
    };
    static char name[80];

    strcpy(name, base ? "" : "long");
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (base & flags[i].flag)
            sprintf(name + strlen(name), "%s%s", *name ? "+" : "", flags[i].name);
    return name;
}

/*
 * The state of `base`. Every entry is followed at once by a VM exit, for the preemption timer is 0: it is the entry that is
 * tried, not the guest. Where an event is delivered first and fails, its exception exits.
 */
static void start(unsigned base)
{
    struct vmcs *v = f.cpu->vmx.current;

    memset(f.ram + ARENA_BASE - PAGE_SIZE, 0, ARENA_END - ARENA_BASE + PAGE_SIZE);
    memset(f.ram, 0, PAGE_SIZE);
    case_base(&f, base);
    VMCS(v, pin_based_controls) |= PIN_activate_preemption_timer;
    VMCS(v, exception_bitmap) = 0xffffffff;
    memory_write64(&f.model->memory, FIXTURE_GUEST_RIP, 0xc1010fc1010full);             /* VMCALL, VMCALL */
    for (unsigned i = 0; i < 3 * MSR_AREA_ENTRIES; i++)                                 /* loads and stores that succeed */
        memory_write64(&f.model->memory, FIXTURE_MSR_AREA + 16 * i, MSR_ia32_sysenter_cs);
}

static void write_memory(void)
{
    unsigned on_line = 0;

    for (uint32_t pa = ARENA_BASE; pa < ARENA_END; pa += 4) {
        uint32_t value = memory_read32(&f.model->memory, pa);

        if (!value)
            continue;
        fprintf(list, "%s@%x=%x", on_line % 8 ? " " : "\nmemory ", pa, value);
        on_line++;
    }
    fputc('\n', list);
}

static bool control_word(unsigned field)
{
    return field == FIELD_pin_based_controls || field == FIELD_processor_based_controls ||
           field == FIELD_secondary_processor_based_controls || field == FIELD_exit_controls ||
           field == FIELD_entry_controls;
}

static void write_base(unsigned base)
{
    fprintf(list, "base %s", base_name(base));
    start(base);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint64_t value = f.cpu->vmx.current->field[i];
        unsigned type = VMCS_ENCODING_TYPE(vmcs_encoding(i));

        if (value && (type == VMCS_TYPE_CONTROL || type == VMCS_TYPE_GUEST))
            fprintf(list, " %x%c%" PRIx64, vmcs_encoding(i), control_word(i) ? '|' : '=', value & vmcs_field_mask(i));
    }
    fputc('\n', list);
}

static void apply(const struct trial *vector)
{
    struct vmcs *v = f.cpu->vmx.current;

    for (unsigned i = 0; i < vector->count; i++) {
        const struct change *c = &vector->change[i];

        if (c->operation == SET)
            v->field[c->where] = c->value & vmcs_field_mask(c->where);
        else if (c->operation == TOGGLE)
            v->field[c->where] ^= c->value & vmcs_field_mask(c->where);
        else
            memory_write32(&f.model->memory, c->where, (uint32_t)c->value);
    }
}

static bool changes_field(const struct trial *vector, unsigned field)
{
    for (unsigned i = 0; i < vector->count; i++)
        if (vector->change[i].operation != STORE && vector->change[i].where == field)
            return true;
    return false;
}

static bool changes_guest(const struct trial *vector)
{
    for (unsigned i = 0; i < vector->count; i++)
        if (vector->change[i].operation != STORE &&
            VMCS_ENCODING_TYPE(vmcs_encoding(vector->change[i].where)) == VMCS_TYPE_GUEST)
            return true;
    return false;
}

/* The program loses control if a VM exit loads this; it does not matter where there is none. */
static bool host_lost(const struct trial *vector)
{
    static const unsigned fatal[] = { FIELD_host_cr3, FIELD_host_rip, FIELD_host_rsp, FIELD_host_cs_selector };
    const struct vmcs *v = f.cpu->vmx.current;

    for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        if (changes_field(vector, fatal[i]))
            return true;
    return VMCS(v, host_cr4) & CR4_LA57;
}

/* VM-exit MSR areas other than those that were prepared: a failing one is a VMX abort. */
static bool areas_unknown(const struct vmcs *v)
{
    return (VMCS(v, exit_msr_store_count) &&
            (VMCS(v, exit_msr_store_count) > MSR_AREA_ENTRIES || VMCS(v, exit_msr_store_address) != FIXTURE_MSR_AREA + 0x400)) ||
           (VMCS(v, exit_msr_load_count) &&
            (VMCS(v, exit_msr_load_count) > MSR_AREA_ENTRIES || VMCS(v, exit_msr_load_address) != FIXTURE_MSR_AREA + 0x800)) ||
           (VMCS(v, entry_msr_load_count) &&
            (VMCS(v, entry_msr_load_count) > MSR_AREA_ENTRIES || VMCS(v, entry_msr_load_address) != FIXTURE_MSR_AREA));
}

/* PDPTEs that lie in the program itself: what is there, is none of the list's business. */
static bool pdptes_unknown(unsigned base, const struct vmcs *v)
{
    uint64_t pa = VMCS(v, guest_cr3) & 0xffffffe0;

    return base & PAE && pa >= PROGRAM_BASE && pa < PROGRAM_END;
}

static bool safe(const struct trial *vector, const struct check_outcome *outcome)
{
    const struct vmcs *v = f.cpu->vmx.current;

    if (outcome->failed && outcome->group != CHECK_GUEST)
        return true;
    if (host_lost(vector) || areas_unknown(v) || pdptes_unknown(vector->base, v))
        return false;
    if (outcome->failed)
        return true;
    /* No interrupt reaches us there, not even the timer's. */
    if (VMCS(v, guest_activity_state) == ACTIVITY_WAIT_FOR_SIPI)
        return false;
    return VMCS(v, pin_based_controls) & PIN_activate_preemption_timer || !changes_guest(vector);
}

static void write_changes(const struct trial *vector)
{
    for (unsigned i = 0; i < vector->count; i++) {
        const struct change *c = &vector->change[i];

        if (c->operation == STORE && c->where == FIXTURE_LINKED)
            fprintf(list, " @%x~%" PRIx64, c->where, c->value ^ VMCS_REVISION);
        else if (c->operation == STORE)
            fprintf(list, " @%x=%" PRIx64, c->where, c->value);
        else
            fprintf(list, " %x%c%" PRIx64, vmcs_encoding(c->where), c->operation == SET ? '=' : '^',
                    c->value & vmcs_field_mask(c->where));
    }
}

/* How a failing row alone would end the entry: "7", "8", or exit reason 33 with its qualification. */
static const char *answer(const struct check *check)
{
    static char text[20];

    if (check->group == CHECK_GUEST)
        snprintf(text, sizeof(text), "33/0x%x", check->qualification);
    else
        snprintf(text, sizeof(text), "%d", check->group == CHECK_CONTROLS ? VM_ERROR_entry_invalid_control
                                                                          : VM_ERROR_entry_invalid_host_state);
    return text;
}

static void write_expected(const struct trial *vector, const struct check_outcome *outcome)
{
    fprintf(expected, "%s\t%s\t", vector->name, outcome->failed ? answer(outcome->first) : "entered");
    for (unsigned i = 0; i < f.failed_count; i++)
        fprintf(expected, "%s%s=%s", i ? "," : "", f.failed[i]->id, answer(f.failed[i]));
    fputc('\n', expected);
}

static void write_vector(const struct trial *vector)
{
    struct check_outcome outcome;

    start(vector->base);
    apply(vector);
    outcome = check_entry(f.cpu, f.cpu->vmx.current);
    if (!safe(vector, &outcome)) {
        left_out++;
        return;
    }
    fprintf(list, "vector %s %s", vector->name, base_name(vector->base));
    write_changes(vector);
    fputc('\n', list);
    write_expected(vector, &outcome);
    written++;
}

static bool reachable(const struct row_case *c)
{
    return !(c->base & OUT_OF_REACH);
}

static struct trial vector_of(const struct row_case *c)
{
    struct trial vector = { .base = c->base & ~(unsigned)IGNORED };

    snprintf(vector.name, sizeof(vector.name), "%s", c->id);
    for (char *s = vector.name; *s; s++)
        if (*s == ' ' || *s == ':' || *s == ',')
            *s = '_';
    while (vector.count < CASE_CHANGES && c->change[vector.count].operation != END) {
        vector.change[vector.count] = c->change[vector.count];
        vector.count++;
    }
    return vector;
}

/* A row broken; and kept, by each of its changes undone. */
static void write_row(const struct row_case *c)
{
    struct trial vector = vector_of(c);

    write_vector(&vector);
    cases[case_count++] = vector;
    for (unsigned i = 0; vector.count > 1 && i < vector.count; i++) {
        struct trial kept = vector;

        snprintf(kept.name, sizeof(kept.name), "%.80s/kept%u", vector.name, i);
        for (unsigned j = i; j + 1 < vector.count; j++)
            kept.change[j] = vector.change[j + 1];
        kept.count--;
        write_vector(&kept);
    }
}

/* Linear-address bits on which processors with 48 and with 57 bits do not agree. */
static bool disputed(unsigned field, unsigned bit)
{
    return VMCS_ENCODING_WIDTH(vmcs_encoding(field)) == VMCS_WIDTH_NATURAL && bit >= 47 && bit <= 56;
}

static void write_bits(unsigned base, unsigned field, unsigned every, unsigned *turn)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        struct trial vector = { .base = base, .change = { { TOGGLE, field, 1ull << bit } }, .count = 1 };

        if (!(vmcs_field_mask(field) >> bit & 1) || disputed(field, bit) || (*turn)++ % every)
            continue;
        snprintf(vector.name, sizeof(vector.name), "bit/%s/%s/%u", base_name(base), vmcs_field_name(field), bit);
        write_vector(&vector);
    }
}

/* Every field that a row is about; in bases other than the first those of segments and modes alone. */
static void write_all_bits(unsigned every)
{
    static const unsigned bases[] = { 0, PAE, PAE | V86, PAE | UNRESTRICTED | REAL, UNRESTRICTED };
    unsigned turn = 0;

    for (unsigned b = 0; b < sizeof(bases) / sizeof(bases[0]); b++) {
        for (unsigned field = 0; field < VMCS_FIELD_COUNT; field++) {
            unsigned about[CHECK_FIELDS_MAX];
            bool looked_at = false;

            for (unsigned i = 0; i < check_count && !looked_at; i++)
                looked_at = check_fields(&check_table[i], about) && about[0] == field;
            if (looked_at && (b == 0 || (VMCS_ENCODING_TYPE(vmcs_encoding(field)) == VMCS_TYPE_GUEST &&
                                         (VMCS_ENCODING_WIDTH(vmcs_encoding(field)) == VMCS_WIDTH_32 ||
                                          field == FIELD_guest_cr0 || field == FIELD_guest_cr4 || field == FIELD_guest_rflags))))
                write_bits(bases[b], field, every, &turn);
        }
    }
}

static void write_pairs(unsigned pairs, uint64_t seed)
{
    uint64_t random = seed;

    for (unsigned i = 0; i < pairs; i++) {
        const struct trial *a = &cases[random_next(&random) % case_count];
        const struct trial *b = &cases[random_next(&random) % case_count];
        struct trial pair = *a;

        if (a == b || a->base != b->base) {
            i--;
            continue;
        }
        snprintf(pair.name, sizeof(pair.name), "pair/%.50s/%.50s", a->name, b->name);
        for (unsigned j = 0; j < b->count; j++)
            pair.change[pair.count++] = b->change[j];
        write_vector(&pair);
    }
}

static void write_list(uint64_t seed, unsigned pairs, unsigned every)
{
    bool base_written[1 << 14] = { false };

    fprintf(list, "# VM entries for scenarios/guests/vectors: seed %" PRIu64 "\n", seed);
    start(0);
    write_memory();
    for (unsigned i = 0; i < ROW_CASES + ACCEPTED; i++) {
        const struct row_case *c = i < ROW_CASES ? &row_cases[i] : &accepted[i - ROW_CASES];
        unsigned base = c->base & ~(unsigned)IGNORED;

        if (reachable(c) && !base_written[base])
            write_base(base);
        base_written[base] |= reachable(c);
    }
    for (unsigned i = 0; i < ROW_CASES; i++)
        if (reachable(&row_cases[i]))
            write_row(&row_cases[i]);
    for (unsigned i = 0; i < ACCEPTED; i++) {
        struct trial vector = vector_of(&accepted[i]);

        if (reachable(&accepted[i]))
            write_vector(&vector);
    }
    write_all_bits(every);
    write_pairs(pairs, seed);
}

int main(int argc, char **argv)
{
    if (argc != 6 || !strtoul(argv[3], NULL, 10)) {
        fprintf(stderr, "usage: vector_list SEED PAIRS EVERY LIST EXPECTED\n");
        return USAGE;
    }
    list = fopen(argv[4], "w");
    expected = fopen(argv[5], "w");
    if (!list || !expected) {
        perror(list ? argv[5] : argv[4]);
        return USAGE;
    }
    if (!open_fixture()) {
        fprintf(stderr, "vector_list: no memory\n");
        return USAGE;
    }
    write_list(strtoull(argv[1], NULL, 10), (unsigned)strtoul(argv[2], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10));
    fprintf(stderr, "vector_list: %u vectors, %u left out\n", written, left_out);
    fixture_close(&f);
    return fclose(list) || fclose(expected) ? USAGE : 0;
}
