/* SPDX-License-Identifier: MIT */
/* The strategies: what trap does, what copy and flip have in common, and who does what when. SDM Vol. 3, 25.10. */
#include "hv/nested/shadow.h"

/* ---- trap: vmcs12 in L0's memory is the truth at all times but while L2 runs ---- */

static void trap_enter(struct hv_cpu *cpu)
{
    vmcs_select(cpu, 2);
    for (unsigned i = 0; i < KEPT_COUNT; i++)
        cpu->vmcs02->kept_known[i] = false;
    fields_to_hardware(cpu, cpu->nested.vmcs12, SET_WRITTEN);
    fields_to_hardware(cpu, cpu->nested.vmcs12, SET_WRITTEN_LATE);
    vmcs02_keep(cpu, KEPT_PROC, VMCS_processor_based_controls, cpu->nested.vmcs12->settled.proc02);
    vmcs02_write_controls(cpu);
    vmcs02_write_conditional(cpu, vmwrite);
}

static void trap_save(struct hv_cpu *cpu)
{
    fields_from_hardware(cpu, cpu->nested.vmcs12, SET_SAVED);
    fields_from_hardware(cpu, cpu->nested.vmcs12, SET_SAVED_LATE);
    vmcs02_save_mode(cpu);
    vmcs02_save_conditional(cpu->nested.vmcs12);
}

/* ---- what is shadowed ---- */

static void allow(uint8_t bitmap[PAGE_SIZE], unsigned encoding)
{
    bitmap[encoding / 8] &= (uint8_t)~(1u << encoding % 8);
}

/* SDM Vol. 3, 25.6.15: a bit of 1 exits. A 64-bit field has two encodings. */
static void allow_set(const struct hv_cpu *cpu, uint8_t bitmap[PAGE_SIZE], enum field_set_id id)
{
    const struct field_set *set = &cpu->machine->field_set[id];

    for (unsigned i = 0; i < set->count; i++) {
        const unsigned encoding = set->row[i].encoding;
        allow(bitmap, encoding);
        if (VMCS_ENCODING_WIDTH(encoding) == VMCS_WIDTH_64)
            allow(bitmap, encoding + 1);
    }
}

static bool fill_bitmaps(struct hv_cpu *cpu, enum field_set_id reads, enum field_set_id writes)
{
    struct nested *n = &cpu->nested;
    uint8_t *read_bitmap = n->buffer, *write_bitmap = n->buffer + PAGE_SIZE;

    _Static_assert(sizeof n->buffer >= 2 * PAGE_SIZE, "two bitmaps fit the buffer");
    n->shadow.read_bitmap = hal_page_allocate();
    n->shadow.write_bitmap = hal_page_allocate();
    if (!n->shadow.read_bitmap.value || !n->shadow.write_bitmap.value)
        return false;
    for (unsigned i = 0; i < 2 * PAGE_SIZE; i++)
        n->buffer[i] = 0xff;
    allow_set(cpu, read_bitmap, reads);
    allow_set(cpu, write_bitmap, writes);
    return hal_pm_write(n->shadow.read_bitmap, read_bitmap, PAGE_SIZE) &&
           hal_pm_write(n->shadow.write_bitmap, write_bitmap, PAGE_SIZE);
}

void shadow_link(const struct hv_cpu *cpu, physical_address region)
{
    const struct shadow *shadow = &cpu->nested.shadow;
    const uint32_t controls = vmread32(VMCS_secondary_processor_based_controls) & ~(uint32_t)PROC2_vmcs_shadowing;

    vmwrite(VMCS_secondary_processor_based_controls, controls | (region.value ? PROC2_vmcs_shadowing : 0));
    vmwrite(VMCS_vmcs_link_pointer, region.value ? region.value : ~0ull);
    vmwrite(VMCS_vmread_bitmap_address, shadow->read_bitmap.value);
    vmwrite(VMCS_vmwrite_bitmap_address, shadow->write_bitmap.value);
}

void shadow_select(physical_address region)
{
    if (hal_vmptrld(region) != HAL_OK)
        hal_fail_stop("a VMPTRLD of L0 failed");
}

/* ---- the regions ---- */

/* `count` VMCSs for L2, one for each vmcs12 that is kept here; prepared as ordinary ones. */
static bool create_slots(struct hv_cpu *cpu, unsigned count)
{
    struct nested *n = &cpu->nested;

    n->slots = count;
    for (unsigned i = 0; i < count; i++) {
        struct vmcs12 *slot = &n->slot[i];
        slot->address = NO_VMCS;
        if (!vmcs_create(cpu->machine, 0, &slot->hardware))
            return false;
        cpu->vmcs02 = &slot->hardware;
        shadow_select(slot->hardware.region);
        vmcs02_prepare(cpu);
    }
    cpu->level = 2;
    n->vmcs12 = &n->slot[count - 1];
    return true;
}

/* From ordinary VMCSs to shadow VMCSs: cleared first, so that no processor holds them (25.10). */
static bool tag_slots(struct hv_cpu *cpu)
{
    for (unsigned i = 0; i < cpu->nested.slots; i++) {
        const physical_address region = cpu->nested.slot[i].hardware.region;
        if (hal_vmclear(region) != HAL_OK ||
            !hal_pm_write32(region, BASIC_REVISION(cpu->machine->physical.basic) | VMCS_SHADOW_INDICATOR))
            return false;
    }
    cpu->level = 0;
    return true;
}

void shadow_tell_vmcs12(struct hv_cpu *cpu)
{
    VMCS12(cpu, exit_reason) = cpu->exit.reason | cpu->exit.circumstances;
    VMCS12(cpu, exit_qualification) = cpu->exit.qualification;
    if (cpu->exit.reason & EXIT_REASON_ENTRY_FAILURE)
        return;
    exit_need(cpu, EXIT_ALL);
#define EXIT_PART(name, type, field) VMCS12(cpu, field) = cpu->exit.name;
#include "hv/exit_parts.def"
}

/* ---- what each strategy does when ---- */

#define NOTHING (void)0
#define BY_STRATEGY(cpu, trap, copy, flip)                                                                          \
    do {                                                                                                            \
        if ((cpu)->strategy == HV_TRAP)                                                                             \
            trap;                                                                                                   \
        else if ((cpu)->strategy == HV_COPY)                                                                        \
            copy;                                                                                                   \
        else                                                                                                        \
            flip;                                                                                                   \
    } while (0)

void shadow_load(struct hv_cpu *cpu) { BY_STRATEGY(cpu, NOTHING, copy_load(cpu), flip_load(cpu)); }
void shadow_release(struct hv_cpu *cpu, struct vmcs12 *v) { BY_STRATEGY(cpu, NOTHING, copy_release(cpu, v), flip_release(cpu, v)); }
void shadow_before_read(struct hv_cpu *cpu, enum field_index field)
{
    BY_STRATEGY(cpu, NOTHING, copy_before_read(cpu, field), flip_before_read(cpu, field));
}
void shadow_before_write(struct hv_cpu *cpu) { BY_STRATEGY(cpu, NOTHING, copy_before_write(cpu), flip_before_write(cpu)); }
void shadow_written(struct hv_cpu *cpu, enum field_index field) { BY_STRATEGY(cpu, NOTHING, copy_written(cpu, field), flip_written(cpu, field)); }
void shadow_fetch(struct hv_cpu *cpu) { BY_STRATEGY(cpu, NOTHING, copy_fetch(cpu), flip_fetch(cpu)); }
void shadow_enter(struct hv_cpu *cpu) { BY_STRATEGY(cpu, trap_enter(cpu), copy_enter(cpu), flip_enter(cpu)); }
void shadow_before_injection(struct hv_cpu *cpu) { BY_STRATEGY(cpu, NOTHING, NOTHING, flip_before_injection(cpu)); }
void shadow_save(struct hv_cpu *cpu) { BY_STRATEGY(cpu, trap_save(cpu), copy_save(cpu), flip_save(cpu)); }
void shadow_tell(struct hv_cpu *cpu) { BY_STRATEGY(cpu, shadow_tell_vmcs12(cpu), copy_tell(cpu), flip_tell(cpu)); }
void shadow_leave(struct hv_cpu *cpu) { BY_STRATEGY(cpu, vmcs_select(cpu, 1), copy_leave(cpu), flip_leave(cpu)); }

void shadow_controls(struct hv_cpu *cpu, uint32_t proc)
{
    if (cpu->strategy != HV_FLIP) {
        vmcs02_keep(cpu, KEPT_PROC, VMCS_processor_based_controls, proc);
        return;
    }
    cpu->nested.shadow.proc_edited = true;      /* L1 reads and writes this field: it gets its own value back */
    vmwrite(VMCS_processor_based_controls, proc);
}

const char *shadow_refusal(const struct capability *c, enum hv_strategy strategy)
{
    switch (strategy) {
    case HV_TRAP:
        return NULL;
    case HV_COPY:
    case HV_FLIP:
        if (!(c->proc2.allowed & PROC2_vmcs_shadowing))
            return "the processor lacks VMCS shadowing, which strategies copy and flip need (trap does not)";
        if (!(c->misc & MISC_VMWRITE_ANY))
            return "VMWRITE cannot write exit information, as strategies copy and flip must (trap need not)";
        return NULL;
    }
    return "this strategy does not exist";
}

bool shadow_create(struct hv_cpu *cpu)
{
    struct hardware_vmcs shadow;

    switch (cpu->strategy) {
    case HV_TRAP:
        return create_slots(cpu, 1);
    case HV_COPY:
        if (!fill_bitmaps(cpu, SET_COPY_READ, SET_COPY_WRITTEN) ||
            !vmcs_create(cpu->machine, VMCS_SHADOW_INDICATOR, &shadow))
            return false;
        cpu->nested.shadow.region = shadow.region;
        return create_slots(cpu, 1);
    case HV_FLIP:
        return fill_bitmaps(cpu, SET_FLIP, SET_FLIP) && create_slots(cpu, VMCS12_SLOTS) && tag_slots(cpu);
    }
    return false;
}
