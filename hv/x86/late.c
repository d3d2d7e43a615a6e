/* SPDX-License-Identifier: MIT */
/*
 * Late load on the metal: the guest runs on bare hardware until it calls late_entry() (world.S), each processor for itself.
 * Its memory, stack and descriptor tables are mapped one to one, as L0's are, so that they can be read and loaded here.
 */
#include "hv/x86/x86.h"

#include "arch/late_load.h"

extern uint8_t image_start[], late_entry[], late_leave[];
_Noreturn void late_main(void);                 /* called by world.S */

/* What late_entry stores, what late_leave loads. */
struct late_guest {
    struct hal_registers registers;
    uint64_t cr3, rflags;
};
struct late_return {
    struct hal_registers registers;
    uint64_t rip, cs, rflags, rsp, ss;
};
struct late_guest late_guest;
uint32_t late_lock;                             /* held while late_guest and late_stack are in use */
uint64_t late_cr3, late_stack;
static struct late_return late_return[PROCESSORS];
static struct hal_capture captured[PROCESSORS];
static _Alignas(16) uint8_t spare_stack[sizeof processors->stack];
/* A guest that had no TR goes on with L0's, which LTR cannot undo: when it asks again, it still has none. */
static bool without_task[PROCESSORS];
static uint64_t last_stack[PROCESSORS];         /* the one that each processor ran on last: free when it asks again */

/* The physical address of something in the image. */
static uint64_t physical(const void *place) { return (uint64_t)((const uint8_t *)place - image_start) + hal_pool().base.value; }

uint64_t late_table_entry(void) { return physical(late_entry); }

void late_prepare(void)
{
    late_cr3 = paging_root();
    processor_count = 0;
    late_stack = (uint64_t)(spare_stack + sizeof spare_stack);
    for (unsigned i = 0; i < PROCESSORS; i++)
        last_stack[i] = (uint64_t)(processors[i].stack + sizeof processors->stack);
}

static void read_selectors(uint16_t s[SEG_COUNT])
{
    __asm__ volatile("movw %%es, %0; movw %%cs, %1" : "=m"(s[SEG_ES]), "=m"(s[SEG_CS]));
    __asm__ volatile("movw %%ss, %0; movw %%ds, %1" : "=m"(s[SEG_SS]), "=m"(s[SEG_DS]));
    __asm__ volatile("movw %%fs, %0; movw %%gs, %1" : "=m"(s[SEG_FS]), "=m"(s[SEG_GS]));
    __asm__ volatile("sldt %0; str %1" : "=m"(s[SEG_LDTR]), "=m"(s[SEG_TR]));
}

/* A segment as its descriptor says: SDM Vol. 3, 3.4.5, and for system segments in 64-bit mode 8.2.3. */
static struct hal_guest_segment segment_of(uint16_t selector, struct hal_table gdt, bool system)
{
    const uint64_t *table = at(gdt.base), low = table[selector / 8 & 0x1fff];
    struct hal_guest_segment s = { .selector = selector, .access_rights = AR_UNUSABLE };

    if (!(selector & ~3u))
        return s;
    s.access_rights = (uint32_t)(low >> 40 & 0xf0ff);
    s.base = (low >> 16 & 0xffffff) | (low >> 56) << 24 | (system ? table[selector / 8 + 1] << 32 : 0);
    s.limit = (uint32_t)((low & 0xffff) | (low >> 32 & 0xf0000));
    if (s.access_rights & AR_G)
        s.limit = s.limit << 12 | 0xfff;
    return s;
}

static uint64_t msr(uint32_t index)
{
    uint64_t value = 0;
    hal_rdmsr(index, &value);
    return value;
}

static void capture(struct hal_capture *c, unsigned index)
{
    const struct hal_table gdt = hal_store_gdtr();
    uint16_t selector[SEG_COUNT];
    const uint64_t *stack = at(late_guest.registers.gpr[RSP]);

    *c = (struct hal_capture){
        .registers = late_guest.registers, .rip = stack[0], .rsp = late_guest.registers.gpr[RSP] + 8,
        .rflags = late_guest.rflags, .cr0 = hal_read_cr0(), .cr3 = late_guest.cr3, .cr4 = hal_read_cr4(),
        .dr7 = hal_read_dr7(), .efer = msr(MSR_ia32_efer), .pat = msr(MSR_ia32_pat), .debugctl = msr(MSR_ia32_debugctl),
        .sysenter_cs = msr(MSR_ia32_sysenter_cs), .sysenter_esp = msr(MSR_ia32_sysenter_esp),
        .sysenter_eip = msr(MSR_ia32_sysenter_eip), .gdtr = gdt, .idtr = hal_store_idtr(), .late = true,
    };
    read_selectors(selector);
    if (without_task[index] && selector[SEG_TR] == SELECTOR_TSS + 16 * index)
        selector[SEG_TR] = 0;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->segment[i] = segment_of(selector[i], gdt, i == SEG_LDTR || i == SEG_TR);
    c->segment[SEG_FS].base = msr(MSR_ia32_fs_base);
    c->segment[SEG_GS].base = msr(MSR_ia32_gs_base);
    c->registers.gpr[RAX] = LATE_DONE;
}

void late_capture(struct hal_capture *to) { *to = captured[hal_cpu_index()]; }

void hal_release(const struct hal_capture *s)
{
    const struct table_pointer gdtr = { s->gdtr.limit, s->gdtr.base }, idtr = { s->idtr.limit, s->idtr.base };
    const uint16_t tr = s->segment[SEG_TR].selector;
    struct processor *processor = this_processor();
    struct late_return *back = &late_return[processor->index];
    void (*leave)(const struct late_return *, uint64_t) = (void (*)(const struct late_return *, uint64_t))physical(late_leave);

    processor->ready = false;
    without_task[processor->index] = !tr;
    *back = (struct late_return){ s->registers, s->rip, s->segment[SEG_CS].selector, s->rflags, s->rsp,
                                  s->segment[SEG_SS].selector };
    hal_wrmsr(MSR_ia32_pat, s->pat);
    hal_wrmsr(MSR_ia32_debugctl, s->debugctl);
    hal_wrmsr(MSR_ia32_sysenter_cs, s->sysenter_cs);
    hal_wrmsr(MSR_ia32_sysenter_esp, s->sysenter_esp);
    hal_wrmsr(MSR_ia32_sysenter_eip, s->sysenter_eip);
    if (tr)                                     /* LTR wants an available TSS */
        ((uint64_t *)at(s->gdtr.base))[tr / 8] &= ~(2ull << 40);
    tables_give_back(&gdtr, &idtr, s);
    hal_wrmsr(MSR_ia32_fs_base, s->segment[SEG_FS].base);
    hal_wrmsr(MSR_ia32_gs_base, s->segment[SEG_GS].base);
    hal_write_cr0(s->cr0);
    hal_write_cr4(s->cr4);
    hal_wrmsr(MSR_ia32_efer, s->efer);
    leave((const struct late_return *)physical(back), s->cr3);
    __builtin_unreachable();
}

void late_main(void)
{
    const unsigned id = apic_id();
    unsigned index = 0;
    const char *why;

    while (index < processor_count && processors[index].apic_id != id)
        index++;
    if (index == PROCESSORS)
        stop("L0 stopped", "more processors than the image is built for asked for it");
    capture(&captured[index], index);
    tables_load(index);
    hal_write_cr0(START_CR0);
    hal_write_cr4(START_CR4 | (captured[index].cr4 & CR4_VMXE));   /* it cannot be cleared in VMX operation */
    control_registers();
    if (index == processor_count)
        processor_count++;
    /* The next processor that asks gets the stack on which this one does not run. */
    const uint64_t mine = late_stack;
    late_stack = last_stack[index];
    last_stack[index] = mine;
    hal_unlock(&late_lock);
    why = hv_run(options.strategy);
    print("sesqui: load refused: %s\n", why);
    captured[index].registers.gpr[RAX] = LATE_REFUSED;
    hal_release(&captured[index]);
}
