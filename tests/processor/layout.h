/* SPDX-License-Identifier: MIT */
/* What the assembly and the C files share: offsets into struct start and struct record of program.h, selectors of the harness. */
#ifndef SESQUI_TESTS_PROCESSOR_LAYOUT_H
#define SESQUI_TESTS_PROCESSOR_LAYOUT_H

#define START_GPRS 0
#define START_FRAME 64
#define START_CR0 104
#define START_CR3 112
#define START_CR4 120
#define START_DR 128
#define START_DR7 160
#define START_SEGMENTS 168
#define START_TR 184
#define START_LDTR 188
#define START_GDTR 192
#define START_IDTR 202

#define RECORD_VECTOR 0
#define RECORD_ERROR 8
#define RECORD_GPRS 16
#define RECORD_FRAME 144
#define RECORD_SEGMENTS 184
#define RECORD_LDTR 224
#define RECORD_TR 232
#define RECORD_FS_BASE 240
#define RECORD_GS_BASE 248
#define RECORD_CR2 256
#define RECORD_DR6 264
#define RECORD_DR7 272
#define RECORD_CR0 280
#define RECORD_CR3 288
#define RECORD_CR4 296
#define RECORD_SIZE 304

/* Code at privilege level 0 that every GDT has, of 64 and of 32 bits, and flat data. */
#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_CODE32 0x18

#endif
