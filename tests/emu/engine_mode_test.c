/* SPDX-License-Identifier: MIT */
/* Real mode, protected mode, compatibility mode, 64-bit mode; 32-bit and PAE paging; the system call instructions. */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void) { f = fixture_open(); }
static void teardown(void) { fixture_close(f); }

BLOB16(mode_real, "mov ax,0x1234\n mov ds,ax\n mov bx,0x10\n mov word ptr [bx],0x5678\n int 0x21\n mov ecx,0x12345678\n hlt");
BLOB16(mode_real_handler, "mov bp,sp\n mov dx,[bp]\n iret");
START_TEST(real_mode)
{
    fixture_real_mode(f);
    PUT(f, 0x8000, mode_real);
    PUT(f, 0x9000, mode_real_handler);
    memory_write32(&f->model->memory, 4 * 0x21, 0x09000000);    /* 0900:0000 */
    fixture_run(f);
    fixture_expect_event(f, 0x21, 0, 0x8000 + 12);
    ck_assert_uint_eq(f->stop.event.type, EVENT_SOFTWARE_INTERRUPT);
    ck_assert_uint_eq(f->ram[0x12350] | f->ram[0x12351] << 8, 0x5678);
    ck_assert_uint_eq(f->cpu->seg[SEG_DS].base, 0x12340);
    ck_assert_uint_eq(f->cpu->seg[SEG_DS].selector, 0x1234);
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_hlt, 0x8000 + 20);
    ck_assert_uint_eq(f->cpu->gpr[RDX], 0x800e);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 0x12345678);
    ck_assert_uint_eq(f->cpu->gpr[RSP], 0x7000);
}
END_TEST

BLOB32(mode_protected, "mov eax,0x11223344\n push eax\n pop ebx\n int 0x30\n inc ebx\n mov ecx,ds\n hlt");
BLOB32(mode_protected_handler, "mov edx,[esp]\n mov esi,[esp+4]\n iretd");
static void protected_code(void)
{
    PUT(f, FIXTURE_CODE, mode_protected);
    PUT(f, FIXTURE_CODE + 0x100, mode_protected_handler);
    fixture_gate(f, 0x30, FIXTURE_CODE + 0x100, 0);
    fixture_run(f);
    fixture_expect_event(f, 0x30, 0, FIXTURE_CODE + 7);
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 12);
    ck_assert_uint_eq(f->cpu->gpr[RBX], 0x11223345);
    ck_assert_uint_eq(f->cpu->gpr[RDX], FIXTURE_CODE + 9);
    ck_assert_uint_eq(f->cpu->gpr[RSI], SELECTOR_CODE32);
    ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK);
}
START_TEST(protected_mode) { fixture_protected(f); protected_code(); } END_TEST
START_TEST(paging_32_bit) { fixture_paging32(f); protected_code(); } END_TEST
START_TEST(paging_pae) { fixture_pae(f); protected_code(); } END_TEST

/*
 * In 64-bit mode CS, DS, ES and SS have no base and no limit, whatever a VM entry has loaded (3.2.4, 5.3.1): code is where RIP says, so are
 * operands, strings and frames; and the registers keep what they hold.
 */
BLOB(mode_bases, "lea rsi,[rip+1f]\n mov rax,[rsi]\n mov [rbx],rax\n push rax\n pop rcx\n lea rdi,[rbx+8]\n movsq\n call 2f\n int 0x44\n cpuid\n hlt\n"
                 "2: mov rdx,[rsp]\n ret\n 1: .quad 0x1122334455667788");
BLOB(mode_bases_handler, "mov r8,[rsp]\n iretq");
START_TEST(bases_of_64_bit_code_are_none)
{
    struct segment *seg = f->cpu->seg;

    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_bases);
    PUT(f, FIXTURE_CODE + 0x300, mode_bases_handler);
    fixture_gate(f, 0x44, FIXTURE_CODE + 0x300, 0);
    seg[SEG_CS].base = 0x12345000, seg[SEG_DS].base = 0x1000, seg[SEG_ES].base = 0x777, seg[SEG_SS].base = 0x3000;
    seg[SEG_CS].limit = seg[SEG_DS].limit = seg[SEG_SS].limit = 3;
    f->cpu->gpr[RBX] = 0x30000;
    fixture_run(f);
    fixture_expect_event(f, 0x44, 0, f->cpu->rip);
    ck_assert(f->cpu->gpr[RCX] == 0x1122334455667788 && fixture_get64(f, 0x30000) == 0x1122334455667788);
    ck_assert_uint_eq(fixture_get64(f, 0x30008), 0x1122334455667788);
    ck_assert_uint_eq(f->cpu->gpr[RDX], f->cpu->rip);
    ck_assert(seg[SEG_CS].base == 0x12345000 && seg[SEG_CS].limit == 3 && seg[SEG_SS].base == 0x3000);
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_cpuid, f->cpu->rip);
    ck_assert_uint_eq(f->cpu->gpr[R8], f->cpu->rip);
    ck_assert_uint_eq(seg[SEG_CS].base, 0);             /* IRET has loaded it */
}
END_TEST

/*
 * Virtual-8086 mode (21.2.5, 21.3): IRETD enters it, segments are paragraphs; an interrupt goes through the gate to level 0 with
 * the segment registers on its stack, there they are null; IRETD goes back. INT n below IOPL 3 is a #GP.
 */
BLOB32(mode_to_8086, "push 0x5000\n push 0x4000\n push 0x3000\n push 0x2000\n push 0x1000\n push 0x7000\n push [ebx]\n push 0x800\n"
                     "push 0\n iretd");
BLOB16(mode_8086, "mov ax,ds\n mov [0x10],ax\n push ax\n int 0x30\n hlt");
BLOB32(mode_8086_handler, "mov ecx,ds\n mov edx,[esp+8]\n iretd");
START_TEST(virtual_8086_mode)
{
    static const uint32_t frame[] = { 8, 0x800, RFLAGS_FIXED | RFLAGS_IOPL | RFLAGS_VM | RFLAGS_IF | RFLAGS_VIF | RFLAGS_VIP, 0x6ffe, 0x1000, 0x2000, 0x3000, 0x4000,
                                      0x5000 };
    const struct segment *seg = f->cpu->seg;

    fixture_protected(f);
    PUT(f, FIXTURE_CODE, mode_to_8086);
    PUT(f, 0x8000, mode_8086);
    PUT(f, FIXTURE_CODE + 0x100, mode_8086_handler);
    fixture_gate(f, 0x30, FIXTURE_CODE + 0x100, 3);
    f->cpu->gpr[RBX] = 0x60000;
    memory_write32(&f->model->memory, 0x60000, frame[2]);
    fixture_run(f);
    fixture_expect_event(f, 0x30, 0, 6);
    ck_assert_uint_eq(memory_read32(&f->model->memory, 0x30010) & 0xffff, 0x3000);
    ck_assert(seg[SEG_DS].base == 0x30000 && seg[SEG_DS].limit == 0xffff && seg[SEG_DS].access_rights == 0xf3);
    ck_assert(seg[SEG_CS].base == 0x8000 && seg[SEG_SS].base == 0x10000 && seg[SEG_GS].base == 0x50000);
    ck_assert_uint_eq(cpu_cpl(f->cpu), 3);
    fixture_deliver(f);
    fixture_expect_instruction(f, INSN_hlt, 8);                         /* after the handler */
    for (unsigned i = 0; i < 9; i++)
        ck_assert_uint_eq(memory_read32(&f->model->memory, FIXTURE_RING0_STACK - 36 + 4 * i), frame[i]);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 0);
    ck_assert_uint_eq(f->cpu->gpr[RDX], frame[2]);
    ck_assert(f->cpu->rflags & RFLAGS_VM);
    ck_assert(seg[SEG_FS].selector == 0x4000 && seg[SEG_FS].base == 0x40000 && seg[SEG_FS].access_rights == 0xf3);

    f->cpu->rflags &= ~RFLAGS_IOPL;
    f->cpu->rip = 6;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, 6);
}
END_TEST

BLOB32(mode_fault, "nop\n mov [ebx],eax\n hlt");
START_TEST(page_faults_of_32_bit_paging)
{
    fixture_paging32(f);
    PUT(f, FIXTURE_CODE, mode_fault);
    memory_write32(&f->model->memory, FIXTURE_PT + 4 * 0x40, 0x40005);
    fixture_flush(f);
    f->cpu->gpr[RBX] = 0x40004;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_PF, PF_WRITE | PF_PRESENT, FIXTURE_CODE + 1);
    ck_assert_uint_eq(f->stop.event.address, 0x40004);
    ck_assert(memory_read32(&f->model->memory, FIXTURE_PT + 4 * (FIXTURE_CODE >> 12)) & 0x20);     /* accessed */
}
END_TEST

START_TEST(page_faults_of_pae_paging)
{
    fixture_pae(f);
    PUT(f, FIXTURE_CODE, mode_fault);
    fixture_put64(f, FIXTURE_PT + 8 * 0x40, 0x40000 | 7 | 1ull << 63);
    fixture_flush(f);
    f->cpu->gpr[RBX] = 0x40004;
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 3);
    fixture_run_at(f, 0x40000);
    fixture_expect_event(f, VECTOR_PF, PF_FETCH | PF_PRESENT, 0x40000);
}
END_TEST

BLOB32(mode_compatibility, "mov eax,0xffffffff\n inc eax\n mov eax,esp\n .byte 0x40\n .byte 0x0f,0x05");
START_TEST(compatibility_mode)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_compatibility);
    fixture_segment(f->cpu, SEG_CS, SELECTOR_CODE32, 0xc09b);
    fixture_run(f);                                 /* 40 is INC EAX here; SYSCALL is #UD on Intel processors */
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 9);
    ck_assert_uint_eq(f->cpu->gpr[RAX], FIXTURE_STACK + 1);
}
END_TEST

BLOB(mode_to_user, "push 0x23\n push 0x70000\n push 0x202\n push 0x2b\n push 0x100200\n iretq");
BLOB(mode_user, "mov edi,55\n stc\n syscall\n mov esi,66\n ud2");
BLOB(mode_kernel, "mov rbx,rcx\n mov rbp,r11\n pushfq\n pop r8\n sysretq");
START_TEST(syscall_and_sysret)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_to_user);
    PUT(f, FIXTURE_CODE + 0x200, mode_user);
    PUT(f, FIXTURE_CODE + 0x300, mode_kernel);
    CPU_MSR(f->cpu, ia32_star) = 0x0018000800000000;
    CPU_MSR(f->cpu, ia32_lstar) = FIXTURE_CODE + 0x300;
    CPU_MSR(f->cpu, ia32_fmask) = RFLAGS_IF;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 0x200 + 13);
    ck_assert_uint_eq(f->cpu->gpr[RBX], FIXTURE_CODE + 0x208);
    ck_assert_uint_eq(f->cpu->gpr[RBP], RFLAGS_IF | RFLAGS_FIXED | RFLAGS_CF);
    ck_assert_uint_eq(f->cpu->gpr[R8], RFLAGS_FIXED | RFLAGS_CF);
    ck_assert_uint_eq(f->cpu->gpr[RSI], 66);
    ck_assert_uint_eq(AR_DPL(f->cpu->seg[SEG_SS].access_rights), 3);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, 0x2b);
    ck_assert_uint_eq(f->cpu->seg[SEG_SS].selector, 0x23);
    ck_assert_uint_eq(f->cpu->gpr[RSP], 0x70000);
}
END_TEST

/* A return to CPL 3 takes away FS and GS of CPL 0, but not their bases. */
BLOB(mode_bases_user, "mov rax,gs:[8]\n mov ecx,gs\n ud2");
START_TEST(bases_survive_a_return_to_user_mode)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_to_user);
    PUT(f, FIXTURE_CODE + 0x200, mode_bases_user);
    fixture_segment(f->cpu, SEG_GS, SELECTOR_DATA, 0xc093);
    f->cpu->seg[SEG_GS].base = 0x30000;
    fixture_put64(f, 0x30008, 0x1122334455667788);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 0x200 + (uint64_t)(mode_bases_user_end - mode_bases_user) - 2);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 0x1122334455667788);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 0);
    ck_assert_uint_eq(f->cpu->seg[SEG_GS].base, 0x30000);
}
END_TEST

BLOB(mode_null_ss, "mov ss,eax\n mov ss,ebx");
START_TEST(null_stack_segments)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_null_ss);
    f->cpu->gpr[RAX] = 0;
    f->cpu->gpr[RBX] = 3;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + 2);
    ck_assert_uint_eq(f->cpu->seg[SEG_SS].selector, 0);
}
END_TEST

BLOB(mode_sysret, "sysretq");
START_TEST(sysret_to_a_non_canonical_address)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_sysret);
    f->cpu->gpr[RCX] = 0x800000000000;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
    ck_assert_uint_eq(AR_DPL(f->cpu->seg[SEG_SS].access_rights), 0);
    CPU_MSR(f->cpu, ia32_efer) &= ~EFER_SCE;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE);
}
END_TEST

BLOB(mode_sysenter, "sysenter");
BLOB(mode_sysexit, "mov r8,rsp\n mov ecx,0x70000\n mov edx,0x100300\n .byte 0x48,0x0f,0x35");
BLOB(mode_after, "nop\n ud2");
START_TEST(sysenter_and_sysexit)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_sysenter);
    PUT(f, FIXTURE_CODE + 0x200, mode_sysexit);
    PUT(f, FIXTURE_CODE + 0x300, mode_after);
    fixture_run(f);                                 /* IA32_SYSENTER_CS is 0 */
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
    CPU_MSR(f->cpu, ia32_sysenter_cs) = 8;
    CPU_MSR(f->cpu, ia32_sysenter_esp) = 0x60000;
    CPU_MSR(f->cpu, ia32_sysenter_eip) = FIXTURE_CODE + 0x200;
    f->cpu->rflags |= RFLAGS_IF;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 0x301);
    ck_assert_uint_eq(f->cpu->gpr[R8], 0x60000);
    ck_assert_uint_eq(f->cpu->gpr[RSP], 0x70000);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, 0x2b);
    ck_assert_uint_eq(f->cpu->seg[SEG_SS].selector, 0x33);
    ck_assert(!(f->cpu->rflags & RFLAGS_IF));
}
END_TEST

BLOB(mode_swapgs, "swapgs\n mov rax,gs:[0]\n hlt");
START_TEST(swapgs)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_swapgs);
    fixture_put64(f, 0x33000, 0x1234);
    f->cpu->seg[SEG_GS].base = 0x55000;
    CPU_MSR(f->cpu, ia32_kernel_gs_base) = 0x33000;
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 0x1234);
    ck_assert_uint_eq(f->cpu->seg[SEG_GS].base, 0x33000);
    ck_assert_uint_eq(CPU_MSR(f->cpu, ia32_kernel_gs_base), 0x55000);
}
END_TEST

BLOB(mode_int_user, "int 0x44");
BLOB(mode_user_fault, "mov [rbx],al\n nop");
START_TEST(privilege_changes_on_delivery)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_to_user);
    PUT(f, FIXTURE_CODE + 0x200, mode_int_user);
    PUT(f, FIXTURE_CODE + 0x300, mode_after);
    fixture_gate(f, 0x44, FIXTURE_CODE + 0x300, 0);
    fixture_run(f);
    fixture_expect_event(f, 0x44, 0, FIXTURE_CODE + 0x200);
    ck_assert_uint_eq(AR_DPL(f->cpu->seg[SEG_SS].access_rights), 3);
    fixture_deliver(f);                             /* the gate's DPL is 0: an INT n may not use it */
    fixture_expect_event(f, VECTOR_GP, 0x44 * 8 + 2, FIXTURE_CODE + 0x200);
    fixture_gate(f, 0x44, FIXTURE_CODE + 0x300, 3);
    fixture_run(f);
    fixture_deliver(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 0x301);
    ck_assert_uint_eq(AR_DPL(f->cpu->seg[SEG_SS].access_rights), 0);
    ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_RING0_STACK - 40);
    ck_assert_uint_eq(fixture_get64(f, FIXTURE_RING0_STACK - 40), FIXTURE_CODE + 0x202);
    ck_assert_uint_eq(fixture_get64(f, FIXTURE_RING0_STACK - 16), 0x70000);
}
END_TEST

BLOB(mode_privilege, "int 0x44");
START_TEST(stack_switch_without_a_task_register)
{
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, mode_to_user);
    PUT(f, FIXTURE_CODE + 0x200, mode_privilege);
    fixture_gate(f, 0x44, FIXTURE_CODE + 0x300, 3);
    f->cpu->seg[SEG_TR].limit = 10;                 /* RSP0 ends beyond it */
    fixture_run(f);
    fixture_deliver(f);
    fixture_expect_event(f, VECTOR_TS, SELECTOR_TSS, FIXTURE_CODE + 0x200);
    f->cpu->seg[SEG_TR].limit = 11;
    fixture_run(f);
    fixture_put64(f, FIXTURE_TSS + 4, 0x900000000000);
    fixture_deliver(f);                             /* not canonical */
    fixture_expect_event(f, VECTOR_SS, 0, FIXTURE_CODE + 0x200);
}
END_TEST

START_TEST(code_in_device_memory)
{
    fixture_long_mode(f);
    memcpy(f->device, "\x48\xff\xc0\x48\xff\xc0\x0f\xa2", 8);
    fixture_run_at(f, FIXTURE_DEVICE);
    ck_assert_int_eq(f->stop.reason, STOP_REFUSED);
    ck_assert_str_eq(f->stop.text, "a sensitive instruction that is not in RAM");
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_DEVICE + 6);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 2);
    fixture_run_at(f, FIXTURE_DEVICE + 0x4000);     /* all ones */
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_DEVICE + 0x4000);
}
END_TEST

BLOB(mode_features, "popcnt eax,ebx\n xor ecx,ecx\n xgetbv\n rdfsbase rsi\n crc32 edx,ebx\n pshufb xmm0,xmm1\n aesenc xmm0,xmm1\n pclmulqdq xmm0,xmm1,0\n movbe eax,[rsp]\n cpuid");
BLOB(mode_avx, "nop\n vaddps xmm0,xmm1,xmm2\n nop");
BLOB(mode_fma, "nop\n vfmadd132ps xmm0,xmm1,xmm2\n nop");
BLOB(mode_andn, "nop\n andn eax,ebx,ecx\n nop");
START_TEST(features)
{
    fixture_long_mode(f);
    f->cpu->cr4 |= CR4_OSXSAVE | CR4_FSGSBASE;
    f->cpu->xcr0 = 3;
    f->cpu->seg[SEG_FS].base = 0x123456789a;
    PUT(f, FIXTURE_CODE, mode_features);
    PUT(f, FIXTURE_CODE + 0x100, mode_avx);
    PUT(f, FIXTURE_CODE + 0x200, mode_fma);
    PUT(f, FIXTURE_CODE + 0x300, mode_andn);
    f->cpu->gpr[RBX] = 0xff;
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
    ck_assert_uint_eq(f->cpu->gpr[RSI], 0x123456789a);
    for (unsigned i = 1; i <= 3; i++) {
        fixture_run_at(f, FIXTURE_CODE + 0x100 * i);
        fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 0x100 * i + 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: modes");
    TCase *tc = tcase_create("modes");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, real_mode);
    tcase_add_test(tc, protected_mode);
    tcase_add_test(tc, virtual_8086_mode);
    tcase_add_test(tc, bases_of_64_bit_code_are_none);
    tcase_add_test(tc, paging_32_bit);
    tcase_add_test(tc, paging_pae);
    tcase_add_test(tc, page_faults_of_32_bit_paging);
    tcase_add_test(tc, page_faults_of_pae_paging);
    tcase_add_test(tc, compatibility_mode);
    tcase_add_test(tc, syscall_and_sysret);
    tcase_add_test(tc, bases_survive_a_return_to_user_mode);
    tcase_add_test(tc, null_stack_segments);
    tcase_add_test(tc, sysret_to_a_non_canonical_address);
    tcase_add_test(tc, sysenter_and_sysexit);
    tcase_add_test(tc, swapgs);
    tcase_add_test(tc, privilege_changes_on_delivery);
    tcase_add_test(tc, stack_switch_without_a_task_register);
    tcase_add_test(tc, code_in_device_memory);
    tcase_add_test(tc, features);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
