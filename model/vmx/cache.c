/* SPDX-License-Identifier: MIT */
/*
 * The VMCSs that are active, and how they come and go: SDM Vol. 3, 25.1 "Overview", 25.11.1 "Software Use of the
 * Virtual-Machine Control Structure". Rule R2 lives here: whoever writes the region of an active VMCS finds the poison
 * that was put there, and is found by it.
 */
#include <string.h>

#include "model/model.h"

enum {
    REGION_SIZE = 4096,
    REGION_ABORT = 4,           /* bytes 4-7: VMX-abort indicator */
    REGION_LAUNCH_STATE = 8,
    REGION_FIELDS = 16,
};
_Static_assert(REGION_FIELDS + 8 * VMCS_FIELD_COUNT <= REGION_SIZE, "the fields fit into the region");

/* ---- R2 ---- */

/* `rip`: of the instruction at fault; 0 if it is not known. */
static void report_at(struct cpu *cpu, struct vmcs *vmcs, uint64_t rip, const char *text)
{
    struct notice notice = {
        .kind = NOTICE_VIOLATION, .cpu = cpu, .a = RULE_ACTIVE_VMCS, .b = vmcs->pa, .c = vmcs->cpu, .d = rip, .text = text,
    };

    if (vmcs->reported)
        return;
    vmcs->reported = true;
    if (cpu->model->observer.notify)
        cpu->model->observer.notify(cpu->model->observer.context, &notice);
}

/* Found after the fact. */
static void report(struct cpu *cpu, struct vmcs *vmcs, const char *text)
{
    report_at(cpu, vmcs, 0, text);
}

static const char *identifier_text(const struct vmcs *vmcs)
{
    return vmcs->linked
        ? "the shadow-VMCS indicator was written of a VMCS that is active because a VM entry with VMCS shadowing "
          "linked it: VMCLEAR missing [25.10, 25.1]"
        : "the revision identifier or shadow-VMCS indicator of an active VMCS was written: VMCLEAR missing "
          "[25.2, 25.11.1]";
}

static void check_identifier(struct cpu *cpu, struct vmcs *vmcs)
{
    if (memory_read32(&cpu->model->memory, vmcs->pa) != vmcs->identifier)
        report(cpu, vmcs, identifier_text(vmcs));
}

static void check_region(struct cpu *cpu, struct vmcs *vmcs)
{
    const uint8_t *region = memory_at(&cpu->model->memory, vmcs->pa, REGION_SIZE);
    uint64_t poison = VMCS_POISON;

    check_identifier(cpu, vmcs);
    /* Poison throughout: the first word, and each byte equal to the one eight bytes on. */
    if (region && (memcmp(region + REGION_LAUNCH_STATE, &poison, 8) ||
                   memcmp(region + REGION_LAUNCH_STATE, region + REGION_LAUNCH_STATE + 8,
                          REGION_SIZE - REGION_LAUNCH_STATE - 8)))
        report(cpu, vmcs, "the region of an active VMCS was written: use VMWRITE, or VMCLEAR it first [25.11.1]");
}

static void watch_write(struct cpu *cpu, uint64_t pa, uint64_t length, uint64_t rip)
{
    struct model *model = cpu->model;

    for (uint64_t done = 0; done < length;) {
        uint64_t page = (pa + done) & PAGE_MASK, from = pa + done - page, here = PAGE_SIZE - from;
        size_t index = memory_page_index(&model->memory, page);
        struct vmcs *vmcs;

        if (here > length - done)
            here = length - done;
        done += here;
        if (index == SIZE_MAX || !(model->memory.watch[index] & WATCH_VMCS))
            continue;
        vmcs = vmcs_active(model, page);
        if (!vmcs)
            continue;
        if (from < REGION_ABORT)
            report_at(cpu, vmcs, rip, identifier_text(vmcs));
        else if (from + here > REGION_LAUNCH_STATE)
            report_at(cpu, vmcs, rip, "the region of an active VMCS was written: use VMWRITE, or VMCLEAR it first [25.11.1]");
    }
}

void vmcs_watch_write(struct cpu *cpu, uint64_t pa, uint64_t length)
{
    watch_write(cpu, pa, length, 0);
}

void vmcs_touched(struct cpu *cpu, uint64_t pa, unsigned size, bool write, uint64_t rip)
{
    uint64_t from = pa & ~PAGE_MASK, end = from + (size ? size : 1);
    uint8_t watched = memory_watched(&cpu->model->memory, pa);
    const struct vmcs *vmcs = vmcs_active(cpu->model, pa & PAGE_MASK);
    unsigned owner = vmcs ? vmcs->cpu : cpu->index;

    if (watched & WATCH_VMXON)
        region_mistake(cpu, REGION_VMXON_TOUCHED, pa & PAGE_MASK, cpu->index, rip);
    else if (write && (watched & WATCH_VMCS))
        watch_write(cpu, pa, size ? size : 1, rip);
    else if (write && (watched & WATCH_REGION) && (from < REGION_ABORT || end > REGION_LAUNCH_STATE))
        region_mistake(cpu, from < REGION_ABORT ? REGION_IDENTIFIER_WRITTEN : REGION_WRITTEN, pa & PAGE_MASK, owner, rip);
    else if (!write && end > REGION_LAUNCH_STATE)
        region_mistake(cpu, REGION_READ, pa & PAGE_MASK, owner, rip);
}

void vmcs_at_end(struct model *model, bool left)
{
    for (unsigned i = 0; i < model->vmcs_cache.used; i++) {
        struct vmcs *vmcs = &model->vmcs_cache.vmcs[i];
        struct cpu *cpu = &model->cpu[vmcs->cpu];

        if (!vmcs->active)
            continue;
        check_region(cpu, vmcs);
        if (left && cpu->vmx.operation)         /* otherwise its VMXOFF has been told of */
            region_mistake(cpu, REGION_LEFT_AT_END, vmcs->pa, vmcs->cpu, 0);
    }
}

/* ---- between memory and processor ---- */

/* A region that VMCLEAR never prepared holds anything: every value is cut to what its field can hold. */
static void load(struct model *model, struct vmcs *vmcs)
{
    uint64_t image[REGION_SIZE / 8];

    memory_read(&model->memory, vmcs->pa, image, sizeof(image));
    vmcs->identifier = (uint32_t)image[0];
    vmcs->shadow = vmcs->identifier & VMCS_SHADOW_INDICATOR;
    vmcs->launch_state = image[REGION_LAUNCH_STATE / 8] == LAUNCH_LAUNCHED ? LAUNCH_LAUNCHED : LAUNCH_CLEAR;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint64_t value = image[REGION_FIELDS / 8 + i] & vmcs_field_mask(i);

        if (value == vmcs->field[i])
            continue;
        vmcs->field[i] = value;                 /* nobody known has written that */
        vmcs->written[i] = 0;
    }

    for (unsigned i = REGION_LAUNCH_STATE / 8; i < REGION_SIZE / 8; i++)
        image[i] = VMCS_POISON;
    memory_write(&model->memory, vmcs->pa + REGION_LAUNCH_STATE, &image[REGION_LAUNCH_STATE / 8],
                 REGION_SIZE - REGION_LAUNCH_STATE);
    memory_watch(&model->memory, vmcs->pa, WATCH_VMCS, true);
}

/* Bytes 0-7 are left as they are: they were meaningful in memory all the time. */
static void store(struct model *model, struct vmcs *vmcs)
{
    uint64_t image[REGION_SIZE / 8] = { 0 };

    image[REGION_LAUNCH_STATE / 8] = vmcs->launch_state;
    memcpy(&image[REGION_FIELDS / 8], vmcs->field, sizeof(vmcs->field));
    memory_watch(&model->memory, vmcs->pa, WATCH_VMCS, false);
    memory_write(&model->memory, vmcs->pa + REGION_LAUNCH_STATE, &image[REGION_LAUNCH_STATE / 8],
                 REGION_SIZE - REGION_LAUNCH_STATE);
    vmcs->active = false;
}

/* A processor whose current VMCS it is, or NULL. */
static const struct cpu *current_on(const struct model *model, const struct vmcs *vmcs)
{
    for (unsigned i = 0; i < model->cpu_count; i++)
        if (model->cpu[i].vmx.current == vmcs)
            return &model->cpu[i];
    return NULL;
}

/* A free slot; if there is none, the one used longest ago that is current nowhere: there are more slots than CPUs. */
static struct vmcs *slot(struct cpu *cpu, uint64_t pa)
{
    struct vmcs_cache *cache = &cpu->model->vmcs_cache;
    struct vmcs *oldest = NULL, *free = NULL;

    for (unsigned i = 0; i < cache->used; i++) {
        if (cache->vmcs[i].active)
            continue;
        if (cache->vmcs[i].pa == pa)            /* its own, from an earlier life */
            return &cache->vmcs[i];
        free = &cache->vmcs[i];
    }
    if (cache->used < VMCS_CACHE_SIZE)
        return &cache->vmcs[cache->used++];
    if (free)
        return free;
    for (unsigned i = 0; i < VMCS_CACHE_SIZE; i++) {
        struct vmcs *vmcs = &cache->vmcs[i];

        if (!current_on(cpu->model, vmcs) && (!oldest || vmcs->last_use < oldest->last_use))
            oldest = vmcs;
    }
    check_region(cpu, oldest);
    store(cpu->model, oldest);
    return oldest;
}

struct vmcs *vmcs_active(struct model *model, uint64_t pa)
{
    for (unsigned i = 0; i < model->vmcs_cache.used; i++) {
        struct vmcs *vmcs = &model->vmcs_cache.vmcs[i];

        if (vmcs->active && vmcs->pa == pa)
            return vmcs;
    }
    return NULL;
}

/*
 * From now on the VMCS is active. Where it was launched, and who wrote the fields that memory still has, is known if its slot has not
 * been used for another since: a shadow VMCS that becomes an ordinary one, say, has been written all the same.
 */
static void begin_life(struct cpu *cpu, struct vmcs *vmcs, uint64_t pa)
{
    if (vmcs->pa != pa)
        *vmcs = (struct vmcs){ .pa = pa };
    vmcs->active = true;
    vmcs->cpu = (uint8_t)cpu->index;
    vmcs->linked = vmcs->reported = false;
    vmcs->judged = 0;
    load(cpu->model, vmcs);
}

struct vmcs *vmcs_activate(struct cpu *cpu, uint64_t pa)
{
    struct vmcs *vmcs = vmcs_active(cpu->model, pa);

    if (!vmcs) {
        vmcs = slot(cpu, pa);
        begin_life(cpu, vmcs, pa);
        if (!(memory_watched(&cpu->model->memory, pa) & WATCH_CLEARED))
            region_mistake(cpu, REGION_NEVER_CLEARED, pa, cpu->index, cpu->rip);
    } else if (vmcs->cpu != cpu->index) {
        report_at(cpu, vmcs, cpu->rip, "a VMCS is active on two processors: VMCLEAR it on the first [25.11.1]");
        vmcs->cpu = (uint8_t)cpu->index;
    } else {
        check_identifier(cpu, vmcs);
    }
    vmcs->last_use = ++cpu->model->vmcs_cache.use_clock;
    return vmcs;
}

void vmcs_clear(struct cpu *cpu, uint64_t pa)
{
    struct model *model = cpu->model;
    struct vmcs *vmcs = vmcs_active(model, pa);
    const struct cpu *other;

    memory_watch(&model->memory, pa, WATCH_CLEARED, true);
    if (!vmcs) {
        memory_write64(&model->memory, pa + REGION_LAUNCH_STATE, LAUNCH_CLEAR);
        return;
    }
    if (vmcs->cpu != cpu->index)
        report_at(cpu, vmcs, cpu->rip, "VMCLEAR of a VMCS that is active on another processor: execute it there [25.11.1]");
    check_region(cpu, vmcs);
    if (cpu->vmx.current == vmcs)
        cpu->vmx.current = NULL;
    if (vmcs->launch_state == LAUNCH_LAUNCHED) {
        vmcs->moved = true;                     /* as soon as it is active again */
        vmcs->former_cpu = vmcs->cpu;
    }
    vmcs->launch_state = LAUNCH_CLEAR;
    other = current_on(model, vmcs);
    if (other)                                  /* VMCLEAR changes no other processor's current-VMCS pointer (31.3); a guest may run there */
        vmcs->cpu = (uint8_t)other->index;
    else
        store(model, vmcs);
}

void vmcs_abort(struct cpu *cpu, const struct vmcs *vmcs, uint32_t indicator)
{
    memory_write32(&cpu->model->memory, vmcs->pa + REGION_ABORT, indicator);
}
