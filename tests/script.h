/* SPDX-License-Identifier: MIT */
/* What tests with scenarios in C strings share: the usual beginnings, and running one. */
#ifndef SESQUI_TESTS_SCRIPT_H
#define SESQUI_TESTS_SCRIPT_H

#include <check.h>
#include <string.h>

#include "emu/scenario/scenario.h"

/* The level is in VMX operation, with an empty VMCS that is current. */
#define IN_ROOT(level)                                                                                              \
    level " prepare vmx\n" level " prepare region 0x10000\n" level " vmxon 0x10000\n" level " prepare region 0x11000\n" \
    level " vmclear 0x11000\n" level " vmptrld 0x11000\n"

static struct scenario_error error;     /* why the latest run was no good */

/* Did every line do what it should? `trace` may be NULL. */
static bool script_run(const char *text, FILE *trace)
{
    struct program program;
    struct scenario_options options = { .trace = trace };
    bool good;

    error.text[0] = 0;
    ck_assert_msg(scenario_parse_text(text, strlen(text), "test", &program, &error), "%s", error.text);
    good = scenario_run(&program, &options, NULL, &error);
    scenario_free(&program);
    return good;
}

#endif
