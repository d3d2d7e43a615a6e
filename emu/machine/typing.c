/* SPDX-License-Identifier: MIT */
/*
 * A person at the console. Only here the host's time counts: typed bytes come when they come, and while all processors wait, virtual time passes
 * no faster than the host's.
 */
#include <signal.h>

#include "emu/machine/parts.h"
#include "model/cpu/monitor.h"

enum { TYPING_INTERVAL = 1000000 /* of virtual time, between two looks */, INTERRUPT_KEY = 3 /* Ctrl-C */, PATIENCE = 100000000 };

/* Ctrl-C is for whoever reads what is typed, and that may be nobody: nothing was taken of what came a while ago, or nothing came yet. */
static bool nobody_reads(const struct machine *machine, uint64_t now)
{
    return !machine->board.uart[0].heard && (!machine->first_typed || now - machine->first_typed > PATIENCE);
}

bool machine_typed(struct machine *machine, uint64_t now, uint64_t wake)
{
    const struct typist *typist = &machine->options.typist;
    struct uart *uart = &machine->board.uart[0];
    bool typed = false;
    int key;

    if (!typist->next)
        return false;
    if (machine->options.console)
        fflush(machine->options.console);
    machine->typed = now + TYPING_INTERVAL;
    while (uart_room(uart) && (key = typist->next(typist->context, typed || wake <= now ? 0 : wake - now)) != TYPED_NOTHING) {
        if (key == TYPED_END || (key == INTERRUPT_KEY && nobody_reads(machine, now))) {
            machine_interrupt(machine, SIGINT);
            return true;
        }
        if (!machine->first_typed)
            machine->first_typed = now;
        uart_type(uart, (uint8_t)key, now);
        typed = true;
    }
    return typed;
}

bool machine_awaits_typing(const struct machine *machine, const struct cpu *cpu)
{
    return machine->options.typist.next && cpu_idles(cpu) && interrupts_wake(cpu);
}
