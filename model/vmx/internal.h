/* SPDX-License-Identifier: MIT */
/* What the files of model/vmx/ share and nobody else needs. */
#ifndef SESQUI_MODEL_VMX_INTERNAL_H
#define SESQUI_MODEL_VMX_INTERNAL_H

#include "model/model.h"
#include "model/refusal.h"
#include "model/vmx/vmx.h"

static inline void vmx_notify(const struct cpu *cpu, enum notice_kind kind,
                              uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const struct observer *observer = &cpu->model->observer;
    struct notice notice = { .kind = kind, .cpu = cpu, .a = a, .b = b, .c = c, .d = d };

    if (observer->notify)
        observer->notify(observer->context, &notice);
}

/* The controls of a VMCS; the secondary ones are all 0 unless the primary ones activate them (25.6.2). */
static inline uint32_t pin_controls(const struct vmcs *vmcs) { return (uint32_t)VMCS(vmcs, pin_based_controls); }
static inline uint32_t proc_controls(const struct vmcs *vmcs) { return (uint32_t)VMCS(vmcs, processor_based_controls); }
static inline uint32_t proc2_controls(const struct vmcs *vmcs)
{
    return proc_controls(vmcs) & PROC_activate_secondary_controls
        ? (uint32_t)VMCS(vmcs, secondary_processor_based_controls) : 0;
}
static inline uint32_t exit_controls(const struct vmcs *vmcs) { return (uint32_t)VMCS(vmcs, exit_controls); }
static inline uint32_t entry_controls(const struct vmcs *vmcs) { return (uint32_t)VMCS(vmcs, entry_controls); }

/* Bits of CR0 that neither VM entry nor VM exit loads: ET, reserved ones, NW, CD (27.3.2.1, 28.5.1). */
#define CR0_UNMODIFIED (0xffffffff00000000ull | CR0_CD | CR0_NW | 0x1ff80000ull | 1ull << 17 | 0xffc0ull | CR0_ET)

/* PAE paging is in use with these values (4.4). */
static inline bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

/* Would VM entry accept this EPT pointer?  (27.2.1.1)  And its parts, each by itself. */
bool check_eptp(const struct cpu *cpu, uint64_t eptp);
bool eptp_memory_type(const struct vmx_capability *c, uint64_t eptp);
bool eptp_walk_length(const struct vmx_capability *c, uint64_t eptp);
bool eptp_accessed_dirty(const struct vmx_capability *c, uint64_t eptp);
bool eptp_reserved(uint64_t eptp);

/* A VMX instruction is about to be executed with this operand. */
static inline struct attempt vmx_attempt(const struct cpu *cpu, enum insn_id id, uint64_t operand)
{
    return (struct attempt){ .cpu = cpu, .capability = &cpu->model->capability, .id = id, .operand = operand };
}
/* VMREAD and VMWRITE: the field of all 64 bits of an encoding. */
static inline enum vmcs_field field_of(const struct vmx_capability *capability, uint64_t encoding)
{
    return encoding >> 32 ? VMCS_FIELD_COUNT : vmcs_find_on(capability, (uint32_t)encoding);
}
static inline struct attempt field_attempt(const struct cpu *cpu, enum insn_id id, uint64_t encoding)
{
    struct attempt attempt = vmx_attempt(cpu, id, encoding);

    attempt.field = field_of(&cpu->model->capability, encoding);
    return attempt;
}
/* Tells why it is refused, and what it results in: VMfail with its error in the current VMCS, VMfailInvalid. */
vmx_result vmx_refused(struct cpu *cpu, const struct attempt *attempt, const struct refusal *refusal);

/* shadow.c: do VMREAD or VMWRITE of this encoding exit in non-root operation? */
bool shadow_intercepts(const struct cpu *cpu, uint64_t encoding, bool write);
/* Then, in non-root operation: access to the VMCS that the link pointer names. */
vmx_result shadow_vmread(struct cpu *cpu, uint64_t encoding, uint64_t *value);
vmx_result shadow_vmwrite(struct cpu *cpu, uint64_t encoding, uint64_t value);

/* function.c, VMFUNC (26.5.6): does the function that EAX names exit?  If not: */
enum { VM_FUNCTIONS = 64 };
bool function_intercepts(const struct cpu *cpu);
void function_invoke(struct cpu *cpu);

/* bitmap.c (25.6.4, 25.6.9). */
bool bitmap_intercepts_msr(const struct cpu *cpu, const struct vmcs *vmcs, uint32_t index, bool write);
bool bitmap_intercepts_io(const struct cpu *cpu, const struct vmcs *vmcs, uint16_t port, unsigned size);

/* info.c: linear address of a memory operand, without any check; instruction-information field (28.2.5). */
uint64_t insn_linear(const struct cpu *cpu, const struct insn *insn);
uint32_t instruction_information(const struct insn *insn);

/* intercept.c: why this VMX instruction raises #UD, or NULL. */
const struct refusal *vmx_undefined(const struct attempt *attempt);

/* msr_area.c. Number (from 1) of the entry that could not be processed, or 0. The recommended maximum of IA32_VMX_MISC[27:25] is
 * enforced: beyond it behaviour is undefined (A.6). */
unsigned msr_area_load(struct cpu *cpu, uint64_t address, uint64_t count);
unsigned msr_area_store(struct cpu *cpu, uint64_t address, uint64_t count);

/* guest.c, host.c: processor state from and to the VMCS. */
void guest_load(struct cpu *cpu, const struct vmcs *vmcs);
void guest_save(const struct cpu *cpu, struct vmcs *vmcs);
/* Number of a VMX-abort indicator, or 0. */
uint32_t host_load(struct cpu *cpu, const struct vmcs *vmcs);

/* vectoring.c. */
void vectoring_record(struct vmcs *vmcs, const struct event *delivering);
struct event vectoring_injection(const struct vmcs *vmcs);

/* exit.c: the end of every exit: out of non-root operation, host state, MSR-load area. */
enum status exit_to_host(struct cpu *cpu, struct vmcs *vmcs, bool nmi_blocked);
/* A VM entry that failed late (27.8): reason 33, 34. */
enum status exit_failed_entry(struct cpu *cpu, struct vmcs *vmcs, enum exit_reason reason, uint64_t qualification,
                              bool nmi_blocked);
enum status vmx_abort(struct cpu *cpu, struct vmcs *vmcs, uint32_t indicator);

/* preemption timer: SDM Vol. 3, 26.5.1. */
void timer_start(struct cpu *cpu, const struct vmcs *vmcs);
uint32_t timer_value(const struct cpu *cpu, const struct vmcs *vmcs);

#endif
