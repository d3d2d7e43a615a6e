/* SPDX-License-Identifier: MIT */
/* Exceptions of L0 itself: announced ones go on elsewhere, an NMI goes to the guest, any other stops the machine. */
#include "hv/x86/x86.h"

/* What vectors.S leaves on the stack. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error_code, rip, cs, rflags, rsp, ss;
};

struct fixup { uint64_t from, to; };
extern const struct fixup fixups[], fixups_end[];

extern const uint8_t world_last_look[], world_entered[], world_nmi[];

void exception(struct frame *frame);    /* called by vectors.S */
#define MCG_RIPV 1ull                   /* IA32_MCG_STATUS: what was interrupted can go on */

/* hal_enter() tells the core of it, which gives it to the guest. NMIs stay blocked until then (vectors.S). */
static void nmi(struct frame *frame, enum hal_result what)
{
    __atomic_fetch_or(&this_processor()->nmi, (uint8_t)what, __ATOMIC_SEQ_CST);
    if (frame->rip >= (uint64_t)world_last_look && frame->rip < (uint64_t)world_entered)
        frame->rip = (uint64_t)world_nmi;
    frame->rsp -= sizeof(uint64_t);
    *(uint64_t *)frame->rsp = frame->rip;
}

void exception(struct frame *frame)
{
    uint64_t status = 0;

    if (frame->vector == VECTOR_NMI) {
        nmi(frame, HAL_NMI);
        return;
    }
    if (frame->vector == VECTOR_MC && hal_rdmsr(MSR_ia32_mcg_status, &status) && status & MCG_RIPV) {
        nmi(frame, HAL_MACHINE_CHECK);
        return;
    }
    for (const struct fixup *f = fixups; f < fixups_end; f++) {
        if (f->from == frame->rip) {
            frame->rip = f->to;
            return;
        }
    }
    print("sesqui: exception %u in L0, error code %l, rip %l, cr2 %l, rsp %l\n", (unsigned)frame->vector,
          frame->error_code, frame->rip, read_cr2(), frame->rsp);
    stop("L0 stopped", "an exception that it did not expect");
}
