/* SPDX-License-Identifier: MIT */
/*
 * uint64_t user_try(const void *code): runs code at CPL 3, with RAX and RBX of user_rax and user_rbx, until it faults; the
 * vector. #UD and #GP come here through gates of their own.
 */
    .text
    .globl user_try, user_ud, user_gp, user_vmxoff, user_vmcall
user_try:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, user_return
    pushq $0x2b                         /* SS, RSP, RFLAGS, CS, RIP */
    pushq %rsp
    pushq $2
    pushq $0x33
    pushq %rdi
    movq user_rax, %rax
    movq user_rbx, %rbx
    iretq
user_ud:
    movl $6, %eax
    jmp 1f
user_gp:
    movl $13, %eax
1:  movq user_return, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

user_vmxoff:
    vmxoff
1:  jmp 1b                              /* not reached: the limit of instructions would tell */
user_vmcall:
    vmcall
1:  jmp 1b

    .bss
    .globl user_rax, user_rbx
    .balign 8
user_rax:
    .quad 0
user_rbx:
    .quad 0
user_return:
    .quad 0

    .section .note.GNU-stack, "", @progbits
