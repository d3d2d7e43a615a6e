/* SPDX-License-Identifier: MIT */
/*
 * The rules that only a native L0 can be held to (docs/rules.md): the model cannot look inside the core, but the core told
 * it who owns what, and which host state every exit must load.
 */
#include <string.h>

#include "emu/native/state.h"
#include "model/vmx/vmx.h"

void rule_broken(struct native_cpu *here, enum rule rule, uint64_t a, uint64_t b, const char *text)
{
    const struct observer *observer = &here->native->model->observer;
    struct notice notice = { .kind = NOTICE_VIOLATION, .cpu = here->cpu, .a = rule, .b = a, .c = b, .text = text };
    if (observer->notify)
        observer->notify(observer->context, &notice);
}

static uint32_t secondary_controls(const struct vmcs *v)
{
    return VMCS(v, processor_based_controls) & PROC_activate_secondary_controls
               ? (uint32_t)VMCS(v, secondary_processor_based_controls) : 0;
}

/* A hardware-visible address: field, when hardware uses it, how many bytes, and whether L1's memory will do. */
struct visible {
    bool used;
    uint64_t address, bytes;
    bool guest_memory_allowed;
};

/* R1: SDM Vol. 3, 25.6-25.8 lists the fields that hold physical addresses. */
static void rule_owned_address(struct native_cpu *here, const struct vmcs *v)
{
    uint32_t proc = (uint32_t)VMCS(v, processor_based_controls);
    uint32_t proc2 = secondary_controls(v);
    bool shadowing = proc2 & PROC2_vmcs_shadowing;
    uint64_t link = VMCS(v, vmcs_link_pointer);
    const struct visible visible[] = {
        { proc & PROC_use_io_bitmaps, VMCS(v, io_bitmap_a_address), PAGE_SIZE, true },
        { proc & PROC_use_io_bitmaps, VMCS(v, io_bitmap_b_address), PAGE_SIZE, true },
        { proc & PROC_use_msr_bitmaps, VMCS(v, msr_bitmap_address), PAGE_SIZE, false },
        { VMCS(v, exit_msr_store_count), VMCS(v, exit_msr_store_address), 16 * VMCS(v, exit_msr_store_count), false },
        { VMCS(v, exit_msr_load_count), VMCS(v, exit_msr_load_address), 16 * VMCS(v, exit_msr_load_count), false },
        { VMCS(v, entry_msr_load_count), VMCS(v, entry_msr_load_address), 16 * VMCS(v, entry_msr_load_count), false },
        { proc & PROC_use_tpr_shadow, VMCS(v, virtual_apic_address), PAGE_SIZE, true },
        { proc2 & PROC2_virtualize_apic_accesses, VMCS(v, apic_access_address), PAGE_SIZE, true },
        { VMCS(v, pin_based_controls) & PIN_process_posted_interrupts, VMCS(v, posted_interrupt_descriptor_address), 64,
          true },
        { proc2 & PROC2_enable_pml, VMCS(v, pml_address), PAGE_SIZE, false },
        { proc2 & PROC2_ept_violation_ve, VMCS(v, virtualization_exception_address), PAGE_SIZE, false },
        { proc2 & PROC2_enable_vm_functions && VMCS(v, vm_function_controls), VMCS(v, eptp_list_address), PAGE_SIZE, false },
        { proc2 & PROC2_enable_ept, VMCS(v, ept_pointer) & PAGE_MASK, PAGE_SIZE, false },
        { shadowing, VMCS(v, vmread_bitmap_address), PAGE_SIZE, false },
        { shadowing, VMCS(v, vmwrite_bitmap_address), PAGE_SIZE, false },
        { link != ~0ull, link, PAGE_SIZE, false },
    };
    const struct memory *memory = &here->native->model->memory;
    for (unsigned i = 0; i < sizeof visible / sizeof *visible; i++) {
        if (!visible[i].used)
            continue;
        uint64_t first = visible[i].address & PAGE_MASK, last = (visible[i].address + visible[i].bytes - 1) & PAGE_MASK;
        for (uint64_t page = first; page <= last; page += PAGE_SIZE) {
            size_t index = memory_page_index(memory, page);
            enum hal_owner owner = index == SIZE_MAX ? HAL_OWNER_NONE : here->native->owner[index];
            if (owner == HAL_OWNER_L0 || (visible[i].guest_memory_allowed && owner == HAL_OWNER_L1))
                continue;
            rule_broken(here, RULE_OWNED_ADDRESS, page, v->pa, "an address in the VMCS about to be entered "
                   "belongs to nobody whom this VMCS serves [25.6]");
            return;
        }
    }
}

/*
 * R3: an ordinary VMCS with shadowing off must not link anything, and L2's has shadowing off: L0 offers none to L1. With
 * shadowing on, hardware checks the link and its indicator (SDM Vol. 3, 27.3.1.5), and R1 whose page it is.
 */
static void rule_ordinary_entry(struct native_cpu *here, const struct vmcs *v)
{
    uint32_t proc2 = secondary_controls(v);
    if (v->shadow)
        rule_broken(here, RULE_ORDINARY_ENTRY, v->pa, 0, "entry with a shadow VMCS [27.1]");
    if (!(proc2 & PROC2_vmcs_shadowing) && VMCS(v, vmcs_link_pointer) != ~0ull)
        rule_broken(here, RULE_ORDINARY_ENTRY, v->pa, VMCS(v, vmcs_link_pointer),
               "link pointer set without VMCS shadowing [27.3.1.5]");
    if ((proc2 & PROC2_vmcs_shadowing) && here->level > 1)
        rule_broken(here, RULE_ORDINARY_ENTRY, v->pa, 0, "VMCS shadowing is on in L2's VMCS [26.1.3]");
}

/* ---- R4: what is remembered ---- */

static bool of_guest(const struct tlb_entry *entry) { return entry->kind != MAPPING_LINEAR || entry->vpid; }

/* Did the walk that made this entry use a page of the pool that has been released since the latest exit? */
static bool is_released(const struct native *native, uint64_t pa)
{
    uint64_t index = (pa - native->pool_base) / PAGE_SIZE;
    return pa >= native->pool_base && index < native->pool_pages && native->pool_released[index];
}

static bool through_released(const struct native *native, const struct trail *trail, uint64_t *page)
{
    for (unsigned i = 0; i < trail->count; i++) {
        *page = trail->step[i].pa & PAGE_MASK;
        if (is_released(native, *page))
            return true;
    }
    return false;
}

static bool steps_through_released(const struct native *native, const struct ept_steps *steps, uint64_t *page)
{
    for (unsigned i = 0; i < steps->count; i++) {
        *page = steps->step[i].pa & PAGE_MASK;
        if (is_released(native, *page))
            return true;
    }
    return false;
}

static void report_released(struct native_cpu *here, uint64_t page, uint64_t address)
{
    rule_broken(here, RULE_ISOLATION, page, address, "a paging structure of an EPT was released while translations "
                "through it are remembered: INVEPT missing [29.4.3.4]");
}

/*
 * A page that was part of an EPT may be anything by now, and a processor that remembers a translation through it would go
 * on using that (SDM Vol. 3, 29.4.3.3). No guest has run since the release: L0 had time to invalidate.
 */
static void rule_released_tables(struct native_cpu *here)
{
    struct native *native = here->native;
    struct tlb *tlb = &native->model->tlb;
    const struct guest_physical *g;
    uint64_t page;

    if (!native->released)
        return;
    for (g = guest_physical_next(tlb, NULL); g; g = guest_physical_next(tlb, g))
        if (steps_through_released(native, &g->steps, &page)) {
            report_released(here, page, g->gpa);
            break;
        }
    for (const struct tlb_entry *e = tlb_next(tlb, NULL); e && !g; e = tlb_next(tlb, e))
        if (of_guest(e) && through_released(native, tlb_trail(tlb, e), &page)) {
            report_released(here, page, e->page);
            break;
        }
    memset(native->pool_released, 0, native->pool_pages);
    native->released = false;
}

static void report_taken_away(struct native_cpu *here, uint64_t pa, unsigned cpu)
{
    rule_broken(here, RULE_ISOLATION, pa, cpu, "a page was taken from its owner while a processor remembers translations to it: "
                "INVEPT missing there [29.4.3.4]");
}

void rules_page_taken_away(struct native_cpu *here, uint64_t first, uint64_t pages)
{
    struct tlb *tlb = &here->native->model->tlb;
    uint64_t end = first + pages * PAGE_SIZE;

    for (const struct guest_physical *g = guest_physical_next(tlb, NULL); g; g = guest_physical_next(tlb, g))
        if (g->leaf && !g->shadowed && g->address < end && first < g->address + guest_physical_span(g->level)) {
            report_taken_away(here, g->address > first ? g->address : first, g->cpu);
            return;
        }
    for (const struct tlb_entry *e = tlb_next(tlb, NULL); e; e = tlb_next(tlb, e))
        if (of_guest(e) && e->mapping.pa_page - first < pages * PAGE_SIZE) {
            report_taken_away(here, e->mapping.pa_page, e->cpu);
            return;
        }
}

/* ---- R10 ---- */

static void note_tags(struct native_cpu *here, const struct vmcs *v)
{
    const uint16_t vpid = (uint16_t)VMCS(v, virtual_processor_identifier);

    if (here->level < 2)
        here->root01 = VMCS(v, ept_pointer) & PAGE_MASK;
    else if (secondary_controls(v) & PROC2_enable_vpid)
        here->vpid02[vpid / 8] |= (uint8_t)(1u << vpid % 8);
}

static void report_not_returned(struct native_cpu *here, uint64_t root, uint64_t address)
{
    rule_broken(here, RULE_RETURNED, root, address, "after L1's VMXOFF translations of L2's EPT are remembered [29.4.3.4]");
}

static bool in_pool(const struct native *native, uint64_t pa)
{
    return pa - native->pool_base < native->pool_pages * PAGE_SIZE;
}

/* L1 left VMX operation: its L2s are no more, nor is anything that was for them. Before L0 was loaded L1 may have had EPTs of its
 * own: L0's are in the pool. */
static void rule_returned(struct native_cpu *here)
{
    struct native *native = here->native;
    const struct tlb *tlb = &native->model->tlb;

    for (const struct tlb_entry *e = tlb_next(tlb, NULL); e; e = tlb_next(tlb, e)) {
        if (e->cpu != here->cpu->index)
            continue;
        if (here->vpid02[e->vpid / 8] >> e->vpid % 8 & 1)
            rule_broken(here, RULE_RETURNED, e->vpid, e->page, "after L1's VMXOFF translations of L2's VPID are remembered "
                        "[31.3, INVVPID]");
        else if (e->kind == MAPPING_COMBINED && e->eptrta != here->root01 / PAGE_SIZE)
            report_not_returned(here, e->eptrta * PAGE_SIZE, e->page);
        else
            continue;
        break;
    }
    for (const struct guest_physical *g = guest_physical_next(tlb, NULL); g; g = guest_physical_next(tlb, g)) {
        uint64_t root = g->eptp & PAGE_MASK & ~(0xfffull << 52);

        if (g->cpu != here->cpu->index || g->shadowed || root == here->root01 || !in_pool(native, root))
            continue;
        report_not_returned(here, root, g->gpa);
        break;
    }
    memset(here->vpid02, 0, sizeof here->vpid02);
    if (!native->in_vmx && native->pages_taken)
        rule_broken(here, RULE_RETURNED, (uint64_t)native->pages_taken, 0, "after L1's last VMXOFF pages are not back in the "
                    "pool [31.3, VMXOFF]");
}

void rules_vmx_operation(struct native_cpu *here, bool on)
{
    here->native->in_vmx += on ? 1 : -1;
    here->l1_in_vmx = on;
    if (!on)
        rule_returned(here);
}

/* R2: SDM Vol. 3, 25.11.1. What is active when the processor leaves VMX operation may be lost, or written back later. */
void rules_before_vmxoff(struct native_cpu *here)
{
    const struct vmcs_cache *cache = &here->native->model->vmcs_cache;

    for (unsigned i = 0; i < cache->used; i++)
        if (cache->vmcs[i].active && cache->vmcs[i].cpu == here->cpu->index) {
            rule_broken(here, RULE_ACTIVE_VMCS, cache->vmcs[i].pa, 0, "L0 executed VMXOFF while a VMCS was active: VMCLEAR "
                        "missing [25.11.1]");
            return;
        }
}

void rules_before_entry(struct native_cpu *here)
{
    const struct vmcs *v = here->cpu->vmx.current;
    if (!v)
        return;
    rule_released_tables(here);
    rule_owned_address(here, v);
    note_tags(here, v);
    rule_ordinary_entry(here, v);
}

/* A VM exit leaves these bits of CR0 as the guest had them (SDM Vol. 3, 28.5.1). */
#define CR0_NOT_LOADED (CR0_ET | CR0_NW | CR0_CD)

/* R5: what the exit loaded, against what the core said it would put into every host-state area (SDM Vol. 3, 28.5). */
void rules_after_exit(struct native_cpu *here)
{
    const struct hal_host_state *h = &here->host;
    const struct cpu *c = here->cpu;
    const struct { const char *text; uint64_t loaded, wanted; } row[] = {
        { "the exit loaded another CR0 than L0's [28.5.1]", c->cr0 & ~CR0_NOT_LOADED,
          h->cr0 & ~CR0_NOT_LOADED },
        { "the exit loaded another CR3 than L0's [28.5.1]", c->cr3, h->cr3 },
        { "the exit loaded another CR4 than L0's [28.5.1]", c->cr4, h->cr4 },
        { "the exit loaded another RIP than L0's [28.5.3]", c->rip, h->rip },
        { "the exit loaded another RSP than L0's [28.5.3]", c->gpr[RSP], h->rsp },
        { "the exit loaded another FS base than L0's [28.5.2]", c->seg[SEG_FS].base, h->fs_base },
        { "the exit loaded another GS base than L0's [28.5.2]", c->seg[SEG_GS].base, h->gs_base },
        { "the exit loaded another TR base than L0's [28.5.2]", c->seg[SEG_TR].base, h->tr_base },
        { "the exit loaded another GDTR base than L0's [28.5.2]", c->gdtr.base, h->gdtr_base },
        { "the exit loaded another IDTR base than L0's [28.5.2]", c->idtr.base, h->idtr_base },
        { "the exit loaded another CS than L0's [28.5.2]", c->seg[SEG_CS].selector, h->cs },
        { "the exit loaded another SS than L0's [28.5.2]", c->seg[SEG_SS].selector, h->ss },
        { "the exit loaded another ES than L0's [28.5.2]", c->seg[SEG_ES].selector, h->es },
        { "the exit loaded another DS than L0's [28.5.2]", c->seg[SEG_DS].selector, h->ds },
        { "the exit loaded another FS than L0's [28.5.2]", c->seg[SEG_FS].selector, h->fs },
        { "the exit loaded another GS than L0's [28.5.2]", c->seg[SEG_GS].selector, h->gs },
        { "the exit loaded another TR than L0's [28.5.2]", c->seg[SEG_TR].selector, h->tr },
        { "the exit loaded another IA32_EFER than L0's [28.5.1]", CPU_MSR(c, ia32_efer), h->efer },
        { "the exit loaded another IA32_PAT than L0's [28.5.1]", CPU_MSR(c, ia32_pat), h->pat },
        { "the exit loaded another IA32_SYSENTER_CS than L0's [28.5.1]", CPU_MSR(c, ia32_sysenter_cs), h->sysenter_cs },
        { "the exit loaded another IA32_SYSENTER_ESP than L0's [28.5.1]", CPU_MSR(c, ia32_sysenter_esp),
          h->sysenter_esp },
        { "the exit loaded another IA32_SYSENTER_EIP than L0's [28.5.1]", CPU_MSR(c, ia32_sysenter_eip),
          h->sysenter_eip },
    };
    if (!here->host_registered)
        rule_broken(here, RULE_HOST_STATE, 0, 0, "L0 entered a guest without asking for its host state");
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].loaded != row[i].wanted)
            rule_broken(here, RULE_HOST_STATE, row[i].loaded, row[i].wanted, row[i].text);
}

/* R9: an exit that the core neither handled, reflected nor refused was skipped. */
void rules_accounted(struct native_cpu *here)
{
    if (here->exited && !here->accounted)
        rule_broken(here, RULE_NAMED_FAILURE, 0, 0, "L0 entered again and said nothing about the exit before");
    here->exited = false;
}
