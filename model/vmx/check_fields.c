/* SPDX-License-Identifier: MIT */
/* Which fields a VM-entry check looks at: model/vmx/check_fields.def. */
#include <stddef.h>
#include <string.h>

#include "model/vmx/check.h"
#include "model/vmx/vmcs.h"

/* Fields by number, from 1: 0 ends a row. */
enum {
#define FIELD(name, encoding, exists) NUMBER_##name = FIELD_##name + 1,
#include "arch/vmcs_fields.def"
};

#define NUMBERS(_1, _2, _3, _4, _5, ...) { NUMBER_##_1, NUMBER_##_2, NUMBER_##_3, NUMBER_##_4, NUMBER_##_5 }
enum { NUMBER_ = 0 };

static const struct {
    const char *id;
    uint16_t number[CHECK_FIELDS_MAX];
} about[] = {
#define ABOUT(id, ...) { (id), NUMBERS(__VA_ARGS__, , , , , ) },
#include "model/vmx/check_fields.def"
};

unsigned check_fields(const struct check *check, unsigned fields[CHECK_FIELDS_MAX])
{
    size_t best = 0, row = 0;
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++) {
        size_t length = strlen(about[i].id);

        if (length > best && strncmp(check->id, about[i].id, length) == 0 &&
            (check->id[length] == '.' || check->id[length] == '\0')) {
            best = length;
            row = i;
        }
    }
    while (best && count < CHECK_FIELDS_MAX && about[row].number[count]) {
        fields[count] = about[row].number[count] - 1u;
        count++;
    }
    return count;
}
