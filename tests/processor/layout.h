/* SPDX-License-Identifier: MIT */
/* Offsets that entry.S and the C files share: struct start and struct record of program.h. */
#ifndef SESQUI_TESTS_PROCESSOR_LAYOUT_H
#define SESQUI_TESTS_PROCESSOR_LAYOUT_H

#define START_GPRS 0
#define START_FRAME 64
#define START_CR0 104
#define START_CR4 112
#define START_SEGMENTS 120
#define START_TR 136
#define START_LDTR 140
#define START_GDTR 144
#define START_IDTR 154
#define RECORD_SIZE 272

#endif
