/* SPDX-License-Identifier: MIT */
/* The program's own IDT: see idt.h. Gates: SDM Vol. 3, 6.14.1. */
#include "scenarios/guests/lib/idt.h"

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"

enum { VECTORS = 256, STUB_SIZE = 16, CODE_SELECTOR = 8, INTERRUPT_GATE = 0x8e, FIRST_INTERRUPT = 32 };
enum { PIC1_MASK = 0x21, PIC2_MASK = 0xa1, EXIT_UNEXPECTED_EXCEPTION = 98 };

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

/* What vectors.S leaves on the stack. */
struct frame {
    uint64_t rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11;
    uint64_t vector, error_code, rip, cs, rflags, rsp, ss;
};

extern const uint8_t vector_stubs[VECTORS][STUB_SIZE];
void interrupt(struct frame *frame);        /* called by vectors.S */

static struct gate idt[VECTORS];
volatile uint32_t interrupts_taken[VECTORS];
volatile uint64_t fault_resume;
volatile int fault_vector;

void interrupt(struct frame *frame)
{
    if (frame->vector >= FIRST_INTERRUPT) {
        interrupts_taken[frame->vector]++;
    } else if (fault_resume) {
        fault_vector = (int)frame->vector;
        frame->rip = fault_resume;
        fault_resume = 0;
    } else {
        print("unexpected exception %u, error code %lx, rip %lx\n", (unsigned)frame->vector, frame->error_code,
              frame->rip);
        quit(EXIT_UNEXPECTED_EXCEPTION);
    }
}

void idt_load(void)
{
    struct descriptor_table pointer = { sizeof(idt) - 1, (uint64_t)idt };

    for (unsigned i = 0; i < VECTORS; i++) {
        uint64_t stub = (uint64_t)vector_stubs[i];
        idt[i] = (struct gate){ .offset_low = (uint16_t)stub, .offset_middle = (uint16_t)(stub >> 16),
                                .offset_high = (uint32_t)(stub >> 32), .selector = CODE_SELECTOR,
                                .type = INTERRUPT_GATE };
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
    outb(PIC1_MASK, 0xff);
    outb(PIC2_MASK, 0xff);
}
