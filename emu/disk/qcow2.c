/* SPDX-License-Identifier: MIT */
/*
 * qcow2 images, by QEMU's own tool: they are converted into a temporary without a name. What would make that tool read other files than the image
 * (a backing file, an external data file), or is damaged, is refused before. docs/interop/qcow2.txt of QEMU, "Header".
 */
#define _GNU_SOURCE                     /* O_TMPFILE, pipe2() */
#include "emu/disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VERSION = 4, BACKING_OFFSET = 8, CLUSTER_BITS = 20, SIZE = 24, ENCRYPTION = 32, INCOMPATIBLE = 72, HEADER_2 = 72, HEADER_3 = 104 };
enum { CLUSTER_BITS_LEAST = 9, CLUSTER_BITS_MOST = 21, SECONDS_MOST = 300 };
enum { DIRTY = 1, CORRUPT = 2, EXTERNAL_DATA = 4, COMPRESSION = 8, EXTENDED_L2 = 16, KNOWN = 31 };
enum { UNPACKED_LEAST = 256 << 20, UNPACKED_TIMES = 64, LOOK_EACH_MS = 50 };
#define SIZE_MOST (1ull << 40)          /* 1 TB: more than an honest image for a machine like this one holds */

static uint64_t big(const uint8_t *from, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value = value << 8 | from[i];
    return value;
}

static const char *header_fault(const uint8_t *head, size_t size)
{
    uint64_t version = size >= 8 ? big(head + VERSION, 4) : 0, bits, features;

    if (version < 2 || version > 3)
        return "is a qcow image of a version other than 2 and 3";
    if (size < (version == 2 ? HEADER_2 : HEADER_3))
        return "is a qcow2 image that is cut short: it ends within its header";
    if (big(head + BACKING_OFFSET, 8))
        return "is a qcow2 image on top of another file (a backing file), which is not followed: qemu-img convert makes one of both";
    bits = big(head + CLUSTER_BITS, 4);
    if (bits < CLUSTER_BITS_LEAST || bits > CLUSTER_BITS_MOST)
        return "is a qcow2 image with a cluster size that there is not: it is damaged";
    if (big(head + ENCRYPTION, 4))
        return "is an encrypted qcow2 image: qemu-img convert can decrypt it";
    if (!big(head + SIZE, 8) || big(head + SIZE, 8) > SIZE_MOST)
        return "is a qcow2 image of a disk that is empty or larger than 1 TB";
    features = version == 3 ? big(head + INCOMPATIBLE, 8) : 0;
    if (features & CORRUPT)
        return "is a qcow2 image marked as corrupt: qemu-img check -r all";
    if (features & EXTERNAL_DATA)
        return "is a qcow2 image whose data are in another file, which is not followed: qemu-img convert makes one of both";
    if (features & ~(uint64_t)KNOWN)
        return "is a qcow2 image with features that are not known here";
    return NULL;
}

enum qcow2 qcow2_check(const uint8_t *head, size_t size, char *why, size_t why_size)
{
    if (size < 4 || memcmp(head, "QFI\373", 4) != 0)
        return QCOW2_NOT;
    const char *fault = header_fault(head, size);
    if (!fault)
        return QCOW2_GOOD;
    snprintf(why, why_size, "%s", fault);
    return QCOW2_REFUSED;
}

/* A file without a name, beside other temporaries. */
static int temporary(void)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    int file = open(folder ? folder : "/var/tmp", O_TMPFILE | O_RDWR, 0600);

    if (file >= 0)
        return file;
    snprintf(path, sizeof path, "%.4000s/sesqui-disk-XXXXXX", folder ? folder : "/var/tmp");
    if ((file = mkstemp(path)) >= 0)
        unlink(path);
    return file;
}

/* The child: everything that it says goes to `says`. */
static _Noreturn void run_tool(const char *path, int to, int says)
{
    char target[40];
    int null = open("/dev/null", O_RDONLY);

    snprintf(target, sizeof target, "/dev/fd/%d", to);
    setrlimit(RLIMIT_CPU, &(struct rlimit){ SECONDS_MOST, SECONDS_MOST });      /* an image can have every cluster a thousand times */
    if (null < 0 || dup2(null, 0) < 0 || dup2(says, 1) < 0 || dup2(says, 2) < 0)
        _exit(126);
    execlp("qemu-img", "qemu-img", "convert", "-q", "-f", "qcow2", "-O", "raw", "--", path, target, (char *)NULL);
    _exit(errno == ENOENT ? 127 : 126);
}

/* Clusters may be compressed, and stand for many: what an honest image unpacks to is below this, and the host has room for it. */
static uint64_t most_unpacked(const char *path)
{
    struct stat status;

    return UNPACKED_LEAST + (stat(path, &status) == 0 ? (uint64_t)status.st_size * UNPACKED_TIMES : 0);
}

static uint64_t bytes_held(int file)
{
    struct stat status;

    return fstat(file, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

/* The first line that the tool says; the rest is read and forgotten. Meanwhile its output may not grow beyond `most`: false, and it is ended. */
static bool first_line(int from, char *line, size_t size, pid_t child, int to, uint64_t most)
{
    struct pollfd poll_from = { .fd = from, .events = POLLIN };
    char text[256];
    size_t used = 0;
    ssize_t got = 1;

    while (got > 0 && bytes_held(to) <= most) {
        got = poll(&poll_from, 1, LOOK_EACH_MS) > 0 ? read(from, text, sizeof text) : -2;
        for (ssize_t i = 0; i < got && used + 1 < size; i++)
            line[used++] = text[i];
        if (got == -2 || (got < 0 && errno == EINTR))
            got = 1;                    /* nothing yet */
    }
    line[used] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (bytes_held(to) <= most)
        return true;
    kill(child, SIGKILL);
    return false;
}

int qcow2_convert(const char *path, char *why, size_t why_size)
{
    int to = temporary(), says[2] = { -1, -1 }, status = -1;
    uint64_t most = most_unpacked(path);
    char line[160] = "";
    pid_t child = -1;
    bool bounded = true;

    if (to < 0 || pipe2(says, O_CLOEXEC) != 0 || (child = fork()) < 0) {
        snprintf(why, why_size, "is a qcow2 image, and there is no temporary to convert it into: %s", strerror(errno));
    } else if (child == 0) {
        run_tool(path, to, says[1]);
    } else {
        close(says[1]);
        bounded = first_line(says[0], line, sizeof line, child, to, most);
        says[1] = -1;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (says[0] >= 0)
        close(says[0]);
    if (says[1] >= 0)
        close(says[1]);
    bounded = bounded && bytes_held(to) <= most;
    if (child > 0 && !bounded)
        snprintf(why, why_size, "is a qcow2 image that holds more than %u times as many bytes as its file has: qemu-img convert -O raw makes a file of it",
                 UNPACKED_TIMES);
    else if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
        snprintf(why, why_size, "is a qcow2 image: to convert it qemu-img is needed (apt-get install qemu-utils)");
    else if (child > 0 && status != 0)
        snprintf(why, why_size, "is a qcow2 image that cannot be converted: %s", *line ? line : "qemu-img failed");
    if (child > 0 && bounded && status == 0)
        return to;
    if (to >= 0)
        close(to);
    return -1;
}
