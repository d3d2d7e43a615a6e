/* SPDX-License-Identifier: MIT */
/* Late load: what is read of the caller's descriptor tables, and which processor asks: hv/x86/arrival.c. */
#include <check.h>
#include <string.h>

#include "tests/hv/image_x86.h"
#include "hv/x86/arrival.c"
#include "tests/suite.h"

__asm__(".data\n.globl image_start, passage_nmi\nimage_start: .byte 0\npassage_nmi: .byte 0\n.text\n");
struct processor processors[3];
uint32_t processor_count = 3, processor_blocks = 2;
uint64_t gdt_between[8192];
static unsigned id;
static char said[200];

unsigned apic_id(void) { return id; }
bool execute_disable(void) { return true; }
void print(const char *format, ...) { strcpy(said, format); }
uint64_t paging_root(bool la57) { return la57; }
uint64_t hal_read_cr4(void) { return 0; }
void hal_write_cr4(uint64_t value) { (void)value; }
uint64_t read_cr0(void) { return 0; }
uint64_t read_cr3(void) { return 0; }
void write_cr0(uint64_t value) { (void)value; }
struct hal_table store_gdtr(void) { return (struct hal_table){ 0 }; }
struct hal_table store_idtr(void) { return (struct hal_table){ 0 }; }
void gates_between(struct gate gates[3], uint64_t handler, uint16_t code) { gates[0].selector = code, gates[0].offset_low = (uint16_t)handler; }

START_TEST(segments_are_what_their_descriptors_say)
{
    static const uint64_t table[] = {
        0, 0x00af9a000000ffff, 0x12cf92345678abcd, 0x0040f30000010fff, 0x12408b345678ffff, 0x00000000fedcba98 /* a busy TSS, 16 bytes */,
        0x00cf12000000ffff /* not present */, 0x000002000000ffff /* an LDT, not present */, 0, 0x0000820000000027, 0, 0x0000820000000027,
        0x00cf93000000ffff /* beyond the limit */ };
    const struct hal_table gdt = { (uint64_t)table, sizeof table - 9 };
    const struct { uint16_t selector; bool system; uint32_t rights, limit; uint64_t base; } row[] = {
        { 0x08, false, 0xa09b, 0xffffffff, 0 },                         /* it has been loaded: accessed */
        { 0x10, false, 0xc093, 0xfabcdfff, 0x12345678 },                /* pages of 4 KB */
        { 0x1b, false, 0x40f3, 0x0fff, 0x0001 },
        { 0x20, true, 0x408b, 0xffff, 0xfedcba9812345678 },
        { 0x48, true, 0x82, 0x27, 0 },
        { 0x00, false, AR_UNUSABLE }, { 0x03, false, AR_UNUSABLE },     /* null selectors */
        { 0x30, false, AR_UNUSABLE }, { 0x38, true, AR_UNUSABLE },      /* not present */
        { 0x20, false, AR_UNUSABLE }, { 0x10, true, AR_UNUSABLE },      /* of the other kind */
        { 0x60, false, AR_UNUSABLE }, { 0x58, true, AR_UNUSABLE },      /* beyond the limit, also in half */
    };

    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        const struct hal_guest_segment s = segment_of(row[i].selector, gdt, row[i].system);
        ck_assert_msg(s.selector == row[i].selector && s.access_rights == row[i].rights && s.limit == row[i].limit && s.base == row[i].base,
                      "selector %x: rights %x, limit %x, base %llx", row[i].selector, s.access_rights, s.limit, (unsigned long long)s.base);
    }
}
END_TEST

START_TEST(a_processor_is_found_by_its_local_apic)
{
    processors[0].apic_id = 4;
    processors[1].apic_id = 9;
    processors[2].apic_id = 11;
    id = 4;
    ck_assert_ptr_eq(find(), &processors[0]);
    id = 9;
    ck_assert_ptr_eq(find(), &processors[1]);
    ck_assert_str_eq(said, "");
    id = 11;                                    /* one that the image has no place for */
    ck_assert_ptr_null(find());
    ck_assert_ptr_nonnull(strstr(said, "load refused: more processors than the image is built for"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv image arrival");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, segments_are_what_their_descriptors_say);
    tcase_add_test(tcase, a_processor_is_found_by_its_local_apic);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
