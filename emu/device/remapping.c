/* SPDX-License-Identifier: MIT */
/*
 * The remapping unit on the board: where its registers are, and what passes through it. The unit itself is the model's (model/iommu/): VT-d;
 * docs/iommu.md.
 */
#include "emu/device/ports.h"

static void message(void *context, struct iommu_message message)
{
    struct board *board = context;

    lapic_message_write(board->lapic, message.address, message.data, message.wide);
    board_kick(board);
}

static void notify(void *context, const struct iommu_notice *notice)
{
    struct board *board = context;

    if (board->remapping)
        board->remapping(board->context, notice);
}

bool remapping_install(struct board *board, struct iommu *iommu, const struct iommu_profile *profile)
{
    if (!iommu)
        return false;
    iommu_init(iommu, &board->model->memory, (struct iommu_outside){ board, message, notify }, profile, board->model->physical_address_width);
    board->iommu = iommu;
    board->ioapic.iommu = iommu;
    return true;
}

uint64_t remapping_load(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size)
{
    (void)cpu;
    return board->iommu ? iommu_register_read(board->iommu, (uint32_t)(pa - REMAPPING_BASE), size) : ~0ull;
}

void remapping_store(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    (void)cpu;
    if (board->iommu)
        iommu_register_write(board->iommu, (uint32_t)(pa - REMAPPING_BASE), size, value);
}

struct dma board_dma(const struct board *board, uint16_t source)
{
    return (struct dma){ &board->model->memory, board->iommu, source };
}
