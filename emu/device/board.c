/* SPDX-License-Identifier: MIT */
/* The devices of the machine behind the model's bus. */
#include "emu/device/board.h"

#include "emu/device/bus.h"
#include "emu/device/dialogue.h"
#include "emu/device/ports.h"
#include "emu/disk/disk.h"

void board_kick(struct board *board)
{
    if (board->kick)
        board->kick(board->context);
}

void board_warn(struct board *board, const char *text)
{
    if (board->warn)
        board->warn(board->context, text);
}

void board_disk_failed(struct board *board, struct disk *disk)
{
    char text[300];

    if (!disk->fault)
        return;
    snprintf(text, sizeof text, "the disk %s: %s; the guest gets an input/output error", disk->name, disk->fault);
    disk->fault = NULL;
    board_warn(board, text);
}

void board_end(struct board *board, enum board_end how, uint32_t value)
{
    if (board->end != BOARD_RUNNING)
        return;
    board->end = how;
    board->exit_value = value;
    board_kick(board);
}

uint64_t board_time(const struct board *board)
{
    return board->model->cpu[0].clock;
}

/* With legacy replacement the lines of PIT and RTC are the HPET's alone (HPET 1.0a, 2.3.4). */
static bool line_level(const struct board *board, unsigned line)
{
    uint32_t up = 0, taken = hpet_legacy(&board->hpet) ? 1u << IRQ_PIT | 1u << IRQ_RTC : 0;

    for (unsigned holder = 0; holder < LINE_HOLDERS; holder++)
        up |= board->held[holder] & ~(holder == LINE_CHIP ? taken : 0);
    return up >> line & 1;
}

void board_drive(struct board *board, unsigned line)
{
    bool level = line_level(board, line) || (line < 16 && board->pci.held >> line & 1);

    if (line < 16)
        pic_line(&board->pic, line, level);
    ioapic_line(&board->ioapic, line == IRQ_PIT ? 2 : line, level);
}

void board_hold(struct board *board, enum line_holder holder, unsigned line, bool level)
{
    if ((board->held[holder] >> line & 1) == level)
        return;
    board->held[holder] ^= 1u << line;
    board_drive(board, line);
}

void board_irq(struct board *board, unsigned line, bool level)
{
    board_hold(board, LINE_CHIP, line, level);
}

void board_message(struct board *board, uint16_t source, uint64_t address, uint32_t data)
{
    const struct dma dma = board_dma(board, source);
    struct iommu_message message = { address, data, false };

    if (address < VTD_INTERRUPT_BASE || address >= VTD_INTERRUPT_END)
        dma_write(&dma, address, &data, sizeof data);
    else if (!board->iommu || iommu_interrupt(board->iommu, source, message, &message))
        lapic_message_write(board->lapic, message.address, message.data, message.wide);
    board_kick(board);
}

static void pulse(struct board *board, unsigned line)
{
    board_irq(board, line, false);
    board_irq(board, line, true);
}

/* Edges are short pulses. On a line that something else holds up they are none: timers that share one have to be level-triggered. */
static void hpet_lines(struct board *board, uint32_t edges)
{
    uint32_t held = hpet_held(&board->hpet);

    if (!(edges | held | board->held[LINE_HPET]))
        return;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        unsigned line = pin == 2 ? IRQ_PIT : pin;
        bool level = held >> pin & 1;

        if (edges >> pin & 1)
            board_hold(board, LINE_HPET, line, true);
        if ((board->held[LINE_HPET] >> line & 1) != level)
            board_hold(board, LINE_HPET, line, level);
    }
}

void board_catch_up(struct board *board)
{
    uint64_t now = board_time(board);

    if (pit_advance(&board->pit, now))
        pulse(board, IRQ_PIT);
    cmos_advance(&board->cmos, now);
    board_irq(board, IRQ_RTC, cmos_interrupt(&board->cmos));
    pm_advance(&board->pm, now);
    board_irq(board, IRQ_SCI, pm_interrupt(&board->pm));
    hpet_lines(board, hpet_advance(&board->hpet, now));
    uarts_catch_up(board);
}

/* Does IRQ 0 reach processor 0, by the PIC or by the IOAPIC? */
static bool pit_heard(const struct board *board)
{
    return !hpet_legacy(&board->hpet) && ((!pic_masked(&board->pic, 0) && lapic_accepts_pic(&board->lapic[0])) ||
                                          !ioapic_masked(&board->ioapic, 2));
}

static uint32_t port_in(void *context, struct cpu *cpu, uint16_t port, unsigned size)
{
    return bus_port_in(context, cpu, port, size);
}

static void port_out(void *context, struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    struct board *board = context;

    if (board->end == BOARD_RUNNING) {
        board->out_cpu = cpu->index;
        board->out_rip = cpu->rip;
    }
    trigger_port_out(&board->trigger, port, value);
    bus_port_out(board, cpu, port, size, value);
}

/* Offset into the local APIC's registers, or -1: `cpu` sees its own, in xAPIC mode only. */
static int lapic_offset(const struct board *board, const struct cpu *cpu, uint64_t pa)
{
    const struct lapic *lapic = &board->lapic[cpu->index];
    uint64_t base = lapic->base & ~(uint64_t)(LAPIC_SIZE - 1);

    if (!lapic_enabled(lapic) || lapic_x2apic(lapic) || pa < base || pa - base >= LAPIC_SIZE)
        return -1;
    return (int)(pa - base);
}

static uint64_t mmio_read(void *context, struct cpu *cpu, uint64_t pa, unsigned size)
{
    struct board *board = context;
    uint64_t ones = size >= 8 ? ~0ull : (1ull << 8 * size) - 1;
    int offset = lapic_offset(board, cpu, pa);

    if (offset < 0)
        return bus_memory_read(board, cpu, pa, size);
    return (uint64_t)lapic_read(&board->lapic[cpu->index], (unsigned)offset & ~3u) >> 8 * (pa & 3) & ones;
}

/* The local APIC's registers are 4 bytes wide; what other accesses do is undefined (11.4.1), here nothing. */
static void mmio_write(void *context, struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    struct board *board = context;
    int offset = lapic_offset(board, cpu, pa);

    if (offset < 0) {
        bus_memory_write(board, cpu, pa, size, value);
    } else if (size >= 4 && !(pa & 3)) {
        lapic_write(&board->lapic[cpu->index], (unsigned)offset, (uint32_t)value);
        board_kick(board);
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

    if (done && index == MSR_ia32_apic_base && memory_is_ram(&board->model->memory, value & PAGE_MASK, 1))
        board_warn(board, "the guest moved its local APIC over RAM; the machine keeps the RAM there and hides the APIC's registers");
    board_kick(board);
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
    board_kick(board);
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
    board_kick(board);
}

/* ---- the whole ---- */

void board_init(struct board *board, struct model *model, FILE *console)
{
    *board = (struct board){ .model = model, .context = board->context, .kick = board->kick, .warn = board->warn, .nowhere = board->nowhere, .ipi = board->ipi,
                              .remapping = board->remapping };
    board->uart[0].console = console;
    pic_reset(&board->pic);
    for (unsigned i = 0; i < model->cpu_count; i++) {
        board->lapic[i] = (struct lapic){ .cpu = &model->cpu[i], .peer = board->lapic, .peers = model->cpu_count,
                                           .ioapic = &board->ioapic, .observer = &board->ipi };
        lapic_reset(&board->lapic[i]);
    }
    lapic_virtual_wire(&board->lapic[0]);
    ioapic_reset(&board->ioapic, board->lapic);
    hpet_reset(&board->hpet);
    keyboard_reset(&board->keyboard);
    pci_reset(&board->pci);
    pm_reset(&board->pm);
    uint64_t low = model->memory.size < MEMORY_HOLE ? model->memory.size : MEMORY_HOLE;
    cmos_reset(&board->cmos, low, model->memory.size - low, BOARD_EPOCH);
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

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t board_next_event(const struct board *board, const struct cpu *cpu)
{
    uint64_t next = lapic_next(&board->lapic[cpu->index]);

    if (cpu->index != 0)
        return next;
    if (pit_heard(board))
        next = least(next, pit_next(&board->pit));
    next = least(next, cmos_next(&board->cmos));
    next = least(next, pm_next(&board->pm));
    for (unsigned i = 0; i < UARTS; i++) {
        next = least(next, uart_next(&board->uart[i]));
        if (board->uart[i].dialogue)
            next = least(next, dialogue_deadline(board->uart[i].dialogue));
    }
    return least(next, hpet_next(&board->hpet));
}

void board_advance(struct board *board, struct cpu *cpu)
{
    lapic_advance(&board->lapic[cpu->index]);
    if (cpu->index == 0)
        board_catch_up(board);
}

/* ---- power management and the HPET: they know of the board's clock and lines ---- */

uint32_t pm_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)size;
    return pm_read(&board->pm, port, cpu->clock);
}

void pm_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)size;
    switch (pm_write(&board->pm, port, (uint8_t)value, cpu->clock)) {
    case PM_NOTHING:
        break;
    case PM_OFF:
        board_end(board, BOARD_SHUTDOWN, 0);
        break;
    case PM_SLEEP:
        board_warn(board, "the guest asks for a sleep state (PM1 control, SLP_EN) that is not there: only off (SLP_TYP 5) is");
        break;
    }
    board_irq(board, IRQ_SCI, pm_interrupt(&board->pm));
    board_kick(board);
}

uint64_t hpet_load(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size)
{
    return hpet_read(&board->hpet, (unsigned)(pa - HPET_BASE), size, cpu->clock);
}

void hpet_store(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    (void)cpu;
    board_catch_up(board);
    hpet_write(&board->hpet, (unsigned)(pa - HPET_BASE), size, value, board_time(board));
    hpet_lines(board, 0);
    board_drive(board, IRQ_PIT);                /* legacy replacement may have changed */
    board_drive(board, IRQ_RTC);
    board_kick(board);
}
