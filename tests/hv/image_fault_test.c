/* SPDX-License-Identifier: MIT */
/* Exceptions of L0 itself in the image: hv/x86/fault.c. Machine checks among them, which no machine here raises. */
#include <check.h>
#include <setjmp.h>
#include <string.h>

#include "tests/hv/image_x86.h"
#include "hv/x86/fault.c"
#include "tests/suite.h"

/* What world.S has: code between the look for an NMI and the entry, and where an NMI there goes on. And announced exceptions. */
__asm__(".text\n.globl world_last_look, world_entered, world_nmi\n"
        "world_last_look: nop\nnop\nnop\nworld_entered: nop\nworld_nmi: nop\n"
        ".data\n.globl fixups, fixups_end\nfixups: .quad 0x1000, 0x2000, 0x3000, 0x4000\nfixups_end: .quad 0x5000, 0x6000\n.text\n");

static struct processor self;
static uint64_t mcg_status;
static bool has_mcg;
static jmp_buf stopped_here;
static char why_stopped[100], said[200];

struct processor *this_processor(void) { return &self; }
bool hal_rdmsr(uint32_t index, uint64_t *value)
{
    *value = mcg_status;
    return has_mcg && index == MSR_ia32_mcg_status;
}
uint64_t read_cr2(void) { return 0x1234; }
void print(const char *format, ...) { strcpy(said, format); }
_Noreturn void stop(const char *what, const char *why)
{
    strcpy(why_stopped, *what ? why : "");
    longjmp(stopped_here, 1);
}

/* As vectors.S leaves it: an instruction at `rip` was interrupted, whose stack is `stack`. */
static uint64_t stack[4];
static struct frame frame_of(uint64_t vector, uint64_t rip)
{
    self.nmi = 0;
    memset(stack, 0, sizeof stack);
    said[0] = why_stopped[0] = 0;
    return (struct frame){ .vector = vector, .rip = rip, .rsp = (uint64_t)&stack[2] };
}

START_TEST(an_nmi_is_remembered)
{
    const uint64_t look = (uint64_t)world_last_look, entered = (uint64_t)world_entered, nmi_at = (uint64_t)world_nmi;
    const struct { uint64_t rip, goes_on; } row[] = {
        { look - 1, look - 1 }, { look, nmi_at }, { look + 1, nmi_at }, { entered - 1, nmi_at }, { entered, entered }, { 0x1000, 0x1000 } };

    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        struct frame frame = frame_of(VECTOR_NMI, row[i].rip);
        self.nmi = HAL_MACHINE_CHECK;
        exception(&frame);
        ck_assert_uint_eq(self.nmi, HAL_NMI | HAL_MACHINE_CHECK);
        ck_assert_uint_eq(frame.rip, row[i].goes_on);
        ck_assert_uint_eq(frame.rsp, (uint64_t)&stack[1]);
        ck_assert_uint_eq(stack[1], row[i].goes_on);            /* to which vectors.S returns without IRET */
    }
}
END_TEST

START_TEST(a_machine_check_from_which_one_can_go_on_is_the_guests)
{
    struct frame frame = frame_of(VECTOR_MC, 0x7777);

    has_mcg = true;
    mcg_status = MCG_RIPV | 4;
    exception(&frame);
    ck_assert_uint_eq(self.nmi, HAL_MACHINE_CHECK);
    ck_assert(frame.rip == 0x7777 && stack[1] == 0x7777);
    for (unsigned i = 0; i < 2; i++) {
        mcg_status = i ? 4 : MCG_RIPV;
        has_mcg = i;
        frame = frame_of(VECTOR_MC, 0x7777);
        if (!setjmp(stopped_here)) {
            exception(&frame);
            ck_abort_msg("L0 goes on");
        }
        ck_assert_uint_eq(self.nmi, 0);
        ck_assert_str_eq(why_stopped, "an exception that it did not expect");
    }
    mcg_status = MCG_RIPV;                      /* what that says is about machine checks */
    has_mcg = true;
    frame = frame_of(13, 0x7777);
    if (!setjmp(stopped_here)) {
        exception(&frame);
        ck_abort_msg("L0 goes on");
    }
    ck_assert_uint_eq(self.nmi, 0);
}
END_TEST

START_TEST(announced_exceptions_go_on_elsewhere_and_others_stop)
{
    const struct { uint64_t rip, goes_on; } row[] = { { 0x1000, 0x2000 }, { 0x3000, 0x4000 } };

    for (unsigned i = 0; i < 2; i++) {
        struct frame frame = frame_of(13, row[i].rip);
        exception(&frame);
        ck_assert(frame.rip == row[i].goes_on && frame.rsp == (uint64_t)&stack[2] && !self.nmi);
    }
    struct frame frame = frame_of(13, 0x5000);  /* behind the table's end */
    if (!setjmp(stopped_here)) {
        exception(&frame);
        ck_abort_msg("L0 goes on");
    }
    ck_assert_str_eq(why_stopped, "an exception that it did not expect");
    ck_assert_ptr_nonnull(strstr(said, "exception %u in L0"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv image fault");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, an_nmi_is_remembered);
    tcase_add_test(tcase, a_machine_check_from_which_one_can_go_on_is_the_guests);
    tcase_add_test(tcase, announced_exceptions_go_on_elsewhere_and_others_stop);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
