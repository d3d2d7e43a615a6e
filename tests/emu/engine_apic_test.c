/* SPDX-License-Identifier: MIT */
/* Guest code and the APIC-access page: what is virtualized goes to the virtual-APIC page, all else stops before it happens. */
#include "tests/emu/fixture.h"

enum { ACCESS_PAGE = 0x40000, VIRTUAL_PAGE = 0x50000 };

static struct fixture *f;

static void control(uint32_t proc2)
{
    struct vmcs *v = &f->model->vmcs_cache.vmcs[0];
    f->cpu->vmx.non_root = true;
    f->cpu->vmx.current = v;
    f->cpu->vmx.apic_accesses = proc2 & PROC2_virtualize_apic_accesses;
    f->cpu->vmx.apic_access_page = ACCESS_PAGE;
    VMCS(v, processor_based_controls) = PROC_activate_secondary_controls | PROC_use_tpr_shadow;
    VMCS(v, secondary_processor_based_controls) = proc2;
    VMCS(v, virtual_apic_address) = VIRTUAL_PAGE;
    VMCS(v, vmcs_link_pointer) = ~0ull;
}

static void setup(void)
{
    f = fixture_open();
    fixture_long_mode(f);
    control(PROC2_virtualize_apic_accesses | PROC2_apic_register_virtualization);
    f->cpu->gpr[RBX] = ACCESS_PAGE;
}
static void teardown(void) { fixture_close(f); }

static uint32_t at(uint64_t pa) { return memory_read32(&f->model->memory, pa); }

/* Runs the instruction that stopped; it must end without another stop. */
static void step(void)
{
    struct engine_request whole = f->request;
    f->request = (struct engine_request){ .limit = f->cpu->clock + 1, .single_step = true };
    ck_assert_int_eq(fixture_run(f), STOP_LIMIT);
    f->request = whole;
}

static void stopped(uint64_t rip, unsigned type, unsigned offset, unsigned length)
{
    ck_assert_msg(f->stop.reason == STOP_FAULT, "reason %d at rip %llx: %s", f->stop.reason,
                  (unsigned long long)f->cpu->rip, f->stop.text ? f->stop.text : "");
    ck_assert_int_eq(f->stop.translation.result, TRANSLATION_APIC_ACCESS);
    ck_assert_uint_eq(f->cpu->rip, rip);
    ck_assert_uint_eq(f->stop.translation.qualification, type << 12 | offset);
    ck_assert_uint_eq(f->stop.translation.instruction_length, length);
}

BLOB(apic_reads, "inc rcx\n mov eax,[rbx+0x20]\n add edx,[rbx+0x80]\n movzx esi,byte ptr [rbx+0x81]\n inc rcx\n ud2");
BLOB(apic_writes, "inc rcx\n mov [rbx+0x310],eax\n inc rcx\n mov word ptr [rbx+0x82],0x77\n ud2");
BLOB(apic_modify, "or dword ptr [rbx+0x80],3\n xchg [rbx+0x80],eax\n lock add dword ptr [rbx+0xf0],1\n ud2");
BLOB(apic_straddle, "inc rcx\n mov eax,[rbx+0x81]\n ud2");
BLOB(apic_wide, "mov rax,[rbx+0x80]\n ud2");
BLOB(apic_sse, "movups xmm0,[rbx+0x80]\n ud2");
BLOB(apic_refused, "inc rcx\n mov dword ptr [rbx+0x30],1\n ud2");
BLOB(apic_jump, "jmp rbx");
BLOB(apic_push, "lea rsp,[rbx+0x88]\n push rax\n ud2");
BLOB(apic_string, "lea rdi,[rbx+0x80]\n mov rsi,0x60000\n mov ecx,2\n rep movsb\n ud2");
BLOB(apic_handler, "ud2");

START_TEST(reads_come_from_the_virtual_page)
{
    memory_write32(&f->model->memory, VIRTUAL_PAGE + 0x20, 0x12345678);
    memory_write32(&f->model->memory, VIRTUAL_PAGE + 0x80, 0xa1b0);
    PUT(f, FIXTURE_CODE, apic_reads);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + (apic_reads_end - apic_reads) - 2);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 0x12345678);
    ck_assert_uint_eq(f->cpu->gpr[RDX], 0xa1b0);
    ck_assert_uint_eq(f->cpu->gpr[RSI], 0xa1);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 2);
    ck_assert_uint_eq(f->cpu->instructions, 5);
    ck_assert_uint_eq(f->cpu->vmx.apic_write, 0);
}
END_TEST

START_TEST(writes_are_steps_of_their_own)
{
    f->cpu->gpr[RAX] = 0xabcdef01;
    PUT(f, FIXTURE_CODE, apic_writes);
    ck_assert_int_eq(fixture_run(f), STOP_APIC_WRITE);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 3);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 1);
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0x310), 0);
    step();
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 9);
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0x310), 0xabcdef01);
    ck_assert_uint_eq(at(ACCESS_PAGE + 0x310), 0);
    ck_assert_uint_eq(f->cpu->vmx.apic_write, 0x310);
    ck_assert_int_eq(boundary(f->cpu), STATUS_OK);
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0x310), 0xab000000);
    ck_assert_int_eq(fixture_run(f), STOP_APIC_WRITE);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 2);
    step();
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0x80), 0x770000);
    ck_assert_uint_eq(f->cpu->vmx.apic_write, 0x80);
}
END_TEST

START_TEST(reads_with_writes)
{
    memory_write32(&f->model->memory, VIRTUAL_PAGE + 0x80, 0x20);
    PUT(f, FIXTURE_CODE, apic_modify);
    ck_assert_int_eq(fixture_run(f), STOP_APIC_WRITE);
    step();
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0x80), 0x23);
    f->cpu->vmx.apic_write = 0;
    f->cpu->gpr[RAX] = 0x50;
    ck_assert_int_eq(fixture_run(f), STOP_APIC_WRITE);
    step();
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0x80), 0x50);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 0x23);
    f->cpu->vmx.apic_write = 0;
    ck_assert_int_eq(fixture_run(f), STOP_APIC_WRITE);
    step();
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0xf0), 1);
    ck_assert_uint_eq(at(ACCESS_PAGE + 0xf0), 0);
}
END_TEST

START_TEST(what_is_not_virtualized_stops_before_it)
{
    PUT(f, FIXTURE_CODE, apic_straddle);
    fixture_run(f);
    stopped(FIXTURE_CODE + 3, 0, 0x81, 6);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 1);
    PUT(f, FIXTURE_CODE + 0x100, apic_wide);
    fixture_run_at(f, FIXTURE_CODE + 0x100);
    stopped(FIXTURE_CODE + 0x100, 0, 0x80, 7);
    PUT(f, FIXTURE_CODE + 0x200, apic_sse);
    fixture_run_at(f, FIXTURE_CODE + 0x200);
    stopped(FIXTURE_CODE + 0x200, 0, 0x80, 7);
    PUT(f, FIXTURE_CODE + 0x300, apic_refused);
    fixture_run_at(f, FIXTURE_CODE + 0x300);
    stopped(FIXTURE_CODE + 0x303, 1, 0x30, 7);
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0x30), 0);
    ck_assert_uint_eq(at(ACCESS_PAGE + 0x30), 0);
    PUT(f, FIXTURE_CODE + 0x400, apic_push);
    fixture_run_at(f, FIXTURE_CODE + 0x400);
    stopped(FIXTURE_CODE + 0x407, 1, 0x80, 1);
    ck_assert_uint_eq(f->cpu->gpr[RSP], ACCESS_PAGE + 0x88);
}
END_TEST

START_TEST(fetches_stop)
{
    PUT(f, ACCESS_PAGE, apic_handler);
    PUT(f, FIXTURE_CODE, apic_jump);
    fixture_run(f);
    stopped(ACCESS_PAGE, 2, 0, 0);
}
END_TEST

START_TEST(event_delivery_stops)
{
    fixture_gate(f, 0x41, FIXTURE_CODE + 0x100, 0);
    f->cpu->gpr[RSP] = ACCESS_PAGE + 0x90;
    f->cpu->event = (struct event){ .valid = true, .vector = 0x41, .type = EVENT_EXTERNAL_INTERRUPT };
    VMCS(f->cpu->vmx.current, exit_controls) |= EXIT_host_address_space_size;
    ck_assert_int_eq(event_deliver(f->cpu), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(f->cpu->vmx.current, exit_reason), EXIT_REASON_apic_access);
    ck_assert_uint_eq(VMCS(f->cpu->vmx.current, exit_qualification), 0x88 | 3 << 12);
    ck_assert_uint_eq(VMCS(f->cpu->vmx.current, idt_vectoring_information), 0x80000041);
}
END_TEST

START_TEST(strings_write_byte_by_byte)
{
    fixture_put64(f, 0x60000, 0x2211);
    PUT(f, FIXTURE_CODE, apic_string);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(fixture_run(f), STOP_APIC_WRITE);
        ck_assert_uint_eq(f->cpu->gpr[RCX], 2 - i);
        step();
        ck_assert_uint_eq(f->cpu->gpr[RCX], 1 - i);
        ck_assert_uint_eq(f->cpu->vmx.apic_write, 0x80);
        f->cpu->vmx.apic_write = 0;
    }
    ck_assert_uint_eq(at(VIRTUAL_PAGE + 0x80), 0x2211);
}
END_TEST

/* The CPU engine's TLB must not carry the page over from one guest to another. */
START_TEST(other_guests_see_memory)
{
    PUT(f, FIXTURE_CODE, apic_refused);
    fixture_run(f);
    stopped(FIXTURE_CODE + 3, 1, 0x30, 7);
    control(0);
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 10);
    ck_assert_uint_eq(at(ACCESS_PAGE + 0x30), 1);
    control(PROC2_virtualize_apic_accesses);
    fixture_run_at(f, FIXTURE_CODE);
    stopped(FIXTURE_CODE + 3, 1, 0x30, 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_apic");
    TCase *tcase = tcase_create("apic");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, reads_come_from_the_virtual_page);
    tcase_add_test(tcase, writes_are_steps_of_their_own);
    tcase_add_test(tcase, reads_with_writes);
    tcase_add_test(tcase, what_is_not_virtualized_stops_before_it);
    tcase_add_test(tcase, fetches_stop);
    tcase_add_test(tcase, event_delivery_stops);
    tcase_add_test(tcase, strings_write_byte_by_byte);
    tcase_add_test(tcase, other_guests_see_memory);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
