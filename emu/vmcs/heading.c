/* SPDX-License-Identifier: MIT */
/* Names that do not say all: with what their line, or a heading above it, is about. */
#include <string.h>
#include <strings.h>

#include "emu/vmcs/list.h"

const char *about_whom(const char *text, size_t length)
{
    for (size_t i = 0; i + 4 <= length; i++) {
        if (i + 5 <= length && strncasecmp(text + i, "guest", 5) == 0)
            return "guest";
        if (strncasecmp(text + i, "host", 4) == 0)
            return "host";
    }
    return NULL;
}

/* "Guest CS Segment - Selector: 0x10  Limit: 0x0": the field of what the line is about, and of a word of it. */
static enum vmcs_field by_subject(const struct list *list, struct piece subject, struct piece name, bool *high)
{
    char text[2 * NAME_MAX_BYTES + 2];
    size_t length = (size_t)(subject.end - subject.start), more = (size_t)(name.end - name.start);
    enum vmcs_field field = VMCS_FIELD_COUNT;

    if (!length)
        return field;
    if (length + 1 + more <= sizeof text) {
        memcpy(text, subject.start, length);
        text[length] = ' ';
        memcpy(text + length + 1, name.start, more);
        if ((field = field_by_any_name(text, length + 1 + more, NULL, high)) == VMCS_FIELD_COUNT && list->about)
            field = field_by_any_name(text, length + 1 + more, list->about, high);
    }
    return field != VMCS_FIELD_COUNT ? field : field_by_any_name(name.start, more, about_whom(subject.start, length), high);
}

/* The field of a name that says not all: with what the line or a heading is about. */
static enum vmcs_field by_heading(const struct list *list, struct piece subject, struct piece name, bool *high)
{
    size_t length = (size_t)(name.end - name.start);
    enum vmcs_field field = by_subject(list, subject, name, high);

    if (field == VMCS_FIELD_COUNT)
        field = field_by_any_name(name.start, length, about_whom(name.start, length), high);
    if (field == VMCS_FIELD_COUNT && list->about)
        field = field_by_any_name(name.start, length, list->about, high);
    return field;
}

/* A field that only the guest has needs no heading, once there was a field: "ss ar", "rflags". */
static enum vmcs_field guest_alone(const struct list *list, struct piece subject, struct piece name, bool *high)
{
    struct list guest = *list, host = *list;

    if (list->about || !list->any)
        return VMCS_FIELD_COUNT;
    guest.about = "guest";
    host.about = "host";
    return by_heading(&host, subject, name, high) == VMCS_FIELD_COUNT ? by_heading(&guest, subject, name, high)
                                                                      : VMCS_FIELD_COUNT;
}

enum vmcs_field name_field(const struct list *list, struct piece subject, struct piece name, bool *high, bool *whole)
{
    size_t length = (size_t)(name.end - name.start);
    enum vmcs_field field = length ? field_by_any_name(name.start, length, NULL, high) : VMCS_FIELD_COUNT;

    *whole = field != VMCS_FIELD_COUNT;
    if (!length || *whole)
        return field;
    field = by_heading(list, subject, name, high);
    return field != VMCS_FIELD_COUNT ? field : guest_alone(list, subject, name, high);
}
