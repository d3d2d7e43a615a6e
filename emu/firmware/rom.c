/* SPDX-License-Identifier: MIT */
/*
 * The code of the firmware's ROM. It is the guest's: it may keep it or, as most images do, load its own IDT.
 *
 *   vectors 08H-0FH, 70H-77H   IRQ 0-7, 8-15: counted (IRQ 0), ended, ignored
 *   vectors 10H-1AH            services
 *   all others                 return
 */
#include "emu/firmware/rom.h"

#include "model/cpu/cpu.h"

extern const uint8_t firmware_rom[], firmware_tick[], firmware_irq8[], firmware_irq0[], firmware_services[], firmware_called[], firmware_return[],
    firmware_rom_end[];
/* Services: each entry is PUSH of its vector and a jump, 4 bytes. The board sets CF where it is not done yet: then time goes on. */
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
        "firmware_services:\n"
        ".set vector, 0x10\n"
        ".rept 11\n"
        "    .byte 0x6a, vector\n"              /* pushw $vector */
        "    jmp 2f\n"
        ".set vector, vector + 1\n"
        ".endr\n"
        "2:  outb %al, $0xe8\n"
        "firmware_called:\n"
        "    jc 3f\n"
        "    leaw 2(%esp), %sp\n"
        "    iretw\n"
        "3:  sti\n"
        "    hlt\n"
        "    cli\n"
        "    jmp 2b\n"
        "firmware_rom_end:\n"
        ".code64\n.text\n");

enum { SERVICE_ENTRY = 4, OUT_LENGTH = 2 };

static uint16_t offset_of(const uint8_t *code)
{
    return (uint16_t)(ROM_OFFSET + (code - firmware_rom));
}

static uint16_t handler(unsigned vector)
{
    if (vector == ROM_IRQ0)
        return offset_of(firmware_tick);
    if (vector > ROM_IRQ0 && vector < ROM_IRQ0 + 8)
        return offset_of(firmware_irq0);
    if (vector >= ROM_IRQ8 && vector < ROM_IRQ8 + 8)
        return offset_of(firmware_irq8);
    if (vector < ROM_SERVICE_FIRST || vector > ROM_SERVICE_LAST)
        return offset_of(firmware_return);
    return (uint16_t)(offset_of(firmware_services) + SERVICE_ENTRY * (vector - ROM_SERVICE_FIRST));
}

/* Length, model FCH (AT), submodel, revision, features: second PIC and clock, keyboard intercept called by nobody. */
static const uint8_t configuration[] = { 8, 0, 0xfc, 1, 0, 0x60, 0, 0, 0, 0 };

void rom_write(struct memory *memory)
{
    memory_write(memory, ROM_BASE + ROM_OFFSET, firmware_rom, (size_t)(firmware_rom_end - firmware_rom));
    memory_write(memory, ROM_BASE + ROM_CONFIGURATION, configuration, sizeof configuration);
    for (unsigned vector = 0; vector < ROM_VECTORS; vector++)
        memory_write32(memory, 4 * vector, (uint32_t)ROM_SEGMENT << 16 | handler(vector));
}

bool rom_calls(const struct cpu *cpu)
{
    return cpu->seg[SEG_CS].base == ROM_BASE && cpu->rip + OUT_LENGTH == offset_of(firmware_called);
}
