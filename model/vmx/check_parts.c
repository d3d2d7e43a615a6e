/* SPDX-License-Identifier: MIT */
/* What changed since the latest VM entry that passed its checks: check_parts.h. */
#include "model/vmx/check_parts.h"

/* By the type of a field: bits 11:10 of its encoding. */
#define USUAL(encoding)                                                                                              \
    (VMCS_ENCODING_TYPE(encoding) == VMCS_TYPE_HOST ? PART_HOST : VMCS_ENCODING_TYPE(encoding) == VMCS_TYPE_EXIT_INFORMATION ? 0 : PARTS_ALL)
static const uint16_t usual[VMCS_FIELD_COUNT] = {
#define FIELD(name, encoding, exists) USUAL(encoding),
#include "arch/vmcs_fields.def"
};

/* 0 is "not listed": the bit above all parts says that a field is. */
enum { LISTED = 1 << PART_COUNT };
static const uint16_t listed[VMCS_FIELD_COUNT] = {
#define CHECK_PART(name, text)
#define READS(first, last, parts) [FIELD_##first ... FIELD_##last] = LISTED | (parts),
#define READS_BITS(field, bits, parts)
#include "model/vmx/check_parts.def"
};

static const struct { unsigned field; uint64_t bits; unsigned parts; } listed_bits[] = {
#define CHECK_PART(name, text)
#define READS(first, last, parts)
#define READS_BITS(field, bits, parts) { FIELD_##field, (bits), (parts) },
#include "model/vmx/check_parts.def"
};

unsigned check_part(const struct check *check) { return check_part_of(check->id, check->section); }

unsigned check_parts_reading(unsigned field, uint64_t changed)
{
    unsigned parts = listed[field] ? listed[field] : usual[field];

    for (unsigned i = 0; i < sizeof listed_bits / sizeof listed_bits[0]; i++)
        if (listed_bits[i].field == field && listed_bits[i].bits & changed)
            parts |= listed_bits[i].parts;
    return parts & PARTS_ALL;
}

/* Where its fields were remembered; NULL for a VMCS that is not one of the machine's. */
static struct judged *judged_of(const struct cpu *cpu, const struct vmcs *vmcs)
{
    struct vmcs_cache *cache = &cpu->model->vmcs_cache;

    return vmcs >= cache->vmcs && vmcs < cache->vmcs + VMCS_CACHE_SIZE ? &cache->judged[vmcs - cache->vmcs] : NULL;
}

/* What the rows compare with besides fields: a change of it makes every verdict old. */
static uint32_t generation(struct model *model)
{
    struct vmcs_cache *cache = &model->vmcs_cache;

    if (memcmp(&cache->judged_capability, &model->capability, sizeof model->capability) != 0 ||
        cache->judged_width != model->physical_address_width) {
        cache->judged_capability = model->capability;
        cache->judged_width = model->physical_address_width;
        cache->judged_generation++;
    }
    return cache->judged_generation;
}

/* Fields that are compared at once: most of them are as they were. */
enum { STRIDE = 16 };

unsigned check_parts_due(const struct cpu *cpu, const struct vmcs *vmcs)
{
    const struct judged *judged = judged_of(cpu, vmcs);
    unsigned parts = PART_MEMORY;

    if (!judged || !vmcs->judged || vmcs->judged != generation(cpu->model) || judged->long_mode != cpu_long_mode(cpu))
        return PARTS_ALL;
    for (unsigned first = 0; first < VMCS_FIELD_COUNT; first += STRIDE) {
        const unsigned end = first + STRIDE < VMCS_FIELD_COUNT ? first + STRIDE : VMCS_FIELD_COUNT;

        if (memcmp(&judged->field[first], &vmcs->field[first], (end - first) * sizeof vmcs->field[0]) == 0)
            continue;
        for (unsigned i = first; i < end; i++)
            if (judged->field[i] != vmcs->field[i])
                parts |= check_parts_reading(i, judged->field[i] ^ vmcs->field[i]);
    }
    return parts;
}

void check_parts_passed(const struct cpu *cpu, struct vmcs *vmcs, unsigned parts)
{
    struct judged *judged = judged_of(cpu, vmcs);

    if (!judged || parts == PART_MEMORY)
        return;
    vmcs->judged = generation(cpu->model);
    judged->long_mode = cpu_long_mode(cpu);
    memcpy(judged->field, vmcs->field, sizeof vmcs->field);
}
