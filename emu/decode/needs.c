/* SPDX-License-Identifier: MIT */
/* Instructions by their bytes, as Vol. 2 of the SDM encodes them: prefixes, opcode maps, VEX and EVEX. */
#include "emu/decode/needs.h"

#include "arch/x86.h"
#include "model/vmx/vmx.h"

enum { EAX, EBX, ECX, EDX };

enum feature_id {
#define FEATURE(name, text, leaf, subleaf, out, bit) FEATURE_##name,
#include "emu/decode/features.def"
};

static const struct feature features[] = {
#define FEATURE(name, text, leaf, subleaf, out, bit) { text, leaf, subleaf, out, bit },
#include "emu/decode/features.def"
};

enum map { MAP_ONE, MAP_TWO, MAP_38, MAP_3A, MAP_VEX, MAP_VEX38, MAP_VEX3A, MAP_EVEX };
enum prefix { PREFIX_NONE = 1, PREFIX_66 = 2, PREFIX_F3 = 4, PREFIX_F2 = 8, PREFIX_ANY = 15 };

/* ModRM: which bits of it, and what they must be. */
struct modrm {
    uint8_t mask, value;
    bool memory;                /* and bits 7:6 are not 11B */
};
#define WHOLE(byte) { 0xff, byte, false }
#define REGISTER(n) { 0xf8, 0xc0 | (n) << 3, false }
#define MEMORY(n) { 0x38, (n) << 3, true }
#define EITHER(n) { 0x38, (n) << 3, false }
#define ALL { 0, 0, false }

static const struct row {
    uint8_t map, opcode, prefix;
    struct modrm modrm;
    struct need need;
} rows[] = {
#define NEEDS(name, map, opcode, prefix, modrm, feature, cr4, control, mode)                                        \
    { MAP_##map, opcode, PREFIX_##prefix, modrm, { name, &features[FEATURE_##feature], cr4, control, MODE_##mode } },
#include "emu/decode/needs.def"
};

static const struct need vex = { "an instruction with VEX prefix (AVX and its kind)", &features[FEATURE_AVX], CR4_OSXSAVE, 0, MODE_ANYWHERE };
static const struct need evex = { "an instruction with EVEX prefix (AVX-512 and its kind)", &features[FEATURE_AVX512F], CR4_OSXSAVE, 0, MODE_ANYWHERE };

/* An opcode as it was found. */
struct found {
    enum map map;
    uint8_t opcode, prefix;
    bool has_modrm;             /* there is a byte that would be it */
    uint8_t modrm;
};

/* The bytes of a VEX or EVEX prefix begin like LES, LDS and BOUND, whose operand is in memory, outside of 64-bit mode. */
static bool is_vector(unsigned bits, const uint8_t *bytes, size_t left)
{
    return left >= 2 && (bytes[0] == 0xc4 || bytes[0] == 0xc5 || bytes[0] == 0x62) && (bits == 64 || (bytes[1] & 0xc0) == 0xc0);
}

static bool find_vector(const uint8_t *bytes, size_t left, struct found *found)
{
    static const uint8_t prefixes[] = { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 };
    static const uint8_t maps[] = { MAP_VEX, MAP_VEX, MAP_VEX38, MAP_VEX3A };
    size_t opcode = bytes[0] == 0xc5 ? 2 : bytes[0] == 0xc4 ? 3 : 4;

    if (left <= opcode)
        return false;
    found->map = bytes[0] == 0x62 ? MAP_EVEX : bytes[0] == 0xc5 ? MAP_VEX : maps[(bytes[1] & 0x1f) % 4];
    found->prefix = prefixes[bytes[bytes[0] == 0xc5 ? 1 : 2] & 3];
    found->opcode = bytes[opcode];
    found->has_modrm = left > opcode + 1;
    found->modrm = found->has_modrm ? bytes[opcode + 1] : 0;
    return true;
}

static bool is_prefix(unsigned bits, uint8_t byte)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
        return true;
    default:
        return bits == 64 && (byte & 0xf0) == 0x40;
    }
}

static bool find(unsigned bits, const uint8_t *bytes, size_t length, struct found *found)
{
    size_t at = 0;
    bool operand_size = false;

    *found = (struct found){ .map = MAP_ONE, .prefix = PREFIX_NONE };
    for (; at < length && is_prefix(bits, bytes[at]); at++) {
        operand_size |= bytes[at] == 0x66;
        if (bytes[at] >= 0xf2)
            found->prefix = bytes[at] == 0xf2 ? PREFIX_F2 : PREFIX_F3;
    }
    if (operand_size && found->prefix == PREFIX_NONE)
        found->prefix = PREFIX_66;
    if (at < length && is_vector(bits, bytes + at, length - at))
        return find_vector(bytes + at, length - at, found);
    if (at < length && bytes[at] == 0x0f) {
        found->map = MAP_TWO;
        at++;
        if (at < length && (bytes[at] == 0x38 || bytes[at] == 0x3a))
            found->map = bytes[at++] == 0x38 ? MAP_38 : MAP_3A;
    }
    if (at >= length)
        return false;
    found->opcode = bytes[at++];
    found->has_modrm = at < length;
    found->modrm = at < length ? bytes[at] : 0;
    return true;
}

static bool fits(const struct row *row, const struct found *found)
{
    return row->map == found->map && row->opcode == found->opcode && row->prefix & found->prefix &&
           (!row->modrm.mask || found->has_modrm) && (found->modrm & row->modrm.mask) == row->modrm.value &&
           !(row->modrm.memory && found->modrm >> 6 == 3);
}

const struct need *need_of(unsigned bits, const uint8_t *bytes, size_t length)
{
    struct found found;

    if (!find(bits, bytes, length, &found))
        return NULL;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (fits(&rows[i], &found))
            return &rows[i].need;
    return found.map == MAP_EVEX ? &evex : found.map >= MAP_VEX ? &vex : NULL;
}

bool need_is_kind(const struct need *need)
{
    return need == &vex || need == &evex;
}

const char *undefined_by_design(const uint8_t *bytes, size_t length)
{
    if (length < 2 || bytes[0] != 0x0f)
        return NULL;
    return bytes[1] == 0x0b ? "UD2" : bytes[1] == 0xb9 ? "UD1" : bytes[1] == 0xff ? "UD0" : NULL;
}
