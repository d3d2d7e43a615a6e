/* SPDX-License-Identifier: MIT */
/*
 * The VMX-preemption timer: SDM Vol. 3, 26.5.1, 27.7.4. It counts down by 1 whenever bit X of the time-stamp counter
 * changes, X being IA32_VMX_MISC[4:0]; the clock stands for the counter.
 */
#include "model/vmx/internal.h"

static unsigned rate(const struct cpu *cpu)
{
    return CAPABILITY_TIMER_RATE(cpu->model->capability.misc);
}

void timer_start(struct cpu *cpu, const struct vmcs *vmcs)
{
    uint64_t ticks = cpu->clock >> rate(cpu), value = VMCS(vmcs, preemption_timer_value);

    cpu->vmx.preemption_deadline = ~0ull;
    if (pin_controls(vmcs) & PIN_activate_preemption_timer)
        cpu->vmx.preemption_deadline = value ? (ticks + value) << rate(cpu) : cpu->clock;
}

uint32_t timer_value(const struct cpu *cpu, const struct vmcs *vmcs)
{
    uint64_t value = VMCS(vmcs, preemption_timer_value);
    uint64_t elapsed = (cpu->clock >> rate(cpu)) - (cpu->vmx.entry_clock >> rate(cpu));

    return elapsed < value ? (uint32_t)(value - elapsed) : 0;
}
