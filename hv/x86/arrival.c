/* SPDX-License-Identifier: MIT */
/*
 * Late load, what is done in the caller's world (passage.S): with its paging, on its stack or on the processor's, wherever the image is
 * mapped there. Its descriptor tables are read and loaded at its addresses. No fixup serves an instruction that faults here: the
 * fault would be the caller's.
 */
#include "hv/x86/x86.h"

#include "arch/late_load.h"

/* What late_entry stores on the caller's stack. */
struct arrival { struct hal_registers registers; uint64_t rflags, rip; };
struct processor *late_arrive(const struct arrival *arrival);       /* both called by passage.S */
void late_depart(struct processor *p);

extern uint8_t image_start[];
extern const uint8_t passage_nmi[];
enum { TYPE_TSS = 9, BUSY = 2, TYPE_LDT = 2, ACCESSED = 1 };

uint64_t late_linear;
bool late_by_system;
uint64_t here(void) { return (uint64_t)image_start; }

static uint64_t msr(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static void write_msr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static void read_selectors(uint16_t s[SEG_COUNT])
{
    __asm__ volatile("movw %%es, %0; movw %%cs, %1" : "=m"(s[SEG_ES]), "=m"(s[SEG_CS]));
    __asm__ volatile("movw %%ss, %0; movw %%ds, %1" : "=m"(s[SEG_SS]), "=m"(s[SEG_DS]));
    __asm__ volatile("movw %%fs, %0; movw %%gs, %1" : "=m"(s[SEG_FS]), "=m"(s[SEG_GS]));
    __asm__ volatile("sldt %0; str %1" : "=m"(s[SEG_LDTR]), "=m"(s[SEG_TR]));
}

/* A segment as its descriptor says: SDM Vol. 3, 3.4.5, and for system segments in 64-bit mode 8.2.3. One that no table describes
 * any more is taken as unusable: in 64-bit mode nothing hangs on it, and bases of FS and GS are in MSRs. */
static struct hal_guest_segment segment_of(uint16_t selector, struct hal_table table, bool system)
{
    const uint64_t *entry = (const uint64_t *)(table.base + (selector & ~7u));
    struct hal_guest_segment s = { .selector = selector, .access_rights = AR_UNUSABLE };

    if (!(selector & ~3u) || (selector | 7u) + (system ? 8 : 0) > table.limit || !(entry[0] >> 40 & AR_PRESENT) ||
        !(entry[0] >> 40 & AR_S) != system)
        return s;
    s.access_rights = (uint32_t)(entry[0] >> 40 & 0xf0ff) | (system ? 0 : ACCESSED);
    s.base = (entry[0] >> 16 & 0xffffff) | (entry[0] >> 56) << 24 | (system ? entry[1] << 32 : 0);
    s.limit = (uint32_t)((entry[0] & 0xffff) | (entry[0] >> 32 & 0xf0000));
    if (s.access_rights & AR_G)
        s.limit = s.limit << 12 | 0xfff;
    return s;
}

static void capture_segments(struct hal_capture *c, bool without_task)
{
    enum { LOCAL = 1 << 2 };
    uint16_t selector[SEG_COUNT];

    read_selectors(selector);
    if (without_task)
        selector[SEG_TR] = 0;
    c->segment[SEG_LDTR] = segment_of(selector[SEG_LDTR], c->gdtr, true);
    c->segment[SEG_TR] = segment_of(selector[SEG_TR], c->gdtr, true);
    const struct hal_guest_segment *ldt = &c->segment[SEG_LDTR];
    const struct hal_table local = ldt->access_rights & AR_UNUSABLE ? (struct hal_table){ 0, 0 }
                                 : (struct hal_table){ ldt->base, (uint16_t)ldt->limit };
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        c->segment[i] = segment_of(selector[i], selector[i] & LOCAL ? local : c->gdtr, false);
    c->segment[SEG_FS].base = msr(MSR_ia32_fs_base);
    c->segment[SEG_GS].base = msr(MSR_ia32_gs_base);
}

static uint64_t dr7(void)
{
    uint64_t value;
    __asm__ volatile("movq %%dr7, %0" : "=r"(value));
    return value;
}

static void capture(struct processor *p, const struct arrival *arrival)
{
    struct hal_capture *c = &p->captured;

    *c = (struct hal_capture){
        .registers = arrival->registers, .rip = arrival->rip, .rsp = (uint64_t)(arrival + 1), .rflags = arrival->rflags,
        .cr0 = read_cr0(), .cr3 = read_cr3(), .cr4 = hal_read_cr4(), .dr7 = dr7(), .efer = msr(MSR_ia32_efer),
        .pat = msr(MSR_ia32_pat), .debugctl = msr(MSR_ia32_debugctl), .sysenter_cs = msr(MSR_ia32_sysenter_cs),
        .sysenter_esp = msr(MSR_ia32_sysenter_esp), .sysenter_eip = msr(MSR_ia32_sysenter_eip),
        .gdtr = store_gdtr(), .idtr = store_idtr(), .late = true,
        .rolls_back = late_by_system, .passage = late_linear,
    };
    capture_segments(c, p->without_task);
    c->registers.gpr[RAX] = LATE_DONE;
}

static struct processor *find(void)
{
    const unsigned id = apic_id();

    for (unsigned i = 0; i < processor_blocks; i++)
        if (processors[i].apic_id == id)
            return &processors[i];
    print("sesqui: load refused: more processors than the image is built for: it does not know that with local APIC ID %u\n", id);
    return NULL;
}

struct processor *late_arrive(const struct arrival *arrival)
{
    struct processor *p;
    uint64_t cr4 = hal_read_cr4();

    if (here() != late_linear) {
        print("sesqui: load refused: the image is mapped at %l here, and was announced at %l\n", here(), late_linear);
        return NULL;
    }
    if (cr4 & CR4_CET && msr(MSR_ia32_s_cet) & CET_SH_STK_EN) {
        print("sesqui: load refused: supervisor shadow stacks are on (IA32_S_CET)\n");
        return NULL;
    }
    if (!execute_disable()) {
        print("sesqui: load refused: execute-disable is switched off (IA32_MISC_ENABLE bit 34)\n");
        return NULL;
    }
    if (!(p = find()))
        return NULL;
    capture(p, arrival);
    p->self = (struct processor *)((uint64_t)p - here() + IMAGE_VIRTUAL + IMAGE_LOAD);
    p->nmi = false;
    p->passage.code = p->captured.segment[SEG_CS].selector;
    gates_between(p->gates_between, (uint64_t)passage_nmi, (uint16_t)p->passage.code);
    p->passage.idtr_between = (struct table_pointer){ sizeof p->gates_between - 1, (uint64_t)p->gates_between };
    p->passage.gdtr_between = (struct table_pointer){ 0xffff, (uint64_t)gdt_between };
    p->passage.cr3 = paging_root(cr4 & CR4_LA57);
    /* VMXE cannot be cleared in VMX operation, LA57 not in IA-32e mode. */
    p->passage.cr4 = START_CR4 | (cr4 & (CR4_VMXE | CR4_LA57));
    write_msr(MSR_ia32_efer, p->captured.efer | EFER_NXE);      /* L0's paging has the bit; with the caller's it was reserved */
    return p;
}

/* What can be loaded; else a null selector, and the base comes from an MSR. */
static uint32_t loadable(uint32_t selector)
{
    bool readable;

    __asm__ volatile("verr %w1" : "=@ccz"(readable) : "r"(selector));
    return readable ? selector : 0;
}

static uint64_t *descriptor(const struct hal_capture *c, enum segment_register segment)
{
    return (uint64_t *)(c->gdtr.base + (c->segment[segment].selector & ~7u));
}

/* LTR wants an available TSS, and marks it busy. The caller may have its GDT mapped read-only: CR0.WP is clear. */
static void load_system_segments(const struct hal_capture *c)
{
    const bool ldt = c->segment[SEG_LDTR].selector && !(c->segment[SEG_LDTR].access_rights & AR_UNUSABLE) &&
                     (*descriptor(c, SEG_LDTR) >> 40 & 0x9f) == (AR_PRESENT | TYPE_LDT);

    __asm__ volatile("lldt %w0" : : "r"(ldt ? (uint32_t)c->segment[SEG_LDTR].selector : 0));
    if (!c->segment[SEG_TR].selector || (*descriptor(c, SEG_TR) >> 40 & 0x9d) != (AR_PRESENT | TYPE_TSS))
        return;
    *descriptor(c, SEG_TR) &= ~((uint64_t)BUSY << 40);
    __asm__ volatile("ltr %w0" : : "r"((uint32_t)c->segment[SEG_TR].selector) : "memory");
}

void late_depart(struct processor *p)
{
    const struct hal_capture *c = &p->captured;
    const struct table_pointer gdtr = { c->gdtr.limit, c->gdtr.base };

    __asm__ volatile("lgdt %0" : : "m"(gdtr));
    write_cr0(read_cr0() & ~CR0_WP);
    load_system_segments(c);
    __asm__ volatile("movl %0, %%ds; movl %1, %%es" : : "r"(loadable(c->segment[SEG_DS].selector)),
                     "r"(loadable(c->segment[SEG_ES].selector)));
    __asm__ volatile("movl %0, %%fs; movl %1, %%gs; movl %2, %%ss" : : "r"(loadable(c->segment[SEG_FS].selector)),
                     "r"(loadable(c->segment[SEG_GS].selector)), "r"(0));
    write_msr(MSR_ia32_fs_base, c->segment[SEG_FS].base);
    write_msr(MSR_ia32_gs_base, c->segment[SEG_GS].base);
    write_msr(MSR_ia32_efer, c->efer);
    write_cr0(c->cr0);
    hal_write_cr4(c->cr4);                      /* PCIDE can be set while CR3[11:0] is 0 */
    __asm__ volatile("movq %0, %%cr3" : : "r"(c->cr3) : "memory");
}
