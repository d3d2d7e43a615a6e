/* SPDX-License-Identifier: MIT */
/*
 * Relay: a guest hypervisor on two processors with two guests, which change places after each round: VMCLEAR here, VMPTRLD
 * there. What each guest has counted and seen must not depend on how the processors' turns fall, nor on what runs beneath.
 */
#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/lib/second.h"

enum { ROUNDS = 16, EXITS = 5, LEAVES_EVERY = 4, CPUID_LENGTH = 2, EXIT_NOT_OFFERED = 2 };
enum { GDT_ENTRIES = 5, GDT_TSS = 3, WINDOW = 0x9000, NOBODY = -1 };

extern const uint8_t l2_count_start[], l2_count_end[];

unsigned main(void);

static struct guest guest[2];
/* What L1 puts behind a guest's window, in turn; and what the guest told. */
static _Alignas(PAGE) uint64_t page[2][2][PAGE / 8];
static struct { uint64_t counted, wrong, hash; unsigned shown; } seen[2];
/* Which guest a processor finds in its box; and how far the second one is. */
static volatile int box[2] = { NOBODY, NOBODY };
static volatile bool second_done;
static const char *volatile missing;
static uint8_t second_vmxon_region[PAGE] __attribute__((aligned(PAGE)));

static void post(unsigned to, int who)
{
    while (box[to] != NOBODY)
        __asm__ volatile("pause");
    box[to] = who;
}

static int collect(unsigned self)
{
    int who;

    while (box[self] == NOBODY)
        __asm__ volatile("pause");
    who = box[self];
    box[self] = NOBODY;
    return who;
}

/* Another page behind the window; this processor forgets what it may remember from an earlier visit. */
static void show(int who)
{
    seen[who].shown ^= 1;
    *guest_ept_entry(&guest[who], WINDOW) = ept_entry(page[who][seen[who].shown], EPT_RIGHTS);
    guest_invept(&guest[who]);
}

static void expect(int who, bool good)
{
    seen[who].wrong += !good;
}

static void run(int who)
{
    struct guest *g = &guest[who];

    expect(who, !vmptrld((uintptr_t)g->vmcs));
    guest_host_state();                         /* GDT and TR are this processor's own */
    g->launched = false;
    show(who);
    for (unsigned i = 0; i < EXITS; i++) {
        expect(who, !guest_enter(g) && vmread(VMCS_exit_reason) == EXIT_REASON_cpuid);
        expect(who, g->gpr[RBX] == ++seen[who].counted && g->gpr[RSI] == page[who][seen[who].shown][0]);
        seen[who].hash = seen[who].hash * 31 + g->gpr[RBX] + g->gpr[RSI] + vmread(VMCS_guest_rip);
        vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + CPUID_LENGTH);
    }
    expect(who, !vmclear((uintptr_t)g->vmcs));
}

static void take_part(unsigned self, uint8_t *region)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        int who = collect(self);
        run(who);
        if (round % LEAVES_EVERY == self) {     /* the other one goes on meanwhile */
            expect(who, !vmxoff());
            expect(who, !vmxon((uintptr_t)region));
        }
        post(1 - self, who);
    }
}

/* A task register of its own: LTR of the first one's busy TSS would fault. */
static void load_own_gdt(void)
{
    static uint64_t gdt[GDT_ENTRIES];
    struct descriptor_table table = { sizeof gdt - 1, (uintptr_t)gdt };

    memcpy(gdt, (const void *)store_gdtr().base, sizeof gdt);
    gdt[GDT_TSS] &= ~(2ull << 40);              /* available */
    __asm__ volatile("lgdt %0\n\tltr %w1" : : "m"(table), "r"(8 * GDT_TSS));
}

void second_main(void)
{
    load_own_gdt();
    missing = vmx_start_on(second_vmxon_region);
    if (!missing) {
        take_part(1, second_vmxon_region);
        vmxoff();
    }
    second_done = true;
}

static const char *create(int who)
{
    const struct controls controls = { .entry = ENTRY_ia32e_mode_guest };
    const char *lacks = guest_create(&guest[who], (uint16_t)(1 + who), &controls, l2_count_start, l2_count_end);

    if (lacks)
        return lacks;
    guest_long_mode(&guest[who]);
    for (unsigned i = 0; i < 2; i++)
        page[who][i][0] = 0x1000u * (unsigned)(who + 1) + i;
    return vmclear((uintptr_t)guest[who].vmcs) ? "VMCLEAR" : NULL;
}

unsigned main(void)
{
    uint64_t wrong;

    console_open();
    idt_load();
    missing = vmx_start();
    for (int who = 0; who < 2 && !missing; who++)
        missing = create(who);
    if (!missing) {
        second_wake();
        post(0, 0);
        post(1, 1);
        take_part(0, vmxon_region);
        while (!second_done)
            __asm__ volatile("pause");
        vmxoff();
    }
    if (missing) {
        print("relay: this processor does not offer what it needs: %s\n", missing);
        return EXIT_NOT_OFFERED;
    }
    for (unsigned who = 0; who < 2; who++)
        print("guest %u: %u exits, count in memory %u, hash %lx\n", who, (unsigned)seen[who].counted,
              *(uint32_t *)(guest[who].memory + GUEST_DATA), (unsigned long)seen[who].hash);
    wrong = seen[0].wrong + seen[1].wrong;
    print(wrong ? "relay: NOT as expected\n" : "relay: all as expected\n");
    return wrong != 0;
}
