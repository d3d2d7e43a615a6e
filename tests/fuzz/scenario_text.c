/* SPDX-License-Identifier: MIT */
/*
 * The parser of scenarios on hostile texts. What must hold: no crash; a refusal says "name:line: ..." in one line; what it
 * accepts prints as a text that parses to the same print.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "emu/scenario/scenario.h"
#include "tests/fuzz/words.h"

static char *print(const struct program *program, size_t *length)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, length);

    FUZZ_ASSERT(to);
    scenario_print(program, to);
    fclose(to);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct program program, again;
    struct scenario_error error = { "" };
    size_t length, length_again;

    if (!scenario_parse_text((const char *)data, size, "fuzz", &program, &error)) {
        FUZZ_ASSERT(strncmp(error.text, "fuzz:", 5) == 0 && !strchr(error.text, '\n'));
        return 0;
    }
    char *text = print(&program, &length);
    FUZZ_ASSERT(scenario_parse_text(text, length, "fuzz", &again, &error));
    char *text_again = print(&again, &length_again);
    FUZZ_ASSERT(length == length_again && memcmp(text, text_again, length) == 0);
    free(text);
    free(text_again);
    scenario_free(&program);
    scenario_free(&again);
    return 0;
}

/* The words of the language: from its table, and the arguments that occur. */
static const char *const words[] = {
#define SECTION(title)
#define OP(id, who, instruction, syntax, text) syntax,
#include "emu/scenario/ops.def"
    "l0 ", "l1 ", "l2 ", "0x1000", "4096", "0xffffffffffffffff", "18446744073709551616", "-1", "guest_rip", "rax", "cr0",
    "ia32_efer", "machine memory=64M cpus=2 seed=3", "repeat 3", "end", "\"text\"", "include parts/guest.scn", "#", "0x", "=",
    "expect exit cpuid", "expect entry failed guest.cs.type", "vmwrite guest_rip 0x1000", "cpuid 0", "prepare vmx",
    "prepare guest", "vmlaunch", "vmresume", "expect value 1", "expect ok", "interrupt 32", "nmi", "time 100", "read 0x1000 8",
};

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    size_t size = 0;

    for (unsigned lines = 1 + fuzz_below(random, 12); lines; lines--) {
        if (fuzz_below(random, 2))
            size = fuzz_append(to, size, words[sizeof words / sizeof words[0] - 33 + fuzz_below(random, 3)]);
        for (unsigned i = 1 + fuzz_below(random, 3); i; i--) {
            size = fuzz_append(to, size, words[fuzz_below(random, sizeof words / sizeof words[0])]);
            size = fuzz_append(to, size, fuzz_below(random, 8) ? " " : "");
        }
        size = fuzz_append(to, size, "\n");
    }
    return fuzz_below(random, 2) ? fuzz_damage(random, to, size) : size;
}
