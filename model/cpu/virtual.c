/* SPDX-License-Identifier: MIT */
/*
 * The virtual interrupt flag: what CLI, STI, PUSHF, POPF and IRET do with VIF in place of IF where CR4.VME or CR4.PVI gives a program
 * that may not change IF a flag of its own; and software interrupts that virtual-8086 mode keeps to itself. SDM Vol. 3, 21.3, 21.4;
 * Vol. 2, the instructions.
 */
#include "model/cpu/virtual.h"

#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/cpu/walk.h"
#include "model/model.h"

#define PUSHED (RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT)
#define POPPED (RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT)
enum { MAP_BASE_AT = 0x66, REDIRECTION_SIZE = 32 };

static bool lacks_io_privilege(const struct cpu *cpu) { return (cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL; }

bool virtual_flag_used(const struct cpu *cpu)
{
    if (cpu_virtual_8086(cpu))
        return (cpu->cr4 & CR4_VME) && lacks_io_privilege(cpu);
    return cpu_protected(cpu) && cpu_cpl(cpu) == 3 && (cpu->cr4 & CR4_PVI) && lacks_io_privilege(cpu);
}

static enum status fault(struct cpu *cpu) { return cpu_fault(cpu, VECTOR_GP, 0); }

enum status virtual_flag_change(struct cpu *cpu, const struct insn *insn)
{
    if (!virtual_flag_used(cpu))
        return model_refuse(cpu, "CLI or STI that changes IF is the CPU engine's");
    if (insn->id == INSN_sti && (cpu->rflags & RFLAGS_VIP))
        return fault(cpu);
    cpu_retire(cpu, insn->length);
    cpu->rflags = insn->id == INSN_sti ? cpu->rflags | RFLAGS_VIF : cpu->rflags & ~RFLAGS_VIF;
    return STATUS_OK;
}

uint64_t virtual_flags_image(const struct cpu *cpu)
{
    uint64_t flags = (cpu->rflags & PUSHED & ~RFLAGS_IF) | RFLAGS_FIXED | RFLAGS_IOPL;

    return cpu->rflags & RFLAGS_VIF ? flags | RFLAGS_IF : flags;
}

bool virtual_flags_allowed(const struct cpu *cpu, uint64_t image)
{
    return !(image & RFLAGS_TF) && !((cpu->rflags & RFLAGS_VIP) && (image & RFLAGS_IF));
}

void virtual_flags_load(struct cpu *cpu, uint64_t image)
{
    cpu->rflags = (cpu->rflags & ~(POPPED | RFLAGS_VIF)) | (image & POPPED) | (image & RFLAGS_IF ? RFLAGS_VIF : 0);
}

/* With operands of 32 bits both are #GP(0). */
enum status virtual_flags_move(struct cpu *cpu, const struct insn *insn)
{
    struct stack stack = stack_here(cpu);
    struct frame frame = { .size = 2 };
    uint64_t image;

    if (!cpu_virtual_8086(cpu) || !virtual_flag_used(cpu))
        return model_refuse(cpu, "PUSHF or POPF of IF is the CPU engine's");
    if (insn->operand_size != 2)
        return fault(cpu);
    if (insn->id == INSN_pushf) {
        frame_push(&frame, virtual_flags_image(cpu));
        TRY(frame_locate(cpu, &stack, &frame));
        frame_write(cpu, &stack, &frame);
        cpu->gpr[RSP] = frame.pointer;
        cpu_retire(cpu, insn->length);
        return STATUS_OK;
    }
    TRY(stack_read(cpu, &stack, 0, 2, &image));
    if (!virtual_flags_allowed(cpu, image))
        return fault(cpu);
    cpu->gpr[RSP] = stack_moved(&stack, 2);
    cpu_retire(cpu, insn->length);
    virtual_flags_load(cpu, image);
    return STATUS_OK;
}

/* The software interrupt redirection bitmap: the 32 bytes below the I/O permission bitmap of the TSS. */
static enum status redirected(struct cpu *cpu, uint8_t vector, bool *to_8086)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    uint16_t base;
    uint32_t at;
    uint8_t bits;

    if (tr->limit < MAP_BASE_AT + 1)
        return fault(cpu);
    TRY(linear_read(cpu, (uint32_t)(tr->base + MAP_BASE_AT), &base, sizeof(base), true));
    at = base - REDIRECTION_SIZE + vector / 8u;
    if (at > tr->limit)
        return fault(cpu);
    TRY(linear_read(cpu, (uint32_t)(tr->base + at), &bits, sizeof(bits), true));
    *to_8086 = !(bits >> vector % 8 & 1);
    return STATUS_OK;
}

/* Table 21-2. Methods 5 and 6: through the interrupt table at linear address 0, as the 8086 did it. */
enum status virtual_interrupt(struct cpu *cpu, uint8_t vector, uint64_t return_rip, bool *delivered)
{
    bool to_8086 = false, own_flag = lacks_io_privilege(cpu);
    struct stack stack = stack_here(cpu);
    struct frame frame = { .size = 2 };
    uint32_t target;

    *delivered = false;
    if (cpu->cr4 & CR4_VME)
        TRY(redirected(cpu, vector, &to_8086));
    if (!to_8086)
        return own_flag ? fault(cpu) : STATUS_OK;
    TRY(linear_read(cpu, vector * 4u, &target, sizeof(target), false));
    frame_push(&frame, own_flag ? virtual_flags_image(cpu) : (cpu->rflags & PUSHED) | RFLAGS_FIXED);
    frame_push(&frame, cpu->seg[SEG_CS].selector);
    frame_push(&frame, return_rip);
    TRY(frame_locate(cpu, &stack, &frame));
    frame_write(cpu, &stack, &frame);
    cpu->gpr[RSP] = frame.pointer;
    cpu->seg[SEG_CS].selector = (uint16_t)(target >> 16);
    cpu->seg[SEG_CS].base = (target >> 16) << 4;
    cpu->rip = target & 0xffff;
    cpu->rflags &= ~(RFLAGS_TF | RFLAGS_RF | (own_flag ? RFLAGS_VIF : RFLAGS_IF));
    cpu->event.valid = false;
    *delivered = true;
    return STATUS_OK;
}
