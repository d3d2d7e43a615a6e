/* SPDX-License-Identifier: MIT */
/* Where a processor is. */
#include "emu/explain/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/explain/events.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

enum { CALLS_MAX = 8, SCAN_WORDS = 256 };
/* How many instructions back an exit or an entry may lie to be named as the way here. */
enum { NEAR = 64 };

/* A core's shadow is filled when the guest asks for pages: what the guest has is in L1's own EPT. */
struct cpu place_view(const struct cpu *cpu)
{
    struct cpu view = *cpu;

    if (view.vmx.ept && view.vmx.shadowed_eptp)
        view.vmx.eptp = view.vmx.shadowed_eptp;
    view.vmx.shadowed_eptp = 0;
    return view;
}

size_t place_fetch(struct cpu *cpu, uint8_t bytes[INSTRUCTION_MAX])
{
    struct cpu view;

    if (!cpu->vmx.shadowed_eptp)
        return fetch_code(cpu, bytes);
    view = place_view(cpu);
    return fetch_code(&view, bytes);
}

enum peek place_peek(struct cpu *cpu, uint64_t linear, void *to, unsigned length)
{
    struct access access = { .kind = ACCESS_READ, .probe = true };
    struct cpu view;

    if (cpu->vmx.shadowed_eptp) {
        view = place_view(cpu);
        cpu = &view;
    }

    for (unsigned i = 0, part; i < length; i += part) {
        uint64_t at = cpu_long_mode(cpu) ? linear + i : (uint32_t)(linear + i), in_page = PAGE_SIZE - (at & ~PAGE_MASK);
        struct translation t = translate(cpu, at, access);

        part = length - i < in_page ? length - i : (unsigned)in_page;
        if (t.result != TRANSLATION_OK)
            return PEEK_UNMAPPED;
        if (!memory_read(&cpu->model->memory, t.pa, (uint8_t *)to + i, part))
            return PEEK_NO_RAM;
    }
    return PEEK_DONE;
}

static void describe(const struct machine *machine, const struct cpu *cpu, uint64_t rip, const uint8_t *bytes, size_t length, char *text, size_t size)
{
    char name[SYMBOL_TEXT_MAX], words[80], base[32] = "";

    disassemble(code_bits(cpu), rip, bytes, length, words, sizeof words);
    if (cpu_code_base(cpu))         /* names are of linear addresses where it is 0, and RIP says little where not */
        snprintf(base, sizeof base, " (CS base 0x%" PRIx64 ")", cpu_code_base(cpu));
    snprintf(text, size, "rip 0x%" PRIx64 "%s%s: %s", rip, base, symbols_text(machine->symbols, rip, name), length ? words : "(no memory can be fetched there)");
}

void place_describe(const struct machine *machine, struct cpu *cpu, char *text, size_t size)
{
    uint8_t bytes[INSTRUCTION_MAX];

    describe(machine, cpu, cpu->rip, bytes, place_fetch(cpu, bytes), text, size);
}

void place_of_code(const struct machine *machine, const struct cpu *cpu, uint64_t rip, const struct code_bytes *code, char *text, size_t size)
{
    struct cpu then = *cpu;

    then.rip = rip;
    if (code)
        describe(machine, cpu, rip, code->byte, code->length, text, size);
    else
        place_describe(machine, &then, text, size);
}

/* As the program reads them: in non-root operation the masked bits come from the read shadows (SDM Vol. 3, 26.3). */
static uint64_t as_read(const struct cpu *cpu, uint64_t value, uint64_t mask, uint64_t shadow)
{
    return cpu->vmx.non_root ? (value & ~mask) | (shadow & mask) : value;
}

void place_registers(struct explanation *e, const struct cpu *cpu)
{
    const uint64_t *r = cpu->gpr;
    const struct vmcs *v = cpu->vmx.current;
    uint64_t cr0 = v ? as_read(cpu, cpu->cr0, VMCS(v, cr0_guest_host_mask), VMCS(v, cr0_read_shadow)) : cpu->cr0;
    uint64_t cr4 = v ? as_read(cpu, cpu->cr4, VMCS(v, cr4_guest_host_mask), VMCS(v, cr4_read_shadow)) : cpu->cr4;

    explain_line(e, "%s, CPL %u; rflags 0x%" PRIx64 ", cs 0x%x, ss 0x%x, tr 0x%x; gdt 0x%" PRIx64 " limit 0x%x, idt 0x%" PRIx64 " limit 0x%x",
                 mode_words(cpu), cpu_cpl(cpu), cpu->rflags, cpu->seg[SEG_CS].selector, cpu->seg[SEG_SS].selector,
                 cpu->seg[SEG_TR].selector, cpu->gdtr.base, cpu->gdtr.limit, cpu->idtr.base, cpu->idtr.limit);
    explain_line(e, "rax 0x%" PRIx64 " rcx 0x%" PRIx64 " rdx 0x%" PRIx64 " rbx 0x%" PRIx64 " rsp 0x%" PRIx64 " rbp 0x%" PRIx64
                 " rsi 0x%" PRIx64 " rdi 0x%" PRIx64, r[RAX], r[RCX], r[RDX], r[RBX], r[RSP], r[RBP], r[RSI], r[RDI]);
    if (cpu_long_mode(cpu))
        explain_line(e, "r8 0x%" PRIx64 " r9 0x%" PRIx64 " r10 0x%" PRIx64 " r11 0x%" PRIx64 " r12 0x%" PRIx64 " r13 0x%" PRIx64
                     " r14 0x%" PRIx64 " r15 0x%" PRIx64, r[R8], r[R9], r[R10], r[R11], r[R12], r[R13], r[R14], r[R15]);
    explain_line(e, "cr0 0x%" PRIx64 " cr2 0x%" PRIx64 " cr3 0x%" PRIx64 " cr4 0x%" PRIx64 " efer 0x%" PRIx64, cr0, cpu->cr2, cpu->cr3,
                 cr4, CPU_MSR(cpu, ia32_efer));
}

/* What an exit loaded: of a VMCS of the program's, or as it stands in the registers, where the VMCS is the core's. */
static void tell_host_state(struct explanation *e, const struct cpu *cpu, const struct happening *exit, uint64_t since)
{
    const struct vmcs *v = cpu->vmx.current;
    const char *reason = exit_reason_name((uint32_t)exit->reason & 0xffff);
    bool native = machine_over_native(e->machine, cpu);
    uint64_t vmcs12 = 0;

    if (native)
        v = native_current(e->machine->native, cpu, &vmcs12) ? native_vmcs12(e->machine->native, vmcs12) : NULL;
    bool known = v && (native || (exit->vmcs && v->pa == exit->vmcs));
    uint64_t rsp = known ? VMCS(v, host_rsp) : cpu->gpr[RSP], rip = known ? VMCS(v, host_rip) : cpu->rip;
    char vmcs[40] = "";

    if (!known && cpu->instructions != exit->instructions)      /* RIP and RSP have gone on */
        return;
    if (exit->vmcs)
        snprintf(vmcs, sizeof vmcs, " of VMCS 0x%" PRIx64, exit->vmcs);
    explain_line(e, "%" PRIu64 " instructions earlier the VM exit %s at guest rip 0x%" PRIx64 " loaded HOST_RIP 0x%" PRIx64 ", HOST_RSP 0x%" PRIx64
                 ", HOST_CR3 0x%" PRIx64 "%s", since, reason ? reason : "unknown", exit->rip, rip, rsp, known ? VMCS(v, host_cr3) : cpu->cr3, vmcs);
    explain_line(e, "   and HOST_GDTR_BASE 0x%" PRIx64 ", HOST_IDTR_BASE 0x%" PRIx64 " (both with limit 0xffff), HOST_TR_BASE 0x%" PRIx64 ", HOST_CS 0x%x",
                 known ? VMCS(v, host_gdtr_base) : cpu->gdtr.base, known ? VMCS(v, host_idtr_base) : cpu->idtr.base,
                 known ? VMCS(v, host_tr_base) : cpu->seg[SEG_TR].base, (unsigned)(known ? VMCS(v, host_cs_selector) : cpu->seg[SEG_CS].selector));
    host_state_tell_lost(e, cpu);
}

void place_crossing(struct explanation *e, const struct cpu *cpu, const struct events *events, uint64_t instructions)
{
    const struct happening *crossing = &events->crossing;
    const struct vmcs *v = cpu->vmx.current;
    uint64_t since = instructions - crossing->instructions;
    bool native = machine_over_native(e->machine, cpu), guest = native ? machine_level(e->machine, cpu) > 1 : cpu->vmx.non_root;

    if (!events->crossed || since > NEAR)
        return;
    if (crossing->kind == NOTICE_EXIT && !guest)
        tell_host_state(e, cpu, crossing, since);
    else if (crossing->kind == NOTICE_ENTRY && guest && !native && v && v->pa == crossing->vmcs)
        explain_line(e, "%" PRIu64 " instructions earlier VM entry loaded GUEST_RIP 0x%" PRIx64 ", GUEST_CR3 0x%" PRIx64 ", GUEST_IDTR_BASE 0x%" PRIx64
                     ", limit 0x%" PRIx64 " of VMCS 0x%" PRIx64, since, crossing->rip, VMCS(v, guest_cr3), VMCS(v, guest_idtr_base),
                     VMCS(v, guest_idtr_limit), v->pa);
}

/* ---- calls ---- */

/* Does a CALL end where `linear` is?  E8, FF /2, 9A: SDM Vol. 2, CALL. */
static bool follows_call(struct cpu *cpu, uint64_t linear)
{
    uint8_t code[8];                /* code[7] is the byte before */

    for (unsigned n = 8; n > 0; n--)        /* fewer where they begin a page */
        if (place_peek(cpu, linear - n, code + 8 - n, n) == PEEK_DONE) {
            for (unsigned i = n; i < 8; i++)
                code[7 - i] = 0x90;
            if (code[3] == 0xe8 || code[5] == 0xe8)
                return true;
            for (unsigned i = 1; i <= 6; i++)
                if (code[i] == 0xff && (code[i + 1] & 0x38) == 0x10)
                    return true;
            return false;
        }
    return false;
}

struct stack {
    struct cpu *cpu;
    unsigned word;                  /* bytes */
    uint64_t base;                  /* of the stack segment */
};

static bool pop(const struct stack *stack, uint64_t at, uint64_t *value)
{
    *value = 0;
    return place_peek(stack->cpu, stack->base + at, value, stack->word) == PEEK_DONE;
}

static bool returns_to(const struct stack *stack, uint64_t address)
{
    return address && follows_call(stack->cpu, cpu_code_base(stack->cpu) + address);
}

/* Fills `call` by frame pointers: each frame is above the one before. */
static unsigned by_frames(const struct stack *stack, uint64_t call[CALLS_MAX])
{
    uint64_t frame = stack->cpu->gpr[RBP], next, address;
    unsigned count = 0;

    while (count < CALLS_MAX && frame >= stack->cpu->gpr[RSP] && !(frame % stack->word) && pop(stack, frame, &next) &&
           pop(stack, frame + stack->word, &address) && returns_to(stack, address)) {
        call[count++] = address;
        if (next <= frame)
            break;
        frame = next;
    }
    return count;
}

static unsigned by_scan(const struct stack *stack, uint64_t call[CALLS_MAX])
{
    uint64_t address;
    unsigned count = 0;

    for (unsigned i = 0; i < SCAN_WORDS && count < CALLS_MAX; i++) {
        if (!pop(stack, stack->cpu->gpr[RSP] + (uint64_t)i * stack->word, &address))
            break;
        if (returns_to(stack, address))
            call[count++] = address;
    }
    return count;
}

void place_calls(struct explanation *e, struct cpu *cpu)
{
    struct stack stack = { cpu, code_bits(cpu) / 8, cpu_64bit(cpu) ? 0 : cpu->seg[SEG_SS].base };
    uint64_t call[CALLS_MAX], ignored;
    unsigned count = by_frames(&stack, call);
    const char *how = "by frame pointers";
    char text[PLACE_MAX * 3] = "";
    size_t used = 0;

    if (!count) {
        count = by_scan(&stack, call);
        how = "by what looks like return addresses on the stack: no frame pointers";
    }
    for (unsigned i = 0; i < count; i++) {
        char name[SYMBOL_TEXT_MAX];
        int length = snprintf(text + used, sizeof text - used, "%s0x%" PRIx64 "%s", i ? ", " : "", call[i],
                              symbols_call(e->machine->symbols, call[i], name));
        used += (size_t)length < sizeof text - used ? (size_t)length : sizeof text - used - 1;
    }
    if (count)
        explain_line(e, "called from %s (%s)", text, how);
    else if (!pop(&stack, cpu->gpr[RSP], &ignored))
        explain_line(e, "the stack at rsp 0x%" PRIx64 " cannot be read: nothing is known of the callers", cpu->gpr[RSP]);
}
