/* SPDX-License-Identifier: MIT */
/* Faults: exact RIP, error code, address and no side effect, at page boundaries and in the middle of blocks. */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void)
{
    f = fixture_open();
    fixture_long_mode(f);
    fixture_put64(f, FIXTURE_PT + 8 * 0x40, 0);                         /* 0x40000 not present */
    fixture_put64(f, FIXTURE_PT + 8 * 0x41, 0x41000 | 5);               /* read-only */
    fixture_put64(f, FIXTURE_PT + 8 * 0x42, 0x42000 | 3 | 1ull << 63);  /* supervisor, no execute */
    fixture_put64(f, FIXTURE_PT + 8 * 0x43, 0x43000 | 7 | 1ull << 51);  /* reserved bit */
    fixture_flush(f);
}
static void teardown(void) { fixture_close(f); }

BLOB(fault_write, "inc rax\n inc rax\n mov [rbx],rcx\n inc rax\n ud2");
BLOB(fault_read, "inc rax\n mov rcx,[rbx+4]\n inc rax\n ud2");
BLOB(fault_jump, "jmp rbx");
BLOB(fault_stack, "mov rsp,rbx\n push rax\n ud2");
BLOB(fault_rbp, "mov rax,[rbp]\n ud2");
BLOB(fault_add, "nop\n add qword ptr [rbx],1\n ud2");
BLOB(fault_xchg, "nop\n xchg [rbx],rax\n ud2");
BLOB(fault_movs, "mov rsi,0x30000\n mov rdi,0x3fff0\n mov ecx,100\n rep movsb\n ud2");
BLOB(fault_branches, "jmp rbx\n call rbx\n ret\n ret 8\n jmp [rcx]");
/* A near branch to an address that is not canonical faults where it stands. */
START_TEST(branches_to_non_canonical_addresses)
{
    static const uint64_t at[] = { 0, 2, 4, 5, 8 };
    PUT(f, FIXTURE_CODE, fault_branches);
    f->cpu->gpr[RBX] = 1ull << 62;
    f->cpu->gpr[RCX] = 0x30000;
    fixture_put64(f, 0x30000, 0xaaaaaaaaaaaaaaaa);
    for (unsigned i = 0; i < 5; i++) {
        f->cpu->gpr[RSP] = FIXTURE_STACK - 0x20;
        fixture_put64(f, FIXTURE_STACK - 0x20, 0xaaaaaaaaaaaaaaaa);
        uint64_t instructions = f->cpu->instructions;
        fixture_run_at(f, FIXTURE_CODE + at[i]);
        fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + at[i]);
        ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK - 0x20);
        ck_assert_uint_eq(f->cpu->instructions, instructions);
    }
}
END_TEST

BLOB(fault_alignment, "push 0x23\n push 0x70000\n push 0x40202\n push 0x2b\n push 0x100200\n iretq");
BLOB(fault_unaligned, "mov eax,[rbx]\n mov ax,[rbx+2]\n pushfq\n and dword ptr [rsp],~0x40000\n popfq\n mov eax,[rbx+1]\n"
     " or qword ptr [rsp-8],0x40000\n sub rsp,8\n popfq\n mov eax,[rbx+2]\n ud2");
START_TEST(alignment_checks)
{
    const uint64_t last = (uint64_t)(fault_unaligned_end - fault_unaligned) - 2;
    fixture_long_mode(f);
    PUT(f, FIXTURE_CODE, fault_alignment);
    PUT(f, FIXTURE_CODE + 0x200, fault_unaligned);
    f->cpu->cr0 |= CR0_AM;
    f->cpu->gpr[RBX] = 0x30000;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_AC, 0, FIXTURE_CODE + 0x200 + last - 3);
    f->cpu->cr0 &= ~CR0_AM;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 0x200 + last);
}
END_TEST

BLOB(fault_div, "nop\n xor ecx,ecx\n div ecx\n ud2");

static void page_fault(uint32_t error_code, uint64_t rip, uint64_t address)
{
    fixture_expect_event(f, VECTOR_PF, error_code, rip);
    ck_assert_uint_eq(f->stop.event.address, address);
    ck_assert_uint_eq(f->stop.event.type, EVENT_HARDWARE_EXCEPTION);
    ck_assert(f->stop.event.has_error_code && f->stop.event.valid);
    ck_assert_uint_eq(f->cpu->cr2, 0);              /* nothing delivered */
}

START_TEST(data_faults)
{
    PUT(f, FIXTURE_CODE, fault_write);
    PUT(f, FIXTURE_CODE + 0x100, fault_read);
    f->cpu->gpr[RBX] = 0x40008;
    fixture_run(f);
    page_fault(PF_WRITE, FIXTURE_CODE + 6, 0x40008);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 2);
    ck_assert_uint_eq(f->cpu->instructions, 2);
    fixture_run_at(f, FIXTURE_CODE + 0x100);
    page_fault(0, FIXTURE_CODE + 0x103, 0x4000c);
    ck_assert_uint_eq(f->cpu->instructions, 3);
    f->cpu->gpr[RBX] = 0x41ffc;
    fixture_run_at(f, FIXTURE_CODE);
    page_fault(PF_WRITE | PF_PRESENT, FIXTURE_CODE + 6, 0x41ffc);
    f->cpu->gpr[RBX] = 0x43000;
    fixture_run_at(f, FIXTURE_CODE);
    page_fault(PF_WRITE | PF_PRESENT | PF_RESERVED, FIXTURE_CODE + 6, 0x43000);
}
END_TEST

START_TEST(read_modify_write_reports_a_write)
{
    PUT(f, FIXTURE_CODE, fault_add);
    PUT(f, FIXTURE_CODE + 0x100, fault_xchg);
    f->cpu->gpr[RBX] = 0x40010;
    fixture_run(f);
    page_fault(PF_WRITE, FIXTURE_CODE + 1, 0x40010);
    fixture_run_at(f, FIXTURE_CODE + 0x100);
    page_fault(PF_WRITE, FIXTURE_CODE + 0x101, 0x40010);
}
END_TEST

/* With EPT, too, what guest paging forbids the write comes before what EPT says of the page (29.3.3). */
START_TEST(read_modify_write_beneath_ept)
{
    static struct vmcs vmcs;
    enum { PML4 = 0x60000, PDPT = 0x61000, PD = 0x62000, PT = 0x63000, RWX = 7, WRITE_BACK = 6 << 3 };

    PUT(f, FIXTURE_CODE, fault_add);
    PUT(f, FIXTURE_CODE + 0x100, fault_xchg);
    PUT(f, FIXTURE_CODE + 0x200, fault_read);
    fixture_put64(f, PML4, PDPT | RWX);
    fixture_put64(f, PDPT, PD | RWX);
    fixture_put64(f, PD, PT | RWX);
    for (uint64_t i = 0; i < 512; i++)
        fixture_put64(f, PT + 8 * i, i == 0x41 || i == 0x44 ? 0 : i << 12 | WRITE_BACK | RWX);
    f->cpu->vmx.current = &vmcs;
    f->cpu->vmx.non_root = f->cpu->vmx.ept = true;
    f->cpu->vmx.eptp = PML4 | 3 << 3 | 6;
    for (uint64_t at = FIXTURE_CODE; at < FIXTURE_CODE + 0x200; at += 0x100) {
        f->cpu->gpr[RBX] = 0x41010;                                     /* read-only to the guest */
        fixture_run_at(f, at);
        page_fault(PF_WRITE | PF_PRESENT, at + 1, 0x41010);
        f->cpu->gpr[RBX] = 0x44010;                                     /* writable to the guest */
        fixture_run_at(f, at);
        ck_assert_int_eq(f->stop.reason, STOP_FAULT);
        ck_assert_int_eq(f->stop.translation.result, TRANSLATION_EPT_VIOLATION);
        ck_assert_uint_eq(f->stop.translation.gpa, 0x44010);
        ck_assert_uint_eq(f->stop.translation.qualification & 7, EPT_VIOLATION_WRITE);
    }
    f->cpu->gpr[RBX] = 0x41010;                                         /* what only reads is no write */
    fixture_run_at(f, FIXTURE_CODE + 0x200);
    ck_assert_int_eq(f->stop.reason, STOP_FAULT);
    ck_assert_uint_eq(f->stop.translation.qualification & 7, EPT_VIOLATION_READ);
}
END_TEST

START_TEST(fetch_faults)
{
    PUT(f, FIXTURE_CODE, fault_jump);
    f->cpu->gpr[RBX] = 0x42010;
    fixture_run(f);
    page_fault(PF_FETCH | PF_PRESENT, 0x42010, 0x42010);
    ck_assert_uint_eq(f->cpu->instructions, 1);
    f->cpu->gpr[RBX] = 0x40000;
    fixture_run_at(f, FIXTURE_CODE);
    page_fault(PF_FETCH, 0x40000, 0x40000);
    f->cpu->gpr[RBX] = 0x8000000000000000;
    fixture_run_at(f, FIXTURE_CODE);
    ck_assert_int_eq(f->stop.reason, STOP_EVENT);
    ck_assert_uint_eq(f->stop.event.vector, VECTOR_GP);
}
END_TEST

START_TEST(non_canonical_addresses)
{
    PUT(f, FIXTURE_CODE, fault_write);
    PUT(f, FIXTURE_CODE + 0x100, fault_stack);
    PUT(f, FIXTURE_CODE + 0x200, fault_rbp);
    f->cpu->gpr[RBX] = 0x8000000000000000;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE + 6);
    fixture_run_at(f, FIXTURE_CODE + 0x100);
    fixture_expect_event(f, VECTOR_SS, 0, FIXTURE_CODE + 0x103);
    f->cpu->gpr[RBP] = 0x8000000000000000;
    fixture_run_at(f, FIXTURE_CODE + 0x200);
    fixture_expect_event(f, VECTOR_SS, 0, FIXTURE_CODE + 0x200);
    ck_assert(f->stop.event.has_error_code);
}
END_TEST

START_TEST(repeated_move_stops_at_the_page)
{
    PUT(f, FIXTURE_CODE, fault_movs);
    memset(f->ram + 0x30000, 0x5a, 100);
    fixture_run(f);
    page_fault(PF_WRITE, FIXTURE_CODE + 0x13, 0x40000);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 84);
    ck_assert_uint_eq(f->cpu->gpr[RDI], 0x40000);
    ck_assert_uint_eq(f->cpu->gpr[RSI], 0x30010);
    ck_assert_uint_eq(f->ram[0x3ffff], 0x5a);
    fixture_put64(f, FIXTURE_PT + 8 * 0x40, 0x40000 | 7);
    fixture_flush(f);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 0x15);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 0);
    ck_assert_uint_eq(f->ram[0x40053], 0x5a);
    ck_assert_uint_eq(f->ram[0x40054], 0);
}
END_TEST

/* A MOV of 5 bytes whose last two lie in the next page. */
BLOB(fault_two_pages, "inc rdx\n inc rdx\n mov eax,0x12345678\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n ud2");
START_TEST(instruction_crosses_into_a_missing_page)
{
    PUT(f, 0x60ff7, fault_two_pages);
    fixture_put64(f, FIXTURE_PT + 8 * 0x61, 0);
    fixture_flush(f);
    fixture_run_at(f, 0x60ff7);
    page_fault(PF_FETCH, 0x60ffd, 0x61000);
    ck_assert_uint_eq(f->cpu->gpr[RDX], 2);
    ck_assert_uint_eq(f->cpu->instructions, 2);
    fixture_put64(f, FIXTURE_PT + 8 * 0x61, 0x61000 | 7);
    fixture_run_at(f, 0x60ff7);
    fixture_expect_event(f, VECTOR_UD, 0, 0x60ffd + 5 + 7);
    ck_assert_uint_eq(f->cpu->gpr[RDX], 4);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 0x12345678);
    ck_assert_uint_eq(f->cpu->instructions, 2 + 10);
    /* Now a translated block exists; the page goes away again. */
    fixture_put64(f, FIXTURE_PT + 8 * 0x61, 0);
    fixture_flush(f);
    f->cpu->gpr[RAX] = 0;
    fixture_run_at(f, 0x60ff7);
    page_fault(PF_FETCH, 0x60ffd, 0x61000);
    ck_assert_uint_eq(f->cpu->gpr[RDX], 6);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 0);
}
END_TEST

BLOB(fault_cross_read, "mov rax,[rbx]\n ud2");
START_TEST(operand_crosses_into_a_missing_page)
{
    PUT(f, FIXTURE_CODE, fault_cross_read);
    f->cpu->gpr[RBX] = 0x3fffd;
    fixture_run(f);
    page_fault(0, FIXTURE_CODE, 0x40000);
}
END_TEST

START_TEST(divide_error)
{
    PUT(f, FIXTURE_CODE, fault_div);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_DE, 0, FIXTURE_CODE + 3);
    ck_assert(!f->stop.event.has_error_code);
    ck_assert_uint_eq(f->cpu->instructions, 2);
}
END_TEST

BLOB(fault_stac, "stac\n mov [rbx],rcx\n clac\n mov [rbx],rcx\n ud2");
START_TEST(supervisor_mode_protection)
{
    fixture_put64(f, FIXTURE_PT + 8 * (FIXTURE_CODE >> 12), FIXTURE_CODE | 3);
    f->cpu->cr4 |= CR4_SMAP | CR4_SMEP;
    fixture_flush(f);
    PUT(f, FIXTURE_CODE, fault_write);
    PUT(f, FIXTURE_CODE + 0x100, fault_jump);
    PUT(f, FIXTURE_CODE + 0x200, fault_stac);
    f->cpu->gpr[RBX] = 0x44000;
    fixture_run(f);
    page_fault(PF_WRITE | PF_PRESENT, FIXTURE_CODE + 6, 0x44000);
    fixture_run_at(f, FIXTURE_CODE + 0x100);
    page_fault(PF_FETCH | PF_PRESENT, 0x44000, 0x44000);
    fixture_run_at(f, FIXTURE_CODE + 0x200);
    page_fault(PF_WRITE | PF_PRESENT, FIXTURE_CODE + 0x209, 0x44000);
}
END_TEST

BLOB(fault_device, "inc rax\n mov edx,[rbx]\n inc rax\n mov [rbx+8],rcx\n cpuid");
START_TEST(device_memory)
{
    PUT(f, FIXTURE_CODE, fault_device);
    f->device[0] = 0xaabbccdd;
    f->cpu->gpr[RBX] = FIXTURE_DEVICE;
    f->cpu->gpr[RCX] = 0x1122334455667788;
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 3 + 2 + 3 + 4);
    ck_assert_uint_eq(f->cpu->gpr[RDX], 0xaabbccdd);
    ck_assert_uint_eq(f->device[1], 0x1122334455667788);
    ck_assert_uint_eq(f->device_clock, 3);          /* exact within the block */
    ck_assert_uint_eq(f->cpu->clock, 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: faults");
    TCase *tc = tcase_create("faults");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, data_faults);
    tcase_add_test(tc, read_modify_write_reports_a_write);
    tcase_add_test(tc, read_modify_write_beneath_ept);
    tcase_add_test(tc, fetch_faults);
    tcase_add_test(tc, non_canonical_addresses);
    tcase_add_test(tc, branches_to_non_canonical_addresses);
    tcase_add_test(tc, alignment_checks);
    tcase_add_test(tc, repeated_move_stops_at_the_page);
    tcase_add_test(tc, instruction_crosses_into_a_missing_page);
    tcase_add_test(tc, operand_crosses_into_a_missing_page);
    tcase_add_test(tc, divide_error);
    tcase_add_test(tc, supervisor_mode_protection);
    tcase_add_test(tc, device_memory);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
