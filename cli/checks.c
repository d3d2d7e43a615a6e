/* SPDX-License-Identifier: MIT */
/* `sesqui checks`: the tables of the model: VM-entry checks, refusals of instructions, events, refusals of a remapping unit. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "model/cpu/boundary.h"
#include "model/cpu/deliver.h"
#include "model/iommu/iommu.h"
#include "model/refusal.h"
#include "model/vmx/check.h"
#include "model/vmx/vmcs.h"

static const char *outcome(const struct check *check)
{
    static char text[40];

    switch (check->group) {
    case CHECK_CONTROLS:
        return "VMfailValid 7";
    case CHECK_HOST:
        return "VMfailValid 8";
    case CHECK_GUEST:
        break;
    }
    snprintf(text, sizeof text, "exit 33, qualification %u", check->qualification);
    return text;
}

static const char *refusal_outcome(const struct refusal *refusal)
{
    static char text[40];

    switch (refusal->outcome) {
    case OUTCOME_UD:
        return "#UD";
    case OUTCOME_GP:
        return "#GP(0)";
    case OUTCOME_OPERAND:
        return "#GP(0), #SS(0) in SS";
    case OUTCOME_INVALID:
        return "VMfailInvalid";
    default:
        snprintf(text, sizeof text, "VMfail %d", refusal->outcome);
        return text;
    }
}

/* The page docs/refusals.md. */
static void print_refusals(void)
{
    printf("# Refused instructions\n\n"
           "*Written by `make docs` from `model/cpu/refusals.def` and `model/vmx/refusals.def`.*\n\n"
           "Why an instruction that the model executes raises #UD or #GP, or fails: %u reasons. Those of one instruction stand in the\n"
           "order in which the processor looks at them; the first that applies decides, and is told (`sesqui boot`, `sesqui run`, and\n"
           "as `why` in traces) with the values at the {names}. VMfail with an error is VMfailInvalid where no VMCS is current. VMLAUNCH\n"
           "and VMRESUME go on with the VM-entry checks: `checks.md`. Over the core (`--hv`) the same rows explain what it refuses\n"
           "L1; `core.unexplained` says that none of them does.\n\n"
           "| reason | gives | SDM Vol. 3 | sentence |\n|---|---|---|---|\n", (unsigned)REFUSAL_COUNT);
    for (unsigned i = 0; i < REFUSAL_COUNT; i++)
        printf("| `%s` | %s | %s | %s |\n", refusal_table[i].id, refusal_outcome(&refusal_table[i]), refusal_table[i].section,
               refusal_table[i].text);
}

static void print_plain(void)
{
    for (unsigned i = 0; i < check_count; i++)
        printf("%-44s %-10s %-26s %s\n", check_table[i].id, check_table[i].section, outcome(&check_table[i]),
               check_table[i].text);
    for (unsigned i = 0; i < REFUSAL_COUNT; i++)
        printf("%-44s %-10s %-26s %s\n", refusal_table[i].id, refusal_table[i].section, refusal_outcome(&refusal_table[i]),
               refusal_table[i].text);
}

/* The page docs/checks.md. */
static void print_markdown(void)
{
    printf("# The VM-entry checks\n\n"
           "*Written by `make docs` from `model/vmx/checks.def` and `check_fields.def`.*\n\n"
           "VM entry evaluates all %u and reports every one that fails. What the processor does follows from the first group\n"
           "with a failure: controls, host state, guest state (SDM Vol. 3, 27.2, 27.3, 27.8). The fields are those that a check\n"
           "is about, then those that make it apply.\n\n", check_count);
    puts("| check | SDM Vol. 3 | a failure gives | requirement | fields |\n|---|---|---|---|---|");
    for (unsigned i = 0; i < check_count; i++) {
        unsigned fields[CHECK_FIELDS_MAX], count = check_fields(&check_table[i], fields);

        printf("| `%s` | %s | %s | %s |", check_table[i].id, check_table[i].section, outcome(&check_table[i]),
               check_table[i].text);
        for (unsigned j = 0; j < count; j++)
            printf("%s %s", j ? "," : "", vmcs_field_name(fields[j]));
        puts(" |");
    }
}

static void print_states(unsigned states)
{
    static const char *const names[] = { "active", "HLT", "shutdown", "wait-for-SIPI" };

    for (unsigned i = 0, first = 1; i < 4; i++)
        if (states >> i & 1)
            printf("%s%s", first ? "" : ", ", names[i]), first = 0;
}

static void print_blocking(uint32_t blocking)
{
    static const char *const names[] = { "STI", "MOV SS", "SMI", "NMI" };

    for (unsigned i = 0, first = 1; i < 4; i++)
        if (blocking >> i & 1)
            printf("%s%s", first ? "" : ", ", names[i]), first = 0;
}

/* The page docs/events.md. */
static void print_events(void)
{
    puts("# Events\n\n"
         "*Written by `make docs` from `model/cpu/boundary.def` and `deliver.def`.*\n\n"
         "## Between two instructions\n\n"
         "From the highest priority down. An event that its activity state or the interruptibility state holds back stays pending.\n\n"
         "| event | takes place in | blocked by | SDM Vol. 3 |\n|---|---|---|---|");
    for (unsigned i = 0; i < BOUNDARY_ROWS; i++) {
        printf("| %s | ", boundary_table[i].text);
        print_states(boundary_table[i].states);
        printf(" | ");
        print_blocking(boundary_table[i].blocking);
        printf(" | %s |\n", boundary_table[i].section);
    }
}

/* The rest of that page. */
static void print_deliveries(void)
{
    puts("\n## Delivery\n\n"
         "What the delivery of an event does beside the frame. An injected event leaves alone what is\n"
         "not marked; an event that exits directly does none of it.\n\n"
         "| events | raised | injected | effect | SDM Vol. 3 |\n|---|---|---|---|---|");
    for (unsigned i = 0; i < DELIVERY_ROWS; i++) {
        const struct delivery_effect *e = &delivery_table[i];
        const char *events = !strcmp(e->events, "EVERY") ? "every event" : !strcmp(e->events, "FAULT") ? "faults"
                           : !strcmp(e->events, "PAGE_FAULT") ? "#PF" : !strcmp(e->events, "DEBUG") ? "#DB"
                           : !strcmp(e->events, "DEBUG_INT1") ? "#DB, INT1" : e->events;

        printf("| %s | %s | %s | %s | %s |\n", events, e->raised ? "x" : "", e->injected ? "x" : "", e->text, e->section);
    }
}

static void print_code(const struct iommu_reason_row *row, unsigned code)
{
    if (row->group == IOMMU_GROUP_SOFTWARE || !code)
        printf(" - |");
    else
        printf(" %s%XH |", row->group == IOMMU_GROUP_QUEUE ? "IQEI " : "", code);
}

/* The page docs/iommu-refusals.md. */
static void print_iommu(void)
{
    printf("# What a remapping unit refuses\n\n"
           "*Written by `make docs` from `model/iommu/reasons.def`.*\n\n"
           "Why a DMA or interrupt request, a descriptor of the invalidation queue or an access to a register is refused: %u reasons\n"
           "(docs/iommu.md). A fault is recorded with the reason of its mode; where \"FPD\" stands, only if no entry on the way has fault\n"
           "processing disabled. What has no code is told and not recorded.\n\n"
           "| reason | legacy | scalable | FPD | VT-d | sentence |\n|---|---|---|---|---|---|\n", (unsigned)IOMMU_REASONS - 1);
    for (unsigned i = 1; i < IOMMU_REASONS; i++) {
        const struct iommu_reason_row *row = &iommu_reasons[i];

        printf("| `%s` |", row->name);
        print_code(row, row->legacy);
        print_code(row, row->scalable);
        printf(" %s | %s | %s |\n", row->suppressible ? "FPD" : "", row->section, row->text);
    }
}

int command_checks(int argc, char **argv)
{
    struct checks { bool markdown, events, refusals, iommu, help; } checks = { 0 };
    static const struct option table[] = {
        { .name = "--markdown", OPTION_FLAG, offsetof(struct checks, markdown) },
        { .name = "--events", OPTION_FLAG, offsetof(struct checks, events) },
        { .name = "--refusals", OPTION_FLAG, offsetof(struct checks, refusals) },
        { .name = "--iommu", OPTION_FLAG, offsetof(struct checks, iommu) },
        { .name = "--help", OPTION_FLAG, offsetof(struct checks, help) },
        { .name = "-h", OPTION_FLAG, offsetof(struct checks, help) },
    };
    static const struct syntax syntax = { "checks", NULL, table, sizeof table / sizeof table[0], NULL };

    if (!options_parse(&syntax, argc, argv, &checks))
        return 2;
    if (checks.help)
        puts("usage: sesqui checks [--markdown | --events | --refusals | --iommu]\n\n"
             "Lists the VM-entry checks of the model, and why it refuses instructions: name, SDM section (Vol. 3), what a failure\n"
             "gives, requirement or reason.\n\n"
             "  --markdown    as the page docs/checks.md, with the VMCS fields that each check looks at\n"
             "  --events      the page docs/events.md instead: what comes first between two\n"
             "                instructions, and what the delivery of an event does\n"
             "  --refusals    the page docs/refusals.md instead: why instructions fault or fail\n"
             "  --iommu       the page docs/iommu-refusals.md instead: why a remapping unit refuses requests");
    else if (checks.events)
        print_events(), print_deliveries();
    else if (checks.refusals)
        print_refusals();
    else if (checks.iommu)
        print_iommu();
    else if (checks.markdown)
        print_markdown();
    else
        print_plain();
    return 0;
}
