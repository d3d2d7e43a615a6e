/* SPDX-License-Identifier: MIT */
/* Whole runs of small images: how each kind of end is reported, timers, processors. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emu/load/load.h"
#include "emu/machine/machine.h"
#include "tests/suite.h"

enum { BASE = 0x100000, CODE_AT = 32 };

static struct machine *machine;
static struct machine_result result;
static char *console, *trace;
static size_t console_size, trace_size;
static FILE *console_file, *trace_file;

static uint64_t seed;

static void open_machine(unsigned cpus, uint64_t limit)
{
    char error[400];
    console_file = open_memstream(&console, &console_size);
    trace_file = open_memstream(&trace, &trace_size);
    machine = machine_open(&(struct machine_options){ .memory_size = 16 << 20, .cpus = cpus, .limit = limit, .seed = seed,
                                                      .console = console_file, .trace = trace_file }, error, sizeof error);
    ck_assert_msg(machine, "%s", error);
}

static void close_machine(void)
{
    machine_close(machine);
    fclose(console_file);
    fclose(trace_file);
    free(console);
    free(trace);
}

/* A multiboot image: header, then `code` at 0x100020. */
static void load(const uint8_t *code, size_t size)
{
    char path[] = "/tmp/sesqui-run-XXXXXX", error[400];
    uint32_t header[8] = { 0x1badb002, 0x10000, -(0x1badb002u + 0x10000), BASE, BASE, 0, 0, BASE + CODE_AT };
    FILE *file = fdopen(mkstemp(path), "wb");
    fwrite(header, sizeof header, 1, file);
    fwrite(code, 1, size, file);
    fclose(file);
    struct load_request request = { .image = path };
    bool done = load_image(machine_model(machine), &request, error, sizeof error);
    unlink(path);
    ck_assert_msg(done, "%s", error);
}

static void run(const uint8_t *code, size_t size, unsigned cpus, uint64_t limit)
{
    open_machine(cpus, limit);
    load(code, size);
    machine_run(machine, &result);
    fflush(console_file);
    fflush(trace_file);
}
#define RUN(code, limit) run(code, sizeof code, 1, limit)

static void expect(enum machine_end end, int status, const char *words)
{
    ck_assert_msg(result.end == end, "end %d: %s", result.end, result.message);
    ck_assert_int_eq(machine_exit_status(&result), status);
    ck_assert_msg(strstr(result.message, words), "%s", result.message);
    ck_assert_ptr_null(strchr(result.message, '\n'));
    close_machine();
}

START_TEST(exit_values)
{
    static const struct { uint32_t value; int status; const char *words; } row[] = {
        { 0, 0, "" }, { 1, 1, "" }, { 99, 99, "" }, { 100, 99, "value 100" }, { 0xffffffff, 99, "0xffffffff" },
    };
    uint8_t code[] = { 0xb8, 0, 0, 0, 0, 0xe7, 0xf4, 0xeb, 0xfe };      /* mov eax, value; out 0xf4, eax; jmp $ */
    memcpy(code + 1, &row[_i].value, 4);
    RUN(code, 100);
    ck_assert_uint_eq(machine_cpu(machine, 0)->instructions, 2);
    expect(MACHINE_EXITED, row[_i].status, row[_i].words);
}
END_TEST

START_TEST(limit)
{
    static const uint8_t code[] = { 0xeb, 0xfe };                       /* jmp $ */
    RUN(code, 100000);
    ck_assert_uint_ge(machine_cpu(machine, 0)->instructions, 100000);
    ck_assert_uint_lt(machine_cpu(machine, 0)->instructions, 101000);
    expect(MACHINE_LIMIT, 120, "100000");
}
END_TEST

START_TEST(dead_halts)
{
    static const uint8_t off[] = { 0xfa, 0xf4 };                        /* cli; hlt */
    static const uint8_t on[] = { 0xb0, 0xff, 0xe6, 0x21, 0xfb, 0xf4 }; /* mov al, 0xff; out 0x21, al; sti; hlt */
    RUN(off, 1000);
    expect(MACHINE_DEAD_HALT, 121, "interrupts are off");
    RUN(on, 1000);
    expect(MACHINE_DEAD_HALT, 121, "no timer");
}
END_TEST

/* Real mode as firmware leaves it: two ticks of IRQ 0 end two HLTs; a service says that it is not there. */
extern const uint8_t in_real_mode[], in_real_mode_end[];
__asm__(".section .rodata\n.intel_syntax noprefix\n.code16\n"
        "in_real_mode: sti\n hlt\n hlt\n cli\n"
        " mov ax,0x40\n mov ds,ax\n mov ebx,[0x6c]\n"
        " clc\n int 0x15\n jnc 1f\n cmp ah,0x86\n jne 1f\n"
        " mov ax,word ptr [0x13]\n cmp ax,639\n jne 1f\n"
        " mov eax,ebx\n out 0xf4,eax\n"
        "1: mov eax,99\n out 0xf4,eax\n"
        "in_real_mode_end:\n.code64\n.att_syntax\n.text\n");
/* Runs `code` in real mode at 0000:8000. */
static void run_real_mode(const uint8_t *code, size_t size, uint64_t most)
{
    static const uint8_t nothing[] = { 0xf4 };
    open_machine(1, most);
    load(nothing, sizeof nothing);
    struct cpu *cpu = machine_cpu(machine, 0);
    memory_write(&machine_model(machine)->memory, 0x8000, code, size);
    cpu->cr0 &= ~CR0_PE;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        cpu->seg[s] = (struct segment){ 0, s == SEG_CS ? 0x9b : 0x93, 0xffff, 0 };
    cpu->idtr = (struct table_register){ 0, 0x3ff };
    cpu->rip = 0x8000;
    cpu->gpr[RSP] = 0x7000;
    machine_run(machine, &result);
}

START_TEST(firmware)
{
    run_real_mode(in_real_mode, (size_t)(in_real_mode_end - in_real_mode), 0);
    ck_assert_uint_ge(machine_cpu(machine, 0)->clock, 109850000);       /* 2 * 65536 / 1193182 seconds */
    ck_assert_uint_lt(machine_cpu(machine, 0)->clock, 109854000);
    expect(MACHINE_EXITED, 2, "");
}
END_TEST

/* Vector 8 := 0000:800F, an IRET: IRQ 0 is never ended, so that no tick comes again. Then sti; hlt; jmp hlt. */
START_TEST(waiting_meets_the_limit)
{
    static const uint8_t code[] = { 0xc7, 0x06, 0x20, 0, 0x0f, 0x80, 0x31, 0xc0, 0xa3, 0x22, 0, 0xfb, 0xf4, 0xeb, 0xfd, 0xcf };
    run_real_mode(code, sizeof code, 1000);
    ck_assert_uint_eq(machine_cpu(machine, 0)->instructions, 8);
    expect(MACHINE_LIMIT, 120, "1000");
}
END_TEST

START_TEST(triple_fault)
{
    /* push dword 0; push dword 0; lidt [esp]; ud2 */
    static const uint8_t code[] = { 0xbc, 0, 0, 0x20, 0, 0x6a, 0, 0x6a, 0, 0x0f, 0x01, 0x1c, 0x24, 0x0f, 0x0b };
    RUN(code, 1000);
    ck_assert_ptr_nonnull(strstr(trace, "shutdown"));
    expect(MACHINE_SHUTDOWN, 121, "(triple fault): #UD at rip 0x10002d");
}
END_TEST

START_TEST(console_is_the_uart)
{
    /* mov dx, 0x3f8; mov al, 'x'; out dx, al; xor eax, eax; out 0xf4, eax */
    static const uint8_t code[] = { 0x66, 0xba, 0xf8, 0x03, 0xb0, 'x', 0xee, 0x31, 0xc0, 0xe7, 0xf4 };
    RUN(code, 1000);
    ck_assert_str_eq(console, "x");
    expect(MACHINE_EXITED, 0, "");
}
END_TEST

/*
 *      lgdt [gdtr]; lidt [idtr]; gate 0x40 = handler; mov esp, 0x120000
 *      local APIC: on, divide by 1, LVT timer = 0x40, initial count = 100000
 *      xor eax, eax; sti; hlt; out 0xf4, eax
 * handler: mov al, 5; EOI; iret
 */
static const uint8_t timer_code[] = {
    0x0f, 0x01, 0x15, 0x87, 0x00, 0x10, 0x00, 0x0f, 0x01, 0x1d, 0x8d, 0x00, 0x10, 0x00, 0xc7, 0x05, 0x00, 0x02, 0x11, 0x00,
    0x7a, 0x00, 0x08, 0x00, 0xc7, 0x05, 0x04, 0x02, 0x11, 0x00, 0x00, 0x8e, 0x10, 0x00, 0xbc, 0x00, 0x00, 0x12, 0x00, 0xbf,
    0x00, 0x00, 0xe0, 0xfe, 0xc7, 0x87, 0xf0, 0x00, 0x00, 0x00, 0xff, 0x01, 0x00, 0x00, 0xc7, 0x87, 0xe0, 0x03, 0x00, 0x00,
    0x0b, 0x00, 0x00, 0x00, 0xc7, 0x87, 0x20, 0x03, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0xc7, 0x87, 0x80, 0x03, 0x00, 0x00,
    0xa0, 0x86, 0x01, 0x00, 0x31, 0xc0, 0xfb, 0xf4, 0xe7, 0xf4, 0xb0, 0x05, 0xc7, 0x87, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0xcf, 0x17, 0x00, 0x98, 0x00, 0x10, 0x00, 0xff, 0x07, 0x00, 0x00, 0x11, 0x00, 0x90, 0x90, 0x90, 0x90, 0x90,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xcf, 0x00, 0xff, 0xff, 0x00, 0x00,
    0x00, 0x93, 0xcf, 0x00,
};

START_TEST(timer_ends_a_halt)
{
    RUN(timer_code, 1000);
    ck_assert_uint_lt(machine_cpu(machine, 0)->instructions, 100);
    ck_assert_uint_ge(machine_cpu(machine, 0)->clock, 100000);
    ck_assert_uint_lt(machine_cpu(machine, 0)->clock, 101100);
    ck_assert_ptr_nonnull(strstr(trace, "interrupt 64"));
    expect(MACHINE_EXITED, 5, "");
}
END_TEST

/* An invalid opcode whose handler is the same invalid opcode: nothing is ever retired, the limit still holds. */
static const uint8_t endless_fault[] = {
    0x0f, 0x01, 0x15, 0x49, 0x00, 0x10, 0x00, 0x0f, 0x01, 0x1d, 0x4f, 0x00, 0x10, 0x00, 0xc7, 0x05, 0x30, 0x00, 0x11, 0x00,
    0x47, 0x00, 0x08, 0x00, 0xc7, 0x05, 0x34, 0x00, 0x11, 0x00, 0x00, 0x8e, 0x10, 0x00, 0xbc, 0x00, 0x00, 0x12, 0x00, 0x0f,
    0x0b, 0x17, 0x00, 0x58, 0x00, 0x10, 0x00, 0xff, 0x07, 0x00, 0x00, 0x11, 0x00, 0x90, 0x90, 0x90, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xcf, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x93, 0xcf, 0x00,
};

START_TEST(endless_faults_meet_the_limit)
{
    RUN(endless_fault, 5000);
    expect(MACHINE_LIMIT, 120, "5000");
}
END_TEST

/*
 *      copy ap to 0x8000; APIC on; INIT and SIPI (vector 8) to all but self
 * spin: pause; cmp byte [0x9000], 3; jne spin; mov eax, 9; out 0xf4, eax
 * ap (16-bit): if CS is 0x800: lock inc byte [0x9000]; cli; hlt
 */
static const uint8_t startup_code[] = {
    0xbe, 0x66, 0x00, 0x10, 0x00, 0xbf, 0x00, 0x80, 0x00, 0x00, 0xb9, 0x13, 0x00, 0x00, 0x00, 0xf3, 0xa4, 0xbf, 0x00, 0x00,
    0xe0, 0xfe, 0xc7, 0x87, 0xf0, 0x00, 0x00, 0x00, 0xff, 0x01, 0x00, 0x00, 0xc7, 0x87, 0x00, 0x03, 0x00, 0x00, 0x00, 0x45,
    0x0c, 0x00, 0xc7, 0x87, 0x00, 0x03, 0x00, 0x00, 0x08, 0x46, 0x0c, 0x00, 0xf3, 0x90, 0x80, 0x3d, 0x00, 0x90, 0x00, 0x00,
    0x03, 0x75, 0xf5, 0xb8, 0x09, 0x00, 0x00, 0x00, 0xe7, 0xf4, 0x8c, 0xc8, 0x31, 0xdb, 0x8e, 0xdb, 0x3d, 0x00, 0x08, 0x75,
    0x06, 0xf0, 0x3e, 0xfe, 0x06, 0x00, 0x90, 0xfa, 0xf4,
};

START_TEST(processors_start)
{
    run(startup_code, sizeof startup_code, 4, 10000000);
    ck_assert_uint_lt(machine_cpu(machine, 0)->instructions, 100);      /* its PAUSE gives up the turn */
    ck_assert_uint_ge(machine_cpu(machine, 0)->clock, 20000);
    expect(MACHINE_EXITED, 9, "");
}
END_TEST

/* The same image and seed give the same trace and the same clocks. */
START_TEST(repeatable)
{
    uint64_t clock;
    char *first;

    seed = (unsigned)_i;
    run(startup_code, sizeof startup_code, 4, 10000000);
    first = strdup(trace);
    clock = machine_cpu(machine, 0)->clock;
    expect(MACHINE_EXITED, 9, "");
    run(startup_code, sizeof startup_code, 4, 10000000);
    ck_assert_str_eq(trace, first);
    ck_assert_uint_eq(machine_cpu(machine, 0)->clock, clock);
    expect(MACHINE_EXITED, 9, "");
    free(first);
}
END_TEST

START_TEST(seeds_vary_the_turns)
{
    uint64_t clock[2];
    for (seed = 0; seed < 2; seed++) {
        run(startup_code, sizeof startup_code, 4, 10000000);
        clock[seed] = machine_cpu(machine, 0)->clock;
        expect(MACHINE_EXITED, 9, "");
    }
    ck_assert_uint_ne(clock[0], clock[1]);
}
END_TEST

START_TEST(refused_options)
{
    static const struct { struct machine_options options; const char *words; } row[] = {
        { { .memory_size = 0, .cpus = 1 }, "1 MB to 4 GB" },
        { { .memory_size = (1 << 20) + 4096, .cpus = 1 }, "1 MB to 4 GB" },
        { { .memory_size = (4ull << 30) + (1 << 20), .cpus = 1 }, "1 MB to 4 GB" },
        { { .memory_size = 1 << 20, .cpus = 0 }, "1 to 80" },
        { { .memory_size = 1 << 20, .cpus = MODEL_CPU_MAX + 1 }, "1 to 80" },
    };
    char error[400];
    ck_assert_ptr_null(machine_open(&row[_i].options, error, sizeof error));
    ck_assert_msg(strstr(error, row[_i].words), "%s", error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine_run");
    TCase *tcase = tcase_create("machine");
    tcase_add_loop_test(tcase, exit_values, 0, 5);
    tcase_add_test(tcase, limit);
    tcase_add_test(tcase, dead_halts);
    tcase_add_test(tcase, firmware);
    tcase_add_test(tcase, waiting_meets_the_limit);
    tcase_add_test(tcase, triple_fault);
    tcase_add_test(tcase, console_is_the_uart);
    tcase_add_test(tcase, timer_ends_a_halt);
    tcase_add_test(tcase, endless_faults_meet_the_limit);
    tcase_add_test(tcase, processors_start);
    tcase_add_loop_test(tcase, repeatable, 0, 4);
    tcase_add_test(tcase, seeds_vary_the_turns);
    tcase_add_loop_test(tcase, refused_options, 0, 5);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
