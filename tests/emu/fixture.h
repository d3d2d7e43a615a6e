/* SPDX-License-Identifier: MIT */
/*
 * A model and an engine with 16 MB of RAM, put into one of the processor's modes with descriptor and page tables, and
 * guest code assembled in the test's own source: BLOB(name, "instructions").
 */
#ifndef SESQUI_TESTS_EMU_FIXTURE_H
#define SESQUI_TESTS_EMU_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emu/cpu.h"
#include "model/cpu/gate.h"
#include "model/cpu/execute.h"
#include "tests/suite.h"

enum {
    FIXTURE_RAM = 16 << 20, FIXTURE_GDT = 0x1000, FIXTURE_IDT = 0x2000, FIXTURE_TSS = 0x4000, FIXTURE_TABLES = 0x10000,
    FIXTURE_PT = 0x14000, FIXTURE_STACK = 0x80000, FIXTURE_RING0_STACK = 0x90000, FIXTURE_CODE = 0x100000,
    /* Selectors. Their segments are flat. */
    SELECTOR_CODE64 = 0x08, SELECTOR_DATA = 0x10, SELECTOR_CODE32 = 0x18, SELECTOR_USER_DATA = 0x23,
    SELECTOR_USER_CODE64 = 0x2b, SELECTOR_USER_CODE32 = 0x33, SELECTOR_CODE16 = 0x38, SELECTOR_TSS = 0x40,
};
#define FIXTURE_DEVICE 0xfee00000ull        /* one page of device memory, mapped in every paging mode */

#define BLOB_MODE(name, mode, text)                                                                                 \
    extern const uint8_t name[], name##_end[];                                                                      \
    __asm__(".section .rodata\n.intel_syntax noprefix\n" mode "\n" #name ":\n" text "\n" #name "_end:\n"             \
            ".code64\n.att_syntax\n.text\n")
#define BLOB(name, text) BLOB_MODE(name, ".code64", text)
#define BLOB32(name, text) BLOB_MODE(name, ".code32", text)
#define BLOB16(name, text) BLOB_MODE(name, ".code16", text)
#define PUT(fixture, at, name) fixture_put(fixture, at, name, (size_t)(name##_end - name))

struct fixture {
    struct model *model;
    struct engine *engine;
    struct cpu *cpu;                        /* processor 0 */
    uint8_t *ram, *watch;
    struct engine_request request;
    struct stop stop;                       /* of the latest run */
    uint64_t device[512];                   /* what the device page holds */
    uint64_t device_clock;                  /* cpu->clock at the latest device access */
};

#define FIXTURE_FN __attribute__((unused)) static

FIXTURE_FN void fixture_put64(struct fixture *f, uint64_t at, uint64_t value) { memory_write64(&f->model->memory, at, value); }
FIXTURE_FN uint64_t fixture_get64(struct fixture *f, uint64_t at) { return memory_read64(&f->model->memory, at); }
FIXTURE_FN void fixture_put(struct fixture *f, uint64_t at, const void *from, size_t length)
{
    ck_assert(memory_write(&f->model->memory, at, from, length));
}

FIXTURE_FN uint64_t fixture_device_read(void *context, struct cpu *cpu, uint64_t pa, unsigned size)
{
    struct fixture *f = context;
    uint64_t value = 0;
    f->device_clock = cpu->clock;
    if (pa - FIXTURE_DEVICE > sizeof f->device - size)
        return ~0ull;
    memcpy(&value, (uint8_t *)f->device + (pa - FIXTURE_DEVICE), size);
    return value;
}

FIXTURE_FN void fixture_device_write(void *context, struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    struct fixture *f = context;
    f->device_clock = cpu->clock;
    if (pa - FIXTURE_DEVICE <= sizeof f->device - size)
        memcpy((uint8_t *)f->device + (pa - FIXTURE_DEVICE), &value, size);
}

FIXTURE_FN struct fixture *fixture_open(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    char error[300] = "";
    f->model = calloc(1, sizeof *f->model);
    f->ram = mmap(NULL, FIXTURE_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    f->watch = calloc(1, FIXTURE_RAM / PAGE_SIZE);
    memory_init(&f->model->memory, f->ram, FIXTURE_RAM, f->watch);
    f->model->bus = (struct bus){ .context = f, .mmio_read = fixture_device_read, .mmio_write = fixture_device_write };
    model_init(f->model, 2);
    f->engine = engine_open(f->model, error, sizeof error);
    ck_assert_msg(f->engine != NULL, "%s", error);
    f->cpu = &f->model->cpu[0];
    f->request.limit = ~0ull;
    return f;
}

FIXTURE_FN void fixture_close(struct fixture *f)
{
    engine_close(f->engine);
    munmap(f->ram, FIXTURE_RAM);
    free(f->watch);
    free(f->model);
    free(f);
}

FIXTURE_FN void fixture_segment(struct cpu *cpu, enum segment_register s, uint16_t selector, uint32_t access_rights)
{
    cpu->seg[s] = (struct segment){ selector, access_rights, 0xffffffff, 0 };
}

FIXTURE_FN void fixture_descriptors(struct fixture *f)
{
    static const uint64_t gdt[8] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff, 0x00cff3000000ffff,
                                     0x00affb000000ffff, 0x00cffb000000ffff, 0x000f9b000000ffff };
    for (unsigned i = 0; i < 8; i++)
        fixture_put64(f, FIXTURE_GDT + 8 * i, gdt[i]);
    for (unsigned c = 0; c < f->model->cpu_count; c++) {
        struct cpu *cpu = &f->model->cpu[c];
        cpu->gdtr = (struct table_register){ FIXTURE_GDT, 0x7f };
        cpu->idtr = (struct table_register){ FIXTURE_IDT, 0xfff };
        cpu->seg[SEG_TR] = (struct segment){ SELECTOR_TSS, 0x8b, 0x67, FIXTURE_TSS };
        cpu->seg[SEG_LDTR] = (struct segment){ 0, AR_UNUSABLE, 0, 0 };
    }
}

/* Registers of a flat processor at FIXTURE_CODE; `code` is the access rights of CS. */
FIXTURE_FN void fixture_start(struct cpu *cpu, uint16_t selector, uint32_t code, uint64_t cr0, uint64_t cr3, uint64_t cr4,
                              uint64_t efer)
{
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        fixture_segment(cpu, (enum segment_register)s, SELECTOR_DATA, 0xc093);
    fixture_segment(cpu, SEG_CS, selector, code);
    memset(cpu->gpr, 0, sizeof cpu->gpr);
    cpu->gpr[RSP] = FIXTURE_STACK;
    cpu->rip = FIXTURE_CODE;
    cpu->rflags = RFLAGS_FIXED;
    cpu->cr0 = cr0, cpu->cr3 = cr3, cpu->cr4 = cr4;
    CPU_MSR(cpu, ia32_efer) = efer;
    cpu->dr6 = 0xffff0ff0, cpu->dr7 = 0x400;
    cpu->activity = ACTIVITY_ACTIVE;
}

FIXTURE_FN void fixture_flush(struct fixture *f) { tlb_flush_all(f->cpu, false); }

/* What the processor itself reads and writes on behalf of a program is the supervisor's (SDM Vol. 3, 4.6.1: implicit supervisor-mode accesses):
 * GDT, IDT and TSS, and the stack of ring 0, which is written at CPL 0. All other pages are the user's. */
FIXTURE_FN uint64_t fixture_page(uint64_t pa)
{
    bool system = pa < FIXTURE_TABLES || pa == FIXTURE_RING0_STACK - 0x1000;

    return pa | (system ? 3 : 7);
}

/* 64-bit mode; the first 2 MB in 4 KB pages whose entries are at FIXTURE_PT, the rest in 2 MB pages. */
FIXTURE_FN void fixture_long_mode(struct fixture *f)
{
    uint64_t pml4 = FIXTURE_TABLES, pdpt = pml4 + 0x1000, pd = pml4 + 0x2000, device_pd = pml4 + 0x3000;
    fixture_descriptors(f);
    fixture_put64(f, pml4, pdpt | 7);
    fixture_put64(f, pdpt, pd | 7);
    fixture_put64(f, pdpt + 8 * 3, device_pd | 7);
    fixture_put64(f, pd, FIXTURE_PT | 7);
    for (uint64_t i = 0; i < 512; i++)
        fixture_put64(f, FIXTURE_PT + 8 * i, fixture_page(i << 12));
    for (uint64_t i = 1; i < FIXTURE_RAM >> 21; i++)
        fixture_put64(f, pd + 8 * i, i << 21 | 0x87);
    fixture_put64(f, device_pd + 8 * (FIXTURE_DEVICE >> 21 & 511), FIXTURE_DEVICE | 0x87);
    fixture_put64(f, FIXTURE_TSS + 4, FIXTURE_RING0_STACK);
    for (unsigned c = 0; c < f->model->cpu_count; c++)
        fixture_start(&f->model->cpu[c], SELECTOR_CODE64, 0xa09b, CR0_PE | CR0_ET | CR0_NE | CR0_MP | CR0_WP | CR0_PG, pml4,
                      CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PGE, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
    fixture_flush(f);
}

/* Protected mode without paging. */
FIXTURE_FN void fixture_protected(struct fixture *f)
{
    fixture_descriptors(f);
    fixture_put64(f, FIXTURE_TSS + 4, FIXTURE_RING0_STACK | (uint64_t)SELECTOR_DATA << 32);
    for (unsigned c = 0; c < f->model->cpu_count; c++)
        fixture_start(&f->model->cpu[c], SELECTOR_CODE32, 0xc09b, CR0_PE | CR0_ET | CR0_NE, 0, CR4_OSFXSR, 0);
    fixture_flush(f);
}

/* 32-bit paging, the first 4 MB in 4 KB pages (entries of 4 bytes at FIXTURE_PT). */
FIXTURE_FN void fixture_paging32(struct fixture *f)
{
    fixture_protected(f);
    memory_write32(&f->model->memory, FIXTURE_TABLES, FIXTURE_PT | 7);
    for (uint32_t i = 0; i < 1024; i++)
        memory_write32(&f->model->memory, FIXTURE_PT + 4 * i, fixture_page(i << 12));
    f->cpu->cr3 = FIXTURE_TABLES;
    f->cpu->cr0 |= CR0_PG | CR0_WP;
    f->cpu->cr4 |= CR4_PSE;
    fixture_flush(f);
}

/* PAE paging, the first 2 MB in 4 KB pages. */
FIXTURE_FN void fixture_pae(struct fixture *f)
{
    enum status status = STATUS_OK;
    uint64_t bad[2];
    fixture_protected(f);
    fixture_put64(f, FIXTURE_TABLES, (FIXTURE_TABLES + 0x1000) | 1);
    fixture_put64(f, FIXTURE_TABLES + 0x1000, FIXTURE_PT | 7);
    for (uint64_t i = 0; i < 512; i++)
        fixture_put64(f, FIXTURE_PT + 8 * i, fixture_page(i << 12));
    f->cpu->cr3 = FIXTURE_TABLES;
    f->cpu->cr4 |= CR4_PAE;
    CPU_MSR(f->cpu, ia32_efer) |= EFER_NXE;
    ck_assert(load_pdptes(f->cpu, FIXTURE_TABLES, &status, &bad[0], &bad[1]));
    f->cpu->cr0 |= CR0_PG | CR0_WP;
    fixture_flush(f);
}

/* Real mode, code at 0x8000 (CS base 0). */
FIXTURE_FN void fixture_real_mode(struct fixture *f)
{
    fixture_start(f->cpu, 0, 0x9b, CR0_ET, 0, 0, 0);
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        f->cpu->seg[s] = (struct segment){ 0, s == SEG_CS ? 0x9b : 0x93, 0xffff, 0 };
    f->cpu->gdtr = f->cpu->idtr = (struct table_register){ 0, 0x3ff };
    f->cpu->gpr[RSP] = 0x7000;
    f->cpu->rip = 0x8000;
    fixture_flush(f);
}

/* A 64-bit or 32-bit interrupt gate (type 14) with DPL `dpl`. */
FIXTURE_FN void fixture_gate(struct fixture *f, unsigned vector, uint64_t to, unsigned dpl)
{
    bool wide = cpu_long_mode(f->cpu);
    uint64_t selector = wide ? SELECTOR_CODE64 : SELECTOR_CODE32;
    uint64_t at = FIXTURE_IDT + (wide ? 16 : 8) * vector;
    fixture_put64(f, at, (to & 0xffff) | selector << 16 | (0x8e00ull | dpl << 13) << 32 | (to >> 16 & 0xffff) << 48);
    if (wide)
        fixture_put64(f, at + 8, to >> 32);
}

/* An event that the model raised, as if the engine had stopped with it. */
FIXTURE_FN enum stop_reason fixture_raised(struct fixture *f)
{
    ck_assert(f->cpu->event.valid);
    f->stop = (struct stop){ .reason = STOP_EVENT, .event = f->cpu->event };
    f->cpu->event.valid = false;
    return f->stop.reason;
}

/* Far transfers, loads of segments, the virtual interrupt flag: the model executes them. */
FIXTURE_FN bool fixture_segmentation(enum insn_id id)
{
    return (id >= INSN_iret && id <= INSN_verw) || id == INSN_lldt || id == INSN_ltr || (id >= INSN_cli && id <= INSN_enter);
}

/*
 * Delivers cpu->event, if it is valid, and runs until the engine stops with something that is not segmentation; that the model
 * does on the way. Stops with an event that delivery met.
 */
FIXTURE_FN enum stop_reason fixture_run(struct fixture *f)
{
    if (f->cpu->event.valid) {
        enum status status = event_deliver(f->cpu);
        if (status == STATUS_EVENT)
            return fixture_raised(f);
        ck_assert_int_eq(status, STATUS_OK);
    }
    for (;;) {
        engine_run(f->engine, f->cpu, &f->request, &f->stop);
        if (f->stop.reason != STOP_INSTRUCTION || !fixture_segmentation(f->stop.insn.id))
            return f->stop.reason;
        enum status status = execute(f->cpu, &f->stop.insn);
        if (status == STATUS_EVENT)
            return fixture_raised(f);
        ck_assert_int_eq(status, STATUS_OK);
        if (f->request.single_step || f->cpu->clock >= f->request.limit ||
            (f->cpu->pending_debug && !(f->cpu->interruptibility & BLOCKING_BY_MOV_SS)))
            return f->stop.reason = STOP_LIMIT;
    }
}

FIXTURE_FN enum stop_reason fixture_run_at(struct fixture *f, uint64_t rip)
{
    f->cpu->rip = rip;
    return fixture_run(f);
}

/* Delivers what the latest run stopped with, and goes on. */
FIXTURE_FN enum stop_reason fixture_deliver(struct fixture *f)
{
    f->cpu->event = f->stop.event;
    return fixture_run(f);
}

FIXTURE_FN void fixture_expect_instruction(struct fixture *f, enum insn_id id, uint64_t rip)
{
    ck_assert_msg(f->stop.reason == STOP_INSTRUCTION, "reason %d, vector %u error %x rip %llx: %s", f->stop.reason,
                  f->stop.event.vector, f->stop.event.error_code, (unsigned long long)f->cpu->rip,
                  f->stop.text ? f->stop.text : "");
    ck_assert_str_eq(insn_name(f->stop.insn.id), insn_name(id));
    ck_assert_uint_eq(f->cpu->rip, rip);
}

FIXTURE_FN void fixture_expect_event(struct fixture *f, unsigned vector, uint32_t error_code, uint64_t rip)
{
    ck_assert_msg(f->stop.reason == STOP_EVENT, "reason %d at rip %llx: %s", f->stop.reason,
                  (unsigned long long)f->cpu->rip, f->stop.text ? f->stop.text : "");
    ck_assert_uint_eq(f->stop.event.vector, vector);
    ck_assert_uint_eq(f->stop.event.error_code, error_code);
    ck_assert_uint_eq(f->cpu->rip, rip);
}

#endif
