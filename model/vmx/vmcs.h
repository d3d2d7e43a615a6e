/* SPDX-License-Identifier: MIT */
/*
 * VMCSs: the active ones live in the processor, not in memory (SDM Vol. 3, 25.1, 25.11.1). While one is active its region
 * beyond byte 8 holds a poison pattern; VMCLEAR writes the data back. Bytes 0-7 stay meaningful in memory.
 *
 *   region:   0 revision identifier | indicator   4 VMX-abort indicator   8 launch state   16 field 0   24 field 1 ...
 */
#ifndef SESQUI_MODEL_VMCS_H
#define SESQUI_MODEL_VMCS_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/vmx.h"
#include "model/vmx/capability.h"

struct cpu;
struct model;
struct vmx_capability;

enum vmcs_field {
#define FIELD(name, encoding, exists) FIELD_##name,
#include "arch/vmcs_fields.def"
    VMCS_FIELD_COUNT
};

enum launch_state { LAUNCH_CLEAR, LAUNCH_LAUNCHED };

struct vmcs {
    bool active;
    uint8_t cpu;                /* index of the processor on which it is active */
    uint8_t launch_state;       /* enum launch_state */
    bool shadow;                /* the indicator when it became active */
    bool linked;                /* a VM entry with VMCS shadowing named it in the link pointer since it became active */
    bool reported;              /* R2 was reported since it became active: once is enough */
    bool moved;                 /* it was launched on `former_cpu`, then cleared */
    uint8_t former_cpu;
    uint32_t identifier;        /* bytes 0-3 of the region when it became active */
    uint64_t pa;                /* address of its region */
    uint64_t last_use;          /* for eviction */
    uint32_t judged;            /* its fields have passed the checks of an entry, see struct judged; 0: not yet */
    uint64_t field[VMCS_FIELD_COUNT];
    /* Who wrote what, across VMCLEARs that kept it: for the report of a failed VM entry. Nothing in the model asks. */
    uint64_t writer[VMCS_FIELD_COUNT];  /* RIP of the last VMWRITE */
    uint64_t caller[VMCS_FIELD_COUNT];  /* RIP of the call to the function in which it stands, where an observer has found one */
    uint32_t written[VMCS_FIELD_COUNT]; /* 0: never; else 1 + `exits` at that time */
    uint32_t exits;                     /* VM exits that have saved guest state in it */
};

/* Reads and writes a field of a struct vmcs by its SDM name. */
#define VMCS(vmcs, name) ((vmcs)->field[FIELD_##name])

enum { VMCS_CACHE_SIZE = 128 };
#define VMCS_POISON 0xdead5e5adead5e5aull       /* each 8 bytes of an active VMCS's region from byte 8 on */

/* A VMCS as it was at the latest VM entry that passed its checks: model/vmx/check_parts.h. Means nothing unless vmcs->judged says so. */
struct judged {
    bool long_mode;             /* the processor was in IA-32e mode */
    uint64_t field[VMCS_FIELD_COUNT];
};

struct vmcs_cache {
    struct vmcs vmcs[VMCS_CACHE_SIZE];
    struct judged judged[VMCS_CACHE_SIZE];
    struct vmx_capability judged_capability;    /* what the processors offered then, counted by: */
    unsigned judged_width;                      /* physical addresses */
    uint32_t judged_generation;
    unsigned used;              /* no slot from here on has ever been active */
    uint64_t use_clock;
};

/* Index of an encoding's field (full or high access), or VMCS_FIELD_COUNT where no such field exists: on this model, on a
 * processor with this capability, on any. */
enum vmcs_field vmcs_find(const struct model *model, uint32_t encoding);
enum vmcs_field vmcs_find_on(const struct vmx_capability *capability, uint32_t encoding);
enum vmcs_field vmcs_known(uint32_t encoding);
uint32_t vmcs_encoding(enum vmcs_field field);
const char *vmcs_field_name(enum vmcs_field field);
/* The control that must be allowed for the field to exist: enum control_id, CONTROL_ALWAYS for most. */
unsigned vmcs_field_control(enum vmcs_field field);
/* The field of that name, or VMCS_FIELD_COUNT. */
enum vmcs_field vmcs_field_by_name(const char *name);
/* The bits that a field of this width has. */
uint64_t vmcs_field_mask(enum vmcs_field field);
/* Stores `value` cut to the field's width; `encoding` may name the high half of a 64-bit field. Likewise reading. */
void vmcs_set(struct vmcs *vmcs, uint32_t encoding, uint64_t value);
/* The same where the field is known already. */
void vmcs_set_field(struct vmcs *vmcs, enum vmcs_field field, bool high, uint64_t value);
/* Notes that an instruction at `rip` has just done that. */
void vmcs_note_writer(struct vmcs *vmcs, enum vmcs_field field, uint64_t rip);
uint64_t vmcs_get(const struct vmcs *vmcs, uint32_t encoding);

/* The active VMCS at `pa` on any processor, or NULL. */
struct vmcs *vmcs_active(struct model *model, uint64_t pa);
/* Makes the VMCS at `pa` active on `cpu` (loads it from memory unless it is active already) and returns it. Reports R2
 * when it is active on another processor. A full cache writes another VMCS back first, still active by the book. */
struct vmcs *vmcs_activate(struct cpu *cpu, uint64_t pa);
/* VMCLEAR's work: data to memory, launch state clear, no longer active. Reports R2 when the region was written meanwhile. */
void vmcs_clear(struct cpu *cpu, uint64_t pa);

/* To be called before anyone but the model writes [pa, pa + length): reports R2 if it hits an active VMCS's region.
 * Bytes 4-7, the VMX-abort indicator, may be written at any time (25.2). */
void vmcs_watch_write(struct cpu *cpu, uint64_t pa, uint64_t length);

/*
 * region.c: what software does wrong with the regions of VMCSs, beyond what breaks rule R2. NOTICE_MISTAKE with a = RULE_ACTIVE_VMCS,
 * b = address of the region, c = index of the processor on which it is or was active, d = RIP or 0.
 */
enum region_mistake {
    REGION_WRITTEN, REGION_IDENTIFIER_WRITTEN, REGION_READ, REGION_NEVER_CLEARED, REGION_LEFT_AT_VMXOFF, REGION_LEFT_AT_END,
    REGION_MOVED, REGION_ACTIVE_ELSEWHERE, REGION_ACTIVE_TWICE, REGION_CLEARED_ELSEWHERE,
    REGION_VMXON_SHARED, REGION_VMXON_TOUCHED,      /* of VMXON regions: b is the address of one */
};
void region_mistake(const struct cpu *cpu, enum region_mistake mistake, uint64_t pa, unsigned other_cpu, uint64_t rip);
/* VMXON and VMXOFF of the region at `pa`, by the processor or by what it believes to be: `others`, the processors that are in VMX operation with
 * the same region. */
void vmxon_region_used(struct cpu *cpu, uint64_t pa, unsigned other_cpu, uint64_t rip);
void vmxon_region_left(struct cpu *cpu, uint64_t pa, bool others);
/* Guest code at `rip` reads or writes RAM in a page with WATCH_ACCESSES. */
void vmcs_touched(struct cpu *cpu, uint64_t pa, unsigned size, bool write, uint64_t rip);
/* Tells of VMCSs that are active on `cpu` at its VMXOFF; at the end of a run of raw writes that nobody has seen yet and, if wanted, of
 * VMCSs `left` active in VMX operation. */
void vmcs_at_vmxoff(const struct cpu *cpu);
void vmcs_at_end(struct model *model, bool left);

/* Writes the VMX-abort indicator into the region (28.7). */
void vmcs_abort(struct cpu *cpu, const struct vmcs *vmcs, uint32_t indicator);

#endif
