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

void exception(struct frame *frame);    /* called by vectors.S */

/* Sent anew, it is pending until VM entry unblocks NMIs: the guest gets it, as if L0 had not been there (vectors.S). */
static void nmi(struct frame *frame)
{
    apic_send(APIC_SELF, 0, APIC_NMI);
    frame->rsp -= sizeof(uint64_t);
    *(uint64_t *)frame->rsp = frame->rip;
}

void exception(struct frame *frame)
{
    if (frame->vector == VECTOR_NMI) {
        nmi(frame);
        return;
    }
    for (const struct fixup *f = fixups; f < fixups_end; f++) {
        if (f->from == frame->rip) {
            frame->rip = f->to;
            return;
        }
    }
    print("sesqui: exception %u in L0, error code %l, rip %l, cr2 %l, rsp %l\n", (unsigned)frame->vector,
          frame->error_code, frame->rip, hal_read_cr2(), frame->rsp);
    stop("L0 stopped", "an exception that it did not expect");
}
