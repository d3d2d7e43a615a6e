/* SPDX-License-Identifier: MIT */
/* What the core executes between an exit and the next entry, by the levels it passes between. */
#include "emu/native/state.h"
#include "emu/native/step.h"
#include "model/vmx/vmx.h"

void passage_begin(struct native_cpu *here)
{
    here->exit_level = here->level;
    here->at_exit = here->native->counts;
    step_again(here->native);
}

bool passage_control_word(enum vmcs_encoding field)
{
    return field == VMCS_pin_based_controls || field == VMCS_processor_based_controls || field == VMCS_exit_controls ||
           field == VMCS_secondary_processor_based_controls || field == VMCS_entry_controls;
}

void passage_vmwrite(struct native_cpu *here, enum vmcs_encoding field)
{
    if (passage_control_word(field))
        here->dirty_vmcs = vmx_vmptrst(here->cpu);
}

static bool dirty(struct native_cpu *here, bool launch)
{
    const uint64_t vmcs = vmx_vmptrst(here->cpu);
    const bool written = here->dirty_vmcs == vmcs;

    if (written)
        here->dirty_vmcs = 0;
    return written || launch;
}

enum passage passage_between(unsigned from, unsigned to)
{
    return from == 1 ? to == 1 ? PASSAGE_L1_TO_L1 : PASSAGE_L1_TO_L2 : to == 1 ? PASSAGE_L2_TO_L1 : PASSAGE_L2_TO_L2;
}

void passage_add(struct native_passages *passages, enum passage passage, const struct native_counts *at_exit,
                 const struct native_counts *at_entry)
{
    struct native_counts *sum = &passages->of[passage].counts;

    passages->of[passage].times++;
#define X(name) sum->name += at_entry->name - at_exit->name;
    NATIVE_COUNTS(X)
#undef X
}

void passage_end(struct native_cpu *here, bool launch)
{
    struct native_counts *now = &here->native->counts;

    *(launch ? &now->vmlaunch : &now->vmresume) += 1;
    now->dirty_entry += dirty(here, launch);
    if (!here->exit_level)                      /* the very first entry */
        return;
    passage_add(&here->native->passages, passage_between(here->exit_level, here->level), &here->at_exit, now);
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
