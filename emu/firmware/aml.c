/* SPDX-License-Identifier: MIT */
/* Writes AML. */
#include "emu/firmware/aml.h"

#include <string.h>

enum { ZERO = 0x00, ONE = 0x01, NAME = 0x08, BYTE = 0x0a, WORD = 0x0b, DWORD = 0x0c, STRING = 0x0d, QWORD = 0x0e, SCOPE = 0x10,
       BUFFER = 0x11, PACKAGE = 0x12, METHOD = 0x14, DUAL_NAME = 0x2e, MULTI_NAME = 0x2f, EXTENDED = 0x5b, REGION = 0x80, FIELD = 0x81,
       DEVICE = 0x82, IF = 0xa0 };
enum { SPACE_PCI_CONFIG = 2, FIELD_BYTE_ACCESS = 1, LENGTH_SIZE = 3 };

void aml_byte(struct aml *aml, uint8_t value)
{
    if (aml->size < aml->capacity)
        aml->bytes[aml->size++] = value;
    else
        aml->overflow = true;
}

void aml_bytes(struct aml *aml, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        aml_byte(aml, ((const uint8_t *)bytes)[i]);
}

void aml_raw(struct aml *aml, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        aml_byte(aml, (uint8_t)(value >> 8 * i));
}

void aml_name(struct aml *aml, const char *path)
{
    unsigned segments = 1;

    for (; *path == '\\' || *path == '^'; path++)
        aml_byte(aml, (uint8_t)*path);
    for (const char *c = path; *c; c++)
        segments += *c == '.';
    if (segments == 2)
        aml_byte(aml, DUAL_NAME);
    if (segments > 2) {
        aml_byte(aml, MULTI_NAME);
        aml_byte(aml, (uint8_t)segments);
    }
    while (*path) {
        size_t length = strcspn(path, ".");

        for (size_t i = 0; i < 4; i++)
            aml_byte(aml, i < length ? (uint8_t)path[i] : '_');
        path += length + (path[length] == '.');
    }
}

/* ---- data ---- */

void aml_integer(struct aml *aml, uint64_t value)
{
    unsigned size = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;

    if (value <= 1) {
        aml_byte(aml, value ? ONE : ZERO);
        return;
    }
    aml_byte(aml, size == 1 ? BYTE : size == 2 ? WORD : size == 4 ? DWORD : QWORD);
    aml_raw(aml, value, size);
}

void aml_string(struct aml *aml, const char *text)
{
    aml_byte(aml, STRING);
    aml_bytes(aml, text, strlen(text) + 1);
}

static uint32_t digit(char c) { return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10); }

void aml_eisa(struct aml *aml, const char *id)
{
    uint32_t letters = (uint32_t)(id[0] - '@') << 10 | (uint32_t)(id[1] - '@') << 5 | (uint32_t)(id[2] - '@');
    uint32_t number = digit(id[3]) << 12 | digit(id[4]) << 8 | digit(id[5]) << 4 | digit(id[6]);

    aml_byte(aml, DWORD);
    aml_raw(aml, (letters >> 8 | letters << 8) & 0xffff, 2);
    aml_raw(aml, (number >> 8 | number << 8) & 0xffff, 2);
}

void aml_named(struct aml *aml, const char *path)
{
    aml_byte(aml, NAME);
    aml_name(aml, path);
}

void aml_named_integer(struct aml *aml, const char *path, uint64_t value)
{
    aml_named(aml, path);
    aml_integer(aml, value);
}

void aml_named_eisa(struct aml *aml, const char *path, const char *id)
{
    aml_named(aml, path);
    aml_eisa(aml, id);
}

/* ---- packages: their length, in the form of three bytes, comes when they are closed (ACPI 20.2.4) ---- */

static size_t open(struct aml *aml)
{
    size_t at = aml->size;

    aml_raw(aml, 0, LENGTH_SIZE);
    return at;
}

void aml_close(struct aml *aml, size_t opened)
{
    size_t length = aml->size - opened;

    if (aml->overflow)
        return;
    aml->bytes[opened] = (uint8_t)(0x80 | (length & 0xf));
    aml->bytes[opened + 1] = (uint8_t)(length >> 4);
    aml->bytes[opened + 2] = (uint8_t)(length >> 12);
}

size_t aml_scope(struct aml *aml, const char *path)
{
    aml_byte(aml, SCOPE);
    size_t opened = open(aml);
    aml_name(aml, path);
    return opened;
}

size_t aml_device(struct aml *aml, const char *path)
{
    aml_byte(aml, EXTENDED);
    aml_byte(aml, DEVICE);
    size_t opened = open(aml);
    aml_name(aml, path);
    return opened;
}

size_t aml_method(struct aml *aml, const char *path, unsigned arguments)
{
    aml_byte(aml, METHOD);
    size_t opened = open(aml);
    aml_name(aml, path);
    aml_byte(aml, (uint8_t)arguments);
    return opened;
}

size_t aml_package(struct aml *aml, unsigned elements)
{
    aml_byte(aml, PACKAGE);
    size_t opened = open(aml);
    aml_byte(aml, (uint8_t)elements);
    return opened;
}

size_t aml_if(struct aml *aml)
{
    aml_byte(aml, IF);
    return open(aml);
}

/* The buffer's size is a word constant behind the package's length. */
size_t aml_resources(struct aml *aml)
{
    aml_byte(aml, BUFFER);
    size_t opened = open(aml);
    aml_byte(aml, WORD);
    aml_raw(aml, 0, 2);
    return opened;
}

void aml_close_resources(struct aml *aml, size_t opened)
{
    size_t content = opened + LENGTH_SIZE + 3;

    aml_raw(aml, 0x0079, 2);                /* the end tag; its checksum 0 counts as right */
    if (aml->overflow)
        return;
    aml->bytes[content - 2] = (uint8_t)(aml->size - content);
    aml->bytes[content - 1] = (uint8_t)((aml->size - content) >> 8);
    aml_close(aml, opened);
}

/* ---- regions ---- */

void aml_config_region(struct aml *aml, const char *name, uint64_t offset, uint64_t length)
{
    aml_byte(aml, EXTENDED);
    aml_byte(aml, REGION);
    aml_name(aml, name);
    aml_byte(aml, SPACE_PCI_CONFIG);
    aml_integer(aml, offset);
    aml_integer(aml, length);
}

size_t aml_field(struct aml *aml, const char *region)
{
    aml_byte(aml, EXTENDED);
    aml_byte(aml, FIELD);
    size_t opened = open(aml);
    aml_name(aml, region);
    aml_byte(aml, FIELD_BYTE_ACCESS);
    return opened;
}

/* Fewer than 64 bits: the length is one byte. */
void aml_field_entry(struct aml *aml, const char *name, unsigned bits)
{
    if (*name)
        aml_name(aml, name);
    else
        aml_byte(aml, 0);
    aml_byte(aml, (uint8_t)bits);
}

/* ---- resources ---- */

void aml_io(struct aml *aml, uint16_t first, uint8_t length)
{
    aml_raw(aml, 0x0147, 2);                /* decodes 16 bits */
    aml_raw(aml, first, 2);
    aml_raw(aml, first, 2);
    aml_byte(aml, 1);
    aml_byte(aml, length);
}

void aml_irq(struct aml *aml, unsigned line)
{
    aml_byte(aml, 0x22);
    aml_raw(aml, 1u << line, 2);
}

void aml_interrupt(struct aml *aml, const uint32_t *lines, unsigned count)
{
    enum { CONSUMER = 1, SHARED = 8 };

    aml_byte(aml, 0x89);
    aml_raw(aml, 2 + 4 * count, 2);
    aml_byte(aml, CONSUMER | SHARED);
    aml_byte(aml, (uint8_t)count);
    for (unsigned i = 0; i < count; i++)
        aml_raw(aml, lines[i], 4);
}

void aml_memory(struct aml *aml, uint32_t base, uint32_t size)
{
    aml_byte(aml, 0x86);
    aml_raw(aml, 9, 2);
    aml_byte(aml, 1);                       /* it can be written */
    aml_raw(aml, base, 4);
    aml_raw(aml, size, 4);
}

/* An address space descriptor with both ends fixed (ACPI 6.4.3.5), of 2 or 4 bytes a number. */
static void window(struct aml *aml, uint8_t type, uint8_t specific, uint32_t first, uint32_t last, unsigned size)
{
    enum { FIXED = 0x0c, PRODUCER = 0 };

    aml_byte(aml, size == 2 ? 0x88 : 0x87);
    aml_raw(aml, 3 + 5 * size, 2);
    aml_byte(aml, type);
    aml_byte(aml, FIXED | PRODUCER);
    aml_byte(aml, specific);
    aml_raw(aml, 0, size);
    aml_raw(aml, first, size);
    aml_raw(aml, last, size);
    aml_raw(aml, 0, size);
    aml_raw(aml, (uint64_t)last - first + 1, size);
}

void aml_window_bus(struct aml *aml, uint16_t first, uint16_t last) { window(aml, 2, 0, first, last, 2); }
void aml_window_io(struct aml *aml, uint16_t first, uint16_t last) { window(aml, 1, 3 /* ISA and other ports */, first, last, 2); }
void aml_window_memory(struct aml *aml, uint32_t first, uint32_t last) { window(aml, 0, 1 /* can be written */, first, last, 4); }

void aml_fixed_hardware(struct aml *aml, uint8_t bits, uint8_t offset, uint64_t address, uint8_t access)
{
    enum { FIXED_HARDWARE = 0x7f };

    aml_byte(aml, 0x82);
    aml_raw(aml, 12, 2);
    aml_byte(aml, FIXED_HARDWARE);
    aml_byte(aml, bits);
    aml_byte(aml, offset);
    aml_byte(aml, access);
    aml_raw(aml, address, 8);
}
