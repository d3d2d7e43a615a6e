/* SPDX-License-Identifier: MIT */
/* Reads from a disk past the page cache, for scenarios/linux/bench.sh: reader DEVICE sequential MEGABYTES, or reader DEVICE random REQUESTS (of 4 KB). */
#define _GNU_SOURCE                     /* O_DIRECT */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, CHUNK = 1 << 20 };

int main(int argc, char **argv)
{
    const int random_places = argc == 4 && strcmp(argv[2], "random") == 0;
    const size_t size = random_places ? BLOCK : CHUNK;
    const long count = argc == 4 ? atol(argv[3]) : 0;
    const int device = argc == 4 ? open(argv[1], O_RDONLY | O_DIRECT) : -1;
    const off_t end = device < 0 ? 0 : lseek(device, 0, SEEK_END);
    void *buffer = aligned_alloc(BLOCK, size);
    uint64_t place = 1;

    if (end < CHUNK || count < 1 || !buffer) {
        perror("reader");
        return 1;
    }
    for (long i = 0; i < count; i++) {
        place = random_places ? place * 6364136223846793005ull + 1442695040888963407ull : (uint64_t)i;
        off_t at = (off_t)((random_places ? place >> 33 : place) % (uint64_t)(end / (off_t)size) * size);

        if (pread(device, buffer, size, at) != (ssize_t)size) {
            perror("reader");
            return 1;
        }
    }
    printf("linux: read %ld\n", count);
    return 0;
}
