/* SPDX-License-Identifier: MIT */
/* The loop over the list: see vectors.h. */
#include "scenarios/guests/vectors/vectors.h"

#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/processor.h"

enum { EXIT_LIST = 1, EXIT_NOT_OFFERED = 2 };
enum { INFORMATION_MODULES = 1 << 3 };

/* Multiboot Specification 0.6.96, 3.3: what we read of it. */
struct multiboot { uint32_t flags, memory[2], boot_device, command_line, module_count, modules; };
struct module { uint32_t start, end, string, reserved; };

unsigned main(const struct multiboot *information);

/* False: one of them names a field that this processor does not have. */
static bool apply(struct changes changes)
{
    bool all = true;

    for (unsigned i = 0; i < changes.count; i++)
        all &= change_apply(&changes.change[i]);
    return all;
}

static void try_vector(struct text name, struct changes base, struct changes own)
{
    bool complete;

    print_text(name);
    print(": ");
    start_afresh(list_memory());
    apply(base);                /* a base may hold fields of controls that are not offered: they stay unused */
    complete = apply(own);
    invept(INVEPT_ALL_CONTEXT, 0);
    invvpid(INVVPID_ALL_CONTEXT, 0, 0);
    guest_state_note();
    print_verdict();
    print_unoffered();
    print(complete ? "\n" : " absent\n");
}

unsigned main(const struct multiboot *information)
{
    const struct module *module = (const struct module *)(uint64_t)information->modules;
    struct changes base, own;
    struct text name;
    const char *missing;
    unsigned count = 0;

    console_open();
    idt_load();
    if (!(information->flags & INFORMATION_MODULES) || !information->module_count) {
        print("vectors: no boot module with a list of vectors\n");
        return EXIT_LIST;
    }
    missing = vmx_start();
    if (missing) {
        print("vectors: this processor does not offer what it needs: %s\n", missing);
        return EXIT_NOT_OFFERED;
    }
    list_open((struct text){ (const char *)(uint64_t)module->start, (const char *)(uint64_t)module->end });
    machine_print();
    host_remember();
    for (; list_next(&name, &base, &own); count++)
        try_vector(name, base, own);
    print("vectors: %u tried\n", count);
    return 0;
}
