/* SPDX-License-Identifier: MIT */
/* #UD: SDM Vol. 3, 2.5, 6.15 "Interrupt 6", 26.3. */
#include "emu/explain/undefined.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/decode/decode.h"
#include "emu/decode/needs.h"
#include "emu/explain/bits.h"
#include "emu/explain/explain.h"
#include "emu/explain/host_state.h"
#include "emu/explain/place.h"
#include "emu/machine/parts.h"
#include "model/cpu/execute.h"

enum { NAMES_MAX = 120, PREFIX_LOCK = 0xf0 };

static bool tell_feature(struct explanation *e, const struct cpu *cpu, const struct need *need)
{
    static const char *const registers[] = { "EAX", "EBX", "ECX", "EDX" };
    const struct feature *f = need->feature;
    uint32_t out[4];
    char leaf[40];

    cpuid_read(cpu, f->leaf, f->subleaf, out);
    if (!f->text[0] || out[f->out] >> f->bit & 1)
        return false;
    snprintf(leaf, sizeof leaf, f->leaf == 7 || f->leaf == 0xd || f->leaf == 0x12 || f->leaf == 0x14 ? "%XH.%X" : "%XH", f->leaf, f->subleaf);
    explain_line(e, "%s is undefined on this processor: CPUID.%s:%s bit %u (%s) is 0 [Vol. 2]", need->name, leaf, registers[f->out], f->bit, f->text);
    return true;
}

static bool tell_control(struct explanation *e, const struct cpu *cpu, const struct need *need)
{
    static const struct {
        uint32_t mask;
        const char *name;
    } controls[] = {
        { PROC2_enable_rdtscp, "enable RDTSCP" }, { PROC2_enable_invpcid, "enable INVPCID" },
        { PROC2_enable_xsaves_xrstors, "enable XSAVES/XRSTORS" }, { PROC2_enable_user_wait_and_pause, "enable user wait and pause" },
    };
    const struct vmcs *v = host_state_vmcs(e->machine, cpu);

    if (!need->control || !v || !host_state_in_guest(e->machine, cpu) ||
        (VMCS(v, processor_based_controls) & PROC_activate_secondary_controls && VMCS(v, secondary_processor_based_controls) & need->control))
        return false;
    for (unsigned i = 0; i < sizeof controls / sizeof controls[0]; i++)
        if (controls[i].mask == need->control)
            explain_line(e, "%s is undefined in VMX non-root operation unless the secondary processor-based control \"%s\" is 1, and it is 0: "
                         "secondary_processor_based_controls = 0x%" PRIx64 "%s [26.3]", need->name, controls[i].name, VMCS(v, secondary_processor_based_controls),
                         VMCS(v, processor_based_controls) & PROC_activate_secondary_controls ? "" : ", which are not activated");
    return true;
}

static bool tell_need(struct explanation *e, const struct cpu *cpu, const struct need *need)
{
    char names[NAMES_MAX];
    bool told = false;

    if (need->mode == MODE_LEGACY) {
        if (cpu_64bit(cpu))
            explain_line(e, "%s is no instruction in 64-bit mode: this is code for 32-bit or 16-bit mode, or no code at all [Vol. 2]", need->name);
        return cpu_64bit(cpu);
    }
    if (need->mode == MODE_LONG && !cpu_64bit(cpu)) {
        explain_line(e, "%s is defined in 64-bit mode only [Vol. 2]", need->name);
        return true;
    }
    told |= tell_feature(e, cpu, need);
    if (need->cr4 & ~cpu->cr4) {
        explain_line(e, "%s is undefined while %s is 0: CR4 is 0x%" PRIx64 " [2.5]", need->name, bits_text(BITS_CR4, need->cr4, names, sizeof names), cpu->cr4);
        host_state_tell(e, cpu, HOST_STATE_CR4, need->cr4);
        told = true;
    }
    if (need->mode == MODE_SYSCALLS && !(CPU_MSR(cpu, ia32_efer) & EFER_SCE)) {
        explain_line(e, "%s is undefined while IA32_EFER.SCE (bit 0) is 0: IA32_EFER is 0x%" PRIx64 " [2.2.1, Vol. 2]", need->name, CPU_MSR(cpu, ia32_efer));
        host_state_tell(e, cpu, HOST_STATE_EFER, EFER_SCE);
        told = true;
    }
    return tell_control(e, cpu, need) || told;
}

static void tell_bytes(struct explanation *e, const uint8_t *bytes, size_t length)
{
    char text[3 * INSTRUCTION_MAX + 1] = "";

    for (size_t i = 0; i < length && i < INSTRUCTION_MAX; i++)
        snprintf(text + 3 * i, 4, " %02x", bytes[i]);
    explain_line(e, "no instruction that is known here begins with the bytes%s", text);
}

void undefined_tell(struct explanation *e, const struct cpu *cpu, const uint8_t *bytes, size_t length)
{
    const struct need *need = need_of(code_bits(cpu), bytes, length);
    const char *by_design = undefined_by_design(bytes, length);

    if (!length || (need && tell_need(e, cpu, need)))
        return;
    if (by_design)
        explain_line(e, "%s is there to raise #UD: compilers put it where control must not come (BUG(), __builtin_trap(), unreachable code) [Vol. 2]", by_design);
    else if (bytes[0] == PREFIX_LOCK && instruction_length(code_bits(cpu), bytes + 1, length - 1))
        explain_line(e, "the LOCK prefix (F0H) is allowed only before instructions that read and write their operand in memory [Vol. 2, LOCK]");
    else if (!instruction_length(code_bits(cpu), bytes, length))
        tell_bytes(e, bytes, length);
}
