/* SPDX-License-Identifier: MIT */
/* Programs and the reference page as text, from the op table. */
#include <string.h>

#include "emu/scenario/syntax.h"

static void append(char *to, size_t size, const char *text)
{
    size_t used = strlen(to);
    if (used + 1 < size)
        snprintf(to + used, size - used, "%s", text);
}

void scenario_print_statement(const struct statement *statement, char *to, size_t size)
{
    static const char *const actor[] = { "l0", "l1", "l2" };
    const struct op *op = &op_table[statement->op];
    const char *cursor = op->syntax;
    struct element element;
    unsigned operand = 0;
    const char *space = "";

    *to = 0;
    if (op->who != WHO_MACHINE) {
        append(to, size, actor[statement->actor]);
        space = " ";
    }
    while (syntax_next(&cursor, &element)) {
        char value[WORD_MAX * 2];
        bool given = !element.argument || statement->given & 1u << operand;
        if (given) {
            append(to, size, space);
            append(to, size, element.word);
            space = " ";
        }
        if (!element.argument)
            continue;
        if (given) {
            operand_print(element.argument, statement->operand[operand], value, sizeof value);
            append(to, size, *element.word ? "=" : "");
            append(to, size, value);
        }
        operand++;
    }
}

void scenario_print(const struct program *program, FILE *to)
{
    unsigned depth = 0;
    for (unsigned i = 0; i < program->count; i++) {
        const struct statement *statement = &program->statement[i];
        char line[512];
        scenario_print_statement(statement, line, sizeof line);
        if (statement->op == OP_end)
            depth--;
        fprintf(to, "%*s%s\n", (int)depth * 4, "", line);
        if (statement->op == OP_repeat)
            depth++;
    }
}

/* The order of the page: sections and rows as they stand in ops.def. */
static const struct {
    const char *section;
    enum op_id op;
} page[] = {
#define SECTION(title) { title, OP_COUNT },
#define OP(id, who, instruction, syntax, text) { NULL, OP_##id },
#include "emu/scenario/ops.def"
};

static const char introduction[] =
    "# Scenarios\n"
    "\n"
    "<!-- Written by `sesqui run --reference` from emu/scenario/ops.def and arguments.def: edit those. -->\n"
    "\n"
    "A scenario is a text that says, line by line, what a level executes and what is to be expected of it.\n"
    "`sesqui run FILE` executes it; the semantics behind each line are those that guest code meets, because\n"
    "both take the same road.\n"
    "\n"
    "    # L1 intercepts HLT\n"
    "    include parts/nested.scn\n"
    "    l1 set proc.hlt_exiting\n"
    "    l1 vmlaunch\n"
    "    l2 hlt\n"
    "    expect exit hlt to=l1\n"
    "\n"
    "One statement a line; `#` starts a comment. Numbers are decimal or hexadecimal (0x), with K, M, G for\n"
    "units of 1024.\n"
    "\n"
    "## Levels\n"
    "\n"
    "A line that begins with `l0`, `l1` or `l2` is executed by that level, which must be the one that runs;\n"
    "anything else is an error. Lines without a level are about the machine.\n"
    "\n"
    "* By default, and after `l0 script`, the script is the software on the bare machine: `l0` is VMX root\n"
    "  operation (or no VMX operation yet), and the guest it enters is `l1`.\n"
    "* After `l0 native trap` the hypervisor core (hv/) is L0. It has started beneath the script before the\n"
    "  first line: `l1` runs in VMX non-root operation, its VMX instructions exit to the core, and the guest it\n"
    "  enters is `l2`.\n"
    "* After `l0 absent` such a scenario runs without the core: the reference that the core is held to\n"
    "  (docs/equivalence.md).\n"
    "\n"
    "## Success and failure\n"
    "\n"
    "A line must succeed unless the `expect` lines behind it say otherwise: an exit to another level, a VMfail,\n"
    "an event, a failed entry, a broken rule or the use of a stale translation that no `expect` line names ends\n"
    "the scenario as failed. An exit that a native L0 handles by itself is no failure; an access or instruction\n"
    "that such an exit interrupted is executed again, as a processor would.\n"
    "\n"
    "An event delivered to a level of the script ends there: the gate in the IDT is read, as delivery does,\n"
    "then the event is noted and the script goes on with the next line, RIP unchanged.\n"
    "\n"
    "In a trace each `prepare`, `ept` and `fill` line is one line of its own, and the VMREADs and VMWRITEs by\n"
    "which a native L0 does its work are left out; `sesqui run --full-trace` shows them.\n"
    "\n"
    "## Where things are\n"
    "\n"
    "Every processor starts in 64-bit mode at CPL 0, interrupts off, with paging that maps 4 GB identically,\n"
    "accessible from every privilege level; IA32_FEATURE_CONTROL is not locked. `prepare vmcs` gives a guest\n"
    "the same tables.\n"
    "\n"
    "| address | what |\n"
    "| --- | --- |\n"
    "| 0x1000 | GDT: 0x08 code, 0x10 data, 0x18 TSS, 0x2b data and 0x33 code of CPL 3 |\n"
    "| 0x2000 | IDT, empty |\n"
    "| 0x3000 | TSS |\n"
    "| 0x4000 - 0x9fff | paging structures: PML4, PDPT, four page directories |\n"
    "| 0xa000, 0xb000, 0xc000 | scratch page of l0, l1, l2: memory operands of their instructions; from "
    "0xa000 + 0x100 * n for processor n |\n"
    "| 0xd000, 0xe000 | the page directory of 32-bit paging; the four PDPTEs of PAE paging (`mode`) |\n"
    "| 0x100000 | RIP of the level that starts; RSP is 0xff000 |\n"
    "| 0x110000 | host RIP in a VMCS from `prepare vmcs`; host RSP is 0xfe000 |\n"
    "| 0x200000 | guest RIP there; guest RSP is 0x1ff000 |\n";

void scenario_print_reference(FILE *to)
{
    fputs(introduction, to);
    for (unsigned i = 0; i < sizeof page / sizeof page[0]; i++) {
        if (page[i].section) {
            fprintf(to, "\n## %s\n\n", page[i].section);
            continue;
        }
        const struct op *op = &op_table[page[i].op];
        static const char *const prefix[] = { [WHO_MACHINE] = "", [WHO_ACTOR] = "LEVEL ", [WHO_LEVEL0] = "l0 " };
        fprintf(to, "* `%s%s`  \n  %s\n", prefix[op->who], op->syntax, op->text);
    }
    fputs("\n## Operands\n\n", to);
    for (unsigned i = 0; i < argument_count; i++)
        fprintf(to, "* `%s`: %s\n", argument_table[i].placeholder, argument_table[i].text);
}
