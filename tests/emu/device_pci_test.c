/* SPDX-License-Identifier: MIT */
/* The PCI bus, the bus decoder, the keyboard controller, level-triggered PIC lines; and that bus.def is sorted and free of overlaps. */
#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

static uint32_t config(unsigned device, unsigned function, unsigned offset)
{
    out(0xcf8, 4, 0x80000000u | device << 11 | function << 8 | offset);
    return in(0xcfc, 4);
}

START_TEST(configuration)
{
    ck_assert_uint_eq(config(0, 0, 0), 0x29c08086);
    ck_assert_uint_eq(config(0, 0, 8) >> 8, 0x060000);
    ck_assert_uint_eq(config(31, 0, 0), 0x29188086);
    ck_assert_uint_eq(in(0xcf8, 4), 0x80000000u | 31 << 11);    /* reads back what was written */
    ck_assert_uint_eq(in(0xcfe, 2), 0x2918);
    out(0xcf8, 4, 0x80000000u | 31 << 11 | 2);                  /* the register's low bits in the address */
    ck_assert_uint_eq(in(0xcfc, 2), 0x2918);
    ck_assert_uint_eq(in(0xcfe, 2), 0x2918);
    ck_assert_uint_eq(in(0xcfc, 4), 0x29188086);                /* no access goes beyond the double word */
    out(0xcf8, 4, 0x80000000u | 31 << 11);
    ck_assert_uint_eq(in(0xcfd, 1), 0x80);
    ck_assert_uint_eq(config(5, 0, 0), ~0u);                    /* nothing is there */
    ck_assert_uint_eq(config(31, 1, 0), ~0u);
    out(0xcf8, 4, 0);                                           /* not enabled */
    ck_assert_uint_eq(in(0xcfc, 4), ~0u);
    ck_assert_uint_eq(load(ECAM_BASE + (31 << 15), 4), 0x29188086);
    ck_assert_uint_eq(load(ECAM_BASE + (31 << 15) + 2, 2), 0x2918);
    ck_assert_uint_eq(load(ECAM_BASE + (31 << 15) + 0x100, 4), 0);      /* beyond 256 bytes */
    ck_assert_uint_eq(load(ECAM_BASE + (1 << 20), 4), ~0u);     /* bus 1 */
}
END_TEST

START_TEST(writable_bits)
{
    ck_assert_uint_eq(config(31, 0, 0x60), 0x80808080);
    out(0xcfc, 4, 0xffffff0b);
    ck_assert_uint_eq(in(0xcfc, 4), 0x8f8f8f0b);
    ck_assert_int_eq(pci_route(&board->pci, 0), 11);
    ck_assert_int_eq(pci_route(&board->pci, 1), -1);
    config(31, 0, 0);
    out(0xcfc, 4, 0);
    ck_assert_uint_eq(in(0xcfc, 4), 0x29188086);
    store(ECAM_BASE + (31 << 15) + 0x3c, 1, 0x55);
    ck_assert_uint_eq(config(31, 0, 0x3c), 0x55);
}
END_TEST

/* ICH9, 13.1: PIRQA to D at 60H, PIRQE to H at 68H; bit 7 is "not routed". */
START_TEST(routes)
{
    for (unsigned pirq = 0; pirq < 8; pirq++) {
        ck_assert_int_eq(pci_route(&board->pci, pirq), -1);
        store(ECAM_BASE + (31 << 15) + (pirq < 4 ? 0x60 : 0x64) + pirq, 1, 3 + pirq);
        for (unsigned other = 0; other < 8; other++)
            ck_assert_int_eq(pci_route(&board->pci, other), other <= pirq ? (int)(3 + other) : -1);
    }
    store(ECAM_BASE + (31 << 15) + 0x68, 1, 0x87);
    ck_assert_int_eq(pci_route(&board->pci, 4), -1);
}
END_TEST

START_TEST(reset_control)
{
    out(0xcf9, 1, 2);
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    ck_assert_uint_eq(in(0xcf9, 1), 2);
    out(0xcf9, 1, 0xfb);                    /* bit 2 alone resets; 7:4 and 0 are reserved */
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    ck_assert_uint_eq(in(0xcf9, 1), 0xa);
    out(0xcf8, 4, ~0u);                     /* an address, no reset */
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    out(0xcf9, 1, 6);
    ck_assert_int_eq(board->end, BOARD_RESET);
}
END_TEST

START_TEST(interrupt_lines)
{
    ck_assert_uint_eq(pci_pirq(1, 1), 1);
    ck_assert_uint_eq(pci_pirq(31, 4), (31 + 3) % 8);
    const struct pci_identity identity = { 0x1234, 1, 2, 3, 0, 0x020000 };
    unsigned first = pci_plug(&board->pci, &identity), second = pci_plug(&board->pci, &identity);
    while (pci_plug(&board->pci, &identity) != PCI_NOBODY)
        ;
    ck_assert_uint_eq(config(1, 0, 0), 0x00011234);
    ck_assert_uint_eq(config(16, 0, 0x2c), 0x00030002);
    ck_assert_uint_eq(config(17, 0, 0), ~0u);                   /* the bus is full */
    pci_request(&board->pci, first, true);
    pci_request(&board->pci, first + 8, true);                  /* on the same PIRQ */
    pci_request(&board->pci, second, true);
    board_pci_lines(board);
    ck_assert(line_up(17) && line_up(18) && !line_up(19));
    pci_request(&board->pci, first, false);
    board_pci_lines(board);
    ck_assert(line_up(17));                                     /* the other one holds it */
    pci_request(&board->pci, first + 8, false);
    board_pci_lines(board);
    ck_assert(!line_up(17) && line_up(18));
}
END_TEST

/* A wider access covers the neighbours, of whatever device; one that a device takes whole is not split. */
START_TEST(wide_accesses)
{
    out(0xe0, 4, 0x11223344);
    ck_assert_uint_eq(in(0xe1, 4), 0xff112233);     /* 0xe4: nobody */
    ck_assert_uint_eq(in(0xe8, 2), 0xe9ff);         /* 0xe9 is the debug console */
    pass(1000000);
    ck_assert_uint_eq(in(0x608, 2), in(0x608, 4) & 0xffff);
}
END_TEST

/* The decoder searches by halves. */
START_TEST(bus_table)
{
    static const struct { uint64_t first, last; } row[] = {
#define PORTS(first, last, width, noun) { first, last },
#define MEMORY(first, last, noun) { first, last },
#include "emu/device/bus.def"
#undef PORTS
#undef MEMORY
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        ck_assert_uint_le(row[i].first, row[i].last);
        ck_assert(i == 0 || row[i - 1].last < row[i].first);
    }
}
END_TEST

START_TEST(keyboard)
{
    out(0x64, 1, 0xaa);
    ck_assert_uint_eq(in(0x64, 1) & 1, 1);
    ck_assert_uint_eq(in(0x60, 1), 0x55);
    ck_assert_uint_eq(in(0x64, 1) & 1, 0);
    out(0x64, 1, 0x60);
    out(0x60, 1, 0x65);
    out(0x64, 1, 0x20);
    ck_assert_uint_eq(in(0x60, 1), 0x65);
    out(0x60, 1, 0xf2);
    ck_assert(line_up(1));
    ck_assert_uint_eq(in(0x60, 1), 0xfa);
    ck_assert_uint_eq(in(0x60, 1), 0xab);
    ck_assert_uint_eq(in(0x60, 1), 0x83);
    ck_assert(!line_up(1));
    for (unsigned i = 0; i < 100; i++)
        out(0x60, 1, 0xff);                 /* its queue is bounded */
    out(0x64, 1, 0xd1);
    out(0x60, 1, 0x03);
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    out(0x64, 1, 0xd1);
    out(0x60, 1, 0x02);                     /* the reset line of the output port */
    ck_assert_int_eq(board->end, BOARD_RESET);
}
END_TEST

static void init_pic(void)
{
    static const struct { uint16_t port; uint8_t value; } write[] = {
        { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 }, { 0xa0, 0x11 }, { 0xa1, 0x28 }, { 0xa1, 2 }, { 0xa1, 1 },
        { 0x21, 0 }, { 0xa1, 0 },
    };
    for (unsigned i = 0; i < sizeof write / sizeof write[0]; i++)
        out(write[i].port, 1, write[i].value);
}

START_TEST(level_triggered)
{
    init_pic();
    out(0x4d1, 1, 0xff);
    ck_assert_uint_eq(in(0x4d1, 1), 0xde);  /* IRQ 8 and 13 are always edge-triggered */
    out(0x200b, 4, 1);
    ck_assert_uint_eq(pic_acknowledge(&board->pic), 0x2b);
    out(0xa0, 1, 0x20);
    out(0x20, 1, 0x20);
    ck_assert(pic_requests(&board->pic));   /* still up */
    out(0x200b, 4, 0);
    ck_assert(!pic_requests(&board->pic));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_pci");
    TCase *tcase = tcase_create("pci");
    tcase_add_checked_fixture(tcase, board_setup, board_teardown);
    tcase_add_test(tcase, configuration);
    tcase_add_test(tcase, writable_bits);
    tcase_add_test(tcase, routes);
    tcase_add_test(tcase, reset_control);
    tcase_add_test(tcase, interrupt_lines);
    tcase_add_test(tcase, wide_accesses);
    tcase_add_test(tcase, bus_table);
    tcase_add_test(tcase, keyboard);
    tcase_add_test(tcase, level_triggered);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
