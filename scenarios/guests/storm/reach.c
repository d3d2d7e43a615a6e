/* SPDX-License-Identifier: MIT */
/* Processors and local APICs that L0 does not reach: one that waits for a SIPI, one that is halted, one whose APIC is elsewhere. */
#include "scenarios/guests/storm/storm.h"

enum { ROUNDS = 50, ENTRIES = 600, ICR_INIT_OTHERS = 0xc4500, ICR_NMI_OTHERS = 0xc4400, ICR_NMI = 0x4400, GIVEN = 0, NMI_INJECTED = 0x80000202,
       BLOCKING_BY_NMI_BIT = 1 << 3, PATIENCE = 20000, ICR_SIPI_OTHERS = 0xc4600, SIPI_VECTOR = 8, SELECTOR_TASK = 5 << 3 };
#define ICR_HIGH (*(volatile uint32_t *)0xfee00310ull)
#define ICR_LOW (*(volatile uint32_t *)0xfee00300ull)

static volatile bool arrived, over, woken;
static volatile uint64_t answer;

static void wait_a_little(unsigned turns)
{
    for (volatile unsigned i = 0; i < turns; i++)
        ;
}

/* ---- wait-for-SIPI ---- */

static void stand_by(unsigned number)
{
    (void)number;
    arrived = true;
    WAIT_UNTIL(over);
}

/* An NMI that meets L0 as it puts the other processor into that state: it stays out of reach, and nobody waits for it. */
void case_unstarted(void)
{
    static volatile _Alignas(PAGE) uint8_t page[ROUNDS][PAGE];

    for (unsigned i = 0; i < ROUNDS; i++) {
        arrived = false;
        others_start(stand_by);
        WAIT_UNTIL(arrived);
        wait_a_little(i);
        ICR_LOW = ICR_INIT_OTHERS;
        wait_a_little(i % 7);
        ICR_LOW = ICR_NMI_OTHERS;
        wait_a_little(2000);
        expect("give a page", give(page[i]), GIVEN);
    }
}

static volatile unsigned launched;
static struct descriptor_table first_idt;       /* every processor begins without one */
extern uint8_t waiting_guest[], waiting_guest_end[];
__asm__("waiting_guest: hlt\n waiting_guest_end:\n");

/* VM entry wants a TSS for the host. */
static void load_task(void)
{
    static uint64_t gdt[7], task[16];
    const struct descriptor_table old = store_gdtr(), new = { sizeof gdt - 1, (uintptr_t)gdt };
    const uint64_t base = (uintptr_t)task;

    memcpy(gdt, (const void *)old.base, SELECTOR_TASK);
    gdt[SELECTOR_TASK / 8] = (sizeof task - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    __asm__ volatile("lgdt %0; ltr %w1" : : "m"(new), "r"(SELECTOR_TASK));
}

static void wait_in_l2(unsigned number)
{
    static struct guest guest;
    const struct controls controls = { .pin = 0, .proc = PROC_hlt_exiting, .entry = ENTRY_ia32e_mode_guest };
    static _Alignas(PAGE) uint8_t region[PAGE];
    const char *missing;

    (void)number;
    __asm__ volatile("lidt %0" : : "m"(first_idt));
    load_task();
    missing = vmx_start_on(region);
    if (!missing)
        missing = guest_create(&guest, 1, &controls, waiting_guest, waiting_guest_end);
    expect("what is needed", missing == NULL, true);
    guest_long_mode(&guest);
    for (;;) {
        vmwrite(VMCS_guest_activity_state, ACTIVITY_WAIT_FOR_SIPI);
        launched++;
        expect("entry", (uint64_t)guest_enter(&guest), 0);
        expect("exit reason", vmread(VMCS_exit_reason), EXIT_REASON_startup_ipi);
        expect("vector", vmread(VMCS_exit_qualification), SIPI_VECTOR);
    }
}

/* L1 cannot know when its VMLAUNCH has been executed: a SIPI that comes before is lost (SDM Vol. 3, 26.2), and is sent again. */
void case_standing_by(void)
{
    static volatile _Alignas(PAGE) uint8_t page[ROUNDS][PAGE];

    nmis_count();
    first_idt = store_idtr();
    others_start(wait_in_l2);
    for (unsigned i = 0; i < ROUNDS; i++) {
        WAIT_UNTIL(launched > i);
        wait_a_little(i % 9);
        ICR_LOW = ICR_NMI_OTHERS;
        wait_a_little(i * 64);
        expect("give a page", give(page[i]), GIVEN);
        while (launched == i + 1) {
            ICR_LOW = ICR_SIPI_OTHERS | SIPI_VECTOR;
            wait_a_little(PATIENCE);
        }
    }
    expect("NMIs taken", nmis_taken, ROUNDS);
}

/* ---- HLT, shutdown ---- */

/* The other one loads L0 and does what it does; then the load of this one fails. */
static void fail_behind(void (*load)(unsigned number))
{
    others_start(load);
    WAIT_UNTIL(arrived);
    expect("load of the other one", answer, LATE_DONE);
    wait_a_little(PATIENCE);
    write_cr4(read_cr4() | CR4_VMXE);
    expect("load with CR4.VMXE", storm_load(), LATE_REFUSED);
    wait_a_little(10 * PATIENCE);
}

static void load_and_halt(unsigned number)
{
    (void)number;
    answer = storm_load();
    arrived = true;
    __asm__ volatile("cli; hlt");
    woken = true;
}

/* It goes back because another one's load fails, and is halted still. */
void case_halted(void)
{
    answer = LATE_UNKNOWN;
    fail_behind(load_and_halt);
    expect("HLT has ended", woken, false);
    write_cr4(read_cr4() & ~(uint64_t)CR4_VMXE);
    expect("load", storm_load(), LATE_DONE);
}

static void load_and_shut_down(unsigned number)
{
    static const struct descriptor_table none;

    (void)number;
    answer = storm_load();
    arrived = true;
    __asm__ volatile("lidt %0; ud2" : : "m"(none));
}

static void call_l0(unsigned number)
{
    (void)number;
    __asm__ volatile("lidt %0" : : "m"(first_idt));
    answer = call(LATE_FINALISE);
}

/* There is nothing that could go on: it stays over L0 until it is started again, and goes back at its first exit then, which is no VMCALL to L0 any more. */
void case_shut(void)
{
    first_idt = store_idtr();
    answer = LATE_UNKNOWN;
    fail_behind(load_and_shut_down);
    write_cr4(read_cr4() & ~(uint64_t)CR4_VMXE);
    others_start(call_l0);
    others_await(1);
    expect("the other one without L0", answer, UNDEFINED);
}

/* ---- the local APIC's page ---- */

static void load_and_stand_by(unsigned number)
{
    answer = storm_load();
    stand_by(number);
}

/* Beyond 4 GB, over RAM and over L0 itself it is refused by name; where it was, and on another page of devices, L0 loads. */
void case_moved(void)
{
    static _Alignas(PAGE) uint8_t page[PAGE];
    const uint64_t base = rdmsr(MSR_ia32_apic_base), places[] = { 0x800000000ull, (uintptr_t)page, (uintptr_t)storm_load & ~0xfffull };

    answer = LATE_UNKNOWN;
    others_start(load_and_stand_by);
    WAIT_UNTIL(arrived);
    expect("load of the other one", answer, LATE_DONE);
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        wrmsr(MSR_ia32_apic_base, (base & 0xfff) | places[i]);
        expect("load with the local APIC elsewhere", storm_load(), LATE_REFUSED);
    }
    wrmsr(MSR_ia32_apic_base, (base & 0xfff) | 0xfd000000);
    expect("load with it on another page", storm_load(), LATE_DONE);
    over = true;
    others_await(1);
}

/* ---- an NMI injected where NMIs are blocked ---- */

extern uint8_t blocked_guest[], blocked_guest_end[];
__asm__("blocked_guest: vmcall\n jmp blocked_guest\n blocked_guest_end:\n");

static void send_nmis(unsigned number)
{
    (void)number;
    ICR_HIGH = 0;                               /* to the first */
    for (unsigned i = 0; !over; i++) {
        ICR_LOW = ICR_NMI;
        arrived = true;
        wait_a_little(i % 61);
    }
}

static void unblock_nmis(void)
{
    __asm__ volatile("movq %%rsp, %%rax\n pushq $0\n movw %%ss, (%%rsp)\n pushq %%rax\n pushfq\n pushq $0\n movw %%cs, (%%rsp)\n leaq 1f(%%rip), %%rax\n"
                     " pushq %%rax\n iretq\n1:" : : : "rax", "memory", "cc");
}

/* Without "virtual NMIs" VM entry allows it (SDM Vol. 3, 27.3.1.5), also while L0 has an NMI for this guest. */
void case_blocked(void)
{
    static struct guest guest;
    const struct controls controls = { .pin = 0, .proc = PROC_hlt_exiting, .entry = ENTRY_ia32e_mode_guest };
    const char *missing = vmx_start();

    nmis_count();
    if (!missing)
        missing = guest_create(&guest, 1, &controls, blocked_guest, blocked_guest_end);
    if (missing) {
        print("MISMATCH: no %s\n", missing);
        return;
    }
    guest_long_mode(&guest);
    guest_gate(&guest, VECTOR_NMI, GUEST_CODE);
    others_start(send_nmis);
    WAIT_UNTIL(arrived);
    for (unsigned i = 0; i < ENTRIES; i++) {
        vmwrite(VMCS_guest_rip, GUEST_CODE);
        vmwrite(VMCS_guest_rsp, GUEST_STACK);
        vmwrite(VMCS_guest_interruptibility_state, BLOCKING_BY_NMI_BIT);
        vmwrite(VMCS_entry_interruption_information, NMI_INJECTED);
        expect("entry", (uint64_t)guest_enter(&guest), 0);
        expect("exit reason", vmread(VMCS_exit_reason), EXIT_REASON_vmcall);
        unblock_nmis();
    }
    over = true;
    others_await(1);
}
