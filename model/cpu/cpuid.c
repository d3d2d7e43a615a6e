/* SPDX-License-Identifier: MIT */
/*
 * CPUID: SDM Vol. 2, CPUID. The leaves are a table; what depends on the processor's state or place is added to its row.
 * A feature is named here only if the model or the CPU engine has it.
 */
#include "model/cpu/execute.h"
#include "model/cpu/monitor.h"
#include "model/model.h"

enum { LEAF_BASIC_LAST = 0x16, TSC_MHZ = 1000, CRYSTAL_HZ = 25000000 };
#define LEAF_EXTENDED_LAST 0x80000008u
#define ANY_SUBLEAF 0xffffffffu

/* Family 6, model 55H, stepping 4: a server of the Skylake generation. */
#define SIGNATURE 0x00050654u

#define ECX1_FEATURES                                                                                               \
    (1u << 0 /* SSE3 */ | 1u << 1 /* PCLMULQDQ */ | ECX1_MONITOR | ECX1_VMX | 1u << 7 /* EIST */ | 1u << 9 /* SSSE3 */ | 1u << 13 /* CX16 */ |    \
     1u << 17 /* PCID */ | 1u << 19 /* SSE4.1 */ | 1u << 20 /* SSE4.2 */ | 1u << 21 /* x2APIC */ | 1u << 22 /* MOVBE */ | \
     1u << 23 /* POPCNT */ | 1u << 24 /* TSC deadline */ | 1u << 25 /* AES */ | 1u << 26 /* XSAVE */ | \
     1u << 30 /* RDRAND */)
#define ECX1_MONITOR (1u << 3)
#define ECX1_VMX (1u << 5)
#define ECX1_OSXSAVE (1u << 27)
#define EDX1_FEATURES                                                                                               \
    (1u << 0 /* FPU */ | 1u << 2 /* DE */ | 1u << 3 /* PSE */ | 1u << 4 /* TSC */ | 1u << 5 /* MSR */ |               \
     1u << 6 /* PAE */ | 1u << 7 /* MCE */ | 1u << 8 /* CX8 */ | EDX1_APIC | 1u << 11 /* SEP */ |                    \
     1u << 12 /* MTRR */ | 1u << 13 /* PGE */ | 1u << 14 /* MCA */ | 1u << 15 /* CMOV */ | 1u << 16 /* PAT */ |      \
     1u << 17 /* PSE-36 */ | 1u << 19 /* CLFLUSH */ | 1u << 23 /* MMX */ | 1u << 24 /* FXSR */ |                    \
     1u << 25 /* SSE */ | 1u << 26 /* SSE2 */ | 1u << 27 /* self snoop */)
#define EDX1_VME (1u << 1)
#define EDX1_APIC (1u << 9)
#define EBX7_FEATURES                                                                                               \
    (1u << 0 /* FSGSBASE */ | 1u << 1 /* TSC_ADJUST */ | 1u << 7 /* SMEP */ | 1u << 9 /* ERMS */ |                 \
     1u << 10 /* INVPCID */ | 1u << 18 /* RDSEED */ | 1u << 20 /* SMAP */ | \
     1u << 23 /* CLFLUSHOPT */ | 1u << 24 /* CLWB */)
#define ECX7_LA57 (1u << 16)
#define ECX_EXTENDED_FEATURES (1u << 0 /* LAHF in 64-bit mode */ | 1u << 8 /* PREFETCHW */)
#define EDX_EXTENDED_SYSCALL (1u << 11)
#define EDX_EXTENDED_NX (1u << 20)
#define EDX_EXTENDED_FEATURES (EDX_EXTENDED_NX | 1u << 26 /* 1-GByte pages */ | 1u << 27 /* RDTSCP */ | 1u << 29 /* LM */)


enum { EAX, EBX, ECX, EDX };

struct leaf {
    uint32_t leaf, subleaf;
    uint32_t out[4];
};

static const struct leaf table[] = {
    { 0x0, ANY_SUBLEAF, { LEAF_BASIC_LAST, 0x756e6547, 0x6c65746e, 0x49656e69 } },     /* "GenuineIntel" */
    { 0x1, ANY_SUBLEAF, { SIGNATURE, 8u << 8, ECX1_FEATURES, EDX1_FEATURES } },         /* CLFLUSH line: 64 bytes */
    { 0x2, ANY_SUBLEAF, { 0x00feff01, 0, 0, 0 } },                                      /* see leaf 4; no leaf-2 TLB */
    { 0x4, 0, { 0x00000121, 7u << 22 | 63, 63, 0 } },                                   /* L1 data: 32 KB, 8 ways */
    { 0x4, 1, { 0x00000122, 7u << 22 | 63, 63, 0 } },                                   /* L1 instruction */
    { 0x4, 2, { 0x00000143, 15u << 22 | 63, 1023, 0 } },                                /* L2: 1 MB, 16 ways */
    { 0x5, ANY_SUBLEAF, { MONITOR_LINE, MONITOR_LINE, 3 /* extensions; masked interrupts end MWAIT */, 0x2020 /* C1, C3: two each */ } },
    { 0x6, ANY_SUBLEAF, { 1u << 2 /* ARAT */ | 1u << 7 /* HWP */ | 1u << 10 /* its energy preference */, 0,
                          1u << 0 /* APERF, MPERF */ | 1u << 3 /* ENERGY_PERF_BIAS */, 0 } },
    { 0x7, 0, { 0, EBX7_FEATURES, 1u << 2 /* UMIP */ | ECX7_LA57, 0 } },
    { 0xd, 0, { 3 /* x87, SSE */, 576, 576, 0 } },
    { 0x15, ANY_SUBLEAF, { 1, TSC_MHZ * 1000000u / CRYSTAL_HZ, CRYSTAL_HZ, 0 } },
    { 0x16, ANY_SUBLEAF, { TSC_MHZ, TSC_MHZ, 100, 0 } },
    { 0x80000000, ANY_SUBLEAF, { LEAF_EXTENDED_LAST, 0, 0, 0 } },
    { 0x80000001, ANY_SUBLEAF, { 0, 0, ECX_EXTENDED_FEATURES, EDX_EXTENDED_FEATURES } },
    { 0x80000002, ANY_SUBLEAF, { 0x71736553, 0x76206975, 0x75747269, 0x43206c61 } },    /* "Sesqui virtual C" */
    { 0x80000003, ANY_SUBLEAF, { 0x00005550, 0, 0, 0 } },                               /* "PU" */
    { 0x80000004, ANY_SUBLEAF, { 0, 0, 0, 0 } },
    { 0x80000006, ANY_SUBLEAF, { 0, 0, 1024u << 16 | 8u << 12 | 64, 0 } },              /* L2 */
    { 0x80000007, ANY_SUBLEAF, { 0, 0, 0, 1u << 8 /* invariant TSC */ } },
    { 0x80000008, ANY_SUBLEAF, { 0, 0, 0, 0 } },
};

static const struct leaf *find(uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].leaf == leaf && (table[i].subleaf == ANY_SUBLEAF || table[i].subleaf == subleaf))
            return &table[i];
    }
    return NULL;
}

/* Bits needed to number the processors of the one package. */
static unsigned apic_id_width(const struct cpu *cpu)
{
    unsigned width = 0;

    while (1u << width < cpu->model->cpu_count)
        width++;
    return width;
}

/* Leaf 0xB "Extended Topology": one thread a core, all cores in one package. */
static void topology(const struct cpu *cpu, uint32_t subleaf, uint32_t out[4])
{
    enum { TYPE_THREAD = 1, TYPE_CORE = 2 };

    out[EAX] = subleaf == 1 ? apic_id_width(cpu) : 0;
    out[EBX] = subleaf == 0 ? 1 : subleaf == 1 ? cpu->model->cpu_count : 0;
    out[ECX] = (subleaf & 0xff) | (subleaf == 0 ? TYPE_THREAD : subleaf == 1 ? TYPE_CORE : 0) << 8;
    out[EDX] = cpu->index;
}

/* EDX.APIC follows the enable bit of IA32_APIC_BASE: SDM Vol. 3, 11.4.3. */
static bool apic_disabled(const struct cpu *cpu)
{
    const struct bus *bus = &cpu->model->bus;
    uint64_t base;

    return bus->apic_read_msr && bus->apic_read_msr(bus->context, &cpu->model->cpu[cpu->index], MSR_ia32_apic_base, &base) &&
           !(base & APIC_BASE_ENABLE);
}

void cpuid_read(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct leaf *row;

    /* Beyond the last leaf, the data of the last basic one. */
    if (leaf > LEAF_EXTENDED_LAST || (leaf > LEAF_BASIC_LAST && leaf < 0x80000000))
        leaf = LEAF_BASIC_LAST;
    row = find(leaf, subleaf);
    for (unsigned i = 0; i < 4; i++)
        out[i] = row ? row->out[i] : 0;
    switch (leaf) {
    case 0x1:
        out[EBX] |= cpu->index << 24 | cpu->model->cpu_count << 16;
        out[ECX] |= cpu->cr4 & CR4_OSXSAVE ? ECX1_OSXSAVE : 0;
        out[ECX] &= monitor_enabled(cpu) ? ~0u : ~ECX1_MONITOR;
        out[ECX] &= cr4_allowed(cpu) & CR4_VMXE ? ~0u : ~ECX1_VMX;
        out[EDX] |= cr4_allowed(cpu) & CR4_VME ? EDX1_VME : 0;
        out[EDX] |= cpu->model->cpu_count > 1 ? 1u << 28 : 0;   /* HTT: the count in EBX is valid */
        out[EDX] &= apic_disabled(cpu) ? ~EDX1_APIC : ~0u;
        break;
    case 0x4:
        if (row)
            out[EAX] |= (cpu->model->cpu_count - 1) << 26;
        break;
    case 0x7:
        out[ECX] &= cr4_allowed(cpu) & CR4_LA57 ? ~0u : ~ECX7_LA57;
        break;
    case 0xb:
        topology(cpu, subleaf, out);
        break;
    case 0x80000001:
        out[EDX] |= cpu_64bit(cpu) ? EDX_EXTENDED_SYSCALL : 0;
        out[EDX] &= efer_allowed(cpu) & EFER_NXE ? ~0u : ~EDX_EXTENDED_NX;
        break;
    case 0x80000008:
        out[EAX] = (cr4_allowed(cpu) & CR4_LA57 ? 57u : 48u) << 8 | cpu->model->physical_address_width;
        break;
    }
}

void cpuid_execute(struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    cpuid_read(cpu, leaf, subleaf, out);
    if (leaf == 1)
        CPU_MSR(cpu, ia32_bios_sign_id) = (CPU_MSR(cpu, ia32_bios_sign_id) & 0xffffffff) | MICROCODE_REVISION << 32;
}
