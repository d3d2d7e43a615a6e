/* SPDX-License-Identifier: MIT */
/* More processors than bits in a word. Each of them knows the page that is given, by a translation that covers its neighbour too. */
#include "scenarios/guests/storm/storm.h"

enum { OTHERS = 65, GIVEN = 0 };

static volatile _Alignas(2 * PAGE) uint8_t page[2 * PAGE];
static volatile unsigned arrived, loaded;
static volatile bool given, over;
static volatile unsigned behind;                /* have gone on since */

static void stand_by(unsigned number)
{
    (void)number;
    __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
    while (!given)
        (void)page[PAGE];
    __atomic_add_fetch(&behind, 1, __ATOMIC_SEQ_CST);
    WAIT_UNTIL(over);
}

static void load_and_stand_by(unsigned number)
{
    if (storm_load() == LATE_DONE)
        __atomic_add_fetch(&loaded, 1, __ATOMIC_SEQ_CST);
    stand_by(number);
}

static void give_beneath(void)
{
    WAIT_UNTIL(arrived == OTHERS);
    expect("give a page", give(page), GIVEN);
    given = true;
    WAIT_UNTIL(behind == OTHERS);
    expect("give it again", give(page), 1);     /* it is L1's no more */
    over = true;
    others_await(OTHERS);
}

void case_crowd(void)
{
    others_start(stand_by);
    give_beneath();
}

void case_crowd_late(void)
{
    others_start(load_and_stand_by);
    expect("load", storm_load(), LATE_DONE);
    WAIT_UNTIL(arrived == OTHERS);
    expect("loaded", loaded, OTHERS);
    expect("finalise", call(LATE_FINALISE), LATE_DONE);
    give_beneath();
}
