/* SPDX-License-Identifier: MIT */
/*
 * The readers of VMCS dumps on hostile texts, in all formats and through what mailers do. What must hold: no crash; every VMCS
 * that is read begins in a line of the text, has values that fit, and notes that are one line; what is read can be written,
 * and reads as the same again.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "emu/explain/fixed_bits.h"
#include "emu/explain/suspects.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/check.h"
#include "tests/fuzz/words.h"

static struct snapshot snapshot, again;
static struct snapshot_reader reader, second;

static void read_again(void)
{
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);

    FUZZ_ASSERT(to);
    snapshot_write(&snapshot, NULL, to);
    fclose(to);
    second = (struct snapshot_reader){ .cursor = { .text = text, .length = length } };
    FUZZ_ASSERT(snapshot_read(&second, &again));
    FUZZ_ASSERT(memcmp(snapshot.vmcs.field, again.vmcs.field, sizeof again.vmcs.field) == 0);
    FUZZ_ASSERT(snapshot.physical_address_width == again.physical_address_width && snapshot.words == again.words);
    FUZZ_ASSERT(memcmp(&snapshot.capability.word, &again.capability.word, sizeof again.capability.word) == 0);
    FUZZ_ASSERT(!again.notes && !snapshot_read(&second, &again));
    free(text);
}

static void look_at(unsigned lines)
{
    FUZZ_ASSERT(snapshot.line <= lines && snapshot.msrs <= SNAPSHOT_MSRS && snapshot.words <= SNAPSHOT_WORDS);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        FUZZ_ASSERT(!(snapshot.vmcs.field[i] & ~vmcs_field_mask(i)));
    for (unsigned i = 0; i < snapshot.notes && i < SNAPSHOT_NOTES; i++)
        FUZZ_ASSERT(strncmp(snapshot.note[i], "line ", 5) == 0 && !strchr(snapshot.note[i], '\n'));
    for (unsigned i = 0; i < snapshot.msrs; i++)
        snapshot_msr_refused(&snapshot, &snapshot.msr[i]);
}

/* What fails is told; what is given in full is decided. */
static void check(void)
{
    static enum row_state row[SNAPSHOT_ROWS_MAX];
    FILE *nowhere = fopen("/dev/null", "w");
    uint64_t value;
    enum verdict_kind kind = snapshot_verdict(&snapshot, &value);

    FUZZ_ASSERT(nowhere && snapshot_check(&snapshot, row));
    suspects_print(&snapshot, row, kind, value, nowhere);
    for (unsigned i = 0; i < check_count; i++) {
        char text[FIXED_BITS_TEXT_MAX];
        if (row[i] == ROW_FAILS)
            fixed_bits_text(&check_table[i], &snapshot.capability, snapshot.part_given, &snapshot.vmcs, text);
    }
    fclose(nowhere);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t length;
    char *text = mail_clean((const char *)data, size, &length);
    unsigned lines = 1, count = 0;

    FUZZ_ASSERT(text && length <= size);
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    reader = (struct snapshot_reader){ .cursor = { .text = text, .length = length } };
    while (snapshot_read(&reader, &snapshot)) {
        FUZZ_ASSERT(count++ <= lines);
        look_at(lines);
        snapshot_assume(&snapshot);
        read_again();
        if (size % 128 == 0)                            /* it takes a thousand times as long */
            check();
    }
    FUZZ_ASSERT(reader.cursor.line <= lines);
    free(text);
    return 0;
}

/* ---- texts ---- */

static const char *const own[] = {
#define FIELD(name, encoding, exists) #name " = ",
#include "arch/vmcs_fields.def"
#define FIELD(name, encoding, exists) #encoding ": ",
#include "arch/vmcs_fields.def"
#define NAME(theirs, field) theirs ": ",
#include "emu/vmcs/names.def"
    "vmcs 0x1000\n", "end\n", "processor ia32e = ", "processor physical_address_width = ", "capability pin.allowed = ",
    "capability misc = ", "memory 0x1000 = ", "# comment\n", "IA32_VMX_CR4_FIXED1 = ", "Guest CS: selector ", "Access-Rights: ",
    "GUEST_RFLAGS,0x6820,", "0x6820;0x2;GUEST_RFLAGS;", "6820 GUEST_RFLAGS ", "rflags: fee1 ss ar ",
    "---- host state ----\n", "VM-instruction error: ", "kGuestCr0=", "GUEST_EFER_HIGH ",
};
static const char *const log_lines[] = {
#define LINE(section, pattern, ...) pattern,
#include "emu/vmcs/kvm_lines.def"
#define LINE(section, pattern, ...) pattern,
#include "emu/vmcs/xen_lines.def"
#define LINE(section, pattern, ...) pattern,
#include "emu/vmcs/qemu_lines.def"
#define VERDICT(place, form, pattern) pattern,
#include "emu/vmcs/verdict_lines.def"
    "*** Guest State ***", "*** Guest State ***", "*** Host State ***", "*** Control State ***", "MSR guest autoload:",
    "MSR host autoload:", " 0: msr=% value=%", "msr % val % (mbz %)", "EAX=% EBX=%", "RAX=% RBX=%",
    "capability cr4_fixed1 = 0x%",
};
static const char *const prefixes[] = {
    "", "", "", "> ", ">>> ", "[ 1.2] kvm_intel: ", "[ 1.2][  T7] ", "[ 1.2][ T88] kvm_intel: ", "(XEN) ", "&gt; ", "<br>", "\x1b[1m",
    "Jan  1 00:00:00 h kernel: ", "\xc2\xa0",
};
static const char *const ends[] = { "\n", "\n", "\n", "\n", "\r\n", "=\n", "\n\n", " ", "&#10;", "" };
static const char *const numbers[] = {
    "0", "1", "0x0", "0xffff", "0xffffffff", "0x10000", "0xffffffffffffffff", "0x1ffffffffffffffff", "0x", "zz", "39", "-1", "40",
    "0000000080050033", "99999999999999999999", "=3D0x10", "(null)", "0x8000_0021", "21h",
};
#define PICK(random, table) table[fuzz_below(random, sizeof table / sizeof table[0])]

static size_t pattern_line(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX], size_t size, const char *pattern)
{
    size = fuzz_append(to, size, PICK(random, prefixes));
    for (; *pattern; pattern++) {
        const char c[2] = { *pattern, '\0' };
        bool number = *pattern == '%' || *pattern == '~';
        bool wrap = *pattern == ' ' && !fuzz_below(random, 20);
        size = fuzz_append(to, size, number ? PICK(random, numbers) : wrap ? " \n" : c);
    }
    return fuzz_append(to, size, PICK(random, ends));
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    size_t size = 0;
    bool log = fuzz_below(random, 3);

    if (log && fuzz_below(random, 2))
        size = fuzz_append(to, size, "*** Guest State ***\n");
    for (unsigned lines = fuzz_below(random, 60); lines; lines--) {
        if (log) {
            size = pattern_line(random, to, size, PICK(random, log_lines));
        } else {
            size = fuzz_append(to, size, PICK(random, prefixes));
            size = fuzz_append(to, size, PICK(random, own));
            size = fuzz_append(to, size, PICK(random, numbers));
            size = fuzz_append(to, size, PICK(random, ends));
        }
    }
    if (log && fuzz_below(random, 2))
        size = fuzz_append(to, size, "*** Host State ***\n*** Control State ***\n");
    return fuzz_below(random, 2) ? fuzz_damage(random, to, size) : size;
}
