/* SPDX-License-Identifier: MIT */
/* How a Check program ends: runs its suite as the environment wants it (CK_FORK, CK_VERBOSITY). */
#ifndef SESQUI_TESTS_SUITE_H
#define SESQUI_TESTS_SUITE_H

#include <check.h>

/* The exit status: 0 if every test passed. */
static inline int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
