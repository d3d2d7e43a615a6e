/* SPDX-License-Identifier: MIT */
/* Bits of registers by name: SDM Vol. 3, 2.2.1, 2.5, 2.6. */
#include "emu/explain/bits.h"

#include <stdio.h>

#include "arch/x86.h"

struct bit {
    uint64_t mask;
    const char *name;
};
#define NAMED(reg, name) { reg##_##name, #name }

static const struct bit cr0[] = {
    NAMED(CR0, PE), NAMED(CR0, MP), NAMED(CR0, EM), NAMED(CR0, TS), NAMED(CR0, ET), NAMED(CR0, NE), NAMED(CR0, WP),
    NAMED(CR0, AM), NAMED(CR0, NW), NAMED(CR0, CD), NAMED(CR0, PG), { 0, NULL },
};
static const struct bit cr4[] = {
    NAMED(CR4, VME), NAMED(CR4, PVI), NAMED(CR4, TSD), NAMED(CR4, DE), NAMED(CR4, PSE), NAMED(CR4, PAE), NAMED(CR4, MCE),
    NAMED(CR4, PGE), NAMED(CR4, PCE), NAMED(CR4, OSFXSR), NAMED(CR4, OSXMMEXCPT), NAMED(CR4, UMIP), NAMED(CR4, LA57),
    NAMED(CR4, VMXE), NAMED(CR4, SMXE), NAMED(CR4, FSGSBASE), NAMED(CR4, PCIDE), NAMED(CR4, OSXSAVE), { 1ull << 19, "KL" },
    NAMED(CR4, SMEP), NAMED(CR4, SMAP), NAMED(CR4, PKE), NAMED(CR4, CET), NAMED(CR4, PKS), { 1ull << 25, "UINTR" }, { 0, NULL },
};
static const struct bit efer[] = {
    NAMED(EFER, SCE), NAMED(EFER, LME), NAMED(EFER, LMA), NAMED(EFER, NXE), { 1ull << 12, "SVME" }, { 0, NULL },
};
static const struct bit xcr0[] = {
    { 1, "x87" }, { 2, "SSE" }, { 4, "AVX" }, { 8, "BNDREGS" }, { 16, "BNDCSR" }, { 32, "opmask" }, { 64, "ZMM_Hi256" },
    { 128, "Hi16_ZMM" }, { 512, "PKRU" }, { 0, NULL },
};

static const struct {
    const char *name;
    const struct bit *bit;
} registers[] = {
    [BITS_CR0] = { "CR0", cr0 }, [BITS_CR4] = { "CR4", cr4 }, [BITS_EFER] = { "IA32_EFER", efer }, [BITS_XCR0] = { "XCR0", xcr0 },
};

static const char *name_of(const struct bit *bit, uint64_t mask)
{
    while (bit->name && bit->mask != mask)
        bit++;
    return bit->name;
}

const char *bits_text(enum bits_register which, uint64_t bits, char *to, size_t size)
{
    size_t used = 0;

    snprintf(to, size, "no bit");
    for (unsigned i = 0; i < 64 && used < size; i++) {
        const char *name = bits >> i & 1 ? name_of(registers[which].bit, 1ull << i) : NULL;

        if (!(bits >> i & 1))
            continue;
        if (name)
            used += (size_t)snprintf(to + used, size - used, "%s%s.%s", used ? " and " : "", registers[which].name, name);
        else
            used += (size_t)snprintf(to + used, size - used, "%sbit %u of %s", used ? " and " : "", i, registers[which].name);
    }
    return to;
}
