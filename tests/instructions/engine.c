/* SPDX-License-Identifier: MIT */
/* Our side: the CPU engine in 64-bit mode at CPL 0, memory mapped one to one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emu/cpu.h"
#include "model/model.h"
#include "tests/instructions/instructions.h"

enum { RAM = 16 << 20, TABLES = 0x10000 };

static struct model *model;
static struct engine *engine;
static uint8_t *ram;

void engine_side_open(void)
{
    static const uint8_t hlt = 0xf4;
    static struct bus bus;
    char error[300] = "";

    model = calloc(1, sizeof *model);
    ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory_init(&model->memory, ram, RAM, calloc(1, RAM / PAGE_SIZE));
    model->bus = bus;
    model_init(model, 1);
    engine = engine_open(model, error, sizeof error);
    if (!engine) {
        fprintf(stderr, "%s\n", error);
        exit(2);
    }
    memory_write64(&model->memory, TABLES, TABLES + 0x1003);
    memory_write64(&model->memory, TABLES + 0x1000, TABLES + 0x2003);
    for (uint64_t i = 0; i < RAM >> 21; i++)
        memory_write64(&model->memory, TABLES + 0x2000 + 8 * i, i << 21 | 0x83);
    arena_prepare(ram + ARENA, &hlt, 1);
}

static void reset(struct cpu *cpu)
{
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        cpu->seg[s] = (struct segment){ 0x10, 0xc093, 0xffffffff, 0 };
    cpu->seg[SEG_CS] = (struct segment){ 0x08, 0xa09b, 0xffffffff, 0 };
    cpu->rip = ARENA + PROLOGUE_AT;
    cpu->rflags = RFLAGS_FIXED;
    cpu->cr0 = 0x80010033;
    cpu->cr3 = TABLES;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    CPU_MSR(cpu, ia32_efer) = EFER_LME | EFER_LMA;
    cpu->dr6 = 0xffff0ff0, cpu->dr7 = 0x400;
    cpu->activity = ACTIVITY_ACTIVE;
    cpu->event.valid = false;
}

void engine_side_run(const struct trial *t, struct outcome *o)
{
    struct cpu *cpu = &model->cpu[0];
    struct engine_request request = { .limit = cpu->clock + 1000 };
    struct stop stop;
    uint8_t code[CODE_MAX + 5];
    int32_t jump = EPILOGUE_AT - (CODE_AT + t->length + 5);

    reset(cpu);
    memcpy(ram + ARENA + IN_AT, &t->in, sizeof t->in);
    memcpy(ram + ARENA + DATA_FIRST, t->data, DATA_SIZE);
    memcpy(ram + ARENA + STACK_FIRST, t->stack, STACK_SIZE);
    memcpy(code, t->code, t->length);
    code[t->length] = 0xe9;
    memcpy(code + t->length + 1, &jump, 4);
    memory_write(&model->memory, ARENA + CODE_AT, code, t->length + 5u);
    engine_run(engine, cpu, &request, &stop);
    o->ended = stop.reason == STOP_INSTRUCTION && stop.insn.id == INSN_hlt ? ENDED_WELL
             : stop.reason == STOP_EVENT ? stop.event.vector : 0xee;
    memcpy(&o->out, ram + ARENA + OUT_AT, sizeof o->out);
    memcpy(o->data, ram + ARENA + DATA_FIRST, DATA_SIZE);
    memcpy(o->stack, ram + ARENA + STACK_FIRST, STACK_SIZE);
}
