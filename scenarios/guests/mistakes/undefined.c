/* SPDX-License-Identifier: MIT */
/* Guests whose instruction the processor does not have, or has not been told to allow: as bytes, for assemblers are older than some. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

#define INSTRUCTIONS(of)                                                            \
    of(rdpid,     "0xf3, 0x0f, 0xc7, 0xf8")                                         \
    of(tpause,    "0x66, 0x0f, 0xae, 0xf1")                                         \
    of(umonitor,  "0xf3, 0x0f, 0xae, 0xf1")                                         \
    of(umwait,    "0xf2, 0x0f, 0xae, 0xf1")                                         \
    of(monitorx,  "0x0f, 0x01, 0xfa")                                               \
    of(clzero,    "0x0f, 0x01, 0xfc")                                               \
    of(vmmcall,   "0x0f, 0x01, 0xd9")                                               \
    of(enqcmd,    "0xf2, 0x0f, 0x38, 0xf8, 0x00")                                   \
    of(encls,     "0x0f, 0x01, 0xcf")                                               \
    of(serialize, "0x0f, 0x01, 0xe8")                                               \
    of(xgetbv,    "0x0f, 0x01, 0xd0")                                               \
    of(xsave,     "0x48, 0x0f, 0xae, 0x20")                                         \
    of(xsaves,    "0x48, 0x0f, 0xc7, 0x28")                                         \
    of(vzeroupper, "0xc5, 0xf8, 0x77")                                              \
    of(zmm,       "0x62, 0xf1, 0x7c, 0x48, 0x28, 0xc0")                             \
    of(mulx,      "0xc4, 0xe2, 0xfb, 0xf6, 0xc0")                                   \
    of(rdpkru,    "0x0f, 0x01, 0xee")                                               \
    of(wrgsbase,  "0xf3, 0x48, 0x0f, 0xae, 0xd8")                                   \
    of(rdtscp,    "0x0f, 0x01, 0xf9")                                               \
    of(invpcid,   "0x66, 0x0f, 0x38, 0x82, 0x00")                                   \
    of(getsec,    "0x0f, 0x37")                                                     \
    of(syscall,   "0x0f, 0x05")                                                     \
    of(pusha,     "0x60")                                                           \
    of(ud2,       "0x0f, 0x0b")                                                     \
    of(lock,      "0xf0, 0x90")                                                     \
    of(nothing,   "0x0f, 0x04, 0x12, 0x34")

#define CODE(name, bytes) "guest_" #name ": .byte " bytes "\n hlt\nguest_" #name "_end:\n"
__asm__(".pushsection .rodata\n" INSTRUCTIONS(CODE) ".popsection");

static void meets(const uint8_t *start, const uint8_t *end)
{
    start_guest(start, end);
    vmwrite(VMCS_guest_cr4, vmread(VMCS_guest_cr4) & ~(uint64_t)(CR4_OSXSAVE | CR4_FSGSBASE));
    guest_enter(&guest_of_mistakes);
}

#define MAKE(name, bytes)                                                           \
    extern const uint8_t guest_##name[], guest_##name##_end[];                      \
    static void make_##name(void) { meets(guest_##name, guest_##name##_end); }
INSTRUCTIONS(MAKE)

#define ROW(name, bytes) { "undefined-" #name, make_##name },
const struct mistake mistakes_of_undefined_instructions[] = { INSTRUCTIONS(ROW) { NULL, NULL } };
