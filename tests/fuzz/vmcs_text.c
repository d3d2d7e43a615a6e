/* SPDX-License-Identifier: MIT */
/*
 * The reader of VMCS dumps on hostile texts, both formats. What must hold: no crash; a refusal says "file:line: ..."; what
 * is read can be written, and reads as the same again.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "emu/vmcs/snapshot.h"
#include "tests/fuzz/words.h"

static struct snapshot snapshot, again;

static void read_again(void)
{
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);

    FUZZ_ASSERT(to);
    snapshot_write(&snapshot, NULL, to);
    fclose(to);
    struct snapshot_reader reader = { .path = "again", .text = text, .length = length };
    FUZZ_ASSERT(snapshot_read(&reader, &again) == SNAPSHOT_READ);
    FUZZ_ASSERT(memcmp(snapshot.vmcs.field, again.vmcs.field, sizeof again.vmcs.field) == 0);
    FUZZ_ASSERT(snapshot.physical_address_width == again.physical_address_width && snapshot.words == again.words);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snapshot_reader reader = { .path = "fuzz", .text = (const char *)data, .length = size };
    enum snapshot_read read;

    while ((read = snapshot_read(&reader, &snapshot)) == SNAPSHOT_READ) {
        snapshot_assume(&snapshot);
        read_again();
    }
    if (read == SNAPSHOT_ERROR)
        FUZZ_ASSERT(strncmp(reader.error, "fuzz:", 5) == 0 && !strchr(reader.error, '\n'));
    return 0;
}

static const char *const own[] = {
#define FIELD(name, encoding, exists) #name " = ",
#include "arch/vmcs_fields.def"
    "vmcs 0x1000\n", "end\n", "processor ia32e = ", "processor physical_address_width = ", "capability pin.allowed = ",
    "capability misc = ", "memory 0x1000 = ", "# comment\n",
};
static const char *const kvm[] = {
#define LINE(section, pattern, ...) pattern,
#include "emu/vmcs/kvm_lines.def"
    "*** Guest State ***", "*** Host State ***", "*** Control State ***", "[ 1.2] kvm_intel: ",
};
static const char *const numbers[] = {
    "0", "1", "0x0", "0xffff", "0xffffffff", "0x10000", "0xffffffffffffffff", "0x1ffffffffffffffff", "0x", "zz", "39", "-1", "40",
    "0000000080050033", "99999999999999999999",
};
#define PICK(random, table) table[fuzz_below(random, sizeof table / sizeof table[0])]

static size_t pattern_line(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX], size_t size, const char *pattern)
{
    for (; *pattern; pattern++) {
        const char c[2] = { *pattern, '\0' };
        size = fuzz_append(to, size, *pattern == '%' ? PICK(random, numbers) : c);
    }
    return fuzz_append(to, size, "\n");
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    size_t size = 0;
    bool log = fuzz_below(random, 2);

    if (log)
        size = fuzz_append(to, size, "*** Guest State ***\n");
    for (unsigned lines = fuzz_below(random, 40); lines; lines--) {
        if (log) {
            size = pattern_line(random, to, size, PICK(random, kvm));
        } else {
            size = fuzz_append(to, size, PICK(random, own));
            size = fuzz_append(to, size, PICK(random, numbers));
            size = fuzz_append(to, size, "\n");
        }
    }
    if (log)
        size = fuzz_append(to, size, "*** Host State ***\n*** Control State ***\n");
    return fuzz_below(random, 2) ? fuzz_damage(random, to, size) : size;
}
