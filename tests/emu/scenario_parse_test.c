/* SPDX-License-Identifier: MIT */
/* The scenario language without a machine: parsing, printing, and that both agree on every line there can be. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "emu/scenario/syntax.h"
#include "tests/suite.h"

static struct scenario_error error;

static bool parse(const char *text, struct program *program)
{
    error.text[0] = 0;
    return scenario_parse_text(text, strlen(text), "test", program, &error);
}

static char *printed(const struct program *program)
{
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    scenario_print(program, file);
    fclose(file);
    return text;
}

static void assert_same(const struct program *a, const struct program *b)
{
    ck_assert_uint_eq(a->count, b->count);
    for (unsigned i = 0; i < a->count; i++) {
        ck_assert_uint_eq(a->statement[i].op, b->statement[i].op);
        ck_assert_uint_eq(a->statement[i].actor, b->statement[i].actor);
        ck_assert_uint_eq(a->statement[i].given, b->statement[i].given);
        ck_assert_uint_eq(a->statement[i].partner, b->statement[i].partner);
        ck_assert_mem_eq(a->statement[i].operand, b->statement[i].operand, sizeof a->statement[i].operand);
    }
}

/* A number that this operand may have: `round` varies it. */
static uint64_t sample(const struct argument *argument, unsigned round)
{
    static const uint64_t sizes[] = { 1, 2, 4, 8 };
    static const uint64_t numbers[] = { 0, 9, 10, 0xffff, 0x123456789abcdef0, UINT64_MAX };
    switch (argument->kind) {
    case KIND_SIZE:
        return sizes[round % 4];
    case KIND_PORTSIZE:
        return sizes[round % 3];
    case KIND_CPUS:
        return 1 + round % 8;
    case KIND_RULE:
        return 1 + round % 10;
    case KIND_STATE:
        return round % 5;
    case KIND_CONTROL:
        return round % 20;
    case KIND_ROW:
        return 0;
    default:
        return numbers[round % 6] % (argument->limit == UINT64_MAX ? UINT64_MAX : argument->limit + 1);
    }
}

/* Every row of the table, with and without its optional operands, with different numbers: printed, parsed, compared. */
START_TEST(every_line_survives_the_round_trip)
{
    for (unsigned op = 0; op < OP_COUNT; op++) {
        if (op == OP_include || op == OP_end)
            continue;
        for (unsigned round = 0; round < 12; round++) {
            struct statement statement[2] = { { .op = (uint8_t)op }, { .op = OP_end } };
            struct program program = { statement, op == OP_repeat ? 2 : 1, 2, NULL, 0 }, again;
            const char *cursor = op_table[op].syntax;
            struct element element;
            unsigned operand = 0;
            if (op_table[op].who == WHO_ACTOR)
                statement[0].actor = (uint8_t)(round % 3);
            if (op == OP_repeat)
                statement[0].partner = 1;
            while (syntax_next(&cursor, &element)) {
                if (!element.argument)
                    continue;
                /* Left out: from some optional operand on, as positions demand. */
                if (!element.optional || operand < round % 4) {
                    statement[0].given |= (uint8_t)(1u << operand);
                    statement[0].operand[operand] = sample(element.argument, round + operand);
                }
                operand++;
                ck_assert_uint_le(operand, OPERAND_MAX);
            }
            char *text = printed(&program);
            ck_assert_msg(parse(text, &again), "%s: %s", text, error.text);
            assert_same(&program, &again);
            scenario_free(&again);
            free(text);
        }
    }
}
END_TEST

START_TEST(printing_is_stable)
{
    static const char text[] = "machine memory=64M tlb=keep # comment\n"
                               "l0 script\n"
                               "\n"
                               "repeat 3\n"
                               "\tl0   vmwrite guest_rip 4096\r\n"
                               "repeat 2\nexpect ok\nend\n"
                               "end\n"
                               "l1 rdmsr ia32_efer\n"
                               "expect exit rdmsr to=l0 qualification=0\n"
                               "l0 set proc.hlt_exiting\n"
                               "expect rule R2";
    static const char canonical[] = "machine memory=0x4000000 tlb=keep\n"
                                    "l0 script\n"
                                    "repeat 3\n"
                                    "    l0 vmwrite guest_rip 0x1000\n"
                                    "    repeat 2\n"
                                    "        expect ok\n"
                                    "    end\n"
                                    "end\n"
                                    "l1 rdmsr ia32_efer\n"
                                    "expect exit rdmsr qualification=0 to=l0\n"
                                    "l0 set proc.hlt_exiting\n"
                                    "expect rule R2\n";
    struct program program;
    ck_assert_msg(parse(text, &program), "%s", error.text);
    char *first = printed(&program);
    ck_assert_str_eq(first, canonical);
    scenario_free(&program);
    free(first);
}
END_TEST

static const struct {
    const char *text, *message;     /* the message begins with this */
} wrong[] = {
    { "l1 vmxom 0x1000", "test:1: `vmxom 0x1000`: no such line" },
    { "\n\nl1 vmxon", "test:3: ADDRESS is missing" },
    { "l1 vmxon 0x1000 7", "test:1: `7` is too much" },
    { "l1 vmxon here", "test:1: `here`: not a number" },
    { "l1 vmxon 0x", "test:1: `0x`: not a number" },
    { "l1 vmxon 99999999999999999999", "test:1: `99999999999999999999`: the number does not fit" },
    { "l1 vmxon 0x1ffffffffffffffffff", "test:1: `0x1ffffffffffffffffff`: the number does not fit" },
    { "l1 vmxon 18014398509481985K", "test:1: `18014398509481985K`: the number does not fit" },
    { "vmxon 0x1000", "test:1: `vmxon`: this line begins with a level" },
    { "l1 expect ok", "test:1: `expect`: this line stands without a level" },
    { "l1 physical read 0 8", "test:1: `physical`: only l0 can do this" },
    { "l1", "test:1: a level alone says nothing" },
    { "l1 vmread guest_rpi", "test:1: `guest_rpi`: no such VMCS field" },
    { "l1 rdmsr efer", "test:1: `efer`: no such MSR" },
    { "expect exit cpuidd", "test:1: `cpuidd`: no such exit reason" },
    { "l1 set proc.hlt", "test:1: `proc.hlt`: no such control" },
    { "l1 set hlt_exiting", "test:1: `hlt_exiting`: no such control" },
    { "l1 mode real", "test:1: `real`: no such mode" },
    { "l1 operand 0 segment=xs", "test:1: `xs`: no such segment register" },
    { "expect rule R11", "test:1: `R11`: no such rule" },
    { "expect entry failed guest.nothing", "test:1: `guest.nothing`: no such VM-entry check" },
    { "l1 read 0 3", "test:1: `3`: not a size" },
    { "l1 in 0x10000 1", "test:1: `0x10000`: the number is too great" },
    { "l1 in 0x60 8", "test:1: `8`: the number is too great" },
    { "l1 register rax", "test:1: VALUE is missing" },
    { "expect exit cpuid color=1", "test:1: `color=1` is too much" },
    { "expect exit cpuid to=l3", "test:1: `l3`: no such level" },
    { "repeat 2\nexpect ok", "test:1: repeat without end" },
    { "end", "test:1: end without repeat" },
    { "repeat 100001\nend", "test:1: `100001`: the number is too great" },
    { "machine cpus=0", "test:1: `0`: at least one processor" },
    { "machine\nmachine", "test:2: `machine [memory" },
    { "l0 vmxoff\nl0 native trap", "test:2: `native STRATEGY [races=BIT]` comes too late" },
    { "l0 native trap\nmachine", "test:2: `machine [memory" },
    { "include other.scn", "test:1: include is for files only" },
    { "include", "test:1: one file name is expected" },
    { "l1 cpuid \x01", "test:1: a control character in column 10" },
    { "repeat 1\nrepeat 1\nrepeat 1\nrepeat 1\nrepeat 1\nrepeat 1\nrepeat 1\nrepeat 1\nrepeat 1\n",
      "test:9: repeats are nested more than 8 deep" },
    { "a b c d e f g h i j k l m n o p q", "test:1: the line has more than 16 words" },
};

START_TEST(what_is_wrong_is_said_with_its_place)
{
    struct program program;
    ck_assert(!parse(wrong[_i].text, &program));
    ck_assert_msg(!strncmp(error.text, wrong[_i].message, strlen(wrong[_i].message)), "\"%s\" gives \"%s\"", wrong[_i].text,
                  error.text);
    ck_assert_uint_eq(program.count, 0);
    ck_assert_ptr_null(program.statement);
}
END_TEST

START_TEST(long_lines_and_long_programs_are_refused)
{
    struct program program;
    char *text = malloc(STATEMENT_MAX * 16 + 64);
    memset(text, 'x', 2000);
    text[2000] = 0;
    ck_assert(!parse(text, &program));
    ck_assert_ptr_nonnull(strstr(error.text, "the line has more than"));
    char *at = text;
    for (unsigned i = 0; i <= STATEMENT_MAX; i++)
        at += sprintf(at, "expect ok\n");
    ck_assert(!parse(text, &program));
    ck_assert_ptr_nonnull(strstr(error.text, "statements"));
    free(text);
}
END_TEST

/* Whatever the bytes are, parsing ends with a program that prints and parses again, or with a message. */
START_TEST(bytes_at_random_do_no_harm)
{
    static const char *const words[] = { "l0", "l1", "l2", "expect", "exit", "repeat", "end", "vmread", "guest_rip", "0x10",
                                         "7", "memory=1", "to=l1", "machine", "native", "trap", "\n", "\n", "\n", "#", "=",
                                         "set", "proc.hlt_exiting", "prepare", "vmcs", "ept=0", "\x7f", "include", "." };
    uint64_t state = 1;
    for (unsigned round = 0; round < 3000; round++) {
        char text[2048];
        size_t length = 0;
        for (unsigned i = 0; i < 60; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const char *word = words[(state >> 33) % (sizeof words / sizeof *words)];
            length += (size_t)sprintf(text + length, "%s%s", word, state >> 62 ? " " : "");
            if (!(state >> 40 & 63))
                text[length++] = (char)(state >> 50);
        }
        struct program program, again;
        if (!scenario_parse_text(text, length, "test", &program, &error)) {
            ck_assert_uint_gt(strlen(error.text), 0);
            continue;
        }
        char *canonical = printed(&program);
        ck_assert_msg(parse(canonical, &again), "%s: %s", canonical, error.text);
        assert_same(&program, &again);
        scenario_free(&program);
        scenario_free(&again);
        free(canonical);
    }
}
END_TEST

START_TEST(an_empty_text_is_an_empty_program)
{
    struct program program;
    ck_assert(parse("", &program));
    ck_assert_uint_eq(program.count, 0);
    scenario_free(&program);
    ck_assert(parse("# nothing\n\n   \n", &program));
    ck_assert_uint_eq(program.count, 0);
    scenario_free(&program);
}
END_TEST

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(files_include_files)
{
    char directory[] = "/tmp/sesqui-scenario-XXXXXX", outer[64], inner[64];
    struct program program;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(outer, sizeof outer, "%s/outer.scn", directory);
    snprintf(inner, sizeof inner, "%s/inner.scn", directory);

    write_file(outer, "include inner.scn\nl1 cpuid 1\n");
    write_file(inner, "l1 cpuid 0\n");
    ck_assert_msg(scenario_parse_file(outer, &program, &error), "%s", error.text);
    ck_assert_uint_eq(program.count, 2);
    ck_assert_str_eq(program.file[program.statement[0].file], inner);
    ck_assert_str_eq(program.file[program.statement[1].file], outer);
    scenario_free(&program);

    write_file(inner, "include outer.scn\n");
    ck_assert(!scenario_parse_file(outer, &program, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "nested more than"));

    write_file(inner, "\nl1 cpuid\n");
    ck_assert(!scenario_parse_file(outer, &program, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "inner.scn:2: LEAF is missing"));

    write_file(outer, "\ninclude nowhere.scn\n");
    ck_assert(!scenario_parse_file(outer, &program, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "outer.scn:2: "));
    ck_assert_ptr_nonnull(strstr(error.text, "nowhere.scn cannot be read"));

    ck_assert(!scenario_parse_file(directory, &program, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "cannot be read"));
    remove(outer);
    remove(inner);
    remove(directory);
}
END_TEST

START_TEST(the_reference_page_is_up_to_date)
{
    char *page = NULL;
    size_t length, got;
    FILE *file = open_memstream(&page, &length);
    scenario_print_reference(file);
    fclose(file);
    file = fopen("docs/scenarios.md", "r");
    ck_assert_msg(file != NULL, "docs/scenarios.md: run from the root of the repository");
    char *kept = calloc(1, length + 2);
    got = fread(kept, 1, length + 1, file);
    fclose(file);
    ck_assert_msg(got == length && !memcmp(kept, page, length), "sesqui run --reference > docs/scenarios.md");
    free(kept);
    free(page);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scenario_parse");
    TCase *tc = tcase_create("language");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_line_survives_the_round_trip);
    tcase_add_test(tc, printing_is_stable);
    tcase_add_loop_test(tc, what_is_wrong_is_said_with_its_place, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, long_lines_and_long_programs_are_refused);
    tcase_add_test(tc, bytes_at_random_do_no_harm);
    tcase_add_test(tc, an_empty_text_is_an_empty_program);
    tcase_add_test(tc, files_include_files);
    tcase_add_test(tc, the_reference_page_is_up_to_date);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
