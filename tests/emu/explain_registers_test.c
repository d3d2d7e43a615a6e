/* SPDX-License-Identifier: MIT */
/*
 * `check=registers`: of each instruction that exits, which registers a hypervisor may have changed when its guest goes on (SDM Vol. 3, 25.4,
 * 28.2.1; and Vol. 2), as the SDM has it and not as emu/explain/exit_changes.def does. Each register is changed alone, in a scenario of its own.
 */
#include <stdio.h>
#include <string.h>

#include "emu/scenario/scenario.h"
#include "tests/suite.h"

enum { TEXT_MAX = 2000 };

static const char *const general[] = {
    "rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};
enum { GENERAL = sizeof general / sizeof general[0] };

/* A 64-bit guest; the lines that follow are of its hypervisor. */
static const char guest[] =
    "machine check=registers\n"
    "l0 prepare vmx\nl0 prepare region 0x10000\nl0 vmxon 0x10000\nl0 prepare region 0x11000\nl0 vmclear 0x11000\nl0 vmptrld 0x11000\n"
    "l0 prepare vmcs\n";
/* It becomes one of 32-bit protected mode with 32-bit paging. */
static const char in_32bit[] =
    "l0 clear entry.ia32e_mode_guest\nl0 vmwrite guest_cs_access_rights 0xc09b\nl0 vmwrite guest_cr4 0x2000\nl0 vmwrite guest_cr3 0xd000\n";
/* To the one of compatibility mode. */
static const char in_compatibility[] = "l0 vmwrite guest_cs_access_rights 0xc09b\n";

static bool runs(const char *text, struct scenario_error *error)
{
    const struct scenario_options options = { .trace = NULL };
    struct program program;

    ck_assert_msg(scenario_parse_text(text, strlen(text), "text", &program, error), "%s\n%s", error->text, text);
    bool good = scenario_run(&program, &options, NULL, error);
    scenario_free(&program);
    return good;
}

/* "set a.b" for each word of the controls. */
static size_t set(char *text, size_t used, const char *controls)
{
    char list[200];

    snprintf(list, sizeof list, "%s", controls);
    for (char *word = strtok(list, " "); word; word = strtok(NULL, " "))
        used += (size_t)snprintf(text + used, TEXT_MAX - used, "l0 set %s\n", word);
    return used;
}

static bool has(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *c = words; (c = strstr(c, word)); c += length)
        if ((c == words || c[-1] == ' ') && (c[length] == ' ' || !c[length]))
            return true;
    return false;
}

/* The guest executes `line`, the hypervisor does `then`; is `lost` what the check finds missing (NULL: nothing)? */
static void expect(const char *before, const char *controls, const char *line, const char *reason, const char *then, const char *entry, const char *lost)
{
    char text[TEXT_MAX];
    struct scenario_error error;
    size_t used = (size_t)snprintf(text, sizeof text, "%s%s", guest, before);

    used = set(text, used, controls);
    used += (size_t)snprintf(text + used, sizeof text - used, "l0 vmlaunch\nl1 %s\nexpect exit %s\n%sl0 vmresume\n%s", line, reason, then, entry);
    if (lost)
        snprintf(text + used, sizeof text - used, "expect lost %s\n", lost);
    ck_assert_msg(runs(text, &error), "%s\n%s", error.text, text);
}

#define EVERYTHING "rax rcx rdx rbx rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15"

/* Lines of the guest, the reason of their exit, controls that make them exit, registers that they change. In lines, data are in RAX, an index in RCX. */
static const struct { const char *line, *reason, *controls, *changes; } exits[] = {
    { "cpuid 1", "cpuid", "", "rax rbx rcx rdx" },
    { "rdtsc", "rdtsc", "proc.rdtsc_exiting", "rax rdx" },
    { "rdtscp", "rdtscp", "proc.rdtsc_exiting proc.activate_secondary_controls proc2.enable_rdtscp", "rax rcx rdx" },
    { "rdpmc 0", "rdpmc", "proc.rdpmc_exiting", "rax rdx" },
    { "rdmsr 0x10", "rdmsr", "", "rax rdx" },
    { "wrmsr 0x10 0", "wrmsr", "", "" },
    { "in 0x60 1", "io_instruction", "proc.unconditional_io_exiting", "rax" },
    { "out 0x80 1 0", "io_instruction", "proc.unconditional_io_exiting", "" },
    { "mov_to_cr 3 0x4000", "cr_access", "proc.cr3_load_exiting", "" },
    { "mov_from_cr 3", "cr_access", "proc.cr3_store_exiting", "rax" },
    { "mov_to_cr 8 1", "cr_access", "proc.cr8_load_exiting", "" },
    { "mov_from_cr 8", "cr_access", "proc.cr8_store_exiting", "rax" },
    { "mov_to_dr 7 0x400", "mov_dr", "proc.mov_dr_exiting", "" },
    { "mov_from_dr 7", "mov_dr", "proc.mov_dr_exiting", "rax" },
    { "hlt", "hlt", "proc.hlt_exiting", "" },
    { "pause", "pause", "proc.pause_exiting", "" },
    { "invlpg 0x1000", "invlpg", "proc.invlpg_exiting", "" },
    { "wbinvd", "wbinvd", "proc.activate_secondary_controls proc2.wbinvd_exiting", "" },
    { "rdrand", "rdrand", "proc.activate_secondary_controls proc2.rdrand_exiting", "rax" },
    { "rdseed", "rdseed", "proc.activate_secondary_controls proc2.rdseed_exiting", "rax" },
    { "sldt", "ldtr_or_tr_access", "proc.activate_secondary_controls proc2.descriptor_table_exiting", "rax" },
    { "str", "ldtr_or_tr_access", "proc.activate_secondary_controls proc2.descriptor_table_exiting", "rax" },
    { "sgdt", "gdtr_or_idtr_access", "proc.activate_secondary_controls proc2.descriptor_table_exiting", "" },
    { "vmread guest_rip", "vmread", "", "rax" },
    { "vmwrite guest_rip 0", "vmwrite", "", "" },
    { "vmptrld 0x5000", "vmptrld", "", "" },
    { "vmcall", "vmcall", "", EVERYTHING },               /* what the two have agreed on */
};
enum { EXITS = sizeof exits / sizeof exits[0] };

START_TEST(general_registers)
{
    for (unsigned i = 0; i < GENERAL; i++) {
        char then[100];
        bool free_to = has(exits[_i].changes, general[i]), agreed = strcmp(exits[_i].line, "vmcall") == 0;

        snprintf(then, sizeof then, "l0 register %s 0x77\nl0 advance\n", general[i]);
        expect("", exits[_i].controls, exits[_i].line, exits[_i].reason, then, "", free_to ? NULL : general[i]);
        snprintf(then, sizeof then, "l0 register %s 0x77\n", general[i]);
        expect("", exits[_i].controls, exits[_i].line, exits[_i].reason, then, "", agreed ? NULL : general[i]);       /* the instruction is still to come */
    }
}
END_TEST

/* IN to AL and AX changes no other bits of RAX, IN to EAX all of it. */
START_TEST(accumulator)
{
    static const struct { const char *line, *value, *lost; } ins[] = {
        { "in 0x60 1", "0x77", NULL }, { "in 0x60 1", "0x7700", "rax" }, { "in 0x60 2", "0x7777", NULL }, { "in 0x60 2", "0x10000", "rax" },
        { "in 0x60 4", "0x77777777", NULL },
    };

    for (unsigned i = 0; i < sizeof ins / sizeof ins[0]; i++) {
        char then[100];

        snprintf(then, sizeof then, "l0 register rax %s\nl0 advance\n", ins[i].value);
        expect("", "proc.unconditional_io_exiting", ins[i].line, "io_instruction", then, "", ins[i].lost);
    }
}
END_TEST

/* The guest sees upper halves in 64-bit mode alone. */
START_TEST(upper_halves)
{
    static const struct { const char *before; bool wide; } modes[] = { { "", true }, { in_32bit, false }, { in_compatibility, false } };

    for (unsigned i = 0; i < GENERAL; i++) {
        char then[100];

        snprintf(then, sizeof then, "l0 register %s 0x100000000\n", general[i]);
        expect(modes[_i].before, "proc.hlt_exiting", "hlt", "hlt", then, "", modes[_i].wide ? general[i] : NULL);
        snprintf(then, sizeof then, "l0 register %s 0x80000000\n", general[i]);
        expect(modes[_i].before, "proc.hlt_exiting", "hlt", "hlt", then, "", general[i]);
    }
}
END_TEST

/* CR2 and the debug registers: an injected #PF brings CR2 with it, #DB DR6, no other one either; DRs that exit are not the guest's. */
START_TEST(control_and_debug_registers)
{
    static const struct { const char *set, *name; unsigned with; } kept[] = {
        { "l0 mov_to_cr 2 0x1234\n", "cr2", 14 }, { "l0 mov_to_dr 6 0xffff0ff1\n", "dr6", 1 }, { "l0 mov_to_dr 0 0x77\n", "dr0", 0 },
        { "l0 mov_to_dr 1 0x77\n", "dr1", 0 },    { "l0 mov_to_dr 2 0x77\n", "dr2", 0 },       { "l0 mov_to_dr 3 0x77\n", "dr3", 0 },
    };
    static const unsigned vectors[] = { 1, 6, 8, 13, 14, 17 };

    for (unsigned i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        expect("", "proc.hlt_exiting", "hlt", "hlt", kept[i].set, "", kept[i].name);
        expect("", "proc.hlt_exiting proc.mov_dr_exiting", "hlt", "hlt", kept[i].set, "", i ? NULL : kept[i].name);
        for (unsigned v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
            char then[200], entry[40];
            bool code = vectors[v] == 8 || vectors[v] > 9;

            snprintf(then, sizeof then, "%sl0 vmwrite entry_interruption_information 0x%x\n", kept[i].set, 0x80000300 | (code ? 0x800 : 0) | vectors[v]);
            snprintf(entry, sizeof entry, "expect event %u\n", vectors[v]);
            expect("", "proc.hlt_exiting", "hlt", "hlt", then, entry, kept[i].with == vectors[v] ? NULL : kept[i].name);
        }
    }
}
END_TEST

/* Without the check, nobody looks; what is lost and not expected ends a scenario, and so does what is expected and not lost. */
START_TEST(the_line_itself)
{
    static const char loses[] = "l0 set proc.hlt_exiting\nl0 vmlaunch\nl1 hlt\nexpect exit hlt\nl0 register rsi 7\nl0 register r9 7\nl0 vmresume\n";
    char text[TEXT_MAX];
    struct scenario_error error;

    snprintf(text, sizeof text, "%s%s", strchr(guest, '\n') + 1, loses);
    ck_assert_msg(runs(text, &error), "%s", error.text);
    snprintf(text, sizeof text, "%s%s", guest, loses);
    ck_assert(!runs(text, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "not expected: a VM entry has not given the guest all its registers back"));
    snprintf(text, sizeof text, "%s%sexpect lost rsi\n", guest, loses);
    ck_assert(!runs(text, &error));             /* r9 is lost, too */
    snprintf(text, sizeof text, "%s%sexpect lost rsi\nexpect lost r9\n", guest, loses);
    ck_assert_msg(runs(text, &error), "%s", error.text);
    snprintf(text, sizeof text, "%s%sexpect lost rsi\nexpect lost r9\nexpect lost r10\n", guest, loses);
    ck_assert(!runs(text, &error));
    snprintf(text, sizeof text, "%s%sexpect lost rsi\n", strchr(guest, '\n') + 1, loses);
    ck_assert(!runs(text, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "machine check=registers"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explain registers");
    TCase *tcase = tcase_create("check=registers");

    tcase_add_loop_test(tcase, general_registers, 0, EXITS);
    tcase_add_test(tcase, accumulator);
    tcase_add_loop_test(tcase, upper_halves, 0, 3);
    tcase_add_test(tcase, control_and_debug_registers);
    tcase_add_test(tcase, the_line_itself);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
