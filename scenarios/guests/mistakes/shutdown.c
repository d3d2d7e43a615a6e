/* SPDX-License-Identifier: MIT */
/* What ends a processor: descriptor tables, stacks and host state that lead nowhere. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

enum { CODE = 8, DATA = 16, VECTORS = 32, INTERRUPT_GATE = 0x8e };
#define NOWHERE 0x500000000ull          /* beyond what the program maps */

struct gate64 { uint64_t low, high; };
static struct gate64 gates[VECTORS];
static uint64_t small_gates[VECTORS];
static uint64_t segments[8];

static struct gate64 gate64(uint64_t handler, unsigned selector, unsigned ist, unsigned type)
{
    return (struct gate64){ (handler & 0xffff) | (uint64_t)selector << 16 | (uint64_t)ist << 32 | (uint64_t)type << 40 | (handler >> 16 & 0xffff) << 48,
                            handler >> 32 };
}

static void load_idt(const void *base, unsigned limit)
{
    struct descriptor_table pointer = { (uint16_t)limit, (uint64_t)base };

    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* All gates alike. */
static void load_gates(struct gate64 gate)
{
    for (unsigned i = 0; i < VECTORS; i++)
        gates[i] = gate;
    load_idt(gates, sizeof gates - 1);
}

static void undefined(void) { __asm__ volatile("ud2"); }

__attribute__((noinline)) static void deeper(void)
{
    undefined();
    __asm__ volatile("");
}

void handler(void);
__asm__(".globl handler\nhandler: iretq\n");

static void idt_none(void) { load_idt(NULL, 0); deeper(); }
static void idt_short(void) { load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE)); load_idt(gates, 6 * 16 - 1); deeper(); }
static void idt_empty(void) { load_gates((struct gate64){ 0, 0 }); deeper(); }
static void idt_unmapped(void) { load_idt((const void *)NOWHERE, 0xfff); deeper(); }
static void gate_absent(void) { load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE & ~0x80)); deeper(); }
static void gate_call(void) { load_gates(gate64((uint64_t)handler, CODE, 0, 0x8c)); deeper(); }
static void gate_null_cs(void) { load_gates(gate64((uint64_t)handler, 0, 0, INTERRUPT_GATE)); deeper(); }
static void gate_data_cs(void) { load_gates(gate64((uint64_t)handler, DATA, 0, INTERRUPT_GATE)); deeper(); }
static void gate_far_cs(void) { load_gates(gate64((uint64_t)handler, 0x1238, 0, INTERRUPT_GATE)); deeper(); }
static void gate_not_canonical(void) { load_gates(gate64(0x123456789abcdef0, CODE, 0, INTERRUPT_GATE)); deeper(); }
static void handler_unmapped(void) { load_gates(gate64(NOWHERE, CODE, 0, INTERRUPT_GATE)); deeper(); }

/* 8-byte gates, as of 32-bit mode. */
static void idt_32_bit(void)
{
    for (unsigned i = 0; i < VECTORS; i++)
        small_gates[i] = gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE).low;
    load_idt(small_gates, sizeof small_gates - 1);
    deeper();
}

static void load_gdt(uint64_t code)
{
    struct descriptor_table pointer = { sizeof segments - 1, (uint64_t)segments };

    segments[1] = code;
    segments[2] = 0x00cf93000000ffff;
    __asm__ volatile("lgdt %0" : : "m"(pointer));
}

/* A code segment of 32 bits, and the far return that should have gone on in it. */
static void gdt_32_bit(void)
{
    load_gdt(0x00cf9b000000ffff);
    load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE));
    deeper();
}

static void lretq_to_data(void)
{
    load_gdt(0x00cf93000000ffff);
    load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE));
    __asm__ volatile("pushq $8\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:" : : : "rax", "memory");
}

static void ist_zero(void) { load_gates(gate64((uint64_t)handler, CODE, 1, INTERRUPT_GATE)); deeper(); }

static void stack_unmapped(void)
{
    __asm__ volatile("movabsq $0x500001000, %%rsp\n\tpushq $0" : : : "memory");
}

static void stack_into_video(void)
{
    __asm__ volatile("movq $0xc0000, %%rsp\n1: pushq $0\n\tjmp 1b" : : : "memory");
}

static void stack_not_canonical(void)
{
    __asm__ volatile("movabsq $0x8000000000000000, %%rsp\n\tud2" : : : "memory");
}

/* #GP has an error code; the handler returns with it still there. */
static void error_code_left(void)
{
    load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE));
    gates[8] = gates[14] = (struct gate64){ 0, 0 };
    __asm__ volatile("movl $0x1234, %%eax\n\tmovl %%eax, %%ds" : : : "rax");
}

static void cr3_wild(void) { write_cr3(0x7000); }

static void msr_unknown(void)
{
    load_idt(NULL, 0);
    rdmsr(0x12345);
}

static void sti_no_idt(void)
{
    load_idt(NULL, 0);
    outb(0x21, 0xfe);
    for (;;)
        wait_for_interrupt();
}

/* ---- exits that land in nonsense ---- */

extern const uint8_t cpuid_start[], cpuid_end[];
__asm__("cpuid_start: cpuid\n jmp cpuid_start\ncpuid_end:\n");

static void enter_with(uint32_t field, uint64_t value)
{
    start_guest(cpuid_start, cpuid_end);
    vmwrite(field, value);
    guest_enter(&guest_of_mistakes);
}

static void host_rip_unmapped(void) { enter_with(VMCS_host_rip, NOWHERE); }
static void host_rip_zeros(void) { enter_with(VMCS_host_rip, 0x8000000); }

/* An exit that lands a byte behind the beginning of a routine: what is there goes on for a while. */
extern const uint8_t routine[];
__asm__("ud2\n.globl routine\nroutine: .byte 0xb8\n.fill 64, 1, 0x90\nud2\n");
static void host_rip_beside(void)
{
    load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE));
    enter_with(VMCS_host_rip, (uint64_t)routine + 1);
}
static void host_rip_right(void)
{
    load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE));
    enter_with(VMCS_host_rip, (uint64_t)routine);
}

/* Without VPIDs: with them the processor may still know the host's translations. */
static void host_cr3_wild(void)
{
    start_guest(cpuid_start, cpuid_end);
    vmwrite(VMCS_secondary_processor_based_controls, PROC2_enable_ept);
    vmwrite(VMCS_host_cr3, 0x7000);
    guest_enter(&guest_of_mistakes);
}

static void host_idtr_zero(void) { load_idt(NULL, 0); enter_with(VMCS_host_rip, (uint64_t)undefined); }
static void host_gdtr_wild(void) { enter_with(VMCS_host_gdtr_base, 0x8000000); load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE)); undefined(); }

/* The program's tables are all right until a VM exit loads others; well after it, an exception needs them. */
static void after_exit(unsigned field, uint64_t value, unsigned ist)
{
    load_gates(gate64((uint64_t)handler, CODE, ist, INTERRUPT_GATE));
    if (!ist)
        __asm__ volatile("int $3");
    enter_with(field, value);
    for (volatile unsigned i = 0; i < 100; i++)
        ;
    undefined();
}

static void host_idtr_forgotten(void) { after_exit(VMCS_host_idtr_base, 0, 0); }
static void host_gdtr_forgotten(void) { after_exit(VMCS_host_gdtr_base, 0, 0); }
static void host_tr_forgotten(void) { after_exit(VMCS_host_tr_base, 0, 1); }

static void host_rsp_wild(void)
{
    start_guest(cpuid_start, cpuid_end);
    vmwrite(VMCS_host_rsp, 0x500001000);
    __asm__ volatile("vmlaunch");
}

extern const uint8_t ud2_start[], ud2_end[];
__asm__("ud2_start: ud2\nud2_end:\n");

static void guest_no_idt(void)
{
    start_guest(ud2_start, ud2_end);
    vmwrite(VMCS_guest_idtr_limit, 0);
    guest_enter(&guest_of_mistakes);
    print("exit reason %lx\n", vmread(VMCS_exit_reason));
}

extern const uint8_t sse_start[], sse_end[];
__asm__("sse_start: movaps %xmm0, %xmm1\nsse_end:\n");

static void guest_no_osfxsr(void)
{
    start_guest(sse_start, sse_end);
    vmwrite(VMCS_guest_cr4, vmread(VMCS_guest_cr4) & ~(1ull << 9));
    vmwrite(VMCS_guest_idtr_limit, 0);
    guest_enter(&guest_of_mistakes);
}

static void guest_injected(void)
{
    start_guest(ud2_start, ud2_end);
    vmwrite(VMCS_guest_idtr_limit, 0);
    vmwrite(VMCS_entry_interruption_information, 0x80000306);
    guest_enter(&guest_of_mistakes);
}

static void guest_cr3_wild(void)
{
    start_guest(ud2_start, ud2_end);
    vmwrite(VMCS_guest_cr3, 0x9000);
    guest_enter(&guest_of_mistakes);
}

/* A reserved bit that has nothing to do with IA32_EFER.NXE. */
static void guest_pml4_reserved(void)
{
    start_guest(ud2_start, ud2_end);
    *(uint64_t *)(guest_of_mistakes.memory + GUEST_ROOT) |= 0x80;
    guest_enter(&guest_of_mistakes);
}

static void guest_rip_wild(void)
{
    start_guest(ud2_start, ud2_end);
    vmwrite(VMCS_guest_rip, 0x40000000);
    guest_enter(&guest_of_mistakes);
}

/* An activity state that is left over from a template: the guest never runs. */
static void guest_halted(void)
{
    start_guest(cpuid_start, cpuid_end);
    vmwrite(VMCS_guest_activity_state, 1);
    guest_enter(&guest_of_mistakes);
}

static void guest_unstarted(void)
{
    start_guest(cpuid_start, cpuid_end);
    vmwrite(VMCS_guest_activity_state, 3);
    guest_enter(&guest_of_mistakes);
}

/* A VM-exit MSR-load area with an MSR that cannot be loaded. */
static void abort_msr_load(void)
{
    static _Alignas(16) uint64_t area[2] = { 0xc0000100 /* IA32_FS_BASE: not allowed there */, 0 };

    start_guest(cpuid_start, cpuid_end);
    vmwrite(VMCS_exit_msr_load_address, (uint64_t)area);
    vmwrite(VMCS_exit_msr_load_count, 1);
    guest_enter(&guest_of_mistakes);
}

/* A VM entry fails, and the VM-exit MSR-load area ends the processor's IA-32e mode. */
static void abort_msr_efer(void)
{
    static _Alignas(16) uint64_t area[2] = { MSR_ia32_efer, 0 };

    start_guest(cpuid_start, cpuid_end);
    vmwrite(VMCS_exit_msr_load_address, (uint64_t)area);
    vmwrite(VMCS_exit_msr_load_count, 1);
    vmwrite(VMCS_guest_rflags, 0);
    guest_enter(&guest_of_mistakes);
}

/* With VPIDs the processor still knows the code and the IDT, but not the stack. */
extern const uint8_t pushes[];
__asm__("pushes: pushq %rax\n   addq $8, %rsp\n   ret\n");

static void host_cr3_half_known(void)
{
    static _Alignas(4096) uint8_t far_stack[3 * 4096];

    start_guest(cpuid_start, cpuid_end);
    vmwrite(VMCS_host_rip, (uint64_t)pushes);
    vmwrite(VMCS_host_rsp, (uint64_t)far_stack + sizeof far_stack);
    vmwrite(VMCS_host_cr3, 0x7000);
    load_gates(gate64((uint64_t)handler, CODE, 0, INTERRUPT_GATE));
    ((void (*)(void))(uintptr_t)pushes)();
    __asm__ volatile("int $3" : : : "memory");
    guest_enter(&guest_of_mistakes);
}

/* An MSR that does not exist, by a program that is ready for it. */
void skips(void);
__asm__(".globl skips\nskips: addq $8, %rsp\n   addq $2, (%rsp)\n   iretq\n");
static void msr_probed(void)
{
    load_gates(gate64((uint64_t)skips, CODE, 0, INTERRUPT_GATE));
    rdmsr(0x12345);
}

/* All of this program becomes user-mode pages. */
static uint64_t *top_of_paging(void) { return (uint64_t *)(read_cr3() & ~0xfffull); }

static void make_user(uint64_t *table, unsigned level)
{
    for (unsigned i = 0; i < PAGE / 8; i++)
        if (table[i] & 1) {
            table[i] |= 4;
            if (level > 1 && !(table[i] & 0x80))
                make_user((uint64_t *)(table[i] & 0xffffffffff000), level - 1);
        }
}

static void with_user_pages(uint64_t bit)
{
    struct descriptor_table none = { 0, 0 };

    __asm__ volatile("lidt %0" : : "m"(none));
    make_user(top_of_paging(), read_cr4() & CR4_LA57 ? 5 : 4);
    write_cr3(read_cr3());
    write_cr4(read_cr4() | bit);
    *(volatile uint8_t *)&guest_of_mistakes = 1;
}

static void smep(void) { with_user_pages(CR4_SMEP); }
static void smap(void) { with_user_pages(CR4_SMAP); }

static void pml4_reserved(void)
{
    uint64_t *table = top_of_paging();

    if (read_cr4() & CR4_LA57)
        table = (uint64_t *)(table[0] & 0xffffffffff000);
    table[0] |= 0x80;
    write_cr3(read_cr3());
}

/* The entry that maps FAR with 2 MBytes becomes a pointer to a page table and says that it maps a page, or the other way round. */
enum { FAR = 16 << 20 };
static uint64_t page_of_entries[PAGE / 8] __attribute__((aligned(PAGE)));

static void with_entry_of_far(uint64_t entry)
{
    struct descriptor_table none = { 0, 0 };
    uint64_t *table = top_of_paging();

    __asm__ volatile("lidt %0" : : "m"(none));
    for (unsigned level = read_cr4() & CR4_LA57 ? 5 : 4; level > 2; level--)
        table = (uint64_t *)(table[(uint64_t)FAR >> (12 + 9 * (level - 1)) & 0x1ff] & 0xffffffffff000);
    must(table[FAR >> 21] & 0x80, "a large page");
    table[FAR >> 21] = entry;
    write_cr3(read_cr3());
    (void)*(volatile uint8_t *)FAR;
}

static void pde_large_for_table(void) { with_entry_of_far((uintptr_t)page_of_entries | 0x83); }
static void pde_not_large(void) { with_entry_of_far(FAR | 3); }

/* Vector instructions while the bit of CR4 that allows them is 0, and the other's is 1. */
static void without_bit(uint64_t absent, uint64_t present)
{
    struct descriptor_table none = { 0, 0 };

    __asm__ volatile("lidt %0" : : "m"(none));
    write_cr4((read_cr4() & ~absent) | present);
}

static void sse_not_allowed(void)
{
    without_bit(CR4_OSFXSR, CR4_OSXSAVE);
    __asm__ volatile("movaps %xmm1, %xmm2");
}

static void avx_not_allowed(void)
{
    without_bit(CR4_OSXSAVE, CR4_OSFXSR);
    __asm__ volatile("vmovaps %xmm1, %xmm2");
}

/* Selectors of descriptors that the instruction does not want. */
/* TSS and LDT descriptors of 8 bytes, as 32-bit code has them: what follows is the table's end, or another descriptor. */
static void load_short(unsigned descriptors, bool local)
{
    static uint64_t table[5] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x0000891000000067, 0x00cf93000000ffff };
    const struct descriptor_table pointer = { (uint16_t)(8 * descriptors - 1), (uintptr_t)table };

    if (local)
        table[3] = 0x0000821000000067;
    __asm__ volatile("lgdt %0" : : "m"(pointer));
    if (local)
        __asm__ volatile("lldt %%ax" : : "a"(0x18));
    else
        __asm__ volatile("ltr %%ax" : : "a"(0x18));
}

static void tss_of_8_bytes(void) { load_short(4, false); }
static void tss_before_another(void) { load_short(5, false); }
static void ldt_before_another(void) { load_short(5, true); }

static void ltr_twice(void) { __asm__ volatile("str %%ax\n\tltr %%ax" : : : "rax"); }
static void ds_beyond_limit(void) { __asm__ volatile("movl $0x7fd8, %%eax\n\tmovl %%eax, %%ds" : : : "rax"); }
static void ss_of_code(void) { __asm__ volatile("movl %%cs, %%eax\n\tmovl %%eax, %%ss" : : : "rax"); }
static void es_of_ldt(void) { __asm__ volatile("xorl %%eax, %%eax\n\tlldt %%ax\n\tmovl $0xc, %%eax\n\tmovl %%eax, %%es" : : : "rax"); }
static void far_return_to_data(void) { __asm__ volatile("movl %%ss, %%eax\n\tpushq %%rax\n\tpushq $0\n\tlretq" : : : "rax"); }

const struct mistake mistakes_of_shutdown[] = {
    { "tss-of-8-bytes", tss_of_8_bytes }, { "tss-before-another", tss_before_another }, { "ldt-before-another", ldt_before_another },
    { "ltr-twice", ltr_twice }, { "ds-beyond-limit", ds_beyond_limit }, { "ss-of-code", ss_of_code }, { "es-of-ldt", es_of_ldt },
    { "far-return-to-data", far_return_to_data },
    { "sse-not-allowed", sse_not_allowed }, { "avx-not-allowed", avx_not_allowed },
    { "smep", smep }, { "smap", smap }, { "pml4-reserved", pml4_reserved },
    { "pde-large-for-table", pde_large_for_table }, { "pde-not-large", pde_not_large },
    { "idt-none", idt_none }, { "idt-short", idt_short }, { "idt-empty", idt_empty }, { "idt-unmapped", idt_unmapped },
    { "idt-32-bit", idt_32_bit }, { "gate-absent", gate_absent }, { "gate-call", gate_call }, { "gate-null-cs", gate_null_cs },
    { "gate-data-cs", gate_data_cs }, { "gate-far-cs", gate_far_cs }, { "gate-not-canonical", gate_not_canonical },
    { "handler-unmapped", handler_unmapped }, { "gdt-32-bit", gdt_32_bit }, { "lretq-to-data", lretq_to_data }, { "ist-zero", ist_zero },
    { "stack-unmapped", stack_unmapped }, { "stack-not-canonical", stack_not_canonical }, { "error-code-left", error_code_left },
    { "cr3-wild", cr3_wild }, { "msr-unknown", msr_unknown }, { "sti-no-idt", sti_no_idt },
    { "host-rip-unmapped", host_rip_unmapped }, { "host-rip-zeros", host_rip_zeros }, { "host-rip-beside", host_rip_beside }, { "host-rip-right", host_rip_right }, { "host-cr3-wild", host_cr3_wild },
    { "host-rsp-wild", host_rsp_wild }, { "host-idtr-zero", host_idtr_zero }, { "host-gdtr-wild", host_gdtr_wild },
    { "guest-no-idt", guest_no_idt }, { "guest-cr3-wild", guest_cr3_wild }, { "guest-pml4-reserved", guest_pml4_reserved }, { "guest-rip-wild", guest_rip_wild },
    { "guest-halted", guest_halted }, { "guest-unstarted", guest_unstarted },
    { "abort-msr-load", abort_msr_load }, { "host-idtr-forgotten", host_idtr_forgotten }, { "host-gdtr-forgotten", host_gdtr_forgotten },
    { "host-tr-forgotten", host_tr_forgotten }, { "stack-into-video", stack_into_video },
    { "msr-probed", msr_probed }, { "abort-msr-efer", abort_msr_efer }, { "host-cr3-half-known", host_cr3_half_known }, { "guest-no-osfxsr", guest_no_osfxsr }, { "guest-injected", guest_injected },
    { NULL, NULL },
};
