/* SPDX-License-Identifier: MIT */
/*
 * The VM-entry checks remember what passed (model/vmx/check_parts.h). Each input is a walk of CHANGES changes: of a field, of memory that
 * rows read, of what the processor offers, of its mode; after each of them the rows that fail must be those that fail when all are
 * evaluated. It begins at the base of one of the cases of tests/model/check_cases.h, and every other change is one of that case's, for
 * these make a row apply and break it. What broke a row is taken back, so that most of the time the VMCS passes and is remembered.
 */
#include <stdio.h>

#include "tests/fuzz/fuzz.h"

/* The fixture's assertions without Check, which wants a test runner around them. */
#define CHECK_H
#define ck_assert(condition) FUZZ_ASSERT(condition)
#define ck_assert_int_eq(a, b) FUZZ_ASSERT((a) == (b))
#define ck_assert_uint_lt(a, b) FUZZ_ASSERT((a) < (b))
#define ck_assert_msg(condition, ...) FUZZ_ASSERT(condition)
#include "tests/model/check_cases.h"

enum { CHANGES = 64 };

static struct vmx_fixture f;

/* One step, made twice, is undone. */
struct step {
    uint64_t *word;
    uint64_t other;             /* what it was, or will be */
};

static void toggle(struct step *step)
{
    uint64_t now = *step->word;

    *step->word = step->other;
    step->other = now;
}

static struct step step_of(const struct change *change)
{
    uint64_t *field = &f.cpu->vmx.current->field[change->where % VMCS_FIELD_COUNT];
    uint64_t *memory = (uint64_t *)(void *)(f.ram + change->where % FIXTURE_MEMORY / 8 * 8);

    switch (change->operation) {
    case SET:
        return (struct step){ field, change->value };
    case TOGGLE:
        return (struct step){ field, *field ^ change->value };
    case STORE:
        return (struct step){ memory, change->where & 4 ? change->value << 32 : change->value };
    case END:
        break;
    }
    return (struct step){ field, *field };
}

static uint64_t edge(struct fuzz_random *random, uint64_t now)
{
    switch (fuzz_below(random, 6)) {
    case 0:
        return fuzz_next(random);
    case 1:
        return 0;
    case 2:
        return ~0ull;
    case 3:
        return fuzz_below(random, 256);
    default:
        return now ^ 1ull << fuzz_below(random, 64);
    }
}

static struct step choose(struct fuzz_random *random, const struct row_case *row)
{
    struct vmcs *v = f.cpu->vmx.current;
    struct vmx_capability *c = &f.model->capability;
    uint64_t *const rare[] = {
        &CPU_MSR(f.cpu, ia32_efer), &c->misc, &c->ept_vpid, &c->cr0_fixed1, &c->cr4_fixed1, &c->vmfunc, &c->basic,
        (uint64_t *)(void *)(f.ram + FIXTURE_LINKED), (uint64_t *)(void *)(f.ram + FIXTURE_PDPTES),
        (uint64_t *)(void *)(f.ram + FIXTURE_MSR_AREA + 0x80), (uint64_t *)(void *)(f.ram + 0x80),
    };
    unsigned field = fuzz_below(random, VMCS_FIELD_COUNT);

    static const struct change mode = X(guest_cr0, CR0_PE | CR0_PG);

    if (fuzz_below(random, 2))
        return step_of(&row->change[fuzz_below(random, CASE_CHANGES)]);
    if (fuzz_below(random, 16) == 0)
        return step_of(&mode);
    if (fuzz_below(random, 8) == 0) {
        uint64_t *word = rare[fuzz_below(random, sizeof rare / sizeof rare[0])];
        return (struct step){ word, edge(random, *word) };
    }
    /* Addresses at which there is something to read. */
    if (field == FIELD_vmcs_link_pointer && fuzz_below(random, 2))
        return (struct step){ &v->field[field], FIXTURE_LINKED };
    if (field == FIELD_virtual_apic_address && fuzz_below(random, 2))
        return (struct step){ &v->field[field], FIXTURE_MSR_AREA };
    return (struct step){ &v->field[field], edge(random, v->field[field]) & vmcs_field_mask(field) };
}

/* The rows that fail, in order; and that the outcome is the same. */
static struct check_outcome judge(const struct check *failed[FIXTURE_FAILURES_MAX], unsigned *count)
{
    fixture_forget(&f);
    struct check_outcome outcome = check_entry(f.cpu, f.cpu->vmx.current);

    memcpy(failed, f.failed, f.failed_count * sizeof failed[0]);
    *count = f.failed_count;
    return outcome;
}

/* Returns whether a row fails. */
static bool compare(struct fuzz_random *random)
{
    static const struct check *in_parts[FIXTURE_FAILURES_MAX], *in_full[FIXTURE_FAILURES_MAX];
    struct vmcs *v = f.cpu->vmx.current;
    unsigned parts_count, full_count;
    struct check_outcome parts = judge(in_parts, &parts_count);
    const uint32_t judged = v->judged;

    v->judged = 0;                      /* nothing is remembered: all rows */
    struct check_outcome full = judge(in_full, &full_count);
    FUZZ_ASSERT(parts.failed == full.failed && parts.first == full.first && parts_count == full_count);
    FUZZ_ASSERT(memcmp(in_parts, in_full, full_count * sizeof in_full[0]) == 0);
    if (full.failed && fuzz_below(random, 4))
        v->judged = judged;             /* what passed before is remembered still */
    return full.failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_random random = { .state = size };

    for (size_t i = 0; i < size; i++)
        random.state = (random.state ^ data[i]) * 0x100000001b3;
    if (!f.model)
        fixture_open(&f);
    unsigned number = fuzz_below(&random, ROW_CASES + ACCEPTED);
    const struct row_case *row = number < ROW_CASES ? &row_cases[number] : &accepted[number - ROW_CASES];
    memset(f.ram + FIXTURE_LINKED, 0, PAGE_SIZE);
    memset(f.ram + FIXTURE_MSR_AREA, 0, PAGE_SIZE);
    memset(f.ram, 0, PAGE_SIZE);
    case_base(&f, row->base);
    for (unsigned i = 0; i < CHANGES; i++) {
        struct step step = choose(&random, row);

        toggle(&step);
        if (compare(&random) && fuzz_below(&random, 8)) {
            toggle(&step);
            compare(&random);
        }
    }
    return 0;
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    uint64_t value = fuzz_next(random);

    memcpy(to, &value, 8);
    return 8;
}
