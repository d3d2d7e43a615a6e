/* SPDX-License-Identifier: MIT */
/* Where traces go: whole lines in any portions, the limit, the first error. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "emu/trace/sink.h"
#include "tests/suite.h"

enum { LINES = 3000 };

static struct sink sink;
static char *text;
static size_t size;

static void setup(void) { text = NULL; }
static void teardown(void) { free(text); }

/* LINES lines of different lengths, written in portions of `portion` bytes. */
static void write_lines(FILE *stream, size_t portion)
{
    char *all;
    size_t length;
    FILE *memory = open_memstream(&all, &length);

    for (unsigned i = 0; i < LINES; i++)
        fprintf(memory, "%12u   0 L1 exit         %.*s\n", i, (int)(i % 150), "................................................"
                "......................................................................................................");
    fclose(memory);
    for (size_t at = 0; at < length; at += portion)
        fwrite(all + at, 1, at + portion < length ? portion : length - at, stream);
    free(all);
}

static void through(uint64_t limit, size_t portion, bool by_line)
{
    FILE *memory = open_memstream(&text, &size), *stream = sink_open(&sink, memory, limit, by_line);

    write_lines(stream, portion);
    fclose(stream);
    fclose(memory);
}

START_TEST(bytes_are_the_same_in_any_portions)
{
    static const size_t portion[] = { 1, 7, 100, 4096, 65536, 1 << 20 };
    FILE *memory = open_memstream(&text, &size);

    write_lines(memory, 1 << 20);
    fclose(memory);
    char *expected = text;
    size_t expected_size = size;
    for (unsigned i = 0; i < 2 * sizeof portion / sizeof *portion; i++) {
        through(i % 4 == 3 ? expected_size + SINK_END_MAX : 0, portion[i / 2], i % 2);
        ck_assert_uint_eq(size, expected_size);
        ck_assert_int_eq(memcmp(text, expected, size), 0);
        ck_assert(!sink.at_limit && !sink.error);
        free(text);
    }
    text = expected;
}
END_TEST

START_TEST(the_limit_ends_it_with_one_line)
{
    for (uint64_t limit = 1024; limit < 100000; limit += 977)
        for (unsigned by_line = 0; by_line < 2; by_line++) {
            through(limit, 50, by_line);
            ck_assert(sink.at_limit && size <= limit && size + SINK_END_MAX + 200 > limit);
            const char *end = strstr(text, "trace-end");
            ck_assert_ptr_nonnull(end);
            ck_assert_ptr_null(strstr(end + 1, "trace-end"));
            ck_assert_ptr_eq(strchr(end, '\n'), text + size - 1);
            /* Its columns are those of the line that did not fit. */
            const char *before = memrchr(text, '\n', (size_t)(end - text)), *line = before ? before + 1 : text;
            ck_assert(line == text || atoi(line) > 0);
            ck_assert_int_eq(end - line, 20);
            ck_assert_int_eq(memcmp(line + 12, "   0 L1 ", 8), 0);
            free(text);
        }
    text = NULL;
}
END_TEST

/* A file that may not grow: what a full disk does, with the part of a line that still fitted. */
START_TEST(an_error_is_kept_and_the_file_cut_back_to_a_line)
{
    for (rlim_t room = 5000; room < 200000; room += 13331) {
        FILE *file = tmpfile(), *stream;
        const struct rlimit small = { room, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
        char last;

        setvbuf(file, NULL, _IONBF, 0);
        stream = sink_open(&sink, file, 0, false);
        signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        write_lines(stream, 4096);
        fclose(stream);
        setrlimit(RLIMIT_FSIZE, &none);
        off_t end = lseek(fileno(file), 0, SEEK_END);
        ck_assert_int_eq(sink.error, EFBIG);
        ck_assert(end <= (off_t)room && end + 200 > (off_t)room);
        ck_assert_int_eq(pread(fileno(file), &last, 1, end - 1), 1);
        ck_assert_int_eq(last, '\n');
        fclose(file);
    }
}
END_TEST

START_TEST(a_line_without_end_does_no_harm)
{
    FILE *memory = open_memstream(&text, &size), *stream = sink_open(&sink, memory, 0, false);

    for (unsigned i = 0; i < 100000; i++)
        putc('x', stream);
    fputs("\nnext\n", stream);
    fclose(stream);
    fclose(memory);
    ck_assert(size < 100000 && size > 6);
    ck_assert_str_eq(text + size - 6, "\nnext\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace_sink");
    TCase *tcase = tcase_create("sink");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, bytes_are_the_same_in_any_portions);
    tcase_add_test(tcase, the_limit_ends_it_with_one_line);
    tcase_add_test(tcase, an_error_is_kept_and_the_file_cut_back_to_a_line);
    tcase_add_test(tcase, a_line_without_end_does_no_harm);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
