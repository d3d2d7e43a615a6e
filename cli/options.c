/* SPDX-License-Identifier: MIT */
/* Command lines, numbers and messages. */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "model/vmx/profile.h"

/* The bytes of a printable character of UTF-8 (RFC 3629) at `text`; 0: it is none. U+0080-U+009F are control characters. */
static unsigned visible(const unsigned char *text)
{
    unsigned length = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;

    if (length == 1)
        return text[0] >= ' ' && text[0] != 0x7f;
    for (unsigned i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length == 2 && text[0] == 0xc2 && text[1] < 0xa0 ? 0 : length;
}

void print_visibly(FILE *to, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        unsigned length = visible(c);
        if (length)
            fwrite(c, 1, length, to);
        else
            fprintf(to, *c == '\n' ? "\\n" : "\\x%02x", *c);
        c += length ? length : 1;
    }
}

enum { COMPLAINT_MAX = 1 << 17, COMPLAINT_END = 300 };

int complain(const char *format, ...)
{
    static char text[COMPLAINT_MAX];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fputs(isatty(STDERR_FILENO) ? "\033[1;31msesqui:\033[0m " : "sesqui: ", stderr);
    /* Of a very long one, which some argument has made so, both ends: who complains, and of what. */
    length = length < 0 ? 0 : length < (int)sizeof text ? length : (int)sizeof text - 1;
    if (length > 2 * COMPLAINT_END) {
        char *tail = text + length - COMPLAINT_END;
        text[COMPLAINT_END] = '\0';
        print_visibly(stderr, text);
        fputs("...", stderr);
        print_visibly(stderr, tail);
    } else {
        print_visibly(stderr, text);
    }
    fputc('\n', stderr);
    return 2;
}

/* ---- command lines ---- */

enum { HINT_DISTANCE = 2, HINT_NAME_MAX = 32 };

/* Levenshtein's distance of two short words; upper and lower case are the same. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned row[HINT_NAME_MAX + 1];

    if (a_length > HINT_NAME_MAX || b_length > HINT_NAME_MAX)
        return HINT_NAME_MAX;
    for (unsigned j = 0; j <= b_length; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned change = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1])), least = row[j - 1] < row[j] ? row[j - 1] : row[j];
            diagonal = row[j];
            row[j] = least + 1 < change ? least + 1 : change;
        }
    }
    return row[b_length];
}

/* How far a word is from a name; one that the other begins with ("mem", "memory=1G") is near. */
static unsigned far_from(const char *word, size_t length, const char *name)
{
    size_t name_length = strlen(name), common = length < name_length ? length : name_length;
    unsigned far = distance(word, length, name, name_length);

    return common >= 2 && strncasecmp(word, name, common) == 0 && far > 1 ? 1 : far;
}

const char *nearest_name(const char *word, size_t length, const char *(*name)(const void *, unsigned), const void *names,
                         unsigned count)
{
    const char *nearest = NULL;
    unsigned least = HINT_DISTANCE + 1;

    for (unsigned i = 0; i < count; i++) {
        unsigned far = far_from(word, length, name(names, i));
        if (far < least && far < length) {
            least = far;
            nearest = name(names, i);
        }
    }
    return nearest;
}

/* A command line on its way through options_parse(). */
struct arguments {
    const struct syntax *syntax;
    int argc, next;
    char **argv;
    void *to;
    bool only_operands;
    const struct option *bare;  /* an option whose value may follow "=", just met without one */
};

static const char *option_word(const void *options, unsigned index)
{
    return ((const struct option *)options)[index].name + 2;
}

static bool unknown_option(const struct syntax *syntax, const char *text, size_t length)
{
    size_t dashes = strspn(text, "-");
    const char *nearest = nearest_name(text + dashes, length - dashes, option_word, syntax->option, syntax->options);
    const struct foreign_option *foreign = syntax->foreign;
    char try[80];

    while (foreign && foreign->name && (strlen(foreign->name) != length - dashes || strncasecmp(foreign->name, text + dashes, length - dashes) != 0))
        foreign++;
    if (foreign && foreign->name)
        snprintf(try, sizeof try, "here: %s", foreign->here);
    else if (nearest)
        snprintf(try, sizeof try, "did you mean --%s?", nearest);
    else
        snprintf(try, sizeof try, "try: sesqui %s --help", syntax->help ? syntax->help : syntax->command);
    complain("%s: unknown option \"%.*s\" (%s)", syntax->command, (int)length, text, try);
    return false;
}

static bool set_option(const struct option *option, const char *value, void *to)
{
    void *at = (char *)to + option->at;

    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return true;
    case OPTION_TEXT:
        *(const char **)at = value;
        return true;
    case OPTION_NUMBER:
        return parse_number(option->name, value, at);
    case OPTION_SIZE:
        return parse_size(option->name, value, at);
    case OPTION_CALL:
    case OPTION_CALL_IF_GIVEN:
        break;
    }
    return option->set(to, value);
}

/* "--name", "--name=value" or "--name" "value". */
static bool parse_option(struct arguments *arguments, const char *text)
{
    const struct syntax *syntax = arguments->syntax;
    const char *equals = strchr(text, '='), *value = equals ? equals + 1 : NULL;
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const struct option *option = syntax->option, *end = option + syntax->options;

    while (option < end && (strncmp(option->name, text, length) != 0 || option->name[length] != '\0'))
        option++;
    if (option == end)
        return unknown_option(syntax, text, length);
    if (option->kind == OPTION_FLAG && value) {
        complain("%s: %s takes no value", syntax->command, option->name);
        return false;
    }
    if (option->kind == OPTION_CALL_IF_GIVEN && !value)
        arguments->bare = option;
    else if (option->kind != OPTION_FLAG && !value) {
        if (arguments->next == arguments->argc) {
            complain("%s: %s needs a value (try: sesqui %s --help)", syntax->command, option->name,
                     syntax->help ? syntax->help : syntax->command);
            return false;
        }
        value = arguments->argv[arguments->next++];
    }
    return set_option(option, value, arguments->to);
}

/* Is the word one of these, which blanks separate? */
static bool among(const char *word, const char *words)
{
    size_t length = strlen(word);

    for (const char *at = words; length && (at = strstr(at, word)); at++)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static bool parse_operand(struct arguments *arguments, const char *text, const struct option *bare)
{
    const struct syntax *syntax = arguments->syntax;

    if (!*text) {
        complain("%s: an empty argument: a variable that is not set?", syntax->command);
        return false;
    }
    if (bare && bare->values && among(text, bare->values)) {
        complain("%s: \"%s\" stands alone, not as the value of %s: write %s=%s (a file of that name: ./%s)", syntax->command,
                 text, bare->name, bare->name, text, text);
        return false;
    }
    if (bare && bare->values && access(text, F_OK) != 0) {
        complain("%s: there is no file \"%s\"; if it is meant as the value of %s, write %s=VALUE (one of: %s)", syntax->command,
                 text, bare->name, bare->name, bare->values);
        return false;
    }
    if (!syntax->operand) {
        complain("%s: unexpected argument \"%s\" (try: sesqui %s --help)", syntax->command, text,
                 syntax->help ? syntax->help : syntax->command);
        return false;
    }
    return syntax->operand(arguments->to, text);
}

bool options_parse(const struct syntax *syntax, int argc, char **argv, void *to)
{
    struct arguments arguments = { .syntax = syntax, .argc = argc, .next = 1, .argv = argv, .to = to };

    while (arguments.next < argc) {
        const char *text = argv[arguments.next++];
        const struct option *bare = arguments.bare;

        arguments.bare = NULL;
        if (arguments.only_operands || text[0] != '-' || text[1] == '\0') {
            if (!parse_operand(&arguments, text, bare))
                return false;
        } else if (strcmp(text, "--") == 0) {
            arguments.only_operands = true;
        } else if (!parse_option(&arguments, text)) {
            return false;
        }
    }
    return true;
}

/* ---- values ---- */

/* Digits and what follows them. False: no digits, or more than 64 bits. */
static bool digits(const char *text, uint64_t *value, const char **rest)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *value = strtoull(text, &end, text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10);
    *rest = end;
    return errno == 0 && end != text;
}

/* Multiplies *value by unit to the power that a suffix letter k, m, g stands for. */
static bool scale(uint64_t *value, const char *suffix, uint64_t unit)
{
    static const char letters[] = "kmg";
    const char *found = suffix[0] ? strchr(letters, tolower((unsigned char)suffix[0])) : NULL;

    if (suffix[0] == '\0')
        return true;
    if (!found || suffix[1] != '\0')
        return false;
    for (long i = 0; i <= found - letters; i++)
        if (__builtin_mul_overflow(*value, unit, value))
            return false;
    return true;
}

bool parse_number(const char *option, const char *text, uint64_t *value)
{
    const char *rest;

    if (digits(text, value, &rest) && scale(value, rest, 1000))
        return true;
    complain("%s: \"%s\" is not a number (examples: 250000, 0x10, 50M)", option, text);
    return false;
}

bool parse_size(const char *option, const char *text, uint64_t *bytes)
{
    const char *rest;

    if (digits(text, bytes, &rest) && scale(bytes, rest[0] ? rest : "M", 1024))
        return true;
    complain("%s: \"%s\" is not a memory size (examples: 512, 512M, 2G)", option, text);
    return false;
}

bool parse_explain(const char *text, enum explain_mode *mode)
{
    static const char *const name[] = { [EXPLAIN_ONCE] = "once", [EXPLAIN_ALL] = "all", [EXPLAIN_NONE] = "none" };

    for (unsigned i = 0; i < sizeof name / sizeof name[0]; i++)
        if (strcmp(text, name[i]) == 0) {
            *mode = (enum explain_mode)i;
            return true;
        }
    complain("--explain: \"%s\" is none of: once all none (--explain=WHICH)", text);
    return false;
}

static const char *profile_word(const void *unused, unsigned number)
{
    const char *text;

    (void)unused;
    return profile_name(number, &text);
}

bool parse_profile(const char *text, struct vmx_lacks *lacks)
{
    const char *nearest;
    unsigned count = 0;

    if (profile_find(text, lacks))
        return true;
    while (profile_word(NULL, count))
        count++;
    nearest = nearest_name(text, strlen(text), profile_word, NULL, count);
    if (nearest)
        complain("--vmx-profile: unknown profile \"%s\" (did you mean %s?)", text, nearest);
    else
        complain("--vmx-profile: unknown profile \"%s\" (try: sesqui boot --vmx help)", text);
    return false;
}

bool parse_check(const char *text, bool *registers)
{
    *registers = strcmp(text, "registers") == 0;
    if (!*registers)
        complain("--check: \"%s\" is no check: there is \"registers\"", text);
    return *registers;
}

bool flush_stdout(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    complain("standard output could not be written in full%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
    return false;
}
