/* SPDX-License-Identifier: MIT */
/*
 * What a PC's firmware leaves behind when it hands over: real-mode vectors with handlers (emu/firmware/rom.c), the BIOS data area, tables, and the
 * interrupt controllers, the timer and the interrupt routing of PCI as it uses them.
 */
#include "emu/device/fw_cfg.h"
#include "emu/device/pci.h"
#include "emu/device/pic.h"
#include "emu/device/pit.h"
#include "emu/firmware/acpi.h"
#include "emu/firmware/rom.h"
#include "emu/load/parts.h"

enum { COM1 = 0x3f8, COM2 = 0x2f8, EQUIPMENT_FPU = 1 << 1, EQUIPMENT_TWO_SERIAL_PORTS = 2 << 9, VIDEO_MODE = 3, VIDEO_COLUMNS = 80 };

static void write_map(struct memory *memory, const struct memory_range *range, unsigned count)
{
    memory_write(memory, ROM_BASE + ROM_MAP, &(uint16_t){ (uint16_t)count }, 2);
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = ROM_BASE + ROM_MAP_ENTRIES + (uint64_t)ROM_MAP_ENTRY * i;

        memory_write64(memory, at, range[i].base);
        memory_write64(memory, at + 8, range[i].end - range[i].base);
        memory_write32(memory, at + 16, range[i].type);
    }
}

static void tell_map(struct fw_cfg *fw_cfg, const struct memory_range *range, unsigned count)
{
    for (unsigned i = 0; fw_cfg && i < count; i++)
        fw_cfg_add_range(fw_cfg, range[i].base, range[i].end - range[i].base, range[i].type);
}

static void write_data_area(struct memory *memory, unsigned disks)
{
    memory_write(memory, BDA_COM1, &(uint16_t){ COM1 }, 2);
    memory_write(memory, BDA_COM2, &(uint16_t){ COM2 }, 2);
    memory_write(memory, BDA_EXTENDED_AREA, &(uint16_t){ BASE_MEMORY_END / 16 }, 2);
    memory_write(memory, BDA_EQUIPMENT, &(uint16_t){ EQUIPMENT_FPU | EQUIPMENT_TWO_SERIAL_PORTS }, 2);
    memory_write(memory, BDA_MEMORY_KB, &(uint16_t){ BASE_MEMORY_END / 1024 }, 2);
    memory_write(memory, BDA_MODE, &(uint8_t){ VIDEO_MODE }, 1);
    memory_write(memory, BDA_COLUMNS, &(uint16_t){ VIDEO_COLUMNS }, 2);
    memory_write(memory, BDA_DISKS, &(uint8_t){ (uint8_t)disks }, 1);
    memory_write(memory, BASE_MEMORY_END, &(uint8_t){ 1 }, 1);     /* the extended area's size in KB */
}

/* 8259A: ICW1 (edge, cascade, ICW4), vectors, wiring, 8086 mode, mask; ELCR: the lines that PIRQs are routed to. 8254: channel 0, mode 3, 65,536
 * counts: 18.2 Hz. */
static void program_devices(const struct bus *bus, struct cpu *cpu)
{
    static const struct { uint16_t port; uint8_t value; } write[] = {
        { PIC_MASTER, 0x11 }, { PIC_MASTER + 1, ROM_IRQ0 }, { PIC_MASTER + 1, 1 << PIC_CASCADE }, { PIC_MASTER + 1, 1 },
        { PIC_SLAVE, 0x11 }, { PIC_SLAVE + 1, ROM_IRQ8 }, { PIC_SLAVE + 1, PIC_CASCADE }, { PIC_SLAVE + 1, 1 },
        { PIC_MASTER + 1, 0xff & ~(1 << 0 | 1 << PIC_CASCADE) }, { PIC_SLAVE + 1, 0xff },
        { PIC_ELCR + 1, 1 << (9 - 8) | 1 << (10 - 8) | 1 << (11 - 8) },
        { PIT_BASE + 3, 0x36 }, { PIT_BASE, 0 }, { PIT_BASE, 0 },
    };
    for (unsigned i = 0; i < sizeof write / sizeof *write; i++)
        bus->port_out(bus->context, cpu, write[i].port, 1, write[i].value);
}

/* ---- PCI ---- */

static void select(const struct bus *bus, struct cpu *cpu, unsigned device, unsigned offset)
{
    bus->port_out(bus->context, cpu, PCI_ADDRESS, 4, 0x80000000u | device << 11 | offset);
}

static uint32_t config(const struct bus *bus, struct cpu *cpu, unsigned device, unsigned offset)
{
    select(bus, cpu, device, offset & ~3u);
    return bus->port_in(bus->context, cpu, PCI_DATA, 4) >> 8 * (offset & 3);
}

/* The IRQs 10 and 11 in turn; and what functions with a pin are told of it. The number of disks. */
static unsigned route_interrupts(const struct bus *bus, struct cpu *cpu)
{
    enum { LPC = 31, PIRQ_A = 0x60, PIRQ_E = 0x68, DEVICES = 32, DISK = 0x10011af4 };
    unsigned disks = 0;

    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++) {
        select(bus, cpu, LPC, pirq < 4 ? PIRQ_A : PIRQ_E);
        bus->port_out(bus->context, cpu, (uint16_t)(PCI_DATA + pirq % 4), 1, 10 + (pirq & 1));
    }
    for (unsigned device = 0; device < DEVICES; device++) {
        unsigned id = config(bus, cpu, device, 0), pin = id == ~0u ? 0 : config(bus, cpu, device, PCI_INTERRUPT_PIN) & 0xff;

        disks += id == DISK;
        if (!pin)
            continue;
        select(bus, cpu, device, PCI_INTERRUPT_LINE);
        bus->port_out(bus->context, cpu, PCI_DATA, 1, 10 + (pci_pirq(device, pin) & 1));
    }
    bus->port_out(bus->context, cpu, PCI_ADDRESS, 4, 0);
    return disks;
}

void firmware_leave(struct model *model, const struct load_request *request)
{
    struct memory_range range[MEMORY_RANGES_MAX];
    unsigned count = memory_map(model, request, range), disks = 0;

    rom_write(&model->memory);
    write_map(&model->memory, range, count);
    tell_map(request->fw_cfg, range, count);
    acpi_write(model);
    mp_table_write(model);
    if (model->bus.port_out) {
        program_devices(&model->bus, &model->cpu[0]);
        disks = route_interrupts(&model->bus, &model->cpu[0]);
    }
    write_data_area(&model->memory, disks);
}
