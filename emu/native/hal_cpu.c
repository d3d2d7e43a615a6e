/* SPDX-License-Identifier: MIT */
/* The HAL on the model: the processor's own instructions, VMX among them. */
#include <string.h>

#include "emu/native/state.h"
#include "model/cpu/execute.h"
#include "model/vmx/vmx.h"

static struct cpu *cpu(void) { return native_here->cpu; }

struct hal_cpuid hal_cpuid(uint32_t leaf, uint32_t subleaf)
{
    uint32_t out[4];
    cpuid_execute(cpu(), leaf, subleaf, out);
    return (struct hal_cpuid){ out[0], out[1], out[2], out[3] };
}

unsigned hal_cpu_index(void) { return cpu()->index; }
unsigned hal_cpu_count(void) { return native_here->native->model->cpu_count; }
void *hal_cpu_local(void) { return native_here->local; }
void *hal_machine_local(void) { return native_here->native->local; }
static struct native_counts *counts(void) { return &native_here->native->counts; }

bool hal_rdmsr(uint32_t index, uint64_t *value)
{
    counts()->rdmsr++;
    return msr_read(cpu(), index, value);
}

bool hal_wrmsr(uint32_t index, uint64_t value)
{
    counts()->wrmsr++;
    return msr_write(cpu(), index, value);
}

uint64_t hal_read_cr4(void) { return cpu()->cr4; }
void hal_write_cr2(uint64_t value) { cpu()->cr2 = value; }

uint64_t hal_read_dr(unsigned number) { return cpu()->dr[number]; }

void hal_write_dr(unsigned number, uint64_t value)
{
    if (number < 4)
        cpu()->dr[number] = value;
    else
        cpu()->dr6 = value;
}

/* The others go on meanwhile. Nobody waits this often for a processor that will come. */
void hal_pause(void)
{
    enum { PAUSES_MAX = 100000 };
    if (native_here->pauses++ == PAUSES_MAX)
        native_stop("it waits for another processor without end");
    native_yield(STATUS_OK);
}


/* On the metal a bad value is a #GP in root mode without a handler: L0 is dead. */
void hal_write_cr4(uint64_t value)
{
    if (!cr4_write(cpu(), value))
        native_stop("L0 raised #GP with MOV to CR4");
}

void hal_forget_nmi(void) { cpu()->nmi_pending = false; }

bool hal_xsetbv(uint32_t index, uint64_t value) { return xcr_write(cpu(), index, value); }

_Noreturn void hal_fail_stop(const char *reason) { native_stop(reason); }

/* ---- VMX instructions ---- */

static enum hal_result result(vmx_result r)
{
    return r == VMX_SUCCEED ? HAL_OK : r == VMX_FAIL_INVALID ? HAL_FAIL_INVALID : HAL_FAIL_VALID;
}

enum hal_result hal_vmxon(physical_address region) { return result(vmx_vmxon(cpu(), region.value)); }

void hal_vmxoff(void)
{
    rules_before_vmxoff(native_here);
    vmx_vmxoff(cpu());
}

enum hal_result hal_vmclear(physical_address vmcs)
{
    counts()->vmclear++;
    return result(vmx_vmclear(cpu(), vmcs.value));
}

enum hal_result hal_vmptrld(physical_address vmcs)
{
    counts()->vmptrld++;
    return result(vmx_vmptrld(cpu(), vmcs.value));
}

uint64_t hal_vmread(enum vmcs_encoding field)
{
    uint64_t value = 0;

    counts()->vmread++;
    if (result(vmx_vmread(cpu(), field, &value)) != HAL_OK)
        native_stop("a VMREAD of L0 failed");
    return value;
}

void hal_vmwrite(enum vmcs_encoding field, uint64_t value)
{
    counts()->vmwrite++;
    passage_vmwrite(native_here, field);
    if (result(vmx_vmwrite(cpu(), field, value)) != HAL_OK)
        native_stop("a VMWRITE of L0 failed");
}

enum hal_result hal_invept(uint64_t type, uint64_t eptp)
{
    counts()->invept++;
    return result(vmx_invept(cpu(), type, eptp));
}

enum hal_result hal_invvpid(uint64_t type, uint16_t vpid, uint64_t linear)
{
    counts()->invvpid++;
    return result(vmx_invvpid(cpu(), type, vpid, linear));
}

/*
 * An NMI that is pending while L0 runs is L0's: on the metal its handler takes it. But one that STI of its guest held back stays
 * where it is: whether STI blocks NMIs is the processor's choice (SDM Vol. 3, 26.2), and an NMI window need not wait for its end.
 */
static bool nmi_meets_l0(const struct cpu *c)
{
    const struct vmcs *v = c->vmx.current;

    return c->nmi_pending && !(c->interruptibility & BLOCKING_BY_NMI) &&
           !(v && VMCS(v, guest_interruptibility_state) & BLOCKING_BY_STI);
}

enum hal_result hal_enter(struct hal_registers *registers, bool launch)
{
    struct native_cpu *here = native_here;
    uint64_t host_gpr[GPR_COUNT];
    vmx_result early = VMX_SUCCEED;
    if (nmi_meets_l0(cpu())) {
        cpu()->nmi_pending = false;
        return HAL_NMI;
    }
    passage_end(here, launch);
    reads_end(here);
    rules_accounted(here);
    rules_before_entry(here);
    here->entered = true;
    here->pauses = 0;
    memcpy(host_gpr, cpu()->gpr, sizeof host_gpr);
    memcpy(cpu()->gpr, registers->gpr, sizeof host_gpr);
    cpu()->gpr[RSP] = host_gpr[RSP];            /* VM entry loads the guest's from the VMCS */
    enum status status = vmx_enter(cpu(), launch, &early);
    if (status == STATUS_OK) {
        memcpy(cpu()->gpr, host_gpr, sizeof host_gpr);
        return result(early);
    }
    if (status == STATUS_VM_ENTRY) {
        here->in_guest = true;
        native_yield(STATUS_VM_ENTRY);
        here->in_guest = false;
    } else if (status != STATUS_VM_EXIT) {
        native_stop("a VM entry of L0 ended in a VMX abort");
    }
    here->exited = true;
    here->accounted = false;
    rules_after_exit(here);
    shadowed_after_exit(here);
    memcpy(registers->gpr, cpu()->gpr, sizeof host_gpr);
    passage_begin(here);
    return HAL_OK;
}

void hal_host_state(struct hal_host_state *state)
{
    const struct cpu *c = cpu();
    *state = (struct hal_host_state){
        .cr0 = c->cr0, .cr3 = c->cr3, .cr4 = c->cr4, .rip = c->rip, .rsp = c->gpr[RSP],
        .fs_base = c->seg[SEG_FS].base, .gs_base = c->seg[SEG_GS].base, .tr_base = c->seg[SEG_TR].base,
        .gdtr_base = c->gdtr.base, .idtr_base = c->idtr.base,
        .efer = CPU_MSR(c, ia32_efer), .pat = CPU_MSR(c, ia32_pat), .sysenter_cs = CPU_MSR(c, ia32_sysenter_cs),
        .sysenter_esp = CPU_MSR(c, ia32_sysenter_esp), .sysenter_eip = CPU_MSR(c, ia32_sysenter_eip),
        .es = c->seg[SEG_ES].selector, .cs = c->seg[SEG_CS].selector, .ss = c->seg[SEG_SS].selector,
        .ds = c->seg[SEG_DS].selector, .fs = c->seg[SEG_FS].selector, .gs = c->seg[SEG_GS].selector,
        .tr = c->seg[SEG_TR].selector,
    };
    native_here->host = *state;
    native_here->host_registered = true;
}

bool hal_capture(struct hal_capture *capture)
{
    *capture = native_here->capture;
    return true;
}

/* The model has no speculative state and no caches to clear: the trace shows where L0 asked for it. */
static void barrier(const char *what)
{
    const struct observer *observer = &native_here->native->model->observer;
    struct notice notice = { .kind = NOTICE_BARRIER, .cpu = native_here->cpu, .text = what };
    counts()->barrier++;
    if (observer->notify)
        observer->notify(observer->context, &notice);
}

void hal_prediction_barrier(void) { barrier("prediction"); }
void hal_flush_l1d(void) { barrier("l1d"); }
void hal_clear_buffers(void) { barrier("buffers"); }
