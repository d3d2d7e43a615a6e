/* SPDX-License-Identifier: MIT */
/* A storm of NMIs: the second processor sends the first one an NMI when the one before has been taken. None is lost, none comes twice. */
#include "scenarios/guests/storm/storm.h"

enum { ENOUGH = 10, QUIET_ROUNDS = 2500, PATIENCE = 200000, GATE_SIZE = 16, ICR_NMI = 0x4400, ROUNDS = 300, COMMANDS = 5000 };
#define ICR_HIGH (*(volatile uint32_t *)0xfee00310ull)
#define ICR_LOW (*(volatile uint32_t *)0xfee00300ull)

volatile uint64_t nmis_taken, nmis_sent;
void (*volatile nmi_action)(void);
volatile bool storm_over;
static volatile uint64_t nothing, *volatile elsewhere = &nothing;       /* where others than nmi_entry count */
extern uint8_t nmi_entry[];                     /* storm_cpu.S */

void nmis_count(void)
{
    const uint64_t handler = (uint64_t)nmi_entry;
    uint16_t *const gate = (uint16_t *)(store_idtr().base + GATE_SIZE * VECTOR_NMI);

    gate[0] = (uint16_t)handler;
    gate[3] = (uint16_t)(handler >> 16);
    gate[4] = gate[5] = 0;
}

static uint64_t taken(void) { return nmis_taken + *elsewhere; }

void nmis_send(unsigned number)
{
    (void)number;
    ICR_HIGH = 0;                               /* to the first */
    for (unsigned i = 0; !storm_over; i++) {
        const uint64_t before = taken();
        ICR_LOW = ICR_NMI;
        nmis_sent++;
        for (volatile unsigned j = 0; j < PATIENCE && taken() == before; j++)
            ;
        if (taken() == before)
            break;                              /* lost: storm_end() tells */
        for (volatile unsigned j = 0; j < i % 97; j++)
            ;
    }
}

void storm_end(void)
{
    storm_over = true;
    others_await(1);
    expect("NMIs taken", taken(), nmis_sent);
}

void case_watchdog(void)
{
    uint64_t answer = LATE_DONE;

    nmis_count();
    others_start(nmis_send);
    for (unsigned i = 0; (i < ROUNDS || nmis_sent < ENOUGH) && answer == LATE_DONE; i++) {
        answer = storm_load();
        if (answer == LATE_DONE)
            answer = call(LATE_UNLOAD);
    }
    expect("load and unload", answer, LATE_DONE);
    storm_end();
}

static volatile uint64_t in_handler;
static void unload_here(void) { in_handler = call(LATE_UNLOAD); }

void case_handler(void)
{
    nmis_count();
    nmi_action = unload_here;
    in_handler = LATE_UNKNOWN;
    expect("load", storm_load(), LATE_DONE);
    ICR_HIGH = 0;
    ICR_LOW = ICR_NMI;
    WAIT_UNTIL(in_handler != LATE_UNKNOWN);
    expect("unload in the handler", in_handler, LATE_REFUSED);
    expect("unload behind it", call(LATE_UNLOAD), LATE_DONE);
    expect("NMIs taken", nmis_taken, 1);
}

/* What this processor writes there it reads there, whatever L0 did meanwhile. */
void case_command(void)
{
    enum { WRITTEN = 5u << 24 };
    uint64_t wrong = 0;

    nmis_count();
    others_start(nmis_send);
    const uint32_t low = ICR_LOW;
    for (unsigned i = 0; i < COMMANDS || nmis_sent < ENOUGH; i++) {
        ICR_HIGH = WRITTEN;
        cpuid(0, 0);
        wrong += ICR_HIGH != WRITTEN || ICR_LOW != low;
    }
    expect("command register changed", wrong, 0);
    storm_end();
}

/* One exit at a time, at any place of the scheduler's turn; behind it nothing exits until the NMI has come. */
void case_quiet(void)
{
    uint64_t random = 1;

    nmis_count();
    others_start(nmis_send);
    WAIT_UNTIL(nmis_taken);
    for (unsigned i = 0; i < QUIET_ROUNDS && !storm_over; i++) {
        const uint64_t before = nmis_taken;
        random = random * 6364136223846793005 + 1442695040888963407;
        for (volatile unsigned j = 0; j < random >> 52; j++)
            ;
        cpuid(0, 0);
        for (volatile unsigned j = 0; nmis_taken == before && j < PATIENCE; j++)
            ;
        storm_over = nmis_taken == before;
    }
    expect("an NMI waited", storm_over, false);
    storm_end();
}

/* L0 maps what is no RAM when it is first touched: the instruction behind STI is executed twice, and an NMI meets L0 in between. */
void case_after_sti(void)
{
    enum { LARGE_PAGE = 2 << 20 };
    const uint64_t devices = 0xc0000000, end = 0xfec00000;

    nmis_count();
    others_start(nmis_send);
    for (uint64_t at = devices; at < end; at += LARGE_PAGE)
        __asm__ volatile("sti; movl (%0), %%eax; cli" : : "r"(at) : "eax", "memory");
    storm_end();
}

/* ---- L2 ---- */

extern const uint8_t l2_storm_start[], l2_storm_end[], l2_storm_nmi[];
static struct guest l2;
static _Alignas(PAGE) uint8_t msr_bitmap[PAGE];

/* L2 executes RDMSRs that L1 lets pass and L0 handles. Its exits by NMIs count as taken. */
static void run_l2(uint32_t pin)
{
    const struct controls controls = { .pin = pin, .proc = PROC_hlt_exiting | PROC_use_msr_bitmaps, .entry = ENTRY_ia32e_mode_guest };
    static volatile uint64_t exits;
    uint64_t done = 0;
    const char *missing = vmx_start();

    if (!missing)
        missing = guest_create(&l2, 1, &controls, l2_storm_start, l2_storm_end);
    if (missing) {
        print("MISMATCH: no %s\n", missing);
        expect("what is needed", false, true);
        return;
    }
    vmwrite(VMCS_msr_bitmap_address, (uintptr_t)msr_bitmap);
    guest_long_mode(&l2);
    guest_gate(&l2, VECTOR_NMI, (uint64_t)(l2_storm_nmi - l2_storm_start) + GUEST_CODE);
    elsewhere = pin ? &exits : (volatile uint64_t *)(l2.memory + GUEST_DATA);
    nmis_count();
    others_start(nmis_send);
    while (done < ROUNDS || nmis_sent < ENOUGH) {
        expect("entry", (uint64_t)guest_enter(&l2), 0);
        const uint64_t reason = vmread(VMCS_exit_reason);
        if (reason == EXIT_REASON_exception_or_nmi) {
            expect("interruption information", vmread(VMCS_exit_interruption_information),
                   INTERRUPTION_VALID | EVENT_NMI << 8 | VECTOR_NMI);
            exits++;
            continue;
        }
        if (reason != EXIT_REASON_vmcall) {
            expect("exit reason", reason, EXIT_REASON_vmcall);
            break;
        }
        done++;
        vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 3);
    }
    storm_end();
}

void case_nested_none(void) { run_l2(0); }
void case_nested_exits(void) { run_l2(PIN_nmi_exiting); }
void case_nested_virtual(void) { run_l2(PIN_nmi_exiting | PIN_virtual_nmis); }
