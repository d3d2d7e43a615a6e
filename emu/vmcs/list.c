/* SPDX-License-Identifier: MIT */
/*
 * Lists of names and values: the dumps of write.c, lines written by hand, and what hypervisors print of a VMCS field by
 * field.
 *
 *   guest_rip = 0x8000            # what follows this is a comment
 *   [hv] GUEST_CS_AR_BYTES: 0xa09b, 0x6802 = 0x1000
 *   Guest CS: selector 0x8 base 0x0    | vmcs::guest_cr0 | 0x80000031 |
 *
 * A line may hold several; names are anybody's (emu/vmcs/names.def) or encodings. A "vmcs ADDRESS" begins the next VMCS,
 * and so does the field with which this one began.
 */
#include "emu/vmcs/list.h"

/* Reads lines up to the end of a VMCS. */
static void read_vmcs(struct list *list)
{
    struct snapshot_reader *reader = list->reader;
    struct snapshot *s = list->s;
    const char *line;
    size_t length;

    snapshot_begin(reader, s);
    while (!list->stop) {
        const struct cursor start = reader->cursor;
        const bool empty = !list->any;
        const unsigned fields = list->numbers.fields;
        uint64_t value;
        bool before;

        if (!cursor_line(&reader->cursor, &line, &length))
            break;
        list_line(list, line, length);
        if (list->stop == STOP_NEXT) {
            reader->cursor = start;
            break;
        }
        if (empty && list->any && !s->line)
            s->line = reader->cursor.line;
        enum verdict_kind kind = list->stop ? VERDICT_NONE : verdict_line(line, line + length, &value, &before);
        if (kind != VERDICT_NONE) {
            s->verdict = kind;
            s->verdict_value = value;
        }
        if (!reader->surveyed && line_is_sentence(line, length, list->numbers.fields - fields)) {
            list->sentences++;
            list->in_sentences += list->numbers.fields - fields;
        }
    }
}

/*
 * What the whole text is, before any of it counts: in which base the numbers without 0x are, and whether it is a list at all.
 * One number without 0x that has letters, among values of which none has 0x, says that all are hexadecimal. HAXM prints
 * "4000 VMX_PIN_CONTROLS: 16". A few fields in many sentences are somebody's examples, and a text that gives fields nothing but
 * their encodings defines these. Returns whether `first`, which has been read meanwhile, was read in the right base.
 */
static bool survey(struct list *first)
{
    enum { FEW_FIELDS = 20, SENTENCES_A_FIELD = 2, FEW_SENTENCES = 8 };
    struct snapshot_reader *reader = first->reader;
    const struct cursor start = reader->cursor;

    read_vmcs(first);
    const struct cursor after = reader->cursor;
    struct list_numbers *all = &reader->numbers;
    unsigned sentences = first->sentences, in_sentences = first->in_sentences;

    *all = first->numbers;
    while (reader->cursor.at < reader->cursor.length) {
        struct snapshot snapshot;
        struct list list = { .reader = reader, .s = &snapshot };

        read_vmcs(&list);
        all->fields += list.numbers.fields;
        all->marked += list.numbers.marked;
        all->hexadecimal += list.numbers.hexadecimal;
        all->digits += list.numbers.digits;
        all->encodings += list.numbers.encodings;
        sentences += list.sentences;
        in_sentences += list.in_sentences;
    }
    unsigned fields = all->fields - in_sentences;
    reader->bare = all->hexadecimal && !all->marked;
    reader->prose = all->fields && fields < FEW_FIELDS && sentences > FEW_SENTENCES + SENTENCES_A_FIELD * fields;
    reader->definitions = all->fields > 1 && all->encodings == all->fields;
    reader->surveyed = true;
    reader->cursor = reader->bare ? start : after;
    return !reader->bare;
}

/* A verdict and what an exit says of itself, and next to nothing of what was entered. */
static bool verdict_alone(const struct snapshot *s)
{
    unsigned fields = 0;
    uint64_t value;

    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        fields += s->given[i] && i != FIELD_guest_rip && VMCS_ENCODING_TYPE(vmcs_encoding(i)) != VMCS_TYPE_EXIT_INFORMATION;
    return !fields && s->given[FIELD_exit_reason] && snapshot_verdict(s, &value) != VERDICT_NONE;
}

bool list_read(struct snapshot_reader *reader, struct snapshot *snapshot)
{
    struct list list = { .reader = reader, .s = snapshot, .bare = reader->bare };

    if (reader->surveyed || !survey(&list)) {
        list = (struct list){ .reader = reader, .s = snapshot, .bare = reader->bare };
        read_vmcs(&list);
    }
    if (reader->prose || reader->definitions) {
        snapshot_begin(reader, &reader->common);
        reader->common.notes = 0;
        if (reader->definitions)
            snapshot_note(&reader->common, 1, "all %u values are the encodings of their fields", reader->numbers.fields);
        else
            snapshot_note(&reader->common, 1, "a text with %u values of fields in it, no list: to check them, leave only their lines",
                          reader->numbers.fields);
        return false;
    }
    snapshot->numbers = numbers_text(&list);
    if (list.any && verdict_alone(snapshot)) {
        reader->verdict = snapshot_verdict(snapshot, &reader->verdict_value);
        return false;
    }
    if (!list.any)
        reader->common = *snapshot;                     /* its notes say why */
    return list.any;
}
