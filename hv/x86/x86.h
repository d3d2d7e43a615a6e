/* SPDX-License-Identifier: MIT */
/* What the files of the metal back end share: the processors, the machine as the boot loader described it, the log. */
#ifndef SESQUI_HV_X86_X86_H
#define SESQUI_HV_X86_X86_H

/* Position-independent code without a table of addresses, which would be those of one world only: nothing here is another program's. */
#pragma GCC visibility push(hidden)

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

struct __attribute__((packed)) table_pointer { uint16_t limit; uint64_t base; };
struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

/* From the caller's world into L0's and back: passage.S. Segment registers and the rest are in `captured`. */
struct passage {
    uint64_t cr3, cr4;                          /* of the world to go to */
    uint64_t dr7;                               /* back: of the guest */
    uint64_t code;                              /* a selector of 64-bit code at CPL 0 in the caller's GDT */
    uint64_t ss, rsp, rflags, cs, rip;          /* back: the guest goes on here */
    _Alignas(8) struct table_pointer idtr;      /* of the caller */
    _Alignas(8) struct table_pointer gdtr_between;
    _Alignas(8) struct table_pointer idtr_between;
};

struct processor {
    struct processor *self;                     /* at GS:0 */
    unsigned index, apic_id;
    unsigned level;                             /* that runs when L0 enters: what the core told */
    volatile bool ready;                        /* has entered its guest once */
    volatile uint8_t nmi;                       /* an NMI came that is the guest's: HAL_NMI; so did HAL_MACHINE_CHECK */
    _Alignas(64) uint64_t scratch[8];           /* for world_exit */
    struct hal_registers *registers;            /* the frame: world.S */
    uint64_t rsp;
    struct hal_capture captured;                /* late load: the state with which the guest asked, or with which it goes on */
    _Alignas(64) struct passage passage;
    struct gate gates_between[3];
    bool without_task;                          /* the guest had no TR; it goes on with L0's, which LTR cannot undo */
    struct task_state task_state;
    _Alignas(1024) uint8_t nmi_stack[4096], fault_stack[4096], check_stack[4096];
    _Alignas(16) uint8_t stack[PROCESSOR_STACK_TOP - 1024 - 3 * 4096];
    _Alignas(64) uint8_t local[HAL_CPU_LOCAL_SIZE];
};
_Static_assert(offsetof(struct processor, nmi) == PROCESSOR_NMI, "world.S and passage.S know the place");
_Static_assert(offsetof(struct processor, captured) == PROCESSOR_CAPTURED &&
               offsetof(struct processor, passage.cr3) == PASSAGE_CR3 && offsetof(struct processor, passage.cr4) == PASSAGE_CR4 &&
               offsetof(struct processor, passage.dr7) == PASSAGE_DR7 && offsetof(struct processor, passage.code) == PASSAGE_CODE &&
               offsetof(struct processor, passage.ss) == PASSAGE_FRAME && offsetof(struct processor, passage.idtr) == PASSAGE_IDTR &&
               offsetof(struct processor, passage.gdtr_between) == PASSAGE_GDTR_BETWEEN &&
               offsetof(struct processor, passage.idtr_between) == PASSAGE_IDTR_BETWEEN, "passage.S knows the places");
_Static_assert(offsetof(struct processor, registers) == PROCESSOR_FRAME, "world.S knows the place");
_Static_assert(offsetof(struct processor, local) == PROCESSOR_STACK_TOP, "boot.S knows the place");
_Static_assert(sizeof(struct processor) == PROCESSOR_SIZE, "boot.S knows the size");
extern struct processor processors[];
/* Processors of the machine, and how many of them have a place in `processors`: PROCESSORS at most, the others cannot be had. */
extern uint32_t processor_count, processor_blocks;
struct processor *this_processor(void);

/* ---- cpu.c: instructions that the back end needs, and the core does not ---- */
uint64_t read_cr0(void);
uint64_t read_cr2(void);
uint64_t read_cr3(void);
void write_cr0(uint64_t value);
struct hal_table store_gdtr(void);
struct hal_table store_idtr(void);
uint64_t rdtsc(void);
uint8_t port_in(uint16_t port);
void port_out(uint16_t port, uint8_t value);
_Noreturn void halt(void);                      /* stops this processor for good */
/* The VMCS that is current (vmx.c). */
physical_address vmptrst(void);

/* ---- start.c ---- */
_Noreturn void image_main(uint32_t magic, uint32_t information);    /* boot.S, on the first processor */
_Noreturn void image_other(unsigned index);                         /* boot.S, on the others */
/* CR4 as L0 needs it. */
void control_registers(void);

/* ---- late.c: late load, in L0's world ---- */
/* From now on the guest may ask for L0, in a world in which the image's copy in the pool is at `linear`. */
void late_prepare(uint64_t linear);
/* The address of the function that it calls. */
uint64_t late_table_entry(void);

/* ---- arrival.c: late load, in the caller's world ---- */
extern uint64_t late_linear;
extern bool late_by_system;                     /* which brought the image along (system.c) */
bool execute_disable(void);                     /* it is there: system.c */
/* Where this code and the image's data are in the world in which this is executed. */
uint64_t here(void);
/* What is at `place` of the image in L0's world is there in the caller's. */
static inline uint64_t of_caller(const void *place) { return (uint64_t)place - (IMAGE_VIRTUAL + IMAGE_LOAD) + late_linear; }

/* ---- table.c: descriptor tables ---- */
/* Loads GDT, IDT, TR and the GS base for processor `index`, on whose stack this runs. */
void tables_load(unsigned index);
/* A GDT in which every selector is 64-bit code at CPL 0, and an IDT with the gate of passage_nmi() at `code`. */
extern uint64_t gdt_between[8192];
void gates_between(struct gate gates[3], uint64_t handler, uint16_t code);
/* From a GDT in which SELECTOR_CODE is 64-bit code into another one. */
void tables_between(const struct table_pointer *gdtr);

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
/* The pool is where an operating system put the image, and is at `linear` while its paging is in use; for `count` processors, as above. NULL,
 * or why not. */
const char *pool_given(uint64_t base, uint64_t size, uint64_t linear, unsigned count);
/* What is at `physical` in the pool, in the world that runs now. */
void *in_pool(uint64_t physical);
/* Chooses the pool at the top of RAM below 4 GB, clear of modules, large enough for `count` processors, or for PROCESSORS. NULL, or why not. */
const char *pool_reserve(unsigned count);
/* Of the image in the pool, places for the other processors included: the pool's beginning. Bytes. */
uint64_t image_size(void);

/* ---- paging.c ---- */
/* Builds L0's own paging structures in the pool, and switches to the image's copy there. NULL, or why not. */
const char *paging_start(void);
/* All processors have been started: from now on nothing is both writable and code. */
void paging_seal(void);
/* The same but for the switch: in the caller's world, with the image at `linear` too. */
const char *paging_build(uint64_t linear);
/* What is below is mapped one to one. */
uint64_t paging_top(void);
/* For the processor's LA57: a table of four levels, or of five, for the same addresses. */
uint64_t paging_root(bool la57);

/* ---- memory.c ---- */
/* Takes over what the memory map says of RAM. */
void memory_describe(void);
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
/* Strategies from the wanted one down to trap, which needs nothing. */
void options_choose_strategy(void);
/* "trap", "copy", "flip". */
const char *strategy_name(enum hv_strategy strategy);

/* ---- apic.c: the local APIC, for other processors ---- */
enum apic_message { APIC_NMI = 4 << 8, APIC_INIT = 5 << 8, APIC_STARTUP = 6 << 8 };
enum apic_target { APIC_ONE, APIC_OTHERS };
unsigned apic_id(void);
/* False: the local APIC is disabled. */
bool apic_send(enum apic_target target, unsigned id, unsigned message);
/* Starts all other processors, into the page TRAMPOLINE, where they wait; how many there are, with this one. protected_mode is
 * there, too. */
unsigned processors_start(void);
/* They go on into L0, which has its paging structures and a place for each. Returns when all have come. */
void processors_release(void);
/* And back to where they were: they wait for a SIPI. */
void processors_stop(void);

/* ---- log.c ---- */
/* Chooses the port of the log: a UART's base, or 0xe9; 0: memory, if there is some. */
void log_open(uint16_t port);
/* Physical and linear address, and size, of the memory for it. */
void log_memory(uint64_t physical, uint64_t linear, uint64_t size);
/* %s, %u (unsigned), %l (uint64_t as 0x...), %r (uint64_t: the result of a VMX instruction of L1). */
void print(const char *format, ...);
/* The exit, or the entry that failed with an exit, that the current VMCS reports. */
void log_exit(void);
/* The entry that the current VMCS refused with a VM-instruction error. */
void log_refused(void);
/* Option trace=fields. */
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
