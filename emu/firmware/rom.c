/* SPDX-License-Identifier: MIT */
/*
 * The code of the firmware's ROM. It is the guest's: it may keep it or, as most images do, load its own IDT.
 *
 *   vectors 08H-0FH, 70H-77H   IRQ 0-7, 8-15: counted (IRQ 0), ended, ignored
 *   vectors 01H, 03H, 04H      traps, and 1BH-1FH, 4AH, hooks for programs: return
 *   all others                 call the board: 10H-1AH are services, the rest is unset; 0CH and 0DH may be IRQ 4 and 5 or exceptions
 */
#include "emu/firmware/rom.h"

#include "model/cpu/cpu.h"

extern const uint8_t firmware_rom[], firmware_tick[], firmware_irq8[], firmware_irq0[], firmware_services[], firmware_called[], firmware_return[],
    firmware_rom_end[];
/* Calls of the board: each entry is PUSH of its vector (of which the high byte does not count) and a jump, 5 bytes. The board sets CF where it is not done yet: then time goes on. */
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
        ".set vector, 0\n"
        ".rept 256\n"
        "    .byte 0x6a, vector\n"              /* pushw $vector */
        "    .byte 0xe9\n"                      /* jmp 2f, with 16 bits wherever it is */
        "    .word 2f - . - 2\n"
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

enum { SERVICE_ENTRY = 5, OUT_LENGTH = 2 };

static uint16_t offset_of(const uint8_t *code)
{
    return (uint16_t)(ROM_OFFSET + (code - firmware_rom));
}

/* Traps go on behind their instruction, and hooks are there to be empty. */
static bool returns(unsigned vector)
{
    return vector == 0x01 || vector == 0x03 || vector == 0x04 || (vector > ROM_SERVICE_LAST && vector < 0x20) || vector == 0x4a;
}

static uint16_t handler(unsigned vector)
{
    if (vector == ROM_IRQ0)
        return offset_of(firmware_tick);
    if (vector > ROM_IRQ0 && vector < ROM_IRQ0 + 8 && vector != ROM_STACK_FAULT && vector != ROM_PROTECTION)
        return offset_of(firmware_irq0);
    if (vector >= ROM_IRQ8 && vector < ROM_IRQ8 + 8)
        return offset_of(firmware_irq8);
    if (returns(vector))
        return offset_of(firmware_return);
    return (uint16_t)(offset_of(firmware_services) + SERVICE_ENTRY * vector);
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
