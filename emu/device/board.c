/* SPDX-License-Identifier: MIT */
/* The devices of the machine behind the model's bus. */
#include "emu/device/board.h"

#include <string.h>

enum {
    PORT_KEYBOARD = 0x64, KEYBOARD_RESET = 0xfe,
    PORT_CMOS_DATA = 0x71,
    PORT_CONTROL_A = 0x92,          /* bit 0: reset; bit 1: A20, always on */
    PORT_DEBUG = 0xe9,              /* a byte for the console; reads as 0xe9 where it exists */
    PORT_EXIT = 0xf4,
    PORT_RESET = 0xcf9,
    PORT_TEST_DATA = 0xe0,          /* the test device: four bytes that keep their values */
    PORT_TEST_IRQ = 0x2000,         /* 24 ports: a write sets the level of that IOAPIC pin and PIC line */
    PORT_SHUTDOWN = 0x8900,
};
#define TEST_MEMORY 0xff000000ull

static void kick(struct board *board)
{
    if (board->kick)
        board->kick(board->context);
}

static void warn(struct board *board, const char *text)
{
    if (board->warn)
        board->warn(board->context, text);
}

static void end(struct board *board, enum board_end how, uint32_t value)
{
    if (board->end != BOARD_RUNNING)
        return;
    board->end = how;
    board->exit_value = value;
    kick(board);
}

static uint64_t board_time(const struct board *board)
{
    return board->model->cpu[0].clock;
}

/* Interrupt lines of the PC: IRQ 0 is pin 2 of the IOAPIC, the others keep their number. */
static void irq(struct board *board, unsigned line, bool level)
{
    if (line < 16)
        pic_line(&board->pic, line, level);
    ioapic_line(&board->ioapic, line == 0 ? 2 : line, level);
}

/* The PIT's ticks up to now. Nobody waits for them while nobody can take them, so who looks at their traces asks first. */
static void catch_up(struct board *board)
{
    if (!pit_advance(&board->pit, board_time(board)))
        return;
    irq(board, 0, false);
    irq(board, 0, true);
}

/* Does IRQ 0 reach processor 0, by the PIC or by the IOAPIC? */
static bool pit_heard(const struct board *board)
{
    return (!pic_masked(&board->pic, 0) && lapic_accepts_pic(&board->lapic[0])) || !ioapic_masked(&board->ioapic, 2);
}

static const struct { uint16_t base; unsigned irq; } uarts[UARTS] = { { 0x3f8, 4 }, { 0x2f8, 3 } };

/* The UART that decodes the port; UARTS if none. */
static unsigned uart_at(uint16_t port)
{
    unsigned i = 0;

    while (i < UARTS && (port < uarts[i].base || port >= uarts[i].base + UART_PORTS))
        i++;
    return i;
}

static void update_uart(struct board *board, unsigned i)
{
    irq(board, uarts[i].irq, uart_interrupt(&board->uart[i]));
}

/* ---- ports ---- */

static uint8_t read_byte(struct board *board, uint16_t port)
{
    unsigned i = uart_at(port);

    if (i < UARTS) {
        uint8_t value = uart_read(&board->uart[i], port - uarts[i].base);
        update_uart(board, i);
        return value;
    }
    if (port >= PIT_BASE && port < PIT_BASE + 4)
        return pit_read(&board->pit, port, board_time(board));
    switch (port) {
    case PIC_MASTER:
    case PIC_MASTER + 1:
    case PIC_SLAVE:
    case PIC_SLAVE + 1:
        catch_up(board);
        return pic_read(&board->pic, port);
    case PIT_GATE_PORT:
        return pit_gate_read(&board->pit, board_time(board));
    case PORT_KEYBOARD:
        return 0;                               /* both buffers are empty */
    case PORT_CMOS_DATA:
        return 0;                               /* no update under way, no alarm; the date is not kept */
    case PORT_CONTROL_A:
        return 2;
    case PORT_DEBUG:
        return PORT_DEBUG;
    case PORT_TEST_DATA:
    case PORT_TEST_DATA + 1:
    case PORT_TEST_DATA + 2:
    case PORT_TEST_DATA + 3:
        return board->test_data[port - PORT_TEST_DATA];
    case FW_CFG_DATA:
        return fw_cfg_next(&board->fw_cfg);
    }
    return 0xff;
}

/* "Shutdown", character by character, as test images write it to power off. */
static void shutdown_character(struct board *board, uint8_t value)
{
    static const char word[] = "Shutdown";

    if (value == (uint8_t)word[board->shutdown_progress])
        board->shutdown_progress++;
    else
        board->shutdown_progress = value == (uint8_t)word[0];
    if (board->shutdown_progress == sizeof(word) - 1)
        end(board, BOARD_SHUTDOWN, 0);
    board->shutdown_progress %= sizeof(word) - 1;
}

static void write_byte(struct board *board, uint16_t port, uint8_t value)
{
    unsigned i = uart_at(port);

    if (i < UARTS) {
        uart_write(&board->uart[i], port - uarts[i].base, value);
        update_uart(board, i);
        return;
    }
    if (port >= PIT_BASE && port < PIT_BASE + 4) {
        pit_write(&board->pit, port, value, board_time(board));
        return;
    }
    switch (port) {
    case PIC_MASTER:
    case PIC_MASTER + 1:
    case PIC_SLAVE:
    case PIC_SLAVE + 1:
        catch_up(board);
        pic_write(&board->pic, port, value);
        break;
    case PIT_GATE_PORT:
        pit_gate_write(&board->pit, value, board_time(board));
        break;
    case PORT_KEYBOARD:
        if (value == KEYBOARD_RESET)
            end(board, BOARD_RESET, 0);
        break;
    case PORT_CONTROL_A:
        if (value & 1)
            end(board, BOARD_RESET, 0);
        break;
    case BOARD_LOAD_PORT:
        board->load_requested = true;
        break;
    case PORT_DEBUG:
        if (board->uart[0].console)
            putc(value, board->uart[0].console);
        break;
    case PORT_TEST_DATA:
    case PORT_TEST_DATA + 1:
    case PORT_TEST_DATA + 2:
    case PORT_TEST_DATA + 3:
        board->test_data[port - PORT_TEST_DATA] = value;
        break;
    case PORT_SHUTDOWN:
        shutdown_character(board, value);
        break;
    }
}

/* Devices have 8-bit ports: a wider access covers as many neighbours (SDM Vol. 1, 19.3). */
static uint32_t port_in(void *context, struct cpu *cpu, uint16_t port, unsigned size)
{
    struct board *board = context;
    uint32_t value = 0;

    (void)cpu;
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)read_byte(board, (uint16_t)(port + i)) << 8 * i;
    return value;
}

static void port_out(void *context, struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    struct board *board = context;

    (void)cpu;
    if (port == PORT_EXIT) {
        end(board, BOARD_EXIT, value);
        return;
    }
    if (port == FW_CFG_SELECTOR) {
        fw_cfg_select(&board->fw_cfg, (uint16_t)value);
        return;
    }
    if (port >= PORT_TEST_IRQ && port < PORT_TEST_IRQ + IOAPIC_PINS) {
        irq(board, port - PORT_TEST_IRQ, value);
        return;
    }
    if (port == PORT_RESET && size == 1) {      /* wider accesses are the PCI configuration address, and there is no PCI */
        if (value & 4)
            end(board, BOARD_RESET, 0);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        write_byte(board, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
}

/* ---- device memory ---- */

/* Offset into the local APIC's registers, or -1: `cpu` sees its own, in xAPIC mode only. */
static int lapic_offset(const struct board *board, const struct cpu *cpu, uint64_t pa)
{
    const struct lapic *lapic = &board->lapic[cpu->index];
    uint64_t base = lapic->base & ~(uint64_t)(LAPIC_SIZE - 1);

    if (!lapic_enabled(lapic) || lapic_x2apic(lapic) || pa < base || pa - base >= LAPIC_SIZE)
        return -1;
    return (int)(pa - base);
}

static bool test_memory(uint64_t pa, unsigned size)
{
    return pa >= TEST_MEMORY && pa - TEST_MEMORY <= BOARD_TEST_MEMORY_SIZE - size;
}

static uint64_t mmio_read(void *context, struct cpu *cpu, uint64_t pa, unsigned size)
{
    struct board *board = context;
    uint64_t value = ~0ull, ones = size >= 8 ? ~0ull : (1ull << 8 * size) - 1;
    unsigned shift = 8 * (pa & 3);
    int offset = lapic_offset(board, cpu, pa);

    if (offset >= 0)
        value = (uint64_t)lapic_read(&board->lapic[cpu->index], (unsigned)offset & ~3u) >> shift;
    else if (pa >= IOAPIC_BASE && pa - IOAPIC_BASE < IOAPIC_SIZE)
        value = (uint64_t)ioapic_read(&board->ioapic, (unsigned)(pa - IOAPIC_BASE) & ~3u) >> shift;
    else if (test_memory(pa, size))
        memcpy(&value, board->test_memory + (pa - TEST_MEMORY), size);
    return value & ones;
}

/* Registers are 4 bytes wide; what other accesses do is undefined (11.4.1), here nothing. */
static void mmio_write(void *context, struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    struct board *board = context;
    int offset = lapic_offset(board, cpu, pa);

    if (test_memory(pa, size)) {
        memcpy(board->test_memory + (pa - TEST_MEMORY), &value, size);
        return;
    }
    if (size < 4 || (pa & 3))
        return;
    if (offset >= 0) {
        lapic_write(&board->lapic[cpu->index], (unsigned)offset, (uint32_t)value);
        kick(board);
    } else if (pa >= IOAPIC_BASE && pa - IOAPIC_BASE < IOAPIC_SIZE) {
        catch_up(board);
        ioapic_write(&board->ioapic, (unsigned)(pa - IOAPIC_BASE), (uint32_t)value);
        kick(board);
    }
}

/* ---- local APIC ---- */

static bool apic_read_msr(void *context, struct cpu *cpu, uint32_t index, uint64_t *value)
{
    struct board *board = context;

    return lapic_read_msr(&board->lapic[cpu->index], index, value);
}

static bool apic_write_msr(void *context, struct cpu *cpu, uint32_t index, uint64_t value)
{
    struct board *board = context;
    bool done = lapic_write_msr(&board->lapic[cpu->index], index, value);

    if (done && index == MSR_ia32_apic_base && memory_is_ram(&board->model->memory, value & PAGE_MASK & ~(0xfffull << 52), 1))
        warn(board, "the guest moved its local APIC over RAM; the machine keeps the RAM there and hides the APIC's registers");
    kick(board);
    return done;
}

static uint64_t apic_read_cr8(void *context, struct cpu *cpu)
{
    struct board *board = context;

    return board->lapic[cpu->index].tpr >> 4;
}

/* MOV to CR8 sets TPR bits 7:4 and clears 3:0 (11.8.6). */
static void apic_write_cr8(void *context, struct cpu *cpu, uint64_t value)
{
    struct board *board = context;

    board->lapic[cpu->index].tpr = (uint32_t)(value & 0xf) << 4;
    kick(board);
}

/* The PIC is wired to the bootstrap processor. */
static bool pic_for(const struct board *board, const struct cpu *cpu)
{
    return cpu->index == 0 && lapic_accepts_pic(&board->lapic[0]) && pic_requests(&board->pic);
}

static bool interrupt_requested(void *context, struct cpu *cpu)
{
    struct board *board = context;

    return pic_for(board, cpu) || lapic_pending(&board->lapic[cpu->index]) >= 0;
}

static uint8_t interrupt_acknowledge(void *context, struct cpu *cpu)
{
    struct board *board = context;

    if (pic_for(board, cpu))
        return pic_acknowledge(&board->pic);
    return lapic_acknowledge(&board->lapic[cpu->index]);
}

static void interrupt_end(void *context, struct cpu *cpu)
{
    struct board *board = context;

    lapic_end_of_interrupt(&board->lapic[cpu->index]);
    kick(board);
}

/* ---- the whole ---- */

void board_init(struct board *board, struct model *model, FILE *console)
{
    *board = (struct board){ .model = model, .context = board->context, .kick = board->kick, .warn = board->warn };
    board->uart[0].console = console;
    pic_reset(&board->pic);
    for (unsigned i = 0; i < model->cpu_count; i++) {
        board->lapic[i] = (struct lapic){ .cpu = &model->cpu[i], .peer = board->lapic, .peers = model->cpu_count,
                                           .ioapic = &board->ioapic };
        lapic_reset(&board->lapic[i]);
    }
    lapic_virtual_wire(&board->lapic[0]);
    ioapic_reset(&board->ioapic, board->lapic);
    board->fw_cfg = (struct fw_cfg){ .memory_size = model->memory.size, .cpus = model->cpu_count };
    model->bus = (struct bus){
        .context = board,
        .port_in = port_in, .port_out = port_out, .mmio_read = mmio_read, .mmio_write = mmio_write,
        .apic_read_msr = apic_read_msr, .apic_write_msr = apic_write_msr,
        .apic_read_cr8 = apic_read_cr8, .apic_write_cr8 = apic_write_cr8,
        .interrupt_requested = interrupt_requested, .interrupt_acknowledge = interrupt_acknowledge,
        .interrupt_end = interrupt_end,
    };
}

uint64_t board_next_event(const struct board *board, const struct cpu *cpu)
{
    uint64_t timer = lapic_next(&board->lapic[cpu->index]);
    uint64_t pit = cpu->index == 0 && pit_heard(board) ? pit_next(&board->pit) : UINT64_MAX;

    return timer < pit ? timer : pit;
}

void board_advance(struct board *board, struct cpu *cpu)
{
    lapic_advance(&board->lapic[cpu->index]);
    if (cpu->index == 0)
        catch_up(board);
}
