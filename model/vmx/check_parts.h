/* SPDX-License-Identifier: MIT */
/*
 * Which VM-entry checks need a look. A VMCS that has passed once is remembered field by field; at the next entry only the parts of the
 * table are evaluated whose fields have changed, and the rows that read memory. The verdict is the same as that of all rows.
 */
#ifndef SESQUI_MODEL_CHECK_PARTS_H
#define SESQUI_MODEL_CHECK_PARTS_H

#include <string.h>

#include "model/model.h"
#include "model/vmx/check.h"

enum check_part_number {
#define CHECK_PART(name, text) PART_NUMBER_##name,
#define READS(first, last, parts)
#define READS_BITS(field, bits, parts)
#include "model/vmx/check_parts.def"
    PART_COUNT
};
enum check_part {
#define CHECK_PART(name, text) PART_##name = 1 << PART_NUMBER_##name,
#define READS(first, last, parts)
#define READS_BITS(field, bits, parts)
#include "model/vmx/check_parts.def"
    PARTS_ALL = (1 << PART_COUNT) - 1,
};

/* The part of a row. Both arguments are literals, so that the compiler does the work. */
static inline __attribute__((always_inline)) enum check_part check_part_of(const char *id, const char *section)
{
    if (strncmp(id, "guest.link.", 11) == 0 || strncmp(id, "guest.pdpte", 11) == 0 || strcmp(id, "control.tpr_threshold.vtpr") == 0)
        return PART_MEMORY;
    if (section[3] == '2')                      /* 27.2.1.n, 27.2.n */
        return section[5] != '1' ? PART_HOST : section[7] == '3' ? PART_ENTRY_CONTROLS : PART_CONTROLS;
    switch (section[7]) {                       /* 27.3.1.n */
    case '1':
        return PART_REGISTERS;
    case '2': case '3':
        return PART_SEGMENTS;
    case '4':
        return PART_RIP;
    default:
        return PART_STATE;
    }
}

/* The part of a row of check_table. */
unsigned check_part(const struct check *check);
/* The parts that read a field of which these bits have changed, but PART_MEMORY, which always counts. */
unsigned check_parts_reading(unsigned field, uint64_t changed);
/* The parts that an entry of `cpu` with this VMCS must evaluate: PART_MEMORY, and those whose fields differ from the latest entry that
 * passed. All of them if none did since the VMCS became active, or if the processor offers something else by now. */
unsigned check_parts_due(const struct cpu *cpu, const struct vmcs *vmcs);
/* Those parts were evaluated, and all rows hold. */
void check_parts_passed(const struct cpu *cpu, struct vmcs *vmcs, unsigned parts);

#endif
