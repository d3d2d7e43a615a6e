/* SPDX-License-Identifier: MIT */
/* What the core executes between an exit and the next entry, by the levels it passes between. */
#include "emu/native/state.h"
#include "emu/native/step.h"

void passage_begin(struct native_cpu *here)
{
    here->exit_level = here->level;
    here->at_exit = here->native->counts;
    step_again(here->native);
}

/*
 * The control words. A processor that remembers that a VMCS passed the checks of VM entries (SDM Vol. 3, 27.2, 27.3) must make
 * them anew after a write to one of these, and after VMCLEAR; of writes to other fields the least is assumed.
 */
void passage_vmwrite(struct native_cpu *here, enum vmcs_encoding field)
{
    if (field == VMCS_pin_based_controls || field == VMCS_processor_based_controls || field == VMCS_exit_controls ||
        field == VMCS_secondary_processor_based_controls || field == VMCS_entry_controls)
        here->dirty_vmcs = hal_vmptrst().value;
}

static bool dirty(struct native_cpu *here, bool launch)
{
    const uint64_t vmcs = hal_vmptrst().value;
    const bool written = here->dirty_vmcs == vmcs;

    if (written)
        here->dirty_vmcs = 0;
    return written || launch;
}

static enum passage between(unsigned from, unsigned to)
{
    return from == 1 ? to == 1 ? PASSAGE_L1_TO_L1 : PASSAGE_L1_TO_L2 : to == 1 ? PASSAGE_L2_TO_L1 : PASSAGE_L2_TO_L2;
}

void passage_end(struct native_cpu *here, bool launch)
{
    struct native_counts *now = &here->native->counts;

    *(launch ? &now->vmlaunch : &now->vmresume) += 1;
    now->dirty_entry += dirty(here, launch);
    if (!here->exit_level)                      /* the very first entry */
        return;
    const enum passage passage = between(here->exit_level, here->level);
    struct native_counts *sum = &here->native->passages.of[passage].counts;
    here->native->passages.of[passage].times++;
#define X(name) sum->name += now->name - here->at_exit.name;
    NATIVE_COUNTS(X)
#undef X
}

bool native_measure(struct native *native, bool instructions)
{
    if (instructions && !step_begin(native))
        return false;
    native->passages = (struct native_passages){ 0 };
    return true;
}

const struct native_passages *native_measured(struct native *native)
{
    step_end(native);
    return &native->passages;
}
