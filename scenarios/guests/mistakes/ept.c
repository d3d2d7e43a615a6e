/* SPDX-License-Identifier: MIT */
/* EPT entries that give too little, or that no processor may use. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

enum { PLACE = 0x20000, TRIES = 5, QUIT_UNEXPECTED = 42 };

extern const uint8_t guest_reads[], guest_reads_end[], guest_writes[], guest_writes_end[], guest_jumps[], guest_jumps_end[];
__asm__("guest_reads: movq 0x20000, %rax\n jmp guest_reads\nguest_reads_end:\n"
        "guest_writes: movb $1, 0x6000\n hlt\nguest_writes_end:\n"
        "guest_jumps: movl $0x20000, %eax\n jmp *%rax\nguest_jumps_end:\n");

static void enter(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        guest_enter(&guest_of_mistakes);
}

static void not_mapped(void) { start_guest(guest_reads, guest_reads_end); enter(TRIES); }
static void not_executable(void) { start_guest(guest_jumps, guest_jumps_end); enter(TRIES); }

/* Memory type 0 in bits 5:3. */
static void uncacheable(uint64_t address)
{
    start_guest(guest_writes, guest_writes_end);
    *guest_ept_entry(&guest_of_mistakes, address ? address : vmread(VMCS_guest_cr3)) &= ~(uint64_t)(7 << 3);
    enter(1);
}

static void ram_uncacheable(void) { uncacheable(0); }
static void device_uncacheable(void) { uncacheable(PLACE); }

static void given_up(void)
{
    start_guest(guest_reads, guest_reads_end);
    enter(1);
    quit(QUIT_UNEXPECTED);
}

static void read_only(void)
{
    start_guest(guest_writes, guest_writes_end);
    *guest_ept_entry(&guest_of_mistakes, GUEST_DATA) &= ~(uint64_t)EPT_WRITE;
    enter(TRIES);
}

static void code_not_executable(void)
{
    start_guest(guest_writes, guest_writes_end);
    *guest_ept_entry(&guest_of_mistakes, GUEST_CODE) &= ~(uint64_t)EPT_EXECUTE;
    enter(TRIES);
}

static void page_tables_not_mapped(void)
{
    start_guest(guest_writes, guest_writes_end);
    *guest_ept_entry(&guest_of_mistakes, GUEST_PDPT) = 0;
    enter(TRIES);
}

static void root_elsewhere(void)
{
    start_guest(guest_writes, guest_writes_end);
    vmwrite(VMCS_ept_pointer, vmread(VMCS_ept_pointer) + PAGE * 0x800);
    enter(TRIES);
}

/* The entry of the guest's data page, or of the table above it. */
static void misconfigure(unsigned level, uint64_t clear, uint64_t set)
{
    uint64_t *entry;

    start_guest(guest_writes, guest_writes_end);
    entry = level == 1 ? guest_ept_entry(&guest_of_mistakes, GUEST_DATA) : &guest_of_mistakes.ept[4 - level][0];
    *entry = (*entry & ~clear) | set;
    enter(1);
}

static void write_without_read(void) { misconfigure(1, EPT_READ, 0); }
static void memory_type_reserved(void) { misconfigure(1, 0, 7 << 3); }
static void memory_type_in_table(void) { misconfigure(2, 0, 6 << 3); }
static void address_too_wide(void) { misconfigure(1, 0, 1ull << 51); }
static void large_page_unaligned(void) { misconfigure(2, 0, EPT_LARGE | 6 << 3); }
static void large_at_top(void) { misconfigure(4, 0, EPT_LARGE); }

/* Mode-based execute control, and the guest's pages are user-mode ones in its own page tables: the fetches need bit 10 (29.3.2). */
enum { XU = 1 << 10, PAGING_USER = 4 };

static void user_mode_code(uint64_t not_in_page, uint64_t not_at_top)
{
    static const unsigned tables[] = { GUEST_ROOT, GUEST_PML4, GUEST_PDPT, GUEST_PD };

    start_guest(guest_writes, guest_writes_end);
    vmwrite(VMCS_secondary_processor_based_controls, vmread(VMCS_secondary_processor_based_controls) | PROC2_mode_based_execute_control);
    for (unsigned i = 0; i < sizeof tables / sizeof tables[0]; i++)
        *(uint64_t *)(guest_of_mistakes.memory + tables[i]) |= PAGING_USER;
    for (unsigned level = 0; level < EPT_TABLES - 1; level++)
        guest_of_mistakes.ept[level][0] |= XU;
    for (unsigned page = 0; page < GUEST_PAGES; page++)
        guest_of_mistakes.ept[3][page] |= XU;
    *guest_ept_entry(&guest_of_mistakes, GUEST_CODE) &= ~not_in_page;
    guest_of_mistakes.ept[0][0] &= ~not_at_top;
    enter(TRIES);
}

static void user_not_executable(void) { user_mode_code(XU, 0); }
static void user_not_executable_nor_x(void) { user_mode_code(XU | EPT_EXECUTE, EPT_EXECUTE); }
static void user_not_executable_at_top(void) { user_mode_code(0, XU); }
static void user_executable_without_x(void) { user_mode_code(EPT_EXECUTE, EPT_EXECUTE); }

/* ---- what is right ---- */

/* Maps each page when it is asked for. */
static void on_demand(void)
{
    start_guest(guest_reads, guest_reads_end);
    for (unsigned i = 0; i < 3; i++) {
        *guest_ept_entry(&guest_of_mistakes, PLACE) = i ? 0 : ept_entry(guest_of_mistakes.memory, EPT_RIGHTS);
        if (i)
            guest_invept(&guest_of_mistakes);
        vmwrite(VMCS_guest_rip, GUEST_CODE);
        if (i)
            guest_enter(&guest_of_mistakes);
    }
}

/* Emulates a device: the entry stays as it is, RIP goes on. */
static void emulated(void)
{
    start_guest(guest_reads, guest_reads_end);
    for (unsigned i = 0; i < 100; i++) {
        guest_enter(&guest_of_mistakes);
        vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 8);
    }
}

const struct mistake mistakes_of_ept[] = {
    { "ept-ram-uncacheable", ram_uncacheable }, { "ept-device-uncacheable", device_uncacheable },
    { "ept-not-mapped", not_mapped }, { "ept-not-executable", not_executable }, { "ept-given-up", given_up }, { "ept-read-only", read_only },
    { "ept-code-not-executable", code_not_executable }, { "ept-page-tables-not-mapped", page_tables_not_mapped },
    { "ept-root-elsewhere", root_elsewhere }, { "ept-write-without-read", write_without_read },
    { "ept-memory-type-reserved", memory_type_reserved }, { "ept-memory-type-in-table", memory_type_in_table },
    { "ept-address-too-wide", address_too_wide }, { "ept-large-page-unaligned", large_page_unaligned }, { "ept-large-at-top", large_at_top },
    { "ept-user-not-executable", user_not_executable }, { "ept-user-not-executable-nor-x", user_not_executable_nor_x },
    { "ept-user-not-executable-at-top", user_not_executable_at_top }, { "ept-user-executable-without-x", user_executable_without_x },
    { "ept-on-demand", on_demand }, { "ept-emulated", emulated },
    { NULL, NULL },
};
