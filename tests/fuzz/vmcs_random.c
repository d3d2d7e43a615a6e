/* SPDX-License-Identifier: MIT */
/*
 * VMCSs that nobody would write, entered on the model. Half the inputs are random throughout; half start from a VMCS that
 * VM entry accepts, with other controls switched on, and change one to five fields to values at the edge of validity.
 *
 * What must hold: no crash, no hang, no access out of bounds; vmx_enter() does what check_entry() said it would; a guest that
 * was entered is in a state that exists, and can be left again; after an exit the processor holds the host state of the
 * VMCS, and the guest state that the exit has saved is one that VM entry accepts.
 */
#include <stdio.h>

#include "tests/fuzz/fuzz.h"

/* The fixture's assertions without Check, which wants a test runner around them. */
#define CHECK_H
#define ck_assert(condition) FUZZ_ASSERT(condition)
#define ck_assert_int_eq(a, b) FUZZ_ASSERT((a) == (b))
#define ck_assert_uint_lt(a, b) FUZZ_ASSERT((a) < (b))
#include "tests/model/vmx_fixture.h"

enum { RAM_SIZE = 0x50000, STEPS_MAX = 6 };

/* ---- input: its bytes, then numbers that follow from them ---- */

struct source {
    const uint8_t *data;
    size_t size, at;
    struct fuzz_random random;
};

static struct source source_of(const uint8_t *data, size_t size)
{
    struct source source = { data, size, 0, { size } };

    for (size_t i = 0; i < size; i++)
        source.random.state = (source.random.state ^ data[i]) * 0x100000001b3;
    return source;
}

static uint64_t take(struct source *source, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(source->at < source->size ? source->data[source->at++] : fuzz_next(&source->random) >> 56) << 8 * i;
    return value;
}

static unsigned below(struct source *source, unsigned limit)
{
    return (unsigned)(take(source, 2) % limit);
}

/* ---- the machine: set up once, put back before each input ---- */

static struct vmx_fixture f;
static struct cpu fresh_cpu;
static struct vmcs fresh_vmcs;
static uint8_t fresh_ram[RAM_SIZE], fresh_watch[RAM_SIZE / PAGE_SIZE];
static struct vmx_capability fresh_capability;
static bool written;                    /* memory is not as it was */

static void forget(void *context, const struct notice *notice)
{
    (void)context;
    (void)notice;
}

static void open_once(void)
{
    if (f.model)
        return;
    fixture_open(&f);
    memory_init(&f.model->memory, f.ram, RAM_SIZE, f.watch);
    f.model->observer.notify = forget;
    fresh_cpu = *f.cpu;
    fresh_vmcs = *f.cpu->vmx.current;
    fresh_capability = f.model->capability;
    memcpy(fresh_ram, f.ram, RAM_SIZE);
    memcpy(fresh_watch, f.watch, sizeof fresh_watch);
}

static void reset(void)
{
    struct vmcs_cache *cache = &f.model->vmcs_cache;

    tlb_reset(f.cpu);
    *f.cpu = fresh_cpu;
    *f.cpu->vmx.current = fresh_vmcs;
    for (unsigned i = 1; i < cache->used; i++)
        cache->vmcs[i].active = false;
    cache->used = 1;
    f.model->random = 1;
    f.model->capability = fresh_capability;
    if (written) {
        memcpy(f.ram, fresh_ram, RAM_SIZE);
        memcpy(f.watch, fresh_watch, sizeof fresh_watch);
    }
    written = false;
}

/* ---- a VMCS from an input ---- */

static uint64_t edge(struct source *source, uint64_t old)
{
    static const uint64_t values[] = {
        0, 1, 2, 3, 7, 8, 15, 0xff, 0x100, 0x1ff, 0x200, 0xfff, 0x1000, 0xffff, 0x10000, 0xfffff, 0x100000, 0x7fffffff,
        0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffff, 0x800000000000, 0xffff7fffffffffff, 0xffff800000000000,
        0x7fffffffffffffff, 0x8000000000000000, ~0ull, 1ull << 39, (1ull << 40) - 16, 1ull << 40, 1ull << 52,
        FIXTURE_VMCS, FIXTURE_LINKED, FIXTURE_VMXON, FIXTURE_MSR_AREA, FIXTURE_CR3, FIXTURE_EPTP, RAM_SIZE - 16, RAM_SIZE,
        0x80000000 | EVENT_NMI << 8 | VECTOR_NMI, 0x80000b0e, 0x80000300, 0x80000320, 0x80000603, 0x80000420, 0x80000700,
    };

    switch (below(source, 6)) {
    case 0:
        return old ^ 1ull << below(source, 64);
    case 1:
        return old ^ 1ull << below(source, 32) ^ 1ull << below(source, 32);
    case 2:
        return old + (below(source, 2) ? 1 : ~0ull);
    case 3:
        return fresh_vmcs.field[below(source, VMCS_FIELD_COUNT)];
    default:
        return values[below(source, sizeof values / sizeof values[0])];
    }
}

/* Controls at random, what they need added: so that entries get past them. */
static void random_controls(struct source *source, struct vmcs *v)
{
    const struct vmx_capability *c = &f.model->capability;
    uint32_t pin = (uint32_t)take(source, 4), proc = (uint32_t)take(source, 4), proc2 = (uint32_t)take(source, 4);
    uint32_t exit = (uint32_t)take(source, 4), entry = (uint32_t)take(source, 4);

    if (proc2 & (PROC2_unrestricted_guest | PROC2_mode_based_execute_control | PROC2_enable_pml | PROC2_enable_vm_functions))
        proc2 |= PROC2_enable_ept;
    if (proc2 & PROC2_virtual_interrupt_delivery)
        pin |= PIN_external_interrupt_exiting;
    else
        pin &= ~(uint32_t)PIN_process_posted_interrupts;
    if (pin & PIN_process_posted_interrupts)
        exit |= EXIT_acknowledge_interrupt_on_exit;
    if (proc2 & (PROC2_virtualize_x2apic_mode | PROC2_apic_register_virtualization | PROC2_virtual_interrupt_delivery))
        proc |= PROC_use_tpr_shadow;
    if (proc2 & PROC2_virtualize_x2apic_mode)
        proc2 &= ~(uint32_t)PROC2_virtualize_apic_accesses;
    if (proc & PROC_nmi_window_exiting)
        pin |= PIN_virtual_nmis;
    if (pin & PIN_virtual_nmis)
        pin |= PIN_nmi_exiting;
    if (!(pin & PIN_activate_preemption_timer))
        exit &= ~(uint32_t)EXIT_save_preemption_timer;
    VMCS(v, pin_based_controls) = (pin & c->pin.allowed) | c->pin.required;
    VMCS(v, processor_based_controls) = (proc & c->proc.allowed) | c->proc.required;
    VMCS(v, secondary_processor_based_controls) = (proc2 & c->proc2.allowed) | c->proc2.required;
    VMCS(v, exit_controls) = (exit & c->exit.allowed) | c->exit.required | EXIT_host_address_space_size;
    VMCS(v, entry_controls) = (entry & c->entry.allowed) | c->entry.required;
}

/* Guests that are not in 64-bit mode. */
static void random_mode(struct source *source, struct vmcs *v)
{
    unsigned mode = below(source, 4);

    if (mode == 0) {
        VMCS(v, entry_controls) |= ENTRY_ia32e_mode_guest;
        return;
    }
    VMCS(v, entry_controls) &= ~(uint64_t)ENTRY_ia32e_mode_guest;       /* 32-bit, PAE */
    VMCS(v, guest_ia32_efer) = 0;
    VMCS(v, guest_cs_access_rights) = 0xc09b;
    VMCS(v, guest_cr3) = FIXTURE_PDPTES;
    if (mode == 1)
        return;
    for (unsigned i = 0; i <= SEG_GS; i++) {                            /* virtual-8086, or real mode */
        v->field[FIELD_guest_es_base + i] = v->field[FIELD_guest_es_selector + i] << 4;
        v->field[FIELD_guest_es_limit + i] = 0xffff;
        v->field[FIELD_guest_es_access_rights + i] = mode == 2 ? 0xf3 : i == SEG_CS ? 0x9b : 0x93;
    }
    if (mode == 2)
        VMCS(v, guest_rflags) |= RFLAGS_VM;
    else
        VMCS(v, guest_cr0) &= ~(uint64_t)(CR0_PE | CR0_PG);
}

static void make_vmcs(struct source *source, struct vmcs *v)
{
    uint8_t how = (uint8_t)take(source, 1);

    if (how & 1) {
        for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
            v->field[i] = take(source, 8) & vmcs_field_mask(i);
        return;
    }
    if (how & 2)
        random_controls(source, v);
    if (how & 4)
        random_mode(source, v);
    for (unsigned i = how >> 3 & 1 ? 1 + below(source, 5) : 0; i; i--) {
        unsigned field = below(source, VMCS_FIELD_COUNT);

        v->field[field] = edge(source, v->field[field]) & vmcs_field_mask(field);
    }
    if (how & 16)
        for (unsigned i = 0; i < 64; i++)           /* MSR lists that name existing MSRs now and then */
            memory_write64(&f.model->memory, FIXTURE_MSR_AREA + 8 * below(source, 512),
                           below(source, 2) ? take(source, 8) : 0xc0000080 + below(source, 6));
    if (how & 32)
        memory_write32(&f.model->memory, FIXTURE_LINKED, VMCS_REVISION | (how & 64 ? VMCS_SHADOW_INDICATOR : 0));
    written = how & (16 | 32);
    f.cpu->interruptibility = how & 128 ? (uint32_t)take(source, 1) & (BLOCKING_BY_NMI | BLOCKING_BY_STI) : 0;
}

/* ---- what must hold ---- */

static void expect_host(const struct vmcs *v)
{
    const struct cpu *cpu = f.cpu;

    FUZZ_ASSERT(!cpu->vmx.non_root && cpu->vmx.current == v && cpu->vmx.operation);
    FUZZ_ASSERT(!cpu->event.valid && cpu->activity == ACTIVITY_ACTIVE);
    FUZZ_ASSERT(cpu->rip == VMCS(v, host_rip) && cpu->gpr[RSP] == VMCS(v, host_rsp) && cpu->rflags == RFLAGS_FIXED);
    FUZZ_ASSERT(cpu->cr3 == VMCS(v, host_cr3));
    FUZZ_ASSERT(cpu->seg[SEG_CS].selector == VMCS(v, host_cs_selector));
    FUZZ_ASSERT(cpu->seg[SEG_TR].selector == VMCS(v, host_tr_selector));
    FUZZ_ASSERT(cpu_cpl(cpu) == 0);
}

/* What no guest state may be, whatever the checks are made of (27.3.1). */
static void expect_guest(void)
{
    const struct cpu *cpu = f.cpu;
    bool v86 = cpu->rflags & RFLAGS_VM, ia32e = cpu_long_mode(cpu);
    int64_t high = (int64_t)cpu->seg[SEG_TR].base >> (cr4_allowed(cpu) & CR4_LA57 ? 56 : 47);

    FUZZ_ASSERT((cpu->rflags & RFLAGS_FIXED) && !(cpu->rflags & 0xffffffffffc08028));
    FUZZ_ASSERT(!(cpu->cr0 & CR0_PG) || (cpu->cr0 & CR0_PE));
    FUZZ_ASSERT((cpu->cr4 & CR4_VMXE) && !(cpu->cr4 & ~f.model->capability.cr4_fixed1));
    FUZZ_ASSERT(!v86 || ((cpu->cr0 & CR0_PE) && !ia32e));
    FUZZ_ASSERT(!ia32e || ((cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE)));
    FUZZ_ASSERT(cpu_64bit(cpu) || !(cpu->rip >> 32));
    FUZZ_ASSERT(!(cpu->cr3 >> f.model->physical_address_width));
    FUZZ_ASSERT(high == 0 || high == -1);
    FUZZ_ASSERT((cpu->seg[SEG_TR].access_rights & (AR_PRESENT | AR_UNUSABLE)) == AR_PRESENT);
    FUZZ_ASSERT(cpu->activity <= ACTIVITY_WAIT_FOR_SIPI && cpu->gdtr.limit <= 0xffff && cpu->idtr.limit <= 0xffff);
}

/* The end of an exit: the host runs, or a VMX abort has stopped the processor. */
static bool expect_left(const struct vmcs *v, enum status status)
{
    FUZZ_ASSERT(status == STATUS_VM_EXIT || status == STATUS_SHUTDOWN);
    if (status == STATUS_SHUTDOWN)
        return false;
    expect_host(v);
    return true;
}

static struct insn random_insn(struct source *source)
{
    static const uint8_t sizes[] = { 2, 4, 8 };
    struct insn insn = {
        .id = 1 + below(source, INSN_COUNT - 1), .length = (uint8_t)(1 + below(source, 15)),
        .operand_size = sizes[below(source, 3)], .address_size = sizes[below(source, 3)],
        .kind = below(source, 2) ? OPERAND_REGISTER : OPERAND_MEMORY, .rm = (uint8_t)below(source, 16),
        .segment = (uint8_t)below(source, 6), .base = below(source, 2) ? NO_REGISTER : (uint8_t)below(source, 16),
        .index = below(source, 2) ? NO_REGISTER : (uint8_t)below(source, 16), .scale = (uint8_t)below(source, 4),
        .displacement = (int64_t)(below(source, 2) ? take(source, 8) : take(source, 2)), .reg = (uint8_t)below(source, 8),
        .port = (uint16_t)take(source, 2), .rep = below(source, 2),
    };

    /* As the decoder makes them: model/insn.h. */
    if (insn.id == INSN_in || insn.id == INSN_out || insn.id == INSN_ins || insn.id == INSN_outs)
        insn.operand_size /= 2;
    return insn;
}

/* Guest work of some kind; false when the processor is no longer in the guest or has stopped. */
static bool step(struct source *source)
{
    struct cpu *cpu = f.cpu;
    struct access access = { .kind = below(source, 3), .user = below(source, 2), .probe = below(source, 2) };
    uint64_t linear = below(source, 2) ? below(source, 0x1000) << 8 : take(source, 8);
    enum status status = STATUS_OK;
    struct insn insn;
    struct translation translation;

    switch (below(source, 4)) {
    case 0:
        cpu->clock += below(source, 2) ? take(source, 1) : take(source, 4);
        cpu->nmi_pending |= below(source, 4) == 0;
        boundary_deadline(cpu);
        status = boundary(cpu);
        break;
    case 1:
        insn = random_insn(source);
        for (unsigned i = 0; i < 4; i++)
            cpu->gpr[below(source, 16)] = below(source, 2) ? take(source, 8) : take(source, 1);
        status = execute(cpu, &insn);
        break;
    case 2:
        translation = translate(cpu, linear, access);
        if (translation.result != TRANSLATION_OK && !access.probe)
            status = translation_fault(cpu, linear, &translation, below(source, 2));
        break;
    case 3:
        status = cpu_fault(cpu, (enum vector)below(source, 20), (uint32_t)take(source, 2));
        break;
    }
    if (below(source, 2))
        cpu->event.valid = false;                       /* the CPU engine has delivered it */
    return cpu->vmx.non_root && status != STATUS_SHUTDOWN && status != STATUS_REFUSED;
}

/* What an exit has saved is what a processor can hold: VM entry takes it back. */
static void expect_reentry(struct vmcs *v)
{
    struct check_outcome outcome = check_entry(f.cpu, v);

    if (outcome.failed)
        fprintf(stderr, "saved by the VM exit, refused by VM entry: %s\n", outcome.first->id);
    FUZZ_ASSERT(!outcome.failed);
}

static void run_guest(struct source *source, struct vmcs *v)
{
    /* The checks that looked at the host, or at a list that has meanwhile changed it, need not hold twice. */
    bool same = !VMCS(v, entry_msr_load_count) && !VMCS(v, exit_msr_load_count) && !VMCS(v, exit_msr_store_count);
    unsigned steps = below(source, STEPS_MAX);
    struct exit_information information = { .reason = below(source, 70), .qualification = take(source, 8) };

    FUZZ_ASSERT(f.cpu->vmx.non_root && f.cpu->rip == VMCS(v, guest_rip) && v->launch_state == LAUNCH_LAUNCHED);
    expect_guest();
    for (unsigned i = 0; i < steps; i++)
        if (!step(source))
            return;
    if (expect_left(v, vmx_exit(f.cpu, &information)) && same && !steps)
        expect_reentry(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = source_of(data, size);
    struct check_outcome outcome;
    vmx_result result = 99;
    enum status status;

    open_once();
    reset();
    struct vmcs *v = f.cpu->vmx.current;
    make_vmcs(&source, v);
    outcome = check_entry(f.cpu, v);
    status = vmx_enter(f.cpu, true, &result);
    if (outcome.failed && outcome.group != CHECK_GUEST) {
        FUZZ_ASSERT(status == STATUS_OK);
        FUZZ_ASSERT(result == (outcome.group == CHECK_CONTROLS ? VM_ERROR_entry_invalid_control
                                                               : VM_ERROR_entry_invalid_host_state));
        FUZZ_ASSERT(!f.cpu->vmx.non_root && v->launch_state == LAUNCH_CLEAR);
        return 0;
    }
    written = true;
    if (outcome.failed || status != STATUS_VM_ENTRY) {
        uint64_t reason = VMCS(v, exit_reason);

        FUZZ_ASSERT(reason == (EXIT_REASON_ENTRY_FAILURE | (outcome.failed ? EXIT_REASON_entry_failure_guest_state
                                                                           : EXIT_REASON_entry_failure_msr_loading)));
        FUZZ_ASSERT(!outcome.failed || VMCS(v, exit_qualification) == outcome.qualification);
        FUZZ_ASSERT(v->launch_state == LAUNCH_CLEAR);
        expect_left(v, status);
        return 0;
    }
    run_guest(&source, v);
    return 0;
}

/* 2 bytes in 3 inputs decide nearly all; random inputs have the bytes for every field. */
size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    size_t size = 16;

    for (size_t i = 0; i < size; i += 8) {
        uint64_t value = fuzz_next(random);
        memcpy(to + i, &value, 8);
    }
    return size;
}
