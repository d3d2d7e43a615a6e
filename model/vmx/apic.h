/* SPDX-License-Identifier: MIT */
/*
 * APIC virtualization: SDM Vol. 3, ch. 30. A guest's local APIC is the virtual-APIC page in memory; what the guest does
 * to it the processor does there, and it delivers the virtual interrupts that follow.
 *
 *   apic_page.c       the page's registers              apic_access.c     accesses to the APIC-access page
 *   apic_interrupt.c  priorities, EOI, delivery         apic_msr.c        CR8 and the x2APIC MSRs
 *   apic_posted.c     posted interrupts
 */
#ifndef SESQUI_MODEL_VMX_APIC_H
#define SESQUI_MODEL_VMX_APIC_H

#include "model/cpu/cpu.h"
#include "model/cpu/translate.h"

/* Page offsets of the registers (30.1.1), which are those of the local APIC (11.4.1). */
enum apic_register {
    APIC_ID = 0x020, APIC_VERSION = 0x030, APIC_TPR = 0x080, APIC_PPR = 0x0a0, APIC_EOI = 0x0b0, APIC_LDR = 0x0d0,
    APIC_DFR = 0x0e0, APIC_SPURIOUS = 0x0f0, APIC_ISR = 0x100, APIC_IRR = 0x200, APIC_ESR = 0x280, APIC_ICR_LOW = 0x300,
    APIC_ICR_HIGH = 0x310, APIC_LVT_TIMER = 0x320, APIC_LVT_ERROR = 0x370, APIC_INITIAL_COUNT = 0x380,
    APIC_DIVIDE = 0x3e0, APIC_SELF_IPI = 0x3f0,
};

/* ---- the APIC-access page (30.4) ---- */

/* Does the physical address lie in the APIC-access page, and are accesses to it virtualized? */
static inline bool apic_access_hits(const struct cpu *cpu, uint64_t pa)
{
    return cpu->vmx.apic_accesses && (pa & ~0xfffull) == cpu->vmx.apic_access_page;
}
/* Exit qualification of an access that is not virtualized (Table 28-6): a linear one at this page offset, or one that
 * has no linear address (paging structures through EPT). */
uint64_t apic_access_linear(const struct cpu *cpu, enum access_kind kind, uint64_t offset);
uint64_t apic_access_guest_physical(const struct cpu *cpu);
/* Is a data access of `size` bytes virtualized (30.4.2, 30.4.3)?  Then *pa is set to its place in the virtual-APIC
 * page; the caller makes the access there and, for a write, calls apic_access_written(). */
bool apic_access_virtualized(const struct cpu *cpu, uint64_t offset, unsigned size, enum access_kind kind,
                             uint64_t *pa);
/* A virtualized write is being made: once the instruction is complete, boundary() does what it means. */
void apic_access_written(struct cpu *cpu, uint64_t offset);
/* What a completed write to a virtual register means (30.4.3.2, 30.5): nothing (STATUS_OK) or a trap-like VM exit. */
enum status apic_write_emulate(struct cpu *cpu);

/* ---- CR8 and MSRs ---- */

/* Do MOV to and from CR8 use the virtual TPR (30.3)?  `value` is 0-15. apic_cr8_write() is to be called before the
 * instruction retires, apic_write_emulate() after. */
bool apic_shadows_cr8(const struct cpu *cpu);
uint64_t apic_cr8_read(const struct cpu *cpu);
void apic_cr8_write(struct cpu *cpu, uint64_t value);
/* Does RDMSR or WRMSR of this MSR go to the virtual-APIC page (30.5)? */
bool apic_virtualizes_msr(const struct cpu *cpu, uint32_t index, bool write);
uint64_t apic_msr_read(const struct cpu *cpu, uint32_t index);
/* False: #GP(0). Else, after the instruction has retired, apic_write_emulate() does the rest. */
bool apic_msr_write(struct cpu *cpu, uint32_t index, uint64_t value);

/* ---- virtual interrupts (30.2) ---- */

/* What VM entry does (27.3.2.5, 27.7.5, 27.7.7); what VM exit forgets. */
void apic_enter(struct cpu *cpu);
void apic_leave(struct cpu *cpu);
/* Is a virtual interrupt recognized?  boundary() delivers it when RFLAGS.IF and blocking permit. */
bool apic_interrupt_recognized(const struct cpu *cpu);
/* Takes it into service and delivers it through the guest's IDT: STATUS_EVENT (30.2.2). */
enum status apic_interrupt_deliver(struct cpu *cpu);
/* Is this external interrupt, acknowledged already, a notification?  Then it has been processed (30.6). */
bool apic_posted_process(struct cpu *cpu, uint8_t vector);

#endif
