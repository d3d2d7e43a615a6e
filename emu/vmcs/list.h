/* SPDX-License-Identifier: MIT */
/* A list while it is read: what number.c, heading.c, pair.c, line.c and list.c share. */
#ifndef SESQUI_EMU_VMCS_LIST_H
#define SESQUI_EMU_VMCS_LIST_H

#include <ctype.h>

#include "emu/vmcs/snapshot.h"

/* A VMCS while its lines are read. */
struct list {
    struct snapshot_reader *reader;
    struct snapshot *s;
    const char *about;                  /* "guest", "host": what the heading says, or NULL */
    enum vmcs_field first;              /* that it began with */
    bool any;
    bool bare;                          /* numbers are hexadecimal without 0x */
    struct list_numbers numbers;        /* how the values are written */
    unsigned sentences, in_sentences;   /* lines that are; fields in them */
    enum { STOP_NO, STOP_END, STOP_NEXT } stop;
};

enum { NAME_MAX_BYTES = 120 };          /* of a name its end is enough */

/* A piece of a line. */
struct piece {
    const char *start, *end;
};

static inline bool wordy(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* ---- numbers ---- */

/* How a number is written: with 0x or an h; without, but with letters or a 0 in front, which is hexadecimal; with digits that
 * say nothing of the base, of which it depends what they are; with a digit that is the same in all of them. */
enum form { FORM_MARKED, FORM_HEXADECIMAL, FORM_DIGITS, FORM_ONE_DIGIT };
/* A number at the beginning of a word: what follows it, or NULL. `bare`: without 0x it is hexadecimal. */
const char *number_read(const char *c, const char *end, bool bare, uint64_t *value, enum form *form);
/* A value is given to a field: how it is written. */
void number_count(struct list *list, enum form form, bool encoding);
/* How the numbers of a VMCS were read, where that was not written; or NULL. */
const char *numbers_text(const struct list *list);

/* ---- names and values ---- */

/* "guest", "host" or NULL: what a heading is about, or what the subject of a line is about. */
const char *about_whom(const char *text, size_t length);
/* The field of a name: by itself (*whole), or with what the line or a heading is about. VMCS_FIELD_COUNT: none. */
enum vmcs_field name_field(const struct list *list, struct piece subject, struct piece name, bool *high, bool *whole);
/* The pairs of a line. Returns whether there were any. */
bool pairs_read(struct list *list, const char *line, const char *end);
/* A line of a name, the encoding of its field, and a value, in whatever order. Returns whether it is one. */
bool encoded_read(struct list *list, const char *line, const char *end);

/* ---- lines ---- */

void list_line(struct list *list, const char *line, size_t length);
/* Is it a sentence, or a line of something else?  It has words that none of the `fields` that it gave accounts for. */
bool line_is_sentence(const char *line, size_t length, unsigned fields);

#endif
