/* SPDX-License-Identifier: MIT */
/* VMCS fields by the names that others give them: emu/vmcs/names.def. And by their encodings. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "emu/vmcs/snapshot.h"

enum { WORDS_MAX = 10, WORD_LENGTH = 24, KEY_MAX = WORDS_MAX * WORD_LENGTH };

/* A name as its words in alphabetic order, with a blank after each. */
struct key {
    char text[KEY_MAX];
};

struct words {
    char word[WORDS_MAX][WORD_LENGTH];
    unsigned count;
};

static const struct { const char *theirs, *ours; } replaced[] = {
#define WORD(theirs, ours) { theirs, ours },
#include "emu/vmcs/names.def"
};
static const struct { const char *name; enum vmcs_field field; } others[] = {
#define NAME(theirs, field) { theirs, FIELD_##field },
#include "emu/vmcs/names.def"
};
enum { REPLACED = sizeof replaced / sizeof replaced[0], OTHERS = sizeof others / sizeof others[0] };

static int alphabetic(const void *a, const void *b) { return strcmp(a, b); }

/* Does a word end before `c`?  "GuestCr0", "CSSelector". */
static bool inner_border(const char *c, const char *start, const char *end)
{
    if (c == start || !isupper((unsigned char)*c))
        return false;
    return islower((unsigned char)c[-1]) || isdigit((unsigned char)c[-1]) ||
           (isupper((unsigned char)c[-1]) && c + 1 < end && islower((unsigned char)c[1]));
}

/* Splits a name; what stands in brackets is no part of it. The last words, if they are too many. */
static void split(struct words *words, const char *c, const char *end)
{
    const char *start = c;
    unsigned length = 0, depth = 0;

    words->count = 0;
    for (; c <= end; c++) {
        bool inside = c < end && isalnum((unsigned char)*c) && !depth;

        if (length && (!inside || inner_border(c, start, end))) {
            words->word[words->count++][length] = '\0';
            length = 0;
        }
        if (c < end && ((*c == '(' && memchr(c, ')', (size_t)(end - c))) || (*c == '[' && memchr(c, ']', (size_t)(end - c)))))
            depth++;                                    /* "vmwrite(GUEST_CR0, " is no remark */
        else if (c < end && (*c == ')' || *c == ']') && depth)
            depth--;
        if (!inside)
            continue;
        if (words->count == WORDS_MAX) {
            memmove(words->word[0], words->word[1], sizeof words->word[0] * (WORDS_MAX - 1));
            words->count--;
        }
        if (length < WORD_LENGTH - 1)
            words->word[words->count][length++] = (char)tolower((unsigned char)*c);
    }
}

static bool has(const struct words *words, const char *word)
{
    for (unsigned i = 0; i < words->count; i++)
        if (strcmp(words->word[i], word) == 0)
            return true;
    return false;
}

/* The key of the words from `first` on, after `about` where it is not NULL. */
static void make_key(struct key *key, const struct words *words, unsigned first, const char *about)
{
    struct words mine = { .count = 0 };
    bool drop_processor;

    for (unsigned i = first; i < words->count; i++) {
        const char *word = words->word[i];

        for (unsigned j = 0; j < REPLACED; j++)
            if (strcmp(replaced[j].theirs, word) == 0) {
                word = replaced[j].ours;
                break;
            }
        if (*word && !has(&mine, word))
            strcpy(mine.word[mine.count++], word);
    }
    if (about && !has(&mine, about) && mine.count < WORDS_MAX)
        strcpy(mine.word[mine.count++], about);
    drop_processor = has(&mine, "secondary") || has(&mine, "tertiary");
    qsort(mine.word, mine.count, sizeof mine.word[0], alphabetic);
    key->text[0] = '\0';
    for (unsigned i = 0; i < mine.count; i++) {
        if (drop_processor && strcmp(mine.word[i], "processor") == 0)
            continue;
        strcat(key->text, mine.word[i]);
        strcat(key->text, " ");
    }
}

/* ---- the table of keys ---- */

static struct { uint64_t hash; enum vmcs_field field; } table[VMCS_FIELD_COUNT + OTHERS];
/* The words that names end with: a number after any other word is none of ours. */
enum { ENDS = 1024 };
static uint64_t ends[ENDS];

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;                 /* FNV-1a */

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    return hash ? hash : 1;
}

static uint64_t *end_place(uint64_t hash)
{
    uint64_t *place = &ends[hash % ENDS];

    while (*place && *place != hash)
        place = place == &ends[ENDS - 1] ? ends : place + 1;
    return place;
}

static void may_end(const char *word)
{
    uint64_t hash = hash_of(word);

    *end_place(hash) = hash;
}

static void build(void)
{
    static bool built;
    struct words words;
    struct key key;

    for (unsigned i = 0; i < VMCS_FIELD_COUNT + OTHERS && !built; i++) {
        const char *name = i < VMCS_FIELD_COUNT ? vmcs_field_name(i) : others[i - VMCS_FIELD_COUNT].name;

        table[i].field = i < VMCS_FIELD_COUNT ? (enum vmcs_field)i : others[i - VMCS_FIELD_COUNT].field;
        split(&words, name, name + strlen(name));
        make_key(&key, &words, 0, NULL);
        table[i].hash = hash_of(key.text);
        for (unsigned j = 0; j < words.count; j++)      /* words come in any order */
            may_end(words.word[j]);
    }
    for (unsigned i = 0; i < REPLACED && !built; i++)
        may_end(replaced[i].theirs);
    may_end("high");
    built = true;
}

static enum vmcs_field look_up(const struct key *key)
{
    uint64_t hash = hash_of(key->text);

    for (unsigned i = 0; key->text[0] && i < VMCS_FIELD_COUNT + OTHERS; i++)
        if (table[i].hash == hash)
            return table[i].field;
    return VMCS_FIELD_COUNT;
}

static enum vmcs_field find(const struct words *words, unsigned first, const char *about)
{
    static const char extra[] = "controls ";
    struct key key;
    enum vmcs_field field;

    make_key(&key, words, first, about);
    field = look_up(&key);
    /* Some put "control" into the name of every control field. */
    char *drop = field == VMCS_FIELD_COUNT ? strstr(key.text, extra) : NULL;
    if (drop) {
        memmove(drop, drop + sizeof extra - 1, strlen(drop + sizeof extra - 1) + 1);
        field = look_up(&key);
    }
    /* A single word may be anybody's: "link", "apic", "pml". */
    bool lonely = words->count - first == 1 && !about && strcmp(key.text, "eptp ") != 0 && strcmp(key.text, "vpid ") != 0;

    return lonely ? VMCS_FIELD_COUNT : field;
}

/* "0x6802", "[6802]", "VMREAD(0x6802)": an encoding stands at the end, and nothing else that means something. */
static enum vmcs_field by_encoding(const char *text, size_t length, bool *high)
{
    static const char *const may[] = {
        "vmcs", "field", "encoding", "vmread", "vmwrite", "read", "write", "index", "enc", "id",
    };
    const char *end = text + length, *c, *word;
    uint64_t encoding;

    while (end > text && !isalnum((unsigned char)end[-1]))
        end--;
    if (end - text > 1 && (end[-1] | 32) == 'h' && isxdigit((unsigned char)end[-2]))
        end--;                                          /* "4002h" */
    for (c = end; c > text && isxdigit((unsigned char)c[-1]); c--)
        ;
    bool marked = c - text >= 1 && (c[-1] | 32) == 'x' && c - text >= 2 && c[-2] == '0';
    if (marked)
        c -= 2;
    if (c > text && (isalnum((unsigned char)c[-1]) || c[-1] == '_' || c[-1] == '.'))
        return VMCS_FIELD_COUNT;
    if (!hexadecimal(c, end, &encoding) || encoding > 0x7fff || end - c < 3)
        return VMCS_FIELD_COUNT;
    while (c > text && !isalnum((unsigned char)c[-1]))
        c--;
    for (word = c; word > text && (isalnum((unsigned char)word[-1]) || word[-1] == '_'); word--)
        ;
    bool known = word == c;
    for (unsigned i = 0; i < sizeof may / sizeof may[0]; i++)
        known |= (size_t)(c - word) == strlen(may[i]) && strncasecmp(word, may[i], (size_t)(c - word)) == 0;
    if (!known && !marked)
        return VMCS_FIELD_COUNT;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs_encoding(i) == (encoding & ~1ull)) {
            if (encoding & 1 && VMCS_ENCODING_WIDTH(vmcs_encoding(i)) != VMCS_WIDTH_64)
                return VMCS_FIELD_COUNT;
            *high = encoding & 1;
            return (enum vmcs_field)i;
        }
    return VMCS_FIELD_COUNT;
}

enum vmcs_field field_by_any_name(const char *text, size_t length, const char *about, bool *high)
{
    struct words words;
    enum vmcs_field field;

    build();
    *high = false;
    split(&words, text, text + length);
    if (!words.count || !*end_place(hash_of(words.word[words.count - 1])))
        return by_encoding(text, length, high);
    /* Whatever stands before the name is a log's: the longest end that is a name counts. */
    for (unsigned first = 0; first < words.count; first++) {
        if ((field = find(&words, first, NULL)) != VMCS_FIELD_COUNT) {
            if (words.count && strcmp(words.word[words.count - 1], "high") == 0)
                *high = true;
            return field;
        }
    }
    for (unsigned first = 0; about && first < words.count; first++)
        if ((field = find(&words, first, about)) != VMCS_FIELD_COUNT)
            return field;
    if (words.count > 1 && strcmp(words.word[words.count - 1], "high") == 0) {
        words.count--;
        for (unsigned first = 0; first < words.count; first++)
            if ((field = find(&words, first, NULL)) != VMCS_FIELD_COUNT) {
                *high = true;
                return VMCS_ENCODING_WIDTH(vmcs_encoding(field)) == VMCS_WIDTH_64 ? field : VMCS_FIELD_COUNT;
            }
    }
    return by_encoding(text, length, high);
}
