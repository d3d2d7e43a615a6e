/* SPDX-License-Identifier: MIT */
/*
 * world.S for 32-bit programs: int world_enter(uint64_t gpr[16], bool launch). The lower half of each slot is the register;
 * the upper halves are 0 already.
 */
#define VMCS_HOST_RSP 0x6c14

    .text
    .globl world_enter
world_enter:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl 20(%esp), %edi                     /* gpr */
    movl 24(%esp), %edx                     /* launch */
    pushl %edi
    movl $VMCS_HOST_RSP, %eax
    vmwrite %esp, %eax
    testb %dl, %dl                          /* ZF lives until the jump: MOV leaves the flags alone */
    movl 0*8(%edi), %eax
    movl 1*8(%edi), %ecx
    movl 2*8(%edi), %edx
    movl 3*8(%edi), %ebx
    movl 5*8(%edi), %ebp
    movl 6*8(%edi), %esi
    movl 7*8(%edi), %edi
    jz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  movl $-2, %eax                          /* nothing ran */
    movl $-1, %ecx
    cmovcl %ecx, %eax
    popl %edi
    jmp 3f

    .globl world_exit
world_exit:                                 /* HOST_RIP */
    pushl %edi
    movl 4(%esp), %edi
    movl %eax, 0*8(%edi)
    movl %ecx, 1*8(%edi)
    movl %edx, 2*8(%edi)
    movl %ebx, 3*8(%edi)
    movl %ebp, 5*8(%edi)
    movl %esi, 6*8(%edi)
    popl 7*8(%edi)
    popl %edi
    xorl %eax, %eax
3:  popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

    .section .note.GNU-stack, "", @progbits
