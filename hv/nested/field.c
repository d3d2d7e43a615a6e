/* SPDX-License-Identifier: MIT */
/* The fields of vmcs12: SDM Vol. 3, Appendix B. */
#include "hv/core.h"

/* Both tables must have the same rows: a field without a class does not compile. */
enum {
#define FIELD_CLASS(name, class, copy, flip, reason)                                                                 \
    CLASS_OF_##name = CLASS_##class, COPY_OF_##name = COPY_##copy, FLIP_OF_##name = FLIP_##flip,
#include "hv/nested/field_classes.def"
};

const struct field field_table[FIELD_COUNT] = {
#define FIELD(name, encoding, exists)                                                                       \
    { (encoding), CLASS_OF_##name, CONTROL_##exists, COPY_OF_##name, FLIP_OF_##name },
#include "arch/vmcs_fields.def"
};

bool field_offered(const struct capability *offered, enum field_index field)
{
    return field_table[field].class != CLASS_ABSENT &&
           control_exists(offered, (enum control_id)field_table[field].exists);
}

enum field_index field_find(const struct capability *offered, uint64_t encoding)
{
    const uint64_t full = encoding & ~1ull;

    if (VMCS_ENCODING_HIGH(encoding) && VMCS_ENCODING_WIDTH(encoding) != VMCS_WIDTH_64)
        return FIELD_COUNT;
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (field_table[i].encoding == full)
            return field_offered(offered, (enum field_index)i) ? (enum field_index)i : FIELD_COUNT;
    return FIELD_COUNT;
}

unsigned field_highest_index(const struct capability *offered)
{
    unsigned highest = 0;

    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (field_offered(offered, (enum field_index)i) && VMCS_ENCODING_INDEX(field_table[i].encoding) > highest)
            highest = VMCS_ENCODING_INDEX(field_table[i].encoding);
    return highest;
}

uint64_t field_cut(enum field_index field, uint64_t value)
{
    switch ((enum vmcs_width)VMCS_ENCODING_WIDTH(field_table[field].encoding)) {
    case VMCS_WIDTH_16:
        return value & 0xffff;
    case VMCS_WIDTH_32:
        return value & 0xffffffff;
    case VMCS_WIDTH_64:
    case VMCS_WIDTH_NATURAL:
        break;
    }
    return value;
}
