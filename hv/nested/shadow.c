/* SPDX-License-Identifier: MIT */
/* The strategies: the one switch. */
#include "hv/nested/shadow.h"

const char *shadow_refusal(enum hv_strategy strategy)
{
    switch (strategy) {
    case HV_TRAP:
        return NULL;
    case HV_COPY:
        return "strategy copy is not built yet";
    case HV_FLIP:
        return "strategy flip is not built yet";
    }
    return "this strategy does not exist";
}

/* With trap, vmcs12 in L0's memory is the truth at all times but while L2 runs. */
static void trap_at(struct hv_cpu *cpu, enum shadow_moment moment)
{
    switch (moment) {
    case SHADOW_LOADED:
    case SHADOW_CLEARED:
    case SHADOW_ACCESSED:
        break;
    case SHADOW_ENTERING:
        vmcs02_build(cpu);
        break;
    case SHADOW_EXITED:
        vmcs02_save(cpu);
        break;
    }
}

void shadow_at(struct hv_cpu *cpu, enum shadow_moment moment)
{
    switch (cpu->strategy) {
    case HV_TRAP:
        trap_at(cpu, moment);
        return;
    case HV_COPY:
    case HV_FLIP:
        break;
    }
    hal_fail_stop("a strategy that is not built");
}
