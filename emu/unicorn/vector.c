/* SPDX-License-Identifier: MIT */
/*
 * SSE instructions that the library gets wrong: string comparisons, with lengths that its integers cannot hold (it reads and writes beyond
 * its own registers then) and in the mode "equal ordered"; and horizontal operations whose source is their destination, which it has overwritten by half when it reads it.
 */
#include "emu/unicorn/engine.h"

#include <string.h>

enum { REGISTER_SIZE = 64 };                    /* the library's vector registers, whatever of them an instruction uses */

/* ---- PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: SDM Vol. 2, 4.1 ---- */

/* The library's own, which is right where neither length nor "equal ordered" comes into it. */
void __real_helper_pcmpestri_xmm_x86_64(library_env *env, void *to, void *from, uint32_t control);
void __real_helper_pcmpestrm_xmm_x86_64(library_env *env, void *to, void *from, uint32_t control);

enum { WORDS = 1, SIGNED = 2, EQUAL_EACH = 2 << 2, NEGATIVE = 1 << 4, MASKED = 1 << 5, WIDE_LENGTH = 1 << 8 };

static unsigned elements(uint32_t control) { return control & WORDS ? 8 : 16; }

static int element(const uint8_t *operand, unsigned i, uint32_t control)
{
    uint16_t word;

    memcpy(&word, operand + 2 * (control & WORDS ? i : 0), sizeof word);
    switch (control & (WORDS | SIGNED)) {
    case 0:
        return operand[i];
    case SIGNED:
        return (int8_t)operand[i];
    case WORDS:
        return word;
    default:
        return (int16_t)word;
    }
}

/* The absolute value of EAX or RAX, saturated to the number of elements. */
static unsigned explicit_length(uint64_t value, uint32_t control)
{
    int64_t length = control & WIDE_LENGTH ? (int64_t)value : (int32_t)value, most = elements(control);

    return (unsigned)(length > most || length < -most ? most : length < 0 ? -length : length);
}

static unsigned implicit_length(const uint8_t *operand, uint32_t control)
{
    unsigned length = 0;

    while (length < elements(control) && element(operand, length, control))
        length++;
    return length;
}

/* Bit j of the intermediate result. */
static bool aggregate(const uint8_t *a, unsigned a_length, const uint8_t *b, unsigned b_length, unsigned j, uint32_t control)
{
    switch (control >> 2 & 3) {
    case 0:                                     /* equal any */
        for (unsigned i = 0; i < a_length; i++)
            if (j < b_length && element(a, i, control) == element(b, j, control))
                return true;
        return false;
    case 1:                                     /* ranges */
        for (unsigned i = 0; i + 1 < a_length; i += 2)
            if (j < b_length && element(a, i, control) <= element(b, j, control) && element(b, j, control) <= element(a, i + 1, control))
                return true;
        return false;
    case 2:                                     /* equal each */
        return j < a_length && j < b_length ? element(a, j, control) == element(b, j, control) : j >= a_length && j >= b_length;
    default:                                    /* equal ordered */
        for (unsigned i = 0; i + j < elements(control) && i < a_length; i++)
            if (i + j >= b_length || element(a, i, control) != element(b, i + j, control))
                return false;
        return true;
    }
}

/*
 * The result is put together here; the library stores it where it belongs when it compares, element by element, two operands that
 * are equal where the result is 1.
 */
static void compare_strings(library_env *env, const void *a, unsigned a_length, const void *b, unsigned b_length, uint32_t control,
                            void (*store)(library_env *, void *, void *, uint32_t))
{
    uint64_t *gpr = &ENV64(env, REGS), rax = gpr[RAX], rdx = gpr[RDX], flags = 0;
    uint8_t ones[REGISTER_SIZE] __attribute__((aligned(16))), result[REGISTER_SIZE] __attribute__((aligned(16)));
    unsigned n = elements(control), size = 16 / n;

    memset(ones, 1, sizeof ones);
    memset(result, 0, sizeof result);
    for (unsigned j = 0; j < n; j++) {
        bool bit = aggregate(a, a_length, b, b_length, j, control);
        if ((control & NEGATIVE) && (!(control & MASKED) || j < b_length))
            bit = !bit;
        if (bit) {
            memset(result + size * j, 1, size);
            flags |= RFLAGS_CF | (j == 0 ? RFLAGS_OF : 0);
        }
    }
    flags |= (b_length < n ? RFLAGS_ZF : 0) | (a_length < n ? RFLAGS_SF : 0);
    gpr[RAX] = gpr[RDX] = n;
    store(env, ones, result, (control & (WORDS | 0x40)) | EQUAL_EACH);
    gpr[RAX] = rax;
    gpr[RDX] = rdx;
    ENV64(env, CC_SRC) = flags;
}

#define STRINGS(name, store, a_length, b_length)                                                                                   \
    void __wrap_##name(library_env *env, void *to, void *from, uint32_t control);                                                 \
    void __wrap_##name(library_env *env, void *to, void *from, uint32_t control)                                                  \
    {                                                                                                                              \
        compare_strings(env, to, a_length, from, b_length, control, store);                                                       \
    }
STRINGS(helper_pcmpestri_xmm_x86_64, __real_helper_pcmpestri_xmm_x86_64, explicit_length((&ENV64(env, REGS))[RAX], control),
        explicit_length((&ENV64(env, REGS))[RDX], control))
STRINGS(helper_pcmpestrm_xmm_x86_64, __real_helper_pcmpestrm_xmm_x86_64, explicit_length((&ENV64(env, REGS))[RAX], control),
        explicit_length((&ENV64(env, REGS))[RDX], control))
STRINGS(helper_pcmpistri_xmm_x86_64, __real_helper_pcmpestri_xmm_x86_64, implicit_length(to, control), implicit_length(from, control))
STRINGS(helper_pcmpistrm_xmm_x86_64, __real_helper_pcmpestrm_xmm_x86_64, implicit_length(to, control), implicit_length(from, control))

/* ---- horizontal operations ---- */

#define HORIZONTAL(name)                                                                                                           \
    void __real_##name(library_env *env, void *to, void *from);                                                                   \
    void __wrap_##name(library_env *env, void *to, void *from);                                                                   \
    void __wrap_##name(library_env *env, void *to, void *from)                                                                    \
    {                                                                                                                              \
        uint8_t copy[REGISTER_SIZE] __attribute__((aligned(16)));                                                                  \
        if (to != from) {                                                                                                          \
            __real_##name(env, to, from);                                                                                         \
            return;                                                                                                                \
        }                                                                                                                          \
        memcpy(copy, from, sizeof copy);                                                                                           \
        __real_##name(env, to, copy);                                                                                             \
    }
HORIZONTAL(helper_haddps_x86_64)
HORIZONTAL(helper_hsubps_x86_64)
HORIZONTAL(helper_haddpd_x86_64)
HORIZONTAL(helper_hsubpd_x86_64)
HORIZONTAL(helper_phaddw_xmm_x86_64)
HORIZONTAL(helper_phaddd_xmm_x86_64)
HORIZONTAL(helper_phaddsw_xmm_x86_64)
HORIZONTAL(helper_phsubw_xmm_x86_64)
HORIZONTAL(helper_phsubd_xmm_x86_64)
HORIZONTAL(helper_phsubsw_xmm_x86_64)
