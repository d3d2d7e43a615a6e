/* SPDX-License-Identifier: MIT */
/* A hypervisor: one guest in 64-bit mode, which shares its page tables. It may ask for CPUID and print by VMCALL. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fields of the VMCS: SDM Vol. 3, appendix B. */
enum {
    PIN_CONTROLS = 0x4000, PROC_CONTROLS = 0x4002, EXIT_CONTROLS = 0x400c, ENTRY_CONTROLS = 0x4012,
    GUEST_CS = 0x0802, GUEST_TR = 0x080e, HOST_CS = 0x0c02, HOST_SS = 0x0c04, HOST_TR = 0x0c0c,
    LINK_POINTER = 0x2800, GUEST_LIMIT = 0x4800, GUEST_RIGHTS = 0x4814,
    GUEST_CR0 = 0x6800, GUEST_CR3 = 0x6802, GUEST_CR4 = 0x6804, GUEST_DR7 = 0x681a, GUEST_RSP = 0x681c, GUEST_RIP = 0x681e,
    GUEST_RFLAGS = 0x6820, HOST_CR0 = 0x6c00, HOST_CR3 = 0x6c02, HOST_CR4 = 0x6c04, HOST_GDTR_BASE = 0x6c0c,
    HOST_RIP = 0x6c16, INSTRUCTION_ERROR = 0x4400, EXIT_REASON = 0x4402, INSTRUCTION_LENGTH = 0x440c,
};
enum { ES, CS, SS, DS, FS, GS, LDTR, TR, SEGMENTS };
enum { REASON_CPUID = 10, REASON_HLT = 12, REASON_VMCALL = 18, HLT_EXITING = 1 << 7, HOST_64BIT = 1 << 9, GUEST_64BIT = 1 << 9 };
enum { CODE = 0xa09b, DATA = 0xc093, BUSY_TSS = 0x8b, UNUSABLE = 0x10000 };

struct registers { uint64_t rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rdi; };
bool enter(struct registers *guest, bool launched);     /* boot.S */
extern const char vm_exit[];
void hypervisor(void);

static _Alignas(4096) uint8_t vmxon_region[4096], vmcs[4096], guest_stack[4096];

static void outb(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

static void print(const char *text)
{
    while (*text)
        outb(0x3f8, (uint8_t)*text++);
}

static void print_number(uint64_t value)
{
    print("0x");
    for (int shift = 60; shift >= 0; shift -= 4)
        outb(0x3f8, (uint8_t)"0123456789abcdef"[value >> shift & 15]);
    print("\n");
}

static _Noreturn void quit(uint8_t status)              /* the machine's test-exit port */
{
    outb(0xf4, status);
    for (;;)
        __asm__ volatile("hlt");
}

static uint64_t rdmsr(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static uint64_t vmread(uint64_t field)
{
    uint64_t value = 0;
    __asm__ volatile("vmread %1, %0" : "+r"(value) : "r"(field) : "cc");
    return value;
}

static void vmwrite(uint64_t field, uint64_t value) { __asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc"); }

/* What this processor lets a control word be: bits 31:0 of the MSR must be 1, bits 63:32 may be (A.3 to A.5). */
static void control(uint64_t field, uint32_t msr, uint32_t wanted)
{
    uint64_t allowed = rdmsr(msr);
    vmwrite(field, (wanted | (uint32_t)allowed) & (uint32_t)(allowed >> 32));
}

static void guest(void)                                 /* its code: in non-root operation */
{
    uint32_t eax = 0, ebx, ecx, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    __asm__ volatile("vmcall" : : "a"(eax));
    __asm__ volatile("hlt");
}

static bool start_vmx(void)
{
    uint64_t cr4, region = (uint64_t)vmxon_region, pa = (uint64_t)vmcs;
    bool failed;

    if (!(rdmsr(0x3a) & 1))                             /* IA32_FEATURE_CONTROL: lock it, VMX on */
        __asm__ volatile("wrmsr" : : "c"(0x3a), "a"(5), "d"(0));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 13));       /* VMXE */
    *(uint32_t *)vmxon_region = *(uint32_t *)vmcs = (uint32_t)rdmsr(0x480) & 0x7fffffff;     /* revision */
    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region) : "memory");
    if (!failed)                                        /* VMfail: CF or ZF */
        __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
    if (!failed)
        __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
    return !failed;
}

static void fill_vmcs(void)
{
    static const uint32_t rights[SEGMENTS] = { DATA, CODE, DATA, DATA, UNUSABLE, UNUSABLE, UNUSABLE, BUSY_TSS };
    struct __attribute__((packed)) { uint16_t limit; uint64_t base; } gdtr;
    uint64_t cr0, cr3, cr4;

    control(PIN_CONTROLS, 0x481, 0);
    control(PROC_CONTROLS, 0x482, HLT_EXITING);
    control(EXIT_CONTROLS, 0x483, HOST_64BIT);
    control(ENTRY_CONTROLS, 0x484, GUEST_64BIT);
    vmwrite(LINK_POINTER, ~0ull);
    __asm__("mov %%cr0, %0\n\tmov %%cr3, %1\n\tmov %%cr4, %2\n\tsgdt %3" : "=r"(cr0), "=r"(cr3), "=r"(cr4), "=m"(gdtr));
    vmwrite(HOST_CR0, cr0), vmwrite(GUEST_CR0, cr0);
    vmwrite(HOST_CR3, cr3), vmwrite(GUEST_CR3, cr3);
    vmwrite(HOST_CR4, cr4), vmwrite(GUEST_CR4, cr4);
    vmwrite(HOST_CS, 8), vmwrite(HOST_SS, 16), vmwrite(HOST_TR, 24);
    vmwrite(HOST_GDTR_BASE, gdtr.base);
    vmwrite(HOST_RIP, (uint64_t)vm_exit);               /* enter() sets HOST_RSP */
    for (unsigned i = 0; i < SEGMENTS; i++) {
        vmwrite(GUEST_RIGHTS + 2 * i, rights[i]);
        vmwrite(GUEST_LIMIT + 2 * i, i == TR ? 0x67 : 0xffffffff);
    }
    vmwrite(GUEST_CS, 8), vmwrite(GUEST_TR, 24);
    vmwrite(GUEST_DR7, 0x400), vmwrite(GUEST_RFLAGS, 2);
    vmwrite(GUEST_RSP, (uint64_t)guest_stack + sizeof guest_stack);
    vmwrite(GUEST_RIP, (uint64_t)guest);
}

static void handle_exit(struct registers *r)
{
    switch (vmread(EXIT_REASON) & 0xffff) {
    case REASON_CPUID:
        __asm__ volatile("cpuid" : "+a"(r->rax), "=b"(r->rbx), "+c"(r->rcx), "=d"(r->rdx));
        break;
    case REASON_VMCALL:
        print("the guest says: "), print_number(r->rax);
        break;
    case REASON_HLT:
        print("the guest has halted\n");
        quit(0);
    default:
        print("unexpected exit, reason "), print_number(vmread(EXIT_REASON));
        quit(2);
    }
    vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(INSTRUCTION_LENGTH));
}

void hypervisor(void)
{
    struct registers registers = { 0 };

    if (!start_vmx())
        print("there is no VMX\n"), quit(1);
    fill_vmcs();
    for (bool launched = false; enter(&registers, launched); launched = true)
        handle_exit(&registers);
    print("the VM entry failed, error "), print_number(vmread(INSTRUCTION_ERROR));
    quit(1);
}
