/* SPDX-License-Identifier: MIT */
/* SSE operands that must be aligned to 16 bytes, those that need not be, and what comes before the #GP. */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void)
{
    f = fixture_open();
    fixture_long_mode(f);
}
static void teardown(void) { fixture_close(f); }

/* Each case is an instruction with the operand [rbx], in a slot of 16 bytes: INC RAX, it, INC RAX, UD2. */
#define IN_SLOT(text) "1: inc rax\n " text "\n inc rax\n ud2\n .skip 16 - (. - 1b)\n"
#define SLOT(text) IN_SLOT(text " [rbx]")
#define STORE(name) IN_SLOT(name " [rbx],xmm1")
BLOB(must_be_aligned,
     SLOT("movaps xmm1,") SLOT("movapd xmm1,") SLOT("movdqa xmm1,") SLOT("movntdqa xmm1,") STORE("movaps") STORE("movapd")
     STORE("movdqa") STORE("movntps") STORE("movntpd") STORE("movntdq") SLOT("addps xmm1,") SLOT("addpd xmm1,")
     SLOT("andnps xmm1,") SLOT("sqrtps xmm1,") SLOT("rcpps xmm1,") SLOT("cvtdq2ps xmm1,") SLOT("cvtps2dq xmm1,")
     SLOT("cvttps2dq xmm1,") SLOT("cvtpd2ps xmm1,") SLOT("cvtpd2dq xmm1,") SLOT("cvttpd2dq xmm1,") SLOT("cvtpd2pi mm1,")
     SLOT("cvttpd2pi mm1,") SLOT("unpcklps xmm1,") SLOT("unpckhpd xmm1,") SLOT("haddps xmm1,") SLOT("addsubpd xmm1,")
     SLOT("movsldup xmm1,") SLOT("movshdup xmm1,") SLOT("paddb xmm1,") SLOT("punpcklbw xmm1,") SLOT("punpcklqdq xmm1,")
     SLOT("pcmpeqd xmm1,") SLOT("psrlw xmm1,") SLOT("pand xmm1,") SLOT("psadbw xmm1,") SLOT("paddd xmm1,")
     SLOT("pshufb xmm1,") SLOT("pabsd xmm1,") SLOT("pblendvb xmm1,") SLOT("ptest xmm1,") SLOT("pmuldq xmm1,")
     SLOT("pminsb xmm1,") SLOT("phminposuw xmm1,") SLOT("aesenc xmm1,") SLOT("pcmpgtq xmm1,"));
BLOB(need_not_be_aligned,
     SLOT("movups xmm1,") SLOT("movupd xmm1,") SLOT("movdqu xmm1,") SLOT("lddqu xmm1,") STORE("movups") STORE("movdqu")
     SLOT("movlps xmm1,") SLOT("movhpd xmm1,") SLOT("movq xmm1, qword ptr") STORE("movq qword ptr") SLOT("movd xmm1, dword ptr")
     SLOT("movss xmm1,") SLOT("addsd xmm1,") SLOT("cvtps2pd xmm1,") SLOT("cvtdq2pd xmm1,") SLOT("cvtpi2ps xmm1,")
     SLOT("cvtps2pi mm1,") SLOT("ucomiss xmm1,") SLOT("movddup xmm1,") SLOT("pmovsxbw xmm1,") SLOT("pmovzxdq xmm1,")
     SLOT("paddb mm1,") SLOT("movq mm1, qword ptr") SLOT("pshufb mm1,"));

/* The slots of a blob with RBX at `operand`: each must end with `vector` before the instruction, or at its UD2. */
static void each(const uint8_t *blob, const uint8_t *end, uint64_t operand, bool faults)
{
    for (size_t at = 0; at < (size_t)(end - blob); at += 16) {
        size_t ud2 = at + 14;
        while (memcmp(blob + ud2, "\x0f\x0b", 2))
            ud2--;
        f->cpu->gpr[RBX] = operand;
        f->cpu->gpr[RAX] = 0;
        uint64_t instructions = f->cpu->instructions;
        fixture_run_at(f, FIXTURE_CODE + at);
        if (faults) {
            fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + at + 3);
            ck_assert(f->stop.event.has_error_code);
        } else {
            fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + ud2);
        }
        ck_assert_uint_eq(f->cpu->gpr[RAX], faults ? 1 : 2);
        ck_assert_uint_eq(f->cpu->instructions - instructions, faults ? 1 : 3);
    }
}

START_TEST(aligned_operands)
{
    PUT(f, FIXTURE_CODE, must_be_aligned);
    each(must_be_aligned, must_be_aligned_end, 0x30010, false);
    each(must_be_aligned, must_be_aligned_end, 0x30018, true);
    each(must_be_aligned, must_be_aligned_end, 0x30021, true);
    each(must_be_aligned, must_be_aligned_end, 0x30020, false);     /* the same translation as before */
    PUT(f, FIXTURE_CODE, need_not_be_aligned);
    each(need_not_be_aligned, need_not_be_aligned_end, 0x30010, false);
    each(need_not_be_aligned, need_not_be_aligned_end, 0x30011, false);
}
END_TEST

/* With an immediate behind the operand, and every way to form an address. */
BLOB(forms, "movaps xmm1,[rip+0x100]\n movaps xmm1,[rip+0x101]");
BLOB(immediate, "shufps xmm1,[rip+0x100],0\n pshufd xmm1,[rip+0x100],1\n pshufhw xmm1,[rip+0x100],1\n cmppd xmm1,[rip+0x100],1\n"
     " palignr xmm1,[rip+0x100],1\n pclmulqdq xmm1,[rip+0x100],1");
BLOB(indexed, "movaps xmm1,[rbx+rcx*8+0x20]\n movaps xmm1,[ebx+r9d*2-8]\n movaps xmm1,fs:[rbx]\n movaps xmm1,gs:[r12]\n"
     " movaps xmm1,[rsp+8]\n movaps xmm1,xmm2\n movaps xmm9,[r13]\n ud2");

static void gp_at(uint64_t rip)
{
    fixture_run_at(f, rip);
    fixture_expect_event(f, VECTOR_GP, 0, rip);
}

START_TEST(relative_to_rip)
{
    static const uint8_t length[] = { 8, 9, 9, 9, 10, 10 };
    uint64_t at = FIXTURE_CODE + 9;         /* MOVAPS is 7 bytes long: its address is FIXTURE_CODE + 0x110 */
    PUT(f, at, forms);
    memory_write(&f->model->memory, at + 7, (const uint8_t[]){ 0x0f, 0x0b }, 2);
    fixture_run_at(f, at);
    fixture_expect_event(f, VECTOR_UD, 0, at + 7);
    PUT(f, FIXTURE_CODE + 0x2000, forms);
    gp_at(FIXTURE_CODE + 0x2000);
    /* Each in turn: aligned by its place, then one byte on. */
    size_t from = 0;
    for (unsigned i = 0; i < sizeof length; from += length[i++]) {
        uint64_t end = FIXTURE_CODE + 0x3000 + 0x400ull * i + 16;
        fixture_put(f, end - length[i], immediate + from, length[i]);
        fixture_put(f, end, (const uint8_t[]){ 0x0f, 0x0b }, 2);
        fixture_run_at(f, end - length[i]);
        fixture_expect_event(f, VECTOR_UD, 0, end);
        fixture_put(f, end - length[i] + 0x101, immediate + from, length[i]);
        gp_at(end - length[i] + 0x101);
    }
    ck_assert_uint_eq(from, (size_t)(immediate_end - immediate));
}
END_TEST

START_TEST(addresses)
{
    struct cpu *cpu = f->cpu;
    /* RBX has bits that the second instruction, with addresses of 32 bits, does not see; RCX * 8 carries them away. */
    static const struct { uint8_t gpr, at; uint64_t good, bad; } operand[] = {
        { RBX, 0, 0xffffffff00030000, 0xffffffff00030008 }, { RCX, 0, 0x20000002, 0x20000003 }, { R9, 5, 12, 13 },
        { R12, 16, 0x30008, 0x30000 }, { RSP, 22, 0x30008, 0x30000 }, { R13, 30, 0x30000, 0x30004 },
    };
    PUT(f, FIXTURE_CODE, indexed);
    cpu->seg[SEG_FS].base = 0x100000010;
    cpu->seg[SEG_GS].base = 0x18;
    for (unsigned i = 0; i < 6; i++)
        cpu->gpr[operand[i].gpr] = operand[i].good;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + (uint64_t)(indexed_end - indexed) - 2);
    for (unsigned i = 0; i < 6; i++) {
        cpu->gpr[operand[i].gpr] = operand[i].bad;
        fixture_run_at(f, FIXTURE_CODE);
        fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + operand[i].at);
        cpu->gpr[operand[i].gpr] = operand[i].good;
    }
    cpu->seg[SEG_FS].base += 8;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + 12);
}
END_TEST

BLOB(on_stack, "movaps xmm1,[rsp]\n ud2");
/* #UD and #NM come first, a page fault later (SDM Vol. 3, 6.9); an address that is not canonical is the stack's #SS. */
START_TEST(priorities)
{
    PUT(f, FIXTURE_CODE, must_be_aligned);
    fixture_put64(f, FIXTURE_PT + 8 * 0x40, 0);
    fixture_flush(f);
    f->cpu->gpr[RBX] = 0x40008;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + 3);
    f->cpu->gpr[RBX] = 0x40010;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_PF, 0, FIXTURE_CODE + 3);
    f->cpu->gpr[RBX] = 0x40008;
    f->cpu->cr0 |= CR0_TS;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_NM, 0, FIXTURE_CODE + 3);
    f->cpu->cr0 &= ~CR0_TS;
    f->cpu->cr4 &= ~CR4_OSFXSR;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 3);
    f->cpu->cr4 |= CR4_OSFXSR;
    f->cpu->gpr[RSP] = (1ull << 62) + 1;
    PUT(f, FIXTURE_CODE, on_stack);
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_SS, 0, FIXTURE_CODE);
}
END_TEST

BLOB32(legacy, "movaps xmm1,[ebx]\n movaps xmm1,es:[ebx]\n movaps xmm1,[bx+si]\n ud2");
START_TEST(segments_of_32_bits)
{
    fixture_protected(f);
    PUT(f, FIXTURE_CODE, legacy);
    f->cpu->seg[SEG_DS].base = 0x1008;
    f->cpu->seg[SEG_ES].base = 8;
    f->cpu->gpr[RBX] = 0x30008;
    f->cpu->gpr[RSI] = 0xfff0;                          /* 16 bits: 0x0008 + 0xfff0 */
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + (uint64_t)(legacy_end - legacy) - 2);
    f->cpu->gpr[RSI] = 0xfff1;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + 7);
    f->cpu->seg[SEG_ES].base = 0;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + 3);
    f->cpu->gpr[RBX] = 0x30000;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
}
END_TEST

/* #UD and #NM come before the #GP of an operand that is not aligned (SDM Vol. 2, Table 2-18), as they do before #AC. */
BLOB(misaligned_move, "movaps xmm1, [rbx]");
START_TEST(no_sse_comes_first)
{
    static const struct { uint64_t cr0, no_cr4; unsigned vector; } cases[] = {
        { 0, 0, VECTOR_GP }, { CR0_TS, 0, VECTOR_NM }, { CR0_EM, 0, VECTOR_UD }, { 0, CR4_OSFXSR, VECTOR_UD }, { CR0_TS | CR0_EM, 0, VECTOR_UD },
        { CR0_TS, CR4_OSFXSR, VECTOR_UD },
    };

    PUT(f, FIXTURE_CODE, misaligned_move);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_long_mode(f);
        f->cpu->cr0 |= cases[i].cr0;
        f->cpu->cr4 &= ~cases[i].no_cr4;
        f->cpu->gpr[RBX] = 0x30008;
        fixture_run(f);
        fixture_expect_event(f, cases[i].vector, 0, FIXTURE_CODE);
    }
}
END_TEST

/* 6.15, Interrupt 17: at CPL 3 with CR0.AM and RFLAGS.AC, each access by itself, also of a page that was accessed before. */
BLOB(read_twice, "mov eax, [rbx]\n mov eax, [rbx + 1]\n ud2");
BLOB(write_twice, "mov [rbx], eax\n mov [rbx + 2], eax\n ud2");
BLOB(read_and_write_twice, "mov eax, [rbx]\n mov [rbx + 3], ax\n ud2");
BLOB(bytes_and_words, "mov al, [rbx + 1]\n mov ax, [rbx + 2]\n mov eax, [rbx + 4]\n mov rax, [rbx + 8]\n ud2");
BLOB(quadwords, "mov rax, [rbx]\n mov rax, [rbx + 4]\n ud2");
START_TEST(alignment_checks)
{
    static const struct { const uint8_t *from, *end; unsigned fault; } cases[] = {
        { read_twice, read_twice_end, 2 }, { write_twice, write_twice_end, 2 }, { read_and_write_twice, read_and_write_twice_end, 2 },
        { bytes_and_words, bytes_and_words_end, 0 }, { quadwords, quadwords_end, 3 },
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned on = 0; on < 8; on++) {
            const bool am = on & 1, ac = on & 2, user = on & 4, checked = am && ac && user && cases[i].fault;

            fixture_long_mode(f);
            fixture_put(f, FIXTURE_CODE, cases[i].from, (size_t)(cases[i].end - cases[i].from));
            if (user) {
                for (unsigned s = SEG_ES; s <= SEG_GS; s++)
                    fixture_segment(f->cpu, (enum segment_register)s, SELECTOR_USER_DATA, 0xc0f3);
                fixture_segment(f->cpu, SEG_CS, SELECTOR_USER_CODE64, 0xa0fb);
            }
            f->cpu->cr0 |= am ? CR0_AM : 0;
            f->cpu->rflags |= ac ? RFLAGS_AC : 0;
            f->cpu->gpr[RBX] = 0x30000;
            fixture_run(f);
            fixture_expect_event(f, checked ? VECTOR_AC : VECTOR_UD, 0, checked ? FIXTURE_CODE + cases[i].fault : FIXTURE_CODE + (uint64_t)(cases[i].end - cases[i].from) - 2);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine alignment");
    TCase *tcase = tcase_create("alignment");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, aligned_operands);
    tcase_add_test(tcase, relative_to_rip);
    tcase_add_test(tcase, addresses);
    tcase_add_test(tcase, priorities);
    tcase_add_test(tcase, segments_of_32_bits);
    tcase_add_test(tcase, no_sse_comes_first);
    tcase_add_test(tcase, alignment_checks);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
