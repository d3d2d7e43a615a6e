/* SPDX-License-Identifier: MIT */
/*
 * int kvm_enter(bool launch, uint64_t *host_rsp): VMLAUNCH or VMRESUME; returns 0 at the VM exit, 1 if nothing ran. As KVM does
 * it, host RSP is written only where it changes. The guest's registers are lost: it expects nothing of them.
 */
#define VMCS_HOST_RSP 0x6c14

    .text
    .globl kvm_enter, kvm_exit
kvm_enter:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cmpq %rsp, (%rsi)
    je 1f
    movq %rsp, (%rsi)
    movl $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
1:  testb %dil, %dil
    jz 2f
    vmlaunch
    jmp 3f
2:  vmresume
3:  movl $1, %eax                       /* nothing ran */
    jmp 4f
kvm_exit:                               /* HOST_RIP */
    xorl %eax, %eax
4:  popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* The guest: each exit several times, then HLT. */
#define ROUNDS 8
    .section .rodata
    .globl l2_exits_start, l2_exits_end
l2_exits_start:
    .rept ROUNDS
    xorl %eax, %eax
    cpuid
    .endr
    .rept ROUNDS
    vmcall
    .endr
    .rept ROUNDS
    movl $0x1a0, %ecx                   /* IA32_MISC_ENABLE */
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr
    .endr
    .rept ROUNDS
    outb %al, $0x80
    .endr
    hlt
l2_exits_end:

    .section .note.GNU-stack, "", @progbits
