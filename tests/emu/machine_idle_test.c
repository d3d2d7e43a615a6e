/* SPDX-License-Identifier: MIT */
/* MWAIT on the whole machine: another processor's store, and interrupts, masked and not, end it; where nothing can, the run ends. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emu/load/load.h"
#include "emu/machine/machine.h"
#include "tests/suite.h"

enum { BASE = 0x100000, CODE_AT = 32, REAL_MODE_CODE = 0x8000 };

static struct machine *machine;
static struct machine_result result;

/* The bootstrap processor starts the other one, gives it time to wait, and stores what it waits for. */
extern const uint8_t waker[], waker_end[], sleeper[], sleeper_end[], timer[], timer_end[], nothing[], nothing_end[];
__asm__(".section .rodata\n.intel_syntax noprefix\n.code32\n"
        "waker: mov edi,0xfee00000\n mov dword ptr [edi+0xf0],0x1ff\n"
        " mov dword ptr [edi+0x300],0xc4500\n mov dword ptr [edi+0x300],0xc4608\n"
        "1: pause\n cmp byte ptr [0x9100],1\n jne 1b\n"
        " mov ecx,100000\n2: dec ecx\n jnz 2b\n"
        " mov byte ptr [0x9020],7\n"
        "3: pause\n movzx eax,byte ptr [0x9101]\n test eax,eax\n jz 3b\n out 0xf4,eax\n"
        "waker_end:\n"
        ".code16\n"
        "sleeper: xor ax,ax\n mov ds,ax\n mov ax,0x9000\n xor ecx,ecx\n xor edx,edx\n .byte 0x0f,0x01,0xc8\n"
        " mov byte ptr [0x9100],1\n xor eax,eax\n .byte 0x0f,0x01,0xc9\n"
        " mov al,byte ptr [0x9020]\n mov byte ptr [0x9101],al\n cli\n hlt\n"
        "sleeper_end:\n"
        /* IRQ 0 ends the first wait and is handled; it ends the second one and is not. */
        "timer: xor ax,ax\n mov ds,ax\n mov ax,0x9000\n xor ecx,ecx\n xor edx,edx\n sti\n .byte 0x0f,0x01,0xc8\n .byte 0x0f,0x01,0xc9\n"
        " cli\n mov ax,0x9000\n .byte 0x0f,0x01,0xc8\n inc ecx\n .byte 0x0f,0x01,0xc9\n"
        " mov ax,0x40\n mov ds,ax\n mov eax,[0x6c]\n out 0xf4,eax\n"
        "timer_end:\n"
        "nothing: xor ax,ax\n mov ds,ax\n mov ax,0x9000\n xor ecx,ecx\n xor edx,edx\n cli\n .byte 0x0f,0x01,0xc8\n .byte 0x0f,0x01,0xc9\n"
        "nothing_end:\n.code64\n.att_syntax\n.text\n");
#define CODE(name) name, (size_t)(name##_end - name)

static void boot(unsigned cpus, const uint8_t *code, size_t size)
{
    char path[] = "/tmp/sesqui-idle-XXXXXX", error[400];
    const uint32_t header[8] = { 0x1badb002, 0x10000, -(0x1badb002u + 0x10000), BASE, BASE, 0, 0, BASE + CODE_AT };
    FILE *file = fdopen(mkstemp(path), "wb");

    fwrite(header, sizeof header, 1, file);
    fwrite(code, 1, size, file);
    fclose(file);
    machine = machine_open(&(struct machine_options){ .memory_size = 16 << 20, .cpus = cpus, .limit = 10000000 }, error, sizeof error);
    ck_assert_msg(machine, "%s", error);
    struct load_request request = { .image = path };
    bool done = load_image(machine_model(machine), &request, error, sizeof error);
    unlink(path);
    ck_assert_msg(done, "%s", error);
}

static void run_real_mode(const uint8_t *code, size_t size)
{
    struct cpu *cpu;

    boot(1, (const uint8_t[]){ 0xf4 }, 1);
    cpu = machine_cpu(machine, 0);
    memory_write(&machine_model(machine)->memory, REAL_MODE_CODE, code, size);
    cpu->cr0 &= ~CR0_PE;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        cpu->seg[s] = (struct segment){ 0, s == SEG_CS ? 0x9b : 0x93, 0xffff, 0 };
    cpu->idtr = (struct table_register){ 0, 0x3ff };
    cpu->rip = REAL_MODE_CODE;
    cpu->gpr[RSP] = 0x7000;
    machine_run(machine, &result);
}

static void expect(enum machine_end end, uint32_t value)
{
    ck_assert_msg(result.end == end, "end %d: %s", result.end, result.message);
    ck_assert_uint_eq(result.value, value);
}

START_TEST(a_store_of_another_processor)
{
    boot(2, CODE(waker));
    memory_write(&machine_model(machine)->memory, REAL_MODE_CODE, CODE(sleeper));
    machine_run(machine, &result);
    expect(MACHINE_EXITED, 7);
    ck_assert_uint_gt(machine_cpu(machine, 1)->idle, 50000);            /* it did wait */
    ck_assert_uint_eq(machine_cpu(machine, 1)->instructions, 13);
    machine_close(machine);
}
END_TEST

START_TEST(interrupts)
{
    run_real_mode(CODE(timer));
    expect(MACHINE_EXITED, 1);
    ck_assert_uint_ge(machine_cpu(machine, 0)->clock, 109850000);       /* two periods of channel 0 */
    ck_assert_uint_lt(machine_cpu(machine, 0)->clock, 109854000);
    ck_assert_uint_gt(machine_cpu(machine, 0)->idle, 109000000);
    machine_close(machine);
}
END_TEST

START_TEST(nothing_wakes_it)
{
    run_real_mode(CODE(nothing));
    expect(MACHINE_DEAD_HALT, 0);
    ck_assert_msg(strstr(result.message, "interrupts are off"), "%s", result.message);
    machine_close(machine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("idle");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, a_store_of_another_processor);
    tcase_add_test(tcase, interrupts);
    tcase_add_test(tcase, nothing_wakes_it);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
