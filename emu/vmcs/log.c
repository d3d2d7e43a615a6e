/* SPDX-License-Identifier: MIT */
/*
 * Logs: the VMCSs that Linux KVM and Xen print when a VM entry failed, and the registers that QEMU prints. Whatever stands
 * before a line (timestamps, a host's name, "kvm_intel:") is skipped, lines that are not known are too: it is a log.
 *
 * A VMCS is printed in three parts with titles. Where two processors print at the same time their lines are mixed: two
 * blocks are open then, and a line goes to the one with printk's same name for who printed, or else to the one whose last
 * line it follows best.
 */
#define _GNU_SOURCE             /* memmem() */
#include <ctype.h>
#include <string.h>

#include "emu/vmcs/snapshot.h"

enum section { SECTION_NONE, SECTION_GUEST, SECTION_HOST, SECTION_CONTROL, SECTION_REGISTERS };
enum { PREFIX_MAX = 200, MSR_LINE = 10000 };
#define NONE VMCS_FIELD_COUNT

/* Fields by number, from 1; 0 ends a row, and NONE + 1 is for values that no field holds. */
enum {
#define FIELD(name, encoding, exists) NUMBER_##name = FIELD_##name + 1,
#include "arch/vmcs_fields.def"
    NUMBER_none = NONE + 1,
    NUMBER_ = 0,
};
#define NUMBERS(_1, _2, _3, _4, _5, _6, _7, ...)                                                                     \
    { NUMBER_##_1, NUMBER_##_2, NUMBER_##_3, NUMBER_##_4, NUMBER_##_5, NUMBER_##_6, NUMBER_##_7 }

struct row {
    enum section section;
    const char *pattern;
    uint16_t number[PATTERN_VALUES_MAX];
};
#define LINE(section, pattern, ...) { SECTION_##section, pattern, NUMBERS(__VA_ARGS__, , , , , , , ) },
static const struct row rows[] = {
#include "emu/vmcs/xen_lines.def"
#define LINE(section, pattern, ...) { SECTION_##section, pattern, NUMBERS(__VA_ARGS__, , , , , , , ) },
#include "emu/vmcs/kvm_lines.def"
#define LINE(section, pattern, ...) { SECTION_##section, pattern, NUMBERS(__VA_ARGS__, , , , , , , ) },
#include "emu/vmcs/qemu_lines.def"
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static bool blank(char c) { return c == ' ' || c == '\t'; }

static bool contains(const char *line, size_t length, const char *text)
{
    return memmem(line, length, text, strlen(text));
}

/* ---- titles ---- */

/* "*** Guest State ***"; what marks it up may be lost. */
static bool title(const char *line, size_t length, const char *text)
{
    const char *found = memmem(line, length, text, strlen(text)), *end = line + length, *before, *after;

    if (!found)
        return false;
    for (before = found; before > line && blank(before[-1]); before--)
        ;
    for (after = found + strlen(text); after < end && blank(*after); after++)
        ;
    return (before > line && (before[-1] == '*' || before[-1] == '\\')) || after == end || *after == '*' || *after == '\\' ||
           (*after == ':' && after + 1 == end);
}

static enum section title_of(const char *line, size_t length)
{
    return title(line, length, "Guest State") ? SECTION_GUEST
           : title(line, length, "Host State") ? SECTION_HOST
           : title(line, length, "Control State") ? SECTION_CONTROL : SECTION_NONE;
}

/*
 * The next line of a log. A title that shares its line with values is of a dump whose lines were joined: the line ends before
 * the title, and after it.
 */
static bool log_line(struct cursor *cursor, const char **line, size_t *length)
{
    enum { JOINED_MAX = 16384 };    /* several times a VMCS; a longer line would be searched too often */
    enum { PREFIX = 80 };           /* what printk and journals put before a title belongs to it */
    static const char *const titles[] = { "*** Guest State ***", "*** Host State ***", "*** Control State ***" };
    const char *cut = NULL;

    if (!cursor_line(cursor, line, length))
        return false;
    for (unsigned i = 0; i < 3 && *length <= JOINED_MAX && memchr(*line, '=', *length); i++) {
        const char *found = memmem(*line, *length, titles[i], strlen(titles[i]));

        if (found && found - *line < PREFIX)
            found += strlen(titles[i]);
        if (found && (!cut || found < cut))
            cut = found;
    }
    if (cut && cut < *line + *length) {
        *length = (size_t)(cut - *line);
        cursor->at = (size_t)(cut - cursor->text);
        cursor->line--;
    }
    return true;
}

static bool registers_begin(const char *line, size_t length)
{
    return contains(line, length, "EAX=") || contains(line, length, "RAX=");
}

bool log_recognised(const char *text, size_t length)
{
    /* Words that stand in these logs alone: a part is enough. */
    static const char *const words[] = {
        "*** Guest State ***", "*** Host State ***", "*** Control State ***", "gh_mask=", "PinBased=", "attr=0x", "TRBase=",
        "IDTVectoring: info", "DebugExceptions", "Interruptibility = ",
    };

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (contains(text, length, words[i]))
            return true;
    return registers_begin(text, length) && contains(text, length, "CR0=");
}

/* printk's name for who prints: "[  123.456][  T78]", "[ 1.2][    C3]". */
static void tag_of(const char *line, size_t length, char tag[16])
{
    const char *end = line + length, *c = memmem(line, length, "][", 2);
    size_t used = 0;

    tag[0] = '\0';
    if (!c)
        return;
    for (c += 2; c < end && blank(*c); c++)
        ;
    if (c == end || (*c != 'T' && *c != 'C'))
        return;
    for (; c < end && (isalnum((unsigned char)*c)) && used < 15; c++)
        tag[used++] = *c;
    tag[c < end && *c == ']' ? used : 0] = '\0';
}

/* ---- blocks ---- */

static struct block *open_block(struct snapshot_reader *reader, enum section section, const char *tag)
{
    struct block *block = NULL;

    for (unsigned i = 0; i < BLOCKS_MAX && !block; i++)
        if (!reader->block[i].open)
            block = &reader->block[i];
    if (!block)
        return NULL;
    memset(block, 0, sizeof *block);
    block->open = true;
    block->section = section;
    block->last = -1;
    block->turn = ++reader->turn;
    strcpy(block->tag, tag);
    snapshot_begin(reader, &block->snapshot);
    block->snapshot.registers = section == SECTION_REGISTERS;
    block->snapshot.cut = section != SECTION_GUEST && section != SECTION_REGISTERS;
    block->snapshot.verdict = reader->verdict;
    block->snapshot.verdict_value = reader->verdict_value;
    reader->verdict = VERDICT_NONE;
    reader->common.msrs = 0;
    return block;
}

/* What KVM prints of a segment's descriptor's high half is the access rights, by QEMU as it was in memory. */
static void rights_from_descriptors(struct snapshot *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        uint64_t *rights = &s->vmcs.field[FIELD_guest_es_access_rights + i];

        if (!s->given[FIELD_guest_es_access_rights + i])
            continue;
        *rights = *rights >> 8 & 0xf0ff;
        if (!(*rights & AR_PRESENT))                    /* KVM_GET_SREGS: unusable */
            *rights |= AR_UNUSABLE;
    }
}

static void close_block(struct snapshot_reader *reader, struct block *block, struct snapshot *snapshot)
{
    struct snapshot *s = &block->snapshot;

    if (s->registers) {                                 /* what QEMU said is about KVM's VMCS, too, if that follows */
        reader->verdict = s->verdict;
        reader->verdict_value = s->verdict_value;
    }

    if (block->section != SECTION_CONTROL && block->section != SECTION_REGISTERS)
        s->cut = true;
    if (s->registers)
        rights_from_descriptors(s);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)     /* of what stands outside of any VMCS, after it too */
        if (reader->common.given[i] && !s->given[i]) {
            s->given[i] = true;
            s->vmcs.field[i] = reader->common.vmcs.field[i];
        }
    *snapshot = *s;
    block->open = false;
    /* A line or two that somebody printed alone are no VMCS. */
    enum { FEW = 3 };
    unsigned given = 0;

    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        given += s->given[i];
    if (block->untitled && given < FEW) {
        reader->verdict = s->verdict;
        reader->verdict_value = s->verdict_value;
        snapshot_begin(reader, snapshot);
    }
}

/* The one that was opened first. */
static struct block *oldest(struct snapshot_reader *reader)
{
    struct block *best = NULL;

    for (unsigned i = 0; i < BLOCKS_MAX; i++)
        if (reader->block[i].open && (!best || reader->block[i].snapshot.line < best->snapshot.line))
            best = &reader->block[i];
    return best;
}

/* The one into which the last line went. */
static struct block *latest(struct snapshot_reader *reader)
{
    struct block *best = NULL;

    for (unsigned i = 0; i < BLOCKS_MAX; i++)
        if (reader->block[i].open && (!best || reader->block[i].turn > best->turn))
            best = &reader->block[i];
    return best;
}

static unsigned open_blocks(const struct snapshot_reader *reader)
{
    unsigned count = 0;

    for (unsigned i = 0; i < BLOCKS_MAX; i++)
        count += reader->block[i].open;
    return count;
}

/*
 * A VMCS begins while another is not complete. Are their lines mixed, or was the other one cut?  They are mixed if the
 * titles that the other one lacks come once for each of the two before a third begins.
 */
static bool mixed(const struct snapshot_reader *reader, const struct block *block)
{
    struct cursor ahead = reader->cursor;
    enum section wanted = block->section + 1;
    unsigned seen = 0;
    const char *line;
    size_t length;

    if (block->section == SECTION_CONTROL || block->section == SECTION_REGISTERS)
        return false;
    while (seen < 2 && log_line(&ahead, &line, &length)) {
        enum section next = title_of(line, length);
        if (next == SECTION_GUEST)
            break;
        seen += next == wanted;
    }
    return seen == 2;
}

/* Do the words that the row begins with stand in this part alone? */
static bool only_here(unsigned row)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (rows[i].section != rows[row].section && strncmp(rows[i].pattern, rows[row].pattern, 5) == 0)
            return false;
    return true;
}

/* A control line right after the title of another VMCS's guest part: that one's end. Nothing else has to be mixed. */
static bool continues(const struct snapshot_reader *reader, const struct block *block)
{
    struct cursor ahead = reader->cursor;
    const char *line;
    size_t length;

    if (block->section != SECTION_CONTROL)
        return false;
    while (log_line(&ahead, &line, &length) && title_of(line, length) == SECTION_NONE)
        for (unsigned i = (unsigned)(block->last + 1); i < ROWS; i++) {
            uint64_t value[PATTERN_VALUES_MAX];
            bool started;
            const char *c = rows[i].section == SECTION_CONTROL ? memmem(line, length, rows[i].pattern, 5) : NULL;

            if (c && only_here(i) && pattern_match(rows[i].pattern, c, line + length, value, &started))
                return true;
        }
    return false;
}

/* ---- lines ---- */

static void give_row(struct block *block, unsigned line, const struct row *row, const uint64_t value[PATTERN_VALUES_MAX])
{
    struct snapshot *s = &block->snapshot;

    for (unsigned i = 0; i < PATTERN_VALUES_MAX && row->number[i]; i++) {
        enum vmcs_field field = row->number[i] - 1u;

        if (field == NONE)
            continue;
        snapshot_give(s, line, field, value[i]);
        s->uncertain[field] |= block->guess;
    }
}

/* Does the block take lines of this part, by its title or because a title may be lost? */
static bool takes(const struct block *block, const char *tag, enum section section)
{
    return block->open && block->section == section && (!block->tag[0] || !tag[0] || strcmp(block->tag, tag) == 0);
}

/* The block to which a row belongs; *rival: another one that it could belong to as well; *far: how many rows it passes over.
 * NULL: none is in this part. */
static struct block *block_for(struct snapshot_reader *reader, const char *tag, unsigned row, struct block **rival, int *far)
{
    struct block *best = NULL;
    int best_gap = 0;

    *rival = NULL;
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        struct block *block = &reader->block[i];
        int gap = (int)row - block->last;

        if (!takes(block, tag, rows[row].section))
            continue;
        if (gap <= 0)
            gap += 10 * ROWS;           /* it has this line already */
        if (best && gap == best_gap)
            *rival = block->turn < best->turn ? best : block;
        else if (!best || gap < best_gap)
            *rival = NULL;
        /* Of two that are equally far, the one that has waited longer: processors take turns. */
        if (!best || gap < best_gap || (gap == best_gap && block->turn < best->turn)) {
            best = block;
            best_gap = gap;
        }
    }
    *far = best_gap;
    return best;
}

/* "MSR guest autoload:", then "   0: msr=0x00000480 value=0x..." */
static const char *msr_line(struct block *block, const char *c, const char *end)
{
    static const struct { const char *text; enum msr_list list; } titles[] = {
        { "MSR guest autoload:", MSR_LIST_ENTRY_LOAD }, { "MSR guest autostore:", MSR_LIST_EXIT_STORE },
        { "MSR autostore:", MSR_LIST_EXIT_STORE }, { "MSR host autoload:", MSR_LIST_EXIT_LOAD },
    };
    static const uint16_t counts[] = { FIELD_entry_msr_load_count, FIELD_exit_msr_store_count, FIELD_exit_msr_load_count };
    struct snapshot *s = &block->snapshot;
    uint64_t value[PATTERN_VALUES_MAX];
    const char *rest;
    bool started;

    for (unsigned i = 0; i < sizeof titles / sizeof titles[0]; i++)
        if ((rest = pattern_match(titles[i].text, c, end, value, &started))) {
            block->msr_list = titles[i].list + 1u;
            return rest;
        }
    if (!block->msr_list || !(rest = pattern_match("~: msr=% value=%", c, end, value, &started)) || value[1] >> 32)
        return NULL;
    unsigned list = block->msr_list - 1;
    uint64_t *count = &s->vmcs.field[counts[list]];

    if (value[0] + 1 > *count || !s->given[counts[list]])
        *count = value[0] + 1;
    s->given[counts[list]] = true;
    if (s->msrs < SNAPSHOT_MSRS)
        s->msr[s->msrs++] = (struct msr_entry){
            .list = (uint8_t)list, .number = (uint32_t)value[0] + 1, .index = (uint32_t)value[1], .value = value[2],
        };
    return rest;
}

/* Does the block lack a value of this row? */
static bool lacks(const struct block *block, const struct row *row)
{
    for (unsigned i = 0; i < PATTERN_VALUES_MAX && row->number[i]; i++)
        if (row->number[i] - 1u != NONE && !block->snapshot.given[row->number[i] - 1u])
            return true;
    return false;
}

/* Reads what stands at `c`: what follows it, or NULL. *broken: it begins like a line that is known. */
static const char *read_at(struct snapshot_reader *reader, const char *tag, const char *c, const char *end, bool *broken)
{
    uint64_t value[PATTERN_VALUES_MAX], best_value[PATTERN_VALUES_MAX];
    struct block *rival, *best = NULL, *best_rival = NULL;
    const char *best_rest = NULL;
    int lost = -1, best_row = -1, best_far = 0, far;    /* lost: a row of a part whose title is lost */

    for (unsigned i = 0; i < ROWS; i++) {
        bool started;

        if (*c != rows[i].pattern[0] || (best && rows[i].section == rows[best_row].section))
            continue;                                   /* the first that fits, of each part */
        struct block *block = block_for(reader, tag, i, &rival, &far);

        if (!block && (lost >= 0 || best))
            continue;
        const char *rest = pattern_match(rows[i].pattern, c, end, value, &started);
        if (!rest) {
            *broken |= block && started && lacks(block, &rows[i]);
        } else if (!block) {
            lost = (int)i;
        } else if (!best || far < best_far) {
            memcpy(best_value, value, sizeof value);
            best = block;
            best_rival = rival;
            best_rest = rest;
            best_row = (int)i;
            best_far = far;
        }
    }
    if (best) {
        if (best_rival)
            best->guess = best_rival->guess = true;
        give_row(best, reader->cursor.line, &rows[best_row], best_value);
        best->last = best_row;
        best->turn = ++reader->turn;
        best->msr_list = 0;
        return best_rest;
    }
    if (lost < 0)
        return NULL;
    struct block *block = latest(reader);

    /* No block is in that part: its title may be lost. */
    if (!only_here((unsigned)lost) || rows[lost].section == SECTION_REGISTERS ||
        (block && block->section >= (unsigned)rows[lost].section))
        return NULL;
    if (!block) {
        if (!(block = open_block(reader, rows[lost].section, tag)))
            return NULL;
        block->untitled = true;
    }
    block->section = rows[lost].section;
    block->snapshot.cut = true;
    return read_at(reader, tag, c, end, broken);
}

/* Reads what stands in a line: often one pattern, sometimes two after each other; one may go on in the next line. */
static void read_line(struct snapshot_reader *reader, const char *tag, const char *line, size_t length)
{
    const char *c = line, *end = line + length, *limit = line + PREFIX_MAX,
               *text_end = reader->cursor.text + reader->cursor.length;
    bool broken = false, read = false;

    while (c < end && c < limit) {
        const char *rest = NULL;

        if (!blank(*c) && (c == line || blank(c[-1]) || read)) {
            struct block *block = latest(reader);

            rest = read_at(reader, tag, c, text_end, &broken);
            if (!rest && block && (rest = msr_line(block, c, text_end)))
                block->turn = ++reader->turn;
        }
        if (!rest) {
            c++;
            continue;
        }
        read = true;
        c = rest;
        limit = c + PREFIX_MAX;
        while (end < rest) {                            /* it went on there */
            const char *more;
            size_t more_length;
            if (!cursor_line(&reader->cursor, &more, &more_length))
                break;
            end = more + more_length;
        }
    }
    struct block *block = latest(reader);

    if (broken && !read && memchr(line, '%', length))
        reader->formats++;              /* a program's source */
    else if (broken && !read && block)
        snapshot_note(&block->snapshot, reader->cursor.line, "not read: \"%.*s\"", length < 100 ? (int)length : 100, line);
}

/* A verdict is about the VMCS that stands before or after it. */
static void hear_verdict(struct snapshot_reader *reader, const char *line, size_t length)
{
    struct block *block = latest(reader);
    uint64_t value;
    bool before;
    enum verdict_kind kind = verdict_line(line, line + length, &value, &before);

    if (kind == VERDICT_NONE)
        return;
    if (before || !block || block->snapshot.registers) {    /* QEMU says it before its registers */
        reader->verdict = kind;
        reader->verdict_value = value;
    } else {
        block->snapshot.verdict = kind;
        block->snapshot.verdict_value = value;
    }
}

/* "  msr 000001dd val 1ffff80676f52be5 (mbz 0)": Xen, of the entry that could not be loaded. */
static bool xen_msr_line(struct snapshot_reader *reader, const char *line, size_t length)
{
    const char *c = memmem(line, length, "msr ", 4);
    uint64_t value[PATTERN_VALUES_MAX];
    bool started;

    if (!c || !pattern_match("msr % val % (mbz %)", c, line + length, value, &started) || value[0] >> 32 ||
        reader->common.msrs == SNAPSHOT_MSRS)
        return false;
    reader->common.msr[reader->common.msrs++] = (struct msr_entry){
        .list = MSR_LIST_ENTRY_LOAD, .index = (uint32_t)value[0], .value = value[1], .reserved = (uint32_t)value[2],
    };
    return true;
}

bool log_read(struct snapshot_reader *reader, struct snapshot *snapshot)
{
    const char *line;
    size_t length;

    for (;;) {
        const struct cursor before = reader->cursor;
        char tag[16];

        if (!log_line(&reader->cursor, &line, &length))
            break;
        enum section next = title_of(line, length);
        bool registers = next == SECTION_NONE && registers_begin(line, length);
        struct block *block = latest(reader);

        tag_of(line, length, tag);
        if (registers && block && (block->section == SECTION_CONTROL || block->section == SECTION_REGISTERS) &&
            !block->snapshot.registers)
            registers = false;                          /* of the same entry */
        if (next == SECTION_GUEST || registers) {
            struct block *other = oldest(reader);
            bool same = other && tag[0] && other->tag[0];

            if (same)                                   /* whoever prints again has ended the last one */
                for (unsigned i = 0; i < BLOCKS_MAX; i++)
                    if (reader->block[i].open && strcmp(reader->block[i].tag, tag) == 0)
                        other = &reader->block[i];
            if (other && (!same ? !mixed(reader, other) && !continues(reader, other) : strcmp(other->tag, tag) == 0)) {
                reader->cursor = before;
                close_block(reader, other, snapshot);
                return true;
            }
            if (open_blocks(reader) == BLOCKS_MAX) {
                reader->cursor = before;
                close_block(reader, other, snapshot);
                return true;
            }
            block = open_block(reader, registers ? SECTION_REGISTERS : SECTION_GUEST, tag);
            if (!registers)
                continue;
        } else if (next != SECTION_NONE) {
            struct block *best = NULL;                  /* the one that is furthest in the part before */

            for (unsigned i = 0; i < BLOCKS_MAX; i++) {
                struct block *b = &reader->block[i];
                if (b->open && b->section < (unsigned)next && (!b->tag[0] || !tag[0] || strcmp(b->tag, tag) == 0) &&
                    (!best || b->section > best->section || (b->section == best->section && b->last > best->last)))
                    best = b;
            }
            if (!best)
                best = open_block(reader, next, tag);
            if (best) {
                best->snapshot.cut |= best->section + 1 < (unsigned)next;
                best->section = next;
                best->turn = ++reader->turn;
            }
            continue;
        }
        if (processor_line(block ? &block->snapshot : &reader->common, reader->cursor.line, line, length) ||
            xen_msr_line(reader, line, length))
            continue;
        hear_verdict(reader, line, length);
        read_line(reader, tag, line, length);
    }
    struct block *last = oldest(reader);

    if (last)
        close_block(reader, last, snapshot);
    return last;
}
