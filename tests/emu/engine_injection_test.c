/* SPDX-License-Identifier: MIT */
/* Events that VM entry injects, as guest code finds them: frame, flags and debug registers (SDM Vol. 3, 27.6.1.1). */
#include "model/vmx/vmx.h"
#include "tests/emu/fixture.h"
#include "tests/suite.h"

enum { VMXON = 0x50000, REGION = 0x51000, HANDLER = FIXTURE_CODE + 0x200 };
#define GENERAL_DETECT 0x2000u

/* RSI: RIP of a frame without error code, R8: its RFLAGS; RDI, R9: the same of a frame with one. */
BLOB(handler, "mov rsi,[rsp]\n mov rdi,[rsp+8]\n mov r8,[rsp+16]\n mov r9,[rsp+24]\n cpuid");
BLOB(body, "nop\n nop\n nop\n cpuid");

static void control(struct vmcs *v, enum vmcs_field field, const struct control_word *word, uint32_t wanted)
{
    v->field[field] = word->required | wanted;
}

/* The fixture's own 64-bit state becomes host and guest. */
static struct fixture *open_guest(void)
{
    struct fixture *f = fixture_open();
    const struct vmx_capability *c = &f->model->capability;
    struct cpu *cpu = f->cpu;
    struct vmcs *v;

    fixture_long_mode(f);
    cpu->cr4 |= CR4_VMXE;
    CPU_MSR(cpu, ia32_feature_control) = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
    memory_write32(&f->model->memory, VMXON, VMCS_REVISION);
    memory_write32(&f->model->memory, REGION, VMCS_REVISION);
    ck_assert_int_eq(vmx_vmxon(cpu, VMXON), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmclear(cpu, REGION), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmptrld(cpu, REGION), VMX_SUCCEED);
    v = cpu->vmx.current;
    control(v, FIELD_pin_based_controls, &c->pin, 0);
    control(v, FIELD_processor_based_controls, &c->proc, 0);
    control(v, FIELD_exit_controls, &c->exit, EXIT_host_address_space_size);
    control(v, FIELD_entry_controls, &c->entry, ENTRY_ia32e_mode_guest | ENTRY_load_debug_controls);
    VMCS(v, vmcs_link_pointer) = ~0ull;
    VMCS(v, guest_cr0) = VMCS(v, host_cr0) = cpu->cr0;
    VMCS(v, guest_cr3) = VMCS(v, host_cr3) = cpu->cr3;
    VMCS(v, guest_cr4) = VMCS(v, host_cr4) = cpu->cr4;
    VMCS(v, host_cs_selector) = SELECTOR_CODE64;
    VMCS(v, host_ss_selector) = SELECTOR_DATA;
    VMCS(v, host_tr_selector) = SELECTOR_TSS;
    VMCS(v, host_rip) = FIXTURE_CODE;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        v->field[FIELD_guest_es_selector + i] = cpu->seg[i].selector;
        v->field[FIELD_guest_es_base + i] = cpu->seg[i].base;
        v->field[FIELD_guest_es_limit + i] = cpu->seg[i].limit;
        v->field[FIELD_guest_es_access_rights + i] = cpu->seg[i].access_rights;
    }
    VMCS(v, guest_gdtr_base) = cpu->gdtr.base;
    VMCS(v, guest_gdtr_limit) = cpu->gdtr.limit;
    VMCS(v, guest_idtr_base) = FIXTURE_IDT;
    VMCS(v, guest_idtr_limit) = 0xfff;
    VMCS(v, guest_dr7) = 0x400;
    VMCS(v, guest_rip) = FIXTURE_CODE;
    VMCS(v, guest_rsp) = FIXTURE_STACK;
    VMCS(v, guest_rflags) = RFLAGS_FIXED;
    PUT(f, FIXTURE_CODE, body);
    PUT(f, HANDLER, handler);
    return f;
}

/* Enters with the event and runs to the end of the handler. */
static void deliver_injected(struct fixture *f, uint32_t information, uint32_t length)
{
    struct vmcs *v = f->cpu->vmx.current;
    vmx_result result = 99;

    fixture_gate(f, information & 0xff, HANDLER, 0);
    VMCS(v, entry_interruption_information) = information | INTERRUPTION_VALID;
    VMCS(v, entry_instruction_length) = length;
    ck_assert_int_eq(vmx_enter(f->cpu, true, &result), STATUS_VM_ENTRY);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, HANDLER + (uint64_t)(handler_end - handler) - 2);
}

static const struct {
    const char *name;
    uint32_t information, length;
    bool error_code;
} events[] = {
    { "external interrupt", 0x40, 0, false },          { "NMI", 0x202, 0, false },
    { "#DB", 0x301, 0, false },                        { "#UD", 0x306, 0, false },
    { "#GP", 0xb0d, 0, true },                         { "#PF", 0xb0e, 0, true },
    { "INT n", 0x480, 2, false },                      { "INT1", 0x501, 1, false },
    { "INT3", 0x603, 1, false },
};
enum { EVENTS = sizeof(events) / sizeof(events[0]) };

START_TEST(frame_and_debug_registers)
{
    for (unsigned rf = 0; rf < 2; rf++) {
        struct fixture *f = open_guest();
        struct vmcs *v = f->cpu->vmx.current;
        uint64_t flags = RFLAGS_FIXED | RFLAGS_IF | (rf ? RFLAGS_RF : 0), rip, pushed;

        VMCS(v, guest_dr7) = 0x400 | GENERAL_DETECT;
        VMCS(v, guest_ia32_debugctl) = DEBUGCTL_BTF;
        VMCS(v, guest_rflags) = flags;
        f->cpu->dr6 = 0xffff0ff3;
        f->cpu->cr2 = 0xabc000;
        deliver_injected(f, events[_i].information, events[_i].length);
        rip = events[_i].error_code ? f->cpu->gpr[RDI] : f->cpu->gpr[RSI];
        pushed = events[_i].error_code ? f->cpu->gpr[R9] : f->cpu->gpr[R8];
        ck_assert_msg(rip == FIXTURE_CODE + events[_i].length, "%s: RIP 0x%lx", events[_i].name, (unsigned long)rip);
        ck_assert_msg(pushed == flags, "%s: RFLAGS 0x%lx", events[_i].name, (unsigned long)pushed);
        ck_assert_msg(f->cpu->dr6 == 0xffff0ff3 && f->cpu->dr7 == (0x400 | GENERAL_DETECT), "%s: DR6, DR7", events[_i].name);
        ck_assert_uint_eq(CPU_MSR(f->cpu, ia32_debugctl), DEBUGCTL_BTF);
        ck_assert_uint_eq(f->cpu->cr2, 0xabc000);
        ck_assert(!(f->cpu->rflags & (RFLAGS_RF | RFLAGS_IF)));
        fixture_close(f);
    }
}
END_TEST

/* A fault of the guest's own, for comparison: RF in the image, and CR2 for code to read. */
BLOB(undefined, "ud2");
START_TEST(faults_of_the_guest_set_rf)
{
    struct fixture *f = open_guest();
    vmx_result result = 99;

    PUT(f, FIXTURE_CODE, undefined);
    fixture_gate(f, VECTOR_UD, HANDLER, 0);
    ck_assert_int_eq(vmx_enter(f->cpu, true, &result), STATUS_VM_ENTRY);
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_EVENT);
    ck_assert_int_eq(cpu_raise(f->cpu, f->stop.event), STATUS_EVENT);
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->gpr[RSI], FIXTURE_CODE);
    ck_assert_uint_eq(f->cpu->gpr[R8], RFLAGS_FIXED | RFLAGS_RF);
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: injected events");
    TCase *tcase = tcase_create("injected events");

    tcase_add_loop_test(tcase, frame_and_debug_registers, 0, EVENTS);
    tcase_add_test(tcase, faults_of_the_guest_set_rf);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
