/* SPDX-License-Identifier: MIT */
/*
 * Nesting: L1 as a hypervisor. L0 executes L1's VMX instructions, keeps its VMCSs (vmcs12) in software, builds vmcs02
 * for L2, and takes each exit of L2 itself or reflects it to L1. Included by hv/core.h.
 */
#ifndef SESQUI_HV_NESTED_H
#define SESQUI_HV_NESTED_H

#include "hv/capability.h"
#include "hv/ept.h"
#include "hv/hal.h"

struct hv_cpu;
struct hv_machine;

/* ---- field.c: the fields of vmcs12 ---- */
enum field_index {
#define FIELD(name, encoding, exists) FIELD_##name,
#include "arch/vmcs_fields.def"
    FIELD_COUNT
};

enum field_class {
    CLASS_GUEST, CLASS_GUEST_CONDITIONAL, CLASS_CONTROL_VERBATIM, CLASS_CONTROL_MERGED, CLASS_ADDRESS, CLASS_HOST,
    CLASS_EXIT_INFORMATION, CLASS_KEPT, CLASS_ABSENT,
};

/* How the strategies treat it; letters as in field_classes.def. */
enum field_copy { COPY_T, COPY_R, COPY_B, COPY_L };
enum field_flip { FLIP_I, FLIP_V, FLIP_F };

struct field {
    uint16_t encoding;
    uint8_t class;                      /* enum field_class */
    uint8_t exists;                     /* enum control_id */
    uint8_t copy;                       /* enum field_copy */
    uint8_t flip;                       /* enum field_flip */
};
extern const struct field field_table[FIELD_COUNT];

/* Fields of L1's that are treated alike, listed once so that the paths of entries and exits need not search. */
enum field_set_id {
    SET_WRITTEN,                        /* L1's verbatim, for vmcs02: at each entry */
    SET_WRITTEN_LATE,                   /* ... if L1 wrote one of them */
    SET_SAVED, SET_SAVED_LATE,          /* guest state back from vmcs02: at each exit, or when L1 looks */
    SET_COPY_READ, SET_COPY_WRITTEN,    /* copy: what L1 reads, and of that what it writes, in the shadow VMCS */
    SET_FLIP,                           /* flip: what L1 shares with hardware */
    SET_COUNT
};
struct field_set {
    unsigned count;
    struct field_row { uint16_t field, encoding; } row[FIELD_COUNT];    /* field: enum field_index */
};
void field_sets_make(const struct capability *offered, struct field_set sets[SET_COUNT]);

/* Does L1 have this field? */
bool field_offered(const struct capability *offered, enum field_index field);
/* The field of an encoding that L1 gave (full or high access), or FIELD_COUNT: unsupported component. */
enum field_index field_find(const struct capability *offered, uint64_t encoding);
unsigned field_highest_index(const struct capability *offered);
/* `value` cut to the width of the field. */
uint64_t field_cut(enum field_index field, uint64_t value);

/* Fields of vmcs02 whose value L0 knows, for only it writes them, or it has read them since: writing it again is needless. */
enum kept_field { KEPT_PIN, KEPT_PROC, KEPT_PROC2, KEPT_EXIT, KEPT_VPID, KEPT_EPTP, KEPT_IO_A, KEPT_IO_B,
                    KEPT_VIRTUAL_APIC, KEPT_ENTRY, KEPT_MSR_COUNT, KEPT_EFER, KEPT_COUNT };

/* A VMCS that hardware uses. */
struct hardware_vmcs {
    physical_address region;
    bool launched;
    bool nmi_window;                    /* it asks for an exit when its guest can take an NMI (nmi.c) */
    bool kept_known[KEPT_COUNT];
    uint64_t kept[KEPT_COUNT];
};

/* ---- settled.c: what an entry found out, as long as L1 cannot have changed it ---- */
struct settled {
    bool known;                         /* and no VMWRITE of L1's has exited since that may change it */
    unsigned given;                     /* pages given to L0 by then */
    /* What L1 or L2 may have changed of that meanwhile. */
    bool l1_long_mode;
    uint64_t processor_based_controls, entry_controls, host_fs_selector, host_gs_selector, host_fs_base, host_gs_base;
    /* Pages of L1's that hardware uses, or a private one, if L1 uses them; whether L1 has the page of its MSR bitmap. */
    physical_address io_bitmap_a, io_bitmap_b, virtual_apic;
    bool msr_bitmap;
    /* L1 uses EPT, and its VPID or 0; what stood for them last: it is looked up anew if it does no more. */
    bool ept;
    uint16_t vpid12;
    unsigned shadow, vpid_slot;
    uint64_t shadow_key;
    bool conditional_stays;             /* vmcs02_conditional_stays() */
    uint32_t proc02, entry02;           /* hardware's processor-based and entry controls */
};

/* ---- vmcs12.c ---- */
struct vmcs12 {
    uint64_t address;                   /* L1's page; NO_VMCS: nothing is in here */
    uint64_t last_use;
    uint64_t field[FIELD_COUNT];
    bool launched;                      /* launch state as L1 sees it */
    struct settled settled;
    struct hardware_vmcs hardware;      /* what L2 runs on */
    bool shadowed;                      /* flip: L1's values of the fields of V and F are in `hardware` */
    /* copy, flip: conditional guest state that L1's exit controls save, and with copy class L, is newer in hardware */
    bool late;
    /* flip: HOST_RSP in `hardware` is L1's while L1 runs; entries since L1 changed it, or loaded the VMCS, as far as they count */
    bool stack_exchanged;
    uint8_t stack_age;
};
#define VMCS12(cpu, name) ((cpu)->nested.vmcs12->field[FIELD_##name])
#define VMCS12_32(cpu, name) ((uint32_t)VMCS12(cpu, name))
#define NO_VMCS (~0ull)
enum { VMCS12_SLOTS = 4 };

/* Reads the page at `address` and makes it current. False: wrong revision identifier, nothing changed. */
bool vmcs12_load(struct hv_cpu *cpu, uint64_t address);
/* VMCLEAR: writes a VMCS that is kept here back to its page; its launch state becomes clear. */
void vmcs12_clear(struct hv_cpu *cpu, uint64_t address);
/* Writes all back; then there is none. */
void vmcs12_release_all(struct hv_cpu *cpu);
/* Secondary controls as they count: 0 unless they are activated. */
uint32_t vmcs12_secondary(const struct hv_cpu *cpu);
bool vmcs12_ept(const struct hv_cpu *cpu);
bool vmcs12_uses_ept(const struct vmcs12 *vmcs12);

/* ---- vept.c: shadow EPTs, EPT12 composed with EPT01 ---- */
enum { VEPT_ROOTS = 8, VEPT_PAGES_LEAST = 64 };
struct vept_root {
    uint64_t key;                       /* what it shadows: L1's EPT PML4 table, and how its bits are meant */
    uint64_t last_use;
    struct ept ept;                     /* without a root: there is no shadow in here */
};
struct vept {
    struct vept_root root[VEPT_ROOTS];
    uint64_t use_clock;
};

/* EPT pointer of the shadow for the EPT of L1's current VMCS. */
uint64_t vept_pointer(struct hv_cpu *cpu);
/* Is each processor's share of the pool enough to get on with? */
bool vept_affordable(const struct hv_machine *machine);
/* An EPT violation of L2 on the shadow: filled, or reflected as L1's own EPT violation or misconfiguration. */
void vept_violation(struct hv_cpu *cpu);
/* Drops what shadows the EPT of this pointer (INVEPT type 1), or all shadows. Not while L2 runs on one. */
void vept_drop(struct hv_cpu *cpu, uint64_t eptp12);
void vept_drop_all(struct hv_cpu *cpu);
/* Empties all, also the one on which L2 runs; translations through them are forgotten. */
void vept_empty_all(struct hv_cpu *cpu);

/* ---- vpid.c: L1's VPIDs ---- */
enum { VPID_SLOTS = 16 };
struct vpids {
    struct {
        uint64_t last_use;
        uint16_t vpid12;                /* 0: none */
    } slot[VPID_SLOTS];
    uint64_t use_clock;
};

/* The VPID on which L2 shall run; emptied where an entry of L1's would. */
uint16_t vpid_before_entry(struct hv_cpu *cpu);
void vpid_after_exit(struct hv_cpu *cpu);
/* INVVPID of L1's, types 0, 1 and 3, and type 2. */
void vpid_invalidate(struct hv_cpu *cpu, uint64_t type, uint16_t vpid, uint64_t linear);
void vpid_invalidate_all(struct hv_cpu *cpu);
/* None is in use, and no translations of any are left. */
void vpid_drop_all(struct hv_cpu *cpu);

/* State that entries and exits load only under a control of L1's; otherwise the other level's value stays. */
struct carried_state { uint64_t dr7, debugctl, pat, efer; };
/* Reads what L1's entry controls will not load from the current VMCS into nested.plan; its EFER and PAT in any case. */
void carry_state(struct hv_cpu *cpu);

/* What an entry to L2 needs beside vmcs12. */
struct entry_plan {
    struct carried_state carried;       /* of L1 */
    uint32_t interruptibility;          /* of L1, at its VMLAUNCH or VMRESUME */
    uint64_t eptp;                      /* of the shadow EPT, or EPT01's */
    uint16_t vpid;                      /* hardware's */
    bool settled;                       /* vmcs12->settled held: the controls of vmcs02 that come of it are as they were */
    uint32_t msr_count;                 /* entries of the private VM-entry MSR-load list */
    bool apic_base_loaded;              /* IA32_APIC_BASE is among them, and may be something else afterwards */
    bool refused;                       /* L0 found L2's state wrong: the entry shall fail, with this exit qualification: */
    uint64_t qualification;
    uint64_t dr7;                       /* then: of L2, while vmcs02 has one that hardware refuses */
};

/* What the strategies copy and flip keep: shadow.c, shadow_copy.c, shadow_flip.c. */
struct shadow {
    physical_address read_bitmap, write_bitmap; /* of the VMREADs and VMWRITEs of L1 that exit */
    /* copy */
    physical_address region;            /* the shadow VMCS */
    bool stale;                         /* it does not hold what vmcs12 does */
    bool dirty;                         /* L1 wrote fields of class L or T since they went to vmcs02 */
    /* flip */
    bool proc_edited;                   /* the processor-based controls in hardware are not L1's */
    bool stack_shadowed;                /* the bitmaps let L1 have HOST_RSP without an exit */
    bool event_kept;                    /* L0 injected an event; these are L1's fields of that name */
    uint64_t event[3];
};

/* ---- bitmap.c: what is kept of L1's MSR bitmap ---- */
enum { MSR_BITMAP_WORDS = 20 };

/* ---- the state of nesting, part of struct hv_cpu ---- */
struct nested {
    bool on;                            /* L1 is in VMX operation */
    uint64_t vmxon_pointer;
    uint64_t current;                   /* L1's current-VMCS pointer, or NO_VMCS */
    struct vmcs12 *vmcs12;              /* of `current`; else any of: */
    struct vmcs12 slot[VMCS12_SLOTS];
    unsigned slots;                     /* how many of them the strategy uses */
    uint64_t use_clock;
    struct shadow shadow;
    bool entering;                      /* while L2 is the one to run: no exit has shown yet that the entry succeeded */
    struct entry_plan plan;
    struct vpids vpids;
    struct vept vept;
    /* Private copies of what hardware reads while L2 runs. */
    physical_address msr_bitmap, entry_msr_area;
    physical_address io_bitmap_absent, virtual_apic_absent;     /* pages of ones */
    uint64_t msr_bits12[MSR_BITMAP_WORDS];  /* pieces of L1's MSR bitmap as they were at entry */
    bool msr_bits_known;
    _Alignas(16) uint8_t buffer[8192];  /* for copying */
};

/* This processor's vmcs02 and private pages. False: the pool is too small. */
bool nested_create(struct hv_cpu *cpu);

/* ---- insn.c ---- */
/* Executes the VMX instruction of cpu->exit for L1. */
void nested_instruction(struct hv_cpu *cpu);
/* VMfail with an error for L1's VMLAUNCH or VMRESUME; vmcs01 is current. */
void nested_entry_fails(struct hv_cpu *cpu, enum vm_instruction_error error);

/* ---- enter.c ---- */
/* VMLAUNCH or VMRESUME of L1, past privilege, pointer and launch state. */
void nested_enter(struct hv_cpu *cpu);
/* Hardware refused vmcs02 with a VMfail. */
void nested_entry_refused(struct hv_cpu *cpu);
/* An exit of L2: handled or reflected. */
void nested_exit(struct hv_cpu *cpu);
/* Does L1 intercept this exception of L2? */
bool nested_wants_exception(unsigned vector, uint32_t error_code);

/* ---- settled.c ---- */
/* Does what an earlier entry found out hold for this one?  vmcs12 has been fetched. */
bool settled_holds(const struct hv_cpu *cpu);
/* The checks have been passed, and the pages are chosen. */
void settle(struct hv_cpu *cpu);
/* L1's VMWRITE of this field has exited. */
void settled_forget(struct vmcs12 *vmcs12, enum field_index field);

/* ---- check12.c: what hardware cannot check, as it never sees L1's value ---- */
bool check12_controls(const struct hv_cpu *cpu);
bool check12_host_state(const struct hv_cpu *cpu);
/* Guest state. False: entry failure with *qualification. */
bool check12_guest_state(const struct hv_cpu *cpu, uint64_t *qualification);

/* ---- vmcs02.c ---- */
typedef void vmcs_writer(enum vmcs_encoding, uint64_t);
/* Fields of vmcs02, which is current, that never change. */
void vmcs02_prepare(struct hv_cpu *cpu);
/* Controls that are L0's and L1's together, but for the processor-based ones. What comes of settled fields alone stays. */
void vmcs02_write_controls(struct hv_cpu *cpu);
/* L1's pages that hardware uses itself, chosen anew for an L2 that runs: some may be L1's no more. */
void vmcs02_choose_pages(struct hv_cpu *cpu);
/* Processor-based and entry controls as hardware shall have them. */
uint32_t vmcs02_processor_based_controls(const struct hv_cpu *cpu);
uint32_t vmcs02_entry_controls(const struct hv_cpu *cpu);
/* Guest state that is loaded under a control, or carried over; what is in hardware as it shall be stays (vmcs12->late). */
void vmcs02_write_conditional(struct hv_cpu *cpu, vmcs_writer *write);
/* Writes a field unless its value is known to be this. */
void vmcs02_keep(struct hv_cpu *cpu, enum kept_field kept, enum vmcs_encoding field, uint64_t value);
/* Hardware was found to hold this value. */
void vmcs02_found(struct hv_cpu *cpu, enum kept_field kept, uint64_t value);
/* After an exit of L2: its mode and preemption timer into vmcs12; the rest of the conditional guest state. */
void vmcs02_save_mode(struct hv_cpu *cpu);
void vmcs02_save_conditional(struct vmcs12 *vmcs12);
/* Will an entry load all the conditional guest state that exits save for L1? Then it may stay in hardware meanwhile. */
bool vmcs02_conditional_stays(const struct hv_cpu *cpu);
/* A set of fields, or one field, between vmcs12 and the current VMCS. */
void fields_to_hardware(const struct hv_cpu *cpu, const struct vmcs12 *vmcs12, enum field_set_id set);
void fields_from_hardware(const struct hv_cpu *cpu, struct vmcs12 *vmcs12, enum field_set_id set);
void vmcs12_to_hardware(const struct vmcs12 *vmcs12, unsigned field);
void vmcs12_from_hardware(struct vmcs12 *vmcs12, unsigned field);

/* ---- bitmap.c ---- */
/* The I/O bitmaps that hardware shall use: L1's, or a private one where L1 has none; and whether L1 has an MSR bitmap. */
void bitmap_choose(struct hv_cpu *cpu);
/* Brings the private MSR bitmap up to date for an entry to L2, whose L1 uses one. */
void bitmap_copy(struct hv_cpu *cpu);
/* Does L1 intercept this access of L2 to an MSR? */
bool bitmap_wants_msr(const struct hv_cpu *cpu, uint32_t index, bool write);

/* ---- virtual_apic.c ---- */
/* The page that hardware shall use: L1's, or a private one where L1 has none. */
void virtual_apic_choose(struct hv_cpu *cpu);
/* Is it in use, and absent?  Then MOV to CR8 exits, whatever L1 wants. */
bool virtual_apic_absent(const struct hv_cpu *cpu);
/* Such an exit, of which L1 wants none; and what it comes to. */
bool virtual_apic_write_exit(const struct hv_cpu *cpu);
void virtual_apic_write(struct hv_cpu *cpu);
/* Hardware refused to enter L2 again. True: because of VTPR; cpu->exit is what L1 shall see instead. */
bool virtual_apic_refused(struct hv_cpu *cpu);

/* ---- msr_area.c: SDM Vol. 3, 27.4, 28.4, 28.6 ---- */
/* Copies L1's VM-entry MSR-load list, which has entries, for hardware, which will fail at the entries that msrs.def refuses. Returns its length, or MSR_AREA_MAX + 1 if it is too long. */
uint32_t msr_area_copy_entry_list(struct hv_cpu *cpu);
/* The list is about to be loaded. False: an INIT of L0's comes first, and L1 executes its instruction again. And it was, as far as it went. */
bool msr_area_before_entry(struct hv_cpu *cpu);
void msr_area_after_entry(struct hv_cpu *cpu);
/* What the first `count` entries of that list made of two MSRs which exits to L0 load: an entry that failed at the next one
 * has loaded them (27.8). */
void msr_area_loaded(struct hv_cpu *cpu, uint64_t count, uint64_t *pat, uint64_t *efer);
/* The VM-exit lists, applied to the level whose VMCS is current. False: VMX abort. */
bool nested_msr_store(struct hv_cpu *cpu);
bool nested_msr_load(struct hv_cpu *cpu);

/* ---- reflect.c ---- */
/* Give cpu->exit to L1, as an exit of its L2, or as the end of its entry that failed with an exit: vmcs12 tells of it, vmcs01 holds
 * L1's host state. */
void reflect_exit(struct hv_cpu *cpu);
void reflect_failed_entry(struct hv_cpu *cpu);

#endif
