/* SPDX-License-Identifier: MIT */
/*
 * L1's VMCSs as L1 has written them, for the report of a VM entry of L1's that fails. Whatever the strategy, each write comes by: as
 * an exit that the core tells of, or as a VMWRITE that hardware does to a shadow VMCS. What L2's exits save is read where they saved
 * it, when it is wanted.
 */
#include "emu/native/state.h"
#include "model/cpu/raise.h"
#include "model/vmx/check.h"
#include "model/vmx/vmx.h"

void vmcs12_written(struct native_cpu *here, uint64_t encoding, uint64_t value, uint64_t rip)
{
    enum vmcs_field field = vmcs_find(here->native->model, (uint32_t)encoding);
    struct native_region *r = here->current12 == ~0ull ? NULL : region_at(here->native, here->current12);

    if (!r || field == VMCS_FIELD_COUNT)
        return;
    vmcs_set_field(&r->vmcs, field, VMCS_ENCODING_HIGH(encoding), value);
    vmcs_note_writer(&r->vmcs, field, rip);
    cpu_notify(here->cpu, &(struct notice){ .kind = NOTICE_L1_WRITE, .a = r->pa, .b = encoding, .c = rip });
}

/* ---- pages that are copied ---- */

/* A number for what a VMCS's page holds behind revision identifier, abort indicator and launch state; 0: nothing. */
static uint64_t content_of(const struct native *native, uint64_t pa)
{
    enum { FIRST = 2 };
    uint64_t page[PAGE_SIZE / 8], hash = 0, any = 0;

    if (!memory_read(&native->model->memory, pa, page, sizeof page))
        return 0;
    for (unsigned i = FIRST; i < PAGE_SIZE / 8; i++) {
        any |= page[i];
        hash = (hash ^ page[i]) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    }
    return any ? hash | 1 : 0;
}

void vmcs12_cleared(struct native *native, struct native_region *r)
{
    r->content = r->unseen ? 0 : content_of(native, r->pa);
}

/* Data are where the page is (25.11.1): whoever copies or moves a cleared VMCS has written the fields all the same. */
void vmcs12_loaded(struct native *native, struct native_region *r)
{
    const uint64_t content = content_of(native, r->pa);
    const struct native_region *from = NULL;

    r->unseen = false;
    if (r->content && r->content == content)
        return;
    for (unsigned i = 0; i < NATIVE_REGIONS && content; i++)
        if (native->region[i].use && native->region[i].content == content)
            from = &native->region[i];
    r->unseen = content && !from;
    r->vmcs = from ? from->vmcs : (struct vmcs){ .pa = r->pa };
}

void native_note_caller(struct native *native, uint64_t address, uint64_t encoding, uint64_t caller)
{
    for (unsigned i = 0; i < NATIVE_REGIONS; i++)
        if (native->region[i].pa == address && native->region[i].use) {
            enum vmcs_field field = vmcs_find(native->model, (uint32_t)encoding);

            if (field < VMCS_FIELD_COUNT)
                native->region[i].vmcs.caller[field] = caller;
            return;
        }
}

void native_shadow_write(struct native *native, const struct cpu *cpu, uint64_t encoding, uint64_t value)
{
    struct native_cpu *here = &native->cpu[cpu->index];

    if (here->level == 1)
        vmcs12_written(here, encoding, value, cpu->rip);
}

const struct vmcs *native_vmcs12(struct native *native, uint64_t address)
{
    for (unsigned i = 0; i < NATIVE_REGIONS; i++)
        if (native->region[i].use && native->region[i].pa == address)
            return &native->region[i].vmcs;
    return NULL;
}

/* Guest state that an exit saves (28.3): of the guest-state area all but what only software writes. */
static bool is_saved(enum vmcs_field field)
{
    return VMCS_ENCODING_TYPE(vmcs_encoding(field)) == VMCS_TYPE_GUEST && field != FIELD_vmcs_link_pointer &&
           field != FIELD_guest_interrupt_status;
}

static void take_saved_state(struct native_cpu *here, struct native_region *r)
{
    const struct vmcs *v = r->vmcs02 ? vmcs_active(here->native->model, r->vmcs02) : NULL;

    for (unsigned i = 0; v && r->vmcs.exits && i < VMCS_FIELD_COUNT; i++)
        if (is_saved(i) && r->vmcs.written[i] != 1 + r->vmcs.exits)
            r->vmcs.field[i] = v->field[i];
}

/* The processor that L1 believes in, as far as the checks ask for it. */
static struct cpu view_of(const struct native_cpu *here)
{
    struct cpu view = *here->cpu;

    CPU_MSR(&view, ia32_efer) = here->l1_efer;
    view.rip = here->l1_rip;
    return view;
}

const struct vmx_root *native_l1_root(const struct native *native, const struct cpu *cpu)
{
    return &native->cpu[cpu->index].l1_root;
}

struct cpu native_l1_host(const struct native *native, const struct cpu *cpu)
{
    return view_of(&native->cpu[cpu->index]);
}

void vmcs12_entering(struct native_cpu *here, bool launch)
{
    const struct observer *observer = &here->native->model->observer;
    struct native_region *r = here->current12 == ~0ull ? NULL : region_at(here->native, here->current12);

    if (!r || !observer->notify)
        return;
    r->vmcs.pa = r->pa;
    observer->notify(observer->context, &(struct notice){ .kind = NOTICE_L1_ENTRY, .cpu = here->cpu, .a = r->pa, .c = launch, .d = r->unseen, .vmcs = &r->vmcs });
}

void vmcs12_entry_failed(struct native_cpu *here, uint64_t result, uint64_t qualification)
{
    const struct observer *observer = &here->native->model->observer;
    struct native_region *r = here->current12 == ~0ull ? NULL : region_at(here->native, here->current12);
    struct cpu view = view_of(here);

    if (!r || !observer->notify)
        return;
    take_saved_state(here, r);
    if ((result & 0xffff) == EXIT_REASON_entry_failure_msr_loading && result & EXIT_REASON_ENTRY_FAILURE)
        view.rip = VMCS(&r->vmcs, guest_rip);   /* the guest's state is loaded by then (27.4) */
    r->vmcs.pa = r->pa;
    /* L1 is judged by the processor that it was shown. */
    struct vmx_capability *capability = &here->native->model->capability, machine = *capability;
    *capability = native_shown_capability();
    observer->notify(observer->context, &(struct notice){ .kind = NOTICE_L1_ENTRY_FAILED, .cpu = &view, .a = r->pa, .b = result,
                                                          .c = qualification, .d = r->unseen, .vmcs = &r->vmcs, .capability = &machine });
    *capability = machine;
}
