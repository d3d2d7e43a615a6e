/* SPDX-License-Identifier: MIT */
/* L1's half of the real-mode guest's conversation. The other half: l2_real.S. */
#include "scenarios/guests/turnstile/guests.h"

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/turnstile/transcript.h"

enum { OUTPUT_PORT = 0xe9, TEXT_LENGTH = 6, GREETING_AX = 0x600d, PROTECTED_EBX = 0x5e591 };

extern const uint8_t l2_real_start[], l2_real_end[];
extern const uint8_t l2_real_out[], l2_real_cpuid[], l2_real_counted[], l2_real_outs[], l2_real_protected[],
    l2_real_halt[];

static _Alignas(PAGE) uint8_t io_bitmap[2 * PAGE];
static char text[2 * TEXT_LENGTH + 1];
static unsigned length;

static const struct controls controls = {
    .proc = PROC_hlt_exiting | PROC_use_io_bitmaps,
    .proc2 = PROC2_unrestricted_guest,
};

static void take_byte(struct guest *guest)
{
    text[length++] = (char)guest->gpr[RAX];
    skip_instruction();
}

static void answer_cpuid(struct guest *guest)
{
    guest->gpr[RBX] = GREETING_AX;
    skip_instruction();
}

static void check_count(struct guest *guest)
{
    check("INTs counted", guest->gpr[RBX] & 0xffff, 2);
    check("answer of CPUID", guest->gpr[RBP] & 0xffff, GREETING_AX);
    skip_instruction();
}

/* The string lies where the exit says: linear = physical in this guest. */
static void take_string(struct guest *guest)
{
    uint64_t address = vmread(VMCS_guest_linear_address), count = guest->gpr[RCX] & 0xffff;

    check("REP OUTS count", count, TEXT_LENGTH);
    check("string's place", address < sizeof(guest->memory) - TEXT_LENGTH, 1);
    if (count != TEXT_LENGTH || address >= sizeof(guest->memory) - TEXT_LENGTH)
        return;
    memcpy(text + length, guest->memory + address, count);
    length += (unsigned)count;
    guest->gpr[RCX] -= count;
    guest->gpr[RSI] += count;
    skip_instruction();
}

static void check_protected(struct guest *guest)
{
    check("value from protected mode", guest->gpr[RBX], PROTECTED_EBX);
    check("CR0.PE", vmread(VMCS_guest_cr0) & CR0_PE, CR0_PE);
    check("CS base", vmread(VMCS_guest_cs_base), 0);
    skip_instruction();
}

#define OUT_IMMEDIATE (OUTPUT_PORT << 16 | 1 << 6)      /* one byte; port in the instruction: SDM Vol. 3, Table 28-5 */
#define REP_OUTS (OUTPUT_PORT << 16 | 1 << 5 | 1 << 4)
#define ONE_BYTE { EXIT_REASON_io_instruction, OUT_IMMEDIATE, l2_real_out, NULL, take_byte }

static const struct step steps[] = {
    ONE_BYTE, ONE_BYTE, ONE_BYTE, ONE_BYTE, ONE_BYTE, ONE_BYTE,
    { EXIT_REASON_cpuid, 0, l2_real_cpuid, NULL, answer_cpuid },
    { EXIT_REASON_vmcall, 0, l2_real_counted, NULL, check_count },
    { EXIT_REASON_io_instruction, REP_OUTS, l2_real_outs, NULL, take_string },
    { EXIT_REASON_vmcall, 0, l2_real_protected, NULL, check_protected },
    { EXIT_REASON_hlt, 0, l2_real_halt, NULL, NULL },
};

const char *real_guest_create(struct guest *guest)
{
    const char *missing = guest_create(guest, 2, &controls, l2_real_start, l2_real_end);

    if (missing)
        return missing;
    guest_real_mode();
    io_bitmap[OUTPUT_PORT / 8] = 1 << OUTPUT_PORT % 8;      /* this port, no other */
    vmwrite(VMCS_io_bitmap_a_address, (uintptr_t)io_bitmap);
    vmwrite(VMCS_io_bitmap_b_address, (uintptr_t)io_bitmap + PAGE);
    return NULL;
}

void real_guest_run(struct guest *guest)
{
    print("-- real-mode guest\n");
    follow(guest, l2_real_start, steps, sizeof(steps) / sizeof(*steps));
    print("it said: %s\n", text);
}
