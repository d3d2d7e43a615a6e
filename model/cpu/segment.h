/* SPDX-License-Identifier: MIT */
/*
 * Segment descriptors and what loads them: SDM Vol. 3, ch. 3, 5 and 8. Everything is checked, and every byte that will be
 * written is translated, before anything changes; but for task switches, whose later faults belong to the new task.
 */
#ifndef SESQUI_MODEL_SEGMENT_H
#define SESQUI_MODEL_SEGMENT_H

#include "model/cpu/access.h"
#include "model/cpu/cpu.h"

/* Types of code and data segments (SDM Vol. 3, Table 3-1). */
#define TYPE_ACCESSED 1u
#define TYPE_WRITABLE 2u        /* data segments; code segments: readable */
#define TYPE_EXPAND_DOWN 4u     /* data segments; code segments: conforming */
#define TYPE_CONFORMING 4u
#define TYPE_CODE 8u

/* Types of system segments and gates (Table 3-2). */
enum system_type {
    SYSTEM_TSS_16 = 1, SYSTEM_LDT = 2, SYSTEM_TSS_16_BUSY = 3, SYSTEM_CALL_GATE_16 = 4, SYSTEM_TASK_GATE = 5,
    SYSTEM_INTERRUPT_GATE_16 = 6, SYSTEM_TRAP_GATE_16 = 7, SYSTEM_TSS_32 = 9, SYSTEM_TSS_32_BUSY = 11,
    SYSTEM_CALL_GATE_32 = 12, SYSTEM_INTERRUPT_GATE_32 = 14, SYSTEM_TRAP_GATE_32 = 15,
};
#define SYSTEM_TYPE_BUSY 2u

struct descriptor {
    uint64_t low, high;         /* high: of the system descriptors and gates of IA-32e mode, which have 16 bytes */
    uint64_t linear;            /* where it is */
};

static inline bool selector_null(uint16_t selector) { return !(selector & 0xfffc); }
static inline unsigned selector_rpl(uint16_t selector) { return selector & 3; }

/* The segment that a descriptor describes, as a segment register holds it. */
struct segment descriptor_segment(const struct descriptor *descriptor, uint16_t selector);
/* Access rights in the format of the VMCS; for a gate they tell type, S, DPL and P. */
uint32_t descriptor_rights(const struct descriptor *descriptor);
static inline bool is_code(uint32_t rights) { return (rights & AR_S) && (rights & TYPE_CODE); }
static inline bool is_conforming(uint32_t rights) { return is_code(rights) && (rights & TYPE_CONFORMING); }
static inline bool is_writable_data(uint32_t rights)
{
    return (rights & AR_S) && (rights & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_WRITABLE;
}
static inline bool is_system(uint32_t rights, enum system_type type) { return !(rights & AR_S) && AR_TYPE(rights) == type; }

struct gate {
    uint16_t selector;
    uint64_t offset;
    unsigned parameters;        /* call gates outside IA-32e mode: count; interrupt gates in it: number of the IST entry */
};
struct gate descriptor_gate(const struct cpu *cpu, const struct descriptor *descriptor);

/* The error code that names a selector: EXT is set while an event that is not the program's own is delivered (6.13). */
uint32_t selector_error(const struct cpu *cpu, uint16_t selector);

/* Reads the descriptor of a selector that is not null. Outside the table's limit: `vector` with the selector. */
enum status descriptor_read(struct cpu *cpu, uint16_t selector, enum vector vector, struct descriptor *descriptor);
/* The second half, in IA-32e mode; #GP(selector) if it lies outside the table or its type field is not 0 (5.8.3.1). */
enum status descriptor_read_high(struct cpu *cpu, uint16_t selector, struct descriptor *descriptor);

/* Changes the type of a descriptor in memory: accessed, busy. First where, then the write; a locked access (9.1.2.1). */
enum status descriptor_locate(struct cpu *cpu, const struct descriptor *descriptor, struct span *span);
void descriptor_set_type(struct cpu *cpu, const struct descriptor *descriptor, const struct span *span, uint32_t rights);

/*
 * Loads of a descriptor that passed its checks: the accessed flag is to be set in memory, if it is not yet. segment_load_prepare()
 * finds out where, as the last check of an instruction: it sets the page's dirty flag, which tells of writes that took place.
 */
struct segment_load {
    struct descriptor descriptor;
    struct segment segment;     /* as it will be in the register */
    struct span span;           /* count 0: no write */
};
enum status segment_load_prepare(struct cpu *cpu, struct segment_load *load);
void segment_load_commit(struct cpu *cpu, enum segment_register number, const struct segment_load *load);

/*
 * May a data-segment register or SS be loaded with `selector`, which is not null, and this descriptor at privilege `cpl`?
 * False: *vector is the fault, whose error code is the selector (SDM Vol. 2, MOV).
 */
bool segment_permitted(enum segment_register number, uint16_t selector, const struct descriptor *descriptor, unsigned cpl,
                       enum vector *vector);
/* A register that holds no segment. */
struct segment segment_null(uint16_t selector);

/* Reads and checks the code segment that RETF and IRET return to; its privilege level is the RPL (SDM Vol. 2, RET). */
enum status return_code_segment(struct cpu *cpu, uint16_t selector, struct segment_load *load);
/* SS for a change to privilege `cpl`, from a stack or a TSS; `vector` tells which: #GP or #TS, #SS if it is not present. */
enum status outer_stack_segment(struct cpu *cpu, uint16_t selector, unsigned cpl, enum vector vector,
                                struct segment_load *load);
/* After a change to an outer level: data segments that it must not use become null (SDM Vol. 2, RET, IRET). */
void drop_inner_segments(struct cpu *cpu);
/* The address in a code segment that a far transfer goes to: 32 bits of `offset` but in 64-bit code (SDM Vol. 2, JMP). False: it
 * is beyond the limit, or not canonical. */
bool code_address(const struct cpu *cpu, const struct segment *code, uint64_t *offset);
/* Will a code segment be 64-bit code?  L means that in IA-32e mode only. */
static inline bool is_code64(const struct cpu *cpu, uint32_t rights) { return cpu_long_mode(cpu) && (rights & AR_L); }

/* ---- stacks ---- */

struct stack {
    struct segment segment;
    uint64_t pointer;
    unsigned cpl;               /* accesses are made at this level */
    bool flat;                  /* 64-bit: no segmentation, all of RSP counts */
    uint32_t error_code;        /* of #SS */
};
struct stack stack_here(const struct cpu *cpu);
/* Reads a word above the pointer, `words` words away. */
enum status stack_read(struct cpu *cpu, const struct stack *stack, unsigned words, unsigned size, uint64_t *value);
/* The pointer moved by so many bytes, as far as the stack is wide; the rest of RSP stays. */
uint64_t stack_moved(const struct stack *stack, int64_t bytes);

/* Words to be pushed: collected, then translated, then written. */
enum { FRAME_MAX = 40 };
struct frame {
    unsigned count, size;       /* size of a word */
    uint64_t word[FRAME_MAX];   /* in the order of the pushes */
    struct span span[FRAME_MAX];
    uint64_t pointer;           /* of the stack afterwards */
};
static inline void frame_push(struct frame *frame, uint64_t word) { frame->word[frame->count++] = word; }
enum status frame_locate(struct cpu *cpu, const struct stack *stack, struct frame *frame);
void frame_write(struct cpu *cpu, const struct stack *stack, const struct frame *frame);

/* The stack of an inner level, from the TSS (SDM Vol. 3, 5.8.5, 6.14.4); `ist`: 0 or the number of an IST entry. */
struct inner_stack {
    struct segment_load ss;
    struct stack stack;
};
enum status inner_stack_read(struct cpu *cpu, unsigned cpl, unsigned ist, struct inner_stack *inner);

/* ---- the instructions ---- */

enum status move_to_segment(struct cpu *cpu, const struct insn *insn);      /* MOV, POP, LDS, LES, LFS, LGS, LSS */
enum status query_descriptor(struct cpu *cpu, const struct insn *insn);     /* LAR, LSL, VERR, VERW */
enum status load_ldtr(struct cpu *cpu, const struct insn *insn);
enum status load_task_register(struct cpu *cpu, const struct insn *insn);
enum status far_jump(struct cpu *cpu, const struct insn *insn);             /* JMP and CALL */
enum status far_return(struct cpu *cpu, const struct insn *insn);
enum status interrupt_return(struct cpu *cpu, const struct insn *insn);
enum status enter_procedure(struct cpu *cpu, const struct insn *insn);      /* ENTER */

enum task_switch_source { TASK_BY_CALL, TASK_BY_IRET, TASK_BY_JMP, TASK_BY_GATE };  /* as exit qualifications have it */
/* Switches to the task of a TSS (8.3); `next_rip`: EIP that the old task goes on at; privilege was checked before. */
enum status task_switch(struct cpu *cpu, uint16_t selector, enum task_switch_source source, uint64_t next_rip,
                        unsigned instruction_length);
/* The TSS descriptor behind a task gate whose privilege was checked: the same with the gate's selector. */
enum status task_gate(struct cpu *cpu, const struct descriptor *gate, enum task_switch_source source, uint64_t next_rip,
                      unsigned instruction_length);
/* #DB if the TSS of the present task has its T flag set: to be asked when the switch is over. */
enum status task_trap(struct cpu *cpu);

#endif
