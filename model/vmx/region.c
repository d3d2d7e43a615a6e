/* SPDX-License-Identifier: MIT */
/* What software does wrong with the regions of VMCSs: SDM Vol. 3, 25.11. What breaks rule R2 is in cache.c. */
#include "model/model.h"

static const char *const texts[] = {
    [REGION_WRITTEN] = "the region of an active VMCS was written: use VMWRITE, or VMCLEAR it first [25.11.1]",
    [REGION_IDENTIFIER_WRITTEN] = "the revision identifier or shadow-VMCS indicator of an active VMCS was written: VMCLEAR missing "
                                  "[25.2, 25.11.1]",
    [REGION_READ] = "the region of an active VMCS was read: its data are in the processor, not in memory; use VMREAD [25.11.1]",
    [REGION_NEVER_CLEARED] = "VMPTRLD of a region that VMCLEAR never prepared: launch state and fields are what memory happened to "
                             "hold [25.11.3]",
    [REGION_LEFT_AT_VMXOFF] = "VMXOFF while a VMCS was active: its data may never reach memory, or do so later; VMCLEAR missing "
                              "[25.11.1]",
    [REGION_LEFT_AT_END] = "the run ended with an active VMCS, in VMX operation: VMCLEAR and VMXOFF come before the processor is "
                           "given away [25.11.1]",
    [REGION_MOVED] = "VMRESUME of a VMCS that has moved: its VMCLEAR on the former processor made its launch state clear; VMLAUNCH it "
                     "once on this one [25.11.1, 25.11.3]",
    [REGION_ACTIVE_ELSEWHERE] = "VM entry with a VMCS that has since become active on another processor: VMCLEAR it there, then "
                                "VMPTRLD it here [25.11.1]",
    [REGION_ACTIVE_TWICE] = "a VMCS is active on two processors: VMCLEAR it on the first [25.11.1]",
    [REGION_CLEARED_ELSEWHERE] = "VMCLEAR of a VMCS that is active on another processor: execute it there [25.11.1]",
    [REGION_VMXON_SHARED] = "VMXON with the VMXON region of another processor: each logical processor needs one of its own [25.11.5]",
    [REGION_VMXON_TOUCHED] = "the VMXON region was accessed in VMX operation: it is the processor's until VMXOFF [25.11.5]",
};

void region_mistake(const struct cpu *cpu, enum region_mistake mistake, uint64_t pa, unsigned other_cpu, uint64_t rip)
{
    const struct observer *observer = &cpu->model->observer;
    struct notice notice = { .kind = NOTICE_MISTAKE, .cpu = cpu, .a = RULE_ACTIVE_VMCS, .b = pa, .c = other_cpu, .d = rip,
                             .text = texts[mistake] };

    if (observer->notify)
        observer->notify(observer->context, &notice);
}

void vmxon_region_used(struct cpu *cpu, uint64_t pa, unsigned other_cpu, uint64_t rip)
{
    memory_watch(&cpu->model->memory, pa, WATCH_VMXON, true);
    if (other_cpu != cpu->index)
        region_mistake(cpu, REGION_VMXON_SHARED, pa, other_cpu, rip);
}

void vmxon_region_left(struct cpu *cpu, uint64_t pa, bool others)
{
    if (!others)
        memory_watch(&cpu->model->memory, pa, WATCH_VMXON, false);
}

void vmcs_at_vmxoff(const struct cpu *cpu)
{
    const struct vmcs_cache *cache = &cpu->model->vmcs_cache;

    for (unsigned i = 0; i < cache->used; i++) {
        if (cache->vmcs[i].active && cache->vmcs[i].cpu == cpu->index)
            region_mistake(cpu, REGION_LEFT_AT_VMXOFF, cache->vmcs[i].pa, cpu->index, cpu->rip);
    }
}
