/* SPDX-License-Identifier: MIT */
/* The MP table: "MultiProcessor Specification 1.4", chapter 4. */
#include "emu/device/board.h"
#include "emu/firmware/acpi.h"
#include "emu/firmware/aml.h"

enum { POINTER_SIZE = 16, TABLE_AT = MP_BASE + POINTER_SIZE, HEADER_SIZE = 44, CONTENT_MAX = MP_END - TABLE_AT, XAPIC_IDS = 255 };
enum { BUS_ISA = 1, BUS_PCI = 0, ENTRY_INTERRUPT = 3, ENTRY_LOCAL = 4, TYPE_INT = 0, TYPE_NMI = 1, TYPE_EXTINT = 3, ALL_LOCAL = 0xff };

/* Polarity and trigger as of the bus: flags 0; level, active high: 0x0d. */
static void interrupt(struct aml *aml, uint8_t entry, uint8_t type, uint8_t flags, uint8_t bus, uint8_t line, uint8_t apic, uint8_t pin)
{
    aml_bytes(aml, (const uint8_t[]){ entry, type, flags, 0, bus, line, apic, pin }, 8);
}

void mp_table_write(struct model *model)
{
    static uint8_t bytes[CONTENT_MAX];
    struct aml aml = { .bytes = bytes, .capacity = sizeof bytes };
    unsigned processors = model->cpu_count < XAPIC_IDS ? model->cpu_count : XAPIC_IDS, entries = 0;
    uint8_t ioapic = 0, pointer[POINTER_SIZE] = { '_', 'M', 'P', '_', TABLE_AT & 0xff, TABLE_AT >> 8 & 0xff, TABLE_AT >> 16, 0, 1, 4 };

    aml_bytes(&aml, "PCMP", 4);
    aml_raw(&aml, 0, 2);                    /* length */
    aml_byte(&aml, 4);
    aml_byte(&aml, 0);                      /* checksum */
    aml_bytes(&aml, "SESQUI  SESQUI PC   ", 20);
    aml_raw(&aml, 0, 6);
    aml_raw(&aml, 0, 2);                    /* entries */
    aml_raw(&aml, LAPIC_BASE, 4);
    aml_raw(&aml, 0, 4);
    for (unsigned i = 0; i < processors; i++, entries++) {
        aml_bytes(&aml, (const uint8_t[]){ 0, (uint8_t)i, 0x14, i ? 1 : 3 }, 4);    /* enabled; the first one starts the others */
        aml_raw(&aml, model->cpu[i].model ? 0x000506e3 : 0, 4);                     /* signature: any processor with an APIC */
        aml_raw(&aml, 1 << 9, 4);
        aml_raw(&aml, 0, 8);
    }
    aml_bytes(&aml, (const uint8_t[]){ 1, BUS_PCI, 'P', 'C', 'I', ' ', ' ', ' ' }, 8);
    aml_bytes(&aml, (const uint8_t[]){ 1, BUS_ISA, 'I', 'S', 'A', ' ', ' ', ' ' }, 8);
    aml_bytes(&aml, (const uint8_t[]){ 2, ioapic, 0x11, 1 }, 4);
    aml_raw(&aml, IOAPIC_BASE, 4);
    entries += 3;
    for (uint8_t line = 0; line < 16; line++) {
        if (line == 2)
            continue;
        interrupt(&aml, ENTRY_INTERRUPT, TYPE_INT, line == IRQ_SCI ? 0x0d : 0, BUS_ISA, line, ioapic, line == IRQ_PIT ? 2 : line);
        entries++;
    }
    interrupt(&aml, ENTRY_LOCAL, TYPE_EXTINT, 0, BUS_ISA, 0, ALL_LOCAL, 0);
    interrupt(&aml, ENTRY_LOCAL, TYPE_NMI, 0, BUS_ISA, 0, ALL_LOCAL, 1);
    entries += 2;
    bytes[4] = (uint8_t)aml.size;
    bytes[5] = (uint8_t)(aml.size >> 8);
    bytes[34] = (uint8_t)entries;
    bytes[35] = (uint8_t)(entries >> 8);
    bytes[7] = (uint8_t)-table_sum(bytes, aml.size);
    pointer[10] = (uint8_t)-table_sum(pointer, sizeof pointer);
    memory_write(&model->memory, MP_BASE, pointer, sizeof pointer);
    memory_write(&model->memory, TABLE_AT, bytes, aml.size);
}
