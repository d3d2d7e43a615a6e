/* SPDX-License-Identifier: MIT */
/* Profiles and switches: model/vmx/profiles.def, arch/vmx_controls.def, arch/ept_vpid.def, arch/vmx_bits.def, and VMX itself. */
#include "model/vmx/profile.h"

#include <string.h>

/* Rows that are no controls. */
enum { EPT_VPID_WORD = WORD_COUNT, BASIC_WORD, MISC_WORD, VMFUNC_WORD, VMX_WORD };

static const struct switchable {
    const char *name, *text;
    uint8_t word, bit;
} table[] = {
#define CONTROL(word, name, bit, text) { #name, text, WORD_##word, bit },
#include "arch/vmx_controls.def"
#define EPT_VPID(name, bit, needs, text) { #name, text, EPT_VPID_WORD, bit },
#include "arch/ept_vpid.def"
#define VMX_BIT(msr, name, bit, text) { #name, text, msr##_WORD, bit },
#include "arch/vmx_bits.def"
    { "vmx", "VMX itself", VMX_WORD, 0 },
};
enum { ROWS = sizeof(table) / sizeof(table[0]) };

static const struct {
    const char *name, *text;
} profiles[] = {
    { "max", "everything that is implemented" },
#define PROFILE(name, text) { #name, text },
#include "model/vmx/profiles.def"
};
enum { PROFILES = sizeof(profiles) / sizeof(profiles[0]) };

static const struct {
    const char *name;
    uint8_t lacks[PROFILES - 1];
} lacking[] = {
#define LACKING(name, ...) { #name, { __VA_ARGS__ } },
#include "model/vmx/profiles.def"
};

static bool implemented(const struct switchable *row)
{
    struct vmx_capability all;

    capability_init(&all, NULL);
    switch (row->word) {
    case EPT_VPID_WORD:
        return all.ept_vpid >> row->bit & 1;
    case BASIC_WORD:
        return all.basic >> row->bit & 1;
    case MISC_WORD:
        return all.misc >> row->bit & 1;
    case VMFUNC_WORD:
        return all.vmfunc >> row->bit & 1;
    case VMX_WORD:
        return true;
    default:
        return (all.word[row->word].allowed & ~all.word[row->word].required) >> row->bit & 1;
    }
}

static void set(struct vmx_lacks *lacks, const struct switchable *row, bool present)
{
    uint64_t *const wide[] = { &lacks->ept_vpid, &lacks->basic, &lacks->misc, &lacks->vmfunc };
    uint64_t mask = 1ull << row->bit;

    if (row->word == VMX_WORD) {
        lacks->vmx = !present;
    } else if (row->word >= WORD_COUNT) {
        uint64_t *bits = wide[row->word - WORD_COUNT];

        *bits = present ? *bits & ~mask : *bits | mask;
    } else {
        lacks->word[row->word] = (uint32_t)(present ? lacks->word[row->word] & ~mask : lacks->word[row->word] | mask);
    }
}

/* Does `name`, with "-" for "_", spell the row's name from its character `from` on? */
static bool spells(const char *row, const char *name, unsigned length)
{
    unsigned i = 0;

    while (i < length && row[i] && (name[i] == row[i] || (name[i] == '-' && row[i] == '_')))
        i++;
    return i == length && !row[i];
}

static bool names(const char *row, const char *name, unsigned length)
{
    static const char *const verbs[] = { "", "enable_", "use_", "activate_", "process_" };

    for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        size_t verb = strlen(verbs[i]);

        if (!strncmp(row, verbs[i], verb) && spells(row + verb, name, length))
            return true;
    }
    return false;
}

enum profile_switch profile_switch(struct vmx_lacks *lacks, const char *name, unsigned length, bool present)
{
    enum profile_switch result = SWITCH_UNKNOWN;

    for (unsigned i = 0; i < ROWS; i++) {
        if (!names(table[i].name, name, length))
            continue;
        if (implemented(&table[i])) {
            set(lacks, &table[i], present);
            result = SWITCH_DONE;
        } else if (result == SWITCH_UNKNOWN) {
            result = SWITCH_NOT_IMPLEMENTED;
        }
    }
    return result;
}

bool profile_find(const char *name, struct vmx_lacks *lacks)
{
    unsigned number = 0;

    while (number < PROFILES && strcmp(profiles[number].name, name) != 0)
        number++;
    if (number == PROFILES)
        return false;
    *lacks = (struct vmx_lacks){ .ept_vpid = 0 };
    for (unsigned i = 0; number && i < sizeof(lacking) / sizeof(lacking[0]); i++)
        if (lacking[i].lacks[number - 1])
            profile_switch(lacks, lacking[i].name, (unsigned)strlen(lacking[i].name), false);
    return true;
}

const char *profile_name(unsigned number, const char **text)
{
    if (number >= PROFILES)
        return NULL;
    *text = profiles[number].text;
    return profiles[number].name;
}

static bool first_of_its_name(unsigned row)
{
    for (unsigned i = 0; i < row; i++)
        if (!strcmp(table[i].name, table[row].name) && implemented(&table[i]))
            return false;
    return true;
}

const char *profile_capability(unsigned number, const char **text)
{
    for (unsigned i = 0; i < ROWS; i++) {
        if (!implemented(&table[i]) || !first_of_its_name(i) || number--)
            continue;
        *text = table[i].text;
        return table[i].name;
    }
    return NULL;
}
