/* SPDX-License-Identifier: MIT */
/* Descriptor tables of L0: one GDT and IDT for all processors, a TSS and a GS base for each. SDM Vol. 3, 3.4.5, 6.14, 8.7. */
#include "hv/x86/x86.h"

enum { STUB_SIZE = 16, EXCEPTIONS = 32, INTERRUPT_GATE = 0x8e, TSS_AVAILABLE = 0x89, IST_NMI = 1, IST_FAULT = 2, IST_CHECK = 3 };
extern const uint8_t passage_nmi[];

enum { GDT_FIXED = SELECTOR_TSS / 8 };

extern const uint8_t vector_stubs[EXCEPTIONS][STUB_SIZE];

static uint64_t gdt[GDT_FIXED + 2 * PROCESSORS] = {
    [SELECTOR_CODE_32 / 8] = 0x00cf9b000000ffff,
    [SELECTOR_CODE / 8] = CODE_DESCRIPTOR,
    [SELECTOR_DATA / 8] = 0x00cf93000000ffff,
};

static struct gate idt[EXCEPTIONS];

static void describe_task_state(unsigned index)
{
    struct task_state *task_state = &processors[index].task_state;
    const uint64_t base = (uint64_t)task_state;

    *task_state = (struct task_state){
        .ist = { [IST_NMI - 1] = (uint64_t)(processors[index].nmi_stack + sizeof processors->nmi_stack),
                 [IST_FAULT - 1] = (uint64_t)(processors[index].fault_stack + sizeof processors->fault_stack),
                 [IST_CHECK - 1] = (uint64_t)(processors[index].check_stack + sizeof processors->check_stack) },
        .io_map_base = sizeof *task_state,
    };
    gdt[GDT_FIXED + 2 * index] = (sizeof *task_state - 1) | (base & 0xffffff) << 16 | (uint64_t)TSS_AVAILABLE << 40 |
                                 (base >> 24 & 0xff) << 56;
    gdt[GDT_FIXED + 2 * index + 1] = base >> 32;
}

static void describe_exceptions(void)
{
    for (unsigned i = 0; i < EXCEPTIONS; i++) {
        const uint64_t stub = (uint64_t)vector_stubs[i];
        idt[i] = (struct gate){
            .offset_low = (uint16_t)stub, .offset_middle = (uint16_t)(stub >> 16), .offset_high = (uint32_t)(stub >> 32),
            .selector = SELECTOR_CODE, .ist = i == VECTOR_NMI ? IST_NMI : i == VECTOR_MC ? IST_CHECK : IST_FAULT, .type = INTERRUPT_GATE,
        };
    }
}

static void load_selectors(uint32_t data)
{
    __asm__ volatile("movl %0, %%ds; movl %0, %%es; movl %0, %%fs; movl %0, %%gs; movl %0, %%ss" : : "r"(data));
}

uint64_t gdt_between[8192];
static struct gate idt_between[3];

void gates_between(struct gate gates[3], uint64_t handler, uint16_t code)
{
    gates[VECTOR_NMI] = (struct gate){
        .offset_low = (uint16_t)handler, .offset_middle = (uint16_t)(handler >> 16), .offset_high = (uint32_t)(handler >> 32),
        .selector = code, .type = INTERRUPT_GATE,
    };
}

void tables_between(const struct table_pointer *gdtr)
{
    const struct table_pointer idtr = { sizeof idt_between - 1, (uint64_t)idt_between };

    __asm__ volatile("lidt %0; lgdt %1" : : "m"(idtr), "m"(*gdtr));
}

/*
 * At each instruction here an NMI finds a gate, in its descriptor table the code segment that the gate names, and a stack. So first comes an
 * IDT whose gate needs neither TSS nor GS, and whose selector is code in the GDT before (passage.S) and in L0's; L0's own is last.
 * VM exits set the limits of GDTR and IDTR to 0xffff (SDM Vol. 3, 28.5.2): so they are from the start.
 */
void tables_load(unsigned index)
{
    const struct table_pointer gdt_pointer = { 0xffff, (uint64_t)gdt }, idt_pointer = { 0xffff, (uint64_t)idt };
    struct processor *processor = &processors[index];

    processor->self = processor;
    processor->index = index;
    describe_task_state(index);
    if (!idt[VECTOR_NMI].type) {                /* once: another processor may be using it */
        describe_exceptions();
        gates_between(idt_between, (uint64_t)passage_nmi, SELECTOR_CODE);
    }
    tables_between(&gdt_pointer);
    __asm__ volatile("pushq %0\n leaq 1f(%%rip), %%rax\n pushq %%rax\n lretq\n1:" : : "i"(SELECTOR_CODE) : "rax", "memory");
    load_selectors(SELECTOR_DATA);
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS + 16 * index));
    hal_wrmsr(MSR_ia32_fs_base, 0);
    hal_wrmsr(MSR_ia32_gs_base, (uint64_t)processor);
    __asm__ volatile("lidt %0" : : "m"(idt_pointer));
    processor->apic_id = apic_id();
}
