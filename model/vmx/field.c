/* SPDX-License-Identifier: MIT */
/* The VMCS fields and their encodings: SDM Vol. 3, 25.11.2 and Appendix B. */
#include <stddef.h>

#include "model/model.h"

struct field {
    uint16_t encoding;
    uint8_t exists;             /* enum control_id */
    const char *name;
};

/* In the order of encodings: lookup() bisects. */
static const struct field fields[VMCS_FIELD_COUNT] = {
#define FIELD(name, encoding, exists) { (encoding), CONTROL_##exists, #name },
#include "arch/vmcs_fields.def"
};

static enum vmcs_field lookup(uint32_t encoding)
{
    unsigned low = 0, high = VMCS_FIELD_COUNT;

    if (VMCS_ENCODING_HIGH(encoding)) {
        if (VMCS_ENCODING_WIDTH(encoding) != VMCS_WIDTH_64)
            return VMCS_FIELD_COUNT;
        encoding &= ~1u;
    }
    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (fields[middle].encoding < encoding)
            low = middle + 1;
        else
            high = middle;
    }
    return low < VMCS_FIELD_COUNT && fields[low].encoding == encoding ? low : VMCS_FIELD_COUNT;
}

enum vmcs_field vmcs_find(const struct model *model, uint32_t encoding)
{
    enum vmcs_field field = lookup(encoding);

    if (field < VMCS_FIELD_COUNT && capability_control_allowed(&model->capability, fields[field].exists))
        return field;
    return VMCS_FIELD_COUNT;
}

uint32_t vmcs_encoding(enum vmcs_field field)
{
    return fields[field].encoding;
}

const char *vmcs_field_name(enum vmcs_field field)
{
    return field < VMCS_FIELD_COUNT ? fields[field].name : NULL;
}

uint64_t vmcs_field_mask(enum vmcs_field field)
{
    switch (VMCS_ENCODING_WIDTH(fields[field].encoding)) {
    case VMCS_WIDTH_16:
        return 0xffff;
    case VMCS_WIDTH_32:
        return 0xffffffff;
    default:
        return ~0ull;
    }
}

void vmcs_set(struct vmcs *vmcs, uint32_t encoding, uint64_t value)
{
    enum vmcs_field field = lookup(encoding);

    if (field == VMCS_FIELD_COUNT)
        return;
    if (VMCS_ENCODING_HIGH(encoding))
        vmcs->field[field] = (vmcs->field[field] & 0xffffffff) | value << 32;
    else
        vmcs->field[field] = value & vmcs_field_mask(field);
}

uint64_t vmcs_get(const struct vmcs *vmcs, uint32_t encoding)
{
    enum vmcs_field field = lookup(encoding);

    if (field == VMCS_FIELD_COUNT)
        return 0;
    return VMCS_ENCODING_HIGH(encoding) ? vmcs->field[field] >> 32 : vmcs->field[field];
}
