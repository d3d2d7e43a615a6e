/* SPDX-License-Identifier: MIT */
/* Where a script starts: 64-bit mode, identity paging, descriptor tables; and the interrupts that it sends. */
#include <string.h>

#include "emu/scenario/run.h"

enum {
    ENTRY_PRESENT = 1, ENTRY_WRITE = 2, ENTRY_USER = 4, ENTRY_ACCESSED = 0x20, ENTRY_DIRTY = 0x40, ENTRY_LARGE = 0x80,
};
enum { LARGE_PAGE = 2 << 20, ENTRIES = 512, DIRECTORIES = 4 };

/*
 * 4 GB by 2 MB pages, and by 4 MB pages for 32-bit paging. Flags are set beforehand, so that accesses change no paging
 * structure. PAE paging has the page directories of 4-level paging.
 */
static void write_paging(struct memory *memory)
{
    const uint64_t table = ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER | ENTRY_ACCESSED;
    memory_write64(memory, PLACE_PML4, PLACE_PDPT | table);
    for (uint64_t i = 0; i < DIRECTORIES; i++)
        memory_write64(memory, PLACE_PDPT + 8 * i, (PLACE_PD + PAGE_SIZE * i) | table);
    for (uint64_t i = 0; i < DIRECTORIES * ENTRIES; i++)
        memory_write64(memory, PLACE_PD + 8 * i, i * LARGE_PAGE | table | ENTRY_DIRTY | ENTRY_LARGE);
    for (uint64_t i = 0; i < DIRECTORIES; i++)
        memory_write64(memory, PLACE_PDPT_PAE + 8 * i, (PLACE_PD + PAGE_SIZE * i) | ENTRY_PRESENT);
    for (uint64_t i = 0; i < DIRECTORIES * ENTRIES; i += 2) {
        const uint32_t entry = (uint32_t)(i * LARGE_PAGE | table | ENTRY_DIRTY | ENTRY_LARGE);
        memory_write(memory, PLACE_DIRECTORY_32BIT + 2 * i, &entry, sizeof entry);
    }
}

static void write_gdt(struct memory *memory)
{
    static const uint64_t gdt[] = {
        0,
        0x00af9b000000ffff,                             /* 64-bit code */
        0x00cf93000000ffff,                             /* data */
        0x00008b0000000067 | (uint64_t)PLACE_TSS << 16, /* busy 64-bit TSS, two slots */
        0,
        0x00cff3000000ffff,                             /* data, CPL 3 */
        0x00affb000000ffff,                             /* 64-bit code, CPL 3 */
    };
    memory_write(memory, PLACE_GDT, gdt, sizeof gdt);
}

void environment_set_cpl(struct cpu *cpu, unsigned cpl)
{
    const uint32_t wide = cpu_long_mode(cpu) ? AR_L : AR_DB;
    bool user = cpl == 3;
    cpu->seg[SEG_CS] = (struct segment){ (uint16_t)((user ? SELECTOR_USER_CODE & ~3 : SELECTOR_CODE) | cpl),
                                         0xb | AR_S | cpl << 5 | AR_PRESENT | wide | AR_G, 0xffffffff, 0 };
    cpu->seg[SEG_SS] = (struct segment){ (uint16_t)((user ? SELECTOR_USER_DATA & ~3 : SELECTOR_DATA) | cpl),
                                         0x3 | AR_S | cpl << 5 | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };
}

void environment_set_mode(struct cpu *cpu, enum script_mode mode)
{
    static const uint64_t root[] = {
        [MODE_long] = PLACE_PML4, [MODE_pae] = PLACE_PDPT_PAE, [MODE_32bit] = PLACE_DIRECTORY_32BIT,
    };
    const uint64_t long_mode = mode == MODE_long ? EFER_LME | EFER_LMA : 0;
    const uint64_t not_here = CR4_PAE | CR4_PSE | CR4_LA57 | (long_mode ? 0 : CR4_PCIDE);

    cpu->cr0 |= CR0_PE | CR0_PG;
    cpu->rflags &= ~RFLAGS_VM;
    CPU_MSR(cpu, ia32_efer) = (CPU_MSR(cpu, ia32_efer) & ~(EFER_LME | EFER_LMA)) | long_mode;
    cpu->cr4 = (cpu->cr4 & ~not_here) | (mode == MODE_32bit ? CR4_PSE : CR4_PAE);
    cpu->cr3 = root[mode];
    for (unsigned i = 0; i < DIRECTORIES && mode == MODE_pae; i++)
        cpu->pdpte[i] = (PLACE_PD + PAGE_SIZE * i) | ENTRY_PRESENT;
    environment_set_cpl(cpu, 0);
    tlb_flush_all(cpu, false);
}

static void prepare_cpu(struct cpu *cpu)
{
    cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    cpu->cr3 = PLACE_PML4;
    cpu->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    CPU_MSR(cpu, ia32_efer) = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->rflags = RFLAGS_FIXED;
    cpu->rip = PLACE_RIP;
    memset(cpu->gpr, 0, sizeof cpu->gpr);
    cpu->gpr[RSP] = PLACE_RSP;
    cpu->activity = ACTIVITY_ACTIVE;
    cpu->interruptibility = 0;
    environment_set_cpl(cpu, 0);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        if (i != SEG_CS && i != SEG_SS)
            cpu->seg[i] = (struct segment){ SELECTOR_DATA, 0x3 | AR_S | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };
    cpu->seg[SEG_LDTR] = (struct segment){ 0, AR_UNUSABLE, 0, 0 };
    cpu->seg[SEG_TR] = (struct segment){ SELECTOR_TSS, 0xb | AR_PRESENT, TSS_LIMIT, PLACE_TSS };
    cpu->gdtr = (struct table_register){ PLACE_GDT, GDT_LIMIT };
    cpu->idtr = (struct table_register){ PLACE_IDT, IDT_LIMIT };
}

void environment_prepare(struct run *run)
{
    write_paging(&run->model->memory);
    write_gdt(&run->model->memory);
    for (unsigned i = 0; i < run->model->cpu_count; i++)
        prepare_cpu(&run->model->cpu[i]);
}

/* ---- the bus, seen through the script ---- */

static uint32_t port_in(void *context, struct cpu *cpu, uint16_t port, unsigned size)
{
    struct run *run = context;
    return run->devices.port_in(run->devices.context, cpu, port, size);
}

static void port_out(void *context, struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    struct run *run = context;
    run->devices.port_out(run->devices.context, cpu, port, size, value);
}

static uint64_t mmio_read(void *context, struct cpu *cpu, uint64_t pa, unsigned size)
{
    struct run *run = context;
    return run->devices.mmio_read(run->devices.context, cpu, pa, size);
}

static void mmio_write(void *context, struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    struct run *run = context;
    run->devices.mmio_write(run->devices.context, cpu, pa, size, value);
}

static bool apic_read_msr(void *context, struct cpu *cpu, uint32_t index, uint64_t *value)
{
    struct run *run = context;
    return run->devices.apic_read_msr(run->devices.context, cpu, index, value);
}

static bool apic_write_msr(void *context, struct cpu *cpu, uint32_t index, uint64_t value)
{
    struct run *run = context;
    return run->devices.apic_write_msr(run->devices.context, cpu, index, value);
}

static uint64_t apic_read_cr8(void *context, struct cpu *cpu)
{
    struct run *run = context;
    return run->devices.apic_read_cr8(run->devices.context, cpu);
}

static void apic_write_cr8(void *context, struct cpu *cpu, uint64_t value)
{
    struct run *run = context;
    run->devices.apic_write_cr8(run->devices.context, cpu, value);
}

/* Only interrupts that a line asks for: devices stay silent, or time would decide what a scenario means. */
static bool interrupt_requested(void *context, struct cpu *cpu)
{
    const struct run *run = context;
    return run->interrupt && cpu == run->cpu;
}

static uint8_t interrupt_acknowledge(void *context, struct cpu *cpu)
{
    struct run *run = context;
    (void)cpu;
    run->interrupt = false;
    return run->interrupt_vector;
}

void environment_bus(struct run *run)
{
    run->devices = run->model->bus;
    run->model->bus = (struct bus){
        .context = run, .port_in = port_in, .port_out = port_out, .mmio_read = mmio_read, .mmio_write = mmio_write,
        .apic_read_msr = apic_read_msr, .apic_write_msr = apic_write_msr, .apic_read_cr8 = apic_read_cr8,
        .apic_write_cr8 = apic_write_cr8, .interrupt_requested = interrupt_requested,
        .interrupt_acknowledge = interrupt_acknowledge,
    };
}
