/* SPDX-License-Identifier: MIT */
/* Messages to other processors and how they are started, by the image: hv/x86/apic.c, on a local APIC that is memory of this test. */
#include <check.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/hv/image_x86.h"
#undef TRAMPOLINE
#define TRAMPOLINE 0x20000                      /* lower is nothing that a program may have */
#include "hv/x86/apic.c"
#include "tests/suite.h"

enum { APIC = 0x30000, PLACE = 0x10000, PLACES = 0x30000 };
__asm__(".data\n.globl trampoline, trampoline_end, boot_gdt_pointer\ntrampoline: .ascii \"trampoline\"\ntrampoline_end: .byte 0xff\n"
        "boot_gdt_pointer: .ascii \"gdtptr\"\n.text\n");

/* What was done, a letter each: I, S: INIT, SIPI to all others; d: a delay's end; and all writes to the command register. */
static char done[64];
static unsigned delays, pauses, arrive;
static uint64_t apic_base, x2apic[4];
static unsigned x2apic_count, xapic_high, roots;
static bool has_apic_base, refuses, moved;
struct processor processors[4];
uint32_t processor_count = 1, processor_blocks = 1;

static volatile uint32_t *apic_word(unsigned offset) { return (volatile uint32_t *)(uint64_t)(APIC + offset); }

static void note(uint64_t icr)
{
    const char what[2] = { (icr & 0xfff) == APIC_INIT ? 'I' : (icr & 0xf00) == APIC_STARTUP ? 'S' : '?' };

    if (strlen(done) + 1 < sizeof done)
        strcat(done, what);
}

bool hal_rdmsr(uint32_t index, uint64_t *value)
{
    if (index != MSR_ia32_apic_base || !has_apic_base)
        return false;
    *value = apic_base;
    return true;
}

bool hv_apic_reached(uint64_t base)
{
    ck_assert_uint_eq(base, apic_base);
    return !moved;
}

bool hal_wrmsr(uint32_t index, uint64_t value)
{
    if (index != 0x830 || refuses)
        return false;
    x2apic[x2apic_count++ % 4] = value;
    note(value);
    return true;
}

static struct hal_cpuid leaf_0, leaf_1, leaf_b;
struct hal_cpuid hal_cpuid(uint32_t leaf, uint32_t subleaf)
{
    ck_assert_uint_eq(subleaf, 0);
    return leaf == 0 ? leaf_0 : leaf == 1 ? leaf_1 : leaf_b;
}

/* Whoever waits gives the others time: a message goes out, another processor arrives. */
void hal_pause(void)
{
    ck_assert_uint_lt(pauses++, 10000);
    if (*apic_word(ICR_LOW) & ICR_PENDING)
        xapic_high = *apic_word(ICR_HIGH);
    *apic_word(ICR_LOW) &= ~(uint32_t)ICR_PENDING;
    if (*(volatile uint32_t *)(uint64_t)(TRAMPOLINE + TRAMPOLINE_CR3)) {
        if (processor_count < 1 + *(uint32_t *)(uint64_t)(TRAMPOLINE + TRAMPOLINE_COUNT))
            processor_count++;
        else
            for (unsigned i = 1; i < 4; i++)
                if (!processors[i].self) {
                    processors[i].self = &processors[i];
                    break;
                }
    }
}

void port_out(uint16_t port, uint8_t value)
{
    ck_assert(port == DELAY_PORT && value == 0);
    delays++;
    if (arrive && (!strcmp(done, "IS") || (*apic_word(ICR_LOW) & 0xf00) == APIC_STARTUP)) {
        *(volatile uint32_t *)(uint64_t)(TRAMPOLINE + TRAMPOLINE_COUNT) = arrive;
        arrive = 0;
    }
}

uint64_t paging_root(bool la57)
{
    roots++;
    return la57 ? 0 : 0x123000;
}

static void reset(void)
{
    memset((void *)(uint64_t)PLACE, 0xcc, PLACES);
    memset((void *)(uint64_t)APIC, 0, 4096);
    memset(done, 0, sizeof done);
    memset(processors, 0, sizeof processors);
    delays = pauses = arrive = x2apic_count = roots = 0;
    has_apic_base = true;
    refuses = moved = false;
    apic_base = APIC | APIC_BASE_ENABLE | 1 << 8;
    processor_count = processor_blocks = 1;
}

/* The guest has put it where L0 does not reach it: nothing is written there, and nothing waited for. */
START_TEST(out_of_reach)
{
    moved = true;
    ck_assert(!apic_send(APIC_ONE, 1, APIC_INIT));
    ck_assert_uint_eq(*apic_word(ICR_LOW) | *apic_word(ICR_HIGH) | pauses, 0);
    apic_base |= APIC_BASE_X2APIC;
    ck_assert(!apic_send(APIC_ONE, 1, APIC_INIT) && !x2apic_count);
}
END_TEST

START_TEST(which_processor_this_is)
{
    leaf_0.eax = 0xb;
    leaf_b = (struct hal_cpuid){ .ebx = 1, .edx = 0x12345 };
    leaf_1.ebx = 0x67000000;
    ck_assert_uint_eq(apic_id(), 0x12345);
    leaf_b.ebx = 0;
    ck_assert_uint_eq(apic_id(), 0x67);
    leaf_b.ebx = 1;
    leaf_0.eax = 0xa;
    ck_assert_uint_eq(apic_id(), 0x67);
}
END_TEST

START_TEST(a_message_in_xapic_mode_leaves_the_high_half_as_it_was)
{
    reset();
    *apic_word(ICR_HIGH) = 0x05000000;
    ck_assert(apic_send(APIC_ONE, 3, APIC_NMI));
    ck_assert_uint_eq(*apic_word(ICR_LOW), APIC_NMI | ICR_ASSERT);
    ck_assert_uint_eq(*apic_word(ICR_HIGH), 0x05000000);
    ck_assert_uint_eq(pauses, 0);
    *apic_word(ICR_LOW) = ICR_PENDING;          /* one of the guest's is on its way: it goes out first, where the guest wanted it */
    ck_assert(apic_send(APIC_OTHERS, 0, APIC_INIT));
    ck_assert_uint_eq(pauses, 1);
    ck_assert_uint_eq(xapic_high, 0x05000000);
    ck_assert_uint_eq(*apic_word(ICR_LOW), APIC_INIT | ICR_ASSERT | ICR_OTHERS);
    ck_assert_uint_eq(x2apic_count, 0);
}
END_TEST

START_TEST(a_message_in_x2apic_mode_is_one_write)
{
    reset();
    apic_base |= APIC_BASE_X2APIC;
    ck_assert(apic_send(APIC_ONE, 0x12345, APIC_INIT));
    ck_assert_uint_eq(x2apic_count, 1);
    ck_assert_uint_eq(x2apic[0], 0x12345ull << 32 | APIC_INIT | ICR_ASSERT);
    ck_assert_uint_eq(*apic_word(ICR_LOW), 0);
    refuses = true;
    ck_assert(!apic_send(APIC_ONE, 1, APIC_INIT));
}
END_TEST

START_TEST(a_disabled_local_apic_sends_nothing)
{
    reset();
    apic_base &= ~(uint64_t)APIC_BASE_ENABLE;
    ck_assert(!apic_send(APIC_ONE, 1, APIC_INIT));
    reset();
    has_apic_base = false;
    ck_assert(!apic_send(APIC_ONE, 1, APIC_INIT));
    ck_assert(*apic_word(ICR_LOW) == 0 && x2apic_count == 0);
}
END_TEST

START_TEST(a_kick_goes_to_a_processor_that_there_is)
{
    reset();
    processor_blocks = 2;
    processors[1].apic_id = 9;
    apic_base |= APIC_BASE_X2APIC;
    ck_assert(hal_kick(1, HAL_KICK_INIT) && x2apic[0] == (9ull << 32 | APIC_INIT | ICR_ASSERT));
    ck_assert(hal_kick(1, HAL_KICK_NMI) && x2apic[1] == (9ull << 32 | APIC_NMI | ICR_ASSERT));
    ck_assert(!hal_kick(2, HAL_KICK_INIT) && x2apic_count == 2);
    apic_base = 0;
    ck_assert(!hal_kick(1, HAL_KICK_INIT));
}
END_TEST

START_TEST(the_other_processors_are_started_counted_and_let_go)
{
    reset();
    arrive = 3;
    ck_assert_uint_eq(processors_start(), 4);
    *apic_word(ICR_LOW) = 0;
    ck_assert(!memcmp((void *)(uint64_t)TRAMPOLINE, "trampoline\xcc", 11));
    ck_assert(!memcmp((void *)(uint64_t)(TRAMPOLINE + TRAMPOLINE_GDT), "gdtptr\xcc", 7));
    ck_assert_uint_eq(delays, INIT_DELAY + 2 * STARTUP_DELAY + ARRIVAL_DELAY);
    ck_assert_uint_eq(*(uint32_t *)(uint64_t)(TRAMPOLINE + TRAMPOLINE_CR3), 0);
    processors_release();
    ck_assert_uint_eq(*(uint32_t *)(uint64_t)(TRAMPOLINE + TRAMPOLINE_CR3), 0x123000);
    ck_assert(processor_count == 4 && processor_blocks == 4);
    for (unsigned i = 1; i < 4; i++)            /* none is in the page any more */
        ck_assert_ptr_nonnull(processors[i].self);

    reset();
    apic_base |= APIC_BASE_X2APIC;
    arrive = 1;
    ck_assert_uint_eq(processors_start(), 2);
    ck_assert_str_eq(done, "ISS");
    ck_assert_uint_eq(x2apic[1], APIC_STARTUP | TRAMPOLINE >> 12 | ICR_ASSERT | ICR_OTHERS);
    processors_stop();
    ck_assert_str_eq(done, "ISSI");
    ck_assert_uint_eq(delays, 2 * INIT_DELAY + 2 * STARTUP_DELAY + ARRIVAL_DELAY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv image apic");
    TCase *tcase = tcase_create("all");

    if (mmap((void *)(uint64_t)PLACE, PLACES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)(uint64_t)PLACE)
        return 1;
    tcase_add_test(tcase, out_of_reach);
    tcase_add_test(tcase, which_processor_this_is);
    tcase_add_test(tcase, a_message_in_xapic_mode_leaves_the_high_half_as_it_was);
    tcase_add_test(tcase, a_message_in_x2apic_mode_is_one_write);
    tcase_add_test(tcase, a_disabled_local_apic_sends_nothing);
    tcase_add_test(tcase, a_kick_goes_to_a_processor_that_there_is);
    tcase_add_test(tcase, the_other_processors_are_started_counted_and_let_go);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
