/* SPDX-License-Identifier: MIT */
/*
 * What our unit tests use of the Check library, for `make mutants-machine`: many thousand times all of them. Check itself writes a
 * file for each assertion and goes on after a failure; here the first one ends the process, with status 1.
 */
#ifndef SESQUI_TESTS_MUTANTS_MACHINE_CHECK_H
#define SESQUI_TESTS_MUTANTS_MACHINE_CHECK_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TESTS_MAX = 200, CASES_MAX = 16, CK_ENV = 0 };

typedef struct {
    void (*run)(int);
    int from, to;
} TTest;
typedef struct {
    void (*setup)(void), (*teardown)(void);
    TTest test[TESTS_MAX];
    unsigned count;
} TCase;
typedef struct {
    TCase *tcase[CASES_MAX];
    unsigned count;
} Suite;
typedef Suite SRunner;

#define START_TEST(name) static void name(int _i) { (void)_i;
#define END_TEST }

__attribute__((noreturn, format(printf, 3, 4))) static void check_failed(const char *file, int line, const char *text, ...)
{
    va_list list;

    va_start(list, text);
    printf("%s:%d:F: ", file, line);
    vprintf(text, list);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

static inline Suite *suite_create(const char *name) { (void)name; return calloc(1, sizeof(Suite)); }
static inline TCase *tcase_create(const char *name) { (void)name; return calloc(1, sizeof(TCase)); }
static inline void suite_add_tcase(Suite *s, TCase *t)
{
    if (s->count == CASES_MAX)
        check_failed(__FILE__, __LINE__, "too many cases");
    s->tcase[s->count++] = t;
}
static inline void tcase_add_loop_test(TCase *t, void (*run)(int), int from, int to)
{
    if (t->count == TESTS_MAX)
        check_failed(__FILE__, __LINE__, "too many tests");
    t->test[t->count++] = (TTest){ run, from, to };
}
static inline void tcase_add_test(TCase *t, void (*run)(int)) { tcase_add_loop_test(t, run, 0, 1); }
static inline void tcase_add_checked_fixture(TCase *t, void (*setup)(void), void (*teardown)(void))
{
    t->setup = setup;
    t->teardown = teardown;
}
static inline void tcase_set_timeout(TCase *t, double seconds) { (void)t; (void)seconds; }
static inline SRunner *srunner_create(Suite *s) { return s; }
static inline void srunner_run_all(SRunner *s, int how)
{
    (void)how;
    for (unsigned c = 0; c < s->count; c++) {
        TCase *t = s->tcase[c];

        for (unsigned i = 0; i < t->count; i++) {
            for (int n = t->test[i].from; n < t->test[i].to; n++) {
                if (t->setup)
                    t->setup();
                t->test[i].run(n);
                if (t->teardown)
                    t->teardown();
            }
        }
    }
}
static inline int srunner_ntests_failed(SRunner *s) { (void)s; return 0; }
static inline void srunner_free(SRunner *s) { (void)s; }

#define ck_abort_msg(...) check_failed(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(holds, ...) ((holds) ? (void)0 : check_failed(__FILE__, __LINE__, __VA_ARGS__))
#define ck_assert(holds) ck_assert_msg(holds, "%s", #holds)
#define CK_COMPARE(type, format, a, op, b)                                                                            \
    do {                                                                                                              \
        type a_ = (a);                                                                                                \
        type b_ = (b);                                                                                                \
        if (!(a_ op b_))                                                                                              \
            check_failed(__FILE__, __LINE__, "%s " #op " %s: " format ", " format, #a, #b, a_, b_);                    \
    } while (0)
#define ck_assert_int_eq(a, b) CK_COMPARE(intmax_t, "%jd", a, ==, b)
#define ck_assert_int_ne(a, b) CK_COMPARE(intmax_t, "%jd", a, !=, b)
#define ck_assert_uint_eq(a, b) CK_COMPARE(uintmax_t, "%ju", a, ==, b)
#define ck_assert_uint_ne(a, b) CK_COMPARE(uintmax_t, "%ju", a, !=, b)
#define ck_assert_int_lt(a, b) CK_COMPARE(intmax_t, "%jd", a, <, b)
#define ck_assert_int_le(a, b) CK_COMPARE(intmax_t, "%jd", a, <=, b)
#define ck_assert_int_gt(a, b) CK_COMPARE(intmax_t, "%jd", a, >, b)
#define ck_assert_int_ge(a, b) CK_COMPARE(intmax_t, "%jd", a, >=, b)
#define ck_assert_uint_lt(a, b) CK_COMPARE(uintmax_t, "%ju", a, <, b)
#define ck_assert_uint_le(a, b) CK_COMPARE(uintmax_t, "%ju", a, <=, b)
#define ck_assert_uint_gt(a, b) CK_COMPARE(uintmax_t, "%ju", a, >, b)
#define ck_assert_uint_ge(a, b) CK_COMPARE(uintmax_t, "%ju", a, >=, b)
#define ck_assert_ptr_eq(a, b) CK_COMPARE(const void *, "%p", a, ==, b)
#define ck_assert_ptr_ne(a, b) CK_COMPARE(const void *, "%p", a, !=, b)
#define ck_assert_ptr_null(a) ck_assert_ptr_eq(a, NULL)
#define ck_assert_ptr_nonnull(a) ck_assert_ptr_ne(a, NULL)
#define CK_STRINGS(a, op, b)                                                                                          \
    do {                                                                                                              \
        const char *a_ = (a), *b_ = (b);                                                                              \
        if (!a_ || !b_ || !(strcmp(a_, b_) op 0))                                                                     \
            check_failed(__FILE__, __LINE__, "%s " #op " %s: \"%s\"", #a, #b, a_ ? a_ : "(null)");                     \
    } while (0)
#define ck_assert_str_eq(a, b) CK_STRINGS(a, ==, b)
#define ck_assert_str_ne(a, b) CK_STRINGS(a, !=, b)
#define ck_assert_mem_eq(a, b, size) ck_assert_msg(memcmp(a, b, size) == 0, "%s == %s", #a, #b)

#endif
