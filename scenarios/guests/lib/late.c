/* SPDX-License-Identifier: MIT */
/* The table of arch/late_load.h, among the multiboot modules (Multiboot 0.6.96, 3.3). */
#include "scenarios/guests/lib/late.h"

#include <stddef.h>

struct information { uint32_t flags, memory[2], boot_device, command_line, module_count, modules; };
struct module { uint32_t start, end, text, reserved; };
enum { INFORMATION_COMMAND_LINE = 1 << 2, INFORMATION_MODULES = 1 << 3 };

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

bool late_asked(const void *multiboot, const char *word)
{
    const struct information *information = multiboot;
    const char *line = (const char *)(uint64_t)information->command_line, *last = line;

    if (!(information->flags & INFORMATION_COMMAND_LINE))
        return false;
    for (; *line; line++)
        if (*line == ' ')
            last = line + 1;
    return same(last, word);
}

late_load *late_find(const void *multiboot)
{
    const struct information *information = multiboot;
    const struct module *module = (const struct module *)(uint64_t)information->modules;

    for (uint32_t i = 0; information->flags & INFORMATION_MODULES && i < information->module_count; i++) {
        const uint64_t *table = (const uint64_t *)(uint64_t)module[i].start;
        if (same((const char *)(uint64_t)module[i].text, LATE_MODULE) && table[0] == LATE_SIGNATURE)
            return (late_load *)table[1];
    }
    return NULL;
}
