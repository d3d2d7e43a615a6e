/* SPDX-License-Identifier: MIT */
/* Operands between text and number: names of fields, MSRs, exit reasons, controls ... come from the tables of arch/. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arch/vmx.h"
#include "emu/explain/registers.h"
#include "emu/scenario/syntax.h"
#include "model/vmx/check.h"
#include "model/vmx/profile.h"

struct name {
    const char *name;
    uint64_t value;
};

static const struct name fields[] = {
#define FIELD(name, encoding, exists) { #name, encoding },
#include "arch/vmcs_fields.def"
};
static const struct name msrs[] = {
#define MSR(name, index, kind) { #name, index },
#include "arch/msrs.def"
};
static const struct name reasons[] = {
#define EXIT_REASON(name, number, text) { #name, number },
#include "arch/exit_reasons.def"
};
static const struct name registers[] = {
    { "rax", 0 },  { "rcx", 1 },  { "rdx", 2 },  { "rbx", 3 },  { "rsp", 4 },  { "rbp", 5 },
    { "rsi", 6 },  { "rdi", 7 },  { "r8", 8 },   { "r9", 9 },   { "r10", 10 }, { "r11", 11 },
    { "r12", 12 }, { "r13", 13 }, { "r14", 14 }, { "r15", 15 }, { "rip", REGISTER_RIP }, { "rflags", REGISTER_RFLAGS },
};
static const struct name checks[] = { { "registers", 0 } };
/* The numbers of emu/explain/registers.h. */
static const struct name kept[] = {
    { "rax", 0 },  { "rcx", 1 },  { "rdx", 2 },  { "rbx", 3 },  { "rsp", 4 },  { "rbp", 5 }, { "rsi", 6 }, { "rdi", 7 },
    { "r8", 8 },   { "r9", 9 },   { "r10", 10 }, { "r11", 11 }, { "r12", 12 }, { "r13", 13 }, { "r14", 14 }, { "r15", 15 },
    { "cr2", KEPT_CR2 }, { "dr0", KEPT_DR0 }, { "dr1", KEPT_DR0 + 1 }, { "dr2", KEPT_DR0 + 2 }, { "dr3", KEPT_DR0 + 3 },
    { "dr6", KEPT_DR6 },
    { "ia32_star", KEPT_MSR0 }, { "ia32_lstar", KEPT_MSR0 + 1 }, { "ia32_cstar", KEPT_MSR0 + 2 }, { "ia32_fmask", KEPT_MSR0 + 3 },
    { "ia32_kernel_gs_base", KEPT_MSR0 + 4 }, { "ia32_tsc_aux", KEPT_MSR0 + 5 }, { "ia32_pat", KEPT_MSR0 + 6 },
    { "xcr0", KEPT_XCR0 }, { "mxcsr", KEPT_MXCSR }, { "x87_control", KEPT_X87_CONTROL }, { "x87", KEPT_X87 },
#define XMM(n) { "xmm" #n, KEPT_XMM0 + n }
    XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7), XMM(8), XMM(9), XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15),
};
static const struct name states[] = {
#define STATE(name, expression) { #name, STATE_##name },
#include "emu/scenario/state.def"
};
static const struct name levels[] = { { "l0", 0 }, { "l1", 1 }, { "l2", 2 } };
static const struct name policies[] = { { "keep", 0 }, { "drop", 1 }, { "seeded", 2 } };
static const struct name profiles[] = {
    { "max", PROFILE_max },
#define PROFILE(name, text) { #name, PROFILE_##name },
#include "model/vmx/profiles.def"
};
static const struct name strategies[] = { { "trap", 0 }, { "copy", 1 }, { "flip", 2 } };
static const struct name rights[] = {
    { "-", 0 }, { "r", 1 }, { "w", 2 }, { "rw", 3 }, { "x", 4 }, { "rx", 5 }, { "wx", 6 }, { "rwx", 7 },
};
static const struct name modes[] = { { "long", MODE_long }, { "pae", MODE_pae }, { "32bit", MODE_32bit } };
static const struct name segments[] = { { "es", 0 }, { "cs", 1 }, { "ss", 2 }, { "ds", 3 }, { "fs", 4 }, { "gs", 5 },
                                        { "ldtr", 6 }, { "tr", 7 } };
static const struct name rules[] = {
    { "R1", 1 }, { "R2", 2 }, { "R3", 3 }, { "R4", 4 }, { "R5", 5 },
    { "R6", 6 }, { "R7", 7 }, { "R8", 8 }, { "R9", 9 }, { "R10", 10 },
};

#define WORD_PIN "pin", VMCS_pin_based_controls
#define WORD_PROC "proc", VMCS_processor_based_controls
#define WORD_PROC2 "proc2", VMCS_secondary_processor_based_controls
#define WORD_EXIT "exit", VMCS_exit_controls
#define WORD_ENTRY "entry", VMCS_entry_controls
#define CONTROL_ROW(word, field, name, bit) { word, name, field, 1u << (bit) }
#define CONTROL_EXPAND(...) CONTROL_ROW(__VA_ARGS__)
const struct control_name control_table[] = {
#define CONTROL(word, name, bit, text) CONTROL_EXPAND(WORD_##word, #name, bit),
#include "arch/vmx_controls.def"
};
enum { CONTROL_COUNT = sizeof control_table / sizeof control_table[0] };

/* What an operand kind may be called; `number`: a number does as well. */
struct vocabulary {
    const struct name *name;
    unsigned count;
    bool number;
    const char *unknown;            /* message */
};
#define NAMES(table) table, sizeof table / sizeof table[0]

static const struct vocabulary *vocabulary_of(enum argument_kind kind)
{
    static const struct vocabulary table[] = {
        [KIND_FIELD] = { NAMES(fields), true, "no such VMCS field (arch/vmcs_fields.def has the names)" },
        [KIND_MSR] = { NAMES(msrs), true, "no such MSR (arch/msrs.def has the names)" },
        [KIND_REASON] = { NAMES(reasons), true, "no such exit reason (arch/exit_reasons.def has the names)" },
        [KIND_STATE] = { NAMES(states), false, "no such state (emu/scenario/state.def lists them)" },
        [KIND_REGISTER] = { NAMES(registers), false, "no such register (rax ... r15, rip, rflags)" },
        [KIND_LEVEL] = { NAMES(levels), false, "no such level (l0, l1, l2)" },
        [KIND_POLICY] = { NAMES(policies), false, "no such TLB policy (keep, drop, seeded)" },
        [KIND_PROFILE] = { NAMES(profiles), false, "no such profile (max, haswell, skylake, icelake)" },
        [KIND_CHECK] = { NAMES(checks), false, "no such check (registers)" },
        [KIND_KEPT] = { NAMES(kept), false, "no such register (rax ... r15, cr2, dr0 ... dr3, dr6, xmm0 ... xmm15)" },
        [KIND_STRATEGY] = { NAMES(strategies), false, "no such strategy (trap, copy, flip)" },
        [KIND_RIGHTS] = { NAMES(rights), false, "no such rights (-, r, w, rw, x, rx, wx, rwx)" },
        [KIND_MODE] = { NAMES(modes), false, "no such mode (long, pae, 32bit)" },
        [KIND_SEGMENT] = { NAMES(segments), false, "no such segment register (es, cs, ss, ds, fs, gs, ldtr, tr)" },
        [KIND_RULE] = { NAMES(rules), false, "no such rule (R1 ... R10)" },
    };
    return kind < sizeof table / sizeof table[0] && table[kind].count ? &table[kind] : NULL;
}

/* Decimal or 0x hexadecimal; K, M and G multiply by 1024, 1024^2, 1024^3. */
static const char *parse_number(const char *token, uint64_t *value)
{
    bool hex = token[0] == '0' && (token[1] == 'x' || token[1] == 'X');
    const char *digits = hex ? token + 2 : token, *c = digits;
    unsigned base = hex ? 16 : 10;
    uint64_t number = 0;
    for (;; c++) {
        unsigned digit = *c >= '0' && *c <= '9' ? (unsigned)(*c - '0')
                       : hex && *c >= 'a' && *c <= 'f' ? (unsigned)(*c - 'a') + 10
                       : hex && *c >= 'A' && *c <= 'F' ? (unsigned)(*c - 'A') + 10 : base;
        if (digit >= base)
            break;
        if (__builtin_mul_overflow(number, base, &number) || __builtin_add_overflow(number, digit, &number))
            return "the number does not fit 64 bits";
    }
    if (c == digits)
        return "not a number (decimal, or hexadecimal with 0x)";
    unsigned shift = *c == 'K' ? 10 : *c == 'M' ? 20 : *c == 'G' ? 30 : 0;
    if (shift) {
        if (number >> (64 - shift))
            return "the number does not fit 64 bits";
        number <<= shift;
        c++;
    }
    if (*c)
        return "not a number (decimal, or hexadecimal with 0x)";
    *value = number;
    return NULL;
}

static const char *parse_control(const char *token, uint64_t *value)
{
    const char *dot = strchr(token, '.');
    for (unsigned i = 0; dot && i < CONTROL_COUNT; i++) {
        size_t length = (size_t)(dot - token);
        if (strlen(control_table[i].word) == length && !memcmp(control_table[i].word, token, length) &&
            !strcmp(control_table[i].name, dot + 1)) {
            *value = i;
            return NULL;
        }
    }
    return "no such control (for example proc.hlt_exiting; arch/vmx_controls.def has the names)";
}

static const char *parse_row(const char *token, uint64_t *value)
{
    for (unsigned i = 0; i < check_count; i++)
        if (!strcmp(check_table[i].id, token)) {
            *value = i;
            return NULL;
        }
    return "no such VM-entry check (`sesqui checks` lists them)";
}

static const char *check_limit(const struct argument *argument, uint64_t value)
{
    if (value > argument->limit)
        return "the number is too great";
    switch (argument->kind) {
    case KIND_SIZE:
        return value == 1 || value == 2 || value == 4 || value == 8 ? NULL : "not a size (1, 2, 4, 8)";
    case KIND_PORTSIZE:
        return value == 1 || value == 2 || value == 4 ? NULL : "not a size of a port access (1, 2, 4)";
    case KIND_CPUS:
        return value ? NULL : "at least one processor";
    default:
        return NULL;
    }
}

const char *operand_parse(const struct argument *argument, const char *token, uint64_t *value)
{
    if (argument->kind == KIND_CONTROL)
        return parse_control(token, value);
    if (argument->kind == KIND_ROW)
        return parse_row(token, value);
    const struct vocabulary *vocabulary = vocabulary_of(argument->kind);
    for (unsigned i = 0; vocabulary && i < vocabulary->count; i++)
        if (!strcmp(vocabulary->name[i].name, token)) {
            *value = vocabulary->name[i].value;
            return NULL;
        }
    if (vocabulary && (!vocabulary->number || *token < '0' || *token > '9'))
        return vocabulary->unknown;
    const char *wrong = parse_number(token, value);
    return wrong ? wrong : check_limit(argument, *value);
}

void operand_print(const struct argument *argument, uint64_t value, char *to, size_t size)
{
    if (argument->kind == KIND_CONTROL && value < CONTROL_COUNT) {
        snprintf(to, size, "%s.%s", control_table[value].word, control_table[value].name);
        return;
    }
    if (argument->kind == KIND_ROW && value < check_count) {
        snprintf(to, size, "%s", check_table[value].id);
        return;
    }
    const struct vocabulary *vocabulary = vocabulary_of(argument->kind);
    for (unsigned i = 0; vocabulary && i < vocabulary->count; i++)
        if (vocabulary->name[i].value == value) {
            snprintf(to, size, "%s", vocabulary->name[i].name);
            return;
        }
    snprintf(to, size, value < 10 ? "%" PRIu64 : "0x%" PRIx64, value);
}
