/* SPDX-License-Identifier: MIT */
/* Traces: notices of the model as lines of text. */
#include "emu/trace/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "model/cpu/cpu.h"
#include "model/cpu/execute.h"
#include "model/model.h"
#include "model/vmx/check.h"
#include "model/vmx/vmx.h"

enum { DETAIL_MAX = 160 };

/* ---- records ---- */

/* The next slot of the tail, with what every line says. */
static struct trace_record *next_record(struct trace *trace, const struct cpu *cpu, unsigned level, const char *event)
{
    unsigned slot = trace->tail_next;
    struct trace_record *record = &trace->tail[slot];

    record->event = event;
    record->clock = cpu->clock;
    record->rip = cpu->rip;
    record->rcx = cpu->gpr[RCX];
    record->cpu = cpu->index;
    record->level = level;
    record->text = trace->text[slot];
    record->symbols = trace->symbols;
    trace->tail_next = (slot + 1) % TRACE_TAIL;
    trace->lines++;
    return record;
}

static void format_record(char line[TRACE_LINE_MAX], const struct trace_record *record)
{
    int used = snprintf(line, TRACE_LINE_MAX, "%12" PRIu64 " %3u L%u %-12.12s ", record->clock, record->cpu, record->level,
                        record->event);

    record->details(line + used, (size_t)(TRACE_LINE_MAX - used), record);
}

static void to_file(const struct trace *trace, const struct trace_record *record)
{
    char line[TRACE_LINE_MAX];

    if (!trace->file)
        return;
    format_record(line, record);
    fprintf(trace->file, "%s\n", line);
}

static void text_details(char *to, size_t size, const struct trace_record *record)
{
    snprintf(to, size, "%s", record->text);
}

void trace_line(struct trace *trace, const struct cpu *cpu, unsigned level, const char *event, const char *format, ...)
{
    struct trace_record *record = next_record(trace, cpu, level, event);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(record->text, TRACE_LINE_MAX, format, arguments);
    va_end(arguments);
    record->details = text_details;
    to_file(trace, record);
}

void trace_print_tail(const struct trace *trace, FILE *to, const char *prefix)
{
    unsigned kept = trace->lines < TRACE_TAIL ? (unsigned)trace->lines : TRACE_TAIL;
    char line[TRACE_LINE_MAX];

    for (unsigned i = 0; i < kept; i++) {
        format_record(line, &trace->tail[(trace->tail_next + TRACE_TAIL - kept + i) % TRACE_TAIL]);
        fprintf(to, "%s%s\n", prefix, line);
    }
}

/* ---- words ---- */

static const char *event_type_name(uint64_t type)
{
    static const char *const name[8] = {
        "interrupt", "reserved", "NMI", "exception", "INT n", "INT1", "software exception", "other",
    };
    return name[type & 7];
}

static const char *vector_name(uint64_t vector)
{
    static const char *const name[32] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL, "#TS", "#NP", "#SS", "#GP", "#PF", NULL,
        "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    };
    return vector < 32 ? name[vector] : NULL;
}

/* "interrupt 32", "exception #PF" */
static void event_text(char *to, size_t size, uint64_t vector, uint64_t type)
{
    const char *name = type == EVENT_EXTERNAL_INTERRUPT || type == EVENT_SOFTWARE_INTERRUPT ? NULL : vector_name(vector);

    if (type == EVENT_NMI)
        snprintf(to, size, "NMI");
    else if (name)
        snprintf(to, size, "%s", name);
    else
        snprintf(to, size, "%s %" PRIu64, event_type_name(type), vector);
}

static const char *field_name(uint32_t encoding)
{
    static const struct { uint32_t encoding; const char *name; } table[] = {
#define FIELD(name, encoding, exists) { encoding, #name },
#include "arch/vmcs_fields.def"
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].encoding == (encoding & ~1u))
            return table[i].name;
    return "unknown";
}

static const char *reason_word(uint64_t reason)
{
    const char *name = exit_reason_name((uint32_t)(reason & 0xffff));

    return name ? name : "unknown";
}

/* ---- qualifications: SDM Vol. 3, 28.2.1 ---- */

static void control_register_text(char *to, size_t size, uint64_t q)
{
    static const char *const reg[16] = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    };
    unsigned number = q & 15, from = q >> 8 & 15;

    switch (q >> 4 & 3) {
    case 0:
        snprintf(to, size, " mov cr%u, %s", number, reg[from]);
        break;
    case 1:
        snprintf(to, size, " mov %s, cr%u", reg[from], number);
        break;
    case 2:
        snprintf(to, size, " clts");
        break;
    case 3:
        snprintf(to, size, " lmsw 0x%" PRIx64, q >> 16 & 0xffff);
        break;
    }
}

static void violation_text(char *to, size_t size, uint64_t q)
{
    const char *access = q & EPT_VIOLATION_FETCH ? "fetch" : q & EPT_VIOLATION_WRITE ? "write" : "read";
    uint64_t rights = q >> EPT_VIOLATION_RIGHTS_SHIFT;

    snprintf(to, size, " %s of %c%c%c%s", access, rights & 1 ? 'r' : '-', rights & 2 ? 'w' : '-', rights & 4 ? 'x' : '-',
             (q & EPT_VIOLATION_LINEAR_VALID) && !(q & EPT_VIOLATION_TRANSLATION) ? " by the page walk" : "");
}

static void interruption_text(char *to, size_t size, const struct trace_record *record)
{
    uint32_t information = record->interruption_information;
    char event[40];

    if (!(information & INTERRUPTION_VALID))
        return;
    event_text(event, sizeof event, INTERRUPTION_VECTOR(information), INTERRUPTION_TYPE(information));
    if (information & INTERRUPTION_ERROR_CODE_VALID)
        snprintf(to, size, " %s error=0x%" PRIx32, event, record->interruption_error_code);
    else
        snprintf(to, size, " %s", event);
}

static void exit_text(char *to, size_t size, const struct trace_record *record)
{
    const struct notice *notice = &record->notice;
    uint64_t q = notice->b;

    to[0] = '\0';
    if (notice->a & EXIT_REASON_ENTRY_FAILURE)
        return;
    switch (notice->a & 0xffff) {
    case EXIT_REASON_cr_access:
        control_register_text(to, size, q);
        break;
    case EXIT_REASON_io_instruction:
        snprintf(to, size, " %s port=0x%" PRIx64 " size=%" PRIu64 "%s", q & 8 ? "in" : "out", q >> 16 & 0xffff,
                 (q & 7) + 1, q & 16 ? " string" : "");
        break;
    case EXIT_REASON_rdmsr:
    case EXIT_REASON_wrmsr: {
        const char *name = msr_name((uint32_t)record->rcx);
        snprintf(to, size, " %s", name ? name : "unknown");
        break;
    }
    case EXIT_REASON_exception_or_nmi:
    case EXIT_REASON_external_interrupt:
        interruption_text(to, size, record);
        break;
    case EXIT_REASON_ept_violation:
        violation_text(to, size, q);
        break;
    }
}

/* ---- one function for each kind of notice ---- */

/* "0x401234 <main+0x12>" */
struct place {
    char text[SYMBOL_TEXT_MAX + 20];
};

static struct place place(const struct trace_record *record, uint64_t rip)
{
    char name[SYMBOL_TEXT_MAX];
    struct place place;

    snprintf(place.text, sizeof place.text, "0x%" PRIx64 "%s", rip, symbols_name(record->symbols, rip, name));
    return place;
}

static void entry(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    snprintf(to, size, "%s vmcs=0x%" PRIx64 " rip=%s", n->c ? "launch" : "resume", n->a, place(r, n->b).text);
}

static void entry_failed(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    if (n->b & EXIT_REASON_ENTRY_FAILURE) {
        snprintf(to, size, "vmcs=0x%" PRIx64 " exit %s qual=0x%" PRIx64, n->a,
                   reason_word(n->b), n->c);
        return;
    }
    const char *text = vm_error_text((int)n->b);
    snprintf(to, size, "vmcs=0x%" PRIx64 " error %" PRId64 ": %s", n->a, (int64_t)n->b,
               text ? text : "VMfailInvalid");
}

static void check_failed(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    snprintf(to, size, "%s [%s] %s", n->check->id, n->check->section, n->check->text);
}

static void vm_exit(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    char text[DETAIL_MAX];

    exit_text(text, sizeof text, r);
    snprintf(to, size, "%s%s qual=0x%" PRIx64 " rip=%s%s", reason_word(n->a),
               n->a & EXIT_REASON_ENTRY_FAILURE ? " (entry failed)" : "", n->b, place(r, n->c).text, text);
}

static void vmx_instruction(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    char operands[DETAIL_MAX], result[DETAIL_MAX];
    int64_t outcome = (int64_t)n->d;

    switch (n->a) {
    case INSN_vmread:
    case INSN_vmwrite:
        snprintf(operands, sizeof operands, "%s=0x%" PRIx64, field_name((uint32_t)n->b), n->c);
        break;
    case INSN_invept:
    case INSN_invvpid:
        snprintf(operands, sizeof operands, "type=%" PRIu64 " operand=0x%" PRIx64, n->b, n->c);
        break;
    case INSN_vmxoff:
    case INSN_vmlaunch:
    case INSN_vmresume:
        operands[0] = '\0';
        break;
    default:
        snprintf(operands, sizeof operands, "0x%" PRIx64, n->b);
    }
    if (outcome == VMX_SUCCEED)
        snprintf(result, sizeof result, "ok");
    else if (outcome == VMX_FAIL_INVALID)
        snprintf(result, sizeof result, "VMfailInvalid");
    else
        snprintf(result, sizeof result, "error %" PRId64 ": %s", outcome, vm_error_text((int)outcome));
    snprintf(to, size, "%s %s%s%s", insn_name((enum insn_id)n->a), operands, operands[0] ? " " : "",
               result);
}

static void inject(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    char event[40];

    event_text(event, sizeof event, n->a, n->b);
    if (n->d)
        snprintf(to, size, "%s error=0x%" PRIx64 " rip=%s", event, n->c, place(r, r->rip).text);
    else
        snprintf(to, size, "%s rip=%s", event, place(r, r->rip).text);
}

static void invalidate(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    snprintf(to, size, "%s type=%" PRIu64 " 0x%" PRIx64 " 0x%" PRIx64,
               insn_name((enum insn_id)n->a), n->b, n->c, n->d);
}

static void ept_violation(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    char text[DETAIL_MAX];

    violation_text(text, sizeof text, n->b);
    snprintf(to, size, "gpa=0x%" PRIx64 " linear=0x%" PRIx64 " qual=0x%" PRIx64 "%s", n->a, n->c, n->b,
               text);
}

static void violation(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    snprintf(to, size, "R%" PRIu64 " %s (0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 ")", n->a,
               n->text ? n->text : "", n->b, n->c, n->d);
}

static void barrier(char *to, size_t size, const struct trace_record *r)
{
    snprintf(to, size, "%s", r->notice.text ? r->notice.text : "");
}

static void shutdown(char *to, size_t size, const struct trace_record *r)
{
    const struct notice *n = &r->notice;
    if (n->a)
        snprintf(to, size, "VMX abort %" PRIu64, n->a);
    else
        snprintf(to, size, "triple fault rip=%s", place(r, r->rip).text);
}

static const struct {
    const char *event;
    void (*details)(char *to, size_t size, const struct trace_record *record);
} notice_row[] = {
    [NOTICE_ENTRY] = { "entry", entry },
    [NOTICE_ENTRY_FAILED] = { "entry-failed", entry_failed },
    [NOTICE_CHECK_FAILED] = { "check", check_failed },
    [NOTICE_EXIT] = { "exit", vm_exit },
    [NOTICE_VMX_INSTRUCTION] = { "vmx", vmx_instruction },
    [NOTICE_INJECT] = { "inject", inject },
    [NOTICE_INVALIDATE] = { "invalidate", invalidate },
    [NOTICE_EPT_VIOLATION] = { "ept", ept_violation },
    [NOTICE_VIOLATION] = { "violation", violation },
    [NOTICE_MISTAKE] = { "mistake", violation },
    [NOTICE_BARRIER] = { "barrier", barrier },
    [NOTICE_SHUTDOWN] = { "shutdown", shutdown },
};

/* The VMCS that an exit went into still is current: its exit information explains more than the qualification. */
static void note_interruption(struct trace_record *record)
{
    const struct notice *n = &record->notice;
    const struct vmcs *vmcs = n->cpu->vmx.current;
    bool here = n->kind == NOTICE_EXIT && vmcs && vmcs->pa == n->d;

    record->interruption_information = here ? (uint32_t)VMCS(vmcs, exit_interruption_information) : 0;
    record->interruption_error_code = here ? (uint32_t)VMCS(vmcs, exit_interruption_error_code) : 0;
}

void trace_notice(struct trace *trace, unsigned level, const struct notice *notice)
{
    struct trace_record *record = next_record(trace, notice->cpu, level, notice_row[notice->kind].event);

    record->details = notice_row[notice->kind].details;
    record->notice = *notice;
    record->notice.stale = NULL;            /* it is gone when the line is written */
    note_interruption(record);
    to_file(trace, record);
}

/* ---- what a native L0 tells ---- */

static void l0_level(char *to, size_t size, const struct trace_record *r)
{
    snprintf(to, size, "L%" PRIu64 " vmcs=0x%" PRIx64, r->notice.a, r->notice.b);
}

static void l0_handled(char *to, size_t size, const struct trace_record *r)
{
    snprintf(to, size, "%s", reason_word(r->notice.a));
}

static void l0_reflect(char *to, size_t size, const struct trace_record *r)
{
    snprintf(to, size, "%s%s qual=0x%" PRIx64, reason_word(r->notice.a),
             r->notice.a & EXIT_REASON_ENTRY_FAILURE ? " (entry failure)" : "", r->notice.b);
}

static void l0_nested_entry(char *to, size_t size, const struct trace_record *r)
{
    snprintf(to, size, "%s vmcs12=0x%" PRIx64, r->notice.a ? "vmlaunch" : "vmresume", r->notice.b);
}

static void l0_nested_fail(char *to, size_t size, const struct trace_record *r)
{
    snprintf(to, size, "error=0x%" PRIx64 " qual=0x%" PRIx64, r->notice.a, r->notice.b);
}

/* As the instruction's own line would be. */
static void l0_emulated(char *to, size_t size, const struct trace_record *r)
{
    static const struct {
        enum insn_id insn;
        uint32_t exit_reason;
    } row[] = {
#define INSTRUCTION(name, exit_reason) { INSN_##name, EXIT_REASON_##exit_reason },
#include "arch/instructions.def"
    };
    struct trace_record like = *r;

    like.notice.a = INSN_none;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        if (row[i].exit_reason == (r->notice.a & 0xffff))
            like.notice.a = row[i].insn;
    vmx_instruction(to, size, &like);
}

static void l0_inject(char *to, size_t size, const struct trace_record *r)
{
    snprintf(to, size, "vector=%" PRIu64 " error=0x%" PRIx64, r->notice.a, r->notice.b);
}

static void l0_abort(char *to, size_t size, const struct trace_record *r)
{
    snprintf(to, size, "VMX abort %" PRIu64 " vmcs12=0x%" PRIx64, r->notice.a, r->notice.b);
}

void trace_l0(struct trace *trace, const struct cpu *cpu, enum hal_event event, uint64_t a, uint64_t b, uint64_t c,
              uint64_t d)
{
    static const struct {
        const char *event;
        void (*details)(char *to, size_t size, const struct trace_record *record);
    } row[] = {
        [HAL_EVENT_LEVEL] = { "level", l0_level },
        [HAL_EVENT_HANDLED] = { "handled", l0_handled },
        [HAL_EVENT_REFLECT] = { "reflect", l0_reflect },
        [HAL_EVENT_NESTED_ENTRY] = { "nested-entry", l0_nested_entry },
        [HAL_EVENT_NESTED_FAIL] = { "nested-fail", l0_nested_fail },
        [HAL_EVENT_VMX_INSTRUCTION] = { "emulated", l0_emulated },
        [HAL_EVENT_INJECT] = { "inject-l1", l0_inject },
        [HAL_EVENT_ABORT] = { "abort-l1", l0_abort },
    };
    struct trace_record *record = next_record(trace, cpu, 0, row[event].event);

    record->details = row[event].details;
    record->notice = (struct notice){ .cpu = cpu, .a = a, .b = b, .c = c, .d = d };
    to_file(trace, record);
}
