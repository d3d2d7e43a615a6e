/* SPDX-License-Identifier: MIT */
/* Descriptor tables of L0: one GDT and IDT for all processors, a TSS and a GS base for each. SDM Vol. 3, 3.4.5, 6.14, 8.7. */
#include "hv/x86/x86.h"

enum { STUB_SIZE = 16, EXCEPTIONS = 32, INTERRUPT_GATE = 0x8e, TSS_AVAILABLE = 0x89, IST_NMI = 1, IST_FAULT = 2 };
enum { GDT_FIXED = SELECTOR_TSS / 8 };

extern const uint8_t vector_stubs[EXCEPTIONS][STUB_SIZE];

static uint64_t gdt[GDT_FIXED + 2 * PROCESSORS] = {
    [SELECTOR_CODE_32 / 8] = 0x00cf9b000000ffff,
    [SELECTOR_CODE / 8] = 0x00af9b000000ffff,   /* 64-bit code */
    [SELECTOR_DATA / 8] = 0x00cf93000000ffff,
};

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
static struct gate idt[EXCEPTIONS];

static void describe_task_state(unsigned index)
{
    struct task_state *task_state = &processors[index].task_state;
    const uint64_t base = (uint64_t)task_state;

    *task_state = (struct task_state){
        .ist = { [IST_NMI - 1] = (uint64_t)(processors[index].nmi_stack + sizeof processors->nmi_stack),
                 [IST_FAULT - 1] = (uint64_t)(processors[index].fault_stack + sizeof processors->fault_stack) },
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
            .selector = SELECTOR_CODE, .ist = i == VECTOR_NMI ? IST_NMI : IST_FAULT, .type = INTERRUPT_GATE,
        };
    }
}

static void load(const struct table_pointer *gdtr, const struct table_pointer *idtr)
{
    __asm__ volatile("lgdt %0" : : "m"(*gdtr));
    __asm__ volatile("lidt %0" : : "m"(*idtr));
}

static void load_selectors(uint32_t ds, uint32_t es, uint32_t fs, uint32_t gs)
{
    __asm__ volatile("movl %0, %%ds; movl %1, %%es" : : "r"(ds), "r"(es));
    __asm__ volatile("movl %0, %%fs; movl %1, %%gs" : : "r"(fs), "r"(gs));
}

static void load_task(uint32_t selector) { __asm__ volatile("ltr %w0" : : "r"(selector)); }

void tables_give_back(const struct table_pointer *gdtr, const struct table_pointer *idtr, const struct hal_capture *s)
{
    load(gdtr, idtr);
    load_selectors(s->segment[SEG_DS].selector, s->segment[SEG_ES].selector, s->segment[SEG_FS].selector,
                   s->segment[SEG_GS].selector);
    __asm__ volatile("lldt %w0" : : "r"((uint32_t)s->segment[SEG_LDTR].selector));
    if (s->segment[SEG_TR].selector)
        load_task(s->segment[SEG_TR].selector);
}

/* VM exits set the limits of GDTR and IDTR to 0xffff (SDM Vol. 3, 28.5.2): so they are from the start. */
void tables_load(unsigned index)
{
    const struct table_pointer gdt_pointer = { 0xffff, (uint64_t)gdt }, idt_pointer = { 0xffff, (uint64_t)idt };
    struct processor *processor = &processors[index];

    processor->self = processor;
    processor->index = index;
    describe_task_state(index);
    if (index == 0)
        describe_exceptions();
    load(&gdt_pointer, &idt_pointer);
    load_selectors(SELECTOR_DATA, SELECTOR_DATA, SELECTOR_DATA, SELECTOR_DATA);
    __asm__ volatile("movl %0, %%ss" : : "r"(SELECTOR_DATA));
    load_task(SELECTOR_TSS + 16 * index);
    hal_wrmsr(MSR_ia32_fs_base, 0);
    hal_wrmsr(MSR_ia32_gs_base, (uint64_t)processor);
    processor->apic_id = apic_id();
}
