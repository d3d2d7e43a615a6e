/* SPDX-License-Identifier: MIT */
/*
 * The state of one logical processor: plain data, hidden parts included. While guest code runs, the CPU engine holds the
 * registers; between two runs this struct is the truth. Everything else in model/ reads and writes it.
 */
#ifndef SESQUI_MODEL_CPU_H
#define SESQUI_MODEL_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/vmx.h"
#include "arch/x86.h"
#include "model/event.h"
#include "model/insn.h"
#include "model/status.h"

struct model;
struct vmcs;

struct segment {
    uint16_t selector;
    uint32_t access_rights;     /* as the VMCS holds them: AR_* of arch/vmx.h */
    uint32_t limit;             /* in bytes, granularity applied */
    uint64_t base;
};

struct table_register {
    uint64_t base;
    uint32_t limit;
};

enum msr_slot {
#define MSR(name, index, kind) MSR_SLOT_##name,
#include "arch/msrs.def"
    MSR_COUNT
};
#define CPU_MSR(cpu, name) ((cpu)->msr[MSR_SLOT_##name])

/* VMX operation: SDM Vol. 3, ch. 24. */
struct vmx {
    bool operation;             /* between VMXON and VMXOFF */
    bool non_root;
    uint64_t vmxon_pointer;
    struct vmcs *current;       /* current VMCS, or NULL for "current-VMCS pointer is invalid" */
    bool ept;                   /* non-root with "enable EPT": guest-physical addresses are translated */
    uint16_t vpid;              /* 0 in root operation and without "enable VPID" */
    uint64_t eptp;              /* valid while `ept` */
    uint64_t shadowed_eptp;     /* the EPT that the present one is a shadow of, as the embedder says; 0: none */
    struct event delivering;    /* non-root: the event whose delivery is under way, for IDT-vectoring information */
    bool nmi_blocking_by_iret;  /* this IRET removed blocking by NMI: for "NMI unblocking due to IRET" */
    uint64_t iret_instructions; /* cpu->instructions before that IRET: no other instruction has it */
    struct insn exited;         /* that caused the latest VM exit due to an instruction: for explanations. Nothing in the model asks */
    struct vmx_root {
        uint64_t rip, fs_base, gs_base, tr_base, cr0, cr4, efer, cr3, gdtr_base;
        uint32_t gdtr_limit;
        struct table_register idtr;
    } entered_from;             /* in root operation, at the latest VM entry: for explanations. Nothing in the model asks */
    uint64_t length_read, rip_written;      /* cpu->instructions at the program's VMREAD of the VM-exit instruction length, and its VMWRITE of GUEST_RIP: likewise */
    uint64_t entry_clock;       /* cpu->clock at VM entry */
    uint64_t entry_instructions;    /* cpu->instructions at VM entry: an MTF exit is due once they differ */
    uint64_t preemption_deadline;   /* clock at which the preemption timer expires; ~0 if inactive */
    bool mtf_pending;
    bool aborted;               /* a VMX abort shut the processor down: only RESET ends that (28.7) */
    uint64_t pause_first, pause_latest;     /* clock at PAUSEs of the present loop (25.6.13); ~0: none since VM entry */
    /* APIC virtualization: SDM Vol. 3, ch. 30. */
    bool apic_accesses;         /* non-root with "virtualize APIC accesses": to this page */
    uint64_t apic_access_page;
    uint16_t apic_write;        /* offset of a virtual register that the present instruction wrote; 0: none */
    bool virtual_interrupt;     /* a pending virtual interrupt is recognized */
    bool tpr_exit;              /* VM entry found TPR below threshold: the exit is due */
};

/* Address-range monitoring: SDM Vol. 3, 9.10.4. */
enum { MONITOR_LINE = 64 };
struct monitor {
    bool armed;                 /* MONITOR has named a line */
    bool waiting;               /* MWAIT waits for a store to it. The activity state stays active: 25.4.2 */
    bool masked_interrupts;     /* ... and for interrupts whatever RFLAGS.IF is (ECX bit 0 of MWAIT) */
    uint64_t pa;
    uint8_t line[MONITOR_LINE]; /* as MONITOR found it: a store is seen by what it has changed */
};

struct cpu {
    struct model *model;
    unsigned index;

    uint64_t gpr[GPR_COUNT], rip, rflags;
    uint64_t cr0, cr2, cr3, cr4, cr8, xcr0; /* cr8: used only while no bus is installed */
    uint64_t dr[4], dr6, dr7;
    uint64_t ssp;               /* shadow-stack pointer: kept and switched; no instruction uses it here */
    uint64_t pdpte[4];          /* PAE paging: loaded by MOV CR3 and VM entry (SDM Vol. 3, 4.4.1) */
    struct segment seg[SEG_COUNT];
    struct table_register gdtr, idtr;
    uint64_t msr[MSR_COUNT];    /* by msr_slot; FS and GS base live in seg[] */

    uint32_t interruptibility;  /* BLOCKING_BY_*; STI and MOV SS blocking hold for the next instruction only */
    uint32_t activity;          /* enum activity_state */
    uint64_t pending_debug;     /* as the VMCS field guest_pending_debug_exceptions */
    /*
     * To be delivered before the next instruction, or being delivered: valid until the CPU engine has completed delivery.
     * So whoever raises an exception or causes a VM exit while it is valid does so during its delivery. Then exceptions
     * combine (cpu_raise()), and a VM exit copies it to vmx.delivering for the IDT-vectoring information and ends it.
     */
    struct event event;
    bool nmi_pending, init_pending, sipi_pending;
    uint8_t sipi_vector;

    uint64_t instructions;      /* retired by this processor: the work clock */
    uint64_t clock;             /* instructions plus time skipped while halted: TSC without adjustments */
    uint64_t idle;              /* of the clock, what was skipped while halted or in MWAIT: IA32_MPERF does not count it */
    struct monitor monitor;

    /*
     * Instructions of INSTRUCTION rows at which the CPU engine must stop although it could execute them itself; one bit
     * per insn_id. Recomputed by vmx_update_intercepts() where non-root operation begins or ends. Rows that are the
     * model's in every mode (CPUID, MSR, MOV to CR ...) stop regardless.
     */
    uint64_t intercepts;
    struct vmx vmx;
    uint64_t exits_at_entry;            /* model->exits at VM entry, if no other processor was active in root operation then; else ~0 */
    uint64_t shadowed_exits_at_entry;   /* the same of an L1 that runs over the embedder's L0 */
    uint64_t stay, shadowed_stay;       /* VM entries; those of an L1 that runs over the embedder's L0 (vmx.shadowed_eptp) */
    bool settled;               /* EPTs change only while nobody is in a guest that uses them (a native L0) */
};

/* Power-up state: SDM Vol. 3, 10.1.1 (real mode, CS F000:FFF0). Keeps model and index. */
void cpu_power_on(struct cpu *cpu);

/* Current privilege level: SS.DPL (0 in real mode, 3 in virtual-8086 mode). */
unsigned cpu_cpl(const struct cpu *cpu);
/* Does it execute instructions, neither halted nor in MWAIT? */
static inline bool cpu_runs(const struct cpu *cpu) { return cpu->activity == ACTIVITY_ACTIVE && !cpu->monitor.waiting; }
/* Does it wait, in HLT or MWAIT, for what comes from outside? */
static inline bool cpu_idles(const struct cpu *cpu) { return cpu->activity == ACTIVITY_HLT || cpu->monitor.waiting; }
static inline bool cpu_protected(const struct cpu *cpu) { return cpu->cr0 & CR0_PE; }
static inline bool cpu_long_mode(const struct cpu *cpu) { return CPU_MSR(cpu, ia32_efer) & EFER_LMA; }
static inline bool cpu_64bit(const struct cpu *cpu)     /* 64-bit mode, not compatibility mode */
{
    return cpu_long_mode(cpu) && (cpu->seg[SEG_CS].access_rights & AR_L);
}
/* What RIP is added to: in 64-bit mode nothing, though a VM entry may have loaded a base for CS (SDM Vol. 3, 3.2.4). */
static inline uint64_t cpu_code_base(const struct cpu *cpu) { return cpu_64bit(cpu) ? 0 : cpu->seg[SEG_CS].base; }
static inline bool cpu_virtual_8086(const struct cpu *cpu) { return cpu->rflags & RFLAGS_VM; }

/* Address of the next instruction after one of `length` bytes: RIP, or outside 64-bit mode EIP. */
uint64_t cpu_next_rip(const struct cpu *cpu, unsigned length);
/* Ends an executed instruction: RIP, blocking by STI and MOV SS, RF, the clocks; a single step becomes pending. */
void cpu_retire(struct cpu *cpu, unsigned length);
/* Ends a far transfer: the same, and RIP is `rip`; it is a branch that was taken (for RFLAGS.TF with DEBUGCTL.BTF). */
void cpu_retire_branch(struct cpu *cpu, uint64_t rip);

/* Sets cpu->event to a hardware exception and returns STATUS_EVENT or, when intercepted, STATUS_VM_EXIT. Exceptions that
 * meet another one in delivery become #DF or a triple fault (SDM Vol. 3, 6.15, Table 6-5). */
enum status cpu_fault(struct cpu *cpu, enum vector vector, uint32_t error_code);
enum status cpu_page_fault(struct cpu *cpu, uint64_t linear, uint32_t error_code);
/* The same for any event, e.g. INT n or INT3 met by the CPU engine, #DB with its DR6 bits. */
enum status cpu_raise(struct cpu *cpu, struct event event);

#endif
