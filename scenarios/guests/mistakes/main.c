/* SPDX-License-Identifier: MIT */
/* Makes the mistake that is the last word of the command line. An IDT is loaded, faults end the program (status 98). */
#include <stddef.h>

#include "scenarios/guests/lib/late.h"
#include "scenarios/guests/lib/second.h"
#include "scenarios/guests/mistakes/mistakes.h"

enum { STATUS_NO_SUCH_MISTAKE = 96, STATUS_TOO_EARLY = 97 };

unsigned main(const void *information);

struct guest guest_of_mistakes;

void must(bool done, const char *what)
{
    if (done)
        return;
    print("mistakes: %s\n", what);
    quit(STATUS_TOO_EARLY);
}

void start_vmx(void)
{
    const char *missing = vmx_start();

    must(!missing, missing ? missing : "");
}

void start_guest(const uint8_t *start, const uint8_t *end)
{
    static const struct controls controls = { .proc = PROC_hlt_exiting, .entry = ENTRY_ia32e_mode_guest };

    start_vmx();
    const char *missing = guest_create(&guest_of_mistakes, 1, &controls, start, end);
    must(!missing, missing ? missing : "");
    guest_long_mode(&guest_of_mistakes);
}

void (*volatile second_does)(void);

void second_main(void)
{
    idt_load();
    for (;;) {
        while (!second_does)
            __asm__ volatile("pause");
        second_does();
        second_does = NULL;
    }
}

unsigned main(const void *information)
{
    const struct mistake *const tables[] = { mistakes_of_instructions, mistakes_of_shutdown, mistakes_of_memory,
                                            mistakes_of_hangs, mistakes_of_ept, mistakes_of_entries,
                                            mistakes_of_registers, mistakes_of_failed_entries, mistakes_of_unwritten_fields, mistakes_of_reentries, mistakes_of_ipis, mistakes_of_messages,
                                            mistakes_of_emulation, mistakes_of_host_state, mistakes_of_undefined_instructions, mistakes_of_state };

    console_open();
    idt_load();
    for (unsigned i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct mistake *mistake = tables[i]; mistake->name; mistake++)
            if (late_asked(information, mistake->name)) {
                mistake->make();
                print("mistakes: %s: it went on\n", mistake->name);
                return 0;
            }
    print("mistakes: no such mistake\n");
    return STATUS_NO_SUCH_MISTAKE;
}
