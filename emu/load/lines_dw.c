/* SPDX-License-Identifier: MIT */
/* Source lines by libdw (elfutils). */
#include "emu/load/lines.h"

#include <elfutils/libdw.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The line of an address: of the compilation unit that covers it. */
static Dwarf_Line *line_at(struct lines *lines, uint64_t address)
{
    Dwarf_Off offset = 0, next;
    size_t header;

    open_once(lines);
    for (; lines->dwarf && dwarf_nextcu(lines->dwarf, offset, &next, &header, NULL, NULL, NULL) == 0; offset = next) {
        Dwarf_Die unit;

        if (dwarf_offdie(lines->dwarf, offset + header, &unit) && dwarf_haspc(&unit, address) > 0)
            return dwarf_getsrc_die(&unit, address);
    }
    return NULL;
}

/* The file's name with one folder. */
static const char *short_name(const char *path)
{
    unsigned slashes = 0;
    const char *from = path + strlen(path);

    while (from > path && (from[-1] != '/' || ++slashes < 2))
        from--;
    return strlen(from) < LINE_TEXT_MAX - 16 ? from : strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

const char *lines_text(struct lines *lines, uint64_t address, char to[LINE_TEXT_MAX])
{
    Dwarf_Line *line = lines ? line_at(lines, address) : NULL;
    const char *path = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    int number = 0;

    to[0] = '\0';
    if (!path || dwarf_lineno(line, &number) != 0)
        return to;
    snprintf(to, LINE_TEXT_MAX, "%.*s:%d", LINE_TEXT_MAX - 16, short_name(path), number);
    for (char *c = to; *c; c++)             /* what is no printable ASCII would do things to a terminal */
        if (*c <= ' ' || *c > '~' || *c == '<' || *c == '>')
            *c = '?';
    return to;
}
