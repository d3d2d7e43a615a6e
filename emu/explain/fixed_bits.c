/* SPDX-License-Identifier: MIT */
/* The rows *.must_be_0 and *.must_be_1 of the VM-entry checks: SDM Vol. 3, 27.2.1, 27.2.2, 27.3.1.1; A.3 to A.5, A.7, A.8.
 */
#include "emu/explain/fixed_bits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arch/x86.h"
#include "emu/vmcs/snapshot.h"

/* Words whose bits have names: the control words of enum control_word_id, then the control registers. */
enum { NAMES_CR0 = WORD_COUNT, NAMES_CR4 };

static const struct { uint8_t word, bit; const char *name; } names[] = {
#define CONTROL(word, name, bit, text) { WORD_##word, bit, text },
#include "arch/vmx_controls.def"
    /* Controls that the SDM has, and that nothing here implements (25.6.2, 25.7.1, 25.8.1): hypervisors for newer processors set them. */
    { WORD_PROC2, 27, "Enable PCONFIG" }, { WORD_PROC2, 30, "VMM bus-lock detection" }, { WORD_PROC2, 31, "Instruction timeout" },
    { WORD_EXIT, 25, "Clear IA32_RTIT_CTL" }, { WORD_EXIT, 26, "Clear IA32_LBR_CTL" }, { WORD_EXIT, 27, "Clear UINV" },
    { WORD_EXIT, 30, "Save IA32_PERF_GLOBAL_CTRL" }, { WORD_EXIT, 31, "Activate secondary controls" },
    { WORD_ENTRY, 18, "Load IA32_RTIT_CTL" }, { WORD_ENTRY, 19, "Load UINV" }, { WORD_ENTRY, 21, "Load guest IA32_LBR_CTL" }, { WORD_ENTRY, 23, "Load FRED" },
#define CR_BIT(reg, name, bit) { NAMES_##reg, bit, #name },
#define CR_BIT_UNUSED(reg, name, bit) { NAMES_##reg, bit, #name },
#include "arch/cr_bits.def"
};
#define CR_BIT(reg, name, bit) _Static_assert(reg##_##name == 1ull << (bit), "arch/x86.h and arch/cr_bits.def agree");
#include "arch/cr_bits.def"

/* A row of checks.def: the field, its names, and the part of struct vmx_capability that it is compared with. */
static const struct fixed {
    const char *id;
    enum vmcs_field field;
    uint8_t names;
    bool must_be_1;
    const char *part;
} fixed[] = {
    { "control.pin.must_be_1", FIELD_pin_based_controls, WORD_PIN, true, "pin.required" },
    { "control.pin.must_be_0", FIELD_pin_based_controls, WORD_PIN, false, "pin.allowed" },
    { "control.proc.must_be_1", FIELD_processor_based_controls, WORD_PROC, true, "proc.required" },
    { "control.proc.must_be_0", FIELD_processor_based_controls, WORD_PROC, false, "proc.allowed" },
    { "control.proc2.must_be_1", FIELD_secondary_processor_based_controls, WORD_PROC2, true, "proc2.required" },
    { "control.proc2.must_be_0", FIELD_secondary_processor_based_controls, WORD_PROC2, false, "proc2.allowed" },
    { "control.exit.must_be_1", FIELD_exit_controls, WORD_EXIT, true, "exit.required" },
    { "control.exit.must_be_0", FIELD_exit_controls, WORD_EXIT, false, "exit.allowed" },
    { "control.entry.must_be_1", FIELD_entry_controls, WORD_ENTRY, true, "entry.required" },
    { "control.entry.must_be_0", FIELD_entry_controls, WORD_ENTRY, false, "entry.allowed" },
    { "host.cr0.must_be_1", FIELD_host_cr0, NAMES_CR0, true, "cr0_fixed0" },
    { "host.cr0.must_be_0", FIELD_host_cr0, NAMES_CR0, false, "cr0_fixed1" },
    { "host.cr4.must_be_1", FIELD_host_cr4, NAMES_CR4, true, "cr4_fixed0" },
    { "host.cr4.must_be_0", FIELD_host_cr4, NAMES_CR4, false, "cr4_fixed1" },
    { "guest.cr0.must_be_1", FIELD_guest_cr0, NAMES_CR0, true, "cr0_fixed0" },
    { "guest.cr0.must_be_0", FIELD_guest_cr0, NAMES_CR0, false, "cr0_fixed1" },
    { "guest.cr4.must_be_1", FIELD_guest_cr4, NAMES_CR4, true, "cr4_fixed0" },
    { "guest.cr4.must_be_0", FIELD_guest_cr4, NAMES_CR4, false, "cr4_fixed1" },
    { "control.vm_functions.reserved", FIELD_vm_function_controls, NAMES_CR4 + 1, false, "vmfunc" },
};

static const char *name_of(unsigned word, unsigned bit)
{
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].word == word && names[i].bit == bit)
            return names[i].name;
    return NULL;
}

static void bit_names(unsigned word, uint64_t bits, char *to, size_t size)
{
    size_t used = 0;

    to[0] = '\0';
    for (unsigned bit = 0; bit < 64 && used < size; bit++) {
        const char *name = name_of(word, bit);

        if (!(bits >> bit & 1))
            continue;
        enum { RANGE = 3 };                             /* so many reserved bits side by side are told as one range */
        unsigned first = bit, last = bit;

        while (!name && last + 1 < 64 && bits >> (last + 1) & 1 && !name_of(word, last + 1))
            last++;
        bit = last - first + 1 >= RANGE ? last : first;
        int more = name          ? snprintf(to + used, size - used, "%s%s (bit %u)", used ? ", " : "", name, bit)
                   : first < bit ? snprintf(to + used, size - used, "%sbits %u:%u (reserved)", used ? ", " : "", bit, first)
                                 : snprintf(to + used, size - used, "%sbit %u (reserved)", used ? ", " : "", bit);
        if (more < 0 || used + (size_t)more + 4 >= size) {
            snprintf(to + used, size - used, "...");
            return;
        }
        used += (size_t)more;
    }
}

void fixed_bits_cr4(uint64_t bits, char *to, size_t size)
{
    bit_names(NAMES_CR4, bits, to, size);
}

void fixed_bits_secondary(uint64_t bits, char *to, size_t size)
{
    bit_names(WORD_PROC2, bits, to, size);
}

bool fixed_bits_text(const struct check *row, const struct vmx_capability *capability, const bool part_given[],
                     const struct vmcs *vmcs, char to[FIXED_BITS_TEXT_MAX])
{
    const struct fixed *f = NULL;
    unsigned part = 0;
    uint64_t value = 0, wrong;
    char bits[FIXED_BITS_TEXT_MAX - 160];

    for (unsigned i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (strcmp(fixed[i].id, row->id) == 0)
            f = &fixed[i];
    if (!f)
        return false;
    while (strcmp(capability_parts[part].name, f->part) != 0)
        part++;
    memcpy(&value, (const char *)capability + capability_parts[part].offset, capability_parts[part].wide ? 8 : 4);
    const bool guest_cr0 = strcmp(row->id, "guest.cr0.must_be_1") == 0;
    wrong = f->must_be_1 ? value & ~vmcs->field[f->field] : vmcs->field[f->field] & ~value;
    if (guest_cr0 &&
        VMCS(vmcs, processor_based_controls) & PROC_activate_secondary_controls &&
        VMCS(vmcs, secondary_processor_based_controls) & PROC2_unrestricted_guest)
        wrong &= ~(CR0_PE | CR0_PG);                    /* 27.3.1.1 */
    if (!wrong)
        return false;
    bit_names(f->names, wrong, bits, sizeof bits);
    int used = snprintf(to, FIXED_BITS_TEXT_MAX, "%s: %s", f->must_be_1 ? "0, but must be 1" : "1, but must be 0", bits);

    if (part_given && !part_given[part])
        snprintf(to + used, FIXED_BITS_TEXT_MAX - (size_t)used, " (on every processor%s)",
                 guest_cr0 && wrong & (CR0_PE | CR0_PG) ? ", where \"unrestricted guest\" is 0" : "");
    else if (capability_parts[part].wide)
        snprintf(to + used, FIXED_BITS_TEXT_MAX - (size_t)used, "; %s = 0x%" PRIx64, capability_parts[part].msr, value);
    else
        snprintf(to + used, FIXED_BITS_TEXT_MAX - (size_t)used, "; %s: 0x%" PRIx64 " %s be 1", capability_parts[part].msr,
                 value, f->must_be_1 ? "must" : "may");
    return true;
}
