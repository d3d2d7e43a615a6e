/* SPDX-License-Identifier: MIT */
/* VMCS regions, for people. */
#include "emu/explain/region.h"

#include <inttypes.h>
#include <string.h>

#include "emu/machine/parts.h"
#include "model/model.h"

/* A native L0 has no addresses that mean anything to its author: its log does. */
static bool by_native(const struct machine *machine, const struct notice *notice)
{
    return notice->kind == NOTICE_VIOLATION && machine_over_native(machine, notice->cpu) && !machine_level(machine, notice->cpu);
}

void explain_region(struct machine *machine, const struct notice *notice)
{
    struct explanation *e = explain_begin(machine, notice->cpu, explain_key(notice->d, notice->text) ^ (notice->d ? 0 : notice->b));
    char name[SYMBOL_TEXT_MAX], what[40];

    if (!e)
        return;
    snprintf(what, sizeof what, "%s 0x%" PRIx64, strstr(notice->text, "VMXON region") ? "VMXON region" : "VMCS", notice->b);
    explain_rule(e, notice, "%s", notice->text);
    if (notice->d && !by_native(machine, notice))
        explain_line(e, "%s of processor %" PRIu64 "; by processor %u at rip 0x%" PRIx64 "%s", what, notice->c, notice->cpu->index, notice->d, symbols_text(machine->symbols, notice->d, name));
    else if (notice->cpu->index != notice->c)
        explain_line(e, "%s of processor %" PRIu64 "; found by processor %u", what, notice->c, notice->cpu->index);
    else
        explain_line(e, "%s of processor %" PRIu64, what, notice->c);
    explain_end(e);
}
