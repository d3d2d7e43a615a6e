/* SPDX-License-Identifier: MIT */
/* Late load, what is done in L0's world, and what is handed over to the way back: hv/x86/late.c. */
#include <check.h>
#include <setjmp.h>

#include "tests/hv/image_x86.h"
#include "hv/x86/late.c"
#include "tests/suite.h"

uint64_t late_linear = IMAGE_VIRTUAL + IMAGE_LOAD, gdt_between[8192];       /* both worlds have the image at one address */
struct options options;
struct processor processors[1];
static jmp_buf back;
static uint16_t gate_selector;
static uint64_t pat, pat_in_run, nmi_due;

void left(const struct processor *p);
void left(const struct processor *p)
{
    ck_assert_ptr_eq(p, &processors[0]);
    longjmp(back, 1);
}
__asm__(".text\n.globl late_entry, late_leave, passage_nmi\nlate_entry: passage_nmi: ud2\nlate_leave: jmp left\n");

struct processor *this_processor(void) { return &processors[0]; }
bool hal_wrmsr(uint32_t index, uint64_t value)
{
    if (index == MSR_ia32_pat)
        pat = value;
    return true;
}
void gates_between(struct gate gates[3], uint64_t handler, uint16_t code)
{
    ck_assert(gates == processors[0].gates_between && handler == (uint64_t)passage_nmi);
    gate_selector = code;
}
void tables_between(const struct table_pointer *gdtr) { ck_assert_ptr_eq(gdtr, &processors[0].passage.gdtr_between); }
void tables_load(unsigned index) { ck_assert_uint_eq(index, 0); }
void write_cr0(uint64_t value) { ck_assert_uint_eq(value, START_CR0); }
void control_registers(void) {}
void hal_lock(uint32_t *lock) { ck_assert_uint_eq((*lock)++, 0); }
void hal_unlock(uint32_t *lock) { (*lock)--; }
void options_choose_strategy(void) {}
bool hv_nmi_due(void) { return nmi_due; }
void print(const char *format, ...) { (void)format; }
const char *hv_run(enum hv_strategy strategy)
{
    (void)strategy;
    pat_in_run = pat;
    return "so";
}

static struct hal_capture guest(uint16_t cs, uint32_t access_rights)
{
    struct hal_capture s = { .cr3 = 0x123005, .rip = 0x1001, .rflags = 2, .pat = 0x0100070401000104 };

    s.segment[SEG_CS] = (struct hal_guest_segment){ .selector = cs, .access_rights = access_rights };
    return s;
}

static void release(const struct hal_capture *s)
{
    if (!setjmp(back))
        hal_release(s);
}

/* NMIs find a gate on the way back, to code that runs at CPL 0 in 64-bit mode: of the guest's selectors not each is such. */
START_TEST(the_way_back_has_a_code_segment_for_cpl_0)
{
    static const struct { uint16_t selector; uint32_t access_rights; uint16_t wanted; } row[] = {
        { 0x10, 0xa09b, 0x10 }, { 0x33, 0xa0fb, 0x08 }, { 0x23, 0xc0fb, 0x08 }, { 0x18, 0xc09b, 0x08 } };
    const struct hal_capture s = guest(row[_i].selector, row[_i].access_rights);

    processors[0].passage.code = 0x08;          /* with which it asked */
    release(&s);
    ck_assert_uint_eq(processors[0].passage.code, row[_i].wanted);
    ck_assert_uint_eq(gate_selector, row[_i].wanted);
    ck_assert_uint_eq(processors[0].passage.cs, row[_i].selector);
    ck_assert_uint_eq(processors[0].passage.cr3, 0x123000);
    ck_assert_uint_eq(pat, s.pat);
}
END_TEST

/* HLT with interrupts off is executed again. */
START_TEST(a_halted_processor_is_halted_again)
{
    struct hal_capture s = guest(0x08, 0xa09b);

    s.activity = ACTIVITY_HLT;
    release(&s);
    ck_assert_uint_eq(processors[0].passage.rip, 0x1000);
    s.rflags |= RFLAGS_IF;
    release(&s);
    ck_assert_uint_eq(processors[0].passage.rip, 0x1001);
}
END_TEST

/* L0's devices are uncacheable by entry 3 of its own PAT, whatever the caller's says there; the caller has its own again. */
START_TEST(a_load_that_is_refused)
{
    processors[0].captured = guest(0x08, 0xa09b);
    processors[0].nmi = 0;
    nmi_due = (uint64_t)_i;
    if (!setjmp(back))
        late_main(&processors[0]);
    ck_assert_uint_eq(pat_in_run >> 24 & 0xff, 0);
    ck_assert_uint_eq(pat_in_run & 0xff, 6);
    ck_assert_uint_eq(pat, processors[0].captured.pat);
    ck_assert_uint_eq(processors[0].captured.registers.gpr[RAX], LATE_REFUSED);
    ck_assert_uint_eq(processors[0].nmi, nmi_due);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv image late");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, the_way_back_has_a_code_segment_for_cpl_0, 0, 4);
    tcase_add_test(tcase, a_halted_processor_is_halted_again);
    tcase_add_loop_test(tcase, a_load_that_is_refused, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
