/* SPDX-License-Identifier: MIT */
/* Source lines by libdw (elfutils). */
#include "emu/load/lines.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SHOWN = 40, CALLS_MAX = 3 };

struct lines {
    char *path;
    struct stat loaded;             /* the file as it was when the image was loaded */
    bool opened;
    int descriptor;
    Dwarf *dwarf;                   /* NULL: it has no line information */
};

struct lines *lines_of(const char *path)
{
    struct lines *lines = calloc(1, sizeof *lines);

    /* Pipes cannot be read a second time. */
    if (!lines || stat(path, &lines->loaded) != 0 || !S_ISREG(lines->loaded.st_mode) || !(lines->path = strdup(path))) {
        free(lines);
        return NULL;
    }
    lines->descriptor = -1;
    return lines;
}

void lines_close(struct lines *lines)
{
    if (!lines)
        return;
    if (lines->dwarf)
        dwarf_end(lines->dwarf);
    if (lines->descriptor >= 0)
        close(lines->descriptor);
    free(lines->path);
    free(lines);
}

static bool same_file(const struct lines *lines)
{
    struct stat now;

    return fstat(lines->descriptor, &now) == 0 && now.st_ino == lines->loaded.st_ino && now.st_size == lines->loaded.st_size &&
           now.st_mtim.tv_sec == lines->loaded.st_mtim.tv_sec && now.st_mtim.tv_nsec == lines->loaded.st_mtim.tv_nsec;
}

static void open_once(struct lines *lines)
{
    if (lines->opened)
        return;
    lines->opened = true;
    lines->descriptor = open(lines->path, O_RDONLY | O_CLOEXEC);
    if (lines->descriptor >= 0 && same_file(lines))
        lines->dwarf = dwarf_begin(lines->descriptor, DWARF_C_READ);
}

/* The compilation unit that covers an address. */
static bool unit_at(struct lines *lines, uint64_t address, Dwarf_Die *unit)
{
    Dwarf_Off offset = 0, next;
    size_t header;

    open_once(lines);
    for (; lines->dwarf && dwarf_nextcu(lines->dwarf, offset, &next, &header, NULL, NULL, NULL) == 0; offset = next)
        if (dwarf_offdie(lines->dwarf, offset + header, unit) && dwarf_haspc(unit, address) > 0)
            return true;
    return false;
}

/* The file's name with one folder. */
static const char *short_name(const char *path)
{
    unsigned slashes = 0;
    const char *from = path + strlen(path);

    while (from > path && (from[-1] != '/' || ++slashes < 2))
        from--;
    return strlen(from) < NAME_SHOWN ? from : strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

/* "main.c:33" */
static size_t put(char *to, size_t size, const char *before, const char *path, int number)
{
    int length = snprintf(to, size, "%s%.*s:%d", before, (int)NAME_SHOWN, short_name(path), number);

    if (length <= 0 || (size_t)length >= size)
        return 0;
    for (char *c = to + strlen(before); *c; c++)        /* what is no printable ASCII would do things to a terminal */
        if (*c <= ' ' || *c > '~' || *c == '<' || *c == '>')
            *c = '?';
    return (size_t)length;
}

/* A function that was inlined there does not say who wanted it: the places where it and its callers are called, up to a function of its own. */
static void put_calls(Dwarf_Die *unit, uint64_t address, char *to, size_t size)
{
    Dwarf_Die *scope = NULL;
    int count = dwarf_getscopes(unit, address, &scope);
    Dwarf_Files *files;
    size_t file_count, used = 0;
    unsigned calls = 0;

    if (dwarf_getsrcfiles(unit, &files, &file_count) != 0)
        count = 0;
    for (int i = 0; i < count && calls < CALLS_MAX && dwarf_tag(&scope[i]) != DW_TAG_subprogram; i++) {
        Dwarf_Attribute attribute;
        Dwarf_Word file, line;
        const char *path;
        size_t length;

        if (dwarf_tag(&scope[i]) != DW_TAG_inlined_subroutine || dwarf_formudata(dwarf_attr(&scope[i], DW_AT_call_file, &attribute), &file) != 0 ||
            dwarf_formudata(dwarf_attr(&scope[i], DW_AT_call_line, &attribute), &line) != 0 || file >= file_count)
            continue;
        path = dwarf_filesrc(files, file, NULL, NULL);
        length = path ? put(to + used, size - used, calls++ ? ", " : ", inlined at ", path, (int)line) : 0;
        if (!length) {
            to[used] = '\0';
            break;
        }
        used += length;
    }
    free(scope);
}

const char *lines_text(struct lines *lines, uint64_t address, char to[LINE_TEXT_MAX])
{
    Dwarf_Die unit;
    Dwarf_Line *line = lines && unit_at(lines, address, &unit) ? dwarf_getsrc_die(&unit, address) : NULL;
    const char *path = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    int number = 0;
    size_t used;

    to[0] = '\0';
    if (!path || dwarf_lineno(line, &number) != 0)
        return to;
    used = put(to, LINE_TEXT_MAX, "", path, number);
    put_calls(&unit, address, to + used, LINE_TEXT_MAX - used);
    return to;
}
