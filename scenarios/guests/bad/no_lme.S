/* SPDX-License-Identifier: MIT */
/* Page tables for IA-32e paging, and IA32_EFER.LME forgotten: PG turns on PAE paging, for which the entry has reserved bits. */
#include "scenarios/guests/bad/program.h"
    movl $0x201003, 0x200000
    movl $0x200000, %eax
    movl %eax, %cr3
    movl $0x20, %eax                        /* PAE */
    movl %eax, %cr4
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    movl $99, %eax
    outl %eax, $0xf4
    hlt
