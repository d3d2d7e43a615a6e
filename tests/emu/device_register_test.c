/* SPDX-License-Identifier: MIT */
/*
 * The registers of the board's chips as their data sheets have them (8259A, 8254, 16550, MC146818, 8042, 82093AA, IA-PC HPET 1.0a, ACPI 6.4,
 * PCI 3.0): reset values, what can be written, what each command does. A dialogue is a text; numbers in it are hexadecimal, times
 * decimal nanoseconds:
 *
 *   out[SIZE] PORT VALUE     in[SIZE] PORT EXPECTED       store[SIZE] ADDRESS VALUE    load[SIZE] ADDRESS EXPECTED
 *   irq LINE LEVEL           ack VECTOR                   quiet: nothing is requested
 *   pass TIME                next TIME                    up PIN, down PIN: an input of the IOAPIC
 */
#include <inttypes.h>
#include <string.h>

#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

static bool requested(void) { return model->bus.interrupt_requested(model->bus.context, &model->cpu[0]); }
static unsigned acknowledge(void) { return model->bus.interrupt_acknowledge(model->bus.context, &model->cpu[0]); }

static void expect(const char *what, const char *step, uint64_t seen, uint64_t wanted)
{
    ck_assert_msg(seen == wanted, "%s: \"%s\": %" PRIx64, what, step, seen);
}

static void say(const char *what, const char *text)
{
    char step[64];

    while (*text) {
        size_t length = strcspn(text, ";");
        char word[16] = "", a[24] = "0", b[24] = "0";
        unsigned size;
        uint64_t at, value;

        snprintf(step, sizeof step, "%.*s", (int)length, text);
        text += length + (text[length] == ';');
        if (sscanf(step, " %15s %23s %23s", word, a, b) < 1)
            continue;
        at = strtoull(a, NULL, 16);
        value = strtoull(b, NULL, 16);
        size = word[strlen(word) - 1] >= '1' && word[strlen(word) - 1] <= '8' ? (unsigned)(word[strlen(word) - 1] - '0') : 0;
        if (!strncmp(word, "out", 3))
            out((uint16_t)at, size ? size : 1, (uint32_t)value);
        else if (!strncmp(word, "in", 2))
            expect(what, step, in((uint16_t)at, size ? size : 1) & (size == 4 ? 0xffffffff : (1u << 8 * (size ? size : 1)) - 1), value);
        else if (!strncmp(word, "store", 5))
            store(at, size ? size : 4, value);
        else if (!strncmp(word, "load", 4))
            expect(what, step, load(at, size ? size : 4), value);
        else if (!strcmp(word, "irq"))
            board_irq(board, (unsigned)at, value);
        else if (!strcmp(word, "ack"))
            expect(what, step, requested() ? acknowledge() : ~0u, at);
        else if (!strcmp(word, "quiet"))
            expect(what, step, requested(), false);
        else if (!strcmp(word, "pass"))
            pass(strtoull(a, NULL, 10));
        else if (!strcmp(word, "next"))
            expect(what, step, next_event(), strcmp(a, "never") ? strtoull(a, NULL, 10) : UINT64_MAX);
        else if (!strcmp(word, "up") || !strcmp(word, "down"))
            expect(what, step, line_up((unsigned)at), !strcmp(word, "up"));
        else
            ck_abort_msg("%s: \"%s\" is no step", what, step);
    }
}

#define PIC "out 20 11; out 21 20; out 21 4; out 21 1; out a0 11; out a1 28; out a1 2; out a1 1; out 21 0; out a1 0;"
#define EOI "out a0 20; out 20 20;"
#define INPUT(low, vector) "store fec00000 " low "; store fec00010 " vector ";"         /* an edge-triggered input of the IOAPIC: the entry's low half */
#define APIC_EOI "store fee000b0 0;"

static const struct { const char *what, *steps; } dialogues[] = {
    /* ---- 8259A ---- */
    { "pic: masked at reset", "in 21 ff; in a1 ff; irq 3 1; quiet" },
    { "pic: mask register", PIC "out 21 a5; in 21 a5; in a1 0; out a1 3c; in a1 3c; in 21 a5" },
    { "pic: IRR and ISR", PIC "irq 3 1; out 20 a; in 20 8; out 20 b; in 20 0; ack 23; in 20 8; out 20 a; in 20 0; out 20 b; out 20 8; in 20 8;"
      "out 20 68; in 20 8; out 20 9; in 20 8; out 20 48; in 20 8; out 20 a; in 20 0; out 20 8; in 20 0" },
    { "pic: an edge is latched once", PIC "irq 5 1; ack 25; out 20 20; quiet; irq 5 1; quiet; irq 5 0; irq 5 1; ack 25" },
    { "pic: ICW1 clears masks, requests and service", PIC "irq 3 1; ack 23; irq 4 1; out 21 ff; out 20 11; out 20 b; in 20 0; out 20 a; in 20 0;"
      "out 21 40; out 21 4; out 21 1; in 21 0; quiet; irq 4 0; irq 4 1; ack 44" },
    { "pic: with ICW4 and without", PIC "out 20 13; out 21 33; out 21 4; out 21 3; irq 1 1; out 21 0; ack 31; out 20 b; in 20 0;"
      "out 20 10; out 21 50; out 21 4; out 21 f7; in 21 f7; irq 3 1; ack 53; out 20 b; in 20 8" },
    { "pic: vectors are multiples of 8", PIC "out 20 11; out 21 47; out 21 4; out 21 1; irq 1 1; ack 41" },
    { "pic: automatic EOI", PIC "out 20 11; out 21 20; out 21 4; out 21 3; irq 1 1; ack 21; out 20 b; in 20 0; irq 6 1; ack 26" },
    { "pic: rotation by non-specific EOI", PIC "irq 3 1; ack 23; out 20 a0; irq 3 0; irq 3 1; irq 4 1; irq 1 1; ack 24; out 20 20; ack 21; out 20 20; ack 23" },
    { "pic: rotation by specific EOI", PIC "irq 5 1; ack 25; out 20 e5; out 20 b; in 20 0; irq 5 0; irq 5 1; irq 6 1; irq 0 1; ack 26; out 20 66; ack 20; out 20 60; ack 25" },
    { "pic: set priority", PIC "out 20 c3; irq 3 1; irq 4 1; irq 7 1; irq 0 1; ack 24; out 20 20; ack 27; out 20 20; ack 20; out 20 20; ack 23" },
    { "pic: non-specific EOI ends the highest", PIC "irq 6 1; ack 26; irq 3 1; ack 23; out 20 b; in 20 48; out 20 20; in 20 40; out 20 20; in 20 0; out 20 20; in 20 0" },
    { "pic: specific EOI ends that one", PIC "irq 6 1; ack 26; irq 3 1; ack 23; out 20 66; out 20 b; in 20 8; out 20 40; in 20 8; out 20 63; in 20 0" },
    { "pic: special mask mode", PIC "irq 3 1; ack 23; out 20 68; irq 5 1; quiet; out 21 8; ack 25; out 20 65; out 20 48; irq 6 1; quiet; out 21 0; quiet; out 20 63; ack 26" },
    { "pic: poll", PIC "out 20 c; in 20 0; irq 5 1; out 20 c; in 20 85; out 20 b; in 20 20; quiet; out 20 20; irq 9 1; out a0 c; in a0 81; quiet" },
    { "pic: spurious interrupt of the second", PIC "irq c 1; out a1 ff; quiet; out a1 0; ack 2c;" EOI "irq d 1; ack 2d; out a0 b; in a0 20; out 20 b; in 20 4;"
      EOI "in a0 0; in 20 0" },
    { "pic: a level asks as long as it is up", PIC "out 4d0 ff; in 4d0 f8; out 4d1 ff; in 4d1 de; irq 3 1; ack 23; out 20 20; ack 23; irq 3 0; out 20 20; quiet;"
      "out 4d0 0; irq 3 1; ack 23; out 20 20; quiet; out 4d0 8; ack 23" },
    { "pic: a level that goes was not meant", PIC "out 4d0 8; irq 3 1; irq 3 0; quiet; irq 4 1; irq 4 0; ack 24" },
    { "pic: ICW1 and levels", PIC "out 4d0 8; irq 3 1; " PIC "ack 23; out 20 20; ack 23" },
    { "pic: ICW1 ends special mask and rotation", PIC "out 20 68; out 20 c3;" PIC "irq 4 1; irq 3 1; ack 23; out 21 8; quiet" },

    /* ---- 8254 ---- */
    { "pit: rate generator", "out 43 34; out 40 e8; out 40 3; pass 1000000; out 43 0; in 40 27; in 40 3; pass 2000000; in 40 66; in 40 2" },
    { "pit: square wave", "out 43 36; out 40 e8; out 40 3; pass 1000000; out 43 0; in 40 27; in 40 3; out 43 e2; in 40 b6; pass 1400000; out 43 e2; in 40 36" },
    { "pit: terminal count", "out 43 30; out 43 e2; in 40 70; out 40 e8; out 40 3; out 43 e2; in 40 30; pass 838000; out 43 e2; in 40 30; pass 839000; out 43 e2; in 40 b0;"
      "out 43 0; in 40 ff; in 40 ff" },
    { "pit: low byte only", "out 43 14; out 40 64; pass 50000; in 40 29; in 40 29; out 43 e2; in 40 94; pass 100000; in 40 51" },
    { "pit: high byte only", "out 43 24; out 40 1; pass 50000; in 40 0; out 43 e2; in 40 a4; out 40 2; in 40 2; pass 50001; in 40 2; pass 51000; in 40 1" },
    { "pit: 0 is 65,536", "out 43 34; out 40 0; out 40 0; pass 1000000; out 43 0; in 40 57; in 40 fb; out 43 e2; in 40 b4" },
    { "pit: status before a count", "out 43 34; out 43 e2; in 40 f4; out 43 36; out 43 e2; in 40 f6; out 43 3c; out 43 e2; in 40 f4; out 43 3e; out 43 e2; in 40 f6;"
      "out 43 38; out 43 e2; in 40 f8; out 43 3a; out 43 e2; in 40 fa; out 43 32; out 43 e2; in 40 f2" },
    { "pit: the first latch counts", "out 43 34; out 40 e8; out 40 3; pass 1000000; out 43 0; pass 1100000; out 43 0; in 40 27; in 40 3; in 40 b0; in 40 2" },
    { "pit: read back count and status", "out 43 34; out 40 e8; out 40 3; out 43 74; out 41 e8; out 41 3; pass 1000000; out 43 ca; pass 1100000;"
      "in 40 b4; in 40 27; in 40 3; in 40 b0; in 40 2; in 41 b0; in 41 2" },
    { "pit: read back of the second", "out 43 74; out 41 e8; out 41 3; pass 1000000; out 43 d4; pass 1100000; in 41 27; in 41 3; out 43 e4; in 41 b4" },
    { "pit: control cannot be read", "in 43 ff" },
    { "pit: gate and speaker", "in 61 0; out 61 ff; in 61 3; out 61 2; in 61 2; pass 14999; in 61 2; pass 15000; in 61 12; pass 30000; in 61 2" },
    { "pit: the gate's edge begins again", "out 61 1; out 43 b0; out 42 e8; out 42 3; pass 800000; in 61 11; out 61 0; out 61 1; pass 1600000; in 61 1; pass 1700000; in 61 31;"
      "out 61 1; in 61 31" },
    { "pit: channel 2 does not interrupt", "out 61 1; out 43 b0; out 42 10; out 42 0; next never" },
    { "pit: events of modes", PIC "out 43 30; out 40 e8; out 40 3; next 838096; pass 838096; ack 20; out 20 20; next never; out 43 38; out 40 e8; out 40 3; next 1676192;"
      "out 43 32; out 40 e8; out 40 3; next never; out 43 3a; out 40 e8; out 40 3; next never; out 43 34; next never; out 40 e8; next never; out 40 3; next 1676192" },
    { "pit: periods", PIC "out 43 36; out 40 e8; out 40 3; next 838096; pass 838095; quiet; pass 838096; ack 20; out 20 20; next 1676191; pass 5000000; ack 20; out 20 20; quiet; next 5028571" },
    { "pit: unheard it costs no events", "out 43 34; out 40 e8; out 40 3; next never; " PIC "next 838096; out 21 1; next never" },

    /* ---- 16550 ---- */
    { "uart: reset", "in 3f8 0; in 3f9 0; in 3fa 1; in 3fb 0; in 3fc 0; in 3fd 60; in 3fe b0; in 3ff 0; in 2fd 60; in 2fa 1" },
    { "uart: registers", "out 3fb 5b; in 3fb 5b; out 3fc ff; in 3fc 1f; out 3f9 ff; in 3f9 f; out 3ff a5; in 3ff a5; in 2ff 0; in 2fb 0; out 2ff 5a; in 2ff 5a; in 3ff a5" },
    { "uart: divisor", "out 3fb 80; in 3f8 0; out 3f8 c; out 3f9 1; in 3f8 c; in 3f9 1; out 3fb 3; in 3f9 0; in 3f8 0; out 3fb 83; in 3f8 c; in 3f9 1" },
    { "uart: loop of the modem lines", "out 3fc 10; in 3fe b; in 3fe 0; out 3fc 11; in 3fe 22; in 3fe 20; out 3fc 12; in 3fe 13; out 3fc 14; in 3fe 45; in 3fe 40; out 3fc 18; in 3fe 8c; in 3fe 80;"
      "out 3fc 1f; in 3fe f7; in 3fe f0; out 3fc 0; in 3fe b4; in 3fe b0" },
    { "uart: loop of the data", "out 3fc 10; out 3f8 41; in 3fd 61; in 3f8 41; in 3fd 60; in 3f8 0; out 3f8 42; out 3f8 43; in 3fd 63; in 3fd 61; in 3f8 42; in 3fd 60" },
    { "uart: overrun interrupts", "out 3fc 18; out 3f9 4; in 3fa 1; out 3f8 42; in 3fa 1; out 3f8 43; in 3fa 6; up 4; in 3fd 63; in 3fa 1; down 4" },
    { "uart: FIFO", "out 3fc 10; out 3fa 1; in 3fa c1; out 3f8 1; out 3f8 2; out 3f8 3; in 3fd 61; in 3f8 1; in 3f8 2; in 3f8 3; in 3fd 60; out 3f8 4; out 3fa 3; in 3fd 60; in 3fa c1;"
      "out 3f8 5; out 3fa 1; in 3fd 61; out 3fa 0; in 3fd 60; in 3fa 1; out 3f8 6; out 3fa 0; in 3fd 61; out 3fa 2; in 3fd 60" },
    { "uart: trigger of 4", "out 3fc 10; out 3fa 41; out 3f9 1; out 3f8 1; in 3fa cc; out 3f8 1; out 3f8 1; in 3fa cc; out 3f8 1; in 3fa c4; in 3f8 1; in 3fa cc" },
    { "uart: trigger of 8", "out 3fc 10; out 3fa 81; out 3f9 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; in 3fa cc; out 3f8 1; in 3fa c4" },
    { "uart: trigger of 14", "out 3fc 10; out 3fa c1; out 3f9 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1; out 3f8 1;"
      "out 3f8 1; out 3f8 1; in 3fa cc; out 3f8 1; in 3fa c4; out 3f8 1; out 3f8 1; in 3fd 61; out 3f8 1; in 3fd 63" },
    { "uart: priorities", "out 3fc 10; in 3fe b; out 3f9 f; out 3f8 1; out 3f8 2; out 3fc 11; in 3fa 6; in 3fd 63; in 3fa 4; in 3f8 1; in 3fa 2; in 3fa 0; in 3fe 22; in 3fa 1" },
    { "uart: without FIFO every byte counts", "out 3fc 10; out 3fa c0; out 3f9 1; out 3f8 1; in 3fa 4" },
    { "uart: transmitter empty", "out 3fc 8; out 3f9 2; up 4; in 3fa 2; down 4; in 3fa 1; out 3f9 2; in 3fa 1; out 3f9 0; out 3f9 2; in 3fa 2; out 3f8 41; up 4; in 3fa 2; in 3fa 1" },
    { "uart: OUT2 gates the line", "out 3f9 2; down 4; out 3fc 8; up 4; out 3fc 7; down 4" },
    { "uart: modem changes interrupt", "out 3fc 18; in 3fe 83; out 3f9 8; down 4; out 3fc 19; up 4; in 3fa 0; in 3fe a2; down 4" },
    { "uart: the second one's line", "out 2fc 8; out 2f9 2; up 3; down 4; in 2fa 2; down 3" },

    /* ---- MC146818 ---- */
    { "cmos: reset", "out 70 a; in 71 26; out 70 b; in 71 2; out 70 c; in 71 0; out 70 d; in 71 80; in 70 ff; out 70 8d; in 71 80" },
    { "cmos: what can be written", "out 70 a; out 71 ff; in 71 7f; out 70 d; out 71 0; in 71 80; out 70 c; out 71 ff; in 71 0; out 70 7f; out 71 5a; in 71 5a; out 70 ff; in 71 5a; out 70 e; out 71 a5; in 71 a5" },
    { "cmos: out of range", "out 70 0; out 71 75; in 71 59; out 70 2; out 71 99; in 71 59; out 70 4; out 71 30; in 71 23; out 70 8; out 71 13; in 71 12; out 71 0; in 71 1; out 70 7; out 71 32; in 71 31;"
      "out 71 0; in 71 1; out 70 6; out 71 5; in 71 2" },
    { "cmos: hours of 12", "out 70 4; out 71 0; out 70 b; out 71 0; out 70 4; in 71 12; out 71 1; in 71 1; out 71 92; in 71 92; out 70 b; out 71 2; out 70 4; in 71 12; out 71 13; out 70 b; out 71 0; out 70 4; in 71 81;"
      "out 71 91; out 70 b; out 71 6; out 70 4; in 71 17; out 71 f; in 71 f" },
    { "cmos: an alarm at its hour", "out 70 1; out 71 5; out 70 3; out 71 4; out 70 5; out 71 3; out 70 b; out 71 22; next 11045000000000; pass 11044000000000; down 8; pass 11045000000000; up 8;"
      "out 70 c; in 71 f0; down 8; next 97445000000000" },
    { "cmos: an alarm of every minute", "out 70 1; out 71 10; out 70 3; out 71 ff; out 70 5; out 71 c0; out 70 b; out 71 22; next 10000000000; out 70 1; out 71 c0; next 1000000000" },
    { "cmos: an alarm that never comes", "out 70 1; out 71 61; out 70 b; out 71 22; next never" },
    { "cmos: flags without interrupts", "pass 1500000000; out 70 c; in 71 50; in 71 0; down 8; pass 1500000001; in 71 0; out 70 b; out 71 12; down 8; next 2000000000; pass 2000000000; up 8; out 70 c; in 71 d0; down 8" },
    { "cmos: enabling what is due", "pass 1500000000; out 70 b; out 71 12; up 8" },
    { "cmos: SET ends updates", "out 70 b; out 71 92; in 71 82; next never; out 71 2; in 71 2" },

    /* ---- ACPI ---- */
    { "pm: enable", "out2 602 ffff; in2 602 721; in 602 21; in 603 7; out 603 0; in2 602 21; out2 602 0; in2 602 0" },
    { "pm: control", "in2 604 1; out2 604 1fff; in2 604 1c03; out2 604 c000; in2 604 1; in2 606 0; out2 606 ffff; in2 606 0; in2 602 0; in4 60c 0" },
    { "pm: general-purpose events", "out4 624 44332211; in4 624 44332211; in 624 11; in 627 44; in 628 0; in 61f 0; out 628 ff; in 628 0; in4 620 0; out 61f ff; in4 620 0; in 63f 0; in2 602 0" },
    { "pm: timer byte by byte", "pass 5000000000; in4 608 11118fd; in 608 fd; in 609 18; in 60a 11; in 60b 1; in 607 0; in 60c 0" },

    /* ---- 8042 ---- */
    { "keyboard: reset", "in 64 14; out 64 20; in 64 1d; in 60 24; in 64 1c; out 64 d0; in 60 3" },
    { "keyboard: command byte", "out 64 60; in 64 1c; out 60 47; in 64 14; out 64 20; in 60 47; out 64 ad; out 64 20; in 60 57; out 64 ae; out 64 20; in 60 47; out 64 a7; out 64 20; in 60 67; out 64 a8; out 64 20;"
      "in 60 47; out 64 60; out 60 0; in 64 10" },
    { "keyboard: tests", "out 64 aa; in 60 55; out 64 ab; in 60 0; out 64 a9; in 60 1; out 64 c0; in 60 80; out 64 60; out 60 0; out 64 20; in 60 0; out 64 aa; in 60 55; out 64 20; in 60 4" },
    { "keyboard: self-test empties the buffer", "out 60 ee; out 64 aa; in 60 55; in 64 1c" },
    { "keyboard: output port", "out 64 d1; out 60 1; out 64 d0; in 60 1; out 64 d2; out 60 77; in 60 77; out 64 d3; out 60 78; in 64 14; out 64 d4; out 60 f4; in 64 14" },
    { "keyboard: commands", "out 60 ee; in 60 ee; out 60 ed; in 60 fa; out 60 7; in 60 fa; out 60 f3; in 60 fa; out 60 20; in 60 fa; out 60 f0; in 60 fa; out 60 0; in 60 fa; in 60 2; out 60 f0; in 60 fa; out 60 2; in 60 fa;"
      "out 60 f4; in 60 fa; out 60 f5; in 60 fa; out 60 f6; in 60 fa; out 60 ff; in 60 fa; in 60 aa; out 60 f2; in 60 fa; in 60 ab; in 60 83; out 60 1; in 60 fe; in 64 14" },
    { "keyboard: a command switches it on", "out 64 ad; out 60 ee; in 60 ee; out 64 20; in 60 24" },
    { "keyboard: interrupt", "out 60 ee; down 1; in 60 ee; out 64 60; out 60 1; down 1; out 60 ee; up 1; in 64 11; up 1; in 60 ee; down 1; in 60 ee" },
    { "keyboard: pulses but for reset", "out 64 ff; out 64 f1; in 64 1c; out 64 30; in 64 1c" },

    /* ---- 82093AA ---- */
    { "ioapic: reset", "store fec00000 1; load fec00010 170011; store fec00000 0; load fec00010 0; store fec00000 10; load fec00010 10000; store fec00000 3e; load fec00010 10000; store fec00000 3f; load fec00010 0;"
      "store fec00000 40; load fec00010 0; load fec00000 40; load fec00020 0" },
    { "ioapic: identification", "store fec00000 0; store fec00010 ffffffff; load fec00010 f000000; store fec00000 2; load fec00010 f000000; store fec00010 5000000; load fec00010 f000000; store fec00000 1; store fec00010 0;"
      "load fec00010 170011; store fec00000 0; store fec00010 5000000; load fec00010 5000000" },
    { "ioapic: entries", "store fec00000 10; store fec00010 ffffffff; load fec00010 1afff; store fec00000 11; load fec00010 0; store fec00010 ffffffff; load fec00010 ff000000; store fec00000 10; load fec00010 1afff;"
      "store fec00000 12; load fec00010 10000; store fec00000 10; store fec00010 10000; store fec00000 11; load fec00010 ff000000" },
    { "ioapic: narrow accesses", "store fec00000 1; load1 fec00010 11; load1 fec00012 17; load2 fec00012 17; store fec00002 0; load fec00000 1; store1 fec00000 10; load fec00000 10; store2 fec00000 2011; load fec00000 11; store2 fec00010 ff; store1 fec00013 ff; load fec00010 0" },
    { "ioapic: levels", "store fec00000 16; store fec00010 8055; irq 3 1; load fec00010 c055; ack 55; irq 3 1; quiet; store fee000b0 0; ack 55; irq 3 0; store fee000b0 0; quiet; load fec00010 8055" },
    { "ioapic: another's EOI", "store fec00000 16; store fec00010 8055; store fec00000 18; store fec00010 56; irq 4 1; ack 56; irq 3 1; store fee000b0 0; store fec00000 16; load fec00010 c055; ack 55; store fee000b0 0; ack 55" },
    { "ioapic: edges", "store fec00000 18; store fec00010 56; irq 4 1; ack 56; store fee000b0 0; irq 4 1; quiet; irq 4 0; quiet; irq 4 1; ack 56; store fee000b0 0; irq 4 0; store fec00010 10056; irq 4 1; store fec00010 56; quiet" },
    { "ioapic: an entry that becomes an edge's", "store fec00000 16; store fec00010 8055; irq 3 1; store fec00010 8055; load fec00010 c055; store fec00010 55; load fec00010 55" },
    { "ioapic: the timer's input", "store fec00000 14; store fec00010 60; irq 0 1; up 2; ack 60; store fec00000 10; store fec00010 61; irq 0 0; irq 0 1; store fee000b0 0; ack 60" },

    /* ---- HPET ---- */
    { "hpet: reset", "load8 fed00000 9896808086a201; load8 fed00010 0; load8 fed00020 0; load8 fed000f0 0; load8 fed00100 f0000000000030; load8 fed00120 f0000000000020; load8 fed00140 f0000000000020;"
      "load8 fed00108 ffffffffffffffff; load8 fed00148 ffffffffffffffff; load8 fed00160 0; load8 fed00110 0; load8 fed00008 0; load8 fed000f8 0; load8 fed003f8 0" },
    { "hpet: what can be written", "store8 fed00100 ffffffffffffffff; load8 fed00100 f0000000003f3e; store8 fed00120 ffffffffffffffff; load8 fed00120 f0000000003f26; store8 fed00100 0; load8 fed00100 f0000000000030;"
      "store8 fed00000 0; load8 fed00000 9896808086a201; store8 fed00010 fffffffffffffffe; load8 fed00010 2; store8 fed00148 123456789abcdef; load8 fed00148 123456789abcdef; load8 fed00128 ffffffff" },
    { "hpet: halves", "store fed0014c 11223344; load8 fed00148 11223344ffffffff; store fed00148 55667788; load8 fed00148 1122334455667788; load fed0014c 11223344; load fed00148 55667788" },
    { "hpet: undefined accesses", "load2 fed00000 0; load1 fed00000 0; load8 fed00004 0; load fed00002 0; store2 fed00148 0; store fed0014a 0; store8 fed0014c 0; load8 fed00148 ffffffffffffffff" },
    { "hpet: counter", "store8 fed000f0 64; store8 fed00010 1; pass 1009; load8 fed000f0 c8; pass 1010; load8 fed000f0 c9; store8 fed000f0 5; load8 fed000f0 5; pass 1110; load8 fed000f0 f; store8 fed00010 0; pass 2000; load8 fed000f0 f" },
    { "hpet: levels and status", "store8 fed00128 a; store8 fed00120 2806; store8 fed00010 1; pass 99; down 14; pass 100; up 14; load8 fed00020 2; store fed00024 2; up 14; store fed00020 5; up 14; store8 fed00020 2; down 14; load8 fed00020 0" },
    { "hpet: a level without interrupt", "store8 fed00128 a; store8 fed00120 2802; store8 fed00010 1; next never; pass 100; load8 fed00020 2; down 14; store8 fed00120 2806; up 14" },
    { "hpet: a level ends with the HPET, and with its route", "store8 fed00128 a; store8 fed00120 2806; store8 fed00010 1; pass 100; up 14; store8 fed00010 0; down 14; store8 fed00010 1; up 14;"
      "store8 fed00120 2a06; down 14; up 15; store8 fed00020 2; down 15" },
    { "hpet: an edge leaves no status", INPUT("38", "30") "store8 fed00128 a; store8 fed00120 2804; store8 fed00010 1; pass 99; quiet; pass 100; ack 30; load8 fed00020 0; down 14; next never; " APIC_EOI "quiet" },
    { "hpet: edges at a level-triggered input", INPUT("38", "8030") "store8 fed00128 a; store8 fed00120 2804; store8 fed00010 1; pass 100; ack 30; " APIC_EOI "quiet" },
    { "hpet: a line that others hold", "store8 fed00128 a; store8 fed00120 2806; out 2014 1; store8 fed00010 1; pass 100; up 14; store8 fed00020 2; up 14; out 2014 0; down 14;"
      "out 2014 1; store8 fed00148 14; store8 fed00140 2806; pass 300; out 2014 0; up 14; store8 fed00020 4; down 14" },
    { "hpet: timers that share a line", INPUT("38", "30") "store8 fed00128 a; store8 fed00120 2806; store8 fed00148 14; store8 fed00140 2804; store8 fed00010 1; pass 100; ack 30;" APIC_EOI
      "pass 200; quiet; up 14; store8 fed00020 2; down 14" },
    { "hpet: periodic", INPUT("3e", "30") "store8 fed00100 2e4c; store8 fed00108 64; load8 fed00108 64; store8 fed00108 32; load8 fed00108 64; store8 fed00010 1; next 1000; pass 1000; ack 30; load8 fed00108 96; next 1500; pass 3020; load8 fed00108 15e; next 3500" },
    { "hpet: periodic without accumulator", "store8 fed00100 2e0c; store8 fed00108 64; load8 fed00108 ffffffffffffffff; store8 fed00100 2e4c; store8 fed00108 32; store8 fed00108 a; load8 fed00108 32; store8 fed00100 2e04; store8 fed00108 64; load8 fed00108 64" },
    { "hpet: 32 bits", INPUT("3c", "30") "store8 fed00100 2d04; load8 fed00108 ffffffff; store8 fed00108 1200000010; load8 fed00108 10; store8 fed000f0 fffffff0; store8 fed00010 1; next 320; pass 319; quiet; pass 320; ack 30" },
    { "hpet: legacy replacement", INPUT("14", "30") INPUT("20", "31") INPUT("3a", "32") "store8 fed00108 a; store8 fed00100 4; store8 fed00128 14; store8 fed00120 4; store8 fed00148 1e; store8 fed00140 2a04; store8 fed00010 3; pass 100; ack 30; quiet; " APIC_EOI "pass 200; ack 31; quiet; " APIC_EOI "pass 300; ack 32" },
    { "hpet: legacy replacement takes the lines of PIT and clock", PIC "out 43 34; out 40 4; out 40 0; pass 4000; ack 20; " EOI "store8 fed00010 2; down 2; pass 9000; quiet; out 70 b; out 71 42; out 70 c;"
      "pass 2000000000; in 71 d0; down 8; quiet; store8 fed00010 0; up 2" },
    { "hpet: no route", "store8 fed00108 a; store8 fed00100 4; store8 fed00010 1; pass 100; down 2; down 0; down 8" },
    { "hpet: off", "store8 fed00108 a; store8 fed00100 2804; next never; store8 fed00010 1; next 100; store8 fed00010 0; next never" },

    /* ---- PCI ---- */
    { "pci: address", "out4 cf8 ffffffff; in4 cf8 80ffffff; out cf8 0; in4 cf8 80ffffff; out2 cf8 0; in4 cf8 80ffffff; in2 cf8 ffff; out4 cf8 7fffffff; in4 cfc ffffffff; in4 cf8 ffffff" },
    { "pci: host bridge", "out4 cf8 80000000; in4 cfc 29c08086; out4 cf8 80000004; in4 cfc 0; out4 cf8 80000008; in4 cfc 6000002; out4 cf8 8000000c; in4 cfc 0; out4 cf8 8000002c; in4 cfc 11001af4; out4 cf8 80000060;"
      "in4 cfc e0000001; out4 cf8 80000064; in4 cfc 0; out4 cf8 80000068; in4 cfc 0" },
    { "pci: LPC bridge", "out4 cf8 8000f800; in4 cfc 29188086; out4 cf8 8000f808; in4 cfc 6010002; out4 cf8 8000f80c; in4 cfc 800000; out4 cf8 8000f840; in4 cfc 601; out4 cf8 8000f844; in4 cfc 80; out4 cf8 8000f860; in4 cfc 80808080;"
      "out4 cf8 8000f864; in4 cfc 0; out4 cf8 8000f868; in4 cfc 80808080; out4 cf8 8000f82c; in4 cfc 11001af4" },
    { "pci: what can be written", "out4 cf8 80000004; out4 cfc ffffffff; in4 cfc 547; out4 cf8 8000003c; out4 cfc ffffffff; in4 cfc ff; out4 cf8 80000000; out4 cfc 0; in4 cfc 29c08086; out4 cf8 8000002c; out4 cfc 0; in4 cfc 11001af4;"
      "out4 cf8 80000060; out4 cfc 0; in4 cfc e0000001; out4 cf8 8000f844; out4 cfc 0; in4 cfc 80; out4 cfc ff; in4 cfc 87; out4 cf8 8000f868; out4 cfc ffffffff; in4 cfc 8f8f8f8f; out4 cf8 8000f840; out4 cfc 0; in4 cfc 601" },
    { "pci: bytes and words", "out4 cf8 80000004; out cfd ff; in4 cfc 500; out cfc 2; in4 cfc 502; out2 cfe ffff; in4 cfc 502; in cfd 5; in2 cfc 502; in2 cfe 0; out4 cf8 80000000; in2 cfe 29c0; in cff 29" },
    { "pci: nobody's functions", "out4 cf8 80000100; in4 cfc ffffffff; out4 cf8 80010000; in4 cfc ffffffff; out4 cfc 0; out4 cf8 80000800; in4 cfc ffffffff" },
    { "pci: mapped configuration space", "load e0000000 29c08086; load e00f8000 29188086; load2 e00f8002 2918; load1 e00f8003 29; load2 e00f8001 ffff; load8 e0000000 ffffffffffffffff; load e0000100 0; load e0001000 ffffffff; store e0000004 ffffffff;"
      "load e0000004 547; store1 e0000004 1; load e0000004 501; store8 e0000004 0; load e0000004 501; store2 e0000005 0; load e0000004 501; store e0000100 ffffffff; load e0000100 0; load e00000fc 0; load2 e00000fe 0" },

    /* ---- the rest ---- */
    { "fw_cfg: keys", "out2 510 3; in 511 0; in 511 0; in 511 0; in 511 4; in 511 0; out2 510 11; in 511 0; in 511 0; in 511 0; in 511 0; out2 510 5; in 511 1; in 511 0; out2 510 f; in 511 1; out2 510 4; in 511 1; in 511 0; in 510 ff;"
      "out2 510 5; in2 510 1ff; out2 510 5; in 511 1; out 511 5; in 511 0" },
    { "fw_cfg: signature, write access, widths", "out2 510 0; in 511 51; in 511 45; in 511 4d; in 511 55; in 511 0; out2 510 4000; in 511 51; out 510 3; in 511 45; out4 510 3; in 511 4d; out2 510 1; in 511 3; in 511 0" },
    { "fw_cfg: no kernel to load, interrupt 0", "out2 510 8; in 511 0; in 511 0; in 511 0; in 511 0; out2 510 17; in 511 0; out2 510 c; in 511 63; in 511 0; out2 510 8002; in 511 1; in 511 0; out2 510 8003; in 511 0; out2 510 19; in 511 0; in 511 0; in 511 0; in 511 0; in 511 0; out2 510 20; in 511 0" },
    { "control port A", "in 92 2; out 92 2; in 92 2" },
    { "test device", "out4 e0 44332211; in e0 11; in e3 44; in2 e1 3322; in 2000 ff; in f4 ff; in e9 e9; in 8900 ff; in 5e0 ff; out 2007 1; up 7; down 6; down 8; out 2007 0; down 7; out 2017 1; up 17" },
    { "test memory", "load8 ff000000 0; store8 ff000000 1122334455667788; load8 ff000000 1122334455667788; store2 ff000002 aabb; load8 ff000000 11223344aabb7788; load ff000004 11223344; store8 ff00fff8 1; load8 ff00fff8 1; load8 ff00fff9 ffffffffffffffff;"
      "load ff010000 ffffffff" },
};

START_TEST(dialogue) { say(dialogues[_i].what, dialogues[_i].steps); }
END_TEST

/* 8259A: IR0 is the highest, and the second chip stands at IR2 of the first: 0, 1, 8-15, 3-7. */
START_TEST(priorities)
{
    static const uint8_t order[] = { 0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4, 5, 6, 7 };
    const unsigned high = order[_i];

    for (unsigned i = (unsigned)_i + 1; i < sizeof order; i++) {
        const unsigned low = order[i];

        say("priorities", PIC);
        board_irq(board, low, true);
        board_irq(board, high, true);
        ck_assert(requested());
        ck_assert_uint_eq(acknowledge(), 0x20 + high);
        ck_assert_msg(!requested(), "%u while %u is served", low, high);
        say("priorities", high > 7 ? "out a0 20; out 20 20" : "out 20 20");
        ck_assert(requested());
        ck_assert_uint_eq(acknowledge(), 0x20 + low);
        board_irq(board, high, false);
        board_irq(board, high, true);
        ck_assert_msg(requested() == !(high > 7 && low > 7), "%u while %u is served", high, low);       /* IR2 itself is in service */
        board_irq(board, high, false);
        board_irq(board, low, false);
    }
}
END_TEST

/* ACPI 4.8.3.1: what software clears by writing 1; the enable register lacks bus master status and wake. */
START_TEST(pm_status_bits)
{
    const uint32_t bit = 1u << _i, clearable = 0x8731, enable = 0x0721;

    board->pm.status = 0xffff;
    out(0x600, 2, bit);
    ck_assert_uint_eq(in(0x600, 2), 0xffff & ~(bit & clearable));
    out(0x602, 2, bit);
    ck_assert_uint_eq(in(0x602, 2), bit & enable);
    board->pm.status = (uint16_t)bit;
    ck_assert_int_eq(pm_interrupt(&board->pm), (bit & enable) != 0);
}
END_TEST

/* ACPI 4.8.4.1: each general-purpose event with its own enable bit. */
START_TEST(pm_general_purpose_events)
{
    board->pm.gpe_status[_i] = 0xff;
    out(0x620 + (uint16_t)_i, 1, 0x0f);
    ck_assert_uint_eq(in(0x620, 4), 0xf0u << 8 * _i);
    ck_assert(!pm_interrupt(&board->pm));
    out(0x624 + (uint16_t)_i, 1, 0x0f);
    ck_assert(!pm_interrupt(&board->pm) && !line_up(9));
    out(0x624 + (uint16_t)_i, 1, 0x1f);
    ck_assert(pm_interrupt(&board->pm) && line_up(9));
    board->pm.control = 0;                      /* SCI_EN */
    ck_assert(!pm_interrupt(&board->pm));
}
END_TEST

static void set_cmos(unsigned index, unsigned value)
{
    out(0x70, 1, index);
    out(0x71, 1, value);
}

static unsigned cmos(unsigned index)
{
    out(0x70, 1, index);
    return in(0x71, 1);
}

/* MC146818, table 5: the period of each rate, in 1/32,768 s. */
START_TEST(cmos_rates)
{
    static const unsigned ticks[] = { 0, 128, 256, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384 };

    set_cmos(0xb, 0x42);
    set_cmos(0xa, 0x20 | (unsigned)_i);
    ck_assert_uint_eq(next_event(), _i ? ticks[_i] * 1000000000ull / 32768 : UINT64_MAX);
}
END_TEST

/* Days whose neighbours are known. The day of the week: 1 is Sunday. */
START_TEST(cmos_calendar)
{
    static const struct { uint32_t date, next; unsigned weekday; } days[] = {
        { 0x20000228, 0x20000229, 2 }, { 0x20000229, 0x20000301, 3 }, { 0x19000228, 0x19000301, 4 }, { 0x21000228, 0x21000301, 1 },
        { 0x20240228, 0x20240229, 4 }, { 0x20230228, 0x20230301, 3 }, { 0x20241231, 0x20250101, 3 }, { 0x20230131, 0x20230201, 3 },
        { 0x20230331, 0x20230401, 6 }, { 0x20230430, 0x20230501, 1 }, { 0x20230531, 0x20230601, 4 }, { 0x20230630, 0x20230701, 6 },
        { 0x20230731, 0x20230801, 2 }, { 0x20230831, 0x20230901, 5 }, { 0x20230930, 0x20231001, 7 }, { 0x20231031, 0x20231101, 3 },
        { 0x20231130, 0x20231201, 5 }, { 0x19691231, 0x19700101, 4 }, { 0x19991231, 0x20000101, 6 }, { 0x20380119, 0x20380120, 3 },
        { 0x16000228, 0x16000229, 2 }, { 0x23991231, 0x24000101, 6 }, { 0x00010131, 0x00010201, 4 },
    };
    const uint32_t date = days[_i].date;

    set_cmos(7, 1);
    set_cmos(0x32, date >> 24);
    set_cmos(9, date >> 16 & 0xff);
    set_cmos(8, date >> 8 & 0xff);
    set_cmos(7, date & 0xff);
    set_cmos(4, 0x23);
    set_cmos(2, 0x59);
    set_cmos(0, 0x59);
    ck_assert_uint_eq(cmos(0x32) << 24 | cmos(9) << 16 | cmos(8) << 8 | cmos(7), date);
    ck_assert_uint_eq(cmos(6), days[_i].weekday);
    ck_assert_uint_eq(cmos(4) << 16 | cmos(2) << 8 | cmos(0), 0x235959);
    pass(1000000000);
    ck_assert_uint_eq(cmos(0x32) << 24 | cmos(9) << 16 | cmos(8) << 8 | cmos(7), days[_i].next);
    ck_assert_uint_eq(cmos(4) << 16 | cmos(2) << 8 | cmos(0), 0);
    ck_assert_uint_eq(cmos(6), days[_i].weekday % 7 + 1);
}
END_TEST

/* The bus: who answers at the first and the last port of each range, and that nobody does before and behind it. */
START_TEST(ports_of_the_board)
{
    static const uint16_t ranges[][2] = {
        { 0x20, 0x21 }, { 0x40, 0x43 }, { 0x60, 0x61 }, { 0x64, 0x64 }, { 0x70, 0x71 }, { 0x92, 0x92 }, { 0xa0, 0xa1 }, { 0xe0, 0xe3 },
        { 0xe8, 0xe9 }, { 0xf4, 0xf7 }, { 0x2f8, 0x2ff }, { 0x3f8, 0x3ff }, { 0x4d0, 0x4d1 }, { 0x510, 0x51b }, { 0x5e0, 0x5e0 }, { 0x600, 0x63f },
        { 0xcf8, 0xcff }, { 0x2000, 0x2017 }, { 0x8900, 0x8900 },
    };
    unsigned claimed = 0;
    static const struct { uint16_t first, last; } row[] = {
#define PORTS(first, last, width, noun) { first, last },
#define MEMORY(first, last, noun)
#include "emu/device/bus.def"
#undef PORTS
#undef MEMORY
    };

    for (unsigned port = 0; port < 0x10000; port++) {
        bool wanted = false, is = false;

        for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
            wanted |= port >= ranges[i][0] && port <= ranges[i][1];
        for (unsigned i = 0; i < sizeof row / sizeof row[0]; i++)
            is |= port >= row[i].first && port <= row[i].last;
        ck_assert_msg(is == wanted, "port %x", port);
        if (!wanted)
            ck_assert_uint_eq(in((uint16_t)port, 1), 0xff);
        claimed += wanted;
    }
    ck_assert_uint_eq(claimed, 2 + 4 + 2 + 1 + 2 + 1 + 2 + 4 + 2 + 4 + 8 + 8 + 2 + 12 + 1 + 64 + 8 + 24 + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_register");
    TCase *tcase = tcase_create("registers");

    tcase_add_checked_fixture(tcase, board_setup, board_teardown);
    tcase_add_loop_test(tcase, dialogue, 0, sizeof dialogues / sizeof dialogues[0]);
    tcase_add_loop_test(tcase, priorities, 0, 15);
    tcase_add_loop_test(tcase, pm_status_bits, 0, 16);
    tcase_add_loop_test(tcase, pm_general_purpose_events, 0, 4);
    tcase_add_loop_test(tcase, cmos_rates, 0, 16);
    tcase_add_loop_test(tcase, cmos_calendar, 0, 23);
    tcase_add_test(tcase, ports_of_the_board);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
