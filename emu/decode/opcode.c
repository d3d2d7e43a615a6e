/* SPDX-License-Identifier: MIT */
/* The table of sensitive opcodes: SDM Vol. 2, appendix A. */
#include "emu/decode/opcode.h"

#include "arch/x86.h"

/* What a row asks of the ModRM byte. */
enum form {
    NO_MODRM,
    ANY,            /* has one, whatever it is */
    GROUP,          /* ModRM.reg selects, operand in a register or in memory */
    GROUP_MEMORY,   /* ... in memory only */
    GROUP_REGISTER, /* ... in a register only */
    EXACT,          /* the whole byte belongs to the opcode */
};
/* What it asks of the prefixes 66, F3, F2. */
enum mandatory { FREE, NONE, P66, PF3, PF2, NOT_F3 };

static const struct row {
    uint8_t map, opcode, form, modrm, mandatory, id;
} rows[] = {
    { MAP_ONE_BYTE, 0x6c, NO_MODRM, 0, FREE, INSN_ins },        { MAP_ONE_BYTE, 0x6d, NO_MODRM, 0, FREE, INSN_ins },
    { MAP_ONE_BYTE, 0x6e, NO_MODRM, 0, FREE, INSN_outs },       { MAP_ONE_BYTE, 0x6f, NO_MODRM, 0, FREE, INSN_outs },
    { MAP_ONE_BYTE, 0x90, NO_MODRM, 0, PF3, INSN_pause },       { MAP_ONE_BYTE, 0xcf, NO_MODRM, 0, FREE, INSN_iret },
    { MAP_ONE_BYTE, 0xe4, NO_MODRM, 0, FREE, INSN_in },         { MAP_ONE_BYTE, 0xe5, NO_MODRM, 0, FREE, INSN_in },
    { MAP_ONE_BYTE, 0xe6, NO_MODRM, 0, FREE, INSN_out },        { MAP_ONE_BYTE, 0xe7, NO_MODRM, 0, FREE, INSN_out },
    { MAP_ONE_BYTE, 0xec, NO_MODRM, 0, FREE, INSN_in },         { MAP_ONE_BYTE, 0xed, NO_MODRM, 0, FREE, INSN_in },
    { MAP_ONE_BYTE, 0xee, NO_MODRM, 0, FREE, INSN_out },        { MAP_ONE_BYTE, 0xef, NO_MODRM, 0, FREE, INSN_out },
    { MAP_ONE_BYTE, 0xf4, NO_MODRM, 0, FREE, INSN_hlt },
    { MAP_ONE_BYTE, 0xfa, NO_MODRM, 0, FREE, INSN_cli },        { MAP_ONE_BYTE, 0xfb, NO_MODRM, 0, FREE, INSN_sti },
    { MAP_ONE_BYTE, 0xc8, NO_MODRM, 0, FREE, INSN_enter },
    { MAP_ONE_BYTE, 0x9c, NO_MODRM, 0, FREE, INSN_pushf },      { MAP_ONE_BYTE, 0x9d, NO_MODRM, 0, FREE, INSN_popf },
    { MAP_ONE_BYTE, 0x07, NO_MODRM, 0, FREE, INSN_pop_segment },        { MAP_ONE_BYTE, 0x17, NO_MODRM, 0, FREE, INSN_pop_segment },
    { MAP_ONE_BYTE, 0x1f, NO_MODRM, 0, FREE, INSN_pop_segment },        { MAP_ONE_BYTE, 0x8e, ANY, 0, FREE, INSN_mov_to_segment },
    { MAP_ONE_BYTE, 0x9a, NO_MODRM, 0, FREE, INSN_call_far },           { MAP_ONE_BYTE, 0xea, NO_MODRM, 0, FREE, INSN_jmp_far },
    { MAP_ONE_BYTE, 0xff, GROUP_MEMORY, 3, FREE, INSN_call_far },       { MAP_ONE_BYTE, 0xff, GROUP_MEMORY, 5, FREE, INSN_jmp_far },
    { MAP_ONE_BYTE, 0xca, NO_MODRM, 0, FREE, INSN_ret_far },            { MAP_ONE_BYTE, 0xcb, NO_MODRM, 0, FREE, INSN_ret_far },
    { MAP_ONE_BYTE, 0xc4, GROUP_MEMORY, 0xff, FREE, INSN_load_far_pointer },
    { MAP_ONE_BYTE, 0xc5, GROUP_MEMORY, 0xff, FREE, INSN_load_far_pointer },
    { MAP_0F, 0x02, ANY, 0, FREE, INSN_lar },                           { MAP_0F, 0x03, ANY, 0, FREE, INSN_lsl },
    { MAP_0F, 0x00, GROUP, 4, FREE, INSN_verr },                        { MAP_0F, 0x00, GROUP, 5, FREE, INSN_verw },
    { MAP_0F, 0xa1, NO_MODRM, 0, FREE, INSN_pop_segment },              { MAP_0F, 0xa9, NO_MODRM, 0, FREE, INSN_pop_segment },
    { MAP_0F, 0xb2, GROUP_MEMORY, 0xff, FREE, INSN_load_far_pointer },
    { MAP_0F, 0xb4, GROUP_MEMORY, 0xff, FREE, INSN_load_far_pointer },
    { MAP_0F, 0xb5, GROUP_MEMORY, 0xff, FREE, INSN_load_far_pointer },
    { MAP_0F, 0x00, GROUP, 0, FREE, INSN_sldt },                { MAP_0F, 0x00, GROUP, 1, FREE, INSN_str },
    { MAP_0F, 0x00, GROUP, 2, FREE, INSN_lldt },                { MAP_0F, 0x00, GROUP, 3, FREE, INSN_ltr },
    { MAP_0F, 0x01, GROUP_MEMORY, 0, FREE, INSN_sgdt },         { MAP_0F, 0x01, GROUP_MEMORY, 1, FREE, INSN_sidt },
    { MAP_0F, 0x01, GROUP_MEMORY, 2, FREE, INSN_lgdt },         { MAP_0F, 0x01, GROUP_MEMORY, 3, FREE, INSN_lidt },
    { MAP_0F, 0x01, GROUP, 4, FREE, INSN_smsw },                { MAP_0F, 0x01, GROUP, 6, FREE, INSN_lmsw },
    { MAP_0F, 0x01, GROUP_MEMORY, 7, FREE, INSN_invlpg },
    { MAP_0F, 0x01, EXACT, 0xc1, NONE, INSN_vmcall },           { MAP_0F, 0x01, EXACT, 0xc2, NONE, INSN_vmlaunch },
    { MAP_0F, 0x01, EXACT, 0xc3, NONE, INSN_vmresume },         { MAP_0F, 0x01, EXACT, 0xc4, NONE, INSN_vmxoff },
    { MAP_0F, 0x01, EXACT, 0xc8, NONE, INSN_monitor },          { MAP_0F, 0x01, EXACT, 0xc9, NONE, INSN_mwait },
    { MAP_0F, 0x01, EXACT, 0xd1, NONE, INSN_xsetbv },           { MAP_0F, 0x01, EXACT, 0xd4, NONE, INSN_vmfunc },
    { MAP_0F, 0x01, EXACT, 0xf9, FREE, INSN_rdtscp },
    { MAP_0F, 0x06, NO_MODRM, 0, FREE, INSN_clts },             { MAP_0F, 0x08, NO_MODRM, 0, FREE, INSN_invd },
    { MAP_0F, 0x09, NO_MODRM, 0, FREE, INSN_wbinvd },
    { MAP_0F, 0x20, ANY, 0, FREE, INSN_mov_from_cr },           { MAP_0F, 0x21, ANY, 0, FREE, INSN_mov_from_dr },
    { MAP_0F, 0x22, ANY, 0, FREE, INSN_mov_to_cr },             { MAP_0F, 0x23, ANY, 0, FREE, INSN_mov_to_dr },
    { MAP_0F, 0x30, NO_MODRM, 0, FREE, INSN_wrmsr },            { MAP_0F, 0x31, NO_MODRM, 0, FREE, INSN_rdtsc },
    { MAP_0F, 0x32, NO_MODRM, 0, FREE, INSN_rdmsr },            { MAP_0F, 0x33, NO_MODRM, 0, FREE, INSN_rdpmc },
    { MAP_0F, 0x37, NO_MODRM, 0, FREE, INSN_getsec },
    { MAP_0F, 0x78, ANY, 0, NONE, INSN_vmread },                { MAP_0F, 0x79, ANY, 0, NONE, INSN_vmwrite },
    { MAP_0F, 0xae, GROUP_REGISTER, 2, PF3, INSN_wrfsbase },    { MAP_0F, 0xae, GROUP_REGISTER, 3, PF3, INSN_wrgsbase },
    { MAP_0F, 0xa2, NO_MODRM, 0, FREE, INSN_cpuid },            { MAP_0F, 0xaa, NO_MODRM, 0, FREE, INSN_rsm },
    { MAP_0F, 0xc7, GROUP_MEMORY, 6, NONE, INSN_vmptrld },      { MAP_0F, 0xc7, GROUP_MEMORY, 6, P66, INSN_vmclear },
    { MAP_0F, 0xc7, GROUP_MEMORY, 6, PF3, INSN_vmxon },         { MAP_0F, 0xc7, GROUP_MEMORY, 7, NONE, INSN_vmptrst },
    { MAP_0F, 0xc7, GROUP_REGISTER, 6, NOT_F3, INSN_rdrand },   { MAP_0F, 0xc7, GROUP_REGISTER, 7, NOT_F3, INSN_rdseed },
    { MAP_0F38, 0x80, ANY, 0, P66, INSN_invept },               { MAP_0F38, 0x81, ANY, 0, P66, INSN_invvpid },
    { MAP_0F38, 0x82, ANY, 0, P66, INSN_invpcid },
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

bool prefix_add(struct prefixes *p, uint8_t byte, bool mode64)
{
    if (mode64 && (byte & 0xf0) == 0x40) {
        p->rex = byte;
        return true;
    }
    switch (byte) {
    case 0x66: p->operand_size = true; break;
    case 0x67: p->address_size = true; break;
    case 0xf0: p->lock = true; break;
    case 0xf2: p->repne = true, p->rep = false; break;
    case 0xf3: p->rep = true, p->repne = false; break;
    case 0x26: p->segment = SEG_ES; break;
    case 0x2e: p->segment = SEG_CS; break;
    case 0x36: p->segment = SEG_SS; break;
    case 0x3e: p->segment = SEG_DS; break;
    case 0x64: p->segment = SEG_FS; break;
    case 0x65: p->segment = SEG_GS; break;
    default: return false;
    }
    if (mode64 && byte < 0x40)      /* SDM Vol. 1, 3.3.7.1: CS, DS, ES, SS overrides are ignored in 64-bit mode */
        p->segment = NO_REGISTER;
    p->rex = 0;                     /* SDM Vol. 2, 2.2.1: REX is ignored unless it is the last prefix */
    return true;
}

/* The rows of an opcode, in their order: each stop of the CPU engine asks for them. By number from 1; 0: there is none, or no other. */
struct row_index {
    uint8_t first[MAP_COUNT][256], next[ROW_COUNT + 1];
};

static const struct row_index *row_index(void)
{
    static struct row_index index;
    static bool made;

    if (made)
        return &index;
    for (unsigned i = ROW_COUNT; i > 0; i--) {
        uint8_t *first = &index.first[rows[i - 1].map][rows[i - 1].opcode];

        index.next[i] = *first;
        *first = (uint8_t)i;
    }
    made = true;
    return &index;
}
_Static_assert(sizeof rows / sizeof *rows < 256, "a row's number has 8 bits");

enum opcode_interest opcode_interest(enum opcode_map map, uint8_t opcode)
{
    unsigned first = row_index()->first[map][opcode];

    return !first ? OPCODE_ORDINARY : rows[first - 1].form == NO_MODRM ? OPCODE_SENSITIVE : OPCODE_ASK_MODRM;
}

static bool form_matches(const struct row *r, uint8_t modrm)
{
    bool reg = r->modrm == 0xff || (modrm >> 3 & 7) == r->modrm;
    switch ((enum form)r->form) {
    case NO_MODRM:
    case ANY: return true;
    case GROUP: return reg;
    case GROUP_MEMORY: return reg && modrm >> 6 != 3;
    case GROUP_REGISTER: return reg && modrm >> 6 == 3;
    case EXACT: return modrm == r->modrm;
    }
    return false;
}

static bool prefix_matches(enum mandatory mandatory, const struct prefixes *p)
{
    switch (mandatory) {
    case FREE: return true;
    case NONE: return !p->operand_size && !p->rep && !p->repne;
    case P66: return p->operand_size && !p->rep && !p->repne;
    case PF3: return p->rep;
    case PF2: return p->repne;
    case NOT_F3: return !p->rep && !p->repne;
    }
    return false;
}

enum insn_id opcode_find(enum opcode_map map, uint8_t opcode, const struct prefixes *prefixes, uint8_t modrm)
{
    const struct row_index *index = row_index();

    for (unsigned i = index->first[map][opcode]; i; i = index->next[i]) {
        const struct row *r = &rows[i - 1];

        if (form_matches(r, modrm) && prefix_matches((enum mandatory)r->mandatory, prefixes))
            return r->id == INSN_pause && (prefixes->rex & 1) ? INSN_none : r->id;     /* F3 41 90: XCHG R8, RAX */
    }
    return INSN_none;
}

/* ---- ordinary instructions ------------------------------------------------------------------------------------------- */

bool opcode_reads_and_writes(enum opcode_map map, uint8_t opcode, uint8_t modrm)
{
    unsigned group = modrm >> 3 & 7;
    if (map == MAP_0F)
        switch (opcode) {
        case 0xab: case 0xb3: case 0xbb:                                /* BTS, BTR, BTC */
        case 0xb0: case 0xb1: case 0xc0: case 0xc1:                     /* CMPXCHG, XADD */
        case 0xa4: case 0xa5: case 0xac: case 0xad:                     /* SHLD, SHRD */
            return true;
        case 0xba: return group > 4;
        case 0xc7: return group == 1;                                   /* CMPXCHG8B, CMPXCHG16B */
        default: return false;
        }
    if (map != MAP_ONE_BYTE)
        return false;
    if (opcode < 0x38)                                                  /* ADD to XOR; not CMP */
        return (opcode & 7) < 2;
    switch (opcode) {
    case 0x80: case 0x81: case 0x82: case 0x83: return group != 7;
    case 0x86: case 0x87:                                               /* XCHG */
    case 0xc0: case 0xc1: case 0xd0: case 0xd1: case 0xd2: case 0xd3:   /* shifts */
        return true;
    case 0xf6: case 0xf7: return group == 2 || group == 3;              /* NOT, NEG */
    case 0xfe: case 0xff: return group < 2;                             /* INC, DEC */
    default: return false;
    }
}

/* SDM Vol. 2, LOCK. */
bool opcode_lockable(enum opcode_map map, uint8_t opcode, uint8_t modrm)
{
    if (modrm >> 6 == 3 || !opcode_reads_and_writes(map, opcode, modrm))
        return false;
    if (map == MAP_0F)
        return (opcode & 0xf6) != 0xa4;
    return opcode < 0xc0 || opcode >= 0xf0;     /* no shifts */
}

/*
 * SDM Vol. 2, 2.4 and the pages of the instructions: all that read or write 16 bytes, but for MOVUPS, MOVUPD, MOVDQU, LDDQU
 * and the string comparisons of SSE4.2. What is not here is scalar, takes half a register or less, or is MMX.
 */
bool opcode_aligned(enum opcode_map map, uint8_t opcode, const struct prefixes *prefixes)
{
    static const struct range {
        uint8_t map, mandatory, first, last;
    } ranges[] = {
        /* UNPCK, MOVAPS, MOVNTPS, SQRT, RSQRT, RCP and logic, ADD and MUL, CVTDQ2PS, SUB to MAX, CMP, SHUF */
        { MAP_0F, NONE, 0x14, 0x15 }, { MAP_0F, NONE, 0x28, 0x29 }, { MAP_0F, NONE, 0x2b, 0x2b },
        { MAP_0F, NONE, 0x51, 0x59 }, { MAP_0F, NONE, 0x5b, 0x5f }, { MAP_0F, NONE, 0xc2, 0xc2 },
        { MAP_0F, NONE, 0xc6, 0xc6 },
        /* the same for double precision, CVTTPD2PI, CVTPD2PI, CVTPD2PS; integers; HADD, HSUB; MOVDQA, MOVNTDQ */
        { MAP_0F, P66, 0x14, 0x15 }, { MAP_0F, P66, 0x28, 0x29 }, { MAP_0F, P66, 0x2b, 0x2d }, { MAP_0F, P66, 0x51, 0x51 },
        { MAP_0F, P66, 0x54, 0x6d }, { MAP_0F, P66, 0x6f, 0x70 }, { MAP_0F, P66, 0x74, 0x76 }, { MAP_0F, P66, 0x7c, 0x7d },
        { MAP_0F, P66, 0x7f, 0x7f }, { MAP_0F, P66, 0xc2, 0xc2 }, { MAP_0F, P66, 0xc6, 0xc6 }, { MAP_0F, P66, 0xd0, 0xd5 },
        { MAP_0F, P66, 0xd8, 0xef }, { MAP_0F, P66, 0xf1, 0xf6 }, { MAP_0F, P66, 0xf8, 0xfe },
        /* MOVSLDUP, MOVSHDUP, CVTTPS2DQ, PSHUFHW; PSHUFLW, HADDPS, HSUBPS, ADDSUBPS, CVTPD2DQ */
        { MAP_0F, PF3, 0x12, 0x12 }, { MAP_0F, PF3, 0x16, 0x16 }, { MAP_0F, PF3, 0x5b, 0x5b }, { MAP_0F, PF3, 0x70, 0x70 },
        { MAP_0F, PF2, 0x70, 0x70 }, { MAP_0F, PF2, 0x7c, 0x7d }, { MAP_0F, PF2, 0xd0, 0xd0 }, { MAP_0F, PF2, 0xe6, 0xe6 },
        /* SSSE3; PBLENDVB, BLENDV, PTEST; PABS; PMULDQ to PACKUSDW, MOVNTDQA; PCMPGTQ to PHMINPOSUW; AES */
        { MAP_0F38, P66, 0x00, 0x0b }, { MAP_0F38, P66, 0x10, 0x10 }, { MAP_0F38, P66, 0x14, 0x15 },
        { MAP_0F38, P66, 0x17, 0x17 }, { MAP_0F38, P66, 0x1c, 0x1e }, { MAP_0F38, P66, 0x28, 0x2b },
        { MAP_0F38, P66, 0x37, 0x41 }, { MAP_0F38, P66, 0xdb, 0xdf },
        /* ROUND of vectors; BLEND, PALIGNR; DP, MPSADBW, PCLMULQDQ; AESKEYGENASSIST */
        { MAP_0F3A, P66, 0x08, 0x09 }, { MAP_0F3A, P66, 0x0c, 0x0f }, { MAP_0F3A, P66, 0x40, 0x42 },
        { MAP_0F3A, P66, 0x44, 0x44 }, { MAP_0F3A, P66, 0xdf, 0xdf },
    };
    for (const struct range *r = ranges; r < ranges + sizeof ranges / sizeof *ranges; r++)
        if (r->map == map && opcode >= r->first && opcode <= r->last &&
            prefix_matches((enum mandatory)r->mandatory, prefixes))
            return true;
    return false;
}
