/* SPDX-License-Identifier: MIT */
/* What the files of this program share: the two processors, L0 as it is asked, and what was expected. */
#ifndef SESQUI_GUESTS_STORM_H
#define SESQUI_GUESTS_STORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/late.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/lib/second.h"

#define CASE(name, text) void case_##name(void);
#include "scenarios/guests/storm/cases.def"
#undef CASE

enum { UNDEFINED = 0x106 };                     /* ask(): the VMCALL was #UD */

/* NULL: nobody offers L0. */
extern late_load *volatile storm_load;
void expect(const char *what, uint64_t value, uint64_t wanted);
/* VMCALL: its answer, or 0x100 and the vector of the exception. */
uint64_t ask(uint64_t rax, uint64_t rbx);
static inline uint64_t call(uint64_t function) { return ask(LATE_CALL, function); }
/* Gives L0 a page (docs/core.md). */
uint64_t give(const volatile void *page);

/* Starts the other processors: each runs this, with its number from 1 on. */
void others_start(void (*body)(unsigned number));
/* The body is done. */
void others_await(unsigned count);
#define WAIT_UNTIL(condition) while (!(condition)) __asm__ volatile("pause" : : : "memory")

/* ---- nmi.c ---- */
/* NMIs go to a handler that counts them, and calls this. */
void nmis_count(void);
extern volatile uint64_t nmis_taken;
extern void (*volatile nmi_action)(void);
/* Body of the other processor: NMIs for the first one, each when the one before was taken, until storm_over. */
void nmis_send(unsigned number);
extern volatile bool storm_over;
extern volatile uint64_t nmis_sent;
/* Ends the storm, and says what came of it. */
void storm_end(void);

#endif
