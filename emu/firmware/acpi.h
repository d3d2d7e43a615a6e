/* SPDX-License-Identifier: MIT */
/* The tables by which firmware describes the board: ACPI ("ACPI Specification 6.4") and the older MP table ("MultiProcessor Specification
 * 1.4"). They lie in the reserved area below 1 MB; pointers to them are there and in the extended BIOS data area. */
#ifndef SESQUI_EMU_FIRMWARE_ACPI_H
#define SESQUI_EMU_FIRMWARE_ACPI_H

#include "model/model.h"

struct aml;

enum { ACPI_BASE = 0xe0000, ACPI_END = 0xf0000, ACPI_RSDP = ACPI_BASE, ACPI_RSDP_SIZE = 36, MP_BASE = 0xf0000, MP_END = 0xf4000 };

/* Writes all of it into the model's memory. */
void acpi_write(struct model *model);
void mp_table_write(struct model *model);
/* The sum of bytes that is 0 in a whole table of either kind. */
uint8_t table_sum(const uint8_t *bytes, size_t size);
/* The content of the DSDT. */
void dsdt_write(struct aml *aml, unsigned processors);

#endif
