/* SPDX-License-Identifier: MIT */
/* From text to statements, by the op table. The text may be hostile: everything is bounded. */
#include <stdarg.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emu/scenario/syntax.h"

enum { LINE_MAX_BYTES = 1000, TOKEN_MAX = 16, FILE_MAX_BYTES = 1 << 20, FILES_MAX = 1024 };

struct parser {
    struct program *program;
    struct scenario_error *error;
    unsigned file;                          /* of the line being parsed */
    unsigned line;
    unsigned depth;                         /* of includes */
    bool from_file;                         /* `include` is allowed */
    uint32_t open[REPEAT_DEPTH];            /* statements of `repeat` without `end` yet */
    unsigned open_count;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parser *parser, const char *format, ...)
{
    char message[SCENARIO_ERROR_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    snprintf(parser->error->text, sizeof parser->error->text, "%.150s:%u: %s", parser->program->file[parser->file],
             parser->line, message);
    return false;
}

static bool parse_file(struct parser *parser, const char *path);

static bool add_file(struct parser *parser, const char *name)
{
    struct program *program = parser->program;
    if (program->file_count >= FILES_MAX)
        return fail(parser, "more than %d files are included", FILES_MAX);
    char **file = realloc(program->file, (program->file_count + 1) * sizeof *file);
    char *copy = strdup(name);
    if (file)
        program->file = file;
    if (!file || !copy) {
        free(copy);
        snprintf(parser->error->text, sizeof parser->error->text, "%.150s: out of memory", name);
        return false;
    }
    program->file[program->file_count++] = copy;
    return true;
}

static bool add_statement(struct parser *parser, const struct statement *statement)
{
    struct program *program = parser->program;
    if (program->count >= STATEMENT_MAX)
        return fail(parser, "more than %d statements", STATEMENT_MAX);
    if (program->count == program->capacity) {
        unsigned capacity = program->capacity ? program->capacity * 2 : 64;
        struct statement *grown = realloc(program->statement, capacity * sizeof *grown);
        if (!grown)
            return fail(parser, "out of memory");
        program->statement = grown;
        program->capacity = capacity;
    }
    program->statement[program->count++] = *statement;
    return true;
}

/* How many of the row's leading words the tokens begin with; -1: they differ. */
static int leading_words(const struct op *op, char *const *token, unsigned count)
{
    const char *cursor = op->syntax;
    struct element element;
    int words = 0;
    if (!count || token[0][0] != *op->syntax)   /* each row begins with a word of its own */
        return -1;
    while (syntax_next(&cursor, &element) && !element.argument) {
        if ((unsigned)words >= count || strcmp(token[words], element.word))
            return -1;
        words++;
    }
    return words;
}

/* Fills the operands from the tokens behind the leading words. */
static bool parse_operands(struct parser *parser, const struct op *op, char **token, unsigned count,
                           struct statement *statement)
{
    const char *cursor = op->syntax;
    struct element element;
    unsigned operand = 0;
    bool used[TOKEN_MAX] = { false };
    unsigned next = 0;

    while (syntax_next(&cursor, &element)) {
        const char *text = NULL;
        size_t key = strlen(element.word);
        if (!element.argument)
            continue;
        if (key) {
            for (unsigned i = 0; i < count && !text; i++)
                if (!used[i] && !strncmp(token[i], element.word, key) && token[i][key] == '=') {
                    used[i] = true;
                    text = token[i] + key + 1;
                }
        } else {
            while (next < count && used[next])
                next++;
            if (next < count && !strchr(token[next], '=')) {
                used[next] = true;
                text = token[next];
            }
        }
        if (text) {
            const char *wrong = operand_parse(element.argument, text, &statement->operand[operand]);
            if (wrong)
                return fail(parser, "`%.40s`: %s (the line is: %.80s)", text, wrong, op->syntax);
            statement->given |= (uint8_t)(1u << operand);
        } else if (!element.optional) {
            return fail(parser, "%s is missing (the line is: %.80s)", element.argument->placeholder, op->syntax);
        }
        operand++;
    }
    for (unsigned i = 0; i < count; i++)
        if (!used[i])
            return fail(parser, "`%.40s` is too much (the line is: %.80s)", token[i], op->syntax);
    return true;
}

/* `path` as seen from the directory of the including file. */
static bool include(struct parser *parser, char **token, unsigned count)
{
    char path[512];
    const char *from = parser->program->file[parser->file], *slash = strrchr(from, '/');
    if (count != 1)
        return fail(parser, "one file name is expected (the line is: include FILE)");
    if (!parser->from_file)
        return fail(parser, "include is for files only");
    if (parser->depth >= INCLUDE_DEPTH)
        return fail(parser, "includes are nested more than %d deep (does a file include itself?)", INCLUDE_DEPTH);
    int directory = slash && token[0][0] != '/' ? (int)(slash - from) + 1 : 0;
    int length = snprintf(path, sizeof path, "%.*s%s", directory, from, token[0]);
    if (length < 0 || (size_t)length >= sizeof path)
        return fail(parser, "the path is too long");
    struct parser inner = *parser;
    inner.depth++;
    inner.open_count = 0;
    return parse_file(&inner, path);
}

static bool pair_repeats(struct parser *parser, const struct statement *statement)
{
    struct program *program = parser->program;
    uint32_t here = program->count - 1;
    if (statement->op == OP_repeat) {
        if (parser->open_count >= REPEAT_DEPTH)
            return fail(parser, "repeats are nested more than %d deep", REPEAT_DEPTH);
        parser->open[parser->open_count++] = here;
    } else if (statement->op == OP_end) {
        if (!parser->open_count)
            return fail(parser, "end without repeat (in this file)");
        uint32_t begin = parser->open[--parser->open_count];
        program->statement[begin].partner = here;
        program->statement[here].partner = begin;
    }
    return true;
}

/* `machine` and `l0 ...` set the scene: before everything else, and only once. */
static bool in_place(struct parser *parser, const struct statement *statement)
{
    const struct program *program = parser->program;
    if (statement->op != OP_machine && statement->op != OP_native && statement->op != OP_script &&
        statement->op != OP_absent)
        return true;
    if (program->count == 0)
        return true;
    if (program->count == 1 && program->statement[0].op == OP_machine && statement->op != OP_machine)
        return true;
    return fail(parser, "`%s` comes too late (first `machine`, then `l0 native`, `l0 absent` or `l0 script`, each at most once)",
                op_table[statement->op].syntax);
}

static bool parse_statement(struct parser *parser, char **token, unsigned count)
{
    struct statement statement = { .file = (uint16_t)parser->file, .line = parser->line };
    bool actor = token[0][0] == 'l' && token[0][1] >= '0' && token[0][1] <= '2' && !token[0][2];
    if (actor) {
        statement.actor = (uint8_t)(token[0][1] - '0');
        token++;
        count--;
    }
    const char *almost = NULL;              /* the words fit, the level does not */
    for (unsigned i = 0; i < OP_COUNT; i++) {
        const struct op *op = &op_table[i];
        int words = leading_words(op, token, count);
        if (words < 0)
            continue;
        if (actor ? op->who == WHO_MACHINE : op->who != WHO_MACHINE) {
            almost = actor ? "this line stands without a level" : "this line begins with a level (l0, l1, l2)";
            continue;
        }
        if (op->who == WHO_LEVEL0 && statement.actor) {
            almost = "only l0 can do this";
            continue;
        }
        if (i == OP_include)
            return include(parser, token + words, count - (unsigned)words);
        statement.op = (uint8_t)i;
        return parse_operands(parser, op, token + words, count - (unsigned)words, &statement) &&
               in_place(parser, &statement) && add_statement(parser, &statement) && pair_repeats(parser, &statement);
    }
    if (almost)
        return fail(parser, "`%.40s`: %s", token[0], almost);
    if (!count)
        return fail(parser, "a level alone says nothing (what shall it execute?)");
    return fail(parser, "`%.40s%s%.40s`: no such line (docs/scenarios.md has them all)", token[0], count > 1 ? " " : "",
                count > 1 ? token[1] : "");
}

static bool parse_line(struct parser *parser, const char *text, size_t length)
{
    char line[LINE_MAX_BYTES + 1], *token[TOKEN_MAX], *save = NULL;
    unsigned count = 0;
    if (length && text[length - 1] == '\r')
        length--;
    const char *comment = memchr(text, '#', length);
    size_t used = comment ? (size_t)(comment - text) : length;
    if (used > LINE_MAX_BYTES)
        return fail(parser, "the line has more than %d bytes", LINE_MAX_BYTES);
    for (size_t i = 0; i < used; i++)
        if ((text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return fail(parser, "a control character in column %zu (is this a text?)", i + 1);
    memcpy(line, text, used);
    line[used] = 0;
    for (char *t = strtok_r(line, " \t", &save); t; t = strtok_r(NULL, " \t", &save)) {
        if (count == TOKEN_MAX)
            return fail(parser, "the line has more than %d words", TOKEN_MAX);
        token[count++] = t;
    }
    return !count || parse_statement(parser, token, count);
}

/* The text of parser->file, which has been added. */
static bool parse_text(struct parser *parser, const char *text, size_t length)
{
    parser->line = 0;
    while (length) {
        const char *newline = memchr(text, '\n', length);
        size_t line = newline ? (size_t)(newline - text) : length;
        parser->line++;
        if (!parse_line(parser, text, line))
            return false;
        line += newline != NULL;
        text += line;
        length -= line;
    }
    if (parser->open_count) {
        parser->line = parser->program->statement[parser->open[parser->open_count - 1]].line;
        return fail(parser, "repeat without end");
    }
    return true;
}

/* Texts have no such bytes; images have them in their first ones. */
static bool is_image(const char *text, size_t length)
{
    enum { LOOKED_AT = 512 };

    return (length >= 4 && memcmp(text, "\177ELF", 4) == 0) || memchr(text, '\0', length < LOOKED_AT ? length : LOOKED_AT);
}

static bool parse_file(struct parser *parser, const char *path)
{
    const bool standard_input = !parser->depth && strcmp(path, "-") == 0;
    FILE *file = standard_input ? stdin : fopen(path, "rb");
    char *text = malloc(FILE_MAX_BYTES + 1);
    bool good = false;
    size_t length = file && text ? fread(text, 1, FILE_MAX_BYTES + 1, file) : 0;
    if (!file || !text || ferror(file)) {
        if (parser->depth)
            fail(parser, "%.200s cannot be read: %s (paths are relative to the including file)", path, strerror(errno));
        else
            snprintf(parser->error->text, sizeof parser->error->text, "%.200s: cannot be read: %s", path, strerror(errno));
    } else if (is_image(text, length)) {
        snprintf(parser->error->text, sizeof parser->error->text, "%.200s: this is no text of a scenario (images are for: sesqui boot FILE)", path);
    } else if (length > FILE_MAX_BYTES) {
        snprintf(parser->error->text, sizeof parser->error->text, "%.200s: longer than %d bytes", path, FILE_MAX_BYTES);
    } else if (add_file(parser, path)) {
        parser->file = parser->program->file_count - 1;
        good = parse_text(parser, text, length);
    }
    if (file && !standard_input)
        fclose(file);
    free(text);
    return good;
}

bool scenario_parse_file(const char *path, struct program *program, struct scenario_error *error)
{
    struct parser parser = { .program = program, .error = error, .from_file = true };
    *program = (struct program){ 0 };
    bool good = parse_file(&parser, path);
    if (good && !program->count)            /* a test that tests nothing: cut off, or never written */
        snprintf(error->text, sizeof error->text, "%.200s: there is no line of a scenario in it", path);
    if (good && program->count)
        return true;
    scenario_free(program);
    return false;
}

bool scenario_parse_text(const char *text, size_t length, const char *name, struct program *program,
                         struct scenario_error *error)
{
    struct parser parser = { .program = program, .error = error };
    *program = (struct program){ 0 };
    if (add_file(&parser, name) && parse_text(&parser, text, length))
        return true;
    scenario_free(program);
    return false;
}

void scenario_free(struct program *program)
{
    for (unsigned i = 0; i < program->file_count; i++)
        free(program->file[i]);
    free(program->file);
    free(program->statement);
    *program = (struct program){ 0 };
}
