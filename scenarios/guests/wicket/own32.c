/* SPDX-License-Identifier: MIT */
/*
 * The paging of the 32-bit program. With PAE paging a MOV to CR4 loads the PDPTEs, and faults if one is wrong: then all
 * is as before, the PDPTEs in the processor as well (SDM Vol. 3, 4.4.1).
 */
#include "scenarios/guests/wicket/own.h"

#include <stdint.h>

#include "arch/x86.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/turnstile/transcript.h"

enum { LAST_PDPTE = 3, PDPTE_RESERVED = 2, CODE_SELECTOR = 8, INTERRUPT_GATE = 0x8e };

const char *own_paging(void)
{
    return read_cr4() & CR4_PAE ? "PAE" : "32-bit";
}

/* MOV to CR4 with an IDT that knows #GP alone, whose handler goes on behind it. Did it fault? */
static uint32_t cr4_faults(uint32_t value)
{
    static struct { uint16_t low, selector; uint8_t zero, type; uint16_t high; } idt[VECTOR_GP + 1];
    const struct descriptor_table pointer = { sizeof idt - 1, (uintptr_t)idt };
    uint32_t faulted;

    idt[VECTOR_GP].selector = CODE_SELECTOR;
    idt[VECTOR_GP].type = INTERRUPT_GATE;
    __asm__ volatile("movl $1f, %%ecx\n\tmovw %%cx, %1\n\tshrl $16, %%ecx\n\tmovw %%cx, %2\n\tlidt %3\n\t"
                     "xorl %%eax, %%eax\n\tmovl %4, %%cr4\n\tjmp 2f\n"
                     "1:\taddl $4, %%esp\n\tmovl $2f, (%%esp)\n\tmovl $1, %%eax\n\tiretl\n2:"     /* error code, EIP */
                     : "=&a"(faulted), "=m"(idt[VECTOR_GP].low), "=m"(idt[VECTOR_GP].high)
                     : "m"(pointer), "r"(value) : "ecx", "memory", "cc");
    return faulted;
}

void provoke_own_paging(void)
{
    uint64_t *const pdpte = (uint64_t *)(uintptr_t)(read_cr3() & ~31u);
    const uint32_t old = (uint32_t)read_cr4(), new = (old ^ CR4_PGE) & ~(uint32_t)CR4_VMXE;

    if (!(old & CR4_PAE))
        return;
    pdpte[LAST_PDPTE] |= PDPTE_RESERVED;
    check("MOV to CR4 with a wrong PDPTE: #GP", cr4_faults(new), 1);
    check("CR4", read_cr4(), old);
    check("CPUID", cpuid(0, 0).eax != 0, 1);    /* an exit, if anything is beneath us: it must take what we have now */
    pdpte[LAST_PDPTE] &= ~(uint64_t)PDPTE_RESERVED;
    check("MOV to CR4", cr4_faults(new), 0);
    check("CR4", read_cr4(), new);
}
