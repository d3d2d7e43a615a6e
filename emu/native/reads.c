/* SPDX-License-Identifier: MIT */
/*
 * Rule R8: between two entries L0 reads each datum of a guest's memory once. What it read twice, another processor (or a
 * device) may have changed in between, so that what was checked is not what is used.
 *
 * And the adversary that does change it (`races=1`): after each read the bytes are other ones, until L0 writes there or
 * enters its guest. An L0 that reads once cannot notice; the guest, which runs only afterwards, neither.
 */
#include <inttypes.h>
#include <stdio.h>

#include "emu/native/state.h"
#include "model/random.h"

static const char *const datum_text[] = {
    [HAL_DATUM_OPERAND] = "an operand", [HAL_DATUM_PAGING_ENTRY] = "an entry of a paging structure",
    [HAL_DATUM_REGION] = "a VMXON or VMCS region", [HAL_DATUM_BITMAP] = "a bitmap",
    [HAL_DATUM_ENTRY_MSR_LIST] = "the VM-entry MSR-load list",
    [HAL_DATUM_EXIT_MSR_STORE_LIST] = "the VM-exit MSR-store list",
    [HAL_DATUM_EXIT_MSR_LOAD_LIST] = "the VM-exit MSR-load list",
};

static bool overlap(const struct native_read *read, uint64_t pa, uint64_t length)
{
    return read->pa < pa + length && pa < read->pa + read->length;
}

static bool guests_memory(const struct native *native, uint64_t pa)
{
    size_t index = memory_page_index(&native->model->memory, pa);

    return index != SIZE_MAX && native->owner[index] == HAL_OWNER_L1;
}

static void report(struct native_cpu *here, unsigned first, const struct native_read *second)
{
    struct native_reads *reads = &here->native->reads;
    const struct native_read *read = &reads->read[first];
    uint64_t pa = read->pa > second->pa ? read->pa : second->pa;

    snprintf(reads->text, sizeof reads->text, "L0 read a datum of its guest twice in one exit (%s): read %u, of %" PRIu32
             " bytes at 0x%" PRIx64 ", and read %u, of %" PRIu32 " bytes at 0x%" PRIx64 " [25.11.4]",
             datum_text[second->datum], first + 1, read->length, read->pa, reads->count + 1, second->length, second->pa);
    rule_broken(here, RULE_READ_ONCE, pa, second->datum, reads->text);
}

/* ---- the adversary ---- */

static void change(struct native *native, struct native_read *read)
{
    struct native_reads *reads = &native->reads;
    uint8_t *ram = memory_at(&native->model->memory, read->pa, read->length);

    if (!ram || reads->saved_bytes + read->length > sizeof reads->saved)
        return;
    read->changed = true;
    read->saved = reads->saved_bytes;
    reads->saved_bytes += read->length;
    for (uint32_t i = 0; i < read->length; i++) {
        reads->saved[read->saved + i] = ram[i];
        ram[i] ^= (uint8_t)(1 + random_next(&reads->seed) % 255);
    }
}

static void restore(struct native *native, struct native_read *read)
{
    uint8_t *ram = memory_at(&native->model->memory, read->pa, read->length);

    for (uint32_t i = 0; read->changed && i < read->length; i++)
        ram[i] = native->reads.saved[read->saved + i];
    read->changed = false;
}

static void exchange(struct native *native, const struct native_read *read)
{
    uint8_t *ram = memory_at(&native->model->memory, read->pa, read->length);

    for (uint32_t i = 0; read->changed && i < read->length; i++) {
        uint8_t now = ram[i];

        ram[i] = native->reads.saved[read->saved + i];
        native->reads.saved[read->saved + i] = now;
    }
}

/* Back in the order of the reads: where two overlap, it ends as it was. */
void reads_exchange(struct native_cpu *here, bool as_read)
{
    struct native_reads *reads = &here->native->reads;

    for (unsigned i = 0; reads->races && i < reads->count; i++)
        exchange(here->native, &reads->read[as_read ? reads->count - 1 - i : i]);
}

/* ---- what the HAL tells ---- */

void reads_note(struct native_cpu *here, uint64_t pa, size_t length)
{
    struct native_reads *reads = &here->native->reads;
    struct native_read read = { .pa = pa, .length = (uint32_t)length, .datum = reads->datum };

    if (!guests_memory(here->native, pa))
        return;
    for (unsigned i = 0; i < reads->count; i++) {
        if (reads->read[i].datum == read.datum && overlap(&reads->read[i], pa, length)) {
            report(here, i, &read);
            break;
        }
    }
    if (reads->races)
        change(here->native, &read);
    if (reads->count < NATIVE_READS_MAX)
        reads->read[reads->count++] = read;
    else
        restore(here->native, &read);
}

/* The latest first: where two overlap, the earlier one saved what the guest wrote. */
void reads_write(struct native_cpu *here, uint64_t pa, size_t length)
{
    struct native_reads *reads = &here->native->reads;

    for (unsigned i = reads->count; reads->races && i-- > 0;)
        if (overlap(&reads->read[i], pa, length))
            restore(here->native, &reads->read[i]);
}

void reads_end(struct native_cpu *here)
{
    struct native_reads *reads = &here->native->reads;

    for (unsigned i = reads->count; reads->races && i-- > 0;)
        restore(here->native, &reads->read[i]);
    reads->count = 0;
    reads->saved_bytes = 0;
}
