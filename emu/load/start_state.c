/* SPDX-License-Identifier: MIT */
/* The states in which boot loaders enter what they have loaded. */
#include "emu/load/parts.h"

enum { TABLES_PDPT = 0x1000, TABLES_PD = 0x2000, GIGABYTES = 4, TABLES_GDT = 0x6000 };
enum { ENTRY_TABLE = 0x3, ENTRY_LARGE_PAGE = 0x83 };    /* present, writable; page size */
enum { CODE_RIGHTS = 0xb | AR_S | AR_PRESENT | AR_G, DATA_RIGHTS = 0x3 | AR_S | AR_PRESENT | AR_DB | AR_G };
/* Descriptors: flat, accessed; 32-bit code, 64-bit code, data. */
#define GDT_CODE_32 0x00cf9b000000ffffull
#define GDT_CODE_64 0x00af9b000000ffffull
#define GDT_DATA 0x00cf93000000ffffull
enum { SELECTOR_CODE = 0x10, SELECTOR_DATA = 0x18, GDT_SIZE = 32 };

static void clean(struct cpu *cpu, uint64_t entry)
{
    for (unsigned i = 0; i < GPR_COUNT; i++)
        cpu->gpr[i] = 0;
    cpu->gpr[RSP] = LOADER_STACK;
    cpu->rflags = RFLAGS_FIXED;
    cpu->rip = entry;
    cpu->activity = ACTIVITY_ACTIVE;
}

static void flat(struct cpu *cpu, uint16_t code, uint16_t data, uint32_t code_size)
{
    for (enum segment_register i = SEG_ES; i <= SEG_GS; i++)
        cpu->seg[i] = i == SEG_CS ? (struct segment){ code, CODE_RIGHTS | code_size, 0xffffffff, 0 }
                                  : (struct segment){ data, DATA_RIGHTS, 0xffffffff, 0 };
}

void enter_protected(struct cpu *cpu, uint64_t entry)
{
    clean(cpu, entry);
    flat(cpu, 0x08, 0x10, AR_DB);
    cpu->cr0 = CR0_PE | CR0_ET;
}

static void load_gdt(struct model *model, uint64_t code)
{
    const uint64_t at = LOADER_TABLES + TABLES_GDT;

    memory_write64(&model->memory, at + SELECTOR_CODE, code);
    memory_write64(&model->memory, at + SELECTOR_DATA, GDT_DATA);
    model->cpu[0].gdtr.base = at;
    model->cpu[0].gdtr.limit = GDT_SIZE - 1;
}

void enter_linux_32(struct model *model, uint64_t entry)
{
    struct cpu *cpu = &model->cpu[0];

    clean(cpu, entry);
    flat(cpu, SELECTOR_CODE, SELECTOR_DATA, AR_DB);
    load_gdt(model, GDT_CODE_32);
    cpu->cr0 = CR0_PE | CR0_ET;
}

/* Four levels, pages of 2 MB. */
static void write_tables(struct memory *memory)
{
    memory_write64(memory, LOADER_TABLES, (LOADER_TABLES + TABLES_PDPT) | ENTRY_TABLE);
    for (uint64_t gigabyte = 0; gigabyte < GIGABYTES; gigabyte++) {
        uint64_t directory = LOADER_TABLES + TABLES_PD + gigabyte * PAGE_SIZE;

        memory_write64(memory, LOADER_TABLES + TABLES_PDPT + 8 * gigabyte, directory | ENTRY_TABLE);
        for (uint64_t i = 0; i < 512; i++)
            memory_write64(memory, directory + 8 * i, gigabyte << 30 | i << 21 | ENTRY_LARGE_PAGE);
    }
}

void enter_long(struct model *model, uint64_t entry)
{
    struct cpu *cpu = &model->cpu[0];

    clean(cpu, entry);
    flat(cpu, SELECTOR_CODE, SELECTOR_DATA, AR_L);
    load_gdt(model, GDT_CODE_64);
    write_tables(&model->memory);
    cpu->cr3 = LOADER_TABLES;
    cpu->cr4 = CR4_PAE;
    CPU_MSR(cpu, ia32_efer) = EFER_LME | EFER_LMA;
    cpu->cr0 = CR0_PE | CR0_ET | CR0_PG;
}

void enter_real(struct cpu *cpu, uint16_t code, uint16_t data, uint16_t ip, uint16_t sp)
{
    clean(cpu, ip);
    for (enum segment_register i = SEG_ES; i <= SEG_GS; i++) {
        cpu->seg[i].selector = i == SEG_CS ? code : data;
        cpu->seg[i].base = (uint64_t)cpu->seg[i].selector << 4;
    }
    cpu->gpr[RSP] = sp;
}
