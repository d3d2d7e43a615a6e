/* SPDX-License-Identifier: MIT */
/*
 * Where the image is and how its per-processor block looks: constants that C, assembly and the linker script share.
 *
 *   linear                               physical
 *   0 ...                                the same: all of memory, read and write
 *   IMAGE_VIRTUAL + IMAGE_LOAD ...       the image: where the boot loader put it, then its copy in L0's pool
 */
#ifndef SESQUI_HV_X86_LAYOUT_H
#define SESQUI_HV_X86_LAYOUT_H

#define IMAGE_VIRTUAL 0xffffffff80000000
#define IMAGE_LOAD 0x100000
/* The page below 1 MB where other processors start: SIPI vector 8. */
#define TRAMPOLINE 0x8000
#define TRAMPOLINE_COUNT 0xfe8                 /* processors that have come there; they wait for CR3 */
#define TRAMPOLINE_CR3 0xff0
#define TRAMPOLINE_GDT 0xff8

/* Of a pool that an operating system gives: bytes beside the image, and for each processor but the first. */
#define SMALLEST_POOL 0x400000
#define POOL_PER_PROCESSOR (PROCESSOR_SIZE + 0xc0000)

/* Selectors of L0's GDT: those of the model's back end, so that traces compare. */
#define SELECTOR_CODE_32 0x08
#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS 0x20
#define CODE_DESCRIPTOR 0x00af9b000000ffff     /* 64-bit code, CPL 0 */

/* Most processors that the image takes: HV_CPUS of hv/core.h. */
#ifndef PROCESSORS
#define PROCESSORS 128
#endif

/*
 * struct processor, aligned to its size: whoever runs on its stack finds it. The first is the end of the image; in the pool the others
 * follow. The frame is the top of the stack on which VM exits
 * begin: see world.S. The passage is what late load needs: passage.S.
 */
#define PROCESSOR_SIZE 0x20000
#define PROCESSOR_NMI 21
#define PROCESSOR_FRAME 128
#define PROCESSOR_CAPTURED 144
#define PROCESSOR_PASSAGE 640
#define PASSAGE_CR3 (PROCESSOR_PASSAGE + 0)
#define PASSAGE_CR4 (PROCESSOR_PASSAGE + 8)
#define PASSAGE_DR7 (PROCESSOR_PASSAGE + 16)
#define PASSAGE_CODE (PROCESSOR_PASSAGE + 24)
#define PASSAGE_FRAME (PROCESSOR_PASSAGE + 32)
#define PASSAGE_IDTR (PROCESSOR_PASSAGE + 72)
#define PASSAGE_GDTR_BETWEEN (PROCESSOR_PASSAGE + 88)
#define PASSAGE_IDTR_BETWEEN (PROCESSOR_PASSAGE + 104)
#define PROCESSOR_STACK_TOP 0x10000

/* The control registers that long mode is entered with: PE, MP, ET, NE, WP, PG; PAE. IA32_EFER: LME, NXE. */
#define START_CR0 0x80010033
#define START_CR4 0x20
#define START_EFER 0x900

#endif
