/* SPDX-License-Identifier: MIT */
/* ACPI tables: chapter 5.2 of the specification. */
#include "emu/firmware/acpi.h"

#include <string.h>

#include "emu/device/board.h"
#include "emu/firmware/aml.h"
#include "emu/load/parts.h"

enum { HEADER_SIZE = 36, FACS_SIZE = 64, TABLE_MAX = 0xf000 };
enum { EBDA_RSDP = BASE_MEMORY_END + 0x10 };
enum { SPACE_MEMORY = 0, SPACE_IO = 1 };

/* A table under construction, and where it goes. */
struct table {
    struct aml content;
    uint8_t bytes[TABLE_MAX];
};

uint8_t table_sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;

    for (size_t i = 0; i < size; i++)
        total = (uint8_t)(total + bytes[i]);
    return total;
}

static struct aml *begin(struct table *table, const char *signature, uint8_t revision)
{
    struct aml *aml = &table->content;

    *aml = (struct aml){ .bytes = table->bytes, .capacity = TABLE_MAX };
    aml_bytes(aml, signature, 4);
    aml_raw(aml, 0, 4);                     /* length */
    aml_byte(aml, revision);
    aml_byte(aml, 0);                       /* checksum */
    aml_bytes(aml, "SESQUISESQUIPC", 14);
    aml_raw(aml, 1, 4);
    aml_bytes(aml, "SSQI", 4);
    aml_raw(aml, 1, 4);
    return aml;
}

/* Writes the table at *at, moves *at behind it, and returns where it is. */
static uint32_t end(struct memory *memory, struct table *table, uint32_t *at)
{
    struct aml *aml = &table->content;
    uint32_t here = (*at + 15) & ~15u, size = (uint32_t)aml->size;

    for (unsigned i = 0; i < 4; i++)
        aml->bytes[4 + i] = (uint8_t)(size >> 8 * i);
    aml->bytes[9] = (uint8_t)-table_sum(aml->bytes, size);
    memory_write(memory, here, aml->bytes, size);
    *at = here + size;
    return here;
}

/* Generic Address Structure (ACPI 5.2.3.2). */
static void address(struct aml *aml, uint8_t space, uint8_t bits, uint64_t at)
{
    aml_byte(aml, space);
    aml_byte(aml, bits);
    aml_byte(aml, 0);
    aml_byte(aml, (uint8_t)(bits == 8 ? 1 : bits == 16 ? 2 : bits == 32 ? 3 : 0));
    aml_raw(aml, at, 8);
}

static void no_address(struct aml *aml) { aml_raw(aml, 0, 8), aml_raw(aml, 0, 4); }

/* ACPI 5.2.9, of ACPI 5.0. */
static void fadt(struct aml *aml, uint32_t facs, uint32_t dsdt)
{
    enum { WBINVD = 1 << 0, C1 = 1 << 2, NO_SLEEP_BUTTON = 1 << 5, TIMER_32 = 1 << 8, RESET = 1 << 10, NO_HEAD = 1 << 12 };
    enum { BOOT_LEGACY = 1 << 0, BOOT_8042 = 1 << 1, BOOT_NO_VGA = 1 << 2 };
    enum { CMOS_CENTURY = 0x32, RESET_VALUE = 6 };

    aml_raw(aml, facs, 4);
    aml_raw(aml, dsdt, 4);
    aml_byte(aml, 0);
    aml_byte(aml, 0);                       /* no preferred profile */
    aml_raw(aml, IRQ_SCI, 2);
    aml_raw(aml, 0, 4);                     /* SMI_CMD: ACPI mode is the only one */
    aml_raw(aml, 0, 4);
    aml_raw(aml, PM_EVENT, 4);
    aml_raw(aml, 0, 4);
    aml_raw(aml, PM_CONTROL, 4);
    aml_raw(aml, 0, 8);
    aml_raw(aml, PM_TIMER, 4);
    aml_raw(aml, PM_GPE, 4);
    aml_raw(aml, 0, 4);
    aml_bytes(aml, (const uint8_t[]){ 4, 2, 0, 4, PM_GPE_SIZE, 0, 0, 0 }, 8);  /* lengths: event, control, timer, GPE0 */
    aml_raw(aml, 0xffff, 2);                /* C2 and C3 latencies: not there */
    aml_raw(aml, 0xffff, 2);
    aml_raw(aml, 0, 4);                     /* flush size and stride */
    aml_raw(aml, 0, 2);                     /* duty cycle */
    aml_byte(aml, 0);                       /* alarms: day, month, century */
    aml_byte(aml, 0);
    aml_byte(aml, CMOS_CENTURY);
    aml_raw(aml, BOOT_LEGACY | BOOT_8042 | BOOT_NO_VGA, 2);
    aml_byte(aml, 0);
    aml_raw(aml, WBINVD | C1 | NO_SLEEP_BUTTON | TIMER_32 | RESET | NO_HEAD, 4);
    address(aml, SPACE_IO, 8, PCI_RESET);
    aml_byte(aml, RESET_VALUE);
    aml_raw(aml, 0, 3);
    aml_raw(aml, facs, 8);
    aml_raw(aml, dsdt, 8);
    address(aml, SPACE_IO, 32, PM_EVENT);
    no_address(aml);
    address(aml, SPACE_IO, 16, PM_CONTROL);
    no_address(aml);
    no_address(aml);
    address(aml, SPACE_IO, 32, PM_TIMER);
    address(aml, SPACE_IO, 8 * PM_GPE_SIZE, PM_GPE);
    no_address(aml);
    no_address(aml);                        /* sleep control and status: of hardware-reduced ACPI */
    no_address(aml);
}

/* ACPI 5.2.12. An identifier of 255 and more needs the x2APIC form. */
static void madt(struct aml *aml, unsigned processors)
{
    enum { PCAT_COMPATIBLE = 1, ENABLED = 1, LEVEL_HIGH = 0x0d, ALL_PROCESSORS = 0xff, XAPIC_ID_MAX = 254 };
    static const uint8_t level_irqs[] = { 5, IRQ_SCI, 10, 11 };

    aml_raw(aml, LAPIC_BASE, 4);
    aml_raw(aml, PCAT_COMPATIBLE, 4);
    for (unsigned i = 0; i < processors; i++) {
        if (i <= XAPIC_ID_MAX) {
            aml_bytes(aml, (const uint8_t[]){ 0, 8, (uint8_t)i, (uint8_t)i }, 4);
            aml_raw(aml, ENABLED, 4);
        } else {
            aml_bytes(aml, (const uint8_t[]){ 9, 16, 0, 0 }, 4);
            aml_raw(aml, i, 4);
            aml_raw(aml, ENABLED, 4);
            aml_raw(aml, i, 4);
        }
    }
    aml_bytes(aml, (const uint8_t[]){ 1, 12, 0, 0 }, 4);
    aml_raw(aml, IOAPIC_BASE, 4);
    aml_raw(aml, 0, 4);
    aml_bytes(aml, (const uint8_t[]){ 2, 10, 0, IRQ_PIT, 2, 0, 0, 0, 0, 0 }, 10);
    for (unsigned i = 0; i < sizeof level_irqs; i++)
        aml_bytes(aml, (const uint8_t[]){ 2, 10, 0, level_irqs[i], level_irqs[i], 0, 0, 0, LEVEL_HIGH, 0 }, 10);
    aml_bytes(aml, (const uint8_t[]){ 4, 6, ALL_PROCESSORS, 0, 0, 1 }, 6);         /* NMI by LINT1 */
}

static void mcfg(struct aml *aml)
{
    aml_raw(aml, 0, 8);
    aml_raw(aml, ECAM_BASE, 8);
    aml_raw(aml, 0, 2);                     /* segment; buses */
    aml_bytes(aml, (const uint8_t[]){ 0, 0xff }, 2);
    aml_raw(aml, 0, 4);
}

/* "IA-PC HPET Specification", HPET 3.2.4. */
static void hpet(struct aml *aml)
{
    enum { MINIMUM_TICKS = 128 };

    aml_raw(aml, 0x8086a201, 4);            /* the low half of the capability register */
    address(aml, SPACE_MEMORY, 0, HPET_BASE);
    aml_byte(aml, 0);
    aml_raw(aml, MINIMUM_TICKS, 2);
    aml_byte(aml, 0);
}

/* The unit's capability registers, as firmware finds them; false: there is no unit. */
static bool remapping_unit(struct model *model, uint64_t *cap, uint64_t *ecap)
{
    const struct bus *bus = &model->bus;

    if (!bus->mmio_read)
        return false;
    *cap = bus->mmio_read(bus->context, &model->cpu[0], REMAPPING_BASE + VTD_cap, 8);
    *ecap = bus->mmio_read(bus->context, &model->cpu[0], REMAPPING_BASE + VTD_ecap, 8);
    return *cap != ~0ull;
}

/* VT-d, 8.1: one unit for all of PCI; the IOAPIC is named as a function of a bus that is not there. */
static void dmar(struct aml *aml, const struct model *model, uint64_t ecap)
{
    enum { INTERRUPT_REMAPPING = 1, DRHD = 0, DRHD_SIZE = 24, INCLUDE_PCI_ALL = 1, SCOPE_IOAPIC = 3, SCOPE_SIZE = 8 };

    aml_byte(aml, (uint8_t)(model->physical_address_width - 1));
    aml_byte(aml, ecap & VTD_ECAP_IR ? INTERRUPT_REMAPPING : 0);
    aml_raw(aml, 0, 8);
    aml_raw(aml, 0, 2);
    aml_raw(aml, DRHD, 2);
    aml_raw(aml, DRHD_SIZE, 2);
    aml_byte(aml, INCLUDE_PCI_ALL);
    aml_byte(aml, 0);
    aml_raw(aml, 0, 2);                     /* segment */
    aml_raw(aml, REMAPPING_BASE, 8);
    aml_bytes(aml, (const uint8_t[]){ SCOPE_IOAPIC, SCOPE_SIZE, 0, 0, 0, 0xf0, 0x1f, 0 }, SCOPE_SIZE);
}

static void write_rsdp(struct memory *memory, uint32_t at, uint32_t rsdt, uint32_t xsdt)
{
    enum { REVISION = 2, FIRST_PART = 20, CHECKSUM = 8, EXTENDED_CHECKSUM = 32 };
    uint8_t rsdp[ACPI_RSDP_SIZE];
    struct aml aml = { .bytes = rsdp, .capacity = sizeof rsdp };

    aml_bytes(&aml, "RSD PTR ", 8);
    aml_byte(&aml, 0);
    aml_bytes(&aml, "SESQUI", 6);
    aml_byte(&aml, REVISION);
    aml_raw(&aml, rsdt, 4);
    aml_raw(&aml, sizeof rsdp, 4);
    aml_raw(&aml, xsdt, 8);
    aml_raw(&aml, 0, 4);
    rsdp[CHECKSUM] = (uint8_t)-table_sum(rsdp, FIRST_PART);
    rsdp[EXTENDED_CHECKSUM] = (uint8_t)-table_sum(rsdp, sizeof rsdp);
    memory_write(memory, at, rsdp, sizeof rsdp);
}

void acpi_write(struct model *model)
{
    struct memory *memory = &model->memory;
    static struct table table;              /* too large for a stack; one at a time */
    uint32_t at = ACPI_BASE + 0x40, tables[5], facs, dsdt, rsdt, xsdt;
    unsigned count = 4;
    uint64_t cap, ecap;
    uint8_t facs_bytes[FACS_SIZE] = { 'F', 'A', 'C', 'S', FACS_SIZE, [32] = 2 };

    facs = at;
    memory_write(memory, facs, facs_bytes, sizeof facs_bytes);
    at += FACS_SIZE;
    dsdt_write(begin(&table, "DSDT", 2), model->cpu_count);
    dsdt = end(memory, &table, &at);
    fadt(begin(&table, "FACP", 5), facs, dsdt);
    tables[0] = end(memory, &table, &at);
    madt(begin(&table, "APIC", 3), model->cpu_count);
    tables[1] = end(memory, &table, &at);
    mcfg(begin(&table, "MCFG", 1));
    tables[2] = end(memory, &table, &at);
    hpet(begin(&table, "HPET", 1));
    tables[3] = end(memory, &table, &at);
    if (remapping_unit(model, &cap, &ecap)) {
        dmar(begin(&table, "DMAR", 1), model, ecap);
        tables[count++] = end(memory, &table, &at);
    }
    struct aml *aml = begin(&table, "RSDT", 1);
    for (unsigned i = 0; i < count; i++)
        aml_raw(aml, tables[i], 4);
    rsdt = end(memory, &table, &at);
    aml = begin(&table, "XSDT", 1);
    for (unsigned i = 0; i < count; i++)
        aml_raw(aml, tables[i], 8);
    xsdt = end(memory, &table, &at);
    write_rsdp(memory, ACPI_RSDP, rsdt, xsdt);
    write_rsdp(memory, EBDA_RSDP, rsdt, xsdt);
}
