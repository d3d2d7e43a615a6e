/* SPDX-License-Identifier: MIT */
/* The VMCS fields and their encodings: SDM Vol. 3, 25.11.2 and Appendix B. */
#include <stddef.h>
#include <string.h>

#include "model/model.h"

struct field {
    uint16_t encoding;
    uint8_t exists;             /* enum control_id */
    const char *name;
};

static const struct field fields[VMCS_FIELD_COUNT] = {
#define FIELD(name, encoding, exists) { (encoding), CONTROL_##exists, #name },
#include "arch/vmcs_fields.def"
};

/* By encoding (bits 14:1), 1 + the field; 0: there is none. Every VMREAD and VMWRITE comes here. */
static const uint8_t by_encoding[0x4000] = {
#define FIELD(name, encoding, exists) [(encoding) >> 1] = FIELD_##name + 1,
#include "arch/vmcs_fields.def"
};
_Static_assert(VMCS_FIELD_COUNT < UINT8_MAX, "a field's number and 1 fit into a byte");

enum vmcs_field vmcs_known(uint32_t encoding)
{
    if (encoding >> 15 || (VMCS_ENCODING_HIGH(encoding) && VMCS_ENCODING_WIDTH(encoding) != VMCS_WIDTH_64) ||
        !by_encoding[encoding >> 1])
        return VMCS_FIELD_COUNT;
    return by_encoding[encoding >> 1] - 1u;
}

enum vmcs_field vmcs_find_on(const struct vmx_capability *capability, uint32_t encoding)
{
    enum vmcs_field field = vmcs_known(encoding);

    if (field < VMCS_FIELD_COUNT && capability_control_allowed(capability, fields[field].exists))
        return field;
    return VMCS_FIELD_COUNT;
}

enum vmcs_field vmcs_find(const struct model *model, uint32_t encoding)
{
    return vmcs_find_on(&model->capability, encoding);
}

uint32_t vmcs_encoding(enum vmcs_field field)
{
    return fields[field].encoding;
}

const char *vmcs_field_name(enum vmcs_field field)
{
    return field < VMCS_FIELD_COUNT ? fields[field].name : NULL;
}

unsigned vmcs_field_control(enum vmcs_field field)
{
    return fields[field].exists;
}

enum vmcs_field vmcs_field_by_name(const char *name)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (strcmp(fields[i].name, name) == 0)
            return i;
    return VMCS_FIELD_COUNT;
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

void vmcs_set_field(struct vmcs *vmcs, enum vmcs_field field, bool high, uint64_t value)
{
    if (high)
        vmcs->field[field] = (vmcs->field[field] & 0xffffffff) | value << 32;
    else
        vmcs->field[field] = value & vmcs_field_mask(field);
}

void vmcs_set(struct vmcs *vmcs, uint32_t encoding, uint64_t value)
{
    enum vmcs_field field = vmcs_known(encoding);

    if (field != VMCS_FIELD_COUNT)
        vmcs_set_field(vmcs, field, VMCS_ENCODING_HIGH(encoding), value);
}

void vmcs_note_writer(struct vmcs *vmcs, enum vmcs_field field, uint64_t rip)
{
    vmcs->writer[field] = rip;
    vmcs->caller[field] = 0;
    vmcs->written[field] = vmcs->exits + 1;
}

uint64_t vmcs_get(const struct vmcs *vmcs, uint32_t encoding)
{
    enum vmcs_field field = vmcs_known(encoding);

    if (field == VMCS_FIELD_COUNT)
        return 0;
    return VMCS_ENCODING_HIGH(encoding) ? vmcs->field[field] >> 32 : vmcs->field[field];
}
