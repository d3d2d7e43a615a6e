/* SPDX-License-Identifier: MIT */
#include "emu/explain/selector.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/explain/loaded_state.h"
#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "model/cpu/segment.h"
#include "model/cpu/walk.h"

enum { ERROR_EXTERNAL = 1, ERROR_IDT = 2, SELECTOR_LOCAL = 4 };

static bool names_selector(const struct event *event)
{
    bool vector = event->vector == VECTOR_TS || event->vector == VECTOR_NP || event->vector == VECTOR_SS || event->vector == VECTOR_GP;

    return event->type == EVENT_HARDWARE_EXCEPTION && vector && event->has_error_code && event->error_code & 0xfff8 &&
           !(event->error_code & (ERROR_EXTERNAL | ERROR_IDT));
}

/* Table 3-2. */
static const char *system_words(unsigned type, bool wide)
{
    switch (type) {
    case SYSTEM_TSS_16: return wide ? "reserved" : "16-bit TSS, available";
    case SYSTEM_LDT: return "LDT";
    case SYSTEM_TSS_16_BUSY: return wide ? "reserved" : "16-bit TSS, busy";
    case SYSTEM_CALL_GATE_16: return wide ? "reserved" : "16-bit call gate";
    case SYSTEM_TASK_GATE: return wide ? "reserved" : "task gate";
    case SYSTEM_INTERRUPT_GATE_16: case SYSTEM_TRAP_GATE_16: return wide ? "reserved" : "16-bit interrupt or trap gate";
    case SYSTEM_TSS_32: return wide ? "64-bit TSS, available" : "32-bit TSS, available";
    case SYSTEM_TSS_32_BUSY: return wide ? "64-bit TSS, busy" : "32-bit TSS, busy";
    case SYSTEM_CALL_GATE_32: return wide ? "64-bit call gate" : "32-bit call gate";
    case SYSTEM_INTERRUPT_GATE_32: case SYSTEM_TRAP_GATE_32: return "interrupt or trap gate";
    default: return "reserved";
    }
}

void descriptor_words(char to[DESCRIPTION_MAX], const struct cpu *cpu, const struct descriptor *d)
{
    uint32_t rights = descriptor_rights(d);
    const char *what = system_words(AR_TYPE(rights), cpu_long_mode(cpu));

    if (is_code(rights))
        what = is_code64(cpu, rights) ? rights & AR_DB ? "code with L = 1 and D = 1" : "64-bit code" : rights & AR_DB ? "32-bit code" : "16-bit code";
    else if (rights & AR_S)
        what = rights & TYPE_WRITABLE ? "writable data" : "read-only data";
    snprintf(to, DESCRIPTION_MAX, "%s%s, DPL %u%s", is_conforming(rights) ? "conforming " : "", what, (unsigned)AR_DPL(rights),
             rights & AR_PRESENT ? "" : ", not present (P, bit 47, is 0)");
}

/* In IA-32e mode the descriptors of TSS and LDT, and call gates, have 16 bytes: what is wrong with the upper 8 (5.8.3.1, 8.2.3); NULL: nothing. */
static const char *upper_half(struct cpu *cpu, const struct descriptor *d, uint16_t selector, uint32_t limit, const char *place, char to[DESCRIPTION_MAX])
{
    enum { TYPE = 0x1f, TYPE_SHIFT = 40 };
    uint32_t rights = descriptor_rights(d);
    bool gate = is_system(rights, SYSTEM_CALL_GATE_32), known = gate || is_system(rights, SYSTEM_TSS_32) || is_system(rights, SYSTEM_TSS_32_BUSY) || is_system(rights, SYSTEM_LDT);
    uint64_t high, base;

    if (!cpu_long_mode(cpu) || !known || (!gate && !strstr(place, ": ltr") && !strstr(place, ": lldt")))
        return NULL;
    if ((selector | 7u) + 8 > limit) {
        snprintf(to, DESCRIPTION_MAX, "in IA-32e mode it has 16 bytes, and the upper 8, at 0x%" PRIx64 ", are beyond the table's limit", d->linear + 8);
        return to;
    }
    if (place_peek(cpu, d->linear + 8, &high, 8) != PEEK_DONE)
        return NULL;
    base = high << 32 | (d->low >> 32 & 0xff000000) | (d->low >> 16 & 0xffffff);
    if (high >> TYPE_SHIFT & TYPE)
        snprintf(to, DESCRIPTION_MAX, "in IA-32e mode it has 16 bytes, and the upper 8 are 0x%016" PRIx64 ", another descriptor as it seems: bits 12:8 of the last 4 must be 0", high);
    else if (!gate && !linear_canonical(cpu, base))
        snprintf(to, DESCRIPTION_MAX, "in IA-32e mode it has 16 bytes, and with the upper 8, 0x%016" PRIx64 ", its base 0x%" PRIx64 " is not canonical", high, base);
    else
        return NULL;
    return to;
}

/* What `place` does with the descriptor, and why it cannot; NULL: the rest of the rules. */
static const char *cause(const struct cpu *cpu, const struct descriptor *d, uint16_t selector, const char *place)
{
    uint32_t rights = descriptor_rights(d);
    unsigned cpl = cpu_cpl(cpu);
    bool transfer = strstr(place, ": ljmp") || strstr(place, ": lcall") || strstr(place, ": jmp") || strstr(place, ": call"),
         back = strstr(place, ": iret") || strstr(place, ": retf") || strstr(place, ": lret");

    if (strstr(place, ": ltr")) {
        if (is_system(rights, SYSTEM_TSS_32_BUSY) || is_system(rights, SYSTEM_TSS_16_BUSY))
            return "LTR wants a TSS that is available: this one is busy, since LTR has loaded it already; each processor has a TSS, and a descriptor, of its own [8.2.4]";
        return is_system(rights, SYSTEM_TSS_32) ? NULL : "LTR wants the descriptor of a TSS [8.2.4]";
    }
    if (strstr(place, ": lldt"))
        return is_system(rights, SYSTEM_LDT) ? NULL : "LLDT wants the descriptor of an LDT";
    if ((transfer || back) && is_code(rights)) {
        if (is_code64(cpu, rights) && rights & AR_DB)
            return "in IA-32e mode a code segment has not both L (bit 53) and D (bit 54) [3.4.5]";
        if (transfer && !is_conforming(rights) && AR_DPL(rights) != cpl)
            return "JMP and CALL do not change the privilege level: DPL must be the CPL [5.8]";
        if (back && (selector & 3u) < cpl)
            return "RET and IRET do not go to an inner level: the selector's RPL is below the CPL [5.8]";
        return NULL;
    }
    if (transfer || back)
        return rights & AR_S ? "CS wants a code segment [5.8]" : back ? "CS wants a code segment [5.8]" : NULL;
    if (strstr(place, "ss, ") || strstr(place, "pop ss"))
        return !is_writable_data(rights) ? "SS wants writable data [5.5]" : AR_DPL(rights) != cpl || (selector & 3u) != cpl
                                         ? "SS wants a descriptor whose DPL, and a selector whose RPL, is the CPL [5.5]" : NULL;
    if (!(rights & AR_S) || (is_code(rights) && !(rights & TYPE_WRITABLE)))
        return "a data-segment register wants data, or code that can be read [5.5]";
    return !is_conforming(rights) && (AR_DPL(rights) < cpl || AR_DPL(rights) < (selector & 3u)) ? "DPL is below the CPL or the selector's RPL [5.5]" : NULL;
}

static void tell_table(struct explanation *e, struct cpu *cpu, bool local)
{
    enum vmcs_field field;
    const struct vmcs *v = local || cpu->gdtr.base ? NULL
                           : loaded_from_unwritten(e->machine, cpu, FIELD_host_gdtr_base, FIELD_guest_gdtr_base, &field);

    if (v)
        explain_line(e, "the GDT's base is 0: it was loaded from %s of VMCS 0x%" PRIx64 ", which was never written [28.5.2]", vmcs_field_name(field), v->pa);
}

void selector_tell(struct explanation *e, struct cpu *cpu, const struct event *event, const char *place)
{
    uint16_t selector = (uint16_t)event->error_code & 0xfffc;
    bool local = selector & SELECTOR_LOCAL;
    const char *table = local ? "LDT" : "GDT", *why;
    uint64_t base = local ? cpu->seg[SEG_LDTR].base : cpu->gdtr.base, at = base + (selector & 0xfff8u);
    uint32_t limit = local ? cpu->seg[SEG_LDTR].limit : cpu->gdtr.limit;
    struct descriptor d = { .linear = at };
    char what[DESCRIPTION_MAX];

    if (!names_selector(event) || !cpu_protected(cpu) || cpu_virtual_8086(cpu))
        return;
    if (local && cpu->seg[SEG_LDTR].access_rights & AR_UNUSABLE) {
        explain_line(e, "selector 0x%x is of the LDT (TI, bit 2, is 1), and no LDT has been loaded (LLDT) [3.5.1]", selector);
        return;
    }
    if ((selector | 7u) > limit) {
        explain_line(e, "selector 0x%x is beyond the limit of the %s, 0x%" PRIx32 " (base 0x%" PRIx64 ") [3.5.1]", selector, table, limit, base);
        tell_table(e, cpu, local);
        return;
    }
    if (place_peek(cpu, at, &d.low, 8) != PEEK_DONE) {
        explain_line(e, "selector 0x%x: its descriptor at 0x%" PRIx64 " cannot be read (%s base 0x%" PRIx64 ")", selector, at, table, base);
        tell_table(e, cpu, local);
        return;
    }
    descriptor_words(what, cpu, &d);
    explain_line(e, "selector 0x%x: descriptor at 0x%" PRIx64 " (%s base 0x%" PRIx64 ", limit 0x%" PRIx32 ") = 0x%016" PRIx64 ": %s", selector, at, table, base, limit, d.low,
                 d.low ? what : "empty");
    tell_table(e, cpu, local);
    why = cause(cpu, &d, selector, place);
    if (why)
        explain_line(e, "%s", why);
    else if (upper_half(cpu, &d, selector, limit, place, what))
        explain_line(e, "%s [5.8.3.1, 8.2.3]", what);
}

void selector_explain(struct machine *machine, struct cpu *cpu, const struct event *event)
{
    struct explanation *e;
    char words[WORDS_MAX], place[PLACE_MAX];

    if (!names_selector(event) || cpu->event.valid || !cpu_protected(cpu) || cpu_virtual_8086(cpu))
        return;
    e = explain_begin(machine, cpu, explain_key(cpu->rip, "selector"));
    if (!e)
        return;
    event_words(words, sizeof words, event);
    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "%s at %s", words, place);
    selector_tell(e, cpu, event, place);
    place_calls(e, cpu);
    explain_end(e);
}
