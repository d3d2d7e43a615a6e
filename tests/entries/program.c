/* SPDX-License-Identifier: MIT */
/* One program: up to 48 instructions, each written where L1 is, and a VM exit after most of them. */
#include "tests/entries/entries.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/cpu/translate.h"
#include "model/tlb/tlb.h"
#include "model/vmx/vmcs.h"

enum { INSTRUCTIONS = 48 };

/* As a multiboot loader leaves it: flat segments, protected mode, no paging. */
static void loader_state(struct cpu *cpu)
{
    const struct segment code = { 0x08, 0xb | AR_S | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };
    const struct segment data = { 0x10, 3 | AR_S | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };

    for (enum segment_register i = SEG_ES; i <= SEG_GS; i++)
        cpu->seg[i] = i == SEG_CS ? code : data;
    cpu->gdtr = (struct table_register){ PLACE_GDT, 0x1ff };
    cpu->idtr = (struct table_register){ PLACE_IDT, 0xfff };
    cpu->cr0 = CR0_PE | CR0_ET;
    cpu->cr3 = PLACE_DIRECTORY;
    cpu->rflags = RFLAGS_FIXED;
    cpu->rip = PLACE_CODE;
    cpu->gpr[RSP] = PLACE_STACK;
    cpu->activity = ACTIVITY_ACTIVE;
}

void world_open(struct world *w, enum hypervisor strategy)
{
    const struct machine_options options = {
        .memory_size = MEMORY_SIZE, .cpus = 1, .hypervisor = strategy, .feature_control = 5, .strict = true, .messages = w->messages,
    };
    char message[MACHINE_MESSAGE_MAX];

    w->strategy = strategy;
    w->machine = machine_open(&options, message, sizeof message);
    if (!w->machine) {
        fprintf(stderr, "entries: %s\n", message);
        exit(2);
    }
    w->cpu = machine_cpu(w->machine, 0);
    loader_state(w->cpu);
    machine_settle(w->machine, w->cpu);
    w->base = *w->cpu;
}

void world_close(struct world *w)
{
    machine_close(w->machine);
}

/* L1 back at its loader's state, which it could have come to by itself: bits that L0 owns stay as they are. */
static void restart(struct world *w)
{
    struct cpu *cpu = w->cpu, now = *cpu;

    *cpu = w->base;
    cpu->vmx = now.vmx;
    cpu->instructions = now.instructions;
    cpu->clock = now.clock;
    cpu->intercepts = now.intercepts;
    tlb_flush_all(cpu, false);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        if (i != RSP)
            cpu->gpr[i] = 0;
    memory_prepare(w);
}

static void count(const struct cpu *cpu, struct tally *t, bool vmx_operation)
{
    const struct segment *cs = &cpu->seg[SEG_CS], *ss = &cpu->seg[SEG_SS], *tr = &cpu->seg[SEG_TR], *ldtr = &cpu->seg[SEG_LDTR];
    const bool real = !cpu_protected(cpu), v86 = cpu_virtual_8086(cpu), long_mode = cpu_long_mode(cpu), paging = cpu->cr0 & CR0_PG;
    const uint64_t s_cet = CPU_MSR(cpu, ia32_s_cet) | CPU_MSR(cpu, ia32_interrupt_ssp_table_addr) | cpu->ssp;
    const uint64_t interruptibility = VMCS(cpu->vmx.current, guest_interruptibility_state);    /* as entered: an injected event ends it */
    bool null = false, large = false, down = false;

    for (enum segment_register i = SEG_ES; i <= SEG_GS; i++) {
        const struct segment *s = &cpu->seg[i];
        null |= i != SEG_SS && s->access_rights & AR_UNUSABLE;
        large |= !(s->access_rights & AR_UNUSABLE) && s->limit > 0xffff && s->limit < 0xffffffff;
        down |= !(s->access_rights & AR_UNUSABLE) && (AR_TYPE(s->access_rights) & 12) == 4;
    }
    t->states++;
#define KIND(name, condition) t->kind[KIND_##name] += !!(condition)
    KIND(real, real);
    KIND(virtual_8086, v86);
    KIND(protected_16, !real && !v86 && !long_mode && !(cs->access_rights & AR_DB));
    KIND(protected_32, !real && !v86 && !long_mode && cs->access_rights & AR_DB);
    KIND(compatibility, long_mode && !(cs->access_rights & AR_L));
    KIND(long_64, long_mode && cs->access_rights & AR_L);
    KIND(user, cpu_cpl(cpu) == 3);
    KIND(level_1_or_2, cpu_cpl(cpu) == 1 || cpu_cpl(cpu) == 2);
    KIND(paging_32, paging && !(cpu->cr4 & CR4_PAE));
    KIND(paging_pae, paging && cpu->cr4 & CR4_PAE && !long_mode);
    KIND(paging_5, long_mode && cpu->cr4 & CR4_LA57);
    KIND(blocked_by_sti, interruptibility & BLOCKING_BY_STI);
    KIND(blocked_by_mov_ss, interruptibility & BLOCKING_BY_MOV_SS);
    KIND(blocked_by_nmi, interruptibility & BLOCKING_BY_NMI);
    KIND(pending_debug, VMCS(cpu->vmx.current, guest_pending_debug_exceptions));
    KIND(single_step, cpu->rflags & RFLAGS_TF);
    KIND(resume_flag, cpu->rflags & RFLAGS_RF);
    KIND(shutdown, cpu->activity == ACTIVITY_SHUTDOWN);
    KIND(conforming, !real && !v86 && cs->access_rights & 4);
    KIND(expand_down, !real && !v86 && down);
    KIND(stack_null, ss->access_rights & AR_UNUSABLE);
    KIND(stack_of_16_bits, !real && !v86 && !(ss->access_rights & (AR_DB | AR_UNUSABLE)));
    KIND(segment_null, null);
    KIND(segment_16_mb, large);
    KIND(ldtr_null, ldtr->access_rights & AR_UNUSABLE);
    KIND(ldtr, !(ldtr->access_rights & AR_UNUSABLE) && ldtr->selector);
    KIND(tr_unloaded, !tr->selector);
    KIND(tr_16, AR_TYPE(tr->access_rights) == 3);
    KIND(debug_control, CPU_MSR(cpu, ia32_debugctl));
    KIND(breakpoints, cpu->dr7 & 0xff);
    KIND(cet, s_cet);
    KIND(injected, cpu->event.valid);
    KIND(vmx_operation, vmx_operation);
    KIND(cr0_cache, cpu->cr0 & (CR0_CD | CR0_NW));
    KIND(pcid, cpu->cr4 & CR4_PCIDE);
#undef KIND
}

/* The physical address of the next instruction; 0 if L1 has run away to where no code may be written. */
static uint64_t next_instruction(struct cpu *cpu)
{
    const uint64_t linear = cpu_64bit(cpu) ? cpu->rip : (uint32_t)(cpu_code_base(cpu) + cpu->rip);
    const struct translation t = translate(cpu, linear, (struct access){ .kind = ACCESS_FETCH, .probe = true, .user = cpu_cpl(cpu) == 3 });

    return t.result == TRANSLATION_OK && ((t.pa >= PLACE_CODE && t.pa < PLACE_DIRECTORY) ||
                                          (t.pa >= PLACE_PML5 + PAGE_SIZE && t.pa < MEMORY_SIZE / 2)) ? t.pa : 0;
}

static void list(struct world *w, const struct code *code)
{
    const struct cpu *c = w->cpu;

    fprintf(w->listing, "%-28s", code->name);
    for (unsigned i = 0; i < code->length; i++)
        fprintf(w->listing, " %02x", code->byte[i]);
    fprintf(w->listing, "  at %04x:%" PRIx64 " rax=%" PRIx64 " rcx=%" PRIx64 " cr0=%" PRIx64 " cr3=%" PRIx64 " cr4=%" PRIx64 " efer=%" PRIx64
            " flags=%" PRIx64 " cs=%x ss=%04x/%x\n", c->seg[SEG_CS].selector, c->rip, c->gpr[RAX], c->gpr[RCX], c->cr0, c->cr3, c->cr4,
            CPU_MSR(c, ia32_efer), c->rflags, c->seg[SEG_CS].access_rights, c->seg[SEG_SS].selector, c->seg[SEG_SS].access_rights);
}

/* Does the machine's end speak against L0?  What the CPU engine cannot execute does not. */
static bool accuses(const struct machine_result *result)
{
    return result->end == MACHINE_RULE ||
           (result->end == MACHINE_REFUSED && strncmp(result->message, "not implemented: ", 17) != 0);
}

bool program_run(struct world *w, uint64_t seed, uint64_t number, struct tally *tally)
{
    struct machine_result *result = &w->machine->result;
    struct cpu *cpu = w->cpu;
    bool exits = false, vmx_operation = false;

    w->random = seed * 0x100000001b3ull + number;
    random_next(&w->random);
    restart(w);
    tally->programs++;
    for (unsigned n = 0; n < INSTRUCTIONS && result->end == MACHINE_RUNNING && cpu->activity != ACTIVITY_SHUTDOWN; n++) {
        const uint64_t at = next_instruction(cpu);
        struct code code;
        enum status status;

        if (!at)
            break;
        exits = n && ((!exits && !once_in(w, 3)) || (cpu->interruptibility & 3 && once_in(w, 2)));
        (exits ? instruction_exit : n || once_in(w, 4) ? instruction_random : instruction_ltr)(w, &code);
        vmx_operation |= code.byte[0] == 0xf3;
        if (w->listing)
            list(w, &code);
        if (code.length > PAGE_SIZE - at % PAGE_SIZE)
            code.length = (unsigned)(PAGE_SIZE - at % PAGE_SIZE);
        memory_write(&machine_model(w->machine)->memory, at, code.byte, code.length);
        if (once_in(w, 256) || cpu->activity == ACTIVITY_HLT)
            cpu->nmi_pending = true;
        status = machine_step(w->machine, cpu, cpu->clock + 1);
        if (status == STATUS_VM_EXIT && result->end == MACHINE_RUNNING)
            count(cpu, tally, vmx_operation);
        if (cpu->event.valid && !once_in(w, 6))
            cpu->event.valid = false;           /* as if a handler had returned */
    }
    if (accuses(result))
        return false;
    tally->refused_by_engine += result->end == MACHINE_REFUSED;
    if (result->end != MACHINE_RUNNING || vmx_operation) {
        world_close(w);
        world_open(w, w->strategy);
    }
    return true;
}
