/* SPDX-License-Identifier: MIT */
/* What the image says and where it goes: hv/x86/log.c. */
#include <check.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/hv/image_x86.h"
#undef IMAGE_VIRTUAL
#define IMAGE_VIRTUAL 0ull
#include "hv/x86/log.c"
#include "tests/suite.h"

static char out[4096];                          /* what went to the port, and settings as <port>=value, */
static uint16_t base;
static uint8_t line_status = UART_EMPTY;
static unsigned looks, pauses, kicked, locks;
static uint64_t world, fields[3];
static bool settings;
static jmp_buf halted;
static struct processor self = { .level = 2 };
struct processor processors[4];
uint32_t processor_count = 4, processor_blocks = 4;
struct options options;

uint64_t here(void) { return world; }
struct processor *this_processor(void) { return &self; }
unsigned hal_cpu_index(void) { return 1; }
uint64_t rdtsc(void) { return 12345; }
void hal_pause(void) { pauses++; }
void hal_lock(uint32_t *lock) { ck_assert_uint_eq((*lock)++, 0); locks++; }
void hal_unlock(uint32_t *lock) { ck_assert_uint_eq(--*lock, 0); }
size_t text_length(const char *text) { return strlen(text); }
_Noreturn void halt(void) { longjmp(halted, 1); }
physical_address vmptrst(void) { return PA(0xabc000); }

bool hal_kick(unsigned cpu, enum hal_kick kind)
{
    ck_assert(kind == HAL_KICK_INIT && stopped);
    kicked |= 1u << cpu;
    return true;
}

uint64_t hal_vmread(enum vmcs_encoding field)
{
    ck_assert(!options.trace_fields);           /* it would tell of itself */
    return field == VMCS_exit_reason ? fields[0] : field == VMCS_exit_qualification ? fields[1] : field == VMCS_guest_rip ? fields[2] :
           field == VMCS_vm_instruction_error ? 7 : 0;
}

uint8_t port_in(uint16_t from)
{
    if (from != base + UART_LINE_STATUS)        /* a million times */
        ck_abort_msg("port %x is read", from);
    looks++;
    return line_status;
}

void port_out(uint16_t to, uint8_t value)
{
    const size_t at = strlen(out);

    ck_assert(at + 20 < sizeof out);
    if (settings)
        snprintf(out + at, sizeof out - at, "%x=%x,", to, value);
    else if (to == base)
        out[at] = (char)value;
}

static void open_quietly(uint16_t at)
{
    settings = true;
    memset(out, 0, sizeof out);
    base = at;
    log_open(at);
    settings = false;
}

static const char *taken(void)
{
    static char copy[sizeof out];

    strcpy(copy, out);
    memset(out, 0, sizeof out);
    return copy;
}

START_TEST(uarts_are_set_to_115200_8n1_and_polled)
{
    open_quietly(0x2f8);
    ck_assert_str_eq(taken(), "2fb=83,2f8=1,2f9=0,2fb=3,2f9=0,2fa=1,2fc=3,");
    looks = 0;
    print("ab\n");
    ck_assert_str_eq(taken(), "ab\n");
    ck_assert_uint_eq(looks, 3);
    line_status = 0;                            /* one that never gets ready: L0 goes on */
    print("x");
    ck_assert_str_eq(taken(), "x");
    ck_assert_uint_eq(pauses, PATIENCE);
    line_status = UART_EMPTY;
    open_quietly(0xe9);
    ck_assert_str_eq(taken(), "");
    looks = 0;
    print("cd");
    ck_assert_str_eq(taken(), "cd");
    ck_assert_uint_eq(looks, 0);
}
END_TEST

START_TEST(formats)
{
    open_quietly(0xe9);
    print("%s %u %l %r %r %r %% %q\n", "text", 4294967295u, 0xfedcba9876543210ull, 0ull, 12ull, 99ull);
    ck_assert_str_eq(taken(), "text 4294967295 0xfedcba9876543210 ok error 12: VMREAD/VMWRITE from/to unsupported VMCS component VMfailInvalid % q\n");
    print("%u %l", 0u, 0ull);
    ck_assert_str_eq(taken(), "0 0x0");
}
END_TEST

/* The count of all, and the last of them in a ring; at the address that the world has. */
START_TEST(memory_is_a_ring)
{
    struct { uint64_t count; char ring[8]; uint64_t behind; } there = { .behind = 7 }, elsewhere = { .behind = 7 };

    open_quietly(0);
    log_memory((uint64_t)&there, (uint64_t)&elsewhere, 16);
    world = IMAGE_LOAD;
    print("abcdefgh");
    ck_assert(there.count == 8 && !memcmp(there.ring, "abcdefgh", 8) && elsewhere.count == 0);
    print("ij");
    ck_assert(there.count == 10 && !memcmp(there.ring, "ijcdefgh", 8) && there.behind == 7);
    world = IMAGE_LOAD + 1;
    there.count = 99;                           /* the guest's memory: what it writes there is not believed */
    print("k");
    ck_assert(elsewhere.count == 11 && elsewhere.ring[2] == 'k' && there.count == 99 && elsewhere.behind == 7);
    log_memory((uint64_t)&there, (uint64_t)&elsewhere, 8);
    print("l");
    log_memory(0, 0, 0);
    print("m");
    ck_assert(elsewhere.count == 11 && elsewhere.ring[3] == 0);
    ck_assert_str_eq(taken(), "");
}
END_TEST

START_TEST(stopping_ends_the_guests_that_have_begun)
{
    open_quietly(0xe9);
    for (unsigned i = 0; i < 4; i++)
        processors[i].ready = i != 2;
    if (!setjmp(halted)) {
        stop("L0 stopped", "a reason");
        ck_abort_msg("it goes on");
    }
    ck_assert_str_eq(taken(), "sesqui: L0 stopped: a reason\n");
    ck_assert_uint_eq(kicked, 1 << 0 | 1 << 3);
    stopped = false;
}
END_TEST

static void event(enum hal_event e, uint64_t a, uint64_t b, uint64_t c, uint64_t d, const char *wanted)
{
    hal_log(e, a, b, c, d);
    ck_assert_str_eq(taken(), wanted);
}

START_TEST(the_trace)
{
    open_quietly(0xe9);
    options.trace = false;
    event(HAL_EVENT_LEVEL, 1, 0x1000, 0, 0, "");
    ck_assert_uint_eq(self.level, 1);
    event(HAL_EVENT_HANDLED, EXIT_REASON_cpuid, 0, 0, 0, "");
    ck_assert_uint_eq(self.level, 1);
    log_exit();
    log_refused();
    ck_assert_str_eq(taken(), "");

    options.trace = options.trace_fields = true;
    fields[0] = EXIT_REASON_cpuid, fields[1] = 0x11, fields[2] = 0x2222;
    log_exit();
    ck_assert_str_eq(taken(), "       12345   1 L1 exit         cpuid qual=0x11 rip=0x2222\n");
    fields[0] = EXIT_REASON_entry_failure_guest_state | EXIT_REASON_ENTRY_FAILURE;
    log_exit();
    ck_assert_str_eq(taken(), "       12345   1 L0 entry-failed vmcs=0xabc000 exit entry_failure_guest_state qual=0x11\n");
    log_refused();
    ck_assert_str_eq(taken(), "       12345   1 L0 entry-failed vmcs=0xabc000 error 7: VM entry with invalid control field(s)\n");
    ck_assert(options.trace_fields);
    log_field(true, VMCS_guest_rip, 0x10);
    ck_assert_str_eq(taken(), "       12345   1 L0 vmx          vmwrite guest_rip=0x10 ok\n");
    log_field(false, VMCS_guest_rip, 0x10);
    ck_assert_str_eq(taken(), "       12345   1 L0 vmx          vmread guest_rip=0x10 ok\n");
#define LINE(event, rest) "       12345   1 L0 " event rest "\n"
    event(HAL_EVENT_LEVEL, 2, 0x1000, 0, 0, LINE("level        ", "L2 vmcs=0x1000"));
    event(HAL_EVENT_HANDLED, EXIT_REASON_cpuid, 0, 0, 0, LINE("handled      ", "cpuid"));
    event(HAL_EVENT_HANDLED, 9999, 0, 0, 0, LINE("handled      ", "unknown"));
    event(HAL_EVENT_REFLECT, EXIT_REASON_hlt, 5, 0, 0, LINE("reflect      ", "hlt qual=0x5"));
    event(HAL_EVENT_REFLECT, EXIT_REASON_entry_failure_msr_loading | EXIT_REASON_ENTRY_FAILURE, 5, 0, 0, LINE("reflect      ", "entry_failure_msr_loading (entry failure) qual=0x5"));
    event(HAL_EVENT_NESTED_ENTRY, 1, 0x3000, 0, 0, LINE("nested-entry ", "vmlaunch vmcs12=0x3000"));
    event(HAL_EVENT_NESTED_ENTRY, 0, 0x3000, 0, 0, LINE("nested-entry ", "vmresume vmcs12=0x3000"));
    event(HAL_EVENT_NESTED_FAIL, 7, 2, 0, 0, LINE("nested-fail  ", "error=0x7 qual=0x2"));
    event(HAL_EVENT_VMX_INSTRUCTION, EXIT_REASON_vmread, VMCS_guest_rip, 4, 0, LINE("emulated     ", "vmread guest_rip=0x4 ok"));
    event(HAL_EVENT_VMX_INSTRUCTION, EXIT_REASON_vmwrite, 0x1234567, 4, 12,
          LINE("emulated     ", "vmwrite unknown=0x4 error 12: VMREAD/VMWRITE from/to unsupported VMCS component"));
    event(HAL_EVENT_VMX_INSTRUCTION, EXIT_REASON_invept, 2, 0x77, 0, LINE("emulated     ", "invept type=2 operand=0x77 ok"));
    event(HAL_EVENT_VMX_INSTRUCTION, EXIT_REASON_vmxoff, 2, 0x77, 0, LINE("emulated     ", "vmxoff ok"));
    event(HAL_EVENT_VMX_INSTRUCTION, EXIT_REASON_vmptrld, 0x4000, 0, 0, LINE("emulated     ", "vmptrld 0x4000 ok"));
    event(HAL_EVENT_INJECT, 14, 2, 0, 0, LINE("inject-l1    ", "vector=14 error=0x2"));
    event(HAL_EVENT_ABORT, 4, 0x5000, 0, 0, LINE("abort-l1     ", "VMX abort 4 vmcs12=0x5000"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv image log");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, uarts_are_set_to_115200_8n1_and_polled);
    tcase_add_test(tcase, formats);
    tcase_add_test(tcase, memory_is_a_ring);
    tcase_add_test(tcase, stopping_ends_the_guests_that_have_begun);
    tcase_add_test(tcase, the_trace);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
