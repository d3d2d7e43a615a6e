/* SPDX-License-Identifier: MIT */
/* The interpreter on the bare machine: what a line must do to pass, and that what it did not expect makes it fail. */
#include <stdlib.h>

#include "tests/script.h"
#include "tests/suite.h"

#define ROOT IN_ROOT("l0")
#define GUEST ROOT "l0 prepare vmcs\n"

static const char *const passing[] = {
    "",
    "machine\nl0 script\n",
    "l0 cpuid 0\nexpect ok\n",
    "l0 write 0x300000 8 0x1234\nl0 read 0x300000 2\nexpect value 0x1234\n",
    "l0 write 0x300ffe 4 0xaabbccdd\nl0 physical read 0x300ffe 4\nexpect value 0xaabbccdd\n",
    "l0 register r8 77\nexpect register r8 77\nexpect level l0\n",
    "l0 raise 13 5\nexpect fault 13 5\nl0 int 0x80\nexpect event 0x80\n",
    "l0 cpl 3\nl0 hlt\nexpect fault 13 0\nl0 cpl 0\n",
    "l0 vmxoff\nexpect fault 6\n",
    "l0 mode 32bit\nl0 write 0x300000 4 7\nl0 mode pae\nl0 read 0x300000 4\nexpect value 7\nl0 mode long\nl0 read 0x300000 8\nexpect value 7\n",
    ROOT "l0 write 0x300000 8 0x11000\nl0 operand 0x300000\nl0 vmclear 0\nl0 vmptrst\nexpect value 0xffffffffffffffff\n",
    ROOT "l0 vmwrite guest_rip 0x1234\nl0 operand 0x2ffffc segment=es\nl0 vmread guest_rip\nl0 read 0x2ffffc 8\nexpect value 0x1234\n"
         "l0 write 0x300000 8 0x5678\nl0 operand 0x300000\nl0 vmwrite guest_rsp 0\nl0 vmread guest_rsp\nexpect value 0x5678\n",
    ROOT "l0 mode 32bit\nl0 segment fs 0x300000 0xfff 0x4093\nl0 operand 0xff9 segment=fs\nl0 vmptrst\nexpect fault 13 0\n"
         "l0 operand 0xff8 segment=fs\nl0 vmptrst\nl0 read 0x300ff8 8\nexpect value 0x11000\n",
    "repeat 0\nl0 vmxoff\nend\nrepeat 3\nrepeat 2\nl0 cpuid 0\nend\nend\nexpect register rip 0x10000c\n",
    "l0 rdmsr 0x12345\nexpect fault 13 0\n",
    "l0 sti\nl0 cpuid 0\ninterrupt 0x40\nexpect event 0x40\n",
    "interrupt 0x41\nl0 cpuid 0\nl0 sti\nl0 cpuid 0\nexpect event 0x41\n",
    "nmi\nexpect event 2\n",
    "machine cpus=2\nl0 register rax 1\ncpu 1\nexpect register rax 0\ncpu 0\nexpect register rax 1\n",
    GUEST "l0 vmlaunch\nexpect entry ok\nl1 cpuid 0\nexpect exit cpuid to=l0 qualification=0\n",
    GUEST "l0 vmwrite guest_rflags 0\nl0 vmlaunch\nexpect entry failed guest.rflags.fixed\n",
    "l0 register rip 0x110000\n" GUEST "l0 vmlaunch\nl1 mov_to_cr 8 0\n",
};

START_TEST(these_pass)
{
    ck_assert_msg(script_run(passing[_i], NULL), "%s\n%s", error.text, passing[_i]);
}
END_TEST

static const struct {
    const char *text, *message;     /* the message contains this */
} failing[] = {
    { "l1 cpuid 0\n", "test:1: l1 does not run now, l0 does" },
    { "expect ok\n", "test:1: there is no line before it" },
    { "l0 raise 13 5\n", "test:1: not expected: an event was delivered: vector 13, type 3, error code 0x5" },
    { "l0 raise 13 5\nl0 cpuid 0\n", "test:1: not expected" },
    { "l0 raise 13 5\nexpect fault 14\n", "test:2: expected an exception with this vector" },
    { "l0 raise 13 5\nexpect fault 13 6\n", "test:2: expected an event with this error code" },
    { "l0 int 0x80\nexpect fault 0x80\n", "test:2: expected an exception" },
    { "l0 cpuid 0\nexpect fault 13\n", "but: success" },
    { "l0 cpuid 0\nexpect exit cpuid\n", "but: success" },
    { "l0 cpuid 0\nexpect value 0xffffffff\n", "test:2: expected the value 0xffffffff, but it is 0x" },
    { "l0 cpuid 0\nexpect register rip 0\n", "expected the register to be 0x0, but it is 0x100002" },
    { "l0 cpuid 0\nexpect level l1\n", "expected level 0x1, but it is 0x0" },
    { "l0 cpuid 0\nexpect entry ok\n", "expected a VM entry, but: success" },
    { "l0 cpuid 0\nexpect rule R2\n", "expected that this rule is broken" },
    { "l0 cpuid 0\nexpect stale\n", "expected the use of a stale translation" },
    { "l0 cpuid 0\nexpect shutdown\n", "expected a shutdown" },
    { "l0 cpuid 0\nexpect field guest_rip 0\n", "no VMCS is current" },
    { ROOT "l0 vmclear 1\n", "not expected: VMfailValid" },
    { ROOT "l0 vmclear 1\nexpect fail invalid\n", "expected VMfailInvalid, but: VMfailValid" },
    { ROOT "l0 vmclear 1\nexpect fail 3\n", "expected VM-instruction error 3, but it is 2 (VMCLEAR with invalid physical" },
    { ROOT "l0 vmptrst\nexpect fail 3\n", "expected VMfailValid, but: success" },
    { ROOT "l0 vmptrst\nexpect field 0x7ffe 0\n", "no such VMCS field" },
    { ROOT "l0 operand 0x300000\nl0 cpuid 0\n", "no instruction that could have a memory operand" },
    { ROOT "l0 operand 0x300000 segment=tr\nl0 vmptrst\n", "no operand lies in a system segment" },
    { ROOT "l0 operand 0x300000\n", "no line uses this operand" },
    { ROOT "l0 operand 0x300000\ncpu 0\n", "no instruction that could have a memory operand" },
    { "l0 mode pae\nl0 mov_from_cr 8\n", "CR8 has a name in 64-bit mode alone" },
    { ROOT "l0 operand 0x300000\nl0 cpl 3\n", "no instruction that could have a memory operand" },
    { "l0 register rip 0x100000000\nl0 mode pae\n", "RIP is above 4 GB" },
    { ROOT "l0 operand 0x300000\nl0 vmptrst\nl0 operand 0x180000000\nl0 vmptrst\n", "not expected: an event was delivered: vector 14" },
    { ROOT "l0 vmlaunch\n", "not expected: VMfailValid; failed check control." },
    { GUEST "l0 vmlaunch\nl1 cpuid 0\n", "not expected: VM exit cpuid, qualification 0x0; l0 runs now" },
    { GUEST "l0 vmlaunch\nl1 cpuid 0\nexpect exit hlt\n", "expected a VM exit with this reason, but: VM exit cpuid" },
    { GUEST "l0 vmlaunch\nl1 cpuid 0\nexpect exit cpuid qualification=1\n", "expected qualification 0x1, but it is 0x0" },
    { GUEST "l0 vmlaunch\nl1 cpuid 0\nexpect exit cpuid to=l1\n", "expected that l1 deals with the exit, but l0 does" },
    { GUEST "l0 vmlaunch\nl0 cpuid 0\n", "l0 does not run now, l1 does" },
    { GUEST "l0 vmwrite guest_rflags 0\nl0 vmlaunch\n",
      "not expected: the VM entry failed: entry_failure_guest_state, qualification 0x0; l0 runs now; failed check "
      "guest.rflags.fixed" },
    { GUEST "l0 vmwrite guest_rflags 0\nl0 vmlaunch\nexpect entry failed guest.cs.type\n", "expected this check to fail" },
    { GUEST "l0 vmwrite guest_rflags 0\nl0 vmlaunch\nexpect entry ok\n", "expected a VM entry" },
    { GUEST "l0 physical write 0x11100 8 0\n", "not expected: rule R2 was broken: the region of an active VMCS" },
    { GUEST "l0 write 0x11100 8 0\n", "not expected: rule R2 was broken: the region of an active VMCS" },
    { "l0 hlt\nl0 cpuid 0\n", "test:2: l0 does not execute instructions: its activity state is 1" },
    { "cpu 1\n", "there is no processor 1" },
    { "machine memory=1M\n", "at least 4 MB of memory" },
    { "machine memory=5000000\n", "whole number of megabytes" },
    { "l0 physical read 0x80000000 8\n", "there is no RAM" },
    { "l0 prepare ept 0x400000\nl0 ept unmap 0x400000 0x100000000\n", "maps 4 GB only" },
    { "l0 prepare vmcs\n", "test:1: not expected: an event was delivered: vector 6" },
    { "repeat 100000\nrepeat 100000\nend\nend\n", "lines were executed" },
};

START_TEST(these_fail_with_a_reason)
{
    ck_assert_msg(!script_run(failing[_i].text, NULL), "passed: %s", failing[_i].text);
    ck_assert_msg(strstr(error.text, failing[_i].message) != NULL, "%s\ngives \"%s\"", failing[_i].text, error.text);
}
END_TEST

/* Hostile numbers in every place: the result may be anything but a crash. */
START_TEST(odd_operands_do_no_harm)
{
    static const char *const lines[] = {
        "l0 read 0xfffffffffffffffc 8", "l0 write 0x7fffffffffff 8 1", "l0 fetch 0x800000000000", "l0 read 0xfee00000 4",
        "l0 prepare region 0xffffffffffffffff", "l0 vmxon 0xffffffffffffffff", "l0 vmptrld 0xfffffffffffff000",
        "l0 vmclear 0xfffffffff000", "l0 vmread 0xffffffffffffffff", "l0 vmwrite 0xffffffff 1", "l0 invept 1 0xffffffffffffffff",
        "l0 invvpid 3 0xffff 0xffffffffffffffff", "l0 prepare ept 0xfffffffffffff000", "l0 prepare ept 0x3fff000",
        "l0 ept map 0xffffffffffff0000 0 0 rwx", "l0 ept entry 0 0xffffffff 1", "l0 fill 0xffffffffffffffff 1",
        "l0 mov_to_cr 8 0xffffffffffffffff", "l0 mov_to_cr 4 0xffffffffffffffff", "l0 mov_to_cr 0 0", "l0 mov_to_cr 7 1",
        "l0 mov_to_dr 7 0xffffffffffffffff", "l0 mov_from_dr 5", "l0 xsetbv 0xffffffff 0xffffffffffffffff",
        "l0 register rip 0xffffffffffffffff", "l0 register rsp 0xffffffffffffffff", "l0 register rflags 0xffffffffffffffff",
        "l0 cpl 1", "l0 cpl 2", "l0 lldt 0xffff", "l0 ltr 0xffff", "l0 lmsw 0", "l0 rsm", "l0 getsec 5", "l0 vmfunc 0 600",
        "l0 rdpmc 0xffffffff", "l0 monitor 0xffffffffffffffff", "l0 mwait", "l0 invpcid 9 1 0xffffffffffffffff",
        "l0 physical write 0xffffffffffffffff 8 1", "l0 out 0xffff 4 0xffffffff", "l0 in 0xcfc 4", "interrupt 0", "init",
        "time 0x10000000000", "l0 raise 8 0", "l0 raise 255", "l0 int 255", "l0 set proc2.enable_pml", "l0 advance",
    };
    char text[1024];
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++)
        for (unsigned setting = 0; setting < 2; setting++) {
            snprintf(text, sizeof text, "%s%s\n%s\nl0 cpuid 0\n", setting ? GUEST : "", lines[i], lines[i]);
            script_run(text, NULL);
        }
}
END_TEST

/* The same program, the same bytes. */
START_TEST(traces_repeat)
{
    static const char text[] = "machine tlb=seeded\n" GUEST "l0 vmlaunch\nl1 write 0x300000 8 1\nl1 cpuid 0\n"
                               "expect exit cpuid\n";
    char *trace[2];
    size_t length[2];
    for (unsigned i = 0; i < 2; i++) {
        FILE *file = open_memstream(&trace[i], &length[i]);
        ck_assert_msg(script_run(text, file), "%s", error.text);
        fclose(file);
    }
    ck_assert_uint_gt(length[0], 300);
    ck_assert_uint_eq(length[0], length[1]);
    ck_assert_mem_eq(trace[0], trace[1], length[0]);
    free(trace[0]);
    free(trace[1]);
}
END_TEST

/* An expectation costs nothing: with and without it, the trace is the same. */
START_TEST(looking_changes_nothing)
{
    char *trace[2];
    size_t length[2];
    static const char *const text[] = {
        GUEST "l0 vmlaunch\nl1 rdtsc\n",
        GUEST "expect ok\nl0 vmlaunch\nexpect entry ok\nexpect field guest_rip 0x200000\nexpect level l1\nl1 rdtsc\n"
              "expect register rcx 0x681a\nexpect ok\n",
    };
    for (unsigned i = 0; i < 2; i++) {
        FILE *file = open_memstream(&trace[i], &length[i]);
        ck_assert_msg(script_run(text[i], file), "%s", error.text);
        fclose(file);
    }
    ck_assert_uint_eq(length[0], length[1]);
    ck_assert_mem_eq(trace[0], trace[1], length[0]);
    free(trace[0]);
    free(trace[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scenario_run");
    TCase *tc = tcase_create("interpreter");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, these_pass, 0, sizeof passing / sizeof *passing);
    tcase_add_loop_test(tc, these_fail_with_a_reason, 0, sizeof failing / sizeof *failing);
    tcase_add_test(tc, odd_operands_do_no_harm);
    tcase_add_test(tc, traces_repeat);
    tcase_add_test(tc, looking_changes_nothing);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
