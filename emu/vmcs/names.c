/* SPDX-License-Identifier: MIT */
/* VMCS fields by the names that others give them: emu/vmcs/names.def. And by their encodings. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "emu/vmcs/snapshot.h"

enum { WORDS_MAX = 10, WORD_LENGTH = 24 };

/* The words of a name. A word's hash is that of what it is replaced by; 0: it says nothing. */
struct words {
    struct word {
        char text[WORD_LENGTH];
        uint64_t hash;
    } word[WORDS_MAX];
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

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;                 /* FNV-1a */

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    return hash ? hash : 1;
}

/* Sums of these stand for sets of words. */
static uint64_t word_hash(const char *text)
{
    uint64_t hash = hash_of(text);

    return (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9;
}

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
            words->word[words->count++].text[length] = '\0';
            length = 0;
        }
        if (c < end && ((*c == '(' && memchr(c, ')', (size_t)(end - c))) || (*c == '[' && memchr(c, ']', (size_t)(end - c)))))
            depth++;                                    /* "vmwrite(GUEST_CR0, " is no remark */
        else if (c < end && (*c == ')' || *c == ']') && depth)
            depth--;
        if (!inside)
            continue;
        if (words->count == WORDS_MAX) {
            memmove(&words->word[0], &words->word[1], sizeof words->word[0] * (WORDS_MAX - 1));
            words->count--;
        }
        if (length < WORD_LENGTH - 1)
            words->word[words->count].text[length++] = (char)tolower((unsigned char)*c);
    }
}

/* ---- the tables ---- */

/* Words that are replaced, keys of fields, and the words that names end with: a number after any other word is none of ours. */
enum { PLACES = 2048 };
struct place {
    uint64_t hash;                                      /* 0: nothing is here */
    uint64_t meaning;
};
static struct place replacements[PLACES], keys[PLACES], ends[PLACES];
static uint64_t controls, processor, secondary, tertiary, alone[2];

/* Where this hash is, or may be put. */
static struct place *place_of(struct place table[PLACES], uint64_t hash)
{
    struct place *place = &table[hash % PLACES];

    while (place->hash && place->hash != hash)
        place = place == &table[PLACES - 1] ? table : place + 1;
    return place;
}

/* What was put first counts. */
static void put(struct place table[PLACES], uint64_t hash, uint64_t meaning)
{
    struct place *place = place_of(table, hash);

    if (!place->hash)
        *place = (struct place){ hash, meaning };
}

/* The hashes of the words, by what they are replaced by. */
static void replace(struct words *words)
{
    for (unsigned i = 0; i < words->count; i++) {
        uint64_t hash = hash_of(words->word[i].text);
        const struct place *place = place_of(replacements, hash);

        words->word[i].hash = place->hash ? place->meaning : word_hash(words->word[i].text);
    }
}

/* The key of the words from `first` on as a set, with `about` where it is not 0, but without `without`. */
static uint64_t key_of(const struct words *words, unsigned first, uint64_t about, uint64_t without)
{
    uint64_t key = 0;
    bool has_processor = false, drop_processor = false, has_about = false;

    for (unsigned i = first; i < words->count; i++) {
        uint64_t hash = words->word[i].hash;
        bool again = !hash || hash == without;

        for (unsigned j = first; j < i && !again; j++)
            again = words->word[j].hash == hash;
        if (again)
            continue;
        key += hash;
        has_about |= hash == about;
        has_processor |= hash == processor;
        drop_processor |= hash == secondary || hash == tertiary;
    }
    if (about && !has_about)
        key += about;
    return drop_processor && has_processor ? key - processor : key;
}

static void build(void)
{
    static bool built;
    struct words words;

    if (built)
        return;
    built = true;
    for (unsigned i = 0; i < REPLACED; i++) {
        put(replacements, hash_of(replaced[i].theirs), replaced[i].ours[0] ? word_hash(replaced[i].ours) : 0);
        put(ends, hash_of(replaced[i].theirs), 0);
    }
    controls = word_hash("controls");
    processor = word_hash("processor");
    secondary = word_hash("secondary");
    tertiary = word_hash("tertiary");
    alone[0] = word_hash("eptp");
    alone[1] = word_hash("vpid");
    for (unsigned i = 0; i < VMCS_FIELD_COUNT + OTHERS; i++) {
        const char *name = i < VMCS_FIELD_COUNT ? vmcs_field_name(i) : others[i - VMCS_FIELD_COUNT].name;

        split(&words, name, name + strlen(name));
        replace(&words);
        put(keys, key_of(&words, 0, 0, 0), i < VMCS_FIELD_COUNT ? i : (unsigned)others[i - VMCS_FIELD_COUNT].field);
        for (unsigned j = 0; j < words.count; j++)      /* words come in any order */
            put(ends, hash_of(words.word[j].text), 0);
    }
    put(ends, hash_of("high"), 0);
}

static enum vmcs_field look_up(uint64_t key)
{
    const struct place *place = place_of(keys, key);

    return key && place->hash ? (enum vmcs_field)place->meaning : VMCS_FIELD_COUNT;
}

/* A selector goes by its segment's name alone, or by "selector": with words that say nothing, "GUEST_CS_ACCESS_BITS", something else is meant. */
static bool selector_meant(const struct words *words, unsigned first, enum vmcs_field field)
{
    enum { SIDE_AND_SEGMENT = 2 };
    uint64_t selector = word_hash("selector");
    bool named = !strstr(vmcs_field_name(field), "selector") || words->count - first <= SIDE_AND_SEGMENT;

    for (unsigned i = first; i < words->count; i++)
        named |= words->word[i].hash == selector;
    return named;
}

/* The field of the words from `first` on. */
static enum vmcs_field find(const struct words *words, unsigned first, const char *about)
{
    uint64_t side = about ? word_hash(about) : 0, key = key_of(words, first, side, 0);
    enum vmcs_field field = look_up(key);

    /* Some put "control" into the name of every control field. */
    if (field == VMCS_FIELD_COUNT)
        field = look_up(key = key_of(words, first, side, controls));
    /* A single word may be anybody's: "link", "apic", "pml". */
    bool lonely = words->count - first == 1 && !about && key != alone[0] && key != alone[1];

    return lonely || (field != VMCS_FIELD_COUNT && !selector_meant(words, first, field)) ? VMCS_FIELD_COUNT : field;
}

static bool ends_with(const struct words *words, const char *word)
{
    return words->count && strcmp(words->word[words->count - 1].text, word) == 0;
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
    if (!words.count || !place_of(ends, hash_of(words.word[words.count - 1].text))->hash)
        return by_encoding(text, length, high);
    replace(&words);
    /* Whatever stands before the name is a log's: the longest end that is a name counts. */
    for (unsigned first = 0; first < words.count; first++)
        if ((field = find(&words, first, NULL)) != VMCS_FIELD_COUNT) {
            *high = ends_with(&words, "high");
            return field;
        }
    for (unsigned first = 0; about && first < words.count; first++)
        if ((field = find(&words, first, about)) != VMCS_FIELD_COUNT)
            return field;
    if (words.count > 1 && ends_with(&words, "high")) {
        words.count--;
        for (unsigned first = 0; first < words.count; first++)
            if ((field = find(&words, first, NULL)) != VMCS_FIELD_COUNT) {
                *high = true;
                return VMCS_ENCODING_WIDTH(vmcs_encoding(field)) == VMCS_WIDTH_64 ? field : VMCS_FIELD_COUNT;
            }
    }
    return by_encoding(text, length, high);
}
