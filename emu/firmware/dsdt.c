/* SPDX-License-Identifier: MIT */
/* The DSDT: the devices of the board as AML. Names of methods and objects are those of "ACPI Specification 6.4". */
#include <stdio.h>

#include "emu/device/fw_cfg.h"
#include "emu/device/hpet.h"
#include "emu/device/pci.h"
#include "emu/device/pm.h"
#include "emu/firmware/acpi.h"
#include "emu/firmware/aml.h"

/* Opcodes of terms that stand here alone. */
enum { LOCAL0 = 0x60, ARG0 = 0x68, ARG3 = 0x6b, STORE = 0x70, AND = 0x7b, OR = 0x7d, CREATE_DWORD_FIELD = 0x8a, RETURN = 0xa4, NO_TARGET = 0 };
enum { STATUS_PRESENT = 0x0f, STATUS_DISABLED = 0x0d, STATUS_HIDDEN = 0x0b, PIRQ_OFF = 0x80, LINK_FIELD_AT = 5 /* the number in an interrupt descriptor */ };
static const uint32_t link_irqs[] = { 5, 10, 11 };

/* What a device is and which ports and interrupt it has. */
struct legacy {
    const char *name, *id;
    unsigned unique;
    struct { uint16_t first; uint8_t length; } io[2];
    int irq;                                /* -1: none */
};
static const struct legacy legacies[] = {
    { "RTC", "PNP0B00", 0, { { 0x70, 2 } }, 8 },
    { "PIT", "PNP0100", 0, { { 0x40, 4 } }, 0 },
    { "PIC", "PNP0000", 0, { { 0x20, 2 }, { 0xa0, 2 } }, 2 },
    { "KBD", "PNP0303", 0, { { 0x60, 1 }, { 0x64, 1 } }, 1 },
    { "COM1", "PNP0501", 1, { { 0x3f8, 8 } }, 4 },
    { "COM2", "PNP0501", 2, { { 0x2f8, 8 } }, 3 },
};

static void legacy_device(struct aml *aml, const struct legacy *legacy)
{
    size_t device = aml_device(aml, legacy->name), resources;

    aml_named_eisa(aml, "_HID", legacy->id);
    if (legacy->unique)
        aml_named_integer(aml, "_UID", legacy->unique);
    aml_named(aml, "_CRS");
    resources = aml_resources(aml);
    for (unsigned i = 0; i < 2 && legacy->io[i].length; i++)
        aml_io(aml, legacy->io[i].first, legacy->io[i].length);
    if (legacy->irq >= 0)
        aml_irq(aml, (unsigned)legacy->irq);
    aml_close_resources(aml, resources);
    aml_close(aml, device);
}

/* What the board decodes and no driver asks for. */
static void board_resources(struct aml *aml)
{
    size_t device = aml_device(aml, "SYSR"), resources;

    aml_named_eisa(aml, "_HID", "PNP0C02");
    aml_named(aml, "_CRS");
    resources = aml_resources(aml);
    aml_io(aml, 0x61, 1);
    aml_io(aml, 0x92, 1);
    aml_io(aml, 0x4d0, 2);
    aml_io(aml, PM_BASE, 0x80);
    aml_memory(aml, (uint32_t)ECAM_BASE, ECAM_SIZE);
    aml_close_resources(aml, resources);
    aml_close(aml, device);
}

/* As QEMU's documentation of the device has it; there, and hidden from users (ACPI 6.4, 6.3.7). */
static void fw_cfg_device(struct aml *aml)
{
    size_t device = aml_device(aml, "FWCF"), resources;

    aml_named(aml, "_HID");
    aml_string(aml, "QEMU0002");
    aml_named_integer(aml, "_STA", STATUS_HIDDEN);
    aml_named(aml, "_CRS");
    resources = aml_resources(aml);
    aml_io(aml, FW_CFG_SELECTOR, FW_CFG_END - FW_CFG_SELECTOR + 1);
    aml_close_resources(aml, resources);
    aml_close(aml, device);
}

static void hpet_device(struct aml *aml)
{
    size_t device = aml_device(aml, "HPET"), resources;

    aml_named_eisa(aml, "_HID", "PNP0103");
    aml_named_integer(aml, "_UID", 0);
    aml_named(aml, "_CRS");
    resources = aml_resources(aml);
    aml_memory(aml, (uint32_t)HPET_BASE, HPET_SIZE);
    aml_close_resources(aml, resources);
    aml_close(aml, device);
}

/* ---- interrupt links: PIRQ routing registers of the LPC bridge ---- */

static const char *pirq_field(unsigned pirq, char name[8])
{
    snprintf(name, 8, "PRQ%c", (char)('A' + pirq));
    return name;
}

static void pirq_registers(struct aml *aml)
{
    char name[8];

    aml_config_region(aml, "PIRR", 0x60, 0x0c);
    size_t field = aml_field(aml, "PIRR");
    for (unsigned i = 0; i < 4; i++)
        aml_field_entry(aml, pirq_field(i, name), 8);
    aml_field_entry(aml, "", 32);
    for (unsigned i = 4; i < PCI_PIRQS; i++)
        aml_field_entry(aml, pirq_field(i, name), 8);
    aml_close(aml, field);
}

static void full_field(struct aml *aml, unsigned pirq)
{
    char name[8], path[32];

    snprintf(path, sizeof path, "\\_SB.PCI0.LPC.%s", pirq_field(pirq, name));
    aml_name(aml, path);
}

static void link_device(struct aml *aml, unsigned pirq)
{
    char name[8];
    size_t method, branch, resources;

    snprintf(name, sizeof name, "LNK%c", (char)('A' + pirq));
    size_t device = aml_device(aml, name);
    aml_named_eisa(aml, "_HID", "PNP0C0F");
    aml_named_integer(aml, "_UID", pirq);
    aml_named(aml, "_PRS");
    resources = aml_resources(aml);
    aml_interrupt(aml, link_irqs, sizeof link_irqs / sizeof link_irqs[0]);
    aml_close_resources(aml, resources);

    method = aml_method(aml, "_STA", 0);            /* If (PRQx & 0x80) { Return (0x0d) } Return (0x0f) */
    branch = aml_if(aml);
    aml_byte(aml, AND);
    full_field(aml, pirq);
    aml_integer(aml, PIRQ_OFF);
    aml_byte(aml, NO_TARGET);
    aml_byte(aml, RETURN);
    aml_integer(aml, STATUS_DISABLED);
    aml_close(aml, branch);
    aml_byte(aml, RETURN);
    aml_integer(aml, STATUS_PRESENT);
    aml_close(aml, method);

    method = aml_method(aml, "_DIS", 0);            /* PRQx = PRQx | 0x80 */
    aml_byte(aml, OR);
    full_field(aml, pirq);
    aml_integer(aml, PIRQ_OFF);
    full_field(aml, pirq);
    aml_close(aml, method);

    aml_named(aml, "BUF");                          /* the descriptor that _CRS fills in */
    resources = aml_resources(aml);
    aml_interrupt(aml, (const uint32_t[]){ 0 }, 1);
    aml_close_resources(aml, resources);
    method = aml_method(aml, "_CRS", 0);            /* CreateDWordField (BUF, 5, IRQN); IRQN = PRQx & 0x0f; Return (BUF) */
    aml_byte(aml, CREATE_DWORD_FIELD);
    aml_name(aml, "BUF");
    aml_integer(aml, LINK_FIELD_AT);
    aml_name(aml, "IRQN");
    aml_byte(aml, AND);
    full_field(aml, pirq);
    aml_integer(aml, 0x0f);
    aml_name(aml, "IRQN");
    aml_byte(aml, RETURN);
    aml_name(aml, "BUF");
    aml_close(aml, method);

    method = aml_method(aml, "_SRS", 1);            /* CreateDWordField (Arg0, 5, IRQN); PRQx = IRQN */
    aml_byte(aml, CREATE_DWORD_FIELD);
    aml_byte(aml, ARG0);
    aml_integer(aml, LINK_FIELD_AT);
    aml_name(aml, "IRQN");
    aml_byte(aml, STORE);
    aml_name(aml, "IRQN");
    full_field(aml, pirq);
    aml_close(aml, method);
    aml_close(aml, device);
}

/* ---- the PCI root ---- */

enum { DEVICES_WIRED = 32, PINS = 4 };

/* Package { address, pin, source, index }: with the IOAPIC the number of its input, else a link. */
static void routing_table(struct aml *aml, const char *name, bool ioapic)
{
    aml_named(aml, name);
    size_t table = aml_package(aml, DEVICES_WIRED * PINS);
    for (unsigned device = 0; device < DEVICES_WIRED; device++)
        for (unsigned pin = 0; pin < PINS; pin++) {
            unsigned pirq = pci_pirq(device, pin + 1);
            char link[16];
            size_t entry = aml_package(aml, 4);

            aml_integer(aml, device << 16 | 0xffff);
            aml_integer(aml, pin);
            if (ioapic) {
                aml_integer(aml, 0);
                aml_integer(aml, PCI_PIRQ_PIN + pirq);
            } else {
                snprintf(link, sizeof link, "\\_SB.LNK%c", (char)('A' + pirq));
                aml_name(aml, link);
                aml_integer(aml, 0);
            }
            aml_close(aml, entry);
        }
    aml_close(aml, table);
}

static void pci_root(struct aml *aml)
{
    size_t root = aml_device(aml, "PCI0"), resources, method, branch;

    aml_named_eisa(aml, "_HID", "PNP0A08");
    aml_named_eisa(aml, "_CID", "PNP0A03");
    aml_named_integer(aml, "_UID", 0);
    aml_named_integer(aml, "_BBN", 0);
    aml_named_integer(aml, "_SEG", 0);
    aml_named(aml, "_CRS");
    resources = aml_resources(aml);
    aml_window_bus(aml, 0, 0xff);
    aml_io(aml, PCI_ADDRESS, 8);
    aml_window_io(aml, 0, PCI_ADDRESS - 1);
    aml_window_io(aml, PCI_ADDRESS + 8, 0xffff);
    aml_window_memory(aml, 0xa0000, 0xbffff);
    aml_window_memory(aml, 0xc0000000, 0xdfffffff);
    aml_window_memory(aml, 0xf0000000, 0xfebfffff);
    aml_close_resources(aml, resources);

    method = aml_method(aml, "_OSC", 4);            /* all that the system asks to control it may */
    aml_byte(aml, RETURN);
    aml_byte(aml, ARG3);
    aml_close(aml, method);

    routing_table(aml, "PRTL", false);
    routing_table(aml, "PRTA", true);
    method = aml_method(aml, "_PRT", 0);            /* If (\PICF) { Return (PRTA) } Return (PRTL) */
    branch = aml_if(aml);
    aml_name(aml, "\\PICF");
    aml_byte(aml, RETURN);
    aml_name(aml, "PRTA");
    aml_close(aml, branch);
    aml_byte(aml, RETURN);
    aml_name(aml, "PRTL");
    aml_close(aml, method);

    size_t bridge = aml_device(aml, "LPC");
    aml_named_integer(aml, "_ADR", 31 << 16);
    pirq_registers(aml);
    for (unsigned i = 0; i < sizeof legacies / sizeof legacies[0]; i++)
        legacy_device(aml, &legacies[i]);
    board_resources(aml);
    fw_cfg_device(aml);
    aml_close(aml, bridge);
    aml_close(aml, root);
}

/* ---- processors ---- */

static void fixed_hardware(struct aml *aml, uint8_t bits, uint8_t offset, uint64_t address, uint8_t access)
{
    size_t resources = aml_resources(aml);

    aml_fixed_hardware(aml, bits, offset, address, access);
    aml_close_resources(aml, resources);
}

/* _CST (ACPI 8.4.2.1): Package { number, Package { register, type, latency in microseconds, power in milliwatts } ... }. The register is MWAIT with its
 * hint ("Intel Processor Vendor-Specific ACPI", 2.2). */
static void idle_states(struct aml *aml)
{
    static const struct { uint8_t type, hint; uint16_t latency, power; } states[] = { { 1, 0x00, 2, 1000 }, { 2, 0x20, 133, 200 } };
    enum { COUNT = sizeof states / sizeof states[0], VENDOR_INTEL = 1, CLASS_NATIVE = 2, HARDWARE_COORDINATED = 1 };
    size_t list, state;

    aml_named(aml, "_CST");
    list = aml_package(aml, 1 + COUNT);
    aml_integer(aml, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        state = aml_package(aml, 4);
        fixed_hardware(aml, VENDOR_INTEL, CLASS_NATIVE, states[i].hint, HARDWARE_COORDINATED);
        aml_integer(aml, states[i].type);
        aml_integer(aml, states[i].latency);
        aml_integer(aml, states[i].power);
        aml_close(aml, state);
    }
    aml_close(aml, list);
}

/* _PCT, _PSS, _PPC (ACPI 8.4.6): IA32_PERF_CTL and IA32_PERF_STATUS; all states may be used. */
static void performance_states(struct aml *aml)
{
    enum { RATIO_MAX = 10, RATIO_MIN = 4, MHZ = 100, MILLIWATTS = 400, LATENCY = 10 };
    size_t list, state;

    aml_named(aml, "_PCT");
    list = aml_package(aml, 2);
    fixed_hardware(aml, 0, 0, 0, 0);
    fixed_hardware(aml, 0, 0, 0, 0);
    aml_close(aml, list);
    aml_named(aml, "_PSS");
    list = aml_package(aml, RATIO_MAX - RATIO_MIN + 1);
    for (unsigned ratio = RATIO_MAX; ratio >= RATIO_MIN; ratio--) {
        state = aml_package(aml, 6);
        aml_integer(aml, ratio * MHZ);
        aml_integer(aml, ratio * MILLIWATTS);
        aml_integer(aml, LATENCY);
        aml_integer(aml, LATENCY);
        aml_integer(aml, ratio << 8);
        aml_integer(aml, ratio << 8);
        aml_close(aml, state);
    }
    aml_close(aml, list);
    aml_named_integer(aml, "_PPC", 0);
}

static void processor(struct aml *aml, unsigned number)
{
    char name[8];

    snprintf(name, sizeof name, "C%03X", number & 0xfff);
    size_t device = aml_device(aml, name);
    aml_named(aml, "_HID");
    aml_string(aml, "ACPI0007");
    aml_named_integer(aml, "_UID", number);
    idle_states(aml);
    performance_states(aml);
    aml_close(aml, device);
}

/* ---- the whole ---- */

void dsdt_write(struct aml *aml, unsigned processors)
{
    size_t scope, package, method;

    aml_named_integer(aml, "\\PICF", 0);            /* which interrupt controllers the system uses: _PIC says it */
    method = aml_method(aml, "\\_PIC", 1);
    aml_byte(aml, STORE);
    aml_byte(aml, ARG0);
    aml_name(aml, "\\PICF");
    aml_close(aml, method);

    scope = aml_scope(aml, "\\_SB");
    pci_root(aml);
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        link_device(aml, i);
    hpet_device(aml);
    for (unsigned i = 0; i < processors; i++)
        processor(aml, i);
    aml_close(aml, scope);

    aml_named(aml, "\\_S5");
    package = aml_package(aml, 4);
    aml_integer(aml, PM_SLEEP_OFF);
    aml_integer(aml, PM_SLEEP_OFF);
    aml_integer(aml, 0);
    aml_integer(aml, 0);
    aml_close(aml, package);
}
