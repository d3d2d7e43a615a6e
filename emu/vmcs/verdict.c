/* SPDX-License-Identifier: MIT */
/* What a log says of how a VM entry ended: emu/vmcs/verdict_lines.def. */
#include <string.h>

#include "emu/vmcs/snapshot.h"

enum place { BEFORE, AFTER };
enum form { EXIT, FAILED, ERROR, EITHER };

static const struct {
    enum place place;
    enum form form;
    const char *pattern;
} lines[] = {
#define VERDICT(place, form, pattern) { place, form, pattern },
#include "emu/vmcs/verdict_lines.def"
};
enum { LINES = sizeof lines / sizeof lines[0], ERROR_LAST = 28, SVM_FAILED = 0xffffffff };

static bool is_failed_entry(uint64_t reason)
{
    unsigned basic = reason & 0xffff;

    return basic == EXIT_REASON_entry_failure_guest_state || basic == EXIT_REASON_entry_failure_msr_loading ||
           basic == EXIT_REASON_entry_failure_machine_check;
}

static enum verdict_kind kind_of(enum form form, uint64_t *value)
{
    *value &= 0xffffffff;                               /* exit reasons are printed sign-extended, too */
    if (form != ERROR && *value == SVM_FAILED)
        return VERDICT_SVM;
    if (form != ERROR && is_failed_entry(*value) && (form == EXIT || *value & EXIT_REASON_ENTRY_FAILURE))
        return VERDICT_EXIT;
    /* 0: KVM says so of an entry that failed without a VM-instruction error, by VMfailInvalid. */
    return *value <= ERROR_LAST && (form == EITHER || (form == ERROR && *value)) ? VERDICT_ERROR : VERDICT_NONE;
}

/* The patterns that may be in a line, a bit for each: those with whose first two characters something in it begins. */
static uint32_t may_be_in(const char *line, const char *end)
{
    static uint32_t begin[1024];
    static bool built;
    uint32_t may = 0;

    _Static_assert(LINES <= 32, "a bit for each");
#define TWO(c) begin[((unsigned char)(c)[0] * 31u + (unsigned char)(c)[1]) % 1024]
    for (unsigned i = 0; i < LINES && !built; i++)
        TWO(lines[i].pattern) |= 1u << i;
    built = true;
    for (; line + 1 < end; line++)
        may |= TWO(line);
    return may;
}

enum verdict_kind verdict_line(const char *line, const char *end, uint64_t *value, bool *before)
{
    const uint32_t may = may_be_in(line, end);

    for (unsigned i = 0; i < LINES; i++) {
        if (!(may >> i & 1))
            continue;
        for (const char *c = line; (c = memchr(c, lines[i].pattern[0], (size_t)(end - c))); c++) {
            uint64_t values[PATTERN_VALUES_MAX] = { 0 };
            enum verdict_kind kind;
            bool started;

            if (!pattern_match(lines[i].pattern, c, end, values, &started))
                continue;
            *value = values[0];
            *before = lines[i].place == BEFORE;
            if ((kind = kind_of(lines[i].form, value)) != VERDICT_NONE)
                return kind;
        }
    }
    return VERDICT_NONE;
}

enum verdict_kind snapshot_verdict(const struct snapshot *s, uint64_t *value)
{
    const struct vmcs *v = &s->vmcs;

    *value = s->verdict_value;
    if (s->verdict != VERDICT_NONE)
        return s->verdict;
    *value = VMCS(v, exit_reason);
    if (s->given[FIELD_exit_reason] && is_failed_entry(*value))
        return VERDICT_EXIT;
    /* It stays after later entries that succeed. Only those of failed entries count, where nothing else is said. */
    *value = VMCS(v, vm_instruction_error);
    return s->given[FIELD_vm_instruction_error] &&
                   (*value == VM_ERROR_entry_invalid_control || *value == VM_ERROR_entry_invalid_host_state)
               ? VERDICT_ERROR
               : VERDICT_NONE;
}
