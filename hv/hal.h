/* SPDX-License-Identifier: MIT */
/*
 * The one seam between the hypervisor core and what runs it: some fifty primitives, all of them used by the core, each about one instruction. The back
 * end is chosen at link time: hv/x86/ (the metal) or emu/native/ (the model). hv/ includes this file and no other header
 * from outside its own folder but arch/ (facts without code). Each primitive acts on the processor that executes it.
 */
#ifndef SESQUI_HV_HAL_H
#define SESQUI_HV_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/vmx.h"
#include "arch/x86.h"

/* ---- addresses are typed, so that every shortcut "guest-physical = physical" is visible ---- */
typedef struct { uint64_t value; } physical_address;
typedef struct { uint64_t value; } guest_physical;
#define PA(v) ((physical_address){ (v) })
#define GPA(v) ((guest_physical){ (v) })

/* ---- identity and capability ---- */
struct hal_cpuid { uint32_t eax, ebx, ecx, edx; };
struct hal_cpuid hal_cpuid(uint32_t leaf, uint32_t subleaf);
unsigned hal_cpu_index(void);
unsigned hal_cpu_count(void);
void *hal_cpu_local(void);                      /* HAL_CPU_LOCAL_SIZE bytes, zeroed at start, this processor's own */
void *hal_machine_local(void);                  /* HAL_MACHINE_LOCAL_SIZE bytes, zeroed at start, shared */
enum { HAL_CPU_LOCAL_SIZE = 65536, HAL_MACHINE_LOCAL_SIZE = 65536 };
bool hal_rdmsr(uint32_t index, uint64_t *value);    /* false: #GP */
bool hal_wrmsr(uint32_t index, uint64_t value);     /* false: #GP */
uint64_t hal_read_cr4(void);
void hal_write_cr2(uint64_t value);
void hal_write_cr4(uint64_t value);
bool hal_xsetbv(uint32_t index, uint64_t value);    /* false: #GP */
uint64_t hal_read_dr(unsigned number);          /* DR0-3 */
void hal_write_dr(unsigned number, uint64_t value);  /* DR0-3, DR6 */
void hal_forget_nmi(void);                      /* NMIs are not blocked any more, and one that waited is gone */
void hal_pause(void);                           /* waits for another processor, with no lock held */
_Noreturn void hal_fail_stop(const char *reason);   /* L0 cannot go on: one line, then everything stops */

/* ---- VMX instructions: 0 VMsucceed, -1 VMfailInvalid, -2 VMfailValid (number: VM-instruction error field) ---- */
/* Of hal_enter() alone, and as bits: HAL_NMI, HAL_MACHINE_CHECK. */
enum hal_result { HAL_OK = 0, HAL_FAIL_INVALID = -1, HAL_FAIL_VALID = -2, HAL_NMI = 1, HAL_MACHINE_CHECK = 2 };
enum hal_result hal_vmxon(physical_address region);
void hal_vmxoff(void);
enum hal_result hal_vmclear(physical_address vmcs);
enum hal_result hal_vmptrld(physical_address vmcs);
/* Of fields that the current VMCS has: VMfail is a defect of L0, and stops it. */
uint64_t hal_vmread(enum vmcs_encoding field);
void hal_vmwrite(enum vmcs_encoding field, uint64_t value);
enum hal_result hal_invept(uint64_t type, uint64_t eptp);
enum hal_result hal_invvpid(uint64_t type, uint16_t vpid, uint64_t linear);

/* What the VMCS does not hold of the guest: the core's copy, exchanged with the processor by hal_enter(). */
struct hal_registers { uint64_t gpr[GPR_COUNT]; };     /* gpr[RSP] is unused: it is in the VMCS */
/*
 * VMLAUNCH or VMRESUME of the current VMCS; returns at the next VM exit, with the guest's registers in the block. A failed
 * entry with exit-reason bit 31 is HAL_OK (an exit). HAL_FAIL_*: nothing ran. HAL_NMI, HAL_MACHINE_CHECK, or both: nothing ran, for such came
 * since L0 runs, and L0 has to see that its guest gets it. It is told once. L0 runs with CR4.MCE, where there is machine-check exception.
 */
enum hal_result hal_enter(struct hal_registers *registers, bool launch);
/* What hal_enter() will return to: the core asks for the host state it must put into every VMCS. */
struct hal_host_state {
    uint64_t cr0, cr3, cr4, rip, rsp, fs_base, gs_base, tr_base, gdtr_base, idtr_base;
    uint64_t efer, pat, sysenter_cs, sysenter_esp, sysenter_eip;
    uint16_t es, cs, ss, ds, fs, gs, tr;
};
void hal_host_state(struct hal_host_state *state);
/*
 * The processor's state for its first deprivileged life. From power-on: the reset state or what a loader prepared. Late
 * load (returns twice, like setjmp, on the metal): the state of the caller. False: this back end cannot.
 */
struct hal_table { uint64_t base; uint16_t limit; };
struct hal_guest_segment { uint16_t selector; uint32_t access_rights, limit; uint64_t base; };
struct hal_capture {
    struct hal_registers registers;
    uint64_t rip, rsp, rflags, cr0, cr3, cr4, dr7, efer, pat, debugctl;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    struct hal_guest_segment segment[SEG_COUNT];
    struct hal_table gdtr, idtr;
    uint32_t activity;                          /* enum activity_state */
    bool late;                                  /* late load: the guest asked for L0 (hv/late.c) */
    bool rolls_back;                            /* the guest itself takes other processors back when one's load fails */
    uint64_t passage;                           /* where its paging must map the pool's beginning for hal_release(); 0: nowhere */
    bool nmi;                                   /* of hal_release(): an NMI came to L0 that is the guest's */
};
bool hal_capture(struct hal_capture *capture);
/* The inverse, after VMXOFF: the guest goes on from this state, without L0; in IA-32e mode, with NMIs not blocked. */
_Noreturn void hal_release(const struct hal_capture *state);

/* ---- barriers, each recorded by the model ---- */
void hal_prediction_barrier(void);
void hal_flush_l1d(void);                       /* these two where CPUID has them: hv/barrier.c */
void hal_clear_buffers(void);

/* ---- physical memory: false = not RAM, or not accessible ---- */
bool hal_pm_read(physical_address pa, void *to, size_t length);         /* whole, once: never re-read by the back end */
bool hal_pm_write(physical_address pa, const void *from, size_t length);
bool hal_pm_read64(physical_address pa, uint64_t *value);               /* pa is 8-byte aligned: one access */
bool hal_pm_write64(physical_address pa, uint64_t value);
bool hal_pm_write32(physical_address pa, uint32_t value);
bool hal_pm_compare_exchange64(physical_address pa, uint64_t *expected, uint64_t desired);
bool hal_pm_zero_page(physical_address pa);
/*
 * What L0 reads a guest's memory for, said before it does. Between two entries each datum is read once (rule R8); the
 * address alone does not tell, for a guest may put two of its structures in one place.
 */
enum hal_datum { HAL_DATUM_OPERAND, HAL_DATUM_PAGING_ENTRY, HAL_DATUM_REGION, HAL_DATUM_BITMAP, HAL_DATUM_ENTRY_MSR_LIST,
                 HAL_DATUM_EXIT_MSR_STORE_LIST, HAL_DATUM_EXIT_MSR_LOAD_LIST };
void hal_reading(enum hal_datum datum);
/* L0's pool: reserved in the memory map from power-on. Pages come zeroed. Value 0: the pool is empty. */
physical_address hal_page_allocate(void);
void hal_page_free(physical_address page);
/* Of the pages taken since this processor's first entry, L0 keeps so many whatever L1 gives up (rule R10). */
void hal_keep(uint64_t pages);
struct hal_range { physical_address base; uint64_t size; };
struct hal_range hal_pool(void);                /* the whole pool: what no guest may reach */
/* The machine's RAM, range by range; false past the last one. */
bool hal_ram(unsigned index, struct hal_range *range);
void hal_write_back_invalidate(void);
void hal_fence(void);

/* ---- other processors ---- */
enum hal_kick { HAL_KICK_INIT, HAL_KICK_NMI };
/* False: there is no such processor, or (as far as the back end can see) an INIT waits there already and comes out instead. */
bool hal_kick(unsigned cpu, enum hal_kick kind);
void hal_lock(uint32_t *lock);                  /* in machine-local memory */
void hal_unlock(uint32_t *lock);

/* ---- devices ---- */
bool hal_mmio_read32(physical_address pa, uint32_t *value);
bool hal_mmio_write32(physical_address pa, uint32_t value);

/* ---- what the core tells: no formatting here ---- */
enum hal_event {
    HAL_EVENT_LEVEL,            /* from now on enter() runs level a (1, 2) on VMCS b; c: the EPT pointer that L1 gave L2, or 0 */
    HAL_EVENT_HANDLED,          /* an exit with reason a was handled by L0 itself */
    HAL_EVENT_REFLECT,          /* an exit with reason a, qualification b, guest-physical address c of L2 goes to L1; d = EPTP12 */
    HAL_EVENT_NESTED_ENTRY,     /* L1's VMLAUNCH (a = 1) or VMRESUME of vmcs12 at b */
    HAL_EVENT_NESTED_FAIL,      /* L1's entry failed: a = VM-instruction error, or exit reason with bit 31; b = qualification */
    HAL_EVENT_VMX_INSTRUCTION,  /* emulated for L1: a = exit reason, b = operand, c = value, d = result */
    HAL_EVENT_INJECT,           /* into L1: a = vector, b = error code */
    HAL_EVENT_ABORT,            /* a VMX abort of L1: a = indicator, b = its VMCS */
};
void hal_log(enum hal_event event, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* Ownership, for the rules R1 and R4: who may reach this page from now on. */
enum hal_owner { HAL_OWNER_NONE, HAL_OWNER_L0, HAL_OWNER_L1 };
void hal_own(physical_address page, uint64_t pages, enum hal_owner owner);

/* ---- what hv/ offers its back end ---- */
enum hv_strategy { HV_TRAP, HV_COPY, HV_FLIP };
/* L1's VMX operation on this processor, for whoever explains what the core refuses it. No primitive is used, nothing changes. */
struct hv_l1 {
    bool on, launched;                          /* launched: the launch state of the VMCS at `current` */
    uint64_t vmxon_pointer, current;            /* current: ~0 if there is none */
    uint64_t feature_control;
};
void hv_l1(struct hv_l1 *l1);
/* A VMX capability MSR as L1 is shown it. False: there is no such MSR. */
bool hv_l1_capability(uint32_t index, uint64_t *value);
/* Pages of pool that L0 asks for on a machine with so many processors and so many bytes of RAM. */
uint64_t hv_pool_pages(unsigned processors, uint64_t ram);
/* NULL, or what the processor lacks for a strategy; trap needs nothing beyond the core's own needs. */
const char *hv_refusal(enum hv_strategy strategy);
/* Takes this processor into VMX operation and runs its guest for ever, from the state hal_capture() gives. Returns only on
 * failure to start, with a reason. */
const char *hv_run(enum hv_strategy strategy);
/* When it has returned: an NMI came to L0 meanwhile that is the guest's. */
bool hv_nmi_due(void);
/* Does L0 reach the local APIC, with this value of IA32_APIC_BASE? */
bool hv_apic_reached(uint64_t base);

#endif
