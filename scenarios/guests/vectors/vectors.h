/* SPDX-License-Identifier: MIT */
/*
 * Tries VM entries from a list, the first boot module, and prints a verdict for each; the format of both: docs/vectors.md.
 * Every vector starts from the same memory and a fresh VMCS, so that none depends on another.
 */
#ifndef SESQUI_VECTORS_H
#define SESQUI_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

/* The memory below the program that belongs to the vectors: docs/vectors.md has the plan. */
enum { ARENA_END = 0x42000, ARENA_VMCS = 0x2000 };

/* A word of the list: "FIELD=VALUE", "FIELD^VALUE" (toggle bits), "FIELD|VALUE" (controls of a base: what is wanted),
 * "@ADDRESS=VALUE" (a store of 32 bits), "@ADDRESS~VALUE" (the same, of the VMCS revision identifier with bits toggled). */
struct change {
    uint64_t where, value;
    char operation;             /* '=', '^', '|', '~' */
    bool store;
};

/* ---- list.c: the text ---- */
struct text { const char *at, *end; };
/* Reads what stands before the first "vector" line: memory and bases. Ends the program with a message if it is wrong. */
void list_open(struct text list);
/* The next vector: its name, its base's changes, and its own. False at the end. */
struct changes { const struct change *change; unsigned count; };
bool list_next(struct text *name, struct changes *base, struct changes *own);
/* The stores of the "memory" lines. */
struct changes list_memory(void);
void print_text(struct text text);

/* ---- machine.c: this processor ---- */
void machine_print(void);
/* Stores all of the arena anew, zeroes and `memory`; a clear VMCS becomes current, with host state alone. */
void start_afresh(struct changes memory);
/* Applies one change to memory or to the current VMCS; false: there is no such field. */
bool change_apply(const struct change *change);
/* Puts back what a VM exit loaded from a host state that a vector changed. */
void host_remember(void);
void host_restore(void);
/* Prints "unoffered=WORDS" if the current VMCS asks for what this processor does not have. */
void print_unoffered(void);

/* ---- verdict.c ---- */
/* Notes the guest state of the current VMCS. */
void guest_state_note(void);
/* Enters, and prints what came of it. */
void print_verdict(void);

#endif
