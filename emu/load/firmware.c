/* SPDX-License-Identifier: MIT */
/*
 * What a PC's firmware leaves behind when it hands over: real-mode vectors with handlers, the BIOS data area, and the
 * interrupt controllers and the timer as it uses them. The handlers are code of the guest's, at F000:F000; it may keep them
 * or, as most images do, load its own IDT and program the controllers anew.
 *
 *   vectors 08H-0FH, 70H-77H   IRQ 0-7, 8-15: counted (IRQ 0), ended, ignored
 *   vectors 10H-1AH            services: there are none; they return with CF = 1 and AH = 86H, "not supported"
 *   all others                 return
 */
#include "emu/device/pic.h"
#include "emu/device/pit.h"
#include "emu/firmware/acpi.h"
#include "emu/load/parts.h"

enum { ROM_SEGMENT = 0xf000, ROM_OFFSET = 0xf000 };
enum { VECTOR_IRQ0 = 0x08, VECTOR_IRQ8 = 0x70, VECTOR_SERVICE_FIRST = 0x10, VECTOR_SERVICE_LAST = 0x1a, VECTORS = 256 };
/* The BIOS data area, and what it names. */
enum { BDA_COM1 = 0x400, BDA_COM2 = 0x402, BDA_EXTENDED_AREA = 0x40e, BDA_EQUIPMENT = 0x410, BDA_MEMORY_KB = 0x413 };
enum { COM1 = 0x3f8, COM2 = 0x2f8, EQUIPMENT_FPU = 1 << 1, EQUIPMENT_TWO_SERIAL_PORTS = 2 << 9 };

/* The handlers, at ROM_OFFSET in their segment. */
extern const uint8_t firmware_rom[], firmware_tick[], firmware_irq8[], firmware_irq0[], firmware_service[], firmware_return[],
    firmware_rom_end[];
__asm__(".section .rodata\n"
        ".code16\n"
        "firmware_rom:\n"
        "firmware_tick:\n"                      /* IRQ 0: one more tick at 0040:006C, then INT 1CH for the user */
        "    pushw %ax\n"
        "    pushw %ds\n"
        "    movw $0x40, %ax\n"
        "    movw %ax, %ds\n"
        "    incl 0x6c\n"
        "    popw %ds\n"
        "    int $0x1c\n"
        "    jmp 1f\n"
        "firmware_irq8:\n"
        "    pushw %ax\n"
        "    movb $0x20, %al\n"
        "    outb %al, $0xa0\n"
        "    jmp 1f\n"
        "firmware_irq0:\n"
        "    pushw %ax\n"
        "1:  movb $0x20, %al\n"
        "    outb %al, $0x20\n"
        "    popw %ax\n"
        "firmware_return:\n"
        "    iretw\n"
        "firmware_service:\n"
        "    pushw %bp\n"
        "    movw %sp, %bp\n"
        "    orb $1, 6(%bp)\n"                  /* CF in the flags to be popped */
        "    popw %bp\n"
        "    movb $0x86, %ah\n"
        "    iretw\n"
        "firmware_rom_end:\n"
        ".code64\n.text\n");

static const uint8_t *handler(unsigned vector)
{
    if (vector == VECTOR_IRQ0)
        return firmware_tick;
    if (vector > VECTOR_IRQ0 && vector < VECTOR_IRQ0 + 8)
        return firmware_irq0;
    if (vector >= VECTOR_IRQ8 && vector < VECTOR_IRQ8 + 8)
        return firmware_irq8;
    return vector >= VECTOR_SERVICE_FIRST && vector <= VECTOR_SERVICE_LAST ? firmware_service : firmware_return;
}

static void write_memory(struct memory *memory)
{
    memory_write(memory, ROM_SEGMENT * 16 + ROM_OFFSET, firmware_rom, (size_t)(firmware_rom_end - firmware_rom));
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        uint32_t offset = ROM_OFFSET + (uint32_t)(handler(vector) - firmware_rom);
        memory_write32(memory, 4 * vector, (uint32_t)ROM_SEGMENT << 16 | offset);
    }
    memory_write(memory, BDA_COM1, &(uint16_t){ COM1 }, 2);
    memory_write(memory, BDA_COM2, &(uint16_t){ COM2 }, 2);
    memory_write(memory, BDA_EXTENDED_AREA, &(uint16_t){ BASE_MEMORY_END / 16 }, 2);
    memory_write(memory, BDA_EQUIPMENT, &(uint16_t){ EQUIPMENT_FPU | EQUIPMENT_TWO_SERIAL_PORTS }, 2);
    memory_write(memory, BDA_MEMORY_KB, &(uint16_t){ BASE_MEMORY_END / 1024 }, 2);
    memory_write(memory, BASE_MEMORY_END, &(uint8_t){ 1 }, 1);     /* the extended area's size in KB */
}

/* 8259A: ICW1 (edge, cascade, ICW4), vectors, wiring, 8086 mode, mask. 8254: channel 0, mode 3, 65,536 counts: 18.2 Hz. */
static void program_devices(const struct bus *bus, struct cpu *cpu)
{
    static const struct { uint16_t port; uint8_t value; } write[] = {
        { PIC_MASTER, 0x11 }, { PIC_MASTER + 1, VECTOR_IRQ0 }, { PIC_MASTER + 1, 1 << PIC_CASCADE }, { PIC_MASTER + 1, 1 },
        { PIC_SLAVE, 0x11 }, { PIC_SLAVE + 1, VECTOR_IRQ8 }, { PIC_SLAVE + 1, PIC_CASCADE }, { PIC_SLAVE + 1, 1 },
        { PIC_MASTER + 1, 0xff & ~(1 << 0 | 1 << PIC_CASCADE) }, { PIC_SLAVE + 1, 0xff },
        { PIT_BASE + 3, 0x36 }, { PIT_BASE, 0 }, { PIT_BASE, 0 },
    };
    for (unsigned i = 0; i < sizeof write / sizeof *write; i++)
        bus->port_out(bus->context, cpu, write[i].port, 1, write[i].value);
}

void firmware_leave(struct model *model)
{
    write_memory(&model->memory);
    acpi_write(model);
    mp_table_write(model);
    if (model->bus.port_out)
        program_devices(&model->bus, &model->cpu[0]);
}
