/* SPDX-License-Identifier: MIT */
/*
 * Physical memory: RAM in at most two blocks (below the device hole at 3 GB, and from 4 GB up), host memory supplied by
 * the embedder and zeroed, sparse. Everything that software or hardware reads or writes lives here.
 */
#ifndef SESQUI_MODEL_MEMORY_H
#define SESQUI_MODEL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096ull
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define MEMORY_HOLE 0xc0000000ull               /* RAM below the hole ends here at the latest */
#define MEMORY_HIGH 0x100000000ull              /* RAM that did not fit continues here */
enum { MEMORY_WRITTEN_MAX = 64 };

/* Why a page is watched; bits of memory.watch[]. */
enum {
    WATCH_CODE = 1,         /* the CPU engine holds translations of code in it */
    WATCH_VMCS = 2,         /* an active VMCS's region: raw writes are reported */
    WATCH_PRIVATE = 4,      /* no guest's: a translation in non-root operation that reaches it breaks rule R4 */
    WATCH_REGION = 8,       /* the region of a VMCS that is active to an L1 over a native L0 */
    WATCH_CLEARED = 16,     /* no watch, but a note: VMCLEAR has prepared this page */
    WATCH_VMXON = 32,       /* the VMXON region of a processor in VMX operation, or of one that an L0 has told so */
    WATCH_ACCESSES = WATCH_VMCS | WATCH_REGION | WATCH_VMXON,     /* the CPU engine tells of each access of guest code: vmcs_touched() */
};

struct memory {
    uint8_t *ram;           /* `size` bytes; RAM offset = address below the hole, then the high block */
    uint64_t size;
    uint8_t *watch;         /* one byte per RAM page */
    /* Code pages written by anyone but the CPU engine since it last looked; more than fit: overflow is set. */
    uint64_t written[MEMORY_WRITTEN_MAX];
    unsigned written_count;
    bool written_overflow;
    uint64_t watches;       /* moves when WATCH_ACCESSES are wanted of another page: the CPU engine has it mapped, perhaps */
};

/* Sets or clears bits of the page that holds `pa`, if it is RAM. */
void memory_watch(struct memory *memory, uint64_t pa, uint8_t bits, bool on);
/* Those of its bits that are set; 0 where it is no RAM. */
uint8_t memory_watched(const struct memory *memory, uint64_t pa);

/* `ram` and `watch` (size / PAGE_SIZE bytes) are zeroed and outlive the struct. `size` is a multiple of PAGE_SIZE. */
void memory_init(struct memory *memory, uint8_t *ram, uint64_t size, uint8_t *watch);

/* Host address of `length` bytes at physical address `pa`, or NULL where not all of them are RAM. */
uint8_t *memory_at(const struct memory *memory, uint64_t pa, uint64_t length);
bool memory_is_ram(const struct memory *memory, uint64_t pa, uint64_t length);

/* Little-endian accesses of 1 to 8 bytes, and blocks. Reads of what is no RAM give ones, writes to it vanish, and both
 * return false. Writes note watched code pages. */
bool memory_read(const struct memory *memory, uint64_t pa, void *to, uint64_t length);
bool memory_write(struct memory *memory, uint64_t pa, const void *from, uint64_t length);
/* A device has written these bytes of RAM through memory_at(). */
void memory_written(struct memory *memory, uint64_t pa, uint64_t length);
uint64_t memory_read64(const struct memory *memory, uint64_t pa);
uint32_t memory_read32(const struct memory *memory, uint64_t pa);
void memory_write64(struct memory *memory, uint64_t pa, uint64_t value);
void memory_write32(struct memory *memory, uint64_t pa, uint32_t value);

/* Offset of RAM page holding `pa` in `watch`, or SIZE_MAX where it is no RAM; and the address of an offset. */
size_t memory_page_index(const struct memory *memory, uint64_t pa);
uint64_t memory_page_address(const struct memory *memory, size_t index);

#endif
