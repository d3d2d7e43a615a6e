/* SPDX-License-Identifier: MIT */
/* VMCS regions written like memory, EPTs changed without INVEPT, VMCSs that are left behind or moved. */
#include <stddef.h>

#include "scenarios/guests/lib/second.h"
#include "scenarios/guests/mistakes/mistakes.h"

/* The guest reads and writes its page 0xa000 and halts, again and again. */
enum { READS = 0xa000 };
extern const uint8_t reader[], reader_end[];
__asm__(".pushsection .rodata\n"
        "reader: movl $0xa000, %ebx\n"
        "1: movq (%rbx), %rax\n"
        "   hlt\n"
        "   jmp 1b\n"
        "reader_end:\n"
        ".popsection");

static uint8_t other_page[PAGE] __attribute__((aligned(PAGE)));
static uint8_t other_region[PAGE] __attribute__((aligned(PAGE)));
static struct guest *const guest = &guest_of_mistakes;

/* Runs the guest to its next HLT. */
static void run(void)
{
    vmx_result result = guest_enter(guest);

    must(!result && vmread(VMCS_exit_reason) == EXIT_REASON_hlt, "the guest does not halt");
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 1);
}

static void run_once(void)
{
    start_guest(reader, reader_end);
    run();
}

static void exchange_page(void)
{
    run_once();
    *guest_ept_entry(guest, READS) = ept_entry(other_page, EPT_READ);
}

static void ept_without_invept(void)
{
    exchange_page();
    run();
}

static void ept_with_invept(void)
{
    exchange_page();
    must(!guest_invept(guest), "INVEPT");
    run();
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

/* A page below the table was never touched; the table is another one now. */
static void ept_table_without_invept(void)
{
    static uint64_t table[PAGE / 8] __attribute__((aligned(PAGE)));

    run_once();
    for (unsigned page = 0; page < PAGE / 8; page++)
        table[page] = guest->ept[3][page];
    table[READS / PAGE + 1] = 0;
    guest->ept[2][0] = (uintptr_t)table | EPT_RIGHTS;
    ((volatile uint8_t *)guest->memory)[GUEST_CODE + 2] = 0xb0;     /* MOV EBX, 0xb0xx: the next page */
    vmwrite(VMCS_guest_rip, GUEST_CODE);
    run();
}

static void ept_invvpid_instead(void)
{
    exchange_page();
    must(!invvpid(INVVPID_ALL_CONTEXT, 0, 0), "INVVPID");
    run();
}

static void region_written(void)
{
    run_once();
    *(volatile uint32_t *)(guest->vmcs + 256) = 1;
    run();
}

static void region_zeroed(void)
{
    run_once();
    for (unsigned i = 0; i < PAGE; i++)
        ((volatile uint8_t *)guest->vmcs)[i] = 0;
    run();
}

static void region_read(void)
{
    run_once();
    must(*(volatile uint32_t *)(guest->vmcs + 512) != 0x12345678, "it can never hold that");
    run();
}

static void region_never_cleared(void)
{
    start_vmx();
    *(uint32_t *)guest->vmcs = vmcs_revision();
    must(!vmptrld((uintptr_t)guest->vmcs), "VMPTRLD");
}

static void vmxoff_with_active(void)
{
    run_once();
    vmxoff();
}

static void left_active(void)
{
    run_once();
}

/* ---- two processors ---- */

static volatile vmx_result second_result;

static void second_resumes(void)
{
    const char *missing = vmx_start_on(other_region);

    must(!missing, "VMX on the second processor");
    must(!vmptrld((uintptr_t)guest->vmcs), "VMPTRLD on the second processor");
    second_result = guest_enter(guest);
}

static void let_second(void (*what)(void))
{
    second_wake();
    second_does = what;
    while (second_does)
        __asm__ volatile("pause");
}

static void vmresume_after_move(void)
{
    run_once();
    must(!vmclear((uintptr_t)guest->vmcs), "VMCLEAR");
    let_second(second_resumes);
    must(second_result == VM_ERROR_vmresume_not_launched, "VMRESUME has to fail");
}

static void active_on_two(void)
{
    run_once();
    let_second(second_resumes);
    run();
}

/* The guest says that it is there, and waits to be let go. */
extern const uint8_t waiter[], waiter_end[];
__asm__(".pushsection .rodata\n"
        "waiter: movb $1, 0x6000\n"
        "1: pause\n"
        "   cmpb $2, 0x6000\n"
        "   jne 1b\n"
        "   hlt\n"
        "waiter_end:\n"
        ".popsection");

static void second_waits(void)
{
    must(!vmx_start_on(other_region), "VMX on the second processor");
    must(!vmptrld((uintptr_t)guest->vmcs), "VMPTRLD on the second processor");
    guest_enter(guest);
}

/* A processor is in a guest, and another one executes VMCLEAR, or VMPTRLD and VMCLEAR, of its VMCS. */
static void take_from_second(bool load)
{
    volatile uint8_t *word = &guest->memory[GUEST_DATA];

    start_guest(waiter, waiter_end);
    must(!vmclear((uintptr_t)guest->vmcs), "VMCLEAR");
    second_wake();
    second_does = second_waits;
    while (*word != 1)
        __asm__ volatile("pause");
    must(!load || !vmptrld((uintptr_t)guest->vmcs), "VMPTRLD");
    must(!vmclear((uintptr_t)guest->vmcs), "VMCLEAR");
    *word = 2;
    while (second_does)
        __asm__ volatile("pause");
}

static void cleared_in_guest(void) { take_from_second(false); }
static void loaded_in_guest(void) { take_from_second(true); }

/* ---- VMXON regions ---- */

static void vmxon_region_written(void)
{
    run_once();
    vmxon_region[100] = 1;
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

static void second_has_same_region(void)
{
    must(!vmx_start(), "VMX on the second processor");
    vmxoff();
}

static void vmxon_region_shared(void)
{
    run_once();
    let_second(second_has_same_region);
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

/* ---- shootdown: the guest of the second processor, an entry of whose EPT the first one changes ---- */

/* Counts its rounds; halts in each of them once it is told to. */
enum { ROUNDS = GUEST_DATA, HALTS = GUEST_DATA + 8, LONG_TIME = 1 << 21 };
extern const uint8_t worker[], worker_end[];
__asm__(".pushsection .rodata\n"
        "worker: movl $0xa000, %ebx\n"
        "1: incq 0x6000\n"
        "   movq (%rbx), %rax\n"
        "   cmpb $0, 0x6008\n"
        "   je 1b\n"
        "   hlt\n"
        "   jmp 1b\n"
        "worker_end:\n"
        ".popsection");

static volatile unsigned requests, answers;
static volatile bool over;

static volatile uint64_t *word_of_guest(unsigned address) { return (volatile uint64_t *)(guest->memory + address); }

/* Executes INVEPT when it is asked to: before the next VM entry. */
static void second_serves(void)
{
    must(!vmx_start_on(other_region), "VMX on the second processor");
    must(!vmptrld((uintptr_t)guest->vmcs), "VMPTRLD on the second processor");
    vmwrite(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | PIN_nmi_exiting);
    while (!over) {
        unsigned wanted = requests;

        if (answers != wanted) {
            must(!guest_invept(guest), "INVEPT");
            answers = wanted;
        }
        must(!guest_enter(guest), "VM entry of the second processor");
        if (vmread(VMCS_exit_reason) == EXIT_REASON_hlt)
            vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 1);
    }
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

/* A guest that does not exit by itself needs an NMI. */
static void kick(void)
{
    if (!*word_of_guest(HALTS))
        *(volatile uint32_t *)0xfee00300 = 0xc4400;     /* to all but oneself */
}

static void rounds_pass(void)
{
    for (uint64_t then = *word_of_guest(ROUNDS); *word_of_guest(ROUNDS) < then + 5;)
        __asm__ volatile("pause");
}

/* The entry is changed while the guest runs on; it goes on through a few exits, if it `halts`. */
static void shoot(bool halts)
{
    start_guest(worker, worker_end);
    must(!vmclear((uintptr_t)guest->vmcs), "VMCLEAR");
    second_wake();
    second_does = second_serves;
    rounds_pass();
    *(volatile uint64_t *)guest_ept_entry(guest, READS) = ept_entry(other_page, EPT_READ);
    rounds_pass();
    *word_of_guest(HALTS) = halts;
    rounds_pass();
}

static void stop_second(void)
{
    over = true;
    kick();
    while (second_does)
        __asm__ volatile("pause");
    vmxoff();
}

static void shoot_and_ask(bool halts)
{
    shoot(halts);
    requests++;
    kick();
    while (answers != requests)
        __asm__ volatile("pause");
    rounds_pass();
    stop_second();
}

static void shootdown(void) { shoot_and_ask(false); }
static void shootdown_with_exits(void) { shoot_and_ask(true); }

static void shootdown_forgotten(void)
{
    shoot(true);
    for (volatile unsigned i = 0; i < LONG_TIME; i++)
        ;
    rounds_pass();
    stop_second();
}

/* The second processor is in a guest of its own all the time: nobody but the first one can have changed the entry, and it is done. */
static struct guest guest_of_second;
static volatile uint64_t task_of_first;
static void second_stays_in_guest(void)
{
    static const struct controls controls = { .entry = ENTRY_ia32e_mode_guest };

    must(!vmx_start_on(other_region), "VMX on the second processor");
    must(!guest_create(&guest_of_second, 2, &controls, waiter, waiter_end), "the second guest");
    guest_long_mode(&guest_of_second);
    vmwrite(VMCS_host_tr_selector, task_of_first);
    guest_enter(&guest_of_second);
}

static void ept_with_second_in_guest(void)
{
    run_once();
    task_of_first = vmread(VMCS_host_tr_selector);
    second_wake();
    second_does = second_stays_in_guest;
    while (((volatile uint8_t *)guest_of_second.memory)[GUEST_DATA] != 1)
        __asm__ volatile("pause");
    *guest_ept_entry(guest, READS) = ept_entry(other_page, EPT_READ);
    run();
}

const struct mistake mistakes_of_memory[] = {
    { "vmxon-region-written", vmxon_region_written },
    { "vmxon-region-shared", vmxon_region_shared },
    { "ept-with-second-in-guest", ept_with_second_in_guest },
    { "ept-without-invept", ept_without_invept },
    { "ept-with-invept", ept_with_invept },
    { "ept-table-without-invept", ept_table_without_invept },
    { "ept-invvpid-instead", ept_invvpid_instead },
    { "region-written", region_written },
    { "region-zeroed", region_zeroed },
    { "region-read", region_read },
    { "region-never-cleared", region_never_cleared },
    { "vmxoff-with-active", vmxoff_with_active },
    { "left-active", left_active },
    { "vmresume-after-move", vmresume_after_move },
    { "active-on-two", active_on_two },
    { "cleared-in-guest", cleared_in_guest },
    { "loaded-in-guest", loaded_in_guest },
    { "shootdown", shootdown },
    { "shootdown-with-exits", shootdown_with_exits },
    { "shootdown-forgotten", shootdown_forgotten },
    { NULL, NULL },
};
