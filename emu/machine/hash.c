/* SPDX-License-Identifier: MIT */
/* The hash of a machine, by the table of its state: members, never the gaps between them, which compilers fill as they like. */
#include "emu/machine/hash.h"

#include "emu/disk/disk.h"

#include <string.h>

#include "emu/machine/parts.h"

#define HASH_FACTOR 0x9e3779b97f4a7c15ull

enum structure {
    STRUCTURE_board, STRUCTURE_cmos, STRUCTURE_cpu, STRUCTURE_edu, STRUCTURE_event, STRUCTURE_fw_cfg, STRUCTURE_hpet, STRUCTURE_hpet_timer, STRUCTURE_ioapic, STRUCTURE_iommu,
    STRUCTURE_iommu_context, STRUCTURE_iommu_irte, STRUCTURE_iommu_page, STRUCTURE_iommu_pasid,
    STRUCTURE_keyboard, STRUCTURE_lapic, STRUCTURE_monitor, STRUCTURE_pci, STRUCTURE_pci_function, STRUCTURE_pic_chip, STRUCTURE_pit,
    STRUCTURE_pit_channel, STRUCTURE_pm, STRUCTURE_segment, STRUCTURE_table_register, STRUCTURE_uart, STRUCTURE_virtio, STRUCTURE_virtqueue,
    STRUCTURE_vmcs, STRUCTURE_vmx,
};

static const struct { uint8_t structure; uint32_t offset, size; } members[] = {
#define STATE(structure, member) { STRUCTURE_##structure, offsetof(struct structure, member), sizeof ((struct structure *)0)->member },
#include "emu/device/state.def"
};

static void mix(uint64_t *hash, uint64_t word)
{
    *hash = (*hash ^ word) * HASH_FACTOR;
    *hash ^= *hash >> 29;
}

static void mix_bytes(uint64_t *hash, const uint8_t *bytes, size_t size)
{
    mix(hash, size);
    while (size) {
        uint64_t word = 0;
        size_t part = size < sizeof word ? size : sizeof word;

        memcpy(&word, bytes, part);
        mix(hash, word);
        bytes += part;
        size -= part;
    }
}

static void mix_structure(uint64_t *hash, enum structure structure, const void *at)
{
    mix(hash, structure);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (members[i].structure == structure)
            mix_bytes(hash, (const uint8_t *)at + members[i].offset, members[i].size);
}
#define MIX(hash, structure, at) mix_structure((hash), STRUCTURE_##structure, (1 ? (at) : (const struct structure *)0))
#define COUNT(array) (sizeof (array) / sizeof (array)[0])

/* What a guest has written to a disk and its file does not hold. A file that is written (rw) is a result of its own. */
static void mix_disk(uint64_t *hash, const struct disk *disk)
{
    const uint8_t *bytes;

    for (uint64_t cluster = 0; disk && disk_next_kept(disk, &cluster, &bytes); cluster++) {
        mix(hash, cluster);
        mix_bytes(hash, bytes, DISK_CLUSTER);
    }
}

/* A remapping unit and what it remembers. */
static void mix_unit(uint64_t *hash, const struct iommu *iommu)
{
    const struct iommu_cache *cache = &iommu->cache;

    MIX(hash, iommu, iommu);
    for (size_t i = 0; i < COUNT(cache->context); i++)
        if (cache->context[i].valid)
            MIX(hash, iommu_context, &cache->context[i]);
    for (size_t i = 0; i < COUNT(cache->pasid); i++)
        if (cache->pasid[i].valid)
            MIX(hash, iommu_pasid, &cache->pasid[i]);
    for (size_t i = 0; i < IOMMU_PAGE_SETS * IOMMU_PAGE_WAYS; i++)
        if (cache->page[i / IOMMU_PAGE_WAYS][i % IOMMU_PAGE_WAYS].valid)
            MIX(hash, iommu_page, &cache->page[i / IOMMU_PAGE_WAYS][i % IOMMU_PAGE_WAYS]);
    for (size_t i = 0; i < COUNT(cache->irte); i++)
        if (cache->irte[i].valid)
            MIX(hash, iommu_irte, &cache->irte[i]);
}

uint64_t board_hash(const struct board *board)
{
    uint64_t hash = 0;

    MIX(&hash, board, board);
    for (size_t i = 0; i < COUNT(board->uart); i++)
        MIX(&hash, uart, &board->uart[i]);
    for (size_t i = 0; i < COUNT(board->pic.chip); i++)
        MIX(&hash, pic_chip, &board->pic.chip[i]);
    MIX(&hash, pit, &board->pit);
    for (size_t i = 0; i < COUNT(board->pit.channel); i++)
        MIX(&hash, pit_channel, &board->pit.channel[i]);
    MIX(&hash, ioapic, &board->ioapic);
    MIX(&hash, fw_cfg, &board->fw_cfg);
    MIX(&hash, cmos, &board->cmos);
    MIX(&hash, hpet, &board->hpet);
    for (size_t i = 0; i < COUNT(board->hpet.timer); i++)
        MIX(&hash, hpet_timer, &board->hpet.timer[i]);
    MIX(&hash, keyboard, &board->keyboard);
    MIX(&hash, pci, &board->pci);
    for (size_t i = 0; i < COUNT(board->pci.function); i++)
        MIX(&hash, pci_function, &board->pci.function[i]);
    MIX(&hash, pm, &board->pm);
    if (board->edu.plugged)
        MIX(&hash, edu, &board->edu);
    if (board->iommu)
        mix_unit(&hash, board->iommu);
    for (size_t i = 0; i < COUNT(board->virtio); i++) {
        MIX(&hash, virtio, &board->virtio[i]);
        mix_disk(&hash, board->virtio[i].host.disk);
        for (size_t j = 0; j < COUNT(board->virtio[i].queue); j++)
            MIX(&hash, virtqueue, &board->virtio[i].queue[j]);
    }
    for (unsigned i = 0; i < board->model->cpu_count; i++)
        MIX(&hash, lapic, &board->lapic[i]);
    return hash;
}

static void mix_processor(uint64_t *hash, struct machine *machine, const struct cpu *cpu)
{
    uint8_t xmm[16][16] = { { 0 } };
    struct x87 x87 = { .control = 0 };

    MIX(hash, cpu, cpu);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        MIX(hash, segment, &cpu->seg[i]);
    MIX(hash, table_register, &cpu->gdtr);
    MIX(hash, table_register, &cpu->idtr);
    MIX(hash, event, &cpu->event);
    MIX(hash, monitor, &cpu->monitor);
    MIX(hash, vmx, &cpu->vmx);
    mix(hash, cpu->vmx.current ? cpu->vmx.current->pa : ~0ull);
    if (machine->engine) {
        engine_xmm(machine->engine, cpu, xmm);
        engine_x87(machine->engine, cpu, &x87);
    }
    mix_bytes(hash, &xmm[0][0], sizeof xmm);
    mix_bytes(hash, &x87.r[0][0], sizeof x87.r);
    mix(hash, (uint64_t)x87.control << 48 | (uint64_t)x87.status << 32 | x87.tag);
    mix(hash, x87.mxcsr);
}

/* The VMCSs that a processor holds: in the order of their addresses, whichever slots they have. */
static void mix_vmcss(uint64_t *hash, const struct vmcs_cache *cache)
{
    uint64_t after = 0;

    for (;;) {
        const struct vmcs *next = NULL;
        for (unsigned i = 0; i < cache->used; i++)
            if (cache->vmcs[i].active && cache->vmcs[i].pa >= after && (!next || cache->vmcs[i].pa < next->pa))
                next = &cache->vmcs[i];
        if (!next)
            return;
        MIX(hash, vmcs, next);
        after = next->pa + 1;
    }
}

/* Pages of zeros add nothing: where the host has none for them it gets none. */
static void mix_memory(uint64_t *hash, const struct memory *memory)
{
    static const uint8_t zeros[PAGE_SIZE];

    for (uint64_t page = 0; page < memory->size / PAGE_SIZE; page++) {
        const uint8_t *bytes = memory->ram + page * PAGE_SIZE;
        if (!memcmp(bytes, zeros, PAGE_SIZE))
            continue;
        mix(hash, page);
        mix_bytes(hash, bytes, PAGE_SIZE);
    }
}

uint64_t machine_hash(struct machine *machine)
{
    uint64_t hash = board_hash(&machine->board);

    for (unsigned i = 0; i < machine->model->cpu_count; i++)
        mix_processor(&hash, machine, &machine->model->cpu[i]);
    mix_vmcss(&hash, &machine->model->vmcs_cache);
    mix_memory(&hash, &machine->model->memory);
    return hash;
}
