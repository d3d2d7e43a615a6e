/* SPDX-License-Identifier: MIT */
/*
 * The VMCSs that are active to L1. Where L0 keeps their data is its own business; L1 is held to what the SDM asks of it (25.11),
 * and told as on the bare machine (model/vmx/region.c).
 */
#include "emu/native/state.h"
#include "model/vmx/vmx.h"

/* The region's entry, or a free one, or the one that has been quiet for longest. */
struct native_region *region_at(struct native *native, uint64_t pa)
{
    struct native_region *found = NULL;

    for (unsigned i = 0; i < NATIVE_REGIONS; i++) {
        struct native_region *r = &native->region[i];

        if (r->use && r->pa == pa)
            return r;
        if (!found || r->use < found->use)
            found = r;
    }
    if (found->use && found->active)
        memory_watch(&native->model->memory, found->pa, WATCH_REGION, false);
    *found = (struct native_region){ .pa = pa };
    return found;
}

static struct native_region *used(struct native_cpu *here, uint64_t pa)
{
    struct native_region *r = region_at(here->native, pa);

    r->use = ++here->native->region_clock;
    return r;
}

static void mistake(struct native_cpu *here, enum region_mistake which, const struct native_region *r, unsigned other)
{
    region_mistake(here->cpu, which, r->pa, other, here->l1_rip);
}

static void cleared(struct native_cpu *here, uint64_t pa)
{
    struct native_region *r = used(here, pa);

    memory_watch(&here->native->model->memory, pa, WATCH_CLEARED, true);
    memory_watch(&here->native->model->memory, pa, WATCH_REGION, false);
    if (r->active && r->cpu != here->cpu->index)
        mistake(here, REGION_CLEARED_ELSEWHERE, r, r->cpu);
    if (r->launched) {
        r->moved = true;
        r->former_cpu = r->cpu;
    }
    if (r->active)
        vmcs12_cleared(here->native, r);
    r->active = r->launched = false;
    if (here->current12 == pa)
        here->current12 = ~0ull;
}

static void loaded(struct native_cpu *here, uint64_t pa)
{
    struct native_region *r = used(here, pa);

    if (!(memory_watched(&here->native->model->memory, pa) & WATCH_CLEARED))
        mistake(here, REGION_NEVER_CLEARED, r, here->cpu->index);
    if (r->active && r->cpu != here->cpu->index)
        mistake(here, REGION_ACTIVE_TWICE, r, r->cpu);
    if (!r->active)
        vmcs12_loaded(here->native, r);
    r->active = true;
    r->cpu = (uint8_t)here->cpu->index;
    here->current12 = pa;
    memory_watch(&here->native->model->memory, pa, WATCH_REGION, true);
}

static void left(struct native_cpu *here, enum region_mistake which)
{
    for (unsigned i = 0; i < NATIVE_REGIONS; i++) {
        const struct native_region *r = &here->native->region[i];

        if (r->active && r->cpu == here->cpu->index)
            mistake(here, which, r, r->cpu);
    }
}

/* VMLAUNCH or VMRESUME of L1's current VMCS; `error`: 0, or what it failed with before L0 looked at the VMCS. */
static void entering(struct native_cpu *here, uint64_t error)
{
    const struct native_region *r;

    if (here->current12 == ~0ull)
        return;
    r = region_at(here->native, here->current12);
    if (r->active && r->cpu != here->cpu->index)
        mistake(here, REGION_ACTIVE_ELSEWHERE, r, r->cpu);
    if (error == VM_ERROR_vmresume_not_launched && r->moved && r->former_cpu != here->cpu->index)
        mistake(here, REGION_MOVED, r, r->former_cpu);
}

/* L2 has exited to L1. */
static void reflected(struct native_cpu *here)
{
    struct native_region *r = here->current12 == ~0ull ? NULL : region_at(here->native, here->current12);

    if (!r)
        return;
    r->launched = true;
    r->vmcs02 = here->vmcs02;
    r->vmcs.exits++;
}

/* Another processor whose L1 is in VMX operation with the same VMXON region; if there is none, this one. */
static unsigned shares_vmxon(const struct native_cpu *here, uint64_t pa)
{
    const struct native *native = here->native;

    for (unsigned i = 0; i < native->model->cpu_count; i++)
        if (&native->cpu[i] != here && native->cpu[i].l1_in_vmx && native->cpu[i].vmxon12 == pa)
            return i;
    return here->cpu->index;
}

static void vmx_begun(struct native_cpu *here, uint64_t pa)
{
    here->current12 = ~0ull;
    here->vmxon12 = pa;
    vmxon_region_used(here->cpu, pa, shares_vmxon(here, pa), here->l1_rip);
}

static void vmx_ended(struct native_cpu *here)
{
    left(here, REGION_LEFT_AT_VMXOFF);
    here->current12 = ~0ull;
    vmxon_region_left(here->cpu, here->vmxon12, shares_vmxon(here, here->vmxon12) != here->cpu->index);
}

void regions_told(struct native_cpu *here, enum hal_event event, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (event == HAL_EVENT_NESTED_ENTRY)
        entering(here, 0);
    if (event == HAL_EVENT_NESTED_ENTRY)
        vmcs12_entering(here, a);
    if (event == HAL_EVENT_NESTED_FAIL && !(a & EXIT_REASON_ENTRY_FAILURE))
        entering(here, a);
    if (event == HAL_EVENT_NESTED_FAIL)
        vmcs12_entry_failed(here, a, b);
    if (event == HAL_EVENT_REFLECT && !(a & EXIT_REASON_ENTRY_FAILURE))
        reflected(here);
    if (event != HAL_EVENT_VMX_INSTRUCTION || d)
        return;
    switch (a) {
    case EXIT_REASON_vmread:
        if (b == VMCS_exit_instruction_length)
            here->cpu->vmx.length_read = here->cpu->instructions;
        break;
    case EXIT_REASON_vmwrite:
        if (b == VMCS_guest_rip)
            here->cpu->vmx.rip_written = here->cpu->instructions;
        vmcs12_written(here, b, c, here->l1_rip);
        break;
    case EXIT_REASON_vmclear:
        cleared(here, b);
        break;
    case EXIT_REASON_vmptrld:
        loaded(here, b);
        break;
    case EXIT_REASON_vmxon:
        vmx_begun(here, b);
        break;
    case EXIT_REASON_vmxoff:
        vmx_ended(here);
        break;
    default:
        break;
    }
}

void native_at_end(struct native *native)
{
    for (unsigned i = 0; i < native->model->cpu_count; i++) {
        struct native_cpu *here = &native->cpu[i];

        here->l1_rip = 0;
        if (here->l1_in_vmx)
            left(here, REGION_LEFT_AT_END);
    }
}
