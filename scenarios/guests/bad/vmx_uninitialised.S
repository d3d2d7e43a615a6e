/* SPDX-License-Identifier: MIT */
/* VMX instructions on garbage: VMXON of a region in MMIO, then of one outside of memory. */
#include "scenarios/guests/bad/program.h"
    movl $0x3a, %ecx
    movl $5, %eax
    xorl %edx, %edx
    wrmsr
    movl %cr4, %eax
    orl $0x2000, %eax
    movl %eax, %cr4
    movl %cr0, %eax
    orl $0x80000021, %eax                   /* PG too: VMXON demands it; its tables are at 0x200000 */
    movl $0x83, 0x200000                    /* one 4 MB page: here */
    movl $0xfec00083, 0x200000 + 4 * 0x3fb
    movl $0x200000, %ebx
    movl %ebx, %cr3
    movl %cr4, %ebx
    orl $0x10, %ebx
    movl %ebx, %cr4
    movl %eax, %cr0
    vmxon mmio
    vmxon nowhere
    vmptrld nowhere
    vmlaunch
    movl $99, %eax
    outl %eax, $0xf4
    hlt
    .balign 8
mmio:
    .quad 0xfee00000
nowhere:
    .quad 0xf0000000
