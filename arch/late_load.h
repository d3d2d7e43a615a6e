/* SPDX-License-Identifier: MIT */
/*
 * Late load: how a running system asks for L0 beneath it, and how it speaks to it afterwards (docs/metal.md). No code.
 *
 * L0 is in memory already, and a system that was started by it finds the last multiboot module with the text LATE_MODULE. It is a table of
 * two 64-bit words: LATE_SIGNATURE, and the physical address of a function  uint64_t load(void)  that each processor calls for
 * itself, in 64-bit mode at CPL 0. Or a loader inside an operating system brings the image along: the second half of this file.
 */
#ifndef SESQUI_ARCH_LATE_LOAD_H
#define SESQUI_ARCH_LATE_LOAD_H

#define LATE_MODULE "sesqui.load"
#define LATE_SIGNATURE 0x4c49555153455301ull    /* 1, "SESQUIL" */

/* VMCALL at CPL 0 in 64-bit mode, outside VMX operation of L1: RAX = LATE_CALL, RBX = one of these; the answer is in RAX. LATE_EXITS also
 * inside it, in root operation, where VMCALL would fail. */
#define LATE_CALL 0x4c4c414351534501ull
/* struct late_image and struct late_system, below: 1, "SESQIMG"; 1, "SESQSYS". */
#define LATE_IMAGE_SIGNATURE 0x474d495153455301
#define LATE_SYSTEM_SIGNATURE 0x5359535153455301
#if !defined __ASSEMBLER__ && !defined __LINKER__
enum late_function {
    LATE_FINALISE = 1,          /* from now on nothing removes L0 */
    LATE_UNLOAD = 2,            /* this processor goes on without L0, until it loads it again; not in an NMI handler, not single-stepped */
    LATE_EXITS = 3,             /* RCX = physical address of a page of the system's RAM, which gets struct late_exits of this processor */
};
/* VM exits since L0 is beneath the processor, by level (L1, L2) and basic exit reason (SDM Vol. 3, Appendix C); this call's own is among them. */
enum { LATE_EXIT_REASONS = 96 };
struct late_exits { unsigned long long of[2][LATE_EXIT_REASONS]; };
/* Answers of load() and of the call. */
enum late_answer { LATE_DONE = 0, LATE_REFUSED = 1, LATE_UNKNOWN = 2 };

/*
 * ---- a loader inside an operating system ----
 *
 * 1. It takes physically contiguous memory, the pool, which the system never touches again, and maps all of it, executable and cached, at a
 *    linear address of its own choice, `linear`: whatever L0's own addresses are not (prepare() says so). Both are multiples
 *    of LATE_ALIGNMENT.
 * 2. It puts the image there: the one PT_LOAD segment of build/sesqui.elf, its file bytes and zeros up to its memory size. It must be as
 *    large as `size` says. In the first 8 KB, 8-byte aligned, is struct late_image.
 * 3. One processor calls  uint64_t prepare(const struct late_system *)  at linear + image.prepare, once. LATE_DONE, or LATE_REFUSED and the
 *    log says why; the image is then used up: put it there anew.
 * 4. Each processor calls  uint64_t load(void)  at linear + image.load.
 *
 * All calls: 64-bit mode, 4 or 5 levels of paging, CPL 0, interrupts off or on, any stack, GDT, LDT, IDT, TSS; PCIDs, SMEP, SMAP,
 * indirect-branch tracking (the functions begin with ENDBR64) as the caller has them, supervisor shadow stacks off. The paging in use maps the
 * pool at `linear` whenever load() is called, and at the VMCALL of LATE_UNLOAD, which is refused elsewhere; nothing is asked of other
 * addresses, and nothing need be mapped one to one. NMIs are delivered to the system at any moment.
 * When one processor's load fails, the loader unloads the others: only it knows when its paging can be the one above.
 * The pool vanishes from the system once L0 is beneath it: what reads there faults.
 */
enum { LATE_ALIGNMENT = 0x20000 };
struct late_image {
    unsigned long long signature;
    unsigned long long size;    /* of the image in memory; the pool needs at least `smallest` bytes, and `per_processor` for each but one */
    unsigned long long smallest;
    unsigned long long prepare, load;   /* where the functions are, from the image's beginning */
    unsigned long long processors;      /* that it takes at most */
    unsigned long long per_processor;   /* bytes more of the pool for each processor but the first */
};
enum late_range_type { LATE_RAM = 1 };  /* any other: not RAM, in the numbers of ACPI's and the multiboot memory map */
struct late_range { unsigned long long base, size, type; };
struct late_system {
    unsigned long long signature;
    unsigned long long pool, pool_size;   /* physical; bytes */
    unsigned long long linear;
    unsigned long long range_count;       /* the machine's memory map; the pool is RAM in it */
    const struct late_range *range;
    unsigned long long processor_count;   /* all that may ever run: those that are offline, too. No page can be given before all are loaded */
    const unsigned int *local_apic_id;
    const char *command_line;   /* docs/metal.md; log=memory unless it says another place */
    /* RAM of the system's: 64 bits that count the characters of L0's messages, and behind them a ring of the latest ones. 0: none. */
    unsigned long long log, log_size;     /* physical, 8-byte aligned; bytes */
    unsigned long long log_linear;        /* where the caller has it, in all its calls */
};
#endif

#endif
