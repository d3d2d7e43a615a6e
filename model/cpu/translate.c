/* SPDX-License-Identifier: MIT */
/* Translation of linear addresses: what is remembered first, then a walk; and what a failure means for the program. */
#include "model/cpu/translate.h"

#include <stddef.h>

#include "model/cpu/raise.h"
#include "model/cpu/walk.h"
#include "model/ept/ept.h"
#include "model/model.h"
#include "model/vmx/apic.h"
#include "model/vmx/vmx.h"

#define EPT_ROOT 0x000ffffffffff000ull          /* of an EPT pointer: bits 51:12 */

/* A broken rule R4: b = guest-physical, c = physical, d = linear address. */
static void report(struct cpu *cpu, uint64_t linear, uint64_t gpa, uint64_t pa, const struct stale_entry *stale, const char *text)
{
    cpu_notify(cpu, &(struct notice){ .kind = NOTICE_VIOLATION, .a = RULE_ISOLATION, .b = gpa, .c = pa, .d = linear,
                                      .stale = stale, .text = text });
}

void translation_reaches(struct cpu *cpu, uint64_t linear, uint64_t gpa, uint64_t pa)
{
    const struct memory *memory = &cpu->model->memory;
    /* A hypervisor that runs its guests before L0 comes beneath it owns all of the machine. */
    size_t page = cpu->vmx.non_root && cpu->settled ? memory_page_index(memory, pa) : SIZE_MAX;

    if (page != SIZE_MAX && (memory->watch[page] & WATCH_PRIVATE))
        report(cpu, linear, gpa, pa, NULL, "a translation in non-root operation reaches a page that is no guest's");
}

static bool says_the_same(const struct mapping *a, const struct mapping *b)
{
    return a->pa_page == b->pa_page && a->ept_rights == b->ept_rights && a->user == b->user &&
           a->writable == b->writable && a->execute_disable == b->execute_disable;
}

/* The first EPT entry on the way to the page that has changed since the walk was made: the last part of the trail, from the root
 * of the EPT on. */
static struct stale_entry changed_entry(const struct cpu *cpu, uint64_t linear, const struct mapping *mapping,
                                        const struct trail *trail)
{
    struct stale_entry stale = { .eptp = trail->eptp, .gpa = mapping->gpa_page | (linear & ~PAGE_MASK), .linear = linear };
    unsigned i = trail->count;

    while (i > 0 && (trail->step[i - 1].pa ^ trail->eptp) & EPT_ROOT)
        i--;
    stale.level = ept_levels(trail->eptp) + 1;
    for (i -= i > 0; i < trail->count && stale.present == stale.remembered; i++) {
        stale.pa = trail->step[i].pa;
        stale.remembered = trail->step[i].value;
        stale.present = memory_read64(&cpu->model->memory, stale.pa);
        stale.level--;
    }
    return stale;
}

/*
 * A remembered translation serves an access: would a walk still find it?  The trail tells, nearly always. Stale guest paging is
 * the guest's own business until it invalidates; a stale second stage means that whoever changed EPT did not execute INVEPT.
 * `used`: the policy has it used; otherwise another processor might use it.
 */
static void look_for_staleness(struct cpu *cpu, uint64_t linear, struct access access, const struct mapping *mapping,
                               struct trail *trail, bool used)
{
    struct mapping fresh;
    struct trail fresh_trail;
    struct access probe = access;
    struct ept_translation at;
    struct stale_entry stale;

    if (trail_holds(cpu, linear, trail)) {
        trail->seen.stay = 0;
        return;
    }
    probe.probe = true;
    if (paging_walk(cpu, linear, probe, &fresh, &fresh_trail).result == TRANSLATION_OK &&
        fresh.pa_page == mapping->pa_page && !(mapping->ept_rights & ~fresh.ept_rights) &&
        !(paging_rights(cpu, mapping, access) & ~paging_rights(cpu, &fresh, access))) {
        if (says_the_same(mapping, &fresh))     /* a dirty flag, say, was set through another page of a large one */
            trail_copy(trail, &fresh_trail);
        return;
    }
    cpu->model->tlb.stale_uses += used;
    if (!cpu->vmx.ept)
        return;
    at = ept_walk(cpu, cpu->vmx.eptp, mapping->gpa_page, (struct ept_access){
        .kind = access.kind, .linear_valid = true, .probe = true, .linear = linear,
        .page = mapping_page_bits(mapping) });
    if (at.result == TRANSLATION_OK && (at.pa & PAGE_MASK) == mapping->pa_page && !(mapping->ept_rights & ~at.rights))
        return;
    if (!cpu->settled && !shootdown_missed(cpu, cpu->stay, &trail->seen, false))
        return;
    stale = changed_entry(cpu, linear, mapping, trail);
    stale.reaches = at.result == TRANSLATION_OK;
    stale.pa_now = at.pa;
    stale.rights_now = at.rights;
    report(cpu, linear, mapping->gpa_page, mapping->pa_page, &stale, "a remembered translation was used after its EPT entry had "
                                 "changed: INVEPT is missing [29.4.3.4]");
    if (!used)                          /* nor is what EPT alone says of the page any longer remembered */
        tlb_drop_gpa(cpu, cpu->vmx.eptp, mapping->gpa_page);
}

/* What `mapping` means for an access that it permits. */
static struct translation translated(struct cpu *cpu, uint64_t linear, struct access access,
                                     const struct mapping *mapping)
{
    bool apic = apic_access_hits(cpu, mapping->pa_page);

    if (!access.probe)
        translation_reaches(cpu, linear, mapping->gpa_page, mapping->pa_page);
    return (struct translation){
        .result = apic ? TRANSLATION_APIC_ACCESS : TRANSLATION_OK,
        .qualification = apic ? apic_access_linear(cpu, access.kind, linear) : 0,
        .pa = mapping->pa_page | (linear & ~PAGE_MASK),
        .rights = mapping_rights(cpu, mapping, access),
        .gpa = mapping->gpa_page | (linear & ~PAGE_MASK),
    };
}

/* A walk, remembered. `dropped`: a remembered mapping did not serve and is gone. */
static struct translation walk(struct cpu *cpu, uint64_t linear, struct access access, const struct mapping *dropped)
{
    bool remember = !access.probe && (cpu->cr0 & CR0_PG);      /* with paging off, EPT's part is all there is */
    struct mapping mapping;
    struct trail trail;
    struct translation translation = paging_walk(cpu, linear, access, &mapping, remember ? &trail : NULL);

    if (translation.result != TRANSLATION_OK) {
        if (dropped)
            cpu->model->tlb.generation++;
        return translation;
    }
    if (dropped && dropped->pa_page != mapping.pa_page)
        cpu->model->tlb.generation++;
    if (remember)
        tlb_insert(cpu, linear, &mapping, &trail);
    return translated(cpu, linear, access, &mapping);
}

struct translation translate(struct cpu *cpu, uint64_t linear, struct access access)
{
    struct tlb_entry *entry;
    struct mapping mapping;
    bool serves, used;

    if (!cpu_long_mode(cpu))
        linear &= 0xffffffff;
    else if (!linear_canonical(cpu, linear))
        return (struct translation){ .result = TRANSLATION_NOT_CANONICAL };
    entry = access.probe || !(cpu->cr0 & CR0_PG) ? NULL : tlb_find(cpu, linear);
    if (!entry)
        return walk(cpu, linear, access, NULL);
    mapping = entry->mapping;
    serves = mapping_rights(cpu, &mapping, access) & access_right(access.kind);
    used = serves && tlb_use(&cpu->model->tlb);
    if (serves)
        look_for_staleness(cpu, linear, access, &mapping, tlb_trail(&cpu->model->tlb, entry), used);
    if (!used) {
        tlb_drop(cpu, entry);
        return walk(cpu, linear, access, &mapping);
    }
    if (cpu->vmx.shadowed_eptp && cpu->vmx.ept)
        ept_watch_shadowed(cpu, mapping.gpa_page, (struct ept_access){
            .kind = access.kind, .linear_valid = true, .linear = linear, .page = mapping_page_bits(&mapping) });
    return translated(cpu, linear, access, &mapping);
}

/* ---- what a failure means ---- */

/*
 * 26.5.7 "Virtualization Exceptions": a convertible violation becomes a #VE unless an event is being delivered or the
 * information area is still in use.
 */
static bool becomes_virtualization_exception(const struct cpu *cpu, const struct translation *translation)
{
    return translation->convertible && (cpu_proc2_controls(cpu) & PROC2_ept_violation_ve) && cpu_protected(cpu) &&
           !cpu->event.valid &&
           !memory_read32(&cpu->model->memory, VMCS(cpu->vmx.current, virtualization_exception_address) + 4);
}

/* 26.5.7.2: the information is saved whether or not the exception bitmap then makes the #VE a VM exit. */
static enum status virtualization_exception(struct cpu *cpu, const struct exit_information *violation)
{
    const struct vmcs *v = cpu->vmx.current;
    struct {
        uint32_t reason, busy;
        uint64_t qualification, guest_linear_address, guest_physical_address, eptp_index;
    } area = {
        violation->reason, 0xffffffff, violation->qualification, violation->guest_linear_address,
        violation->guest_physical_address, VMCS(v, eptp_index),
    };
    enum { LENGTH = offsetof(__typeof__(area), eptp_index) + 2 };

    physical_write(cpu, VMCS(v, virtualization_exception_address), &area, LENGTH);
    return cpu_fault(cpu, VECTOR_VE, 0);
}

enum status translation_fault(struct cpu *cpu, uint64_t linear, const struct translation *translation, bool stack)
{
    uint64_t unblocking = cpu_iret_unblocked_nmi(cpu) && !cpu->event.valid ? EPT_VIOLATION_NMI_UNBLOCKING : 0;
    struct exit_information information = { .guest_physical_address = translation->gpa };

    switch (translation->result) {
    case TRANSLATION_OK:
        return STATUS_OK;
    case TRANSLATION_PAGE_FAULT:
        return cpu_page_fault(cpu, linear, translation->error_code);
    case TRANSLATION_NOT_CANONICAL:
        return cpu_fault(cpu, stack ? VECTOR_SS : VECTOR_GP, 0);
    case TRANSLATION_EPT_VIOLATION:
        information.reason = EXIT_REASON_ept_violation;
        information.qualification = translation->qualification | unblocking;
        if (translation->qualification & EPT_VIOLATION_LINEAR_VALID)
            information.guest_linear_address = linear;
        cpu_notify(cpu, &(struct notice){ .kind = NOTICE_EPT_VIOLATION, .a = translation->gpa,
                                          .b = information.qualification, .c = linear });
        if (becomes_virtualization_exception(cpu, translation))
            return virtualization_exception(cpu, &information);
        break;
    case TRANSLATION_EPT_MISCONFIGURATION:
        information.reason = EXIT_REASON_ept_misconfiguration;
        break;
    case TRANSLATION_PML_FULL:
        information = (struct exit_information){ .reason = EXIT_REASON_page_modification_log_full,
                                                 .qualification = unblocking };
        break;
    case TRANSLATION_APIC_ACCESS:
        information.reason = EXIT_REASON_apic_access;
        information.qualification = translation->qualification;
        information.guest_physical_address = 0;
        information.instruction_length = translation->instruction_length;
        break;
    }
    /* 28.3.3: RF is saved as 1, as a fault would; during delivery, as the event's own image would have it. */
    if (!cpu->event.valid)
        cpu->rflags |= RFLAGS_RF;
    return cpu_vm_exit(cpu, &information);
}
