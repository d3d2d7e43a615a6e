/* SPDX-License-Identifier: MIT */
/* What a processor holds is the same on bare hardware, over L0 and on bare hardware again; and instructions that L0 executes for its guest. */
#include "scenarios/guests/storm/storm.h"

/* All but RAX, RSP, and RDX, which the model's function needs, as a function may. */
#define REGISTERS(R) R(rcx, 0) R(rbx, 1) R(rbp, 2) R(rsi, 3) R(rdi, 4) R(r8, 5) R(r9, 6) R(r10, 7) R(r11, 8) R(r12, 9) R(r13, 10) R(r14, 11)       \
    R(r15, 12)
enum { REGISTER_COUNT = 13 };
static uint64_t general[2][REGISTER_COUNT];

/* load(), with a number of its own in each register. */
static uint64_t load_with_registers(void)
{
    uint64_t answer;

#define LOAD(name, place) "movabsq $0x1122334455660000 + " #place ", %%" #name "\n"
#define STORE(name, place) "movq %%" #name ", %c[to] + 8*" #place "\n"
    __asm__ volatile("pushq %%rbp\n pushq %%rbx\n" REGISTERS(LOAD) "call *%c[load]\n" REGISTERS(STORE) "popq %%rbx\n popq %%rbp\n"
                     : "=a"(answer) : [to] "i"(general[1]), [load] "i"(&storm_load)
                     : "memory", "cc", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15");
    return answer;
}

static void expect_registers(const char *where)
{
    for (unsigned i = 0; i < REGISTER_COUNT; i++)
        expect(where, general[1][i], 0x1122334455660000ull + i);
}

/* Values that no firmware has left there. */
static const struct { uint32_t index; uint64_t value; } msrs[] = {
    { 0x277, 0x0000050100070406 }, { 0x174, 0x08 }, { 0x175, 0xffff800000001000 }, { 0x176, 0xffff800000002000 }, { 0x1d9, 2 },
    { 0xc0000081, 0x0010000800000000 }, { 0xc0000082, 0xffff800000003000 }, { 0xc0000084, 0x47700 }, { 0xc0000102, 0x123000 },
    { 0xc0000100, 0x567000 }, { 0xc0000101, 0x789000 } };
enum { MSRS = sizeof msrs / sizeof *msrs, EFER = 0xc0000080, MCE = 1 << 6, IF = 1 << 9 };

struct state {
    uint64_t msr[MSRS], efer, cr0, cr3, cr4, rflags, gdt, idt, limits;
    uint16_t cs, ss, ds, es, fs, gs, tr, ldt;
};

static struct state state(void)
{
    const struct descriptor_table gdt = store_gdtr(), idt = store_idtr();
    struct state s = { .efer = rdmsr(EFER), .cr0 = read_cr0(), .cr3 = read_cr3(), .cr4 = read_cr4(), .gdt = gdt.base, .idt = idt.base,
                       .limits = (uint64_t)gdt.limit << 16 | idt.limit };

    for (unsigned i = 0; i < MSRS; i++)
        s.msr[i] = rdmsr(msrs[i].index);
    __asm__ volatile("pushfq\n popq %0" : "=r"(s.rflags));
    s.rflags &= IF;
    __asm__ volatile("movw %%cs, %0; movw %%ss, %1; movw %%ds, %2; movw %%es, %3" : "=m"(s.cs), "=m"(s.ss), "=m"(s.ds), "=m"(s.es));
    __asm__ volatile("movw %%fs, %0; movw %%gs, %1; str %2; sldt %3" : "=m"(s.fs), "=m"(s.gs), "=m"(s.tr), "=m"(s.ldt));
    return s;
}

static void expect_state(const char *where, const struct state *wanted)
{
    const struct state now = state();
    const uint64_t *a = (const uint64_t *)&now, *b = (const uint64_t *)wanted;

    for (unsigned i = 0; i < sizeof now / sizeof *a; i++)
        if (a[i] != b[i])
            print("%s, word %u of the state: ", where, i);
    for (unsigned i = 0; i < sizeof now / sizeof *a; i++)
        expect(where, a[i], b[i]);
}

void case_state(void)
{
    for (unsigned i = 0; i < MSRS; i++)
        wrmsr(msrs[i].index, msrs[i].value);
    wrmsr(EFER, (rdmsr(EFER) | EFER_SCE) & ~(uint64_t)EFER_NXE);      /* L0's own paging needs NXE: it is not left behind */
    write_cr4(read_cr4() | MCE);
    const struct state before = state();
    for (unsigned i = 0; i < MSRS; i++)
        expect("bare hardware", before.msr[i], msrs[i].value);
    expect("load", load_with_registers(), LATE_DONE);
    expect_registers("registers over L0");
    expect_state("over L0", &before);
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
    expect_state("without L0", &before);
    expect("load again", load_with_registers(), LATE_DONE);
    expect_registers("registers over L0 again");
    expect("unload again", call(LATE_UNLOAD), LATE_DONE);
    write_cr4(read_cr4() | CR4_VMXE);
    expect("a load that is refused", load_with_registers(), LATE_REFUSED);
    expect_registers("registers without L0");
    write_cr4(read_cr4() & ~(uint64_t)CR4_VMXE);
    expect_state("after a load that was refused", &before);
}

/* ---- IA32_MISC_ENABLE ---- */

void case_execute_disable(void)
{
    enum { MISC_ENABLE = 0x1a0 };
    const uint64_t before = rdmsr(MISC_ENABLE);

    wrmsr(EFER, rdmsr(EFER) & ~(uint64_t)EFER_NXE);
    wrmsr(MISC_ENABLE, before | MISC_ENABLE_XD_DISABLE);
    expect("CPUID", cpuid(0x80000001, 0).edx >> 20 & 1, 0);
    expect("load", storm_load(), LATE_REFUSED);
    wrmsr(MISC_ENABLE, before);
    expect("CPUID again", cpuid(0x80000001, 0).edx >> 20 & 1, 1);
    expect("load with it", storm_load(), LATE_DONE);
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
}

/* ---- XSETBV, and MSRs that fault ---- */

static uint64_t xgetbv(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int xsetbv(uint32_t index, uint64_t value)
{
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n xsetbv\n1: movq $0, fault_resume" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    return fault_vector;
}

static int read_msr(uint32_t index)
{
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n rdmsr\n1: movq $0, fault_resume" : : "c"(index) : "memory", "rax", "rdx");
    return fault_vector;
}

void case_xsetbv(void)
{
    enum { OSXSAVE = 1 << 18, X87 = 1, SSE = 2, NO_SUCH = 1ull << 8 };

    write_cr4(read_cr4() | OSXSAVE);
    const uint64_t all = cpuid(0xd, 0).eax;
    expect("XSETBV", (uint64_t)xsetbv(0, X87), (uint64_t)-1);
    expect("XCR0", xgetbv(), X87);
    expect("XSETBV of all", (uint64_t)xsetbv(0, all), (uint64_t)-1);
    expect("XCR0 of all", xgetbv(), all);
    expect("XSETBV without x87", (uint64_t)xsetbv(0, all & ~(uint64_t)X87), VECTOR_GP);
    expect("XSETBV of another register", (uint64_t)xsetbv(1, all), VECTOR_GP);
    expect("XCR0 as before", xgetbv(), all);
    expect("RDMSR of what there is not", (uint64_t)read_msr(0x5fff), VECTOR_GP);
    expect("CR4", read_cr4() & OSXSAVE, OSXSAVE);
}

/* ---- ACPI: PM1 control of the board (docs/machine.md) ---- */

enum { PM1_CONTROL = 0x604, SLP_TYP_S3 = 1 << 10, SLP_EN = 1 << 13 };

void case_sleep(void)
{
    static _Alignas(4096) volatile uint64_t pages[2][512];
    uint16_t control, after;

    expect("give a page", give(pages[0]), 0);
    __asm__ volatile("inw %1, %0" : "=a"(control) : "d"((uint16_t)PM1_CONTROL));
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)(control | SLP_TYP_S3 | SLP_EN)), "d"((uint16_t)PM1_CONTROL) : "memory");
    __asm__ volatile("inw %1, %0" : "=a"(after) : "d"((uint16_t)PM1_CONTROL));
    expect("SLP_TYP is kept, SLP_EN reads as 0", after, control | SLP_TYP_S3);
    expect("give another page: L0 is there", give(pages[1]), 0);
}
