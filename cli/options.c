/* SPDX-License-Identifier: MIT */
/* Options, numbers and messages of the command line. */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int complain(const char *format, ...)
{
    va_list arguments;

    fputs(isatty(STDERR_FILENO) ? "\033[1;31msesqui:\033[0m " : "sesqui: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return 2;
}

bool arguments_option(struct arguments *arguments, const char **operand)
{
    *operand = NULL;
    arguments->value = NULL;
    if (arguments->next >= arguments->argc)
        return false;
    const char *text = arguments->argv[arguments->next++];
    if (!arguments->only_operands && strcmp(text, "--") == 0) {
        arguments->only_operands = true;
        return arguments_option(arguments, operand);
    }
    if (arguments->only_operands || text[0] != '-' || text[1] == '\0') {
        *operand = text;
        return false;
    }
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    if (length >= sizeof arguments->name)
        length = sizeof arguments->name - 1;
    memcpy(arguments->name, text, length);
    arguments->name[length] = '\0';
    arguments->value = equals ? equals + 1 : NULL;
    return true;
}

const char *arguments_value(struct arguments *arguments)
{
    if (arguments->value)
        return arguments->value;
    if (arguments->next < arguments->argc)
        return arguments->argv[arguments->next++];
    complain("%s needs a value", arguments->name);
    return NULL;
}

bool arguments_no_value(const struct arguments *arguments)
{
    if (arguments->value)
        complain("%s takes no value", arguments->name);
    return !arguments->value;
}

/* Digits and what follows them. False: no digits, or too large. */
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
    complain("--explain: \"%s\" is neither once, all nor none", text);
    return false;
}

FILE *open_output(const char *option, const char *path)
{
    if (strcmp(path, "-") == 0)
        return stdout;
    FILE *file = fopen(path, "w");
    if (!file)
        complain("%s: %s: %s", option, path, strerror(errno));
    return file;
}

bool close_output(FILE *file, const char *path)
{
    if (!file)
        return true;
    bool failed = ferror(file);
    failed |= file == stdout ? fflush(file) != 0 : fclose(file) != 0;
    if (failed)
        complain("%s: could not be written in full", path);
    return !failed;
}
