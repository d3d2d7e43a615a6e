/* SPDX-License-Identifier: MIT */
/* hv_run(): into VMX operation, then enter, handle, enter. */
#include "hv/core.h"

#include "hv/nested/shadow.h"

static unsigned physical_address_width(void)
{
    unsigned width = hal_cpuid(0x80000000, 0).eax >= 0x80000008 ? hal_cpuid(0x80000008, 0).eax & 0xff : 36;

    return width > 52 ? 52 : width;
}

/*
 * With memory encryption of several keys the uppermost bits of a physical address choose one: addresses that differ in them name the same
 * memory. To L1 only those with key 0 are there.
 */
static unsigned key_bits(void)
{
    enum { MSR_IA32_TME_ACTIVATE = 0x982, LEAF_7_ECX_TME = 1 << 13 };
    uint64_t activate;

    if (hal_cpuid(0, 0).eax < 7 || !(hal_cpuid(7, 0).ecx & LEAF_7_ECX_TME) || !hal_rdmsr(MSR_IA32_TME_ACTIVATE, &activate))
        return 0;
    return activate >> 32 & 15;
}

/* SDM Vol. 3, 2.2.1: of IA32_EFER NXE, SCE and LME exist as CPUID says; so do 1-GByte pages. */
static void read_cpuid(struct hv_machine *m)
{
    const uint32_t edx = hal_cpuid(0x80000001, 0).edx;

    m->physical_address_width = physical_address_width();
    m->memory_address_width = m->physical_address_width - key_bits();
    m->efer_allowed = (edx & 1u << 11 ? EFER_SCE : 0) | (edx & 1u << 20 ? EFER_NXE : 0) | (edx & 1u << 29 ? EFER_LME | EFER_LMA : 0);
    m->pages_1g = edx & 1u << 26;
    m->barriers = barriers_needed();
}

static bool msr_bitmap_create(struct hv_machine *m)
{
    uint8_t bitmap[PAGE_SIZE] = { 0 };

    m->msr_bitmap01 = hal_page_allocate();
    msr_bitmap_fill(bitmap);
    return m->msr_bitmap01.value && hal_pm_write(m->msr_bitmap01, bitmap, sizeof bitmap);
}

/* What all processors share is made by the first. NULL, or why not. */
static const char *prepare_machine(struct hv_machine *m)
{
    const char *missing;

    if (!capability_read(&m->physical))
        return "the processor has no VMX capability MSRs";
    missing = capability_missing(&m->physical);
    if (missing)
        return missing;
    capability_offer(&m->physical, &m->offered);
    field_sets_make(&m->offered, m->field_set);
    read_cpuid(m);
    m->pool = hal_pool();
    while (m->ram_count < RAM_RANGES && hal_ram(m->ram_count, &m->ram[m->ram_count]))
        m->ram_count++;
    if (m->ram_count == RAM_RANGES)
        return "the machine's RAM lies in more ranges than the core keeps";
    for (unsigned i = 0; i < m->ram_count; i++)
        hal_own(m->ram[i].base, m->ram[i].size / PAGE_SIZE, HAL_OWNER_L1);
    hal_own(m->pool.base, m->pool.size / PAGE_SIZE, HAL_OWNER_L0);
    if (!ept01_build(m) || !msr_bitmap_create(m))
        return "the pool is too small for L0's own structures";
    m->ready = true;
    return NULL;
}

static bool processor_has_vmx(void) { return hal_cpuid(1, 0).ecx & 1u << 5; }

/* SDM Vol. 3, 24.7: VMXON needs the MSR locked with VMX allowed. L1 keeps its own view of it, as it was before. */
static const char *enable_vmx(struct hv_cpu *cpu)
{
    const uint64_t wanted = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;

    if (!processor_has_vmx())
        return "the processor has no VMX";
    if (!hal_rdmsr(MSR_ia32_feature_control, &cpu->feature_control))
        return "IA32_FEATURE_CONTROL does not exist";
    if (!(cpu->feature_control & FEATURE_CONTROL_LOCK) &&
        !hal_wrmsr(MSR_ia32_feature_control, cpu->feature_control | wanted))
        return "IA32_FEATURE_CONTROL cannot be written";
    if (cpu->feature_control & FEATURE_CONTROL_LOCK && !(cpu->feature_control & FEATURE_CONTROL_VMX_OUTSIDE_SMX))
        return "the firmware has locked VMX off";
    cpu->feature_control &= wanted;
    return NULL;
}

/* Enters the level whose VMCS is current. False: the processor refused, nothing ran. */
static bool enter(struct hv_cpu *cpu)
{
    struct hardware_vmcs *vmcs = cpu->level == 1 ? &cpu->vmcs01 : cpu->vmcs02;
    enum hal_result result;
    uint32_t reason;
    const bool waits = cpu->waits_for_sipi;     /* pages_after_exit() ends that, also where nothing ran */

    if (cpu->told_level != cpu->level) {
        cpu->told_level = cpu->level;
        hal_log(HAL_EVENT_LEVEL, cpu->level, vmcs->region.value,
                cpu->level == 2 && cpu->nested.vmcs12->settled.ept ? VMCS12(cpu, ept_pointer) : 0, 0);
    }
    do {
        if (cpu->due & HAL_MACHINE_CHECK && machine_check_exits(cpu))
            return true;
        cpu->waits_for_sipi = waits;
        pages_before_entry(cpu);
        cpu->entries.count = 0;                 /* what the guest writes from now on counts */
        cpu->breakpoints_met = 0;
        if (cpu->due || vmcs->nmi_window)
            nmi_before_entry(cpu);
        if (cpu->level == 2 && cpu->machine->barriers)
            barriers_before_l2(cpu);
        result = hal_enter(&cpu->registers, !vmcs->launched);
        pages_after_exit(cpu);
        if (result > 0)
            cpu->due |= (uint8_t)result;
    } while (result > 0);
    cpu->due &= (uint8_t)~DUE_TRIAL;
    if (result != HAL_OK)
        return false;
    /* An entry that fails with an exit does not launch the VMCS (SDM Vol. 3, 27.8). */
    reason = vmread32(VMCS_exit_reason);
    cpu->exit = (struct exit_record){ .known = EXIT_reason, .reason = reason & EXIT_REASON_DECIDES, .circumstances = reason & ~EXIT_REASON_DECIDES };
    if (!(cpu->exit.reason & EXIT_REASON_ENTRY_FAILURE))
        vmcs->launched = true;
    if ((reason & 0xffff) < LATE_EXIT_REASONS)
        cpu->exits.of[cpu->level - 1][reason & 0xffff]++;
    return true;
}

/* NULL, or why not. No page of the pool is lost when a processor asks again. */
static const char *create(struct hv_cpu *cpu)
{
    if (!cpu->created && !cpu->too_small) {
        cpu->created = vmcs_create(cpu->machine, 0, &cpu->vmcs01) && nested_create(cpu);
        cpu->too_small = !cpu->created;
    }
    return cpu->created ? NULL : "the pool is too small for this processor's structures";
}

/*
 * Does the processor enter the guest's state?  The entry is as any other, but for an exit before the guest's first instruction (nmi.c).
 * A guest that was running before L0 shall be told if not: it goes on as it was.
 */
static const char *prove(struct hv_cpu *cpu)
{
    cpu->due |= DUE_TRIAL;
    if (!enter(cpu) || cpu->exit.reason & EXIT_REASON_ENTRY_FAILURE) {
        vmcs_leave_operation(cpu);
        cpu->level = cpu->told_level = 0;
        return "the processor refuses to run the guest as it is under VMX";
    }
    return NULL;
}

static const char *start(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    struct hal_capture capture;
    uint64_t base;
    const char *reason = hal_cpu_index() < HV_CPUS ? enable_vmx(cpu) : "the machine has more processors than the core keeps";

    if (reason)
        return reason;
    if (!hal_capture(&capture))
        return "this back end cannot capture the state of the guest";
    cpu->presence = &m->presence[hal_cpu_index()];
    hal_lock(&m->lock);
    if (!m->ready && !m->refusal)
        m->refusal = prepare_machine(m);
    hal_unlock(&m->lock);
    if (m->refusal)
        return m->refusal;
    if (!hal_rdmsr(MSR_ia32_apic_base, &base) || !hv_apic_reached(base))
        return "the local APIC lies over RAM or beyond 4 GB, where L0 does not reach it";
    reason = shadow_refusal(&m->physical, cpu->strategy);
    if (reason)
        return reason;
    m->late = capture.late;
    m->rolls_back = capture.rolls_back;
    reason = msr_refusal(&capture);
    if (reason)
        return reason;
    if (capture.late && capture.cr4 & CR4_VMXE)
        return "the guest has set CR4.VMXE: it may be in VMX operation, and L0 cannot slide beneath that";
    hal_write_cr4(hal_read_cr4() | CR4_VMXE);
    hal_host_state(&cpu->host);
    if (!cpu->vmxon_region.value)
        cpu->vmxon_region = hal_page_allocate();
    if (!cpu->vmxon_region.value || !hal_pm_write32(cpu->vmxon_region, BASIC_REVISION(m->physical.basic)))
        return "the pool is empty";
    if (hal_vmxon(cpu->vmxon_region) != HAL_OK)
        return "VMXON failed: the processor is in VMX operation already, or refuses it";
    /* What it remembers of an earlier life of L0's, or of another hypervisor's, is not about this one (SDM Vol. 3, 29.4.3.3). */
    if (hal_invept(INVEPT_GLOBAL, 0) != HAL_OK || hal_invvpid(INVVPID_ALL, 0, 0) != HAL_OK) {
        hal_vmxoff();
        return "INVEPT or INVVPID failed";
    }
    reason = create(cpu);
    if (reason) {
        vmcs_leave_operation(cpu);
        return reason;
    }
    vmcs_select(cpu, 1);
    vmcs01_build(cpu, &capture);
    cpu->init_held = cpu->just_started = false;
    cpu->loaded_cr4 = capture.cr4;
    cpu->passage = capture.passage;
    reason = capture.late ? prove(cpu) : NULL;
    cpu->exits = (struct late_exits){ 0 };
    cpu->presence->unreachable = !hal_rdmsr(MSR_ia32_apic_base, &base) || !(base & APIC_BASE_ENABLE);
    if (!reason)
        late_loaded(cpu);
    else
        *cpu->presence = (struct presence){ .seen = cpu->presence->seen };
    return reason;
}

void hv_l1(struct hv_l1 *l1)
{
    const struct hv_cpu *cpu = hal_cpu_local();
    const struct nested *n = &cpu->nested;

    *l1 = (struct hv_l1){
        .on = n->on, .launched = n->on && n->current != NO_VMCS && n->vmcs12->launched, .vmxon_pointer = n->vmxon_pointer,
        .current = n->on ? n->current : NO_VMCS, .feature_control = cpu->feature_control,
    };
}

bool hv_l1_capability(uint32_t index, uint64_t *value)
{
    const struct hv_cpu *cpu = hal_cpu_local();

    return capability_value(&cpu->machine->offered, index, value);
}

/*
 * Each processor has half a share of the pool for its shadow EPTs (nested/vept.c), and of the rest its VMCSs and private pages.
 * A quarter of the pool is EPT01's at most, and where it has no 1-GByte pages it takes a page for each GByte.
 */
uint64_t hv_pool_pages(unsigned processors, uint64_t ram)
{
    const uint64_t each = 256, least = 8 * each, pages = each * processors, for_ram = 8 * (ram >> 30);

    return least > pages ? (least > for_ram ? least : for_ram) : (pages > for_ram ? pages : for_ram);
}

const char *hv_refusal(enum hv_strategy strategy)
{
    struct capability physical;

    /* A processor without VMX lacks more: hv_run() says so. */
    if (!processor_has_vmx() || !capability_read(&physical))
        return NULL;
    return shadow_refusal(&physical, strategy);
}

bool hv_nmi_due(void) { return ((const struct hv_cpu *)hal_cpu_local())->due & HAL_NMI; }

const char *hv_run(enum hv_strategy strategy)
{
    struct hv_cpu *cpu = hal_cpu_local();
    const char *reason;

    cpu->machine = hal_machine_local();
    cpu->strategy = strategy;
    cpu->due = 0;
    reason = start(cpu);
    if (reason) {
        late_failed(cpu->machine);
        return reason;
    }
    if (cpu->machine->late)
        exit_handle(cpu);                       /* of the trial */
    for (;;) {
        if (enter(cpu))
            exit_handle(cpu);
        else if (cpu->level == 2)
            nested_entry_refused(cpu);
        else
            hal_fail_stop("the processor refused to enter vmcs01");
    }
}
