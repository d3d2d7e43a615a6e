/* SPDX-License-Identifier: MIT */
/* One line for each program: how it ended, and what it left behind. Options on the command line: seed=, first=, count=, code. */
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"
#include "tests/processor/program.h"

static void tell_step(const struct program *p, unsigned index, unsigned step)
{
    static const char *const modes[] = { "long", "pae", "legacy" };

    number_in(index, 10), put("."), number_in(step, 10), put(" "), put(p->kind[step]), put("/");
    put(p->virtual_8086 ? "v86" : p->bits == 64 ? "64" : p->bits == 32 ? "32" : "16");
    put("/"), put(modes[p->mode]), put("/cpl"), number_in(p->level, 10);
    put(step + 1 == p->steps ? "/last:" : ":");
}

static void tell_code(const struct program *p, unsigned step)
{
    const struct start *s = &p->step[step];

    put("# code");
    for (unsigned i = 0; i < 48; i++)
        put(" "), number_in(p->code[step * STEP_SIZE + i], 16);
    put("\n#");
    word("cr0", s->cr0), word("cr4", s->cr4), word("cs", s->frame[1]), word("flags", s->frame[2]), word("sp", s->frame[3]);
    word("ss", s->frame[4]), word("rax", s->gpr[0]), word("rcx", s->gpr[1]), word("rdx", s->gpr[2]), word("rbx", s->gpr[3]);
    word("rbp", s->gpr[5]), word("rsi", s->gpr[6]), word("rdi", s->gpr[7]), word("dr7", s->dr7), word("ldtr", s->ldtr);
    for (unsigned i = 0; i < 4; i++)
        word("dr", s->dr[i]);
    put("\n# gdt");
    for (unsigned i = 0; i < GDT_SIZE / 8; i++)
        put(i % 8 ? " " : "\n#  "), number_in(((const uint64_t *)window[PAGE_GDT])[i], 16);
    put("\n# ldt");
    for (unsigned i = 0; i < LDT_SIZE / 8; i++)
        put(i % 8 ? " " : "\n#  "), number_in(((const uint64_t *)window[PAGE_LDT])[i], 16);
    put("\n# gates");
    for (unsigned i = GATE_FIRST; i <= GATE_LAST; i++)
        put(i % 8 ? " " : "\n#  "), number_in(((const uint64_t *)window[PAGE_IDT])[i * (p->mode == MODE_LONG ? 2 : 1)], 16);
    put("\n# tasks");
    for (unsigned i = 0; i < 0x240 / 8; i++)
        put(i % 8 ? " " : "\n#  "), number_in(((const uint64_t *)window[PAGE_TASKS])[i], 16);
    put("\n");
}

static void tell(const struct program *p, unsigned step)
{
    static const char *const names[] = { "rights0", "rights1", "rights2", "rights3" };
    const volatile struct record *r = &record;
    uint64_t registers = 0, enabled = 0, address = r->cr2, stack = r->rsp, inner = r->rsp - WINDOW_AT(PAGE_INNER);

    /* What a pointer in memory is read first of, its offset or its selector, is the processor's choice. */
    if (address / PAGE == WINDOW_AT(PAGE_DATA) / PAGE)
        address &= ~(uint64_t)(PAGE - 1);
    /* What lies below the stack pointer nobody may rely on: some push before they find the fault. */
    stack = p->virtual_8086 || r->ss == STACK16 ? (stack & 0xffff) - PAGE_STACK * PAGE : stack - WINDOW_AT(PAGE_STACK);
    stack = stack < PAGE ? stack : 0;
    inner = inner < PAGE ? inner : 0;
    /* B0 to B3 of breakpoints that are not enabled are open (SDM Vol. 3, 18.2.3). */
    for (unsigned i = 0; i < 4; i++)
        enabled |= (r->dr7 >> 2 * i & 3 ? 1ull : 0) << i;
    /* Upper halves are undefined outside 64-bit mode (SDM Vol. 1, 3.4.1.1). */
    for (unsigned i = 0; i < 16 && p->bits != 64; i++)
        record.gpr[i] &= 0xffffffff;
    for (unsigned i = 0; i < 16; i++)
        if (i != RSP)
            registers = (registers ^ r->gpr[i]) * 0x100000001b3, registers ^= registers >> 29;
    word("vector", r->vector), word("error", r->error_code), word("cs", r->cs), word("ip", r->rip), word("flags", r->rflags);
    word("ss", r->ss), word("sp", r->rsp), word("handler_ss", r->handler_ss), word("ds", r->ds & 0xffff), word("es", r->es), word("fs", r->fs);
    word("gs", r->gs), word("fs_base", r->fs_base), word("gs_base", r->gs_base), word("ldtr", r->ldtr), word("tr", r->tr);
    word("ax", r->gpr[RAX]), word("cx", r->gpr[RCX]), word("dx", r->gpr[RDX]), word("registers", registers >> 32);
    word("cr2", address), word("dr6", r->dr6 & (~15ull | enabled)), word("dr7", r->dr7), word("cr0", r->cr0), word("cr4", r->cr4);
    if (r->cr3 != p->step[step].cr3)
        word("cr3", r->cr3);
    word("gdt", environment_sum(PAGE_GDT, 0, GDT_SIZE)), word("ldt", environment_sum(PAGE_LDT, 0, LDT_SIZE));
    word("tss", environment_sum(PAGE_TSS, 0, 0x100));
    if (p->mode != MODE_LONG) {             /* EIP and EFLAGS that task switches have saved */
        const uint32_t *tss = (const uint32_t *)window[PAGE_TSS], *other = (const uint32_t *)window[PAGE_TASKS];
        word("tasks", environment_sum(PAGE_TASKS, 0, 0x280)), word("task_ip", tss[8]), word("task_flags", tss[9]);
        word("other_flags", other[9]), word("old_flags", other[0x210 / 4] & 0xffff);
    }
    if (environment_written(p, PAGE_DATA))
        word("data", environment_sum(PAGE_DATA, 0, PAGE));
    word("stack", environment_sum(PAGE_STACK, (unsigned)stack, PAGE)), word("inner", environment_sum(PAGE_INNER, (unsigned)inner, PAGE));
    for (unsigned i = PAGE_RIGHTS; i <= PAGE_RIGHTS_LAST; i++)
        if (environment_written(p, i))
            word(names[i - PAGE_RIGHTS], environment_sum(i, 0, PAGE));
    word("pages", environment_flags(p)), word("msrs", environment_msrs());
    put("\n");
}

int main(const uint32_t *information);
int main(const uint32_t *information)
{
    static struct program program;
    uint64_t seed, first, count;

    report_open(information);
    seed = option("seed", 1), first = option("first", 0), count = option("count", 300);
    environment_open();
    for (uint64_t i = first; i < first + count; i++) {
        program.random = seed * 0x100000000 + i;
        environment_prepare(&program);
        generate(&program);
        for (unsigned step = 0; step < program.steps; step++) {
            if (option("code", 0))
                tell_code(&program, step);
            tell_step(&program, (unsigned)i, step);
            environment_again();
            (program.mode == MODE_LONG ? enter : enter_legacy)(&program.step[step]);
            harness_state();
            tell(&program, step);
        }
    }
    put("done\n");
    return 0;
}
