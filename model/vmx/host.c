/* SPDX-License-Identifier: MIT */
/* The host-state area, loaded by VM exits and by VM entries that fail late: SDM Vol. 3, 28.5 "Loading Host State". */
#include "model/cpu/translate.h"
#include "model/vmx/internal.h"

static void load_control_registers(struct cpu *cpu, const struct vmcs *v, bool host64)
{
    uint64_t width = (1ull << cpu->model->physical_address_width) - 1;

    cpu->cr0 = (cpu->cr0 & CR0_UNMODIFIED) | (VMCS(v, host_cr0) & ~CR0_UNMODIFIED);
    cpu->cr3 = VMCS(v, host_cr3) & width;
    cpu->cr4 = host64 ? VMCS(v, host_cr4) | CR4_PAE : VMCS(v, host_cr4) & ~CR4_PCIDE;
    cpu->dr7 = 1u << 10;
}

#define ALWAYS true
#define ON(control) (controls & (control))
#define HOST(field) VMCS(v, field)
#define CLEARED 0

static void load_msrs(struct cpu *cpu, const struct vmcs *v, bool host64)
{
    const uint32_t controls = exit_controls(v);
    uint64_t *efer = &CPU_MSR(cpu, ia32_efer);

#define MOVED(state, guest, on_entry, on_save, loaded, on_exit) if (on_exit) state = loaded;
#include "model/vmx/transitions.def"
    if (ON(EXIT_load_ia32_efer))
        *efer = VMCS(v, host_ia32_efer);
    else
        *efer = (*efer & ~(EFER_LMA | EFER_LME)) | (host64 ? EFER_LMA | EFER_LME : 0);
}

/* Flat 4-GByte segments; those with a null selector are unusable, except CS and TR, which cannot have one (28.5.2). */
static void load_segments(struct cpu *cpu, const struct vmcs *v, bool host64)
{
    static const uint8_t data[] = { SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

    for (unsigned i = 0; i < sizeof(data); i++) {
        uint16_t selector = (uint16_t)v->field[FIELD_host_es_selector + data[i]];

        cpu->seg[data[i]] = (struct segment){
            .selector = selector, .limit = 0xffffffff,
            .access_rights = selector ? 0x3 | AR_S | AR_PRESENT | AR_DB | AR_G : AR_UNUSABLE,
        };
    }
    cpu->seg[SEG_FS].base = VMCS(v, host_fs_base);
    cpu->seg[SEG_GS].base = VMCS(v, host_gs_base);
    cpu->seg[SEG_CS] = (struct segment){
        .selector = (uint16_t)VMCS(v, host_cs_selector), .limit = 0xffffffff,
        .access_rights = 0xb | AR_S | AR_PRESENT | AR_G | (host64 ? AR_L : AR_DB),
    };
    cpu->seg[SEG_TR] = (struct segment){
        .selector = (uint16_t)VMCS(v, host_tr_selector), .base = VMCS(v, host_tr_base), .limit = 0x67,
        .access_rights = 0xb | AR_PRESENT,
    };
    cpu->seg[SEG_LDTR] = (struct segment){ .access_rights = AR_UNUSABLE };
    cpu->gdtr = (struct table_register){ VMCS(v, host_gdtr_base), 0xffff };
    cpu->idtr = (struct table_register){ VMCS(v, host_idtr_base), 0xffff };
}

uint32_t host_load(struct cpu *cpu, const struct vmcs *v)
{
    bool host64 = exit_controls(v) & EXIT_host_address_space_size;
    enum status status = STATUS_OK;
    uint64_t address, entry;

    load_control_registers(cpu, v, host64);
    load_msrs(cpu, v, host64);
    load_segments(cpu, v, host64);
    cpu->rip = VMCS(v, host_rip);
    cpu->gpr[RSP] = VMCS(v, host_rsp);
    cpu->rflags = RFLAGS_FIXED;
    /* 28.5.4: a host with PAE paging. */
    if (pae_paging(cpu->cr0, cpu->cr4, CPU_MSR(cpu, ia32_efer)) &&
        (!load_pdptes(cpu, cpu->cr3, &status, &address, &entry) || status != STATUS_OK))
        return ABORT_HOST_PDPTE;
    return 0;
}
