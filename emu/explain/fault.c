/* SPDX-License-Identifier: MIT */
/* Why an instruction faults. */
#include "emu/explain/fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/explain/explain.h"
#include "emu/explain/guest_code.h"
#include "emu/explain/host_state.h"
#include "emu/explain/page_walk.h"
#include "emu/explain/place.h"
#include "emu/explain/undefined.h"
#include "emu/machine/parts.h"
#include "model/cpu/access.h"
#include "model/cpu/execute.h"
#include "model/model.h"

/* RDMSR and WRMSR name their register, which no operand shows. */
static void tell_msr(struct explanation *e, const struct cpu *cpu, const char *place)
{
    const char *name = msr_name((uint32_t)cpu->gpr[RCX]);
    bool read = strstr(place, ": rdmsr"), write = strstr(place, ": wrmsr");

    if (!read && !write)
        return;
    if (write)
        explain_line(e, "WRMSR of MSR 0x%" PRIx32 " (ECX; %s), value 0x%08" PRIx32 "%08" PRIx32 " (EDX:EAX)", (uint32_t)cpu->gpr[RCX],
                     name ? name : "this machine has no such MSR", (uint32_t)cpu->gpr[RDX], (uint32_t)cpu->gpr[RAX]);
    else
        explain_line(e, "RDMSR of MSR 0x%" PRIx32 " (ECX; %s)", (uint32_t)cpu->gpr[RCX], name ? name : "this machine has no such MSR");
}

/* INVEPT, INVVPID and INVPCID have an operand of 16 bytes and are none of SSE. */
static bool is_simd(const char *place)
{
    return (strstr(place, "xmm") || strstr(place, "ymm")) && !strstr(place, ": inv");
}

/* #UD of SSE instructions while the bits of CR0 and CR4 that allow them are not so: SDM Vol. 3, 2.5. Of others: undefined.c. */
static void tell_simd(struct explanation *e, const struct cpu *cpu, const char *place)
{
    if (!is_simd(place) || strstr(place, ": v"))
        return;
    if (cpu->cr0 & CR0_EM)
        explain_line(e, "CR0.EM (bit 2) is 1: the instruction is undefined until it is cleared [2.5]");
    if (cpu->cr4 & CR4_OSFXSR)
        return;
    explain_line(e, "CR4.OSFXSR (bit 9) is 0: the instruction is not allowed before it is set [2.5]");
    host_state_tell(e, cpu, HOST_STATE_CR4, CR4_OSFXSR);
}

static void tell_undefined(struct explanation *e, struct cpu *cpu, const char *place, const struct code_bytes *code)
{
    struct code_bytes now;

    if (!code) {
        now.length = (uint8_t)place_fetch(cpu, now.byte);
        code = &now;
    }
    tell_simd(e, cpu, place);
    undefined_tell(e, cpu, code->byte, code->length);
}

/* An entry of the paging structures whose execute-disable bit is a reserved one: SDM Vol. 3, 4.5. */
static void tell_execute_disable(struct explanation *e, const struct cpu *cpu)
{
    if (!(CPU_MSR(cpu, ia32_efer) & EFER_NXE))
        host_state_tell(e, cpu, HOST_STATE_EFER, EFER_NXE);
}

/* IRET takes what it finds: an error code that was left there becomes RIP. */
void fault_tell_iret(struct explanation *e, struct cpu *cpu, const char *place, bool here)
{
    unsigned word = code_bits(cpu) / 8;
    uint64_t base = cpu_64bit(cpu) ? 0 : cpu->seg[SEG_SS].base, value[3] = { 0 };

    if (!strstr(place, ": iret"))
        return;
    if (!here) {                    /* the stack has gone on since */
        explain_line(e, "IRET takes RIP, CS and RFLAGS from the stack: the handler of an exception with an error code removes that first (ADD RSP, %u) [6.13]",
                     word);
        return;
    }
    for (unsigned i = 0; i < 3; i++)
        if (place_peek(cpu, base + cpu->gpr[RSP] + (uint64_t)i * word, &value[i], word) != PEEK_DONE)
            return;
    explain_line(e, "IRET finds RIP 0x%" PRIx64 ", CS 0x%" PRIx64 ", RFLAGS 0x%" PRIx64 " at RSP 0x%" PRIx64
                 ": if that is one word off, the handler did not remove the error code (ADD RSP, %u) [6.13]", value[0], value[1], value[2],
                 cpu->gpr[RSP], word);
}

/* Instructions of SSE that want their operand aligned to 16 bytes: SDM Vol. 2, 2.4. */
static void tell_alignment(struct explanation *e, struct cpu *cpu, const char *place)
{
    uint8_t code[INSTRUCTION_MAX];
    size_t length = fetch_code(cpu, code);
    struct insn insn;
    uint64_t address;

    if (!is_simd(place) || !strstr(place, "xmmword ptr") ||
        !decode_memory_operand(code_bits(cpu), cpu->rip + instruction_length(code_bits(cpu), code, length), code, length, &insn))
        return;
    address = operand_address(cpu, &insn);
    if (!(address & 15))
        return;
    explain_line(e, "the memory operand, at 0x%" PRIx64 ", is not aligned to 16 bytes, as the instruction wants it [Vol. 2, 2.4]", address);
    if (insn.base == RSP || insn.base == RBP)
        explain_line(e, "it is on the stack (RSP 0x%" PRIx64 "): compilers rely on RSP being a multiple of 16 before each CALL", cpu->gpr[RSP]);
}

/* SDM Vol. 3, 2.5: #NM of x87, MMX and SSE instructions. */
static void tell_device_not_available(struct explanation *e, const struct cpu *cpu)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS))
        explain_line(e, "CR0.%s is 1: the instruction is not allowed until it is cleared [2.5]", cpu->cr0 & CR0_EM ? "EM (bit 2)" : "TS (bit 3)");
    host_state_tell(e, cpu, HOST_STATE_CR0, CR0_EM | CR0_TS);
}

void fault_tell(struct explanation *e, struct cpu *cpu, const struct event *event, const char *place, const struct code_bytes *code, bool here)
{
    tell_msr(e, cpu, place);
    if (event->type == EVENT_HARDWARE_EXCEPTION)
        switch (event->vector) {
        case VECTOR_UD:
            tell_undefined(e, cpu, place, code);
            break;
        case VECTOR_NM:
            tell_device_not_available(e, cpu);
            break;
        case VECTOR_GP:
            if (here && !event->error_code)
                tell_alignment(e, cpu, place);
            if (here)
                guest_code_tell_rip(e, cpu);
            break;
        case VECTOR_PF:
            if (page_walk_tell(e, cpu, event->address, event->error_code))
                tell_execute_disable(e, cpu);
            break;
        default:
            break;
        }
    fault_tell_iret(e, cpu, place, here);
}
