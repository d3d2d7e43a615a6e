/* SPDX-License-Identifier: MIT */
/*
 * Writes AML, the code of ACPI: "ACPI Specification 6.4", chapter 20, and resource descriptors, 6.4 there. What does not fit sets
 * `overflow`. Packages (scopes, devices, methods, ...) are opened and closed: aml_close() takes what the opening function returned.
 */
#ifndef SESQUI_EMU_FIRMWARE_AML_H
#define SESQUI_EMU_FIRMWARE_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *bytes;
    size_t size, capacity;
    bool overflow;
};

void aml_byte(struct aml *aml, uint8_t value);
void aml_bytes(struct aml *aml, const void *bytes, size_t size);
/* A number in so many bytes, little-endian. */
void aml_raw(struct aml *aml, uint64_t value, unsigned size);
/* A path of names of up to four characters: "\\_SB.PCI0", "_HID", "^LPC". */
void aml_name(struct aml *aml, const char *path);

/* Data objects. */
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
/* "PNP0A03" as the compressed number that it is. */
void aml_eisa(struct aml *aml, const char *id);

/* Name (path, ...): the data object follows; and with an integer or an EISA identifier. */
void aml_named(struct aml *aml, const char *path);
void aml_named_integer(struct aml *aml, const char *path, uint64_t value);
void aml_named_eisa(struct aml *aml, const char *path, const char *id);

size_t aml_scope(struct aml *aml, const char *path);
size_t aml_device(struct aml *aml, const char *path);
size_t aml_method(struct aml *aml, const char *path, unsigned arguments);
size_t aml_package(struct aml *aml, unsigned elements);
size_t aml_if(struct aml *aml);             /* the condition comes first in it */
void aml_close(struct aml *aml, size_t opened);
/* A buffer of resource descriptors; closing it adds the end tag. */
size_t aml_resources(struct aml *aml);
void aml_close_resources(struct aml *aml, size_t opened);

/* OperationRegion (name, PCI_Config, offset, length); then Field (region, ByteAcc, ...): entries of bits, "" skips some. */
void aml_config_region(struct aml *aml, const char *name, uint64_t offset, uint64_t length);
size_t aml_field(struct aml *aml, const char *region);
void aml_field_entry(struct aml *aml, const char *name, unsigned bits);

/* Resource descriptors. */
void aml_io(struct aml *aml, uint16_t first, uint8_t length);
void aml_irq(struct aml *aml, unsigned line);                           /* edge-triggered, exclusive */
void aml_interrupt(struct aml *aml, const uint32_t *lines, unsigned count); /* level-triggered, shared */
void aml_memory(struct aml *aml, uint32_t base, uint32_t size);
/* Windows of a bridge. */
void aml_window_bus(struct aml *aml, uint16_t first, uint16_t last);
void aml_window_io(struct aml *aml, uint16_t first, uint16_t last);
void aml_window_memory(struct aml *aml, uint32_t first, uint32_t last);
/* A generic register in functional fixed hardware, as _CST, _PCT name it (17, Register). */
void aml_fixed_hardware(struct aml *aml, uint8_t bits, uint8_t offset, uint64_t address, uint8_t access);

#endif
