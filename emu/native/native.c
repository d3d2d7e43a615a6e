/* SPDX-License-Identifier: MIT */
/* Life of the native L0: its pool, its fibers, and what the machine may ask. */
#include "emu/native/state.h"
#include "emu/machine/host_memory.h"
#include "emu/native/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/late_load.h"
#include "model/cpu/translate.h"
#include "model/tlb/tlb.h"

enum { STACK_SIZE = 256 * 1024, POOL_SHARE = 4,
       POOL_FIRST = 256 << 10 /* what the core takes at its start, about */ };

_Thread_local struct native_cpu *native_here;

uint64_t native_pool_size(unsigned cpus, uint64_t memory) { return hv_pool_pages(cpus, memory) * PAGE_SIZE; }

struct native *native_open(struct model *model, struct trace *trace, enum hypervisor hypervisor, char *error,
                           size_t error_size)
{
    const uint64_t low = model->memory.size < MEMORY_HOLE ? model->memory.size : MEMORY_HOLE;
    const uint64_t pool = native_pool_size(model->cpu_count, model->memory.size);
    if (low < pool * POOL_SHARE) {
        snprintf(error, error_size, "%llu MB of memory leave no room for L0's pool of %llu MB: give at least %llu MB",
                 (unsigned long long)(model->memory.size >> 20), (unsigned long long)(pool >> 20),
                 (unsigned long long)(pool * POOL_SHARE >> 20));
        return NULL;
    }
    struct native *native = calloc(1, sizeof *native);
    if (native) {
        native->pool_pages = pool / PAGE_SIZE;
        native->pool_used = calloc(1, native->pool_pages);
        native->pool_released = calloc(1, native->pool_pages);
        native->owner = calloc(1, model->memory.size / PAGE_SIZE);
    }
    if (!native || !native->pool_used || !native->pool_released || !native->owner) {
        native_close(native);
        snprintf(error, error_size, "out of memory for the native L0");
        return NULL;
    }
    native->pool_used[0] = 1;                   /* stands for L0's own paging structures: its CR3 points there */
    native->model = model;
    native->trace = trace;
    native->strategy = hypervisor == HYPERVISOR_COPY ? HV_COPY : hypervisor == HYPERVISOR_FLIP ? HV_FLIP : HV_TRAP;
    native->pool_base = low - pool;
    host_memory_touch(memory_at(&model->memory, native->pool_base, POOL_FIRST), POOL_FIRST);
    for (uint64_t i = 0; i < model->memory.size / PAGE_SIZE; i++)
        model->memory.watch[i] |= WATCH_PRIVATE;    /* until the core says whose it is */
    for (unsigned i = 0; i < model->cpu_count; i++) {
        native->cpu[i].native = native;
        native->cpu[i].cpu = &model->cpu[i];
        native->cpu[i].active = true;
        native->cpu[i].current12 = ~0ull;
    }
    return native;
}

void native_close(struct native *native)
{
    if (!native)
        return;
    step_end(native);
    for (unsigned i = 0; i < MODEL_CPU_MAX; i++)
        fiber_destroy(&native->cpu[i].fiber);
    free(native->pool_used);
    free(native->pool_released);
    free(native->owner);
    free(native);
}

void native_set_races(struct native *native, bool on, uint64_t seed)
{
    native->reads.races = on;
    native->reads.seed = seed;
}

void native_yield(enum status request)
{
    native_here->request = request;
    fiber_yield(&native_here->fiber);
}

_Noreturn void native_stop(const char *reason)
{
    struct native_cpu *here = native_here;
    snprintf(here->native->model->refusal, sizeof here->native->model->refusal, "L0 stopped: %s", reason);
    for (;;)
        native_yield(STATUS_REFUSED);
}

static _Noreturn void give_back(void)
{
    native_here->ended = true;
    for (;;)
        native_yield(STATUS_OK);
}

static _Noreturn void native_load_failed(const char *reason)
{
    struct native_cpu *here = native_here;
    struct cpu *cpu = here->cpu, before = here->before;

    if (here->native->trace)
        trace_line(here->native->trace, cpu, 0, "load-failed", "%s", reason);
    before.clock = cpu->clock;
    before.instructions = cpu->instructions;
    before.gpr[RAX] = LATE_REFUSED;
    before.nmi_pending = cpu->nmi_pending || hv_nmi_due();          /* what has come meanwhile */
    before.init_pending = cpu->init_pending;
    before.sipi_pending = cpu->sipi_pending;
    CPU_MSR(&before, ia32_feature_control) = CPU_MSR(cpu, ia32_feature_control);    /* a lock stays */
    *cpu = before;
    give_back();
}

/* What L0 leaves behind: nothing that is remembered of its own linear addresses. */
_Noreturn void hal_release(const struct hal_capture *s)
{
    struct cpu *cpu = native_here->cpu;

    memcpy(cpu->gpr, s->registers.gpr, sizeof cpu->gpr);
    cpu->rip = s->rip;
    cpu->gpr[RSP] = s->rsp;
    cpu->rflags = s->rflags;
    cpu->cr0 = s->cr0;
    cpu->cr3 = s->cr3;
    cpu->cr4 = s->cr4;
    cpu->dr7 = s->dr7;
    CPU_MSR(cpu, ia32_efer) = s->efer;
    CPU_MSR(cpu, ia32_pat) = s->pat;
    CPU_MSR(cpu, ia32_debugctl) = s->debugctl;
    CPU_MSR(cpu, ia32_sysenter_cs) = s->sysenter_cs;
    CPU_MSR(cpu, ia32_sysenter_esp) = s->sysenter_esp;
    CPU_MSR(cpu, ia32_sysenter_eip) = s->sysenter_eip;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct hal_guest_segment *segment = &s->segment[i];
        cpu->seg[i] = (struct segment){ segment->selector, segment->access_rights, segment->limit, segment->base };
    }
    cpu->gdtr = (struct table_register){ s->gdtr.base, s->gdtr.limit };
    cpu->idtr = (struct table_register){ s->idtr.base, s->idtr.limit };
    cpu->activity = s->activity;
    cpu->interruptibility = 0;
    cpu->nmi_pending |= s->nmi;
    tlb_vmx_transition(cpu);                    /* MOV to CR3; what has a VPID or an EPT stays remembered, as on the metal */
    give_back();
}

static void body(void *argument)
{
    struct native_cpu *here = argument;
    const char *reason = hv_run(here->native->strategy);
    char text[160];

    if (here->native->late && reason && here->asked)
        native_load_failed(reason);
    if (here->native->late && reason) {
        snprintf(text, sizeof text, "it cannot slide beneath processor %u: %s", here->cpu->index, reason);
        native_stop(text);
    }
    native_stop(reason ? reason : "hv_run() returned without a reason");
}

/* The guest's first state is what the loader or power-on left; L0 itself goes on in 64-bit mode with state of its own. */
static void capture(struct native_cpu *here)
{
    struct cpu *cpu = here->cpu;
    struct hal_capture *c = &here->capture;
    memcpy(c->registers.gpr, cpu->gpr, sizeof c->registers.gpr);
    c->rip = cpu->rip;
    c->rsp = cpu->gpr[RSP];
    c->rflags = cpu->rflags;
    c->cr0 = cpu->cr0;
    c->cr3 = cpu->cr3;
    c->cr4 = cpu->cr4;
    c->dr7 = cpu->dr7;
    c->efer = CPU_MSR(cpu, ia32_efer);
    c->pat = CPU_MSR(cpu, ia32_pat);
    c->debugctl = CPU_MSR(cpu, ia32_debugctl);
    c->sysenter_cs = CPU_MSR(cpu, ia32_sysenter_cs);
    c->sysenter_esp = CPU_MSR(cpu, ia32_sysenter_esp);
    c->sysenter_eip = CPU_MSR(cpu, ia32_sysenter_eip);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *s = &cpu->seg[i];
        c->segment[i] = (struct hal_guest_segment){ s->selector, s->access_rights, s->limit, s->base };
    }
    c->gdtr = (struct hal_table){ cpu->gdtr.base, (uint16_t)cpu->gdtr.limit };
    c->idtr = (struct hal_table){ cpu->idtr.base, (uint16_t)cpu->idtr.limit };
    c->activity = cpu->activity;
}

/* Linear addresses of L0 live in the upper half; nothing stands behind them here, but exits must load exactly these. */
static void enter_host_mode(struct native_cpu *here)
{
    const uint64_t home = 0xffff900000000000ull + ((uint64_t)here->cpu->index << 24);
    struct cpu *cpu = here->cpu;
    cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    cpu->cr3 = here->native->pool_base;
    cpu->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    CPU_MSR(cpu, ia32_efer) = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    CPU_MSR(cpu, ia32_sysenter_cs) = 0x10;
    CPU_MSR(cpu, ia32_sysenter_esp) = home + 0x6000;
    CPU_MSR(cpu, ia32_sysenter_eip) = home + 0x7000;
    cpu->rip = home + 0x1000;
    cpu->gpr[RSP] = home + 0x5000;
    cpu->rflags = RFLAGS_FIXED;
    cpu->dr7 = 0x400;
    CPU_MSR(cpu, ia32_debugctl) = 0;
    cpu->activity = ACTIVITY_ACTIVE;
    cpu->interruptibility = 0;
    cpu->gdtr = (struct table_register){ home + 0x2000, 0xffff };
    cpu->idtr = (struct table_register){ home + 0x3000, 0xffff };
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        cpu->seg[i] = (struct segment){ 0x18, 0x3 | AR_S | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };
    cpu->seg[SEG_CS] = (struct segment){ 0x10, 0xb | AR_S | AR_PRESENT | AR_L | AR_G, 0xffffffff, 0 };
    cpu->seg[SEG_GS].base = home;
    cpu->seg[SEG_FS].base = home + 0x800;
    cpu->seg[SEG_LDTR] = (struct segment){ 0, AR_UNUSABLE, 0, 0 };
    cpu->seg[SEG_TR] = (struct segment){ 0x20, 0xb | AR_PRESENT, 0x67, home + 0x4000 };
}

enum status native_resume(struct native *native, struct cpu *cpu)
{
    struct native_cpu *here = &native->cpu[cpu->index];
    native_here = here;
    if (!here->started) {
        if (!fiber_create(&here->fiber, STACK_SIZE, body, here))
            return model_refuse(cpu, "out of memory for the stack of the native L0");
        here->started = true;
        if (!native->late)
            capture(here);
        enter_host_mode(here);
    }
    cpu->settled = true;
    fiber_resume(&here->fiber);
    if (here->ended) {
        cpu->settled = false;
        fiber_destroy(&here->fiber);
        here->started = here->active = here->ended = here->exited = false;
    }
    return here->request;
}

/* The function that asks for L0 is code on the page of the pool that stands for L0's paging structures:
 * mov edx, port; out dx, al; ret. */
void native_set_late(struct native *native, uint16_t port, uint64_t *entry)
{
    const uint8_t code[] = { 0xba, (uint8_t)port, (uint8_t)(port >> 8), 0, 0, 0xee, 0xc3 };

    native->late = true;
    for (unsigned i = 0; i < native->model->cpu_count; i++)
        native->cpu[i].active = false;
    memory_write(&native->model->memory, native->pool_base, code, sizeof code);
    *entry = native->pool_base;
}

enum status native_load(struct native *native, struct cpu *cpu)
{
    struct native_cpu *here = &native->cpu[cpu->index];
    uint64_t rip;
    enum status status = linear_read(cpu, cpu->gpr[RSP], &rip, sizeof rip, false);

    if (status != STATUS_OK)
        return status;
    cpu->rip = rip;                             /* as after the function's RET: its page is about to vanish */
    cpu->gpr[RSP] += sizeof rip;
    cpu->gpr[RAX] = LATE_DONE;
    here->before = *cpu;
    here->asked = true;
    capture(here);
    here->capture.late = here->active = true;
    return STATUS_OK;
}

void native_set_slide(struct native *native)
{
    native->late = true;
    for (unsigned i = 0; i < native->model->cpu_count; i++)
        native->cpu[i].active = false;
}

void native_slide(struct native *native, struct cpu *cpu)
{
    struct native_cpu *here = &native->cpu[cpu->index];

    here->asked = false;
    capture(here);
    here->capture.late = here->active = true;
}

bool native_active(const struct native *native, const struct cpu *cpu)
{
    return native->cpu[cpu->index].active;
}

bool native_started(const struct native *native, const struct cpu *cpu)
{
    return native->cpu[cpu->index].started;
}

unsigned native_level(const struct native *native, const struct cpu *cpu)
{
    const struct native_cpu *here = &native->cpu[cpu->index];
    return here->in_guest ? here->level : 0;
}

unsigned native_current(const struct native *native, const struct cpu *cpu, uint64_t *vmcs12)
{
    const struct native_cpu *here = &native->cpu[cpu->index];
    *vmcs12 = here->current12;
    return here->level;
}

bool native_pool(const struct native *native, uint64_t *base, uint64_t *size)
{
    *base = native->pool_base;
    *size = native->pool_pages * PAGE_SIZE;
    return true;
}

uint64_t native_pages_used(const struct native *native) { return native->pages_used; }
