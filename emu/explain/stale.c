/* SPDX-License-Identifier: MIT */
/* Missing INVEPTs, for people. */
#include "emu/explain/stale.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/machine/parts.h"
#include "model/model.h"

#define ENTRY_ADDRESS 0x000ffffffffff000ull

enum { ENTRY_TEXT_MAX = 80 };

/* "0x301035: page 0x301000, r-x" */
static const char *entry_text(uint64_t entry, unsigned level, char to[ENTRY_TEXT_MAX])
{
    if (!(entry & (EPT_RIGHTS | EPT_USER_EXECUTE)))
        snprintf(to, ENTRY_TEXT_MAX, "0x%" PRIx64 ": not present", entry);
    else
        snprintf(to, ENTRY_TEXT_MAX, "0x%" PRIx64 ": %s 0x%" PRIx64 ", %c%c%c", entry,
                 level == 1 || (level < 4 && entry & EPT_LARGE) ? "page" : "table", (uint64_t)(entry & ENTRY_ADDRESS),
                 entry & EPT_READ ? 'r' : '-', entry & EPT_WRITE ? 'w' : '-', entry & EPT_EXECUTE ? 'x' : '-');
    return to;
}

static const char *walk_text(const struct stale_entry *stale, char to[ENTRY_TEXT_MAX])
{
    if (stale->reaches)
        snprintf(to, ENTRY_TEXT_MAX, "finds 0x%" PRIx64 ", %c%c%c", (uint64_t)(stale->pa_now & PAGE_MASK),
                 stale->rights_now & EPT_READ ? 'r' : '-', stale->rights_now & EPT_WRITE ? 'w' : '-',
                 stale->rights_now & EPT_EXECUTE ? 'x' : '-');
    else
        snprintf(to, ENTRY_TEXT_MAX, "ends in an EPT violation or misconfiguration");
    return to;
}

void explain_stale(struct machine *machine, const struct notice *notice)
{
    const struct stale_entry *stale = notice->stale;
    bool of_l1 = notice->kind == NOTICE_MISTAKE;
    const struct vmx_root *root = &machine->root[notice->cpu->index];
    char name[SYMBOL_TEXT_MAX], old[ENTRY_TEXT_MAX], new[ENTRY_TEXT_MAX], now[ENTRY_TEXT_MAX];
    struct explanation *e = explain_begin(machine, notice->cpu, explain_key(stale->pa, notice->text));

    if (!e)
        return;
    if (of_l1)
        explain_line(e, "L1 changed an EPT entry that its processor may still hold, and entered its guest without INVEPT "
                     "[29.4.3.4]");
    else
        explain_rule(e, notice, "an EPT entry was changed that processor %u may still hold, and the guest was entered without INVEPT [29.4.3.4]",
                     notice->cpu->index);
    explain_line(e, "used: guest-physical 0x%" PRIx64 " (linear 0x%" PRIx64 ", EPT pointer 0x%" PRIx64 ") is in the page at 0x%" PRIx64
                 "; a walk now %s", stale->gpa, stale->linear, stale->eptp, notice->c, walk_text(stale, now));
    explain_line(e, "level-%u entry at 0x%" PRIx64 ": when it was used first, %s; now %s", stale->level, stale->pa,
                 entry_text(stale->remembered, stale->level, old), entry_text(stale->present, stale->level, new));
    if (root->rip)
        explain_line(e, "processor %u entered the guest at rip 0x%" PRIx64 "%s", notice->cpu->index, root->rip, symbols_text(machine->symbols, root->rip, name));
    explain_line(e, "after taking rights away or moving a page or table: INVEPT type 1 with this EPT pointer, on each processor that "
                 "has used it, before the next VM entry; INVVPID, VMCLEAR and VM exits do not do it");
    explain_end(e);
}
