/* SPDX-License-Identifier: MIT */
/*
 * Explanations: why something failed, told to the person who has to find out. The first line says what happened and where, the
 * following ones give the causes. People read them on stderr (`sesqui boot`) or as comments (`sesqui run`), once for each place and
 * reason unless they ask for all; a trace has every one, a line each ("why").
 *
 *   struct explanation *e = explain_begin(machine, cpu, explain_key(cpu->rip, "vmxon.cr4_vmxe"));
 *   if (!e)
 *       return;                            nobody wants it
 *   explain_line(e, "VMXON at rip ... raised #UD");
 *   explain_line(e, "CR4.VMXE is 0 [24.7]");
 *   explain_end(e);
 */
#ifndef SESQUI_EMU_EXPLAIN_H
#define SESQUI_EMU_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu;
struct machine;
struct notice;

enum explain_mode { EXPLAIN_ONCE, EXPLAIN_ALL, EXPLAIN_NONE };

enum { EXPLANATION_BYTES = 8192, EXPLAIN_KEYS = 4096, EXPLAIN_KEYS_MAX = 1024 };

struct explanation {
    struct machine *machine;
    const struct cpu *cpu;
    bool to_people, held;
    size_t used;
    char text[EXPLANATION_BYTES];   /* lines, each ended by a newline; what does not fit is cut, and "..." says so */
};

/* An explanation that people get if a processor ends soon after it, and not otherwise: programs ask for MSRs that may not be there. */
struct held_back {
    bool valid;
    unsigned cpu;
    uint64_t instructions;
    char text[2048];
};
enum { HELD_BACK_FOR = 1 << 20 };           /* instructions */

/* What has been told: a hash set of keys, so that looking one up costs the same after a thousand. */
struct explained {
    uint64_t key[EXPLAIN_KEYS];     /* 0: free */
    unsigned count;
};

/* The key of an explanation: the same for the same instruction and the same reason. Never 0. */
uint64_t explain_key(uint64_t rip, const char *reason);

/* Is this the first message with that key?  Then it counts as told. False if there is nobody to tell, and beyond EXPLAIN_KEYS_MAX
 * different ones, at which a last line says so. */
bool explain_new(struct machine *machine, uint64_t key);
/* Has the message with that key been told?  Nothing changes. */
bool explain_told(struct machine *machine, uint64_t key);
/* The same as explain_new() for explanations, of which people may want all or none. */
bool explain_first(struct machine *machine, uint64_t key);

/* Begins an explanation. NULL if neither people nor a trace want it. `cpu` is the processor that it is about. Key 0: of what a correct
 * program does, too; for traces, and for people who asked for all. */
struct explanation *explain_begin(struct machine *machine, const struct cpu *cpu, uint64_t key);
/* The same for one that is held back (unless people want all): the latest one takes the place of another. And: its processor has come to an end. */
struct explanation *explain_begin_held(struct machine *machine, const struct cpu *cpu, uint64_t key);
void explain_release(struct machine *machine, const struct cpu *cpu);
/* The first line, of what breaks a rule (docs/rules.md) or is a mistake that no rule forbids. */
void explain_rule(struct explanation *explanation, const struct notice *notice, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A line of it, without a newline. The first one says what happened and where. */
void explain_line(struct explanation *explanation, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells it. */
void explain_end(struct explanation *explanation);

#endif
