/* SPDX-License-Identifier: MIT */
/*
 * L1's VMX instructions: SDM Vol. 3, 31.3. In VMX non-root operation they exit before the privilege check, so each of
 * them starts with it here; then the operand, then the checks in the manual's order, then the effect.
 */
#include "hv/core.h"

#include "hv/nested/shadow.h"

enum { SUCCEED = 0, FAIL_INVALID = -1 };        /* n > 0: VMfailValid with error n */

/* SDM Vol. 3, 31.2. Sets the flags and ends the instruction. */
static void finish(struct hv_cpu *cpu, uint64_t operand, uint64_t value, int result)
{
    const uint64_t old = vmread(VMCS_guest_rflags);
    const uint64_t flag = result > 0 ? RFLAGS_ZF : result < 0 ? RFLAGS_CF : 0;
    const uint64_t rflags = (old & ~RFLAGS_ARITHMETIC) | flag;

    hal_log(HAL_EVENT_VMX_INSTRUCTION, cpu->exit.reason, operand, value, (uint64_t)(int64_t)result);
    if (result > 0)
        VMCS12(cpu, vm_instruction_error) = (uint64_t)result;
    if (rflags != old)
        vmwrite(VMCS_guest_rflags, rflags);
    breakpoints_due(cpu);
    guest_advance_with(rflags);
}

/* VMfail(error): valid only with a current VMCS to hold the error. */
static int fail(const struct hv_cpu *cpu, enum vm_instruction_error error)
{
    return cpu->nested.current == NO_VMCS ? FAIL_INVALID : (int)error;
}

void nested_entry_fails(struct hv_cpu *cpu, enum vm_instruction_error error)
{
    hal_log(HAL_EVENT_NESTED_FAIL, error, 0, 0, 0);
    finish(cpu, cpu->nested.current, 0, fail(cpu, error));
}

/* The modes in which VMX instructions are #UD. Hardware raises it before it exits, but for VMCALL. */
static bool wrong_mode(void)
{
    return !(guest_visible_cr0() & CR0_PE) || vmread(VMCS_guest_rflags) & RFLAGS_VM || (guest_long_mode() && !guest_64bit());
}

/* #UD and #GP of every VMX instruction. `enabled`: in VMX operation, or for VMXON, CR4.VMXE. */
static bool permitted(struct hv_cpu *cpu, bool enabled)
{
    if (!enabled || (cpu->exit.reason == EXIT_REASON_vmcall && wrong_mode())) {
        inject_exception(cpu, VECTOR_UD, 0);
        return false;
    }
    if (guest_cpl()) {
        inject_exception(cpu, VECTOR_GP, 0);
        return false;
    }
    return true;
}

static bool region_address(const struct hv_cpu *cpu, uint64_t address)
{
    return !(address & PAGE_OFFSET) && !(address >> cpu->machine->physical_address_width);
}

static bool vmxon_allowed(const struct hv_cpu *cpu)
{
    const struct capability *c = &cpu->machine->offered;
    const uint64_t cr0 = guest_visible_cr0(), cr4 = guest_visible_cr4();
    const uint64_t feature = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;

    return !(c->cr0_fixed0 & ~cr0) && !(cr0 & ~c->cr0_fixed1) && !(c->cr4_fixed0 & ~cr4) &&
           !(cr4 & ~c->cr4_fixed1) && (cpu->feature_control & feature) == feature;
}

static void vmxon(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;
    uint64_t address;

    if (!permitted(cpu, guest_visible_cr4() & CR4_VMXE))
        return;
    if (n->on) {
        finish(cpu, n->vmxon_pointer, 0, fail(cpu, VM_ERROR_vmxon_in_root));
        return;
    }
    if (!vmxon_allowed(cpu)) {
        inject_exception(cpu, VECTOR_GP, 0);
        return;
    }
    if (!operand_load(cpu, &address, sizeof address))
        return;
    if (!region_address(cpu, address) || l1_read_revision(cpu->machine, address) != VMCS12_REVISION) {
        finish(cpu, address, 0, FAIL_INVALID);
        return;
    }
    n->on = true;
    n->vmxon_pointer = address;
    n->current = NO_VMCS;
    vmcs01_update_masks(cpu);
    finish(cpu, address, 0, SUCCEED);
}

/* Leaves nothing behind: VMCSs go back to their pages, the shadows' pages to the pool. */
static void vmxoff(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;

    vmcs12_release_all(cpu);
    vept_drop_all(cpu);
    vpid_drop_all(cpu);
    n->on = false;
    vmcs01_update_masks(cpu);
    finish(cpu, 0, 0, SUCCEED);
    init_after_vmxoff(cpu);                     /* one was blocked until now (SDM Vol. 3, 26.2) */
}

static void vmclear(struct hv_cpu *cpu)
{
    const struct nested *n = &cpu->nested;
    uint64_t address;
    int result = SUCCEED;

    if (!operand_load(cpu, &address, sizeof address))
        return;
    if (!region_address(cpu, address)) {
        result = fail(cpu, VM_ERROR_vmclear_invalid_address);
    } else if (address == n->vmxon_pointer) {
        result = fail(cpu, VM_ERROR_vmclear_vmxon_pointer);
    } else {
        vmcs12_clear(cpu, address);
    }
    finish(cpu, address, 0, result);
}

static void vmptrld(struct hv_cpu *cpu)
{
    const struct nested *n = &cpu->nested;
    uint64_t address;
    int result = SUCCEED;

    if (!operand_load(cpu, &address, sizeof address))
        return;
    if (!region_address(cpu, address)) {
        result = fail(cpu, VM_ERROR_vmptrld_invalid_address);
    } else if (address == n->vmxon_pointer) {
        result = fail(cpu, VM_ERROR_vmptrld_vmxon_pointer);
    } else if (!vmcs12_load(cpu, address)) {
        result = fail(cpu, VM_ERROR_vmptrld_wrong_revision);
    }
    finish(cpu, address, 0, result);
}

static void vmptrst(struct hv_cpu *cpu)
{
    if (operand_store(cpu, &cpu->nested.current, sizeof cpu->nested.current))
        finish(cpu, cpu->nested.current, 0, SUCCEED);
}

/* Register operands are 64 bits wide in 64-bit mode, else 32. */
static uint64_t operand_mask(void) { return guest_64bit() ? ~0ull : 0xffffffff; }

static void vmread_instruction(struct hv_cpu *cpu)
{
    const uint64_t mask = operand_mask(), encoding = guest_register(cpu, operand_register2(cpu)) & mask;
    enum field_index field;
    uint64_t value;

    if (cpu->nested.current == NO_VMCS) {
        finish(cpu, encoding, 0, FAIL_INVALID);
        return;
    }
    field = field_find(&cpu->machine->offered, encoding);
    if (field == FIELD_COUNT) {
        finish(cpu, encoding, 0, VM_ERROR_unsupported_field);
        return;
    }
    shadow_before_read(cpu, field);
    value = cpu->nested.vmcs12->field[field];
    if (VMCS_ENCODING_HIGH(encoding))
        value >>= 32;
    value &= mask;
    if (operand_in_register(cpu))
        guest_set_register(cpu, operand_register1(cpu), value);
    else if (!operand_store(cpu, &value, guest_64bit() ? 8 : 4))
        return;
    finish(cpu, encoding, value, SUCCEED);
}

static void vmwrite_instruction(struct hv_cpu *cpu)
{
    const uint64_t mask = operand_mask(), encoding = guest_register(cpu, operand_register2(cpu)) & mask;
    const bool exit_information = VMCS_ENCODING_TYPE(encoding) == VMCS_TYPE_EXIT_INFORMATION;
    uint64_t value = 0, *stored;
    enum field_index field;

    if (cpu->nested.current == NO_VMCS) {
        finish(cpu, encoding, 0, FAIL_INVALID);
        return;
    }
    if (operand_in_register(cpu))
        value = guest_register(cpu, operand_register1(cpu)) & mask;
    field = field_find(&cpu->machine->offered, encoding);
    if (field == FIELD_COUNT) {
        finish(cpu, encoding, value, VM_ERROR_unsupported_field);
        return;
    }
    if (exit_information && !(cpu->machine->offered.misc & MISC_VMWRITE_ANY)) {
        finish(cpu, encoding, value, VM_ERROR_vmwrite_read_only);
        return;
    }
    if (!operand_in_register(cpu) && !operand_load(cpu, &value, guest_64bit() ? 8 : 4))     /* only now: 31.3, VMWRITE */
        return;
    shadow_before_write(cpu);
    settled_forget(cpu->nested.vmcs12, field);
    stored = &cpu->nested.vmcs12->field[field];
    *stored = VMCS_ENCODING_HIGH(encoding) ? (*stored & 0xffffffff) | value << 32 : field_cut(field, value);
    shadow_written(cpu, field);
    finish(cpu, encoding, value, SUCCEED);
}

static void invept(struct hv_cpu *cpu)
{
    const struct capability *c = &cpu->machine->offered;
    const uint64_t type = guest_register(cpu, operand_register2(cpu)) & operand_mask();
    uint64_t descriptor[2];
    bool valid = (type == INVEPT_SINGLE && c->ept_vpid & EPT_CAP_INVEPT_SINGLE) ||
                 (type == INVEPT_GLOBAL && c->ept_vpid & EPT_CAP_INVEPT_GLOBAL);

    if (!valid) {
        finish(cpu, type, 0, fail(cpu, VM_ERROR_invept_invvpid_operand));
        return;
    }
    if (!operand_load(cpu, descriptor, sizeof descriptor))
        return;
    if (type == INVEPT_GLOBAL)
        vept_drop_all(cpu);
    else if (eptp_valid(c, cpu->machine->physical_address_width, descriptor[0]))
        vept_drop(cpu, descriptor[0]);
    else
        valid = false;
    finish(cpu, type, descriptor[0], valid ? SUCCEED : fail(cpu, VM_ERROR_invept_invvpid_operand));
}

static void invvpid(struct hv_cpu *cpu)
{
    const uint64_t type = guest_register(cpu, operand_register2(cpu)) & operand_mask();
    uint64_t descriptor[2];
    bool valid = type <= INVVPID_SINGLE_KEEP_GLOBAL && cpu->machine->offered.ept_vpid >> (40 + type) & 1;

    if (valid && !operand_load(cpu, descriptor, sizeof descriptor))
        return;
    if (!valid || descriptor[0] >> 16 || (type != INVVPID_ALL && !descriptor[0]) ||
        (type == INVVPID_ADDRESS && !canonical_in_register(cpu, descriptor[1]))) {
        finish(cpu, type, 0, fail(cpu, VM_ERROR_invept_invvpid_operand));
        return;
    }
    if (type == INVVPID_ALL)
        vpid_invalidate_all(cpu);
    else
        vpid_invalidate(cpu, type, (uint16_t)descriptor[0], descriptor[1]);
    finish(cpu, type, descriptor[0], SUCCEED);
}

/* SDM Vol. 3, 31.3, VMLAUNCH/VMRESUME: what comes before the checks on the VMCS. */
static void enter_instruction(struct hv_cpu *cpu, bool launch)
{
    struct nested *n = &cpu->nested;

    n->plan.interruptibility = vmread32(VMCS_guest_interruptibility_state);
    if (n->current == NO_VMCS)
        finish(cpu, n->current, 0, FAIL_INVALID);
    else if (n->plan.interruptibility & BLOCKING_BY_MOV_SS)
        nested_entry_fails(cpu, VM_ERROR_entry_blocked_by_mov_ss);
    else if (launch && n->vmcs12->launched)
        nested_entry_fails(cpu, VM_ERROR_vmlaunch_not_clear);
    else if (!launch && !n->vmcs12->launched)
        nested_entry_fails(cpu, VM_ERROR_vmresume_not_launched);
    else
        nested_enter(cpu);
}

/* What L1 asks of L0 itself. False: an ordinary VMCALL, by its number or where it stands. */
static bool hypercall(struct hv_cpu *cpu)
{
    const uint64_t mask = operand_mask(), page = guest_register(cpu, RBX) & mask;
    enum page_given_result result;

    if ((guest_register(cpu, RAX) & mask) != HYPERCALL_GIVE_PAGE || wrong_mode() || guest_cpl())
        return false;
    result = page_give(cpu, page);
    hal_log(HAL_EVENT_HANDLED, cpu->exit.reason, page, result, 0);
    guest_set_register(cpu, RAX, result);
    guest_advance();
    return true;
}

static void other_instruction(struct hv_cpu *cpu)
{
    const enum exit_reason reason = (enum exit_reason)cpu->exit.reason;

    if (reason == EXIT_REASON_vmxon) {
        vmxon(cpu);
        return;
    }
    if (reason == EXIT_REASON_vmcall && hypercall(cpu))
        return;
    if (!permitted(cpu, cpu->nested.on))
        return;
    switch (reason) {
    case EXIT_REASON_vmcall:
        finish(cpu, 0, 0, fail(cpu, VM_ERROR_vmcall_in_root));
        return;
    case EXIT_REASON_vmxoff:
        vmxoff(cpu);
        return;
    case EXIT_REASON_vmclear:
        vmclear(cpu);
        return;
    case EXIT_REASON_vmptrld:
        vmptrld(cpu);
        return;
    case EXIT_REASON_vmptrst:
        vmptrst(cpu);
        return;
    case EXIT_REASON_vmread:
        vmread_instruction(cpu);
        return;
    case EXIT_REASON_vmwrite:
        vmwrite_instruction(cpu);
        return;
    case EXIT_REASON_invept:
        invept(cpu);
        return;
    case EXIT_REASON_invvpid:
        invvpid(cpu);
        return;
    default:
        hal_fail_stop("an exit that is no VMX instruction");
    }
}

void nested_instruction(struct hv_cpu *cpu)
{
    const bool launch = cpu->exit.reason == EXIT_REASON_vmlaunch;

    if (!launch && cpu->exit.reason != EXIT_REASON_vmresume)
        other_instruction(cpu);
    else if (permitted(cpu, cpu->nested.on))
        enter_instruction(cpu, launch);
}
