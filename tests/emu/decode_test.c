/* SPDX-License-Identifier: MIT */
/* Decoding of sensitive instructions: operands in all modes, what is illegal, no read beyond the bytes given. */
#include <capstone/capstone.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "model/model.h"
#include "tests/suite.h"

enum { B16 = 16, B32 = 32, B64 = 64 };

static struct cpu mode(unsigned bits)
{
    struct cpu cpu = { .cr0 = CR0_PE, .rip = 0x1000 };
    cpu.gpr[RDX] = 0x3f8;
    cpu.seg[SEG_CS].access_rights = 0x9b | (bits == 64 ? AR_L : bits == 32 ? AR_DB : 0);
    if (bits == 64)
        CPU_MSR(&cpu, ia32_efer) = EFER_LME | EFER_LMA;
    return cpu;
}

static bool decode_bytes(unsigned bits, const char *bytes, size_t length, struct insn *insn)
{
    struct cpu cpu = mode(bits);
    return decode(&cpu, (const uint8_t *)bytes, length, insn);
}
#define DECODE(bits, bytes, insn) decode_bytes(bits, bytes, sizeof(bytes) - 1, insn)

START_TEST(memory_operands)
{
    struct insn i;
    ck_assert(DECODE(B64, "\x0f\x78\x4c\x98\xf0", &i));             /* vmread [rax+rbx*4-16],rcx */
    ck_assert_int_eq(i.id, INSN_vmread);
    ck_assert_int_eq(i.kind, OPERAND_MEMORY);
    ck_assert_uint_eq(i.base, RAX);
    ck_assert_uint_eq(i.index, RBX);
    ck_assert_uint_eq(i.scale, 2);
    ck_assert_int_eq(i.displacement, -16);
    ck_assert_uint_eq(i.reg, RCX);
    ck_assert_uint_eq(i.segment, SEG_DS);
    ck_assert_uint_eq(i.operand_size, 8);
    ck_assert_uint_eq(i.address_size, 8);
    ck_assert_uint_eq(i.length, 5);
    ck_assert(DECODE(B64, "\x47\x0f\x79\x84\x9c\x78\x56\x34\x12", &i));     /* vmwrite r8,[r12+r11*4+0x12345678] */
    ck_assert_uint_eq(i.base, R12);
    ck_assert_uint_eq(i.index, R11);
    ck_assert_uint_eq(i.reg, R8);
    ck_assert_int_eq(i.displacement, 0x12345678);
    ck_assert(DECODE(B64, "\x66\x0f\xc7\x35\x10\x00\x00\x00", &i));         /* vmclear [rip+16] */
    ck_assert_int_eq(i.id, INSN_vmclear);
    ck_assert_uint_eq(i.base, NO_REGISTER);
    ck_assert_int_eq(i.displacement, 0x1000 + 8 + 16);
    ck_assert(DECODE(B64, "\x0f\xc7\x34\x25\x10\x00\x00\x80", &i));         /* vmptrld [0xffffffff80000010] */
    ck_assert_uint_eq(i.base, NO_REGISTER);
    ck_assert_uint_eq(i.index, NO_REGISTER);
    ck_assert_int_eq(i.displacement, (int64_t)0xffffffff80000010);
    ck_assert(DECODE(B64, "\xf3\x0f\xc7\x75\x08", &i));                     /* vmxon [rbp+8] */
    ck_assert_uint_eq(i.segment, SEG_SS);
    ck_assert(DECODE(B64, "\x65\xf3\x0f\xc7\x34\x24", &i));                 /* vmxon gs:[rsp] */
    ck_assert_uint_eq(i.segment, SEG_GS);
    ck_assert_uint_eq(i.base, RSP);
    ck_assert_uint_eq(i.index, NO_REGISTER);
    ck_assert(DECODE(B64, "\x41\x0f\xc7\x75\x00", &i));                     /* vmptrld [r13]: not SS */
    ck_assert_uint_eq(i.segment, SEG_DS);
    ck_assert(DECODE(B64, "\x67\x0f\xc7\x36", &i));
    ck_assert_uint_eq(i.address_size, 4);
    ck_assert(DECODE(B32, "\x0f\xc7\x35\x10\x00\x00\x00", &i));             /* absolute outside 64-bit mode */
    ck_assert_int_eq(i.displacement, 0x10);
    ck_assert(DECODE(B16, "\x0f\x01\x53\xfe", &i));                         /* lgdt [bp+di-2] */
    ck_assert_int_eq(i.id, INSN_lgdt);
    ck_assert_uint_eq(i.base, RBP);
    ck_assert_uint_eq(i.index, RDI);
    ck_assert_uint_eq(i.segment, SEG_SS);
    ck_assert_int_eq(i.displacement, -2);
    ck_assert_uint_eq(i.operand_size, 2);
    ck_assert(DECODE(B16, "\x66\x0f\x01\x16\x34\x12", &i));                 /* o32 lgdt [0x1234] */
    ck_assert_uint_eq(i.operand_size, 4);
    ck_assert_uint_eq(i.base, NO_REGISTER);
    ck_assert_int_eq(i.displacement, 0x1234);
    ck_assert_uint_eq(i.segment, SEG_DS);
}
END_TEST

START_TEST(register_operands)
{
    struct insn i;
    ck_assert(DECODE(B64, "\x44\x0f\x22\xc3", &i));                 /* mov cr8,rbx */
    ck_assert_int_eq(i.id, INSN_mov_to_cr);
    ck_assert_uint_eq(i.reg, 8);
    ck_assert_uint_eq(i.rm, RBX);
    ck_assert(DECODE(B64, "\x41\x0f\x20\x1c", &i));                 /* mov r12,cr3; ModRM.mod does not matter */
    ck_assert_uint_eq(i.rm, R12);
    ck_assert_uint_eq(i.reg, 3);
    ck_assert_uint_eq(i.length, 4);
    ck_assert(DECODE(B32, "\x0f\x23\xfe", &i));                     /* mov dr7,esi */
    ck_assert_uint_eq(i.operand_size, 4);
    ck_assert_uint_eq(i.reg, 7);
    ck_assert(DECODE(B64, "\x66\x0f\x01\xe1", &i));                 /* smsw cx */
    ck_assert_uint_eq(i.operand_size, 2);
    ck_assert(DECODE(B64, "\x49\x0f\xc7\xf7", &i));                 /* rdrand r15 */
    ck_assert_uint_eq(i.rm, R15);
    ck_assert_uint_eq(i.operand_size, 8);
}
END_TEST

START_TEST(ports)
{
    struct insn i;
    ck_assert(DECODE(B64, "\xe5\x71", &i));
    ck_assert_uint_eq(i.port, 0x71);
    ck_assert(i.port_immediate);
    ck_assert_uint_eq(i.operand_size, 4);
    ck_assert(DECODE(B64, "\xee", &i));
    ck_assert_uint_eq(i.port, 0x3f8);
    ck_assert(!i.port_immediate);
    ck_assert_uint_eq(i.operand_size, 1);
    ck_assert(DECODE(B16, "\xed", &i));
    ck_assert_uint_eq(i.operand_size, 2);
    ck_assert(DECODE(B64, "\x48\xed", &i));                         /* REX.W does not widen it */
    ck_assert_uint_eq(i.operand_size, 4);
    ck_assert(DECODE(B64, "\x64\xf3\x67\x6f", &i));                 /* rep outs dx, fs:[esi] */
    ck_assert_int_eq(i.id, INSN_outs);
    ck_assert(i.rep);
    ck_assert_uint_eq(i.segment, SEG_FS);
    ck_assert_uint_eq(i.address_size, 4);
    ck_assert(DECODE(B64, "\x64\x6c", &i));
    ck_assert_uint_eq(i.segment, SEG_ES);                           /* no override for the destination */
    ck_assert(DECODE(B64, "\xf2\x6c", &i));
    ck_assert(i.rep);
}
END_TEST

START_TEST(illegal)
{
    struct insn i;
    ck_assert(!DECODE(B32, "\x44\x0f\x20\xc0", &i));                /* INC ESP, no REX outside 64-bit mode */
    ck_assert(!DECODE(B64, "\x0f\x01\xf8", &i));                    /* SWAPGS */
    ck_assert(!DECODE(B64, "\x0f\xc7\x08", &i));                    /* CMPXCHG8B */
    ck_assert(!DECODE(B64, "\x0f\xc7\xf8\x66", &i) || i.id == INSN_rdseed);
    ck_assert(!DECODE(B64, "\xf3\x0f\xc7\xf8", &i));                /* RDPID */
    ck_assert(!DECODE(B64, "\x0f\x38\x80\x08", &i));                /* INVEPT needs 66 */
    ck_assert(!DECODE(B64, "\x66\x0f\x78\xc0\x01\x02", &i));        /* EXTRQ */
    ck_assert(!DECODE(B64, "\x90", &i));                            /* NOP is PAUSE with F3 only */
    ck_assert(!DECODE(B64, "\xf3\x41\x90", &i));                    /* XCHG R8, RAX */
    ck_assert(DECODE(B64, "\xf3\x90", &i));
    ck_assert(DECODE(B64, "\x41\xf3\x90", &i));                     /* REX before a prefix is ignored */
    ck_assert(!DECODE(B64, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\xa2", &i));   /* 16 bytes */
    ck_assert(DECODE(B64, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\xa2", &i));        /* 15 */
}
END_TEST

/* Decoded as they stand: the model refuses them, and says why. */
START_TEST(refused_by_the_model)
{
    struct insn i;
    ck_assert(DECODE(B64, "\xf0\x0f\xa2", &i) && i.lock);
    ck_assert(DECODE(B64, "\x0f\xa2", &i) && !i.lock);
    ck_assert(DECODE(B64, "\x0f\x20\x08", &i));
    ck_assert_uint_eq(i.reg, 1);
    ck_assert(DECODE(B64, "\x44\x0f\x20\xc8", &i));
    ck_assert_uint_eq(i.reg, 9);
    ck_assert(DECODE(B64, "\x44\x0f\x21\xc0", &i));
    ck_assert_uint_eq(i.reg, 8);
    ck_assert(DECODE(B64, "\x66\x0f\x38\x80\xc3", &i));
    ck_assert_int_eq(i.kind, OPERAND_REGISTER);
}
END_TEST

START_TEST(truncated)
{
    static const char code[] = "\x65\x66\x0f\x38\x80\x8c\x98\x11\x22\x33\x44";  /* invept rcx, gs:[rax+rbx*4+0x44332211] */
    struct insn i;
    for (size_t n = 0; n < sizeof code - 1; n++) {
        char *exact = malloc(n ? n : 1);            /* the sanitizer sees a read beyond it */
        memcpy(exact, code, n);
        ck_assert(!decode_bytes(B64, exact, n, &i));
        free(exact);
    }
    ck_assert(DECODE(B64, "\x65\x66\x0f\x38\x80\x8c\x98\x11\x22\x33\x44", &i));
    ck_assert_int_eq(i.id, INSN_invept);
}
END_TEST

/* Wherever both know an instruction, Capstone and decode() agree on its length; random bytes never upset decode(). */
START_TEST(lengths_agree_with_capstone)
{
    static const unsigned widths[] = { B16, B32, B64 };
    static const cs_mode modes[] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
    static const uint8_t opcodes[][3] = {
        { 0x0f, 0x01, 0 }, { 0x0f, 0x00, 0 }, { 0x0f, 0x20, 0 }, { 0x0f, 0x22, 0 }, { 0x0f, 0xc7, 0 }, { 0x0f, 0x78, 0 },
        { 0x0f, 0x79, 0 }, { 0x0f, 0x38, 0x80 }, { 0x0f, 0x38, 0x82 }, { 0xe4, 0, 0 }, { 0x6c, 0, 0 }, { 0x0f, 0xa2, 0 },
    };
    uint64_t random = 88172645463325252ull;
    unsigned compared = 0;
    for (unsigned m = 0; m < 3; m++) {
        csh handle;
        ck_assert_int_eq(cs_open(CS_ARCH_X86, modes[m], &handle), CS_ERR_OK);
        for (unsigned n = 0; n < 60000; n++) {
            uint8_t code[15];
            const uint8_t *opcode = opcodes[n % (sizeof opcodes / sizeof *opcodes)];
            for (unsigned b = 0; b < sizeof code; b++) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                code[b] = (uint8_t)random;
            }
            unsigned at = 0;
            if (n & 1 << 10)
                code[at++] = 0x66;
            if (n & 1 << 11)
                code[at++] = 0x67;
            if (m == 2 && n & 1 << 12)
                code[at++] = 0x40 | (code[14] & 15);
            memcpy(code + at, opcode, opcode[2] ? 3 : opcode[1] ? 2 : 1);
            struct insn i;
            struct cpu cpu = mode(widths[m]);
            cs_insn *insn;
            if (!decode(&cpu, code, sizeof code, &i))
                continue;
            ck_assert(i.id > INSN_none && i.id < INSN_COUNT && i.length >= at && i.length <= 15);
            if (cs_disasm(handle, code, sizeof code, 0x1000, 1, &insn) != 1)
                continue;
            /* Capstone 4 takes ModRM.mod of moves to and from CRs at its word, and 16-bit VMREAD for SSE4a. */
            if (i.id != INSN_mov_to_cr && i.id != INSN_mov_from_cr && insn->id != X86_INS_EXTRQ && insn->id != X86_INS_INSERTQ) {
                char text[120];
                disassemble(widths[m], 0x1000, code, sizeof code, text, sizeof text);
                ck_assert_msg(insn->size == i.length, "%s: %u, not %u bytes", text, i.length, insn->size);
                compared++;
            }
            cs_free(insn, 1);
        }
        cs_close(&handle);
    }
    ck_assert_uint_gt(compared, 20000);
}
END_TEST

START_TEST(disassembly)
{
    char text[80];
    disassemble(64, 0x1000, (const uint8_t *)"\x48\x8b\x03", 3, text, sizeof text);
    ck_assert_str_eq(text, "mov rax, qword ptr [rbx]");
    disassemble(16, 0x1000, (const uint8_t *)"\xf4", 1, text, sizeof text);
    ck_assert_str_eq(text, "hlt");
    disassemble(64, 0x1000, (const uint8_t *)"\x06", 1, text, sizeof text);
    ck_assert_str_eq(text, "(bad)");
}
END_TEST

START_TEST(memory_use)
{
    struct cpu cpu = mode(B64);
    static const struct { const char *bytes; size_t length; bool stack, rmw; } cases[] = {
        { "\x48\x83\x03\x01", 4, false, true },         /* add qword [rbx],1 */
        { "\x48\x87\x03", 3, false, true },             /* xchg [rbx],rax */
        { "\xf0\x0f\xb1\x0b", 4, false, true },         /* lock cmpxchg [rbx],ecx */
        { "\x48\x0f\xab\x03", 4, false, true },         /* bts [rbx],rax */
        { "\x48\xff\x03", 3, false, true },             /* inc qword [rbx] */
        { "\x48\x8b\x03", 3, false, false },            /* mov rax,[rbx] */
        { "\x48\x3b\x03", 3, false, false },            /* cmp rax,[rbx] */
        { "\x48\x39\x03", 3, false, false },            /* cmp [rbx],rax */
        { "\x48\x8b\x45\x00", 4, true, false },         /* mov rax,[rbp] */
        { "\x50", 1, true, false },                     /* push rax */
        { "\xff\xd0", 2, true, false },                 /* call rax */
        { "\xff\x10", 2, false, false },                /* call [rax] */
        { "\x0f\xa8", 2, true, false },                 /* push gs */
        { "\x66\x0f\x3a\x0f\x04\x24\x01", 7, true, false },   /* palignr xmm0,[rsp],1 */
        { "\x0f\x28\x04\x24", 4, true, false },         /* movaps xmm0,[rsp] */
        { "\xa4", 1, false, false },                    /* movsb */
        { "\xd0\x2b", 2, false, true },                 /* shr byte [rbx],1 */
        { "\xf6\x13", 2, false, true },                 /* not byte [rbx] */
        { "\xf6\x03\x01", 3, false, false },            /* test byte [rbx],1 */
        { "\x0f\xba\x23\x01", 4, false, false },        /* bt dword [rbx],1 */
        { "\xc3", 1, true, false },                     /* ret */
        { "\x64\x48\x8b\x45\x00", 5, false, false },    /* mov rax,fs:[rbp] */
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct memory_use use = decode_memory_use(&cpu, (const uint8_t *)cases[i].bytes, cases[i].length);
        ck_assert_msg(use.stack == cases[i].stack && use.read_modify_write == cases[i].rmw, "case %u: stack %d rmw %d", i,
                      use.stack, use.read_modify_write);
    }
    struct cpu legacy = mode(B32);
    ck_assert(decode_memory_use(&legacy, (const uint8_t *)"\x63\x03", 2).read_modify_write);       /* arpl [ebx],ax */
    ck_assert(!decode_memory_use(&cpu, (const uint8_t *)"\x63\x03", 2).read_modify_write);         /* movsxd eax,[rbx] */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decode");
    TCase *tc = tcase_create("decode");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, memory_operands);
    tcase_add_test(tc, register_operands);
    tcase_add_test(tc, ports);
    tcase_add_test(tc, illegal);
    tcase_add_test(tc, refused_by_the_model);
    tcase_add_test(tc, truncated);
    tcase_add_test(tc, lengths_agree_with_capstone);
    tcase_add_test(tc, disassembly);
    tcase_add_test(tc, memory_use);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
