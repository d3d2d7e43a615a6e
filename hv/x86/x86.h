/* SPDX-License-Identifier: MIT */
/* What the files of the metal back end share: the processors, the machine as the boot loader described it, the log. */
#ifndef SESQUI_HV_X86_X86_H
#define SESQUI_HV_X86_X86_H

#include "hv/hal.h"
#include "hv/x86/layout.h"

#define PAGE_SIZE 4096ull
#define MEGABYTE (1ull << 20)

/* ---- processors ---- */

/* SDM Vol. 3, 8.7 "Task management in 64-bit mode". */
struct __attribute__((packed)) task_state {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map_base;
};

struct processor {
    struct processor *self;                     /* at GS:0 */
    unsigned index, apic_id;
    unsigned level;                             /* that runs when L0 enters: what the core told */
    bool ready;                                 /* has entered its guest once */
    _Alignas(64) uint64_t scratch[8];           /* for world_exit and an NMI on top of it */
    struct hal_registers *registers;            /* the frame: world.S */
    uint64_t rsp;
    struct task_state task_state;
    _Alignas(16) uint8_t nmi_stack[4096], fault_stack[4096];
    _Alignas(16) uint8_t stack[PROCESSOR_STACK_TOP - 256 - 2 * 4096];
    _Alignas(64) uint8_t local[HAL_CPU_LOCAL_SIZE];
};
_Static_assert(offsetof(struct processor, registers) == PROCESSOR_FRAME, "world.S knows the place");
_Static_assert(offsetof(struct processor, local) == PROCESSOR_STACK_TOP, "boot.S knows the place");
_Static_assert(sizeof(struct processor) == PROCESSOR_SIZE, "boot.S knows the size");
extern struct processor processors[PROCESSORS];
/* Processors that have started; those beyond PROCESSORS have stopped at once. */
extern uint32_t processor_count;
struct processor *this_processor(void);

/* ---- start.c ---- */
_Noreturn void image_main(uint32_t magic, uint32_t information);    /* boot.S, on the first processor */
_Noreturn void image_other(unsigned index);                         /* boot.S, on the others */
/* CR4 as L0 needs it. */
void control_registers(void);

/* ---- late.c ---- */
/* From now on the guest may ask for L0. */
void late_prepare(void);
/* Physical address of the function that it calls. */
uint64_t late_table_entry(void);
/* The state with which this processor asked. */
void late_capture(struct hal_capture *to);

/* ---- table.c: descriptor tables ---- */
/* Loads GDT, IDT, TR and the GS base for processor `index`. */
void tables_load(unsigned index);
struct __attribute__((packed)) table_pointer { uint16_t limit; uint64_t base; };
/* Loads the guest's: they are mapped where it has them. */
void tables_give_back(const struct table_pointer *gdtr, const struct table_pointer *idtr, const struct hal_capture *state);

/* ---- multiboot.c: what the boot loader says, copied out of its memory ---- */
enum { TEXT_MAX = 512, MODULES_MAX = 16, RANGES_MAX = 64 };
struct memory_range { uint64_t base, end; uint32_t type; };  /* bytes [base, end); types of the multiboot memory map */
enum { MEMORY_AVAILABLE = 1, MEMORY_RESERVED = 2 };
struct module { uint64_t base, size; char text[TEXT_MAX]; };
struct boot {
    char text[TEXT_MAX];                        /* L0's command line */
    struct module module[MODULES_MAX];
    unsigned modules;
    struct memory_range range[RANGES_MAX];
    unsigned ranges;
};
extern struct boot boot;
/* NULL, or what is wrong with it. */
const char *boot_read(uint32_t magic, uint64_t information);

/* ---- pool.c ---- */
/* Chooses the pool at the top of RAM below 4 GB, clear of modules, and moves the image there. NULL, or why not. */
const char *pool_reserve(void);

/* ---- paging.c ---- */
/* Builds L0's own paging structures in the pool, and switches to the image's copy there. NULL, or why not. */
const char *paging_start(void);
uint64_t paging_root(void);

/* ---- memory.c ---- */
bool is_ram(uint64_t address, uint64_t length);
/* All of memory is mapped one to one. */
static inline void *at(uint64_t physical) { return (void *)physical; }

/* ---- guest.c: the image that becomes L1 ---- */
/* Places module 0, and behind it the other modules; writes its multiboot information. NULL, or why not. */
const char *guest_load(struct hal_capture *capture);

/* ---- option.c: the command line ---- */
struct options {
    enum hv_strategy strategy;
    bool late;                                  /* L1 runs on bare hardware until it asks for L0 */
    bool trace, trace_fields;                   /* exits and what the core tells; all VMREADs and VMWRITEs, too */
};
extern struct options options;
/* NULL, or the word that is no option. */
const char *options_read(const char *text);
/* "trap", "copy", "flip". */
const char *strategy_name(enum hv_strategy strategy);

/* ---- apic.c: the local APIC, for other processors ---- */
enum apic_message { APIC_NMI = 4 << 8, APIC_INIT = 5 << 8, APIC_STARTUP = 6 << 8 };
enum apic_target { APIC_ONE, APIC_SELF, APIC_OTHERS };
unsigned apic_id(void);
void apic_send(enum apic_target target, unsigned id, unsigned message);
/* Puts the code for other processors, and protected_mode, into the page TRAMPOLINE. */
void trampoline_write(void);
/* Starts all other processors; returns when they run. */
void processors_start(void);

/* ---- log.c ---- */
/* Chooses the port of the log: a UART's base, or 0xe9. */
void log_open(uint16_t port);
/* %s, %u (unsigned), %l (uint64_t as 0x...), %r (uint64_t: the result of a VMX instruction of L1). */
void print(const char *format, ...);
/* The exit, or the entry that failed with an exit, that the current VMCS reports. */
void log_exit(void);
/* The entry that the current VMCS refused with a VM-instruction error. */
void log_refused(void);
void log_field(bool write, enum vmcs_encoding field, uint64_t value);
/* One line, and all processors stop. */
_Noreturn void stop(const char *what, const char *why);
extern volatile bool stopped;

/* ---- text.c ---- */
size_t text_length(const char *text);
bool text_is(const char *text, size_t length, const char *word);
void text_copy(char to[TEXT_MAX], const char *from);
/* The compiler's. */
void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

/* An instruction at `from` that raises an exception goes on at `to`. */
#define FIXUP(from, to) "\n.pushsection .fixups, \"a\"\n.quad " from ", " to "\n.popsection"

#endif
