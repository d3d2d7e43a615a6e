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
#define CR_BIT(reg, name, bit) CR_BIT_##reg(name, bit)
#define CR_BIT_UNUSED(reg, name, bit) CR_BIT_##reg(name, bit)
#define CR_BIT_CR0(name, bit) { 1ull << (bit), #name },
#define CR_BIT_CR4(name, bit)
#include "arch/cr_bits.def"
#undef CR_BIT_CR0
#undef CR_BIT_CR4
    { 0, NULL },
};
static const struct bit cr4[] = {
#define CR_BIT(reg, name, bit) CR_BIT_##reg(name, bit)
#define CR_BIT_UNUSED(reg, name, bit) CR_BIT_##reg(name, bit)
#define CR_BIT_CR0(name, bit)
#define CR_BIT_CR4(name, bit) { 1ull << (bit), #name },
#include "arch/cr_bits.def"
    { 0, NULL },
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
