/* SPDX-License-Identifier: MIT */
/*
 * The core's state, one struct per processor and one per machine, and what its files offer each other. The core is
 * reactive: it runs when its guest L1 causes a VM exit, and has no device, no timer and no scheduler of its own.
 *
 * L1 runs on vmcs01, L1's guest L2 on vmcs02. What L1 believes to be its VMCS is vmcs12, kept
 * in software (nested/). Guest-physical addresses of L1 are physical addresses; memory.c decides which of them L1 may
 * reach.
 */
#ifndef SESQUI_HV_CORE_H
#define SESQUI_HV_CORE_H

#include "arch/late_load.h"
#include "hv/capability.h"
#include "hv/ept.h"
#include "hv/hal.h"
#include "hv/nested/nested.h"

#define PAGE_SIZE 4096ull
#define PAGE_OFFSET (PAGE_SIZE - 1)

enum { RAM_RANGES = 64 };
enum { HV_CPUS = 128 };
enum { GIVEN_PAGES = 64 };

/* VPIDs are tags of one processor's TLB: the same ones serve on every processor. 0 is root operation's. L2's: vpid.c. */
enum { VPID_L1 = 1 };

/* Pages that L1 gave to L0 (pages.c): they stay on the list. */
struct given {
    unsigned count;
    uint64_t page[GIVEN_PAGES];
};
enum place {
    PLACE_NOWHERE,                      /* not started, or in the wait-for-SIPI state: it remembers no translation */
    PLACE_L0,                           /* before it enters its guest it looks at the list */
    PLACE_GUEST,                        /* or about to be: an INIT brings it back */
};
/* What the others may know of a processor. `lock` guards what is not said to be the processor's own. */
struct presence {
    enum place place;                   /* its own */
    unsigned seen;                      /* its own: up to here it has forgotten what it knew of the pages on the list */
    uint8_t own_init;                   /* what the INIT of L0's that is on its way to it stands for (init.c) */
    bool over_l0;                       /* L0 is beneath it */
    bool abandoned;                     /* it shall go on without L0: another one's load failed (late.c) */
    bool unreachable;                   /* its local APIC is disabled: no kick comes from it, or to it */
};

/* What the processors share; in hal_machine_local(), zeroed at start. */
struct hv_machine {
    uint32_t lock;                      /* guards everything below until `ready`, then ept01 and `given` */
    bool ready;
    const char *refusal;                /* why L0 cannot run on this machine; what it took of the pool then is lost once */
    struct capability physical;         /* what the processor offers L0 */
    struct capability offered;          /* what L0 offers L1 */
    struct field_set field_set[SET_COUNT];  /* of the fields offered */
    /* What CPUID says: it is asked once. */
    unsigned physical_address_width;    /* MAXPHYADDR */
    unsigned memory_address_width;      /* of that, the bits that address memory: those above are a key (SDM Vol. 4, IA32_TME_ACTIVATE) */
    uint64_t efer_allowed;              /* the bits of IA32_EFER that exist */
    bool pages_1g;
    unsigned barriers;                  /* enum barrier: before an entry to L2 */
    struct hal_range pool;
    struct hal_range ram[RAM_RANGES];
    unsigned ram_count;
    struct ept ept01;                   /* L1's physical memory: identity, without the pool */
    physical_address msr_bitmap01;      /* the MSR accesses of L1 that L0 handles */
    bool late, finalised;               /* the guest asked for L0, and may be rid of it again until it says otherwise */
    bool rolls_back;                    /* the guest does when one processor's load fails: L0 does not */
    struct given given;
    struct presence presence[HV_CPUS];
};

/*
 * Entries of L1's paging structures, its EPT included, are read once in the handling of an exit: walks that share some,
 * and structures that contain themselves, see one value (rule R8).
 */
enum { ENTRIES_KEPT = 64 };
struct entries {
    unsigned count;
    struct { uint64_t address, value; } entry[ENTRIES_KEPT];
};

#define EXIT_REASON_DECIDES (0xffffu | EXIT_REASON_ENTRY_FAILURE)

/*
 * What an exit reported. A part is read from the VMCS when it is needed, and once (exit_need()); what is not known is 0. A handler
 * that finds something else than hardware puts it here: such parts are L0's own, and L1 is told them instead of hardware's.
 */
enum exit_part {
#define EXIT_PART(name, type, field) EXIT_PLACE_##name,
#include "hv/exit_parts.def"
    EXIT_PARTS
};
enum {
#define EXIT_PART(name, type, field) EXIT_##name = 1 << EXIT_PLACE_##name,
#include "hv/exit_parts.def"
    EXIT_reason = 1 << EXIT_PARTS,
    EXIT_ALL = 2 * EXIT_reason - 1
};
struct exit_record {
    uint16_t known, own;                /* EXIT_... of the parts that have been read or set, and that L0 has set */
    uint32_t reason;                    /* basic exit reason, and bit 31; always known */
    uint32_t circumstances;             /* other bits of the field, by which nothing is decided: for L1 (SDM Vol. 3, 25.9.1) */
#define EXIT_PART(name, type, field) type name;
#include "hv/exit_parts.def"
};

enum { DUE_TRIAL = HAL_NMI << 2 };       /* the next entry is a trial: it ends before the first instruction */

/* One processor; in hal_cpu_local(), zeroed at start. */
struct hv_cpu {
    struct hal_registers registers;     /* of the guest, whichever level; RSP is in its VMCS */
    struct hv_machine *machine;
    struct presence *presence;          /* in it: this processor's */
    enum hv_strategy strategy;
    unsigned level;                     /* whose VMCS is current: 1 or 2 */
    unsigned told_level;                /* the level that HAL_EVENT_LEVEL told last */
    struct hal_host_state host;
    struct hardware_vmcs vmcs01, *vmcs02;
    physical_address vmxon_region;
    struct exit_record exit;            /* the exit being handled */
    struct entries entries;             /* of L1's paging structures, read since that exit */
    unsigned breakpoints_met;           /* by operands since that exit: bits of pending debug exceptions */
    uint64_t feature_control;           /* IA32_FEATURE_CONTROL as L1 sees it */
    bool created, too_small;            /* its structures are there: they outlive an unload; the pool was too small for them */
    bool just_started;                  /* the latest exit was a SIPI */
    bool init_held;                     /* an INIT that met L1 in VMX root operation, where it is blocked */
    uint8_t due;                        /* HAL_NMI, HAL_MACHINE_CHECK: one came to L0, and is the guest's (nmi.c). DUE_TRIAL: main.c */
    uint64_t loaded_cr4, passage;       /* of the guest's state when L0 came (struct hal_capture) */
    bool waits_for_sipi;                /* so does the next entry's guest */
    struct late_exits exits;            /* so far */
    struct nested nested;
};

/* Of the machine's processors, those that the core has a place for; the others cannot be had. */
static inline unsigned processors_kept(void) { return hal_cpu_count() < HV_CPUS ? hal_cpu_count() : HV_CPUS; }

_Static_assert(sizeof(struct hv_cpu) <= HAL_CPU_LOCAL_SIZE, "the processor's state fits its local memory");
_Static_assert(sizeof(struct hv_machine) <= HAL_MACHINE_LOCAL_SIZE, "the machine's state fits its local memory");

/* ---- vmcs.c: the current VMCS ---- */
static inline uint64_t vmread(enum vmcs_encoding field) { return hal_vmread(field); }
static inline uint32_t vmread32(enum vmcs_encoding field) { return (uint32_t)hal_vmread(field); }
static inline void vmwrite(enum vmcs_encoding field, uint64_t value) { hal_vmwrite(field, value); }

/* Writes what differs. */
static inline void vmcs_update(enum vmcs_encoding field, uint64_t value)
{
    if (vmread(field) != value)
        vmwrite(field, value);
}

/* Makes a VMCS current, and with it the level that runs next. */
static inline void vmcs_select(struct hv_cpu *cpu, unsigned level)
{
    if (cpu->level == level)
        return;
    if (hal_vmptrld(level == 1 ? cpu->vmcs01.region : cpu->vmcs02->region) != HAL_OK)
        hal_fail_stop("a VMPTRLD of L0 failed");
    cpu->level = level;
}
/* A fresh region, VMCLEARed: its identifier is the revision, and `indicator`. False: no page, or hardware refuses it. */
bool vmcs_create(const struct hv_machine *machine, uint32_t indicator, struct hardware_vmcs *vmcs);
/* VMXOFF; no VMCS of this processor is active afterwards, and all may be used again. */
void vmcs_leave_operation(struct hv_cpu *cpu);
/* The host-state area of the current VMCS (SDM Vol. 3, 25.5): where exits return to. */
void vmcs_write_host_state(const struct hv_cpu *cpu);
/* The four fields of a guest segment. */
struct hal_guest_segment vmcs_read_segment(enum segment_register segment);
void vmcs_write_segment(enum segment_register segment, struct hal_guest_segment value);
/* The encodings of a kind of segment field lie 2 apart, in the order of enum segment_register (Appendix B). */
static inline enum vmcs_encoding segment_field(enum vmcs_encoding first, enum segment_register segment)
{
    return (enum vmcs_encoding)((unsigned)first + 2 * (unsigned)segment);
}

/* ---- vmcs01.c ---- */
/* Fills vmcs01, which is current, with the controls of L0 and the guest state that was captured. */
void vmcs01_build(struct hv_cpu *cpu, const struct hal_capture *capture);
/* "IA-32e mode guest" goes with EFER.LMA (SDM Vol. 3, 27.3.1.1). */
void vmcs01_set_long_mode(struct hv_cpu *cpu, bool long_mode);
/* The CR0 and CR4 bits that L0 keeps from L1 follow whether L1 is in VMX operation. */
void vmcs01_update_masks(struct hv_cpu *cpu);
/* INIT and SIPI for L1, its local APIC apart, and its shutdown. */
void vmcs01_init(struct hv_cpu *cpu);
void vmcs01_startup(struct hv_cpu *cpu, uint8_t vector);
void vmcs01_shutdown(struct hv_cpu *cpu);

/* ---- late.c: late load ---- */
/* This processor's guest runs over L0; L0 failed to start on this processor, and others must go back. */
void late_loaded(struct hv_cpu *cpu);
void late_failed(struct hv_machine *machine);
/* An exit of L1, of which nothing has been handled, on a processor that shall go on without L0: does not return if it can.
 * True: the exit was L0's own, and is done. */
bool late_go_back(struct hv_cpu *cpu);
/* A VMCALL of L1: true if it was meant for L0, and is done. Unloading does not return. */
bool late_call(struct hv_cpu *cpu);
/* Is L0 beneath all processors of the machine, and does it stay there? */
bool late_everywhere(const struct hv_machine *machine);

/* ---- init.c: INITs of L0's own, and L1's ---- */
/* Fetches a processor back from its guest, if L0 is beneath it and one of L0's INITs is not on its way to it already. */
void init_kick(struct hv_machine *machine, unsigned cpu);
/* Is an INIT of L0's on its way to this processor?  Until it has come out, VMX operation and the local APIC stay on. */
bool init_on_its_way(const struct hv_cpu *cpu);
/* Its local APIC is enabled, or not. `lock` is held. */
void init_reachable(struct hv_cpu *cpu, bool reachable);
/* An INIT ended a run of L1's; `just_started`: of the run that a SIPI began. */
void init_exit(struct hv_cpu *cpu, bool just_started);
/* An INIT ended a run of L2's: was it L0's own, and stands for none of L1's? */
bool init_of_l0(struct hv_cpu *cpu);
/* L2 is about to run, L1 has left VMX operation, a SIPI has started L1: what was held back is due, or gone. */
void init_before_l2(struct hv_cpu *cpu);
void init_after_vmxoff(struct hv_cpu *cpu);
void init_started(struct hv_cpu *cpu);

/* ---- nmi.c: NMIs that came to L0 are its guest's ---- */
/* The VMCS that is current asks hardware for an exit when its guest could take the NMI that is due, or no longer asks. Nothing is to be
 * done if neither an NMI nor a machine check is due and it does not ask. */
void nmi_before_entry(struct hv_cpu *cpu);
/* The processor-based controls by which it asks, of those that it has not without. */
uint32_t nmi_controls(struct hv_cpu *cpu);
/* An exit from the guest of a VMCS that asks: true if it has been handled. */
bool nmi_exit(struct hv_cpu *cpu);
/* A machine check is due, and no other event waits to be delivered: it is an exit then, which cpu->exit tells of. */
bool machine_check_exits(struct hv_cpu *cpu);
/* Such an exit, if it is the guest's own. False: it is L1's exit. */
bool machine_check_deliver(struct hv_cpu *cpu);

/* ---- apic.c ---- */
/* This processor's local APIC after INIT (SDM Vol. 3, "Local APIC State After It Receives an INIT Reset"): `lock` is held, and no INIT of L0's on its way here. */
void apic_init(void);

/* ---- exit.c ---- */
/* Handles cpu->exit. Afterwards the current VMCS is ready to be entered. */
void exit_handle(struct hv_cpu *cpu);
/* Reads what is not known of these parts (EXIT_...) of cpu->exit; the VMCS of the level that exited is current. */
static inline __attribute__((always_inline)) void exit_need(struct hv_cpu *cpu, unsigned parts)
{
    const unsigned missing = parts & ~(unsigned)cpu->exit.known;

#define EXIT_PART(name, type, field)                                                                                \
    if (missing & EXIT_##name)                                                                                      \
        cpu->exit.name = (type)vmread(VMCS_##field);
#include "hv/exit_parts.def"
    cpu->exit.known |= (uint16_t)parts;
}
/* Of an EPT violation: where. */
uint64_t exit_guest_physical(struct hv_cpu *cpu);
/* cpu->exit becomes one that hardware has not reported: of L0's own in all parts. */
void exit_invent(struct hv_cpu *cpu, struct exit_record exit);
/* A part is to be this, whatever hardware reported. */
#define EXIT_SET(cpu, part, value)                                                                                  \
    do {                                                                                                            \
        (cpu)->exit.own |= EXIT_##part;                                                                             \
        (cpu)->exit.known |= EXIT_##part;                                                                           \
        (cpu)->exit.part = (value);                                                                                 \
    } while (0)

/* ---- guest.c: registers of the level that runs ---- */
uint64_t guest_register(const struct hv_cpu *cpu, unsigned gpr);
void guest_set_register(struct hv_cpu *cpu, unsigned gpr, uint64_t value);
unsigned guest_cpl(void);
bool guest_long_mode(void);
bool guest_64bit(void);
/* Ends an instruction that L0 executed for the guest, whose VMCS is current: RIP, blocking by STI and MOV SS, single step.
 * The latter form is given RFLAGS, which its caller has read. */
void guest_advance(void);
void guest_advance_with(uint64_t rflags);
/* CR0 and CR4 as the guest reads them: bits that the mask keeps come from the read shadow. */
uint64_t guest_visible_cr0(void);
uint64_t guest_visible_cr4(void);
/* An address to be accessed, by the guest's CR4.LA57, or that of another CR4; one to be loaded into a register, by what the processor has (SDM
 * Vol. 3, 4.5). */
bool canonical(uint64_t linear);
bool canonical_under(uint64_t cr4, uint64_t linear);
bool canonical_in_register(const struct hv_cpu *cpu, uint64_t linear);

/* ---- inject.c ---- */
/*
 * An exception for the guest, merged with an event whose delivery the exit interrupted. L2's goes to L1 if L1 wants
 * it.
 */
void inject_exception(struct hv_cpu *cpu, enum vector vector, uint32_t error_code);
void inject_page_fault(struct hv_cpu *cpu, uint64_t linear, uint32_t error_code);
/* L0 handled the exit and lets the guest repeat what it did: the interrupted event has to be delivered again. */
void inject_again(struct hv_cpu *cpu);

/* ---- cpuid.c, msr.c, cr.c, xsetbv.c ---- */
void cpuid_exit(struct hv_cpu *cpu);
void msr_read_exit(struct hv_cpu *cpu);
/* False: an INIT of L0's comes first, and the guest executes the instruction again. */
bool msr_write_exit(struct hv_cpu *cpu);
void cr_exit(struct hv_cpu *cpu);
void xsetbv_exit(struct hv_cpu *cpu);
/* The MSRs whose RDMSR and WRMSR by L1 exit, set in a zeroed MSR bitmap. */
void msr_bitmap_fill(uint8_t bitmap[PAGE_SIZE]);
/* MSRs of the level whose VMCS is current, as its RDMSR and WRMSR at CPL 0 would find them. False: #GP. */
bool guest_read_msr(struct hv_cpu *cpu, uint32_t index, uint64_t *value);
bool guest_write_msr(struct hv_cpu *cpu, uint32_t index, uint64_t value);
/* NULL, or what the guest's MSRs have the processor do, and may not while L0 is beneath it: store in memory by itself, with addresses of the guest's;
 * or take from L0 what it needs. */
const char *msr_refusal(const struct hal_capture *capture);
/* May a list of L1's load this? */
bool msr_listed(uint32_t index, uint64_t value);
bool pat_valid(uint64_t value);
/* Loads the PDPTEs at `cr3` into the current VMCS, as PAE paging demands. False: a reserved bit is set, and nothing changed. */
bool pdptes_load(const struct hv_machine *machine, uint64_t cr3);
/* The same, whatever they are: hardware judges them. */
void pdptes_copy(const struct hv_machine *machine, uint64_t cr3);
void pdptes_clear(void);                        /* none is present */

/* ---- memory.c: the one door to L1's memory ---- */
/* What all of [base, base + size) is to L1; size: 4 KB, or a larger page's, aligned to itself. Absent: L0's pool, and
 * addresses that do not exist. */
enum l1_memory { L1_RAM, L1_DEVICE, L1_ABSENT, L1_MIXED };
enum l1_memory l1_memory(const struct hv_machine *machine, uint64_t base, uint64_t size);
/* Is this page RAM of L1's? */
bool l1_owns(const struct hv_machine *machine, uint64_t page);
/* What is not L1's RAM is absent: it reads as ones, and writes to it vanish. Each byte is read once. */
void l1_read(const struct hv_machine *machine, enum hal_datum datum, uint64_t address, void *to, size_t length);
void l1_write(const struct hv_machine *machine, uint64_t address, const void *from, size_t length);
/* What l1_read() reads where nothing is L1's. */
void l1_read_absent(void *to, size_t length);
/* A piece of a page of which l1_owns() has told that it is L1's; hal_reading() has said what it is. */
static inline void l1_read_owned(uint64_t address, void *to, size_t length)
{
    if (!hal_pm_read(PA(address), to, length))
        l1_read_absent(to, length);
}
/* The first dword of a VMXON or VMCS region. */
uint32_t l1_read_revision(const struct hv_machine *machine, uint64_t address);
/* The aligned quadword of a paging structure at `address`: the same value until the guest runs again. */
uint64_t l1_read_entry(const struct hv_machine *machine, uint64_t address);
/* Changes it from *entry to `desired`, atomically. False: it was something else; *entry is what it is now. */
bool l1_update_entry(const struct hv_machine *machine, uint64_t address, uint64_t *entry, uint64_t desired);
/* The same at a linear address of L1, supervisor access, at most a page. False: #PF was injected; nothing moved. */
bool l1_read_linear(struct hv_cpu *cpu, uint64_t linear, void *to, size_t length);
bool l1_write_linear(struct hv_cpu *cpu, uint64_t linear, const void *from, size_t length);

/* ---- barrier.c ---- */
enum barrier { BARRIER_BUFFERS = 1, BARRIER_L1D = 2 };
unsigned barriers_needed(void);
void barriers_before_l2(const struct hv_cpu *cpu);

/* ---- mtrr.c ---- */
/* The memory type of [base, base + size), size 4 KB or 2 MB, aligned. False: not all of it has one. */
bool mtrr_type(uint64_t base, uint64_t size, enum memory_type *type);

/* ---- breakpoint.c: data breakpoints on operands that L0 accesses for L1 ---- */
/* The operand at a linear address was read, or written; vmcs01 is current. */
void breakpoints_meet(struct hv_cpu *cpu, uint64_t linear, size_t length, bool write);
/* The instruction is done: its debug exceptions are pending. */
void breakpoints_due(struct hv_cpu *cpu);

/* ---- pages.c: pages that change hands ---- */
/* VMCALL of L1's with this in EAX, at CPL 0 in protected or 64-bit mode: the page at RBX becomes L0's; EAX: what came of it. */
enum { HYPERCALL_GIVE_PAGE = 0x53716731 };
enum page_given_result { PAGE_GIVEN, PAGE_NOT_YOURS, PAGE_LIST_FULL, PAGE_NO_MEMORY, PAGE_TOO_EARLY,
                         PAGE_UNREACHABLE };
/* PAGE_NOT_YOURS: no aligned address of a page of L1's RAM. PAGE_LIST_FULL: GIVEN_PAGES were. PAGE_NO_MEMORY: EPT01 needed a
 * page to be split, and has reached its limit. PAGE_TOO_EARLY: of a late load; not all processors are loaded and finalised, so
 * that some are or may be without L0. PAGE_UNREACHABLE: a local APIC is disabled. In all five nothing has changed. vmcs01 is
 * current. */
enum page_given_result page_give(struct hv_cpu *cpu, uint64_t page);
/* Is one of the pages in [base, base + size) given away? */
bool page_given(const struct hv_machine *machine, uint64_t base, uint64_t size);
/* This processor is about to enter its guest, and has come back. */
void pages_look(struct hv_cpu *cpu);
void pages_leave_wait(struct hv_cpu *cpu);
static inline void pages_before_entry(struct hv_cpu *cpu)
{
    if (!cpu->waits_for_sipi)
        cpu->presence->place = PLACE_GUEST;
    if (cpu->waits_for_sipi || cpu->presence->seen != cpu->machine->given.count)
        pages_look(cpu);
}
static inline void pages_after_exit(struct hv_cpu *cpu)
{
    cpu->presence->place = PLACE_L0;
    if (cpu->waits_for_sipi)
        pages_leave_wait(cpu);
}

/* ---- paging.c ---- */
struct walk {
    bool fault;
    uint32_t error_code;                /* of the #PF */
    uint64_t address;                   /* L1-physical */
};
/* Walks L1's paging structures for a supervisor-mode data access; sets accessed and dirty flags. */
struct walk l1_walk(const struct hv_machine *machine, uint64_t linear, bool write);

/* ---- operand.c: operands from VM-exit instruction information (SDM Vol. 3, 28.2.5) ---- */
unsigned operand_register1(const struct hv_cpu *cpu);
unsigned operand_register2(const struct hv_cpu *cpu);
bool operand_in_register(const struct hv_cpu *cpu);
/* Linear address of a memory operand of `length` bytes. False: #GP or #SS was injected. */
bool operand_locate(struct hv_cpu *cpu, unsigned length, bool write, uint64_t *linear);
/* A memory operand's bytes. False: an exception was injected; nothing moved. */
bool operand_load(struct hv_cpu *cpu, void *to, unsigned length);
bool operand_store(struct hv_cpu *cpu, const void *from, unsigned length);

#endif
