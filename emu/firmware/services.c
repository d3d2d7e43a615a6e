/* SPDX-License-Identifier: MIT */
/*
 * The services of a PC's firmware that boot loaders and real-mode kernels call: INT 10H (as a teletype on the console), 11H, 12H, 13H
 * (disk_service.c), 15H, 16H (keys are what comes in at the first UART), 1AH. What is not here returns with CF = 1 and AH = 86H, "not supported";
 * 18H and 19H, which ask for another boot, end the run. Vectors that nobody has set: a fault, to which a return would bring it again, ends the run;
 * an interrupt or a call returns, as from a PC's firmware, and is told once.
 * The ROM's handlers (rom.c) come here through a port. Memory is reached as by a device: by segment * 16 + offset.
 */
#include <stdio.h>
#include <string.h>

#include "emu/device/bus.h"
#include "emu/device/dialogue.h"
#include "emu/device/ports.h"
#include "emu/firmware/rom.h"

enum { NOT_SUPPORTED = 0x86, LINE_MAX = 4096 };
enum { CMOS_SECONDS = 0, CMOS_MINUTES = 2, CMOS_HOURS = 4, CMOS_DAY = 7, CMOS_MONTH = 8, CMOS_YEAR = 9, CMOS_CENTURY = 0x32 };
#define SMAP 0x534d4150u
#define FOUR_GB 0x100000000ull
/* What becomes of a call. */
enum outcome { DONE, FAILED, AGAIN /* later: interrupts come meanwhile */, UNKNOWN, UNTOUCHED /* returns, and changes nothing */ };

void set_low(struct cpu *cpu, unsigned gpr, uint8_t value) { cpu->gpr[gpr] = (cpu->gpr[gpr] & ~0xffull) | value; }
void set_high(struct cpu *cpu, unsigned gpr, uint8_t value) { cpu->gpr[gpr] = (cpu->gpr[gpr] & ~0xff00ull) | (uint64_t)value << 8; }
void set_word(struct cpu *cpu, unsigned gpr, uint16_t value) { cpu->gpr[gpr] = (cpu->gpr[gpr] & ~0xffffull) | value; }
static void set_double(struct cpu *cpu, unsigned gpr, uint32_t value) { cpu->gpr[gpr] = value; }

static uint16_t word_at(struct board *board, uint64_t at)
{
    uint16_t value;

    memory_read(&board->model->memory, at, &value, sizeof value);
    return value;
}

/* ---- INT 10H: the console ---- */

static void teletype(struct board *board, uint8_t character)
{
    struct uart *uart = &board->uart[0];

    if (uart->console)
        putc(character, uart->console);
    if (uart->dialogue)
        dialogue_output(uart->dialogue, (char)character, board_time(board));
}

/* Write string: AL bit 1 says that each character has an attribute behind it. */
static void write_string(struct board *board, const struct cpu *cpu)
{
    uint64_t at = cpu->seg[SEG_ES].base + (uint16_t)cpu->gpr[RBP];
    unsigned step = cpu->gpr[RAX] & 2 ? 2 : 1, length = (uint16_t)cpu->gpr[RCX];

    for (unsigned i = 0; i < length && i < LINE_MAX; i++)
        teletype(board, (uint8_t)word_at(board, at + (uint64_t)i * step));
}

static enum outcome video(struct board *board, struct cpu *cpu)
{
    struct memory *memory = &board->model->memory;

    switch (high_byte(cpu->gpr[RAX])) {
    case 0x00:                          /* set mode: there is one */
    case 0x01:                          /* cursor shape */
        return DONE;
    case 0x02:
        memory_write(memory, BDA_CURSOR, &(uint16_t){ (uint16_t)cpu->gpr[RDX] }, 2);
        return DONE;
    case 0x03:
        set_word(cpu, RDX, word_at(board, BDA_CURSOR));
        set_word(cpu, RCX, 0x0607);
        return DONE;
    case 0x0e:
        teletype(board, low_byte(cpu->gpr[RAX]));
        return DONE;
    case 0x0f:                          /* 80 columns, mode 3, page 0 */
        set_word(cpu, RAX, 80 << 8 | 3);
        set_high(cpu, RBX, 0);
        return DONE;
    case 0x13:
        write_string(board, cpu);
        return DONE;
    }
    return UNKNOWN;
}

/* ---- INT 15H: memory, A20, configuration ---- */

struct range { uint64_t base, length; uint32_t type; };

static bool map_entry(struct board *board, uint32_t i, struct range *range)
{
    uint64_t at = ROM_BASE + ROM_MAP_ENTRIES + (uint64_t)ROM_MAP_ENTRY * i;

    if (i >= word_at(board, ROM_BASE + ROM_MAP))
        return false;
    range->base = memory_read64(&board->model->memory, at);
    range->length = memory_read64(&board->model->memory, at + 8);
    range->type = memory_read32(&board->model->memory, at + 16);
    return true;
}

/* RAM from 1 MB on without a gap, in KB. */
static uint64_t extended_kb(struct board *board)
{
    struct range range;

    for (uint32_t i = 0; map_entry(board, i, &range); i++)
        if (range.base == 1 << 20 && range.type == 1)
            return range.length >> 10;
    return 0;
}

/* ACPI 6.4, 15.1. */
static enum outcome address_map(struct board *board, struct cpu *cpu)
{
    uint32_t i = (uint32_t)cpu->gpr[RBX];
    uint64_t at = cpu->seg[SEG_ES].base + (uint16_t)cpu->gpr[RDI];
    struct range range;

    if ((uint32_t)cpu->gpr[RDX] != SMAP || (uint32_t)cpu->gpr[RCX] < ROM_MAP_ENTRY || !map_entry(board, i, &range))
        return UNKNOWN;
    memory_write64(&board->model->memory, at, range.base);
    memory_write64(&board->model->memory, at + 8, range.length);
    memory_write32(&board->model->memory, at + 16, range.type);
    set_double(cpu, RAX, SMAP);
    set_double(cpu, RCX, ROM_MAP_ENTRY);
    set_double(cpu, RBX, map_entry(board, i + 1, &range) ? i + 1 : 0);
    return DONE;
}

static void memory_size(struct board *board, struct cpu *cpu)
{
    enum { BELOW_16_MB = 15 << 10 };
    uint64_t kb = extended_kb(board), above = kb > BELOW_16_MB ? (kb - BELOW_16_MB) / 64 : 0;

    set_word(cpu, RAX, (uint16_t)(kb < BELOW_16_MB ? kb : BELOW_16_MB));
    set_word(cpu, RBX, (uint16_t)above);
    set_word(cpu, RCX, (uint16_t)cpu->gpr[RAX]);
    set_word(cpu, RDX, (uint16_t)above);
}

static enum outcome system_service(struct board *board, struct cpu *cpu)
{
    enum { LEGACY_MOST_KB = 0xfc00 };
    uint64_t kb;

    switch ((uint16_t)cpu->gpr[RAX]) {
    case 0xe820:
        return address_map(board, cpu);
    case 0xe801:
        memory_size(board, cpu);
        return DONE;
    case 0x2401:                        /* A20 is on, and stays on */
        set_high(cpu, RAX, 0);
        return DONE;
    case 0x2402:
        set_word(cpu, RAX, 1);
        return DONE;
    case 0x2403:                        /* the keyboard controller and port 92H know of it */
        set_high(cpu, RAX, 0);
        set_word(cpu, RBX, 3);
        return DONE;
    }
    switch (high_byte(cpu->gpr[RAX])) {
    case 0x88:
        kb = extended_kb(board);
        set_word(cpu, RAX, (uint16_t)(kb < LEGACY_MOST_KB ? kb : LEGACY_MOST_KB));
        return DONE;
    case 0xc0:
        set_high(cpu, RAX, 0);
        set_word(cpu, RBX, ROM_CONFIGURATION);
        cpu->seg[SEG_ES].selector = ROM_SEGMENT;
        cpu->seg[SEG_ES].base = ROM_BASE;
        return DONE;
    }
    return UNKNOWN;
}

/* ---- INT 16H: keys ---- */

/* The scan code of a character: its place on the keyboard, by the rows 1-0, Q-P, A-L, Z-M; Enter, Esc, Tab, Backspace. */
static uint8_t scan_code(uint8_t character)
{
    static const char rows[] = "\033" "1234567890-=\b\tqwertyuiop[]\r\001asdfghjkl;'`\001\\zxcvbnm,./\001*\001 ";
    uint8_t lower = character >= 'A' && character <= 'Z' ? (uint8_t)(character | 0x20) : character;
    const char *place = lower > 1 ? strchr(rows, lower) : NULL;

    return place ? (uint8_t)(place - rows + 1) : 0;
}

static enum outcome key(struct board *board, struct cpu *cpu, bool *zero)
{
    struct uart *uart = &board->uart[0];
    uint8_t function = high_byte(cpu->gpr[RAX]) & 0xef, character;

    if (function == 2) {                /* no shift key is ever held */
        set_low(cpu, RAX, 0);
        return DONE;
    }
    if (function > 1)
        return UNKNOWN;
    uart_advance(uart, board_time(board));
    *zero = !uart->count;
    if (!uart->count)
        return function ? DONE : AGAIN;
    character = uart->received[0] == '\n' ? '\r' : uart->received[0] == 0x7f ? '\b' : uart->received[0];
    set_word(cpu, RAX, (uint16_t)(scan_code(character) << 8 | character));
    if (function == 0) {
        uart->count--;
        memmove(uart->received, uart->received + 1, uart->count);
    }
    return DONE;
}

/* ---- INT 1AH: the time ---- */

static uint8_t clock_register(struct board *board, struct cpu *cpu, uint8_t which)
{
    uint8_t index = board->cmos.index;

    bus_port_out(board, cpu, 0x70, 1, which);
    uint8_t value = (uint8_t)bus_port_in(board, cpu, 0x71, 1);
    bus_port_out(board, cpu, 0x70, 1, index);
    return value;
}

static enum outcome time_of_day(struct board *board, struct cpu *cpu)
{
    struct memory *memory = &board->model->memory;
    uint32_t ticks = memory_read32(memory, BDA_TICKS);

    switch (high_byte(cpu->gpr[RAX])) {
    case 0x00:
        set_word(cpu, RCX, (uint16_t)(ticks >> 16));
        set_word(cpu, RDX, (uint16_t)ticks);
        set_low(cpu, RAX, (uint8_t)word_at(board, BDA_MIDNIGHT));
        memory_write(memory, BDA_MIDNIGHT, &(uint8_t){ 0 }, 1);
        return DONE;
    case 0x01:
        memory_write32(memory, BDA_TICKS, (uint32_t)(uint16_t)cpu->gpr[RCX] << 16 | (uint16_t)cpu->gpr[RDX]);
        memory_write(memory, BDA_MIDNIGHT, &(uint8_t){ 0 }, 1);
        return DONE;
    case 0x02:
        set_word(cpu, RCX, (uint16_t)(clock_register(board, cpu, CMOS_HOURS) << 8 | clock_register(board, cpu, CMOS_MINUTES)));
        set_word(cpu, RDX, (uint16_t)(clock_register(board, cpu, CMOS_SECONDS) << 8));
        return DONE;
    case 0x04:
        set_word(cpu, RCX, (uint16_t)(clock_register(board, cpu, CMOS_CENTURY) << 8 | clock_register(board, cpu, CMOS_YEAR)));
        set_word(cpu, RDX, (uint16_t)(clock_register(board, cpu, CMOS_MONTH) << 8 | clock_register(board, cpu, CMOS_DAY)));
        return DONE;
    }
    return UNKNOWN;
}

/* ---- what there is no answer to ---- */

/* Where the call, the interrupt or the exception came from. On the stack: vector, IP, CS, flags. */
struct caller { uint16_t ip, cs; bool by_int; };

static struct caller caller_of(struct board *board, uint64_t stack, uint8_t vector)
{
    struct caller caller = { word_at(board, stack + 2), word_at(board, stack + 4), false };

    caller.by_int = word_at(board, caller.cs * 16ull + (uint16_t)(caller.ip - 2)) == (0xcd | vector << 8);      /* INT n */
    return caller;
}

static enum outcome boot_again(struct board *board, uint8_t vector, const struct caller *caller)
{
    snprintf(board->last_words, sizeof board->last_words, "the guest calls INT %02XH at %04x:%04x, %s: no firmware runs here that could boot again",
             vector, caller->cs, caller->ip, vector == 0x18 ? "for what comes when nothing could be booted" : "to boot again");
    board_end(board, BOARD_FIRMWARE, 0);
    return UNTOUCHED;
}

static bool is_fault(uint8_t vector)
{
    return vector == 0x00 || (vector >= 0x05 && vector <= 0x07) || vector == ROM_STACK_FAULT || vector == ROM_PROTECTION;
}

/* IRQ 4 and 5 share their vectors with exceptions: the PIC knows whether it is one. */
static bool is_irq(struct board *board, uint8_t vector)
{
    return vector >= ROM_IRQ0 && vector < ROM_IRQ0 + 8 && board->pic.chip[0].in_service >> (vector - ROM_IRQ0) & 1;
}

static enum outcome unset(struct board *board, uint8_t vector, const struct caller *caller)
{
    static const char *const fault[16] = { [0] = "#DE", [5] = "#BR", [6] = "#UD", [7] = "#NM", [ROM_STACK_FAULT] = "#SS", [ROM_PROTECTION] = "#GP" };
    uint8_t *told = &board->unset_told[vector / 8], bit = (uint8_t)(1u << vector % 8);
    char text[160];

    if (is_irq(board, vector)) {
        pic_write(&board->pic, PIC_MASTER, 0x20);       /* the end of the interrupt */
        return UNTOUCHED;
    }
    if (!caller->by_int && is_fault(vector)) {
        snprintf(board->last_words, sizeof board->last_words, "%s in real-address mode at %04x:%04x: the guest has set no handler for vector %02XH",
                 fault[vector], caller->cs, caller->ip, vector);
        board_end(board, BOARD_FIRMWARE, 0);
    } else if (!(*told & bit)) {
        *told |= bit;
        snprintf(text, sizeof text, "%s %02XH at %04x:%04x: nobody has set this vector, and firmware's handler returns at once (docs/machine.md)",
                 caller->by_int ? "INT" : "an interrupt with vector", vector, caller->cs, caller->ip);
        board_warn(board, text);
    }
    return UNTOUCHED;
}

/* ---- the call ---- */

static enum outcome serve(struct board *board, struct cpu *cpu, uint8_t vector, const struct caller *caller, bool *zero)
{
    if (vector < ROM_SERVICE_FIRST || vector > ROM_SERVICE_LAST)
        return unset(board, vector, caller);
    switch (vector) {
    case 0x10:
        return video(board, cpu);
    case 0x11:
        set_word(cpu, RAX, word_at(board, BDA_EQUIPMENT));
        return DONE;
    case 0x12:
        set_word(cpu, RAX, word_at(board, BDA_MEMORY_KB));
        return DONE;
    case 0x13:
        return disk_service(board, cpu) ? FAILED : DONE;
    case 0x15:
        return system_service(board, cpu);
    case 0x16:
        return key(board, cpu, zero);
    case 0x18: case 0x19:
        return boot_again(board, vector, caller);
    case 0x1a:
        return time_of_day(board, cpu);
    }
    return UNKNOWN;
}

uint32_t services_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)board, (void)cpu, (void)port, (void)size;
    return ~0u;
}

/* On the stack: vector, IP, CS, flags, whose CF (and ZF for keys) is the answer. Writes from elsewhere than the ROM do nothing. */
void services_out(struct board *board, const struct cpu *caller, uint16_t port, unsigned size, uint32_t value)
{
    struct cpu *cpu = &board->model->cpu[caller->index];
    uint64_t stack = cpu->seg[SEG_SS].base + (cpu->seg[SEG_SS].access_rights & AR_DB ? (uint32_t)cpu->gpr[RSP] : (uint16_t)cpu->gpr[RSP]);
    uint16_t flags = word_at(board, stack + 6);
    bool zero = flags & RFLAGS_ZF;

    (void)port, (void)size, (void)value;
    if (!rom_calls(cpu))
        return;
    uint8_t vector = (uint8_t)word_at(board, stack);
    struct caller from = caller_of(board, stack, vector);
    enum outcome outcome = serve(board, cpu, vector, &from, &zero);
    cpu->rflags = outcome == AGAIN ? cpu->rflags | RFLAGS_CF : cpu->rflags & ~(uint64_t)RFLAGS_CF;
    if (outcome == AGAIN || outcome == UNTOUCHED)
        return;
    if (outcome == UNKNOWN)
        set_high(cpu, RAX, NOT_SUPPORTED);
    flags = (uint16_t)((flags & ~(RFLAGS_CF | RFLAGS_ZF)) | (outcome == DONE ? 0 : RFLAGS_CF) | (zero ? RFLAGS_ZF : 0));
    memory_write(&board->model->memory, stack + 6, &flags, 2);
}
