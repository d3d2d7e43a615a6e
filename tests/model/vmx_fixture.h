/* SPDX-License-Identifier: MIT */
/*
 * A machine for tests of VMX: processor 0 in 64-bit mode at CPL 0, in VMX operation, with a current VMCS that VM entry
 * accepts: a 64-bit host and a 64-bit guest, identity-mapped. Notices are counted.
 *
 * Physical memory, 2 MB:
 *   1000 VMXON region       2000 VMCS               3000 second region (the linked VMCS in tests of shadowing)
 *   4000 I/O bitmap A       5000 I/O bitmap B       6000 MSR bitmap     7000 VMREAD bitmap   8000 VMWRITE bitmap
 *   9000 MSR areas          10000 page tables: 4-level, linear = physical for the first GB    12000 PAE PDPTEs
 *   20000 EPT, identity, 1 GB                      30000 guest code, 31000 guest stack      40000 host code
 */
#ifndef SESQUI_TESTS_VMX_FIXTURE_H
#define SESQUI_TESTS_VMX_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "model/cpu/execute.h"
#include "model/model.h"
#include "model/vmx/check.h"
#include "model/vmx/vmx.h"

enum {
    FIXTURE_MEMORY = 2 << 20,
    FIXTURE_VMXON = 0x1000, FIXTURE_VMCS = 0x2000, FIXTURE_LINKED = 0x3000,
    FIXTURE_IO_A = 0x4000, FIXTURE_IO_B = 0x5000, FIXTURE_MSR_BITMAP = 0x6000,
    FIXTURE_VMREAD_BITMAP = 0x7000, FIXTURE_VMWRITE_BITMAP = 0x8000, FIXTURE_MSR_AREA = 0x9000,
    FIXTURE_CR3 = 0x10000, FIXTURE_PDPTES = 0x12000, FIXTURE_EPT = 0x20000,
    FIXTURE_GUEST_RIP = 0x30000, FIXTURE_GUEST_RSP = 0x31000, FIXTURE_HOST_RIP = 0x40000, FIXTURE_HOST_RSP = 0x41000,
    FIXTURE_FAILURES_MAX = 300,
};
#define FIXTURE_CR0 (CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define FIXTURE_CR4 (CR4_PAE | CR4_VMXE)
#define FIXTURE_EPTP (FIXTURE_EPT | 3 << 3 | MEMORY_WB)
#define FIXTURE_PAT 0x0007040600070406ull

struct vmx_fixture {
    struct model *model;
    struct cpu *cpu;            /* processor 0 */
    uint8_t *ram, *watch;
    const struct check *failed[FIXTURE_FAILURES_MAX];   /* rows that failed since fixture_forget() */
    unsigned failed_count;
    unsigned violations, mistakes;      /* broken rules; notices of what L1 did wrong */
    const char *violation;      /* text of the last one */
    uint64_t violation_rule;
    struct notice exit, entry_failed, shutdown, instruction, invalidate;    /* the last ones */
    unsigned exits, entries;
};

static inline void fixture_notify(void *context, const struct notice *notice)
{
    struct vmx_fixture *f = context;

    switch (notice->kind) {
    case NOTICE_CHECK_FAILED:
        ck_assert_uint_lt(f->failed_count, FIXTURE_FAILURES_MAX);
        f->failed[f->failed_count++] = notice->check;
        break;
    case NOTICE_VIOLATION:
        f->violations++;
        f->violation = notice->text;
        f->violation_rule = notice->a;
        break;
    case NOTICE_MISTAKE:
        f->mistakes++;
        break;
    case NOTICE_ENTRY:
        f->entries++;
        break;
    case NOTICE_ENTRY_FAILED:
        f->entry_failed = *notice;
        break;
    case NOTICE_EXIT:
        f->exits++;
        f->exit = *notice;
        break;
    case NOTICE_VMX_INSTRUCTION:
        f->instruction = *notice;
        break;
    case NOTICE_INVALIDATE:
        f->invalidate = *notice;
        break;
    case NOTICE_SHUTDOWN:
        f->shutdown = *notice;
        break;
    default:
        break;
    }
}

static inline void fixture_forget(struct vmx_fixture *f)
{
    f->failed_count = f->violations = f->exits = f->entries = 0;
    f->violation = NULL;
}

static inline void fixture_store64(struct vmx_fixture *f, uint64_t pa, uint64_t value)
{
    memory_write64(&f->model->memory, pa, value);
}

/* A region as software prepares it. */
static inline void fixture_region(struct vmx_fixture *f, uint64_t pa, uint32_t identifier)
{
    memset(f->ram + pa, 0, PAGE_SIZE);
    memory_write32(&f->model->memory, pa, identifier);
}

static inline void fixture_page_tables(struct vmx_fixture *f)
{
    fixture_store64(f, FIXTURE_CR3, (FIXTURE_CR3 + 0x1000) | 7);
    fixture_store64(f, FIXTURE_CR3 + 0x1000, 0x87);             /* 1 GB at 0, user, writable */
    for (unsigned i = 0; i < 4; i++)
        fixture_store64(f, FIXTURE_PDPTES + 8 * i, (FIXTURE_PDPTES + 0x1000) | 1);
    fixture_store64(f, FIXTURE_PDPTES + 0x1000, 0x87);          /* 2 MB at 0 */
    fixture_store64(f, FIXTURE_EPT, (FIXTURE_EPT + 0x1000) | 7);
    fixture_store64(f, FIXTURE_EPT + 0x1000, 0x80 | MEMORY_WB << 3 | 7);
}

/* A 64-bit operating system's processor state. */
static inline void fixture_processor(struct vmx_fixture *f, struct cpu *cpu)
{
    cpu_power_on(cpu);
    cpu->cr0 = FIXTURE_CR0;
    cpu->cr3 = FIXTURE_CR3;
    cpu->cr4 = FIXTURE_CR4;
    CPU_MSR(cpu, ia32_efer) = EFER_LME | EFER_LMA;
    CPU_MSR(cpu, ia32_pat) = FIXTURE_PAT;
    CPU_MSR(cpu, ia32_feature_control) = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu->seg[i] = (struct segment){ .selector = 0x10, .access_rights = 0xc093, .limit = 0xffffffff };
    cpu->seg[SEG_CS] = (struct segment){ .selector = 0x8, .access_rights = 0xa09b, .limit = 0xffffffff };
    cpu->seg[SEG_LDTR] = (struct segment){ .access_rights = AR_UNUSABLE };
    cpu->seg[SEG_TR] = (struct segment){ .selector = 0x18, .access_rights = 0x8b, .limit = 0x67 };
    cpu->rip = FIXTURE_HOST_RIP;
    cpu->gpr[RSP] = FIXTURE_HOST_RSP;
    cpu->rflags = RFLAGS_FIXED;
    cpu->activity = ACTIVITY_ACTIVE;
    (void)f;
}

static inline void fixture_controls(struct vmx_fixture *f, struct vmcs *v)
{
    const struct vmx_capability *c = &f->model->capability;

    VMCS(v, pin_based_controls) = c->pin.required;
    VMCS(v, processor_based_controls) = c->proc.required | PROC_activate_secondary_controls;
    VMCS(v, secondary_processor_based_controls) = PROC2_enable_rdtscp;
    VMCS(v, exit_controls) = c->exit.required | EXIT_host_address_space_size | EXIT_save_debug_controls |
                             EXIT_save_ia32_pat | EXIT_load_ia32_pat | EXIT_save_ia32_efer | EXIT_load_ia32_efer;
    VMCS(v, entry_controls) = c->entry.required | ENTRY_ia32e_mode_guest | ENTRY_load_debug_controls |
                              ENTRY_load_ia32_pat | ENTRY_load_ia32_efer;
    VMCS(v, io_bitmap_a_address) = FIXTURE_IO_A;
    VMCS(v, io_bitmap_b_address) = FIXTURE_IO_B;
    VMCS(v, msr_bitmap_address) = FIXTURE_MSR_BITMAP;
    VMCS(v, vmread_bitmap_address) = FIXTURE_VMREAD_BITMAP;
    VMCS(v, vmwrite_bitmap_address) = FIXTURE_VMWRITE_BITMAP;
    VMCS(v, virtual_processor_identifier) = 1;
    VMCS(v, ept_pointer) = FIXTURE_EPTP;
    VMCS(v, entry_msr_load_address) = FIXTURE_MSR_AREA;
    VMCS(v, exit_msr_store_address) = FIXTURE_MSR_AREA + 0x400;
    VMCS(v, exit_msr_load_address) = FIXTURE_MSR_AREA + 0x800;
}

static inline void fixture_host(struct vmcs *v)
{
    VMCS(v, host_cr0) = FIXTURE_CR0;
    VMCS(v, host_cr3) = FIXTURE_CR3;
    VMCS(v, host_cr4) = FIXTURE_CR4;
    VMCS(v, host_ia32_efer) = EFER_LME | EFER_LMA;
    VMCS(v, host_ia32_pat) = FIXTURE_PAT;
    VMCS(v, host_cs_selector) = 0x8;
    VMCS(v, host_ss_selector) = VMCS(v, host_ds_selector) = VMCS(v, host_es_selector) = 0x10;
    VMCS(v, host_fs_selector) = VMCS(v, host_gs_selector) = 0x10;
    VMCS(v, host_tr_selector) = 0x18;
    VMCS(v, host_rip) = FIXTURE_HOST_RIP;
    VMCS(v, host_rsp) = FIXTURE_HOST_RSP;
}

static inline void fixture_guest(struct vmcs *v)
{
    VMCS(v, vmcs_link_pointer) = ~0ull;
    VMCS(v, guest_cr0) = FIXTURE_CR0;
    VMCS(v, guest_cr3) = FIXTURE_CR3;
    VMCS(v, guest_cr4) = FIXTURE_CR4;
    VMCS(v, guest_dr7) = 0x400;
    VMCS(v, guest_ia32_efer) = EFER_LME | EFER_LMA;
    VMCS(v, guest_ia32_pat) = FIXTURE_PAT;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        v->field[FIELD_guest_es_selector + i] = 0x10;
        v->field[FIELD_guest_es_limit + i] = 0xffffffff;
        v->field[FIELD_guest_es_access_rights + i] = 0xc093;
    }
    VMCS(v, guest_cs_selector) = 0x8;
    VMCS(v, guest_cs_access_rights) = 0xa09b;
    VMCS(v, guest_ldtr_selector) = 0x20;
    VMCS(v, guest_ldtr_limit) = 0x67;
    VMCS(v, guest_ldtr_access_rights) = 0x82;
    VMCS(v, guest_tr_selector) = 0x18;
    VMCS(v, guest_tr_limit) = 0x67;
    VMCS(v, guest_tr_access_rights) = 0x8b;
    VMCS(v, guest_gdtr_limit) = VMCS(v, guest_idtr_limit) = 0xfff;
    VMCS(v, guest_rip) = FIXTURE_GUEST_RIP;
    VMCS(v, guest_rsp) = FIXTURE_GUEST_RSP;
    VMCS(v, guest_rflags) = RFLAGS_FIXED | RFLAGS_IF;
    for (unsigned i = 0; i < 4; i++)
        v->field[FIELD_guest_pdpte0 + i] = (FIXTURE_PDPTES + 0x1000) | 1;
}

/* Every field of an active VMCS as the fixture wants it; the rest 0. */
static inline void fixture_fill(struct vmx_fixture *f, struct vmcs *v)
{
    memset(v->field, 0, sizeof(v->field));
    fixture_controls(f, v);
    fixture_host(v);
    fixture_guest(v);
}

/* Makes the region at `pa` the current VMCS of `cpu`, valid and clear. */
static inline struct vmcs *fixture_vmcs(struct vmx_fixture *f, struct cpu *cpu, uint64_t pa)
{
    fixture_region(f, pa, VMCS_REVISION);
    ck_assert_int_eq(vmx_vmclear(cpu, pa), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmptrld(cpu, pa), VMX_SUCCEED);
    fixture_fill(f, cpu->vmx.current);
    return cpu->vmx.current;
}

/* The machine without any VMCS; processor 0 is not yet in VMX operation. */
static inline void fixture_open_bare(struct vmx_fixture *f, unsigned cpus)
{
    memset(f, 0, sizeof(*f));
    f->model = calloc(1, sizeof(*f->model));
    f->ram = calloc(1, FIXTURE_MEMORY);
    f->watch = calloc(1, FIXTURE_MEMORY / PAGE_SIZE);
    ck_assert(f->model && f->ram && f->watch);
    memory_init(&f->model->memory, f->ram, FIXTURE_MEMORY, f->watch);
    f->model->observer.context = f;
    f->model->observer.notify = fixture_notify;
    model_init(f->model, cpus);
    f->cpu = &f->model->cpu[0];
    fixture_page_tables(f);
    for (unsigned i = 0; i < cpus; i++)
        fixture_processor(f, &f->model->cpu[i]);
    fixture_region(f, FIXTURE_VMXON, VMCS_REVISION);
}

static inline void fixture_open(struct vmx_fixture *f)
{
    fixture_open_bare(f, 1);
    ck_assert_int_eq(vmx_vmxon(f->cpu, FIXTURE_VMXON), VMX_SUCCEED);
    fixture_vmcs(f, f->cpu, FIXTURE_VMCS);
}

static inline void fixture_close(struct vmx_fixture *f)
{
    free(f->model);
    free(f->ram);
    free(f->watch);
}

/* VMLAUNCH that must succeed. */
static inline void fixture_enter(struct vmx_fixture *f)
{
    vmx_result result = 99;

    ck_assert_int_eq(vmx_enter(f->cpu, true, &result), STATUS_VM_ENTRY);
    ck_assert_int_eq(result, VMX_SUCCEED);
    ck_assert(f->cpu->vmx.non_root);
    ck_assert(f->cpu->vmx.ept || !f->cpu->vmx.eptp);
}

static inline void fixture_exit(struct vmx_fixture *f, uint32_t reason)
{
    struct exit_information information = { .reason = reason };

    ck_assert_int_eq(vmx_exit(f->cpu, &information), STATUS_VM_EXIT);
    ck_assert(!f->cpu->vmx.non_root);
    ck_assert(f->cpu->intercepts == 0 && f->cpu->vmx.eptp == 0);
}

#endif
