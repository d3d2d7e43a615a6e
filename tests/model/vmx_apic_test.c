/* SPDX-License-Identifier: MIT */
/* APIC virtualization: SDM Vol. 3, ch. 30. */
#include "tests/model/vmx_fixture.h"

#include "model/vmx/apic.h"

enum { ACCESS_PAGE = 0x50000, VIRTUAL_PAGE = 0x51000, DESCRIPTOR = 0x52000, SCRATCH = 0x53000 };
enum {
    SHADOW = 1, ACCESSES = 2, REGISTERS = 4, DELIVERY = 8, X2APIC = 16, POSTED = 32, EPT = 64,
    INTERRUPT_WINDOW = 128,
};

static struct vmx_fixture f;
static bool requested;
static uint8_t vector;
static unsigned ended;

static void setup(void)
{
    fixture_open(&f);
    requested = false;
    ended = 0;
}

static void teardown(void)
{
    fixture_close(&f);
}

static uint32_t virtual(unsigned offset)
{
    return memory_read32(&f.model->memory, VIRTUAL_PAGE + offset);
}

static void set_virtual(unsigned offset, uint32_t value)
{
    memory_write32(&f.model->memory, VIRTUAL_PAGE + offset, value);
}

static void configure(unsigned with)
{
    struct vmcs *v = f.cpu->vmx.current;
    static const struct {
        unsigned with;
        uint32_t proc, proc2, pin, exit;
    } controls[] = {
        { SHADOW, PROC_use_tpr_shadow, 0, 0, 0 },
        { ACCESSES, 0, PROC2_virtualize_apic_accesses, 0, 0 },
        { REGISTERS, 0, PROC2_apic_register_virtualization, 0, 0 },
        { DELIVERY, 0, PROC2_virtual_interrupt_delivery, PIN_external_interrupt_exiting, 0 },
        { X2APIC, PROC_use_msr_bitmaps, PROC2_virtualize_x2apic_mode, 0, 0 },
        { POSTED, 0, 0, PIN_process_posted_interrupts, EXIT_acknowledge_interrupt_on_exit },
        { EPT, 0, PROC2_enable_ept, 0, 0 },
        { INTERRUPT_WINDOW, PROC_interrupt_window_exiting, 0, 0, 0 },
    };

    for (unsigned i = 0; i < sizeof controls / sizeof *controls; i++) {
        if (!(with & controls[i].with))
            continue;
        VMCS(v, processor_based_controls) |= controls[i].proc;
        VMCS(v, secondary_processor_based_controls) |= controls[i].proc2;
        VMCS(v, pin_based_controls) |= controls[i].pin;
        VMCS(v, exit_controls) |= controls[i].exit;
    }
    VMCS(v, apic_access_address) = ACCESS_PAGE;
    VMCS(v, virtual_apic_address) = VIRTUAL_PAGE;
    VMCS(v, posted_interrupt_descriptor_address) = DESCRIPTOR;
    VMCS(v, posted_interrupt_notification_vector) = 0xf2;
}

static void enter(unsigned with)
{
    configure(with);
    fixture_enter(&f);
}

/* The guest with its interrupt status; SVI in the high byte. */
static void enter_with_status(unsigned with, uint16_t status)
{
    VMCS(f.cpu->vmx.current, guest_interrupt_status) = status;
    enter(with);
}

static uint64_t status(void)
{
    return VMCS(&f.model->vmcs_cache.vmcs[0], guest_interrupt_status);
}

static void exited(uint32_t reason, uint64_t qualification)
{
    ck_assert(!f.cpu->vmx.non_root);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_reason), reason);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_qualification), qualification);
}

static enum status mov_to_cr8(uint64_t value)
{
    struct insn insn = { .id = INSN_mov_to_cr, .length = 4, .operand_size = 8, .kind = OPERAND_REGISTER, .rm = RBX,
                         .reg = 8 };

    f.cpu->gpr[RBX] = value;
    return execute(f.cpu, &insn);
}

static enum status wrmsr(uint32_t index, uint64_t value)
{
    struct insn insn = { .id = INSN_wrmsr, .length = 2, .operand_size = 4 };

    f.cpu->gpr[RCX] = index;
    f.cpu->gpr[RAX] = (uint32_t)value;
    f.cpu->gpr[RDX] = value >> 32;
    return execute(f.cpu, &insn);
}

static enum status rdmsr(uint32_t index, uint64_t *value)
{
    struct insn insn = { .id = INSN_rdmsr, .length = 2, .operand_size = 4 };
    enum status result;

    f.cpu->gpr[RCX] = index;
    result = execute(f.cpu, &insn);
    *value = f.cpu->gpr[RDX] << 32 | f.cpu->gpr[RAX];
    return result;
}

/* ---- TPR shadow ---- */

START_TEST(cr8_is_the_virtual_tpr)
{
    struct insn insn = { .id = INSN_mov_from_cr, .length = 4, .operand_size = 8, .kind = OPERAND_REGISTER, .rm = RCX,
                         .reg = 8 };

    set_virtual(0x80, 0x12345678);
    enter(SHADOW);
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RCX], 7);
    ck_assert_int_eq(mov_to_cr8(16), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    f.cpu->event.valid = false;
    ck_assert_int_eq(mov_to_cr8(9), STATUS_OK);
    ck_assert_uint_eq(virtual(0x80), 0x90);
    ck_assert_uint_eq(f.cpu->cr8, 0);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
}
END_TEST

START_TEST(cr8_below_the_threshold_exits_after_the_move)
{
    VMCS(f.cpu->vmx.current, tpr_threshold) = 5;
    set_virtual(0x80, 0x50);
    enter(SHADOW);
    ck_assert_int_eq(mov_to_cr8(5), STATUS_OK);
    ck_assert_int_eq(mov_to_cr8(4), STATUS_VM_EXIT);
    exited(EXIT_REASON_tpr_below_threshold, 0);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, guest_rip), FIXTURE_GUEST_RIP + 8);
    ck_assert_uint_eq(virtual(0x80), 0x40);
}
END_TEST

START_TEST(cr8_exiting_comes_first)
{
    VMCS(f.cpu->vmx.current, processor_based_controls) |= PROC_cr8_load_exiting;
    enter(SHADOW);
    ck_assert_int_eq(mov_to_cr8(3), STATUS_VM_EXIT);
    exited(EXIT_REASON_cr_access, 8 | RBX << 8);
    ck_assert_uint_eq(virtual(0x80), 0);
}
END_TEST

START_TEST(without_the_shadow_cr8_is_real)
{
    enter(0);
    ck_assert_int_eq(mov_to_cr8(3), STATUS_OK);
    ck_assert_uint_eq(f.cpu->cr8, 3);
    ck_assert_uint_eq(virtual(0x80), 0);
}
END_TEST

/* 27.7.7: with virtualized APIC accesses the entry is made, and left at once. */
START_TEST(entry_below_the_threshold)
{
    VMCS(f.cpu->vmx.current, tpr_threshold) = 5;
    set_virtual(0x80, 0x4f);
    enter(SHADOW | ACCESSES);
    ck_assert_int_eq(boundary(f.cpu), STATUS_VM_EXIT);
    exited(EXIT_REASON_tpr_below_threshold, 0);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, guest_rip), FIXTURE_GUEST_RIP);
}
END_TEST

/* 27.7.7 needs the TPR shadow: without it the threshold means nothing; and with virtual-interrupt delivery neither. */
START_TEST(no_threshold_without_the_shadow)
{
    VMCS(f.cpu->vmx.current, tpr_threshold) = 5;
    set_virtual(0x80, 0x4f);
    enter(_i ? SHADOW | ACCESSES | DELIVERY : ACCESSES);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert(f.cpu->vmx.non_root && !f.cpu->vmx.tpr_exit);
}
END_TEST

/* ---- the APIC-access page ---- */

static struct translation look_at(uint64_t linear, enum access_kind kind)
{
    return translate(f.cpu, linear, (struct access){ .kind = kind });
}

START_TEST(accesses_exit_by_kind)
{
    static const enum access_kind kinds[] = { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH };

    for (unsigned i = 0; i < 3; i++) {
        enter(i ? 0 : ACCESSES);
        struct translation t = look_at(ACCESS_PAGE + 0x123, kinds[i]);
        ck_assert_int_eq(t.result, TRANSLATION_APIC_ACCESS);
        t.instruction_length = 3;
        ck_assert_int_eq(translation_fault(f.cpu, ACCESS_PAGE + 0x123, &t, false), STATUS_VM_EXIT);
        exited(EXIT_REASON_apic_access, i << 12 | 0x123);
        ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_instruction_length), 3);
        ck_assert_int_eq(look_at(ACCESS_PAGE, ACCESS_READ).result, TRANSLATION_OK);     /* root operation */
        f.cpu->vmx.current->launch_state = LAUNCH_CLEAR;
    }
}
END_TEST

START_TEST(neighbours_and_other_guests_are_not_concerned)
{
    enter(ACCESSES);
    ck_assert_int_eq(look_at(ACCESS_PAGE - 1, ACCESS_READ).result, TRANSLATION_OK);
    ck_assert_int_eq(look_at(ACCESS_PAGE + 0x1000, ACCESS_WRITE).result, TRANSLATION_OK);
    fixture_exit(&f, EXIT_REASON_hlt);
    VMCS(f.cpu->vmx.current, secondary_processor_based_controls) &= ~(uint64_t)PROC2_virtualize_apic_accesses;
    f.cpu->vmx.current->launch_state = LAUNCH_CLEAR;
    enter(0);
    ck_assert_int_eq(look_at(ACCESS_PAGE, ACCESS_READ).result, TRANSLATION_OK);
}
END_TEST

START_TEST(event_delivery_has_its_own_type)
{
    enter(ACCESSES | SHADOW | REGISTERS);
    f.cpu->event = (struct event){ .valid = true, .vector = 0x41, .type = EVENT_EXTERNAL_INTERRUPT };
    struct translation t = look_at(ACCESS_PAGE + 0x80, ACCESS_WRITE);
    uint64_t pa;
    ck_assert(!apic_access_virtualized(f.cpu, 0x80, 4, ACCESS_WRITE, &pa));
    ck_assert_int_eq(translation_fault(f.cpu, ACCESS_PAGE + 0x80, &t, false), STATUS_VM_EXIT);
    exited(EXIT_REASON_apic_access, 3 << 12 | 0x80);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, idt_vectoring_information), INTERRUPTION_VALID | 0x41);
}
END_TEST

/* 30.4.6.1: a paging structure that lies in the page. */
START_TEST(guest_physical_accesses_exit)
{
    memory_write64(&f.model->memory, ACCESS_PAGE, (FIXTURE_CR3 + 0x1000) | 7);
    VMCS(f.cpu->vmx.current, guest_cr3) = ACCESS_PAGE;
    enter(ACCESSES | EPT);
    struct translation t = look_at(SCRATCH, ACCESS_READ);
    ck_assert_int_eq(t.result, TRANSLATION_APIC_ACCESS);
    ck_assert_int_eq(translation_fault(f.cpu, SCRATCH, &t, false), STATUS_VM_EXIT);
    exited(EXIT_REASON_apic_access, 15 << 12);
}
END_TEST

/* What 30.4.2 and 30.4.3.1 list, register by register. */
START_TEST(virtualized_registers)
{
    static const unsigned settings[] = {
        SHADOW, SHADOW | DELIVERY, SHADOW | REGISTERS, SHADOW | REGISTERS | DELIVERY, 0,
    };

    for (unsigned s = 0; s < 5; s++) {
        teardown();
        setup();
        enter(ACCESSES | settings[s]);
        for (unsigned reg = 0; reg < 0x1000; reg += 4) {
            bool all = settings[s] & REGISTERS, tpr = reg == 0x80;
            bool list = reg == 0x20 || tpr || reg == 0xb0 || reg == 0xd0 || reg == 0xe0 || reg == 0xf0 ||
                        reg == 0x280 || reg == 0x300 || reg == 0x310 || reg == 0x380 || reg == 0x3e0 ||
                        (reg >= 0x320 && reg <= 0x370 && !(reg & 15));
            bool bits = !(reg & 15) && reg >= 0x100 && reg <= 0x270;
            bool read = (settings[s] & SHADOW) && (all ? list || reg == 0x30 || bits : tpr);
            bool write = (settings[s] & SHADOW) &&
                         (all ? list : tpr || ((settings[s] & DELIVERY) && (reg == 0xb0 || reg == 0x300)));
            uint64_t pa = 0;
            ck_assert_msg(apic_access_virtualized(f.cpu, reg, 4, ACCESS_READ, &pa) == read, "read %x, %u", reg, s);
            ck_assert(!read || pa == VIRTUAL_PAGE + reg);
            ck_assert_msg(apic_access_virtualized(f.cpu, reg, 4, ACCESS_WRITE, &pa) == write, "write %x, %u", reg, s);
            ck_assert(!apic_access_virtualized(f.cpu, reg, 4, ACCESS_FETCH, &pa));
        }
    }
}
END_TEST

START_TEST(only_the_low_four_bytes)
{
    uint64_t pa;

    enter(ACCESSES | SHADOW | REGISTERS);
    ck_assert(apic_access_virtualized(f.cpu, 0x82, 2, ACCESS_WRITE, &pa) && pa == VIRTUAL_PAGE + 0x82);
    ck_assert(!apic_access_virtualized(f.cpu, 0x82, 4, ACCESS_WRITE, &pa));
    ck_assert(!apic_access_virtualized(f.cpu, 0x80, 8, ACCESS_READ, &pa));
    ck_assert(!apic_access_virtualized(f.cpu, 0x7f, 2, ACCESS_READ, &pa));
    ck_assert(!apic_access_virtualized(f.cpu, 0x84, 1, ACCESS_READ, &pa));
}
END_TEST

/* The model's own accesses for an instruction take the same road. */
START_TEST(operands_in_the_page)
{
    uint32_t word = 0x5a;

    set_virtual(0x20, 0x77000000);
    enter(ACCESSES | SHADOW | REGISTERS);
    ck_assert_int_eq(linear_read(f.cpu, ACCESS_PAGE + 0x20, &word, 4, false), STATUS_OK);
    ck_assert_uint_eq(word, 0x77000000);
    word = 0xabcdef5a;
    ck_assert_int_eq(linear_write(f.cpu, ACCESS_PAGE + 0x80, &word, 4, false), STATUS_OK);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(virtual(0x80), 0x5a);
    ck_assert_uint_eq(memory_read32(&f.model->memory, ACCESS_PAGE + 0x80), 0);
    ck_assert_int_eq(linear_write(f.cpu, ACCESS_PAGE + 0x30, &word, 4, false), STATUS_VM_EXIT);
    exited(EXIT_REASON_apic_access, 1 << 12 | 0x30);
}
END_TEST

static enum status guest_writes(unsigned offset, uint32_t value)
{
    ck_assert_int_eq(linear_write(f.cpu, ACCESS_PAGE + offset, &value, 4, false), STATUS_OK);
    return boundary(f.cpu);
}

START_TEST(writes_have_their_effects_afterwards)
{
    VMCS(f.cpu->vmx.current, tpr_threshold) = 3;
    set_virtual(0x80, 0x30);
    enter(ACCESSES | SHADOW | REGISTERS);
    ck_assert_int_eq(guest_writes(0x310, 0x12345678), STATUS_OK);
    ck_assert_uint_eq(virtual(0x310), 0x12000000);
    ck_assert_int_eq(guest_writes(0x80, 0x20), STATUS_VM_EXIT);
    exited(EXIT_REASON_tpr_below_threshold, 0);
}
END_TEST

START_TEST(a_write_without_meaning_exits)
{
    enter(ACCESSES | SHADOW | REGISTERS);
    ck_assert_int_eq(guest_writes(0x350, 0x10700), STATUS_VM_EXIT);
    exited(EXIT_REASON_apic_write, 0x350);
    ck_assert_uint_eq(virtual(0x350), 0x10700);
}
END_TEST

START_TEST(eoi_without_delivery_exits)
{
    enter(ACCESSES | SHADOW | REGISTERS);
    ck_assert_int_eq(guest_writes(0xb0, 1), STATUS_VM_EXIT);
    exited(EXIT_REASON_apic_write, 0xb0);
}
END_TEST

START_TEST(icr_sends_to_self_and_nothing_else)
{
    static const uint32_t others[] = {
        0x00000045, 0x000c0045, 0x00048045, 0x00040445, 0x00041045, 0x00042045, 0x00050045, 0x80040045, 0x0004000f,
    };

    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        enter(i ? 0 : ACCESSES | SHADOW | DELIVERY);
        ck_assert_int_eq(guest_writes(0x300, others[i]), STATUS_VM_EXIT);
        exited(EXIT_REASON_apic_write, 0x300);
        ck_assert_uint_eq(status(), 0);
        f.cpu->vmx.current->launch_state = LAUNCH_CLEAR;
    }
    enter(0);
    ck_assert_int_eq(guest_writes(0x300, 0x00044845), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0x45);
}
END_TEST

/* ---- virtual interrupts ---- */

START_TEST(delivery)
{
    set_virtual(0x200 + 0x20, 1u << 1 | 1u << 5);           /* 41, 45 */
    set_virtual(0x80, 0x10);
    enter_with_status(SHADOW | DELIVERY, 0x45);
    ck_assert_uint_eq(virtual(0xa0), 0x10);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0x45);
    ck_assert_uint_eq(f.cpu->event.type, EVENT_EXTERNAL_INTERRUPT);
    ck_assert_uint_eq(status(), 0x4541);
    ck_assert_uint_eq(virtual(0x220), 1u << 1);
    ck_assert_uint_eq(virtual(0x120), 1u << 5);
    ck_assert_uint_eq(virtual(0xa0), 0x40);
    f.cpu->event.valid = false;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);           /* 41 is of the same class */
}
END_TEST

START_TEST(delivery_waits_for_the_flag)
{
    VMCS(f.cpu->vmx.current, guest_rflags) = RFLAGS_FIXED;
    enter_with_status(SHADOW | DELIVERY, 0x45);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert(boundary_awaits_interrupt_window(f.cpu));
    f.cpu->rflags |= RFLAGS_IF;
    f.cpu->interruptibility = BLOCKING_BY_STI;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    f.cpu->interruptibility = 0;
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
}
END_TEST

START_TEST(priority_decides)
{
    set_virtual(0x80, 0x40);
    enter_with_status(SHADOW | DELIVERY, 0x4f);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_int_eq(mov_to_cr8(3), STATUS_OK);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0x4f);
}
END_TEST

START_TEST(what_is_in_service_decides)
{
    set_virtual(0x140, 1u << 4);
    enter_with_status(SHADOW | DELIVERY, 0x8484);
    ck_assert_uint_eq(virtual(0xa0), 0x80);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
}
END_TEST

START_TEST(interrupt_window_exiting_keeps_it_back)
{
    enter_with_status(SHADOW | DELIVERY | INTERRUPT_WINDOW, 0x45);
    ck_assert_int_eq(boundary(f.cpu), STATUS_VM_EXIT);
    exited(EXIT_REASON_interrupt_window, 0);
    ck_assert_uint_eq(status(), 0x45);
}
END_TEST

START_TEST(delivery_wakes_from_hlt)
{
    VMCS(f.cpu->vmx.current, guest_activity_state) = ACTIVITY_HLT;
    enter_with_status(SHADOW | DELIVERY, 0xf1);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0xf1);
    ck_assert_uint_eq(f.cpu->activity, ACTIVITY_ACTIVE);
}
END_TEST

START_TEST(an_exit_forgets_the_recognition)
{
    VMCS(f.cpu->vmx.current, guest_rflags) = RFLAGS_FIXED;
    enter_with_status(SHADOW | DELIVERY, 0x45);
    fixture_exit(&f, EXIT_REASON_hlt);
    f.cpu->rflags |= RFLAGS_IF;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(status(), 0x45);
}
END_TEST

START_TEST(end_of_interrupt)
{
    set_virtual(0x120, 1u << 1);                            /* ISR: 41 */
    set_virtual(0x130, 1u << 3);                            /* 63 */
    set_virtual(0x220, 1u << 16);                           /* IRR: 50 */
    enter_with_status(SHADOW | DELIVERY | X2APIC, 0x6350);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_int_eq(wrmsr(0x80b, 1), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    f.cpu->event.valid = false;
    ck_assert_int_eq(wrmsr(0x80b, 0), STATUS_OK);
    ck_assert_uint_eq(virtual(0x130), 0);
    ck_assert_uint_eq(virtual(0xa0), 0x40);
    ck_assert_uint_eq(status(), 0x4150);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0x50);
    ck_assert_uint_eq(status(), 0x5000);
}
END_TEST

START_TEST(end_of_interrupt_may_exit)
{
    VMCS(f.cpu->vmx.current, eoi_exit_bitmap_1) = 1ull << (0x63 - 0x40);
    set_virtual(0x130, 1u << 3);
    enter_with_status(ACCESSES | SHADOW | DELIVERY, 0x6350);
    ck_assert_int_eq(guest_writes(0xb0, 0xffffffff), STATUS_VM_EXIT);
    exited(EXIT_REASON_virtualized_eoi, 0x63);
    ck_assert_uint_eq(status(), 0x50);
    ck_assert_uint_eq(virtual(0xb0), 0);
}
END_TEST

/* ---- x2APIC MSRs ---- */

START_TEST(msrs_are_read_from_the_page)
{
    uint64_t value;

    memory_write64(&f.model->memory, VIRTUAL_PAGE + 0x80, 0x1122334455667788);
    memory_write64(&f.model->memory, VIRTUAL_PAGE + 0xff0, 0x99);
    enter(SHADOW | X2APIC);
    ck_assert_int_eq(rdmsr(0x808, &value), STATUS_OK);
    ck_assert_uint_eq(value, 0x1122334455667788);
    ck_assert_int_eq(rdmsr(0x8ff, &value), STATUS_EVENT);
    f.cpu->event.valid = false;
    fixture_exit(&f, EXIT_REASON_hlt);
    f.cpu->vmx.current->launch_state = LAUNCH_CLEAR;
    enter(REGISTERS);
    ck_assert_int_eq(rdmsr(0x8ff, &value), STATUS_OK);
    ck_assert_uint_eq(value, 0x99);
}
END_TEST

/* Table 30-7: which of the MSRs 800H to 8FFH each control virtualizes, and no other MSR. */
START_TEST(msrs_that_are_virtualized)
{
    static const unsigned controls[] = { SHADOW, SHADOW | X2APIC, SHADOW | X2APIC | REGISTERS, SHADOW | X2APIC | DELIVERY };

    enter(controls[_i]);
    for (uint32_t index = 0x7f0; index < 0x910; index++) {
        bool in = index >= 0x800 && index <= 0x8ff && _i > 0;

        ck_assert_msg(apic_virtualizes_msr(f.cpu, index, false) == (in && (index == 0x808 || _i == 2)), "RDMSR %x", index);
        ck_assert_msg(apic_virtualizes_msr(f.cpu, index, true) == (in && (index == 0x808 || (_i == 3 && (index == 0x80b || index == 0x83f)))), "WRMSR %x", index);
    }
    ck_assert(!apic_virtualizes_msr(f.cpu, 0x10808, false));
}
END_TEST

START_TEST(msr_bitmaps_come_first)
{
    uint64_t value;

    f.ram[FIXTURE_MSR_BITMAP + 0x808 / 8] = 1;
    enter(SHADOW | X2APIC);
    ck_assert_int_eq(rdmsr(0x808, &value), STATUS_VM_EXIT);
    exited(EXIT_REASON_rdmsr, 0);
}
END_TEST

START_TEST(tpr_and_self_ipi_by_msr)
{
    enter(SHADOW | X2APIC | DELIVERY);
    ck_assert_int_eq(wrmsr(0x808, 0x100), STATUS_EVENT);
    f.cpu->event.valid = false;
    ck_assert_int_eq(wrmsr(0x808, 0x55), STATUS_OK);
    ck_assert_uint_eq(virtual(0x80), 0x55);
    ck_assert_uint_eq(virtual(0xa0), 0x55);
    ck_assert_int_eq(wrmsr(0x83f, 0x61), STATUS_OK);
    ck_assert_uint_eq(virtual(0x230), 1u << 1);
    ck_assert_uint_eq(status(), 0x61);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0x61);
    f.cpu->event.valid = false;
    ck_assert_int_eq(wrmsr(0x83f, 0x0f), STATUS_VM_EXIT);
    exited(EXIT_REASON_apic_write, 0x3f0);
    ck_assert_uint_eq(virtual(0x3f0), 0x0f);
}
END_TEST

/* ---- posted interrupts ---- */

static bool interrupt_requested(void *context, struct cpu *cpu)
{
    (void)context, (void)cpu;
    return requested;
}

static uint8_t interrupt_acknowledge(void *context, struct cpu *cpu)
{
    (void)context, (void)cpu;
    requested = false;
    return vector;
}

static void interrupt_end(void *context, struct cpu *cpu)
{
    (void)context, (void)cpu;
    ended++;
}

static void interrupt(uint8_t number)
{
    f.model->bus.interrupt_requested = interrupt_requested;
    f.model->bus.interrupt_acknowledge = interrupt_acknowledge;
    f.model->bus.interrupt_end = interrupt_end;
    vector = number;
    requested = true;
}

static void post(uint8_t number)
{
    f.ram[DESCRIPTOR + number / 8] |= (uint8_t)(1u << number % 8);
    f.ram[DESCRIPTOR + 32] |= 1;
    f.ram[DESCRIPTOR + 36] = 0xab;                          /* software's own */
}

START_TEST(a_notification_posts_and_delivers)
{
    enter(SHADOW | DELIVERY | POSTED);
    post(0x33);
    post(0xe4);
    interrupt(0xf2);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0xe4);
    ck_assert_uint_eq(ended, 1);
    ck_assert_uint_eq(status(), 0xe433);
    ck_assert_uint_eq(virtual(0x210), 1u << 19);
    for (unsigned i = 0; i < 36; i++)
        ck_assert_uint_eq(f.ram[DESCRIPTOR + i], 0);
    ck_assert_uint_eq(f.ram[DESCRIPTOR + 36], 0xab);
    ck_assert_uint_eq(f.exits, 0);
}
END_TEST

START_TEST(a_halted_processor_stays_halted_unless_woken)
{
    set_virtual(0x80, 0x40);
    VMCS(f.cpu->vmx.current, guest_activity_state) = ACTIVITY_HLT;
    enter(SHADOW | DELIVERY | POSTED);
    post(0x33);
    interrupt(0xf2);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(f.cpu->activity, ACTIVITY_HLT);
    ck_assert_uint_eq(status(), 0x33);
    post(0x51);
    interrupt(0xf2);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0x51);
    ck_assert_uint_eq(f.cpu->activity, ACTIVITY_ACTIVE);
}
END_TEST

START_TEST(other_vectors_exit)
{
    enter(SHADOW | DELIVERY | POSTED);
    post(0x33);
    interrupt(0xf3);
    ck_assert_int_eq(boundary(f.cpu), STATUS_VM_EXIT);
    exited(EXIT_REASON_external_interrupt, 0);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_interruption_information), INTERRUPTION_VALID | 0xf3);
    ck_assert_uint_eq(ended, 0);
    ck_assert_uint_eq(f.ram[DESCRIPTOR + 32], 1);
}
END_TEST

START_TEST(the_virtual_interrupt_comes_before_the_real_one)
{
    enter_with_status(SHADOW | DELIVERY, 0x45);
    interrupt(0x60);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 0x45);
    f.cpu->event.valid = false;
    ck_assert_int_eq(boundary(f.cpu), STATUS_VM_EXIT);
    exited(EXIT_REASON_external_interrupt, 0);
}
END_TEST

/* Nothing that a hypervisor writes into the VMCS may lead outside memory. */
START_TEST(pages_beyond_memory_do_no_harm)
{
    configure(SHADOW | DELIVERY | POSTED | X2APIC);
    VMCS(f.cpu->vmx.current, virtual_apic_address) = 0xfffff000;
    VMCS(f.cpu->vmx.current, posted_interrupt_descriptor_address) = 0xffffffc0;
    VMCS(f.cpu->vmx.current, guest_interrupt_status) = 0xffff;
    fixture_enter(&f);
    interrupt(0xf2);
    boundary(f.cpu);
    f.cpu->event.valid = false;
    wrmsr(0x808, 0);
    wrmsr(0x80b, 0);
    wrmsr(0x83f, 0xff);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmx_apic");
    TCase *tcase = tcase_create("apic");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, cr8_is_the_virtual_tpr);
    tcase_add_test(tcase, cr8_below_the_threshold_exits_after_the_move);
    tcase_add_test(tcase, cr8_exiting_comes_first);
    tcase_add_test(tcase, without_the_shadow_cr8_is_real);
    tcase_add_loop_test(tcase, no_threshold_without_the_shadow, 0, 2);
    tcase_add_test(tcase, entry_below_the_threshold);
    tcase_add_test(tcase, accesses_exit_by_kind);
    tcase_add_test(tcase, neighbours_and_other_guests_are_not_concerned);
    tcase_add_test(tcase, event_delivery_has_its_own_type);
    tcase_add_test(tcase, guest_physical_accesses_exit);
    tcase_add_test(tcase, virtualized_registers);
    tcase_add_test(tcase, only_the_low_four_bytes);
    tcase_add_test(tcase, operands_in_the_page);
    tcase_add_test(tcase, writes_have_their_effects_afterwards);
    tcase_add_test(tcase, a_write_without_meaning_exits);
    tcase_add_test(tcase, eoi_without_delivery_exits);
    tcase_add_test(tcase, icr_sends_to_self_and_nothing_else);
    tcase_add_test(tcase, delivery);
    tcase_add_test(tcase, delivery_waits_for_the_flag);
    tcase_add_test(tcase, priority_decides);
    tcase_add_test(tcase, what_is_in_service_decides);
    tcase_add_test(tcase, interrupt_window_exiting_keeps_it_back);
    tcase_add_test(tcase, delivery_wakes_from_hlt);
    tcase_add_test(tcase, an_exit_forgets_the_recognition);
    tcase_add_test(tcase, end_of_interrupt);
    tcase_add_test(tcase, end_of_interrupt_may_exit);
    tcase_add_test(tcase, msrs_are_read_from_the_page);
    tcase_add_loop_test(tcase, msrs_that_are_virtualized, 0, 4);
    tcase_add_test(tcase, msr_bitmaps_come_first);
    tcase_add_test(tcase, tpr_and_self_ipi_by_msr);
    tcase_add_test(tcase, a_notification_posts_and_delivers);
    tcase_add_test(tcase, a_halted_processor_stays_halted_unless_woken);
    tcase_add_test(tcase, other_vectors_exit);
    tcase_add_test(tcase, the_virtual_interrupt_comes_before_the_real_one);
    tcase_add_test(tcase, pages_beyond_memory_do_no_harm);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
