/* SPDX-License-Identifier: MIT */
/*
 * The serial log: messages, and with option `trace` one line an event in the columns of emu/trace/trace.h. The clock is the
 * time-stamp counter.
 */
#include "hv/x86/x86.h"

#include <stdarg.h>

enum { DEBUG_PORT = 0xe9 };
enum { UART_INTERRUPTS = 1, UART_FIFO = 2, UART_LINE_CONTROL = 3, UART_MODEM_CONTROL = 4, UART_LINE_STATUS = 5 };
enum { UART_DIVISOR_ACCESS = 1 << 7, UART_8_BITS = 3, UART_EMPTY = 1 << 5, UART_READY = 3 };
enum { PATIENCE = 1 << 20 };                    /* looks at a UART that never gets ready */

static uint16_t port = 0x3f8;
static struct { uint64_t physical, linear, size, written; } memory;
static uint32_t line_lock;
volatile bool stopped;

void log_open(uint16_t base)
{
    port = base;
    if (base == DEBUG_PORT || !base)
        return;
    port_out(port + UART_LINE_CONTROL, UART_DIVISOR_ACCESS | UART_8_BITS);
    port_out(port, 1);                   /* 115,200 baud */
    port_out(port + UART_INTERRUPTS, 0); /* the divisor's high byte */
    port_out(port + UART_LINE_CONTROL, UART_8_BITS);
    port_out(port + UART_INTERRUPTS, 0);
    port_out(port + UART_FIFO, 1);
    port_out(port + UART_MODEM_CONTROL, UART_READY);
}

void log_memory(uint64_t physical, uint64_t linear, uint64_t size)
{
    memory.physical = physical;
    memory.linear = linear;
    memory.size = size;
}

/* The count is told, and not read: the memory is the guest's. */
static void put_in_memory(char c)
{
    uint64_t *count = at(here() == IMAGE_VIRTUAL + IMAGE_LOAD ? memory.physical : memory.linear);

    if (memory.size <= sizeof *count)
        return;
    ((volatile char *)(count + 1))[memory.written % (memory.size - sizeof *count)] = c;
    *(volatile uint64_t *)count = ++memory.written;
}

static void put(char c)
{
    if (!port) {
        put_in_memory(c);
        return;
    }
    for (unsigned i = 0; port != DEBUG_PORT && i < PATIENCE && !(port_in(port + UART_LINE_STATUS) & UART_EMPTY); i++)
        hal_pause();
    port_out(port, (uint8_t)c);
}

static void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

static void put_number(uint64_t value, unsigned base, unsigned width)
{
    char digits[20];
    unsigned n = 0;

    do
        digits[n++] = "0123456789abcdef"[value % base];
    while (value /= base);
    for (unsigned i = n; i < width; i++)
        put(' ');
    while (n)
        put(digits[--n]);
}

/* How a VMX instruction of L1 ended. */
static void put_result(uint64_t result)
{
    switch (result) {
    case 0:
        put_text("ok");
        return;
#define VM_ERROR(number, name, text) case number: put_text("error " #number ": " text); return;
#include "arch/vm_instruction_errors.def"
    default:
        put_text("VMfailInvalid");
    }
}

static void put_arguments(const char *format, va_list arguments)
{
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_text(va_arg(arguments, const char *));
            break;
        case 'u':
            put_number(va_arg(arguments, unsigned), 10, 0);
            break;
        case 'r':
            put_result(va_arg(arguments, uint64_t));
            break;
        case 'l':
            put_text("0x");
            put_number(va_arg(arguments, uint64_t), 16, 0);
            break;
        default:
            put(*format);
        }
    }
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    hal_lock(&line_lock);
    put_arguments(format, arguments);
    hal_unlock(&line_lock);
    va_end(arguments);
}

_Noreturn void stop(const char *what, const char *why)
{
    print("sesqui: %s: %s\n", what, why);
    if (stopped)
        halt();
    stopped = true;
    /* INIT ends a guest, and then hal_enter() sees `stopped`. Outside VMX operation it would reset the processor. */
    for (unsigned i = 0; i < processor_blocks; i++)
        if (processors[i].ready && i != hal_cpu_index())
            hal_kick(i, HAL_KICK_INIT);
    halt();
}

/* ---- the trace ---- */

static void line(unsigned level, const char *event, const char *format, ...)
{
    va_list arguments;

    hal_lock(&line_lock);
    put_number(rdtsc(), 10, 12);
    put(' ');
    put_number(hal_cpu_index(), 10, 3);
    put_text(" L");
    put_number(level, 10, 0);
    put(' ');
    put_text(event);
    for (size_t i = text_length(event); i < 13; i++)
        put(' ');
    va_start(arguments, format);
    put_arguments(format, arguments);
    va_end(arguments);
    put('\n');
    hal_unlock(&line_lock);
}

static const char *reason_name(uint64_t reason)
{
    switch (reason & 0xffff) {
#define EXIT_REASON(name, number, text) case number: return #name;
#include "arch/exit_reasons.def"
    default: return "unknown";
    }
}

static const char *field_name(uint64_t encoding)
{
    switch (encoding & ~1ull) {
#define FIELD(name, encoding, exists) case encoding: return #name;
#include "arch/vmcs_fields.def"
    default: return "unknown";
    }
}

/* VMREAD without the log. */
static uint64_t peek(enum vmcs_encoding field)
{
    const bool fields = options.trace_fields;
    uint64_t value;

    options.trace_fields = false;
    value = hal_vmread(field);
    options.trace_fields = fields;
    return value;
}

void log_exit(void)
{
    uint64_t reason;

    if (!options.trace)
        return;
    reason = peek(VMCS_exit_reason);
    if (reason & EXIT_REASON_ENTRY_FAILURE)
        line(0, "entry-failed", "vmcs=%l exit %s qual=%l", vmptrst().value, reason_name(reason),
             peek(VMCS_exit_qualification));
    else
        line(this_processor()->level, "exit", "%s qual=%l rip=%l", reason_name(reason), peek(VMCS_exit_qualification),
             peek(VMCS_guest_rip));
}

void log_refused(void)
{
    if (options.trace)
        line(0, "entry-failed", "vmcs=%l %r", vmptrst().value, peek(VMCS_vm_instruction_error));
}

void log_field(bool write, enum vmcs_encoding field, uint64_t value)
{
    line(0, "vmx", "%s %s=%l ok", write ? "vmwrite" : "vmread", field_name(field), value);
}

/* As the instruction's own line would be on the model: emu/trace/trace.c. */
static void emulated(uint64_t reason, uint64_t operand, uint64_t value, uint64_t result)
{
    const char *name = reason_name(reason);

    switch (reason & 0xffff) {
    case EXIT_REASON_vmread: case EXIT_REASON_vmwrite:
        line(0, "emulated", "%s %s=%l %r", name, field_name(operand), value, result);
        break;
    case EXIT_REASON_invept: case EXIT_REASON_invvpid:
        line(0, "emulated", "%s type=%u operand=%l %r", name, (unsigned)operand, value, result);
        break;
    case EXIT_REASON_vmxoff: case EXIT_REASON_vmlaunch: case EXIT_REASON_vmresume:
        line(0, "emulated", "%s %r", name, result);
        break;
    default:
        line(0, "emulated", "%s %l %r", name, operand, result);
    }
}

void hal_log(enum hal_event event, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (event == HAL_EVENT_LEVEL)
        this_processor()->level = (unsigned)a;
    if (!options.trace)
        return;
    switch (event) {
    case HAL_EVENT_LEVEL:
        line(0, "level", "L%u vmcs=%l", (unsigned)a, b);
        break;
    case HAL_EVENT_HANDLED:
        line(0, "handled", "%s", reason_name(a));
        break;
    case HAL_EVENT_REFLECT:
        line(0, "reflect", "%s%s qual=%l", reason_name(a), a & EXIT_REASON_ENTRY_FAILURE ? " (entry failure)" : "", b);
        break;
    case HAL_EVENT_NESTED_ENTRY:
        line(0, "nested-entry", "%s vmcs12=%l", a ? "vmlaunch" : "vmresume", b);
        break;
    case HAL_EVENT_NESTED_FAIL:
        line(0, "nested-fail", "error=%l qual=%l", a, b);
        break;
    case HAL_EVENT_VMX_INSTRUCTION:
        emulated(a, b, c, d);
        break;
    case HAL_EVENT_INJECT:
        line(0, "inject-l1", "vector=%u error=%l", (unsigned)a, b);
        break;
    case HAL_EVENT_ABORT:
        line(0, "abort-l1", "VMX abort %u vmcs12=%l", (unsigned)a, b);
        break;
    }
}

/* The back end on the model uses these to hold the core to the rules (docs/rules.md); here nobody watches. */
void hal_reading(enum hal_datum datum) { (void)datum; }
void hal_keep(uint64_t pages) { (void)pages; }
void hal_own(physical_address page, uint64_t pages, enum hal_owner owner) { (void)page, (void)pages, (void)owner; }
