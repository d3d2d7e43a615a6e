/* SPDX-License-Identifier: MIT */
/*
 * The guest-state area: loaded by VM entry (SDM Vol. 3, 27.3.2 "Loading Guest State"), saved by VM exit (28.3 "Saving
 * Guest State"). Segments travel as they are, unusable ones too: what the SDM leaves undefined of them is kept.
 */
#include "model/vmx/internal.h"

static void load_control_registers(struct cpu *cpu, const struct vmcs *v)
{
    cpu->cr0 = (cpu->cr0 & CR0_UNMODIFIED) | (VMCS(v, guest_cr0) & ~CR0_UNMODIFIED);
    cpu->cr3 = VMCS(v, guest_cr3);
    cpu->cr4 = VMCS(v, guest_cr4);
}

#define ALWAYS true
#define NEVER false
#define ON(control) (controls & (control))
#define OFFERED(control) capability_control_allowed(&cpu->model->capability, (control))

static void load_msrs(struct cpu *cpu, const struct vmcs *v)
{
    const uint32_t controls = entry_controls(v);
    bool ia32e = ON(ENTRY_ia32e_mode_guest);
    uint64_t *efer = &CPU_MSR(cpu, ia32_efer);

    /* DR7 bits 12 and 15:14 are always 0, bit 10 always 1. */
    if (ON(ENTRY_load_debug_controls))
        cpu->dr7 = (VMCS(v, guest_dr7) & ~0xd000ull) | 1u << 10;
#define MOVED(state, guest, on_entry, on_save, loaded, on_exit) if (on_entry) state = VMCS(v, guest);
#include "model/vmx/transitions.def"
    if (ON(ENTRY_load_ia32_efer)) {
        *efer = VMCS(v, guest_ia32_efer);
    } else {
        *efer = (*efer & ~EFER_LMA) | (ia32e ? EFER_LMA : 0);
        if (cpu->cr0 & CR0_PG)
            *efer = (*efer & ~EFER_LME) | (ia32e ? EFER_LME : 0);
    }
}

/* 27.3.2.4: the checks have seen the same four entries. */
static void load_page_directory_pointers(struct cpu *cpu, const struct vmcs *v)
{
    if (!pae_paging(cpu->cr0, cpu->cr4, CPU_MSR(cpu, ia32_efer)))
        return;
    for (unsigned i = 0; i < 4; i++)
        cpu->pdpte[i] = proc2_controls(v) & PROC2_enable_ept
            ? v->field[FIELD_guest_pdpte0 + i]
            : memory_read64(&cpu->model->memory, (cpu->cr3 & 0xffffffe0) + 8 * i);
}

void guest_load(struct cpu *cpu, const struct vmcs *v)
{
    load_control_registers(cpu, v);
    load_msrs(cpu, v);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu->seg[i] = (struct segment){
            .selector = (uint16_t)v->field[FIELD_guest_es_selector + i],
            .base = v->field[FIELD_guest_es_base + i],
            .limit = (uint32_t)v->field[FIELD_guest_es_limit + i],
            .access_rights = (uint32_t)v->field[FIELD_guest_es_access_rights + i],
        };
    cpu->gdtr = (struct table_register){ VMCS(v, guest_gdtr_base), (uint32_t)VMCS(v, guest_gdtr_limit) };
    cpu->idtr = (struct table_register){ VMCS(v, guest_idtr_base), (uint32_t)VMCS(v, guest_idtr_limit) };
    cpu->rip = VMCS(v, guest_rip);
    cpu->gpr[RSP] = VMCS(v, guest_rsp);
    cpu->rflags = VMCS(v, guest_rflags);
    load_page_directory_pointers(cpu, v);
    cpu->interruptibility = (uint32_t)VMCS(v, guest_interruptibility_state);
    cpu->activity = (uint32_t)VMCS(v, guest_activity_state);
    cpu->pending_debug = VMCS(v, guest_pending_debug_exceptions);
}

static void save_msrs(const struct cpu *cpu, struct vmcs *v)
{
    const uint32_t controls = exit_controls(v);

    if (ON(EXIT_save_debug_controls))
        VMCS(v, guest_dr7) = cpu->dr7;
#define MOVED(state, guest, on_entry, on_save, loaded, on_exit) if (on_save) VMCS(v, guest) = state;
#include "model/vmx/transitions.def"
    if (ON(EXIT_save_ia32_efer))
        VMCS(v, guest_ia32_efer) = CPU_MSR(cpu, ia32_efer);
    if (!capability_misc(&cpu->model->capability, CAPABILITY_MISC_stores_lma))
        return;
    /* 28.2: EFER.LMA goes to the "IA-32e mode guest" control. */
    VMCS(v, entry_controls) &= ~(uint64_t)ENTRY_ia32e_mode_guest;
    if (cpu_long_mode(cpu))
        VMCS(v, entry_controls) |= ENTRY_ia32e_mode_guest;
}

void guest_save(const struct cpu *cpu, struct vmcs *v)
{
    VMCS(v, guest_cr0) = cpu->cr0;
    VMCS(v, guest_cr3) = cpu->cr3;
    VMCS(v, guest_cr4) = cpu->cr4;
    save_msrs(cpu, v);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        v->field[FIELD_guest_es_selector + i] = cpu->seg[i].selector;
        v->field[FIELD_guest_es_base + i] = cpu->seg[i].base;
        v->field[FIELD_guest_es_limit + i] = cpu->seg[i].limit;
        v->field[FIELD_guest_es_access_rights + i] = cpu->seg[i].access_rights;
    }
    VMCS(v, guest_gdtr_base) = cpu->gdtr.base;
    VMCS(v, guest_gdtr_limit) = cpu->gdtr.limit;
    VMCS(v, guest_idtr_base) = cpu->idtr.base;
    VMCS(v, guest_idtr_limit) = cpu->idtr.limit;
    VMCS(v, guest_rip) = cpu->rip;
    VMCS(v, guest_rsp) = cpu->gpr[RSP];
    VMCS(v, guest_rflags) = cpu->rflags;
    if (cpu->vmx.ept && pae_paging(cpu->cr0, cpu->cr4, CPU_MSR(cpu, ia32_efer)))
        for (unsigned i = 0; i < 4; i++)
            v->field[FIELD_guest_pdpte0 + i] = cpu->pdpte[i];
    VMCS(v, guest_interruptibility_state) = cpu->interruptibility;
    VMCS(v, guest_activity_state) = cpu->activity;
    VMCS(v, guest_pending_debug_exceptions) = cpu->pending_debug;
    if (exit_controls(v) & EXIT_save_preemption_timer)
        VMCS(v, preemption_timer_value) = timer_value(cpu, v);
}
