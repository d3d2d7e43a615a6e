/* SPDX-License-Identifier: MIT */
/* From a multiboot loader (32-bit protected mode, paging off) to hypervisor() in 64-bit mode; and into the guest and back. */
    .section .multiboot, "a"
    .balign 4
    .long 0x1badb002, 0, -0x1badb002        /* magic, flags, checksum: in the first 8 KB of the file */

    .text
    .code32
    .globl start
start:
    movl $stack_top, %esp
    movl $(pdpt + 3), pml4                  /* 1 GB one to one: one PML4 entry, one 1-GB page */
    movl $0x83, pdpt                        /* present, writable, large */
    movl %cr4, %eax
    orl $0x20, %eax                         /* CR4.PAE */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx                  /* IA32_EFER.LME */
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80000031, %eax                  /* CR0: PG, NE (VMX operation needs it), ET, PE */
    movl %eax, %cr0
    movl $tss, %eax                         /* VM exits load TR: there must be a TSS */
    movw %ax, gdt_tss + 2
    shrl $16, %eax
    movb %al, gdt_tss + 4
    movb %ah, gdt_tss + 7
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $24, %eax
    ltr %ax
    call hypervisor
1:  hlt
    jmp 1b

/*
 * bool enter(struct registers *guest, bool launched): false if the VM entry failed, true at the VM exit. A VM exit saves no general
 * register but RSP: the guest's are all stored here, and the hypervisor's own come back from the stack.
 */
    .macro each_register instruction, store
    .set offset, 0
    .irp name, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    .if \store
    \instruction %\name, offset(%rdi)
    .else
    \instruction offset(%rdi), %\name
    .endif
    .set offset, offset + 8
    .endr
    .endm

    .globl enter
enter:
    .irp name, rbx, rbp, r12, r13, r14, r15, rdi
    pushq %\name
    .endr
    movl $0x6c14, %eax                      /* HOST_RSP */
    vmwrite %rsp, %rax
    testl %esi, %esi                        /* MOV leaves the flags alone: they live until the jump */
    each_register movq, 0
    movq 14*8(%rdi), %rdi
    jnz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  popq %rdi                               /* VMfail: the next instruction is executed */
    xorl %eax, %eax
    jmp 3f
    .globl vm_exit
vm_exit:                                    /* HOST_RIP */
    pushq %rdi
    movq 8(%rsp), %rdi
    each_register movq, 1
    popq 14*8(%rdi)
    popq %rdi
    movl $1, %eax
3:  .irp name, r15, r14, r13, r12, rbp, rbx
    popq %\name
    .endr
    ret

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff                /*  8: 64-bit code */
    .quad 0x00cf93000000ffff                /* 16: data */
gdt_tss:
    .quad 0x0000890000000067, 0             /* 24: 64-bit TSS */
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .quad gdt

    .bss
    .balign 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
tss:
    .skip 104
    .balign 16
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
