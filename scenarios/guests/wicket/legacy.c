/* SPDX-License-Identifier: MIT */
/* L1's half of the 32-bit guest's conversation. The other half: l2_legacy.S. */
#include "scenarios/guests/wicket/legacy.h"

#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/turnstile/transcript.h"

enum { PATTERN_1 = 0x11111111, PATTERN_2 = 0x22222222, CPUID_LEAF = 0x4000ca11, NOT_PRESENT = 0x50000000 };
enum { CS_SELECTOR = 8, LDT_SELECTOR = 40, OTHER_CS_SELECTOR = 56 };    /* boot.S, boot32.S */
enum { WINDOW_PDPTE = GUEST_ROOT_PAE_2 + 8 * (GUEST_WINDOW >> 30) };

extern const uint8_t l2_legacy_start[], l2_legacy_end[];
extern const uint8_t l2_legacy_first[], l2_legacy_second[], l2_legacy_cpuid[], l2_legacy_still_there[], l2_legacy_halt[],
    l2_legacy_on_page_fault[], l2_legacy_page_fault[], l2_legacy_after_page_fault_at[];

static const struct controls controls = { .proc = PROC_hlt_exiting, .proc2 = PROC2_unrestricted_guest };

/* Exits save the PDPTEs that the guest's paging has loaded (SDM Vol. 3, 28.3.4). */
static void check_pdpte(const struct guest *guest, uint32_t root)
{
    if (!(vmread(VMCS_guest_cr4) & CR4_PAE))
        return;
    for (unsigned i = 0; i < 4; i++)
        check("PDPTE", vmread(VMCS_guest_pdpte0 + 2 * i), ((const uint64_t *)(guest->memory + root))[i]);
}

/*
 * Exits load CS from the host-state area and leave LDTR unusable (SDM Vol. 3, 28.5.2). For the first one we have an LDTR, and
 * the host state another CS than ours: boot.S and boot32.S have both.
 */
static void prepare_segments(void)
{
    __asm__ volatile("lldt %w0" : : "r"(LDT_SELECTOR));
    vmwrite(VMCS_host_cs_selector, OTHER_CS_SELECTOR);
}

static void check_segments(void)
{
    uint16_t selector;

    __asm__("mov %%cs, %0" : "=r"(selector));
    check("CS", selector, OTHER_CS_SELECTOR);
    __asm__("sldt %0" : "=r"(selector));
    check("LDTR", selector, 0);
    vmwrite(VMCS_host_cs_selector, CS_SELECTOR);
}

static void check_first(struct guest *guest)
{
    check_segments();
    check("the window in the first address space", guest->gpr[RAX], PATTERN_1);
    check("CR3", vmread(VMCS_guest_cr3), GUEST_ROOT);
    check("CR0.PG", vmread(VMCS_guest_cr0) & CR0_PG, CR0_PG);
    check_pdpte(guest, GUEST_ROOT);
    skip_instruction();
}

static void check_second(struct guest *guest)
{
    check("the window in the second address space", guest->gpr[RAX], PATTERN_2);
    check("CR3", vmread(VMCS_guest_cr3), guest->gpr[RBX]);
    check_pdpte(guest, GUEST_ROOT_PAE_2);
    skip_instruction();
}

static void answer_cpuid(struct guest *guest)
{
    check("CPUID leaf", guest->gpr[RAX], CPUID_LEAF);
    guest->gpr[RBP] = *(const uint32_t *)l2_legacy_after_page_fault_at;
    skip_instruction();
}

static void check_page_fault(struct guest *guest)
{
    check("CR2", guest->gpr[RAX], NOT_PRESENT);
    check("error code", guest->gpr[RCX], PF_WRITE);
    skip_instruction();
}

static void check_still_there(struct guest *guest)
{
    check("the window without its PDPTE in memory", guest->gpr[RAX], PATTERN_2);
    check("PDPTE", vmread(VMCS_guest_pdpte0 + 2 * (GUEST_WINDOW >> 30)), GUEST_DIRECTORY_2 | 1);
    skip_instruction();
}

static void check_reloaded(struct guest *guest)
{
    check("CR2", guest->gpr[RAX], GUEST_WINDOW);
    check("error code", guest->gpr[RCX], 0);
    check("PDPTE", vmread(VMCS_guest_pdpte0 + 2 * (GUEST_WINDOW >> 30)), 0);
    skip_instruction();
}

static const struct step beginning[] = {
    { EXIT_REASON_vmcall, 0, l2_legacy_first, NULL, check_first },
    { EXIT_REASON_vmcall, 0, l2_legacy_second, NULL, check_second },
    { EXIT_REASON_cpuid, 0, l2_legacy_cpuid, NULL, answer_cpuid },
    { EXIT_REASON_vmcall, 0, l2_legacy_page_fault, NULL, check_page_fault },
}, pae[] = {
    { EXIT_REASON_vmcall, 0, l2_legacy_still_there, NULL, check_still_there },
    { EXIT_REASON_vmcall, 0, l2_legacy_page_fault, NULL, check_reloaded },
}, end[] = {
    { EXIT_REASON_hlt, 0, l2_legacy_halt, NULL, NULL },
};

const char *legacy_guest_create(struct guest *guest, enum guest_paging paging, bool on)
{
    const char *missing = guest_create(guest, 3, &controls, l2_legacy_start, l2_legacy_end);

    if (missing)
        return missing;
    guest_protected_mode(guest, paging, on);
    guest_gate32(guest, VECTOR_PF, (uint32_t)(l2_legacy_on_page_fault - l2_legacy_start) + GUEST_CODE);
    *(uint32_t *)(guest->memory + GUEST_PAGE_1) = PATTERN_1;
    *(uint32_t *)(guest->memory + GUEST_PAGE_2) = PATTERN_2;
    guest->gpr[RSI] = paging == GUEST_PAGING_PAE ? CR4_PAE : 0;
    guest->gpr[RDI] = GUEST_ROOT;
    guest->gpr[RBX] = paging == GUEST_PAGING_PAE ? GUEST_ROOT_PAE_2 : GUEST_DIRECTORY_2;
    guest->gpr[RDX] = paging == GUEST_PAGING_PAE ? WINDOW_PDPTE : 0;
    return NULL;
}

#define FOLLOW(steps) follow(guest, l2_legacy_start, steps, sizeof(steps) / sizeof(*steps))

void legacy_guest_run(struct guest *guest, enum guest_paging paging, bool on)
{
    print("-- 32-bit guest, %s paging, %s\n", paging == GUEST_PAGING_PAE ? "PAE" : "32-bit",
          on ? "on at entry" : "which it turns on itself");
    prepare_segments();
    if (FOLLOW(beginning) && (paging != GUEST_PAGING_PAE || FOLLOW(pae)))
        FOLLOW(end);
}
