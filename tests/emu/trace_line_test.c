/* SPDX-License-Identifier: MIT */
/* The lines of a trace: columns, words, bounds. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "emu/trace/trace.h"
#include "model/model.h"
#include "model/vmx/check.h"
#include "model/vmx/vmx.h"
#include "tests/suite.h"

static struct trace *trace;
static struct cpu *cpu;
static char *text;
static size_t size;

static void setup(void)
{
    trace = calloc(1, sizeof *trace);
    cpu = calloc(1, sizeof *cpu);
    trace->file = open_memstream(&text, &size);
    cpu->clock = 1042;
}

static void teardown(void)
{
    fclose(trace->file);
    free(text);
    free(trace);
    free(cpu);
}

static void expect(unsigned level, struct notice notice, const char *line)
{
    notice.cpu = cpu;
    fclose(trace->file);
    free(text);
    trace->file = open_memstream(&text, &size);
    trace_notice(trace, level, &notice);
    fflush(trace->file);
    ck_assert_str_eq(text, line);
}

START_TEST(columns)
{
    trace_line(trace, cpu, 1, "exit", "%s", "cpuid qual=0x0 rip=0x101234");
    fflush(trace->file);
    ck_assert_str_eq(text, "        1042   0 L1 exit         cpuid qual=0x0 rip=0x101234\n");
}
END_TEST

START_TEST(notices)
{
    expect(1, (struct notice){ .kind = NOTICE_EXIT, .a = EXIT_REASON_cpuid, .c = 0x101234 },
           "        1042   0 L1 exit         cpuid qual=0x0 rip=0x101234\n");
    expect(1, (struct notice){ .kind = NOTICE_EXIT, .a = EXIT_REASON_cr_access, .b = 0x310, .c = 0x10 },
           "        1042   0 L1 exit         cr_access qual=0x310 rip=0x10 mov rbx, cr0\n");
    expect(2, (struct notice){ .kind = NOTICE_EXIT, .a = EXIT_REASON_io_instruction, .b = 0x3f80008, .c = 0x10 },
           "        1042   0 L2 exit         io_instruction qual=0x3f80008 rip=0x10 in port=0x3f8 size=1\n");
    cpu->gpr[RCX] = MSR_ia32_efer;
    expect(1, (struct notice){ .kind = NOTICE_EXIT, .a = EXIT_REASON_rdmsr, .c = 0x10 },
           "        1042   0 L1 exit         rdmsr qual=0x0 rip=0x10 ia32_efer\n");
    expect(1, (struct notice){ .kind = NOTICE_EXIT, .a = EXIT_REASON_ept_violation, .b = 0x182 | 1 << 3, .c = 0x10 },
           "        1042   0 L1 exit         ept_violation qual=0x18a rip=0x10 write of r--\n");
    expect(1, (struct notice){ .kind = NOTICE_EXIT, .a = EXIT_REASON_entry_failure_guest_state | EXIT_REASON_ENTRY_FAILURE },
           "        1042   0 L1 exit         entry_failure_guest_state (entry failed) qual=0x0 rip=0x0\n");
    expect(0, (struct notice){ .kind = NOTICE_ENTRY, .a = 0x5000, .b = 0x1000, .c = 1 },
           "        1042   0 L0 entry        launch vmcs=0x5000 rip=0x1000\n");
    expect(0, (struct notice){ .kind = NOTICE_ENTRY_FAILED, .a = 0x5000, .b = 7 },
           "        1042   0 L0 entry-failed vmcs=0x5000 error 7: VM entry with invalid control field(s)\n");
    expect(0, (struct notice){ .kind = NOTICE_VMX_INSTRUCTION, .a = INSN_vmwrite, .b = VMCS_guest_rip, .c = 5 },
           "        1042   0 L0 vmx          vmwrite guest_rip=0x5 ok\n");
    expect(0, (struct notice){ .kind = NOTICE_VMX_INSTRUCTION, .a = INSN_vmptrld, .b = 0x3000, .d = (uint64_t)-1 },
           "        1042   0 L0 vmx          vmptrld 0x3000 VMfailInvalid\n");
    expect(0, (struct notice){ .kind = NOTICE_VMX_INSTRUCTION, .a = INSN_vmresume, .d = 5 },
           "        1042   0 L0 vmx          vmresume error 5: VMRESUME with non-launched VMCS\n");
    expect(1, (struct notice){ .kind = NOTICE_INJECT, .a = VECTOR_PF, .b = EVENT_HARDWARE_EXCEPTION, .c = 2, .d = 1 },
           "        1042   0 L1 inject       #PF error=0x2 rip=0x0\n");
    expect(1, (struct notice){ .kind = NOTICE_INJECT, .a = 0x30, .b = EVENT_EXTERNAL_INTERRUPT },
           "        1042   0 L1 inject       interrupt 48 rip=0x0\n");
    expect(0, (struct notice){ .kind = NOTICE_VIOLATION, .a = RULE_ACTIVE_VMCS, .b = 0x5000, .text = "written while active" },
           "        1042   0 L0 violation    R2 written while active (0x5000 0x0 0x0)\n");
    expect(0, (struct notice){ .kind = NOTICE_BARRIER, .text = "prediction" }, "        1042   0 L0 barrier      prediction\n");
    expect(0, (struct notice){ .kind = NOTICE_SHUTDOWN }, "        1042   0 L0 shutdown     triple fault rip=0x0\n");
}
END_TEST

START_TEST(every_check_has_a_line)
{
    ck_assert_uint_gt(check_count, 0);
    for (unsigned i = 0; i < check_count; i++) {
        char line[TRACE_LINE_MAX + 200];
        snprintf(line, sizeof line, "        1042   0 L0 check        %s [%s] %s", check_table[i].id, check_table[i].section,
                 check_table[i].text);
        line[TRACE_LINE_MAX - 1] = '\0';
        strcat(line, "\n");
        expect(0, (struct notice){ .kind = NOTICE_CHECK_FAILED, .check = &check_table[i] }, line);
    }
}
END_TEST

/* Numbers that name nothing are printed, not followed. */
START_TEST(hostile_numbers)
{
    static const uint64_t value[] = { 0, 1, 31, 32, 0xff, 0xffff, 0x7fffffff, 0xffffffff, ~0ull };
    for (unsigned kind = NOTICE_ENTRY; kind <= NOTICE_SHUTDOWN; kind++) {
        if (kind == NOTICE_CHECK_FAILED || kind == NOTICE_VMX_INSTRUCTION || kind == NOTICE_INVALIDATE)
            continue;
        for (unsigned i = 0; i < sizeof value / sizeof value[0]; i++) {
            struct notice notice = { .kind = kind, .cpu = cpu, .a = value[i], .b = value[i], .c = value[i], .d = value[i] };
            trace_notice(trace, 0, &notice);
        }
    }
    for (unsigned id = 0; id < INSN_COUNT; id++) {
        struct notice notice = { .kind = NOTICE_VMX_INSTRUCTION, .cpu = cpu, .a = id, .b = ~0ull, .d = 12345 };
        trace_notice(trace, 0, &notice);
    }
    FILE *null = fopen("/dev/null", "w");
    trace_print_tail(trace, null, "");
    fclose(null);
}
END_TEST

START_TEST(long_lines_are_cut)
{
    char longest[1000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cpu->clock = UINT64_MAX;
    cpu->index = 7;
    trace_line(trace, cpu, 2, "aneventwithaverylongname", "%s", longest);
    fflush(trace->file);
    ck_assert_uint_eq(strlen(text), TRACE_LINE_MAX);    /* and the newline */
    ck_assert_ptr_nonnull(strstr(text, " L2 aneventwitha xxx"));
}
END_TEST

START_TEST(tail_keeps_the_latest)
{
    char *out, expected[40];
    size_t out_size;
    FILE *to = open_memstream(&out, &out_size);
    for (unsigned i = 0; i < TRACE_TAIL + 5; i++)
        trace_line(trace, cpu, 0, "n", "%u", i);
    trace_print_tail(trace, to, "> ");
    fclose(to);
    ck_assert_int_eq(strncmp(out, "> ", 2), 0);
    ck_assert_ptr_nonnull(strstr(out, " 5\n"));
    ck_assert_ptr_null(strstr(out, " 4\n"));
    snprintf(expected, sizeof expected, " %u\n", TRACE_TAIL + 4);
    ck_assert_str_eq(out + strlen(out) - strlen(expected), expected);
    free(out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace_line");
    TCase *tcase = tcase_create("trace");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, columns);
    tcase_add_test(tcase, notices);
    tcase_add_test(tcase, every_check_has_a_line);
    tcase_add_test(tcase, hostile_numbers);
    tcase_add_test(tcase, long_lines_are_cut);
    tcase_add_test(tcase, tail_keeps_the_latest);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
