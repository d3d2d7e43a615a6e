/* SPDX-License-Identifier: MIT */
/*
 * Late load: from the caller's world (its paging, GDT, IDT, TSS, stack) into L0's, and back. Nothing is asked of the caller's world but
 * that the image is mapped in it somewhere, executable: this code and what it touches is at the same linear address (late_linear) in
 * both worlds. It runs in either, so it addresses everything relative to RIP.
 *
 * An NMI may come before each instruction here. It needs an IDT with a gate, the code segment that the gate names in the GDT, a stack,
 * and code behind the gate, all mapped. So the order is, into L0:
 *   1  the stack is the processor's own, in the image                                      NMI: the caller's handler
 *   2  IDTR: one gate, for NMI, to passage_nmi; its selector is the caller's CS, no TSS    NMI: from here on remembered
 *   3  GDTR: a table in which every selector is 64-bit code
 *   4  CR3, CR4: L0's world, without global translations of the caller's
 *   5  tables_load(): the gate's selector becomes L0's; GDTR, CS, TR, GS; at last IDTR
 * and the reverse back: 5 the gate with L0's selector, GDTR of (3), the gate with the caller's selector, 4 CR3, 3 the caller's GDTR,
 * segments, TR, control registers and CS, 2 its IDTR. An NMI that was remembered is delivered then, by INT 2: NMIs have been blocked
 * since it came, as in a handler's beginning, and the handler's IRET ends that.
 */
#include "hv/x86/layout.h"
#include "hv/x86/exchange.h"

    .text
    .globl late_entry, late_leave, passage_nmi, system_prepare
/* uint64_t prepare(const struct late_system *): system.c. */
system_prepare:
    endbr64
    jmp system_main

/* uint64_t load(void). RDI: the caller's registers, RFLAGS and return address behind them. */
late_entry:
    endbr64
    pushfq
    cli
    subq $16*8, %rsp
    movq %rdi, 7*8(%rsp)
    movq %rsp, %rdi
    exchange store
    pushq $2                            /* no single step from here on */
    popfq
    call late_arrive
    testq %rax, %rax
    jz 1f
    movq %rax, %rdi
    leaq PROCESSOR_STACK_TOP(%rdi), %rsp
    movl $0x400, %eax                   /* nor breakpoints of the caller's */
    movq %rax, %dr7
    lidt PASSAGE_IDTR_BETWEEN(%rdi)
    lgdt PASSAGE_GDTR_BETWEEN(%rdi)
    movq PASSAGE_CR3(%rdi), %rax
    movq PASSAGE_CR4(%rdi), %rcx
    movq %rax, %cr3
    movq %rcx, %cr4
    movq (%rdi), %rdi                   /* where L0 has the processor's block */
    leaq PROCESSOR_STACK_TOP(%rdi), %rsp
    movq $late_main, %rax
    call *%rax

1:  movq %rsp, %rdi                     /* refused: nothing has changed */
    movq $1, (%rdi)
    exchange load
    movq 7*8(%rdi), %rdi
    addq $16*8, %rsp
    popfq
    ret

/* RDI: the processor's block, where the caller has it. The gate with L0's selector and the GDT of (3) are loaded. */
late_leave:
    movq %rdi, %rbx
    leaq PROCESSOR_STACK_TOP(%rbx), %rsp
    lidt PASSAGE_IDTR_BETWEEN(%rbx)
    movq PASSAGE_CR3(%rbx), %rax
    movq %rax, %cr3
    call late_depart
    pushq PASSAGE_CODE(%rbx)
    leaq 1f(%rip), %rax
    pushq %rax
    lretq
1:  lidt PASSAGE_IDTR(%rbx)
    cmpb $0, PROCESSOR_NMI(%rbx)
    je 2f
    movb $0, PROCESSOR_NMI(%rbx)
    int $2
2:  .irp at, 0, 1, 2, 3, 4              /* SS, RSP, RFLAGS, CS, RIP */
    pushq PASSAGE_FRAME + 8*\at(%rbx)
    .endr
    movq PASSAGE_DR7(%rbx), %rax
    movq %rax, %dr7
    leaq PROCESSOR_CAPTURED(%rbx), %rdi
    exchange load
    movq 7*8(%rdi), %rdi
    iretq

/*
 * On a processor's own stack, from which it finds its block. It returns without IRET, so that NMIs stay blocked: a second one waits in
 * the processor.
 */
passage_nmi:
    endbr64
    pushq %rax
    movq %rsp, %rax
    andq $-PROCESSOR_SIZE, %rax
    orb $1, PROCESSOR_NMI(%rax)
    subq $8, 32(%rsp)                   /* RIP goes onto the stack that was interrupted, which is this one */
    movq 32(%rsp), %rax
    pushq 24(%rsp)                      /* RFLAGS, RIP */
    pushq 16(%rsp)
    popq (%rax)
    popfq
    popq %rax
    movq 24(%rsp), %rsp
    ret
