/* SPDX-License-Identifier: MIT */
/* The tables of ops.def and arguments.def, and the reading of syntax strings. */
#include "emu/scenario/syntax.h"

#include <string.h>

const struct op op_table[OP_COUNT] = {
#define SECTION(title)
#define OP(id, by, insn, form, description)                                                                         \
    [OP_##id] = { .who = WHO_##by, .instruction = INSN_##insn, .syntax = form, .text = description },
#include "emu/scenario/ops.def"
};

const struct argument argument_table[] = {
#define ARGUMENT(placeholder, kind, limit, text) { #placeholder, KIND_##kind, limit, text },
#include "emu/scenario/arguments.def"
};
const unsigned argument_count = sizeof argument_table / sizeof argument_table[0];

static const struct argument *argument_find(const char *word, size_t length)
{
    for (unsigned i = 0; i < argument_count; i++)
        if (strlen(argument_table[i].placeholder) == length && !memcmp(argument_table[i].placeholder, word, length))
            return &argument_table[i];
    return NULL;
}

bool syntax_next(const char **cursor, struct element *element)
{
    const char *c = *cursor + strspn(*cursor, " ");
    if (!*c)
        return false;
    *element = (struct element){ .optional = *c == '[' };
    if (element->optional)
        c++;
    size_t length = strcspn(c, " ]");
    const char *equals = memchr(c, '=', length), *value = equals ? equals + 1 : c;
    element->argument = argument_find(value, length - (size_t)(value - c));
    size_t word = equals ? (size_t)(equals - c) : element->argument ? 0 : length;
    memcpy(element->word, c, word < WORD_MAX ? word : WORD_MAX - 1);
    c += length;
    *cursor = c + (*c == ']');
    return true;
}
