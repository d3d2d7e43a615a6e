/* SPDX-License-Identifier: MIT */
/* The check of --check registers. */
#include "emu/explain/registers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/explain/explain.h"
#include "emu/explain/place.h"
#include "emu/machine/parts.h"
#include "model/cpu/raise.h"
#include "model/vmx/vmx.h"

enum { GUESTS_MAX = 64, DRS = 4, XMMS = 16, XMM_BYTES = 16, NAME_BYTES = 32, MSRS = 7, VALUE_BYTES = 80 };

_Static_assert(KEPT_CR2 == (int)GPR_COUNT && KEPT_DR6 == KEPT_DR0 + DRS && KEPT_XCR0 == KEPT_MSR0 + MSRS && KEPT_X87 == KEPT_XMM0 + XMMS && KEPT_COUNT < 58, "as registers.h has them");
#define REGISTER(number) (1ull << (number))
#define REGISTERS_GENERAL ((1ull << GPR_COUNT) - 1)
#define REGISTERS_DR (((1ull << (DRS + 1)) - 1) << KEPT_DR0)
#define REGISTERS_MSR (((1ull << MSRS) - 1) << KEPT_MSR0)
#define REGISTERS_XMM ((((1ull << XMMS) - 1) << KEPT_XMM0) | REGISTER(KEPT_MXCSR))
#define REGISTERS_X87 (REGISTER(KEPT_X87) | REGISTER(KEPT_X87_CONTROL))
#define REGISTERS_ALL ((1ull << KEPT_COUNT) - 1)
/* Not only once RIP is behind the instruction. */
#define CHANGES_WHEREVER (1ull << 58)
/* The hypervisor may have executed the instruction, and more, in the guest's stead: it has RIP in its hands. */
#define CHANGES_EMULATED (1ull << 59)
/* What depends on the exit's own information. */
#define CHANGES_IO (1ull << 60)
#define CHANGES_OPERAND_OF_CR (1ull << 61)
#define CHANGES_OPERAND_OF_DR (1ull << 62)
#define CHANGES_OPERAND (1ull << 63)
#define STRING (REGISTER(RCX) | REGISTER(RSI) | REGISTER(RDI))

/* VMware's hypercall is an IN or OUT: ports, and EAX. */
enum { BACKDOOR_FIRST = 0x5658, BACKDOOR_LAST = 0x5659, BACKDOOR_MAGIC = 0x564d5868 };

/* MSRs that neither VM exits nor VM entries switch: they have the guest's value unless the hypervisor has loaded its own, or an MSR area did. */
static const struct {
    const char *name;
    enum msr_slot slot;
    uint32_t number;
} msrs[MSRS] = {
#define MSR(name, upper) { #upper, MSR_SLOT_##name, MSR_##name }
    MSR(ia32_star, IA32_STAR), MSR(ia32_lstar, IA32_LSTAR), MSR(ia32_cstar, IA32_CSTAR), MSR(ia32_fmask, IA32_FMASK),
    MSR(ia32_kernel_gs_base, IA32_KERNEL_GS_BASE), MSR(ia32_tsc_aux, IA32_TSC_AUX), MSR(ia32_pat, IA32_PAT),
#undef MSR
};
enum { SYSCALL_MSRS = 4, SYSCALL_AND_GS = 5, HIDDEN_MSRS = 6 };

static const struct {
    uint32_t reason;
    uint64_t changes;
} rows[] = {
#define EXIT_CHANGES(reason, changes) { EXIT_REASON_##reason, changes },
#include "emu/explain/exit_changes.def"
};

struct registers {
    uint64_t value[KEPT_XMM0];
    uint8_t xmm[XMMS][XMM_BYTES];
    struct x87 x87;
};

/* A VMCS with the registers of its guest at its latest exit. */
struct guest {
    uint64_t vmcs, use;             /* use 0: a free entry */
    bool exited;
    uint32_t reason;
    uint64_t qualification, rip, behind;    /* behind: RIP after the instruction */
    uint64_t may_change;            /* once RIP is there */
    uint64_t accumulator;           /* bits of RAX that the instruction may change, if it may change RAX */
    bool wherever, emulated;        /* CHANGES_WHEREVER, CHANGES_EMULATED */
    bool repeated, wide;            /* the instruction has a repeat prefix; the guest was in 64-bit mode */
    uint64_t hidden;                /* registers that the guest could not see when it exited */
    uint64_t live;                  /* MSRs that have had, after a WRMSR of the guest's that exited, the value that it wrote: the hypervisor keeps them there */
    uint64_t wrote;                 /* that value; of the MSR: */
    unsigned written;               /* KEPT_COUNT: of none of those */
    struct registers at_exit;
};

struct register_check {
    struct guest guest[GUESTS_MAX];
    uint64_t clock, lost;
};

struct register_check *register_check_open(void)
{
    return calloc(1, sizeof(struct register_check));
}

void register_check_close(struct register_check *check)
{
    free(check);
}

static struct guest *guest_of(struct register_check *check, uint64_t vmcs)
{
    struct guest *found = &check->guest[0];

    for (unsigned i = 0; i < GUESTS_MAX; i++) {
        struct guest *g = &check->guest[i];

        if (g->use && g->vmcs == vmcs) {
            found = g;
            break;
        }
        if (g->use < found->use)
            found = g;
    }
    if (!found->use || found->vmcs != vmcs)
        *found = (struct guest){ .vmcs = vmcs };
    found->use = ++check->clock;
    return found;
}

static void take(const struct machine *machine, const struct cpu *cpu, struct registers *r)
{
    memcpy(r->value, cpu->gpr, sizeof cpu->gpr);
    r->value[KEPT_CR2] = cpu->cr2;
    memcpy(&r->value[KEPT_DR0], cpu->dr, sizeof cpu->dr);
    r->value[KEPT_DR6] = cpu->dr6;
    for (unsigned i = 0; i < MSRS; i++)
        r->value[KEPT_MSR0 + i] = cpu->msr[msrs[i].slot];
    r->value[KEPT_XCR0] = cpu->xcr0;
    memset(r->xmm, 0, sizeof r->xmm);
    memset(&r->x87, 0, sizeof r->x87);
    if (machine->engine) {
        engine_xmm(machine->engine, cpu, r->xmm);
        engine_x87(machine->engine, cpu, &r->x87);
    }
    r->value[KEPT_MXCSR] = r->x87.mxcsr;
    r->value[KEPT_X87_CONTROL] = r->x87.control;
}

/* The registers [first, end) of msrs[]. */
static uint64_t msr_registers(unsigned first, unsigned end)
{
    return (REGISTER(end) - REGISTER(first)) << KEPT_MSR0;
}

/* Those that the guest reads without a VM exit: 25.6.9. */
static uint64_t read_directly(const struct cpu *cpu)
{
    enum { HIGH = 1024, HIGH_MSRS = 0x1fff };
    const struct vmcs *v = cpu->vmx.current;
    uint64_t found = 0;

    for (unsigned i = 0; i < HIDDEN_MSRS && VMCS(v, processor_based_controls) & PROC_use_msr_bitmaps; i++) {
        uint32_t number = msrs[i].number & HIGH_MSRS;
        uint8_t bits;

        if (memory_read(&cpu->model->memory, VMCS(v, msr_bitmap_address) + HIGH + number / 8, &bits, 1) && !(bits >> number % 8 & 1))
            found |= REGISTER(KEPT_MSR0 + i);
    }
    return found;
}

/* Outside IA-32e mode, without SYSCALL or RDTSCP, an MSR can wait for its guest to need it. */
static uint64_t hidden_msrs(const struct cpu *cpu)
{
    bool wide = cpu_long_mode(cpu), calls = wide && CPU_MSR(cpu, ia32_efer) & EFER_SCE;
    bool tsc_aux = cpu_proc2_controls(cpu) & PROC2_enable_rdtscp;

    return ((calls ? 0 : msr_registers(0, SYSCALL_MSRS)) | (wide ? 0 : msr_registers(SYSCALL_MSRS, SYSCALL_AND_GS)) |
            (tsc_aux ? 0 : msr_registers(SYSCALL_AND_GS, HIDDEN_MSRS))) & ~read_directly(cpu);
}

/* Registers that the guest cannot see as it is: those that a hypervisor loads when they are asked for (26.1.3; Vol. 3, 2.5). */
static uint64_t hidden(const struct cpu *cpu)
{
    bool no_sse = cpu->cr0 & (CR0_TS | CR0_EM) || !(cpu->cr4 & CR4_OSFXSR);

    return (VMCS(cpu->vmx.current, processor_based_controls) & PROC_mov_dr_exiting ? REGISTERS_DR : 0) | (no_sse ? REGISTERS_XMM : 0) |
           (cpu->cr0 & (CR0_TS | CR0_EM) ? REGISTERS_X87 : 0) | (cpu->cr4 & CR4_OSXSAVE ? 0 : REGISTER(KEPT_XCR0)) | hidden_msrs(cpu);
}

/* ---- what an exit may change ---- */

/* Bit 4: INS, OUTS; bit 3: IN (Table 28-5). */
static uint64_t io_changes(uint64_t qualification, const struct cpu *cpu)
{
    uint64_t port = qualification >> 16 & 0xffff;

    if (port >= BACKDOOR_FIRST && port <= BACKDOOR_LAST && (uint32_t)cpu->gpr[RAX] == BACKDOOR_MAGIC)
        return REGISTERS_GENERAL;
    if (qualification >> 4 & 1)
        return STRING;
    return qualification >> 3 & 1 ? REGISTER(RAX) : 0;
}

/* Bits 5:4 of the qualification are the kind of access, 1: MOV from CR; bits 11:8 the general register (Table 28-3). */
static uint64_t cr_changes(uint64_t qualification)
{
    return (qualification >> 4 & 3) == 1 ? REGISTER(qualification >> 8 & 15) : 0;
}

/* Bit 4: MOV from DR (Table 28-4). */
static uint64_t dr_changes(uint64_t qualification)
{
    return qualification >> 4 & 1 ? REGISTER(qualification >> 8 & 15) : 0;
}

/* IN to AL or AX leaves the rest of RAX as it is; bits 2:0 of the qualification are the size less 1. */
static uint64_t accumulator_of(uint32_t reason, uint64_t qualification)
{
    unsigned size = (qualification & 7) + 1;

    return reason == EXIT_REASON_io_instruction && (qualification >> 3 & 3) == 1 && size < 4 ? (1ull << 8 * size) - 1 : ~0ull;
}

static uint64_t row_of(uint32_t reason)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].reason == reason)
            return rows[i].changes;
    return 0;
}

/* SLDT and STR have a result, LLDT and LTR have none: bits 29:28 of Table 28-11. Bit 10 of the tables: the operand is a register. */
static uint64_t operand_changes(uint32_t reason, uint64_t information)
{
    bool to_register = information >> 10 & 1 || reason == EXIT_REASON_rdrand || reason == EXIT_REASON_rdseed;
    bool result = reason != EXIT_REASON_ldtr_or_tr_access || !(information >> 28 & 2);

    return to_register && result ? REGISTER(information >> 3 & 15) : 0;
}

static uint64_t may_change(const struct cpu *cpu, uint32_t reason, uint64_t qualification)
{
    uint64_t changes = row_of(reason), information = VMCS(cpu->vmx.current, exit_instruction_information);

    if (changes & CHANGES_IO)
        changes |= io_changes(qualification, cpu);
    if (changes & CHANGES_OPERAND_OF_CR)
        changes |= cr_changes(qualification);
    if (changes & CHANGES_OPERAND_OF_DR)
        changes |= dr_changes(qualification);
    if (changes & CHANGES_OPERAND)              /* bits 6:3 (Tables 28-11, 28-12, 28-14) */
        changes |= operand_changes(reason, information);
    return changes & REGISTERS_ALL;
}

static bool is_repeated(struct cpu *cpu)
{
    uint8_t code[15];
    size_t length = place_fetch(cpu, code);

    for (size_t i = 0; i < length; i++) {
        switch (code[i]) {
        case 0xf2: case 0xf3:
            return true;
        case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
            break;
        default:
            return false;
        }
    }
    return false;
}

static void at_exit(struct machine *machine, struct guest *g, struct cpu *cpu, const struct notice *notice)
{
    const struct vmcs *v = cpu->vmx.current;

    g->reason = (uint32_t)notice->a & 0xffff;
    g->exited = !(notice->a & EXIT_REASON_ENTRY_FAILURE) && v && v->pa == notice->d;
    if (!g->exited)
        return;
    g->qualification = notice->b;
    g->rip = cpu->rip;
    g->behind = cpu_next_rip(cpu, (unsigned)VMCS(v, exit_instruction_length));
    g->wide = cpu_64bit(cpu);
    g->may_change = may_change(cpu, g->reason, notice->b);
    g->accumulator = g->may_change == REGISTER(RAX) ? accumulator_of(g->reason, notice->b) : ~0ull;
    g->wherever = row_of(g->reason) & CHANGES_WHEREVER;
    g->emulated = row_of(g->reason) & CHANGES_EMULATED;
    g->hidden = hidden(cpu);
    g->written = KEPT_COUNT;
    for (unsigned i = 0; i < MSRS && g->reason == EXIT_REASON_wrmsr; i++)
        if (msrs[i].number == (uint32_t)cpu->gpr[RCX])
            g->written = KEPT_MSR0 + i;
    g->wrote = cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX];
    g->repeated = is_repeated(cpu);
    take(machine, cpu, &g->at_exit);
}

/* ---- the comparison ---- */

/* The registers that this entry may have changed. Where RIP is neither at nor behind the instruction, the hypervisor has done
 * something of its own (a task switch, INIT, a new life) and knows what. */
static uint64_t excused(const struct guest *g, const struct cpu *cpu, const struct vmcs *v)
{
    uint64_t injected = VMCS(cpu->vmx.current, entry_interruption_information);
    uint64_t excused = REGISTER(RSP) | ((g->hidden | hidden(cpu)) & ~g->live);         /* VM entry loads RSP */
    bool rip_written = v && v->written[FIELD_guest_rip] == 1 + v->exits;

    if (g->wherever || (cpu->rip == g->behind && g->behind != g->rip) || (g->emulated && rip_written))
        excused |= g->may_change;
    else if (cpu->rip != g->rip)
        return REGISTERS_ALL;
    else if (g->repeated && (g->may_change & STRING))
        excused |= STRING | REGISTER(RAX);
    if ((injected & INTERRUPTION_VALID) && INTERRUPTION_TYPE(injected) == EVENT_HARDWARE_EXCEPTION) {
        /* What the exception is about is for whoever injects it to write. */
        excused |= INTERRUPTION_VECTOR(injected) == VECTOR_PF ? REGISTER(KEPT_CR2) : 0;
        excused |= INTERRUPTION_VECTOR(injected) == VECTOR_DB ? REGISTER(KEPT_DR6) : 0;
    }
    return excused;
}

static uint64_t changed(const struct guest *g, const struct registers *now)
{
    uint64_t mask = g->wide ? ~0ull : 0xffffffff, changed = 0;

    for (unsigned i = 0; i < KEPT_XMM0; i++)
        if ((g->at_exit.value[i] ^ now->value[i]) & (i < GPR_COUNT ? mask : ~0ull))
            changed |= REGISTER(i);
    for (unsigned i = 0; i < XMMS; i++)
        if (memcmp(g->at_exit.xmm[i], now->xmm[i], XMM_BYTES))
            changed |= REGISTER(KEPT_XMM0 + i);
    if (memcmp(g->at_exit.x87.r, now->x87.r, sizeof now->x87.r) || g->at_exit.x87.status != now->x87.status || g->at_exit.x87.tag != now->x87.tag)
        changed |= REGISTER(KEPT_X87);
    return changed;
}

static const char *name_of(unsigned number, char to[NAME_BYTES])
{
    static const char *const general[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi" };

    if (number < sizeof general / sizeof general[0])
        return general[number];
    if (number < GPR_COUNT)
        snprintf(to, NAME_BYTES, "r%u", number);
    else if (number == KEPT_CR2)
        return "cr2";
    else if (number < KEPT_DR6)
        snprintf(to, NAME_BYTES, "dr%u", number - KEPT_DR0);
    else if (number == KEPT_DR6)
        return "dr6";
    else if (number < KEPT_XCR0)
        return msrs[number - KEPT_MSR0].name;
    else if (number < KEPT_XMM0 || number == KEPT_X87)
        return number == KEPT_XCR0 ? "xcr0" : number == KEPT_MXCSR ? "mxcsr" : number == KEPT_X87_CONTROL ? "x87_control" : "x87";
    else
        snprintf(to, NAME_BYTES, "xmm%u", number - KEPT_XMM0);
    return to;
}

/* "rax rdx" */
static const char *names_of(uint64_t registers, char *to, size_t size)
{
    size_t used = 0;
    char name[NAME_BYTES];

    to[0] = '\0';
    for (unsigned i = 0; i < KEPT_COUNT && used < size; i++)
        if (registers >> i & 1)
            used += (size_t)snprintf(to + used, size - used, "%s%s", used ? " " : "", name_of(i, name));
    return to;
}

static const char *value_of(const struct registers *r, unsigned number, char to[VALUE_BYTES])
{
    if (number < KEPT_XMM0) {
        snprintf(to, VALUE_BYTES, "0x%" PRIx64, r->value[number]);
    } else if (number == KEPT_X87) {
        const uint8_t *top = r->x87.r[r->x87.status >> 11 & 7];
        uint64_t significand;
        uint16_t exponent;

        memcpy(&significand, top, sizeof significand);
        memcpy(&exponent, top + sizeof significand, sizeof exponent);
        snprintf(to, VALUE_BYTES, "status 0x%04x, tags 0x%04x, ST(0) 0x%04x%016" PRIx64, r->x87.status, r->x87.tag, exponent, significand);
    } else {
        uint64_t half[2];

        memcpy(half, r->xmm[number - KEPT_XMM0], sizeof half);
        snprintf(to, VALUE_BYTES, "0x%016" PRIx64 "%016" PRIx64, half[1], half[0]);
    }
    return to;
}

static void tell(struct machine *machine, const struct guest *g, const struct cpu *cpu, const struct registers *now, uint64_t lost)
{
    const char *reason = exit_reason_name(g->reason);
    char names[400], may[400], old[VALUE_BYTES], new[VALUE_BYTES], name[NAME_BYTES], place[SYMBOL_TEXT_MAX];
    struct explanation *e = explain_begin(machine, cpu, explain_key(lost, reason ? reason : "?"));

    if (!e)
        return;
    explain_line(e, "the exit path of the hypervisor has not restored %s of the guest of VMCS 0x%" PRIx64 " [25.4, 28.3]",
                 names_of(lost, names, sizeof names), g->vmcs);
    names_of(g->may_change, may, sizeof may);
    explain_line(e, "exit %s at guest rip 0x%" PRIx64 "%s, entered again at rip 0x%" PRIx64 "; %s%s", reason ? reason : "?", g->rip,
                 symbols_text(machine->symbols, g->rip, place), cpu->rip,
                 cpu->rip == g->rip ? "the instruction is still to be executed, so that nothing may have changed"
                 : may[0] ? "its instruction may change " : "its instruction changes none of these registers",
                 cpu->rip == g->rip ? "" : may);
    for (unsigned i = 0; i < KEPT_COUNT; i++)
        if (lost >> i & 1)
            explain_line(e, "%s was %s at the exit, and is %s at the entry", name_of(i, name), value_of(&g->at_exit, i, old),
                         value_of(now, i, new));
    if (lost & REGISTER(RAX) && ~g->accumulator && cpu->rip != g->rip)
        explain_line(e, "IN to %s changes no other bits of RAX", g->accumulator == 0xff ? "AL" : "AX");
    if (lost & REGISTERS_MSR)
        explain_line(e, "VM exits and entries do not switch these MSRs: the exit path does, or the VM-exit MSR-store and VM-entry MSR-load areas [25.7.2, 25.8.2]");
    explain_line(e, "a VM exit saves RIP, RSP and RFLAGS only, a VM entry loads no more: everything else the exit path saves first and "
                 "restores last");
    explain_end(e);
}

/* The two may have agreed on any register for results of VMCALL; most have RAX, or RDX and RAX. */
static void look_at_agreement(struct machine *machine, const struct guest *g, const struct cpu *cpu, const struct registers *now, uint64_t changed)
{
    uint64_t others = changed & REGISTERS_GENERAL & ~(REGISTER(RAX) | REGISTER(RDX) | REGISTER(RSP));
    char names[400], old[VALUE_BYTES], new[VALUE_BYTES], name[NAME_BYTES], place[SYMBOL_TEXT_MAX];
    struct explanation *e;

    if (g->reason != EXIT_REASON_vmcall || cpu->rip != g->behind || !others)
        return;
    e = explain_begin(machine, cpu, explain_key(others, "registers.vmcall"));
    if (!e)
        return;
    explain_line(e, "the exit path of the hypervisor has changed %s at a VMCALL of the guest of VMCS 0x%" PRIx64 ": as results that the two have agreed on, or as it has not "
                    "restored them [25.4, 28.3]", names_of(others, names, sizeof names), g->vmcs);
    explain_line(e, "VMCALL at guest rip 0x%" PRIx64 "%s", g->rip, symbols_text(machine->symbols, g->rip, place));
    for (unsigned i = 0; i < GPR_COUNT; i++)
        if (others >> i & 1)
            explain_line(e, "%s was %s at the exit, and is %s at the entry", name_of(i, name), value_of(&g->at_exit, i, old), value_of(now, i, new));
    explain_end(e);
}

/* `v`: as the hypervisor has written it. Returns what was not given back. */
static uint64_t at_entry(struct machine *machine, struct guest *g, const struct cpu *cpu, const struct vmcs *v)
{
    struct registers now;
    uint64_t lost;

    if (!g->exited)
        return 0;
    g->exited = false;
    take(machine, cpu, &now);
    if (g->written < KEPT_COUNT && now.value[g->written] == g->wrote && cpu->rip == g->behind)
        g->live |= REGISTER(g->written);
    lost = changed(g, &now);
    look_at_agreement(machine, g, cpu, &now, lost);
    lost &= ~excused(g, cpu, v);
    if ((g->at_exit.value[RAX] ^ now.value[RAX]) & (g->wide ? ~0ull : 0xffffffff) & ~g->accumulator)
        lost |= REGISTER(RAX);
    if (lost)
        tell(machine, g, cpu, &now, lost);
    return lost;
}

uint64_t register_check_lost(struct register_check *check)
{
    uint64_t lost = check->lost;

    check->lost = 0;
    return lost;
}

void register_check_notice(struct register_check *check, struct machine *machine, const struct notice *notice)
{
    struct cpu *cpu = &machine->model->cpu[notice->cpu->index];
    uint64_t vmcs = notice->kind == NOTICE_EXIT ? notice->d : notice->a;
    const struct vmcs *v = cpu->vmx.current;

    if (notice->kind == NOTICE_L1_ENTRY || (notice->kind == NOTICE_ENTRY && notice->c && !machine_over_native(machine, cpu)))
        guest_of(check, vmcs)->exited = false, guest_of(check, vmcs)->live = 0;     /* VMLAUNCH may begin another life */
    if (notice->kind != NOTICE_EXIT && notice->kind != NOTICE_ENTRY)
        return;
    if (machine_over_native(machine, cpu)) {    /* L2 is L1's guest; L1 itself is nobody's that needs this check */
        if (native_current(machine->native, cpu, &vmcs) != 2)
            return;
        v = native_vmcs12(machine->native, vmcs);
    }
    if (notice->kind == NOTICE_EXIT)
        at_exit(machine, guest_of(check, vmcs), cpu, notice);
    else
        check->lost |= at_entry(machine, guest_of(check, vmcs), cpu, v);
}
