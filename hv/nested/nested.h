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

struct field {
    uint16_t encoding;
    uint8_t class;                      /* enum field_class */
    uint8_t exists;                     /* enum control_id */
};
extern const struct field field_table[FIELD_COUNT];

/* The field of an encoding that L1 gave (full or high access), or FIELD_COUNT: unsupported component. */
enum field_index field_find(const struct capability *offered, uint64_t encoding);
unsigned field_highest_index(const struct capability *offered);
/* `value` cut to the width of the field. */
uint64_t field_cut(enum field_index field, uint64_t value);

/* ---- vmcs12.c ---- */
struct vmcs12 {
    uint64_t field[FIELD_COUNT];
    bool launched;                      /* launch state as L1 sees it */
};
#define VMCS12(cpu, name) ((cpu)->nested.vmcs12.field[FIELD_##name])
#define VMCS12_32(cpu, name) ((uint32_t)VMCS12(cpu, name))
#define NO_VMCS (~0ull)

/* Writes the current vmcs12 back to L1's page; then there is none. */
void vmcs12_release(struct hv_cpu *cpu);
/* Reads the page at `address` and makes it current. False: wrong revision identifier, nothing changed. */
bool vmcs12_load(struct hv_cpu *cpu, uint64_t address);
/* VMCLEAR of a page that is not current. */
void vmcs12_clear_page(struct hv_cpu *cpu, uint64_t address);
/* Secondary controls as they count: 0 unless they are activated. */
uint32_t vmcs12_secondary(const struct hv_cpu *cpu);
bool vmcs12_ept(const struct hv_cpu *cpu);

/* ---- vept.c: shadow EPTs, EPT12 composed with EPT01 ---- */
enum { VEPT_ROOTS = 4 };
struct vept {
    struct {
        uint64_t root12;                /* address of L1's EPT PML4 table; valid if ept.root is */
        struct ept ept;
    } root[VEPT_ROOTS];
    unsigned next;                      /* to be replaced next */
};

/* EPT pointer of the shadow for L1's EPT pointer. */
uint64_t vept_pointer(struct hv_cpu *cpu, uint64_t eptp12);
/* An EPT violation of L2 on the shadow: filled, or reflected as L1's own EPT violation or misconfiguration. */
void vept_violation(struct hv_cpu *cpu);
/* Drops one shadow (INVEPT type 1), or all. */
void vept_drop(struct hv_cpu *cpu, uint64_t eptp12);
void vept_drop_all(struct hv_cpu *cpu);

/* State that entries and exits load only under a control of L1's; otherwise the other level's value stays. */
struct carried_state { uint64_t cr0, dr7, debugctl, pat, efer; };
/* Reads it from the current VMCS. */
struct carried_state carried_state(void);

/* What an entry to L2 needs beside vmcs12. */
struct entry_plan {
    struct carried_state carried;       /* of L1 */
    uint64_t eptp;                      /* of the shadow EPT, or EPT01's */
    physical_address io_bitmap_a, io_bitmap_b;  /* if L1 uses them */
    uint32_t msr_count;                 /* entries of the private VM-entry MSR-load list */
};

/* ---- the state of nesting, part of struct hv_cpu ---- */
struct nested {
    bool on;                            /* L1 is in VMX operation */
    uint64_t vmxon_pointer;
    uint64_t current;                   /* L1's current-VMCS pointer, or NO_VMCS */
    struct vmcs12 vmcs12;
    bool entering;                      /* vmcs02 is built, and no exit has shown yet that the entry succeeded */
    struct entry_plan plan;
    uint16_t vpid12;                    /* whose translations VPID_L2 tags; 0: nobody's */
    struct vept vept;
    /* Private copies of what hardware reads while L2 runs. */
    physical_address msr_bitmap, entry_msr_area;
    physical_address io_bitmap_absent;  /* a page of ones */
    uint8_t msr_bitmap12[4096];         /* L1's MSR bitmap as it was at entry */
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
bool nested_wants_exception(const struct hv_cpu *cpu, unsigned vector, uint32_t error_code);

/* ---- check12.c: what hardware cannot check, as it never sees L1's value ---- */
bool check12_controls(const struct hv_cpu *cpu);
bool check12_host_state(const struct hv_cpu *cpu);
/* Guest state. False: entry failure with *qualification. */
bool check12_guest_state(const struct hv_cpu *cpu, uint64_t *qualification);

/* ---- vmcs02.c ---- */
/* Fields of vmcs02, which is current, that never change; then those of an entry, from vmcs12 and nested.plan. */
void vmcs02_prepare(struct hv_cpu *cpu);
void vmcs02_build(struct hv_cpu *cpu);
/* Guest state and exit information of vmcs02, which is current, into vmcs12. */
void vmcs02_save(struct hv_cpu *cpu);

/* ---- bitmap.c ---- */
/* Copies L1's I/O and MSR bitmaps, the latter merged with L0's, into the private pages. */
void bitmap_copy(struct hv_cpu *cpu);
/* Does L1 intercept this access of L2 to an MSR? */
bool bitmap_wants_msr(const struct hv_cpu *cpu, uint32_t index, bool write);

/* ---- msr_area.c: SDM Vol. 3, 27.4, 28.4, 28.6 ---- */
/* Copies L1's VM-entry MSR-load list for hardware. Returns its length, or MSR_AREA_MAX + 1 if it is too long. */
uint32_t msr_area_copy_entry_list(struct hv_cpu *cpu);
/* The VM-exit lists, applied to the level whose VMCS is current. False: VMX abort. */
bool nested_msr_store(struct hv_cpu *cpu);
bool nested_msr_load(struct hv_cpu *cpu);

/* ---- vpid.c ---- */
void vpid_before_entry(struct hv_cpu *cpu);
void vpid_after_exit(struct hv_cpu *cpu);

/* ---- reflect.c ---- */
/* Gives cpu->exit to L1 as an exit of its L2: vmcs12 tells of it, vmcs01 holds L1's host state. */
void reflect(struct hv_cpu *cpu);

#endif
