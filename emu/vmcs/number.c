/* SPDX-License-Identifier: MIT */
/* Numbers in lists: how they are written, and in which base they are read. */
#include "emu/vmcs/list.h"

/* A number at the beginning of a word: 0x..., digits with an "h", or digits that are decimal unless they look otherwise, or
 * unless `bare` says that they are hexadecimal. Rust puts "_" between digits, WinDbg "`". */
const char *number_read(const char *c, const char *end, bool bare, uint64_t *value, enum form *form)
{
    const char *start = c;
    bool hex = end - c > 2 && c[0] == '0' && (c[1] | 32) == 'x', letters = false;
    unsigned digits = 0;
    uint64_t decimal = 0;
    bool overflow = false;

    if (hex)
        c += 2;
    for (*value = 0; c < end && (isxdigit((unsigned char)*c) || ((*c == '_' || *c == '`') && digits)); c++) {
        unsigned digit = *c <= '9' ? (unsigned)(*c - '0') : (unsigned)((*c | 32) - 'a' + 10);

        if (*c == '_' || *c == '`')
            continue;
        letters |= digit > 9;
        digits++;
        *value = *value << 4 | digit;
        overflow |=
            __builtin_mul_overflow(decimal, (uint64_t)10, &decimal) || __builtin_add_overflow(decimal, digit, &decimal);
    }
    if (c < end && (*c | 32) == 'h' && !hex && digits) {
        hex = true;
        c++;
    }
    while (hex && c < end && ((*c | 32) == 'u' || (*c | 32) == 'l'))    /* C's suffixes */
        c++;
    if (!digits || (c < end && (wordy(*c) || *c == '.')))
        return NULL;
    *form = hex ? FORM_MARKED
            : letters || (digits > 3 && *start == '0') ? FORM_HEXADECIMAL
            : decimal > 9 ? FORM_DIGITS : FORM_ONE_DIGIT;
    if (!bare && (*form == FORM_DIGITS || *form == FORM_ONE_DIGIT)) {
        *value = decimal;
        return overflow ? NULL : c;
    }
    return digits <= 16 ? c : NULL;
}

void number_count(struct list *list, enum form form, bool encoding)
{
    list->numbers.encodings += encoding;
    list->numbers.fields++;
    list->numbers.marked += form == FORM_MARKED;
    list->numbers.hexadecimal += form == FORM_HEXADECIMAL;
    list->numbers.digits += form == FORM_DIGITS;
}

const char *numbers_text(const struct list *list)
{
    const struct list_numbers *all = &list->reader->numbers;

    if (list->bare)
        return list->numbers.fields > list->numbers.marked
                   ? "numbers without 0x are read as hexadecimal: some of the file's have letters or a 0 in front, and none has 0x"
                   : NULL;
    if (!list->numbers.digits)
        return NULL;
    if (all->hexadecimal)
        return "numbers without 0x are read as decimal, except those with letters or a 0 in front: the file has some with 0x, too";
    return all->marked ? "numbers without 0x are read as decimal: the file has others with 0x"
                       : "numbers are read as decimal: nothing in the file tells their base (0x in front makes one hexadecimal)";
}
