/* SPDX-License-Identifier: MIT */
/* Instructions by their bytes, and what they are undefined without: needs.def. Also what a disassembler that is older than they are has no name for. */
#ifndef SESQUI_EMU_NEEDS_H
#define SESQUI_EMU_NEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum need_mode { MODE_ANYWHERE, MODE_LONG, MODE_LEGACY, MODE_SYSCALLS };

struct feature {
    const char *text;           /* the SDM's name of the bit; "": every processor has it */
    uint32_t leaf, subleaf;
    uint8_t out;                /* 0 to 3: EAX, EBX, ECX, EDX */
    uint8_t bit;
};

struct need {
    const char *name;
    const struct feature *feature;
    uint64_t cr4;               /* mask, or 0 */
    uint32_t control;           /* mask of the secondary processor-based controls, or 0 */
    enum need_mode mode;
};

/* What the instruction needs that begins with these bytes, in a code segment of 16, 32 or 64 bits; NULL: nothing, or it is none of needs.def.
 * What is encoded with VEX or EVEX is one kind where no row says more. */
const struct need *need_of(unsigned bits, const uint8_t *bytes, size_t length);
/* Is that need the one of a kind, whose name is no instruction's? */
bool need_is_kind(const struct need *need);
/* Is the first instruction UD0, UD1 or UD2, which are there to raise #UD?  Its name, or NULL. */
const char *undefined_by_design(const uint8_t *bytes, size_t length);

#endif
