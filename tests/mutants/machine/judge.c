/* SPDX-License-Identifier: MIT */
/*
 * The unit tests of one room in one program: its arguments name those that are run, in that order; all of them without any. Each is announced by
 * a line "> NAME". The list of them is made by tests/mutants/machine.mk: UNIT_TEST(name).
 */
#include <stdio.h>
#include <string.h>

#define UNIT_TEST(name) int main_of_##name(void);
#include "tests.def"
#undef UNIT_TEST

static const struct {
    const char *name;
    int (*run)(void);
} tests[] = {
#define UNIT_TEST(name) { #name, main_of_##name },
#include "tests.def"
};

int main(int argc, char **argv)
{
    for (int i = 1; i < argc || (argc == 1 && i <= (int)(sizeof tests / sizeof tests[0])); i++) {
        const char *name = argc == 1 ? tests[i - 1].name : argv[i];
        unsigned at = 0;

        while (at < sizeof tests / sizeof tests[0] && strcmp(tests[at].name, name) != 0)
            at++;
        if (at == sizeof tests / sizeof tests[0]) {
            fprintf(stderr, "no test is named \"%s\"\n", name);
            return 127;
        }
        printf("> %s\n", name);
        fflush(stdout);
        if (tests[at].run() != 0)
            return 1;
    }
    return 0;
}
