/* SPDX-License-Identifier: MIT */
/* The handler of NMIs, and an L2. */
    .text
    .globl nmi_entry
nmi_entry:
    incq nmis_taken
    cmpq $0, nmi_action
    je 1f
    .irp register, rax, rcx, rdx, rsi, rdi, rbx, r8, r9, r10, r11
    pushq %\register
    .endr
    call *nmi_action
    .irp register, r11, r10, r9, r8, rbx, rdi, rsi, rdx, rcx, rax
    popq %\register
    .endr
1:  iretq

/* The handler of #DB: single steps end. */
    .globl step_entry
step_entry:
    incq steps
    movq (%rsp), %rdx
    andq $~0x100, 16(%rsp)
    iretq

/*
 * void levels_switch(uint64_t root, uint64_t cr4): the number of paging levels changes without paging, so outside IA-32e mode (SDM Vol. 3, 4.1.2).
 * GDT: 8 is 64-bit code, 56 32-bit code.
 */
    .globl levels_switch
levels_switch:
    pushq $56
    leaq 1f(%rip), %rax
    pushq %rax
    lretq
    .code32
1:  movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl %esi, %cr4
    movl %edi, %cr3
    orl $0x80000000, %eax
    movl %eax, %cr0
    ljmp $8, $2f
    .code64
2:  ret

/* Copied to GUEST_CODE. IA32_MISC_ENABLE is none of the MSRs for which L0 gives hardware L1's bitmap. */
    .section .rodata
    .globl l2_storm_start, l2_storm_end, l2_storm_nmi
l2_storm_start:
    movl $5, %ebx
1:  movl $0x1a0, %ecx
    rdmsr
    decl %ebx
    jnz 1b
    vmcall
    jmp l2_storm_start
l2_storm_nmi:
    incq 0x6000                             /* GUEST_DATA */
    iretq
l2_storm_end:

    .globl l2_priority_start, l2_priority_end
l2_priority_start:
    xorl %eax, %eax
    movq %rax, %cr8
    movq %cr8, %rax
    vmcall
l2_priority_end:

    .section .note.GNU-stack, "", @progbits
