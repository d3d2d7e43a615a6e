/* SPDX-License-Identifier: MIT */
/*
 * A guest of ours (an L2, if this program is L1): its memory, EPT, VMCS and registers. Its program is a piece of code
 * that is copied to GUEST_CODE and started there.
 *
 *   guest-physical  0 real-mode vectors   1000 page tables   4000 IDT   5000 GDT   6000 data   7000 stack   8000 code
 *                   9000 more page tables, and pages for them to map
 */
#ifndef SESQUI_GUESTS_GUEST_H
#define SESQUI_GUESTS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86.h"
#include "scenarios/guests/lib/vmx.h"

enum { PAGE = 4096, GUEST_PAGES = 16, EPT_TABLES = 4 };
enum { GUEST_ROOT = 0x1000, GUEST_PML4 = 0xf000, GUEST_PDPT = 0x2000, GUEST_PD = 0x3000, GUEST_IDT = 0x4000, GUEST_GDT = 0x5000,
       GUEST_TSS = 0x5800, GUEST_DATA = 0x6000, GUEST_STACK = 0x8000, GUEST_CODE = 0x8000 };
/* Page tables of a 32-bit guest, beside GUEST_ROOT. */
enum { GUEST_ROOT_PAE_2 = 0x1020, GUEST_LOW_TABLE = 0x2000, GUEST_DIRECTORY_1 = 0x3000, GUEST_DIRECTORY_2 = 0x9000,
       GUEST_TABLE_1 = 0xa000, GUEST_TABLE_2 = 0xb000, GUEST_PAGE_1 = 0xc000, GUEST_PAGE_2 = 0xd000,
       GUEST_WINDOW = 0x40000000 };
enum guest_paging { GUEST_PAGING_32, GUEST_PAGING_PAE };
enum { GUEST_CS = 8, GUEST_SS = 16, GUEST_TR = 24 };     /* selectors of a 64-bit guest */

struct guest {
    _Alignas(PAGE) uint8_t memory[GUEST_PAGES * PAGE];
    _Alignas(PAGE) uint64_t ept[EPT_TABLES][PAGE / 8];   /* PML4, PDPT, page directory, page table: the lowest 2 MB */
    _Alignas(PAGE) uint8_t vmcs[PAGE];
    uint64_t gpr[GPR_COUNT];        /* gpr[RSP] is unused: it is in the VMCS */
    uint64_t eptp;
    uint16_t vpid;
    bool launched;
};

/* The controls a guest needs, before the bits that this processor forces. */
struct controls { uint32_t pin, proc, proc2, exit, entry; };

/* Sets IA32_FEATURE_CONTROL, CR0 and CR4, and executes VMXON. NULL, or why not. */
const char *vmx_start(void);
const char *vmx_start_on(uint8_t *region);      /* the same with another VMXON region: for another processor */
extern uint8_t vmxon_region[PAGE];
uint32_t vmcs_revision(void);

/*
 * Makes an empty guest with the program [start, end): EPT, VMCS (then current), controls, host state. NULL, or the name
 * of what the processor does not offer. Guest state follows by one of the two functions below.
 */
const char *guest_create(struct guest *guest, uint16_t vpid, const struct controls *controls, const uint8_t *start,
                         const uint8_t *end);
void guest_long_mode(struct guest *guest);      /* 64-bit mode; paging maps the lowest 2 MB one to one */
/* 32-bit protected mode with page tables of one kind, and paging on or still off. */
void guest_protected_mode(struct guest *guest, enum guest_paging paging, bool on);
void guest_real_mode(void);                     /* real-address mode: SDM Vol. 3, 26.6 "Unrestricted guests" */

/* Writes the host-state area of the current VMCS: a VM exit goes on here, in guest_enter(). SDM Vol. 3, 25.5. */
void guest_host_state(void);

/* The EPT entry that maps the page of `address` (below 2 MB). */
uint64_t *guest_ept_entry(struct guest *guest, uint64_t address);
/* EPT entry for a page of our memory. */
uint64_t ept_entry(const void *page, uint64_t rights);
/* INVEPT, single-context if offered. */
vmx_result guest_invept(struct guest *guest);
/* A 64-bit interrupt gate in the guest's IDT. */
void guest_gate(struct guest *guest, unsigned vector, uint64_t handler);
void guest_gate32(struct guest *guest, unsigned vector, uint32_t handler);  /* the same in 32-bit mode */

/* VMLAUNCH or VMRESUME; returns at the VM exit (0), or with the error. */
vmx_result guest_enter(struct guest *guest);

#endif
