/* SPDX-License-Identifier: MIT */
/* Words for what processors keep as numbers. */
#include "emu/explain/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/cpu/translate.h"

const char *exception_mnemonic(unsigned vector)
{
    static const char *const name[32] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL, "#TS", "#NP", "#SS", "#GP", "#PF", NULL,
        "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    };

    return vector < 32 ? name[vector] : NULL;
}

/* SDM Vol. 3, 4.7. */
static void page_fault_words(char *to, size_t size, uint32_t error)
{
    const char *who = error & PF_USER ? "user" : "supervisor", *what = error & PF_FETCH ? "instruction fetch" : error & PF_WRITE ? "write" : "read";

    if (error & PF_RESERVED)
        snprintf(to, size, "%s by %s code, through an entry whose reserved bits are set", what, who);
    else
        snprintf(to, size, "%s by %s code, %s", what, who, error & PF_PRESENT ? "which the page's rights forbid" : "the page is not present");
}

/* SDM Vol. 3, 6.13. */
static void selector_words(char *to, size_t size, uint32_t error)
{
    const char *external = error & 1 ? ", met while an event was delivered" : "";

    if (!(error & ~1u))
        snprintf(to, size, "%s", error ? "met while an event was delivered" : "");
    else if (error & 2)
        snprintf(to, size, "IDT entry %" PRIu32 "%s", error >> 3, external);
    else
        snprintf(to, size, "selector 0x%" PRIx32 " of the %s%s", error & ~7u, error & 4 ? "LDT" : "GDT", external);
}

void error_code_words(char *to, size_t size, unsigned vector, uint32_t error_code)
{
    to[0] = '\0';
    if (vector == VECTOR_PF)
        page_fault_words(to, size, error_code);
    else if (vector >= VECTOR_TS && vector <= VECTOR_GP)
        selector_words(to, size, error_code);
}

void event_word(char *to, size_t size, const struct event *event)
{
    const char *name = exception_mnemonic(event->vector);

    if (event->type == EVENT_EXTERNAL_INTERRUPT)
        snprintf(to, size, "interrupt %02XH", event->vector);
    else if (event->type == EVENT_SOFTWARE_INTERRUPT)
        snprintf(to, size, "INT %02XH", event->vector);
    else if (event->type == EVENT_NMI)
        snprintf(to, size, "NMI");
    else if (name)
        snprintf(to, size, "%s", name);
    else
        snprintf(to, size, "exception %u", event->vector);
}

void event_words(char *to, size_t size, const struct event *event)
{
    char words[WORDS_MAX], name[24], address[40] = "";

    event_word(name, sizeof name, event);
    if (event->type == EVENT_HARDWARE_EXCEPTION && event->vector == VECTOR_PF)
        snprintf(address, sizeof address, " at address 0x%" PRIx64, event->address);
    error_code_words(words, sizeof words, event->vector, event->error_code);
    if (!event->has_error_code)
        snprintf(to, size, "%s%s", name, address);
    else
        snprintf(to, size, "%s%s, error code 0x%" PRIx32 "%s%s%s", name, address, event->error_code, words[0] ? " (" : "", words,
                 words[0] ? ")" : "");
}

const char *mode_words(const struct cpu *cpu)
{
    bool wide = cpu->seg[SEG_CS].access_rights & AR_DB;

    if (cpu_64bit(cpu))
        return "64-bit mode";
    if (cpu_long_mode(cpu))
        return wide ? "compatibility mode (32-bit)" : "compatibility mode (16-bit)";
    if (!cpu_protected(cpu))
        return "real-address mode";
    if (cpu_virtual_8086(cpu))
        return "virtual-8086 mode";
    if (!(cpu->cr0 & CR0_PG))
        return wide ? "32-bit protected mode, paging off" : "16-bit protected mode, paging off";
    return wide ? "32-bit protected mode" : "16-bit protected mode";
}

const char *abort_words(uint64_t indicator)
{
    static const char *const row[] = {
        [1] = "a guest MSR could not be saved: an entry of the VM-exit MSR-store area is not valid",
        [2] = "the host's PDPTEs are not valid: reserved bits are set in an entry at HOST_CR3",
        [3] = "the current VMCS has been corrupted by writes to its region",
        [4] = "a host MSR could not be loaded: an entry of the VM-exit MSR-load area is not valid",
        [5] = "a machine check came during the VM exit",
        [6] = "the guest was in IA-32e mode and the exit control \"host address-space size\" is 0",
    };

    return indicator < sizeof row / sizeof row[0] && row[indicator] ? row[indicator] : "an indicator that the SDM does not name";
}

const char *access_words(unsigned kind)
{
    return kind == ACCESS_FETCH ? "instruction fetch" : kind == ACCESS_WRITE ? "write" : "read";
}

void sentence_fill(char *to, size_t size, const char *sentence, const uint64_t *value)
{
    size_t used = 0;

    while (*sentence && used + 1 < size) {
        if (sentence[0] != '{' || sentence[1] < '0' || sentence[1] > '9') {
            to[used++] = *sentence++;
            continue;
        }
        uint64_t number = value[sentence[1] - '0'];
        int length = sentence[2] == 'd' ? snprintf(to + used, size - used, "%" PRIu64, number)
                   : sentence[2] == 'v' ? snprintf(to + used, size - used, "%02" PRIX64 "H", number)
                   : snprintf(to + used, size - used, "0x%" PRIx64, number);
        used += (size_t)length < size - used ? (size_t)length : size - used - 1;
        sentence = strchr(sentence, '}');
        if (!sentence)
            break;
        sentence++;
    }
    to[used] = '\0';
}
