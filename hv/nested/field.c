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

/* A place for each encoding that the architecture may have: width, type and index (SDM Vol. 3, 25.11.2), one added. */
enum { INDICES = 64 };
#define PLACE(encoding)                                                                                             \
    ((VMCS_ENCODING_WIDTH(encoding) << 2 | VMCS_ENCODING_TYPE(encoding)) * INDICES + (VMCS_ENCODING_INDEX(encoding) & (INDICES - 1)))
static const uint8_t place[16 * INDICES] = {
#define FIELD(name, encoding, exists) [PLACE(encoding)] = FIELD_##name + 1,
#include "arch/vmcs_fields.def"
};

enum field_index field_find(const struct capability *offered, uint64_t encoding)
{
    const uint64_t full = encoding & ~1ull;
    unsigned found;

    if (VMCS_ENCODING_HIGH(encoding) && VMCS_ENCODING_WIDTH(encoding) != VMCS_WIDTH_64)
        return FIELD_COUNT;
    found = place[PLACE(full)];
    if (!found || field_table[found - 1].encoding != full || !field_offered(offered, (enum field_index)(found - 1)))
        return FIELD_COUNT;
    return (enum field_index)(found - 1);
}

static bool belongs(const struct field *field, enum field_set_id set)
{
    const bool guest = field->class == CLASS_GUEST, verbatim = guest || field->class == CLASS_CONTROL_VERBATIM;
    const bool late = field->copy == COPY_L;

    switch (set) {
    case SET_WRITTEN:
        return verbatim && !late && field->copy != COPY_R;
    case SET_WRITTEN_LATE:
        return verbatim && (late || field->copy == COPY_R);
    case SET_SAVED:
        return guest && !late;
    case SET_SAVED_LATE:
        return guest && late;
    case SET_COPY_READ:
        return field->copy == COPY_R || field->copy == COPY_B;
    case SET_COPY_WRITTEN:
        return field->copy == COPY_B;
    case SET_FLIP:
        return field->flip != FLIP_I;
    case SET_COUNT:
        break;
    }
    return false;
}

void field_sets_make(const struct capability *offered, struct field_set sets[SET_COUNT])
{
    for (unsigned id = 0; id < SET_COUNT; id++) {
        struct field_set *set = &sets[id];
        set->count = 0;
        for (unsigned i = 0; i < FIELD_COUNT; i++)
            if (field_offered(offered, (enum field_index)i) && belongs(&field_table[i], (enum field_set_id)id)) {
                set->row[set->count].field = (uint16_t)i;
                set->row[set->count++].encoding = field_table[i].encoding;
            }
    }
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
