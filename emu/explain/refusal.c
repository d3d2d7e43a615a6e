/* SPDX-License-Identifier: MIT */
/* Refused instructions, for people: the sentence of the row, with its values put in. */
#include "emu/explain/refusal.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/explain/bits.h"
#include "emu/explain/exchanged.h"
#include "emu/explain/place.h"
#include "emu/machine/parts.h"
#include "model/cpu/access.h"
#include "model/cpu/execute.h"
#include "model/cpu/raise.h"
#include "model/refusal.h"
#include "model/vmx/profile.h"
#include "model/vmx/vmx.h"

enum { WORD_MAX = 240, SENTENCE_MAX = 600, OPERANDS_TOLD = 8, PLACES_TOLD = 3 };

/* ---- words ---- */

typedef void word(const struct attempt *a, const char *argument, char to[WORD_MAX]);

static void number(char to[WORD_MAX], uint64_t value)
{
    snprintf(to, WORD_MAX, value < 10 ? "%" PRIu64 : "0x%" PRIx64, value);
}

#define NUMBER(name, expression)                                                                                    \
    static void word_##name(const struct attempt *a, const char *argument, char to[WORD_MAX])                       \
    {                                                                                                               \
        const struct cpu *cpu = a->cpu;                                                                             \
        const struct vmx_capability *c = a->capability;                                                             \
        (void)argument, (void)cpu, (void)c;                                                                         \
        number(to, (expression));                                                                                   \
    }
NUMBER(operand, a->operand)
NUMBER(value, a->value)
NUMBER(second, a->second)
NUMBER(cr0, cpu->cr0)
NUMBER(cr3, cpu->cr3)
NUMBER(cr4, cpu->cr4)
NUMBER(efer, CPU_MSR(cpu, ia32_efer))
NUMBER(eax, (uint32_t)cpu->gpr[RAX])
NUMBER(cr0_fixed0, c->cr0_fixed0)
NUMBER(cr0_fixed1, c->cr0_fixed1)
NUMBER(cr4_fixed0, c->cr4_fixed0)
NUMBER(cr4_fixed1, c->cr4_fixed1)
NUMBER(feature_control, CPU_MSR(cpu, ia32_feature_control))
NUMBER(revision, capability_revision(c))
NUMBER(found, memory_read32(&cpu->model->memory, a->operand))
NUMBER(found_revision, memory_read32(&cpu->model->memory, a->operand) & ~VMCS_SHADOW_INDICATOR)
NUMBER(cr0_mask, cpu->vmx.current ? VMCS(cpu->vmx.current, cr0_guest_host_mask) : 0)
NUMBER(cr4_mask, cpu->vmx.current ? VMCS(cpu->vmx.current, cr4_guest_host_mask) : 0)
NUMBER(vmxon_pointer, cpu->vmx.vmxon_pointer)
NUMBER(vmcs, vmx_vmptrst(cpu))

static void word_cpl(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    (void)argument;
    snprintf(to, WORD_MAX, "%u", cpu_cpl(a->cpu));
}

static void word_width(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    (void)argument;
    snprintf(to, WORD_MAX, "%u", a->cpu->model->physical_address_width);
}

/* {cr0.missing}: bits of the fixed ones that are not there, in what an instruction would load or in the register. */
#define BITS(name, which, expression)                                                                               \
    static void word_##name(const struct attempt *a, const char *argument, char to[WORD_MAX])                       \
    {                                                                                                               \
        const struct cpu *cpu = a->cpu;                                                                             \
        const struct vmx_capability *c = a->capability;                                                             \
        (void)argument, (void)cpu, (void)c;                                                                         \
        bits_text(BITS_##which, (expression), to, WORD_MAX);                                                        \
    }
BITS(cr0_missing, CR0, c->cr0_fixed0 & ~cpu->cr0)
BITS(cr0_excess, CR0, cpu->cr0 & ~c->cr0_fixed1)
BITS(cr4_missing, CR4, c->cr4_fixed0 & ~cpu->cr4)
BITS(cr4_excess, CR4, cpu->cr4 & ~c->cr4_fixed1)
BITS(value_cr0_missing, CR0, cr0_must_be_1(a) & ~a->value)
BITS(value_cr0_excess, CR0, a->value & ~c->cr0_fixed1)
BITS(value_cr4_missing, CR4, c->cr4_fixed0 & ~a->value)
BITS(value_cr4_excess, CR4, a->value & ~c->cr4_fixed1)
BITS(value_efer_excess, EFER, a->value & ~efer_allowed(cpu))
BITS(value_xcr0_excess, XCR0, a->value & ~xcr0_allowed(cpu))

/* ---- MSRs and segments ---- */

static void word_msr(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    (void)argument;
    snprintf(to, WORD_MAX, "%s", msr_name((uint32_t)a->operand));
}

static void word_apic_base(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    uint64_t value = 0;

    (void)argument;
    msr_read(&a->cpu->model->cpu[a->cpu->index], MSR_ia32_apic_base, &value);
    number(to, value);
}

static void word_segment(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    static const char *const names[] = { "ES", "CS", "SS", "DS", "FS", "GS" };
    const struct segment *segment = a->insn ? operand_segment(a->cpu, a->insn) : &a->cpu->seg[SEG_DS];

    if (strcmp(argument, "selector") == 0)
        number(to, segment->selector);
    else if (strcmp(argument, "rights") == 0)
        number(to, segment->access_rights);
    else if (strcmp(argument, "limit") == 0)
        number(to, segment->limit);
    else
        snprintf(to, WORD_MAX, "%s", names[(segment - a->cpu->seg) % 6]);
}

/* ---- VMCS fields ---- */

static void word_field(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    enum vmcs_field field = vmcs_known((uint32_t)a->operand & ~1u);

    (void)argument;
    if (field < VMCS_FIELD_COUNT)
        snprintf(to, WORD_MAX, "%s", vmcs_field_name(field));
    else
        snprintf(to, WORD_MAX, "field 0x%" PRIx64, (uint64_t)(a->operand & ~1ull));
}

static const struct {
    const char *name, *text;
} controls[] = {
#define CONTROL(word, name, bit, text) { #name, text },
#include "arch/vmx_controls.def"
};

static void word_field_control(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    enum vmcs_field field = vmcs_known((uint32_t)a->operand);
    unsigned control = field < VMCS_FIELD_COUNT ? vmcs_field_control(field) : CONTROL_ALWAYS;

    (void)argument;
    snprintf(to, WORD_MAX, "%s", control < CONTROL_ALWAYS ? controls[control].text : "every processor");
}

/* "as an encoding it means ..." (25.11.2) */
static void word_encoding(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    static const char *const width[] = { "16-bit", "64-bit", "32-bit", "natural-width" };
    static const char *const type[] = { "control", "exit information", "guest state", "host state" };
    uint32_t encoding = (uint32_t)a->operand;

    (void)argument;
    snprintf(to, WORD_MAX, "it would be %s %s with index %u", width[VMCS_ENCODING_WIDTH(encoding)], type[VMCS_ENCODING_TYPE(encoding)],
             VMCS_ENCODING_INDEX(encoding));
}

/* ---- what this processor lacks ---- */

/* {offer.NAME}: who would have it. */
static void word_offer(const struct attempt *a, const char *name, char to[WORD_MAX])
{
    struct vmx_lacks lacks = { .ept_vpid = 0 };
    enum vmcs_field field = strcmp(name, "field") == 0 ? vmcs_known((uint32_t)a->operand) : VMCS_FIELD_COUNT;

    if (field < VMCS_FIELD_COUNT && vmcs_field_control(field) < CONTROL_ALWAYS)
        name = controls[vmcs_field_control(field)].name;
    if (profile_switch(&lacks, name, (unsigned)strlen(name), true) != SWITCH_DONE)
        snprintf(to, WORD_MAX, ", which is not implemented");
    else if (a->capability != &a->cpu->model->capability)
        snprintf(to, WORD_MAX, "; the core does not offer it to L1, or its processor lacks it");
    else
        snprintf(to, WORD_MAX, "; --vmx +%s or --vmx-profile max gives it", name);
}

static void types(char to[WORD_MAX], uint64_t supported)
{
    size_t used = 0;

    snprintf(to, WORD_MAX, "no type is");
    for (unsigned i = 0; i < 4; i++)
        if (supported >> i & 1)
            used += (size_t)snprintf(to + used, WORD_MAX - used, "%s%u", used ? ", " : "supported are ", i);
}

static void word_invept_types(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    (void)argument;
    types(to, (unsigned)capability_invept_type(a->capability, 1) << 1 | (unsigned)capability_invept_type(a->capability, 2) << 2);
}

static void word_invvpid_types(const struct attempt *a, const char *argument, char to[WORD_MAX])
{
    (void)argument;
    types(to, a->capability->ept_vpid >> EPT_VPID_invvpid_address & 15);
}

/* ---- sentences ---- */

static const struct {
    const char *name;           /* one that ends with "." takes what follows as its argument */
    word *word;
} words[] = {
    { "operand", word_operand }, { "value", word_value }, { "second", word_second }, { "cr0", word_cr0 }, { "cr3", word_cr3 },
    { "cr4", word_cr4 }, { "efer", word_efer }, { "eax", word_eax }, { "cpl", word_cpl }, { "width", word_width },
    { "cr0_fixed0", word_cr0_fixed0 }, { "cr0_fixed1", word_cr0_fixed1 }, { "cr4_fixed0", word_cr4_fixed0 },
    { "cr4_fixed1", word_cr4_fixed1 }, { "cr0.missing", word_cr0_missing }, { "cr0.excess", word_cr0_excess },
    { "cr4.missing", word_cr4_missing }, { "cr4.excess", word_cr4_excess }, { "feature_control", word_feature_control },
    { "revision", word_revision }, { "found", word_found }, { "found.revision", word_found_revision },
    { "cr0.mask", word_cr0_mask }, { "cr4.mask", word_cr4_mask }, { "vmxon_pointer", word_vmxon_pointer }, { "vmcs", word_vmcs }, { "field", word_field },
    { "field.control", word_field_control }, { "encoding", word_encoding }, { "offer.", word_offer },
    { "value.cr0.missing", word_value_cr0_missing }, { "value.cr0.excess", word_value_cr0_excess },
    { "value.cr4.missing", word_value_cr4_missing }, { "value.cr4.excess", word_value_cr4_excess },
    { "value.efer.excess", word_value_efer_excess }, { "value.xcr0.excess", word_value_xcr0_excess }, { "msr", word_msr },
    { "apic_base", word_apic_base }, { "segment", word_segment }, { "segment.", word_segment },
    { "invept.types", word_invept_types }, { "invvpid.types", word_invvpid_types },
};

static bool put_word(const struct attempt *a, const char *name, char to[WORD_MAX])
{
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].name);
        bool prefix = words[i].name[length - 1] == '.';

        if (prefix ? strncmp(name, words[i].name, length) == 0 : strcmp(name, words[i].name) == 0) {
            words[i].word(a, prefix ? name + length : "", to);
            return true;
        }
    }
    snprintf(to, WORD_MAX, "{%s}", name);
    return false;
}

bool refusal_sentence(const struct attempt *attempt, const struct refusal *refusal, char *to, size_t size)
{
    const char *from = refusal->text;
    bool known = true;
    size_t used = 0;

    to[0] = '\0';
    while (*from && used < size) {
        const char *open = strchr(from, '{'), *close = open ? strchr(open, '}') : NULL;
        char name[40], text[WORD_MAX];

        if (!close || (size_t)(close - open) > sizeof name) {
            used += (size_t)snprintf(to + used, size - used, "%s", from);
            break;
        }
        snprintf(name, sizeof name, "%.*s", (int)(close - open - 1), open + 1);
        known &= put_word(attempt, name, text);
        used += (size_t)snprintf(to + used, size - used, "%.*s%s", (int)(open - from), from, text);
        from = close + 1;
    }
    return known;
}

/* "VMXON", "MOV to CR4" */
static void instruction_name(const struct attempt *a, char *to, size_t size)
{
    const char *name = insn_name(a->id);
    size_t i = 0;

    switch (a->id) {
    case INSN_mov_to_cr:
    case INSN_mov_from_cr:
    case INSN_mov_to_dr:
    case INSN_mov_from_dr:
        snprintf(to, size, "MOV %s %s%u", a->id == INSN_mov_to_cr || a->id == INSN_mov_to_dr ? "to" : "from",
                 a->id == INSN_mov_to_cr || a->id == INSN_mov_from_cr ? "CR" : "DR", a->insn ? a->insn->reg : (unsigned)a->operand);
        return;
    default:
        for (; name[i] && i + 1 < size; i++)
            to[i] = (char)toupper((unsigned char)name[i]);
        to[i] = '\0';
    }
}

static void outcome(const struct attempt *a, const struct refusal *refusal, char *to, size_t size)
{
    switch (refusal->outcome) {
    case OUTCOME_UD:
        snprintf(to, size, "raised #UD");
        break;
    case OUTCOME_GP:
        snprintf(to, size, "raised #GP(0)");
        break;
    case OUTCOME_OPERAND:
        snprintf(to, size, "raised %s(0)", refusal_vector(a, refusal) == VECTOR_SS ? "#SS" : "#GP");
        break;
    case OUTCOME_INVALID:
        snprintf(to, size, "failed: VMfailInvalid");
        break;
    default:
        snprintf(to, size, "failed: %sVM-instruction error %d: %s", a->cpu->vmx.current ? "" : "VMfailInvalid, as no VMCS is current for ",
                 refusal->outcome, vm_error_text(refusal->outcome));
    }
}

/* What one omission does to every access to the VMCS. */
static bool is_of_all_fields(const struct refusal *refusal)
{
    return refusal == &refusal_table[REFUSED_field_no_vmcs];
}

/* RDMSR and WRMSR of an MSR that does not exist: how programs find out, some of them by their #GP. And what CPL 3 may not execute: a hypervisor that
 * runs a kernel there carries it out. */
static bool is_probe(const struct attempt *a, const struct refusal *refusal)
{
    return (cpu_cpl(a->cpu) == 3 && (strcmp(refusal->id, "privilege.cpl") == 0 || strcmp(refusal->id, "port.permission") == 0)) ||
           (a->id == INSN_rdmsr && refusal->outcome == OUTCOME_GP && strstr(refusal->text, "does not exist")) ||
           (a->id == INSN_wrmsr && refusal->outcome == OUTCOME_GP && strstr(refusal->text, "does not exist"));
}

/* The same for the same reason at the same place. A function that wraps VMREAD or RDMSR is one place for many operands: the
 * first few are told. */
static uint64_t key_of(struct machine *machine, const struct attempt *a, const struct refusal *refusal)
{
    uint64_t place = explain_key(a->cpu->rip, refusal->id), key = place ^ (a->operand + 1) * 0x9e3779b97f4a7c15;

    for (uint64_t i = 0; i < PLACES_TOLD && is_of_all_fields(refusal) && !explain_told(machine, place); i++)
        if (explain_new(machine, explain_key(i, refusal->id)))
            return place;
    if (is_of_all_fields(refusal))
        return explain_key(0, refusal->id);
    for (uint64_t i = 0; i < OPERANDS_TOLD && !explain_told(machine, key); i++)
        if (explain_new(machine, place + i))
            return key;
    return explain_told(machine, key) ? key : place;
}

void refusal_explain(struct machine *machine, const struct notice *notice)
{
    const struct attempt *a = notice->attempt;
    const struct cpu *cpu = notice->cpu;
    char name[24], symbol[SYMBOL_TEXT_MAX] = "", result[200], sentence[SENTENCE_MAX];
    struct explanation *e = is_probe(a, notice->refusal) ? explain_begin_held(machine, cpu, explain_key(cpu->rip ^ a->operand << 32, notice->refusal->id))
                                                         : explain_begin(machine, cpu, key_of(machine, a, notice->refusal));
    bool of_core = cpu != &machine->model->cpu[cpu->index];     /* L1, as emu/native/refusals.c sees it */
    unsigned level = of_core ? 1 : machine_level(machine, cpu);

    if (!e)
        return;
    if (cpu_code_base(cpu))
        snprintf(symbol, sizeof symbol, " (CS base 0x%" PRIx64 ")", cpu_code_base(cpu));
    else
        symbols_text(machine->symbols, cpu->rip, symbol);
    instruction_name(a, name, sizeof name);
    outcome(a, notice->refusal, result, sizeof result);
    refusal_sentence(a, notice->refusal, sentence, sizeof sentence);
    if (!of_core && machine_over_native(machine, cpu) && !cpu->vmx.non_root)
        explain_line(e, "%s by the native L0 %s", name, result);
    else if (level)
        explain_line(e, "%s of L%u at rip 0x%" PRIx64 "%s %s", name, level, cpu->rip, symbol, result);
    else
        explain_line(e, "%s at rip 0x%" PRIx64 "%s %s", name, cpu->rip, symbol, result);
    explain_line(e, "refused: %s [%s] %s", notice->refusal->id, notice->refusal->section, sentence);
    exchanged_tell(e, a);
    if (is_of_all_fields(notice->refusal))
        explain_line(e, "every VMREAD and VMWRITE fails like this until VMPTRLD has made a VMCS current; %d places of them are told", PLACES_TOLD);
    if (symbol[0] && !cpu_code_base(cpu)) {     /* an instruction in a function of its own does not say who wanted it */
        struct cpu caller = *cpu;

        place_calls(e, &caller);
    }
    explain_end(e);
}
