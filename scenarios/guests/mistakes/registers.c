/* SPDX-License-Identifier: MIT */
/* Exit paths that do not give the guest its registers back (--check registers). */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

/* The guest executes CPUID for ever. */
extern const uint8_t asker[], asker_end[];
__asm__(".pushsection .rodata\n"
        "asker: cpuid\n"
        "   jmp asker\n"
        "asker_end:\n"
        ".popsection");

static struct guest *const guest = &guest_of_mistakes;

/* To the guest's next CPUID, which is answered. */
static void answer(void)
{
    vmx_result result = guest_enter(guest);

    must(!result && vmread(VMCS_exit_reason) == EXIT_REASON_cpuid, "the guest does not execute CPUID");
    guest->gpr[RAX] = guest->gpr[RBX] = guest->gpr[RCX] = guest->gpr[RDX] = 0x5e;
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 2);
}

static void begin(void)
{
    start_guest(asker, asker_end);
    answer();
    answer();
}

static void end(void)
{
    answer();
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

static void kept(void)
{
    begin();
    end();
}

static void general_lost(void)
{
    begin();
    guest->gpr[RSI] += 0x77;
    guest->gpr[R13] = 0x1300;
    end();
}

/* The instruction is to be executed again, but RAX is another one. */
static void general_lost_without_progress(void)
{
    begin();
    must(!guest_enter(guest), "VMRESUME");
    guest->gpr[RAX] = 0xbad;
    end();
}

static void cr2_lost(void)
{
    begin();
    __asm__ volatile("movq %0, %%cr2" : : "r"(0xc2c2ul));
    end();
}

static void debug_lost(void)
{
    begin();
    __asm__ volatile("movq %0, %%db1" : : "r"(0xd1d1ul));
    end();
}

static void xmm_lost(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR);
    begin();
    __asm__ volatile("movq %0, %%xmm5" : : "r"(0x5e5e5e5eul));
    end();
}

const struct mistake mistakes_of_registers[] = {
    { "registers-kept", kept },
    { "general-lost", general_lost },
    { "general-lost-without-progress", general_lost_without_progress },
    { "cr2-lost", cr2_lost },
    { "debug-lost", debug_lost },
    { "xmm-lost", xmm_lost },
    { NULL, NULL },
};
