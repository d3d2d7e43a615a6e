/* SPDX-License-Identifier: MIT */
/* EPT violations and misconfigurations. */
#include "emu/explain/ept_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/explain/explain.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "model/cpu/raise.h"
#include "model/ept/ept.h"
#include "model/vmx/vmx.h"

#define ADDRESS_BITS 0x000ffffffffff000ull

enum { LEVELS_MAX = 5, TIMES_TOLD = 3 };

/* The entries on the way to a guest-physical address. */
struct route {
    unsigned count;
    struct {
        unsigned level;
        uint64_t pa, value;
        bool leaf;
    } step[LEVELS_MAX];
    bool beyond;                    /* the address has more bits than the walk translates */
    bool not_present;               /* the last entry */
    enum ept_flaw flaw;             /* of the last entry */
};

/* Where there is no RAM, or what the guest of the core may not have, entries read as ones. */
static bool is_memory(const struct machine *machine, uint64_t pa)
{
    uint64_t base, size;

    if (machine->native && native_pool(machine->native, &base, &size) && pa - base < size)
        return false;
    return memory_is_ram(&machine->model->memory, pa, 8);
}

static struct route walk(const struct machine *machine, const struct ept_fault *fault)
{
    const struct model *model = machine->model;
    unsigned levels = EPTP_WALK_LENGTH(fault->eptp) == LEVELS_MAX ? LEVELS_MAX : LEVELS_MAX - 1;
    uint64_t table = fault->eptp & ADDRESS_BITS, present = EPT_RIGHTS | (fault->user_execute ? EPT_USER_EXECUTE : 0);
    struct route route = { .beyond = fault->gpa >> (12 + 9 * levels) };

    for (unsigned level = levels; level && !route.beyond; level--) {
        uint64_t pa = table + (fault->gpa >> (12 + 9 * (level - 1)) & 0x1ff) * 8, entry = is_memory(machine, pa) ? memory_read64(&model->memory, pa) : ~0ull;
        bool leaf = level == 1 || (level <= 3 && (entry & EPT_LARGE));

        route.step[route.count].level = level;
        route.step[route.count].pa = pa;
        route.step[route.count].leaf = leaf;
        route.step[route.count++].value = entry;
        route.not_present = !(entry & present);
        route.flaw = route.not_present ? EPT_SOUND : ept_entry_flaw(model, entry, level, leaf);
        if (route.not_present || route.flaw || leaf)
            break;
        table = entry & ADDRESS_BITS;
    }
    return route;
}

bool ept_leaf(const struct machine *machine, uint64_t eptp, uint64_t gpa, uint64_t *entry, uint64_t *at, unsigned *level)
{
    const struct route route = walk(machine, &(struct ept_fault){ .eptp = eptp, .gpa = gpa });
    unsigned last = route.count - 1;

    if (!route.count || !route.step[last].leaf || route.not_present || route.flaw)
        return false;
    *entry = route.step[last].value;
    *at = route.step[last].pa;
    *level = route.step[last].level;
    return true;
}

const char *ept_entry_name(unsigned level)
{
    static const char *const name[LEVELS_MAX + 1] = { "", "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };

    return name[level];
}

static uint64_t hash_of(const struct route *route)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (unsigned i = 0; i < route->count; i++)
        hash = ((hash ^ route->step[i].pa) * 0x100000001b3 ^ route->step[i].value) * 0x100000001b3;
    return hash;
}

/* ---- what is wrong ---- */

/* An entry of the guest's paging structures, 0 where there is none. */
static uint64_t guest_entry(const struct machine *machine, const struct ept_fault *fault, uint64_t gpa)
{
    struct ept_fault at = *fault;
    struct route route;
    uint64_t span, pa;

    at.gpa = gpa;
    route = walk(machine, &at);
    if (!route.count || !route.step[route.count - 1].leaf || route.not_present || route.flaw)
        return 0;
    span = 1ull << (12 + 9 * (route.step[route.count - 1].level - 1));
    pa = (route.step[route.count - 1].value & ADDRESS_BITS & ~(span - 1)) | (gpa & (span - 1));
    return is_memory(machine, pa) ? memory_read64(&machine->model->memory, pa) : 0;
}

/* Is the linear address a user-mode one (4.6.1)?  Outside IA-32e mode, CPL tells for nearly all. */
static bool is_user_page(const struct machine *machine, const struct ept_fault *fault)
{
    enum { PRESENT = 1, USER = 4, LARGE = 0x80 };
    uint64_t entry = fault->cr3;

    for (unsigned level = fault->paging_levels; level && fault->wide; level--) {
        entry = guest_entry(machine, fault, (entry & ADDRESS_BITS) + (fault->linear >> (12 + 9 * (level - 1)) & 0x1ff) * 8);
        if (!(entry & PRESENT))
            break;
        if (!(entry & USER))
            return false;
        if (level == 1 || (level <= 3 && entry & LARGE))
            return true;
    }
    return fault->cpl == 3;
}

/* Bits of the qualification that say what was tried: SDM Vol. 3, Table 28-7. With mode-based execute control a fetch needs bit 2 or bit 10,
 * by the linear address's mode (29.3.2). */
static uint64_t rights_needed(const struct machine *machine, const struct ept_fault *fault)
{
    uint64_t execute = fault->user_execute && fault->qualification & EPT_VIOLATION_FETCH && is_user_page(machine, fault) ? EPT_USER_EXECUTE : EPT_EXECUTE;

    return (fault->qualification & EPT_VIOLATION_READ ? EPT_READ : 0) | (fault->qualification & EPT_VIOLATION_WRITE ? EPT_WRITE : 0) |
           (fault->qualification & EPT_VIOLATION_FETCH ? execute : 0);
}

static const char *tried(const struct ept_fault *fault)
{
    uint64_t q = fault->qualification;

    if (fault->reason == EXIT_REASON_ept_misconfiguration)
        return "access";
    if (q & EPT_VIOLATION_FETCH)
        return "instruction fetch";
    if (q & EPT_VIOLATION_WRITE)
        return q & EPT_VIOLATION_READ ? "read and write" : "write";
    return "read";
}

enum { RIGHT_NAMES_MAX = 120 };

static void right_names(char to[RIGHT_NAMES_MAX], uint64_t rights)
{
    snprintf(to, RIGHT_NAMES_MAX, "%s%s%s%s", rights & EPT_READ ? " R (bit 0)" : "", rights & EPT_WRITE ? " W (bit 1)" : "",
             rights & EPT_EXECUTE ? " X (bit 2)" : "",
             rights & EPT_USER_EXECUTE ? " XU (bit 10: the linear address is a user-mode one, and mode-based execute control is on)" : "");
}

static void tell_step(struct explanation *e, const struct route *route, const struct ept_fault *fault, unsigned i)
{
    static const char *const size[4] = { "", "", ", a 2-MByte page", ", a 1-GByte page" };
    unsigned level = route->step[i].level;
    uint64_t value = route->step[i].value;

    explain_line(e, "%s at 0x%" PRIx64 " = 0x%" PRIx64 ": %c%c%c%s%s%s", ept_entry_name(level), route->step[i].pa, value, value & EPT_READ ? 'r' : '-',
                 value & EPT_WRITE ? 'w' : '-', value & EPT_EXECUTE ? 'x' : '-',
                 !fault->user_execute ? "" : value & EPT_USER_EXECUTE ? ", XU" : ", no XU", route->step[i].leaf && level > 1 && level < 4 ? size[level] : "",
                 is_memory(e->machine, route->step[i].pa) ? "" : "; there is no memory, it reads as ones");
}

static void tell_missing(struct explanation *e, const struct route *route, const struct ept_fault *fault)
{
    uint64_t need = rights_needed(e->machine, fault);
    bool told = false;
    char names[RIGHT_NAMES_MAX];

    for (unsigned i = 0; i < route->count; i++) {
        uint64_t missing = need & ~route->step[i].value;

        if (!missing)
            continue;
        right_names(names, missing);
        explain_line(e, "missing in the %s:%s", ept_entry_name(route->step[i].level), names);
        told = true;
    }
    if (!told)
        explain_line(e, "the entries allow the access now: they changed behind the processor, or the page is not the guest's to have");
}

static const struct {
    const char *name, *sentence;
} flaws[] = {
    [EPT_SOUND] = { "sound", "nothing is wrong with the entries now: they changed meanwhile" },
#define EPT_FLAW(name, sentence) [EPT_FLAW_##name] = { #name, sentence },
#include "model/ept/flaws.def"
};

/* `note`: why people are told of it. `again`: it has come before. */
static void tell(struct machine *machine, struct cpu *cpu, const struct ept_fault *fault, const struct route *route, uint64_t key, const char *note,
                 bool again)
{
    struct explanation *e = explain_begin(machine, cpu, key);
    const struct vmcs *v = !again ? NULL : !machine_over_native(machine, cpu) ? cpu->vmx.current : native_vmcs12(machine->native, fault->vmcs);
    char name[SYMBOL_TEXT_MAX], linear[40] = "";
    bool misconfiguration = fault->reason == EXIT_REASON_ept_misconfiguration;

    if (!e)
        return;
    if (misconfiguration || fault->qualification & EPT_VIOLATION_LINEAR_VALID)
        snprintf(linear, sizeof linear, ", linear 0x%" PRIx64, fault->linear);
    explain_line(e, "EPT %s (exit %" PRIu64 ") of the guest (L%u) at rip 0x%" PRIx64 "%s: %s of guest-physical 0x%" PRIx64 "%s, EPTP 0x%" PRIx64,
                 misconfiguration ? "misconfiguration" : "violation", fault->reason, fault->level, fault->rip,
                 symbols_text(machine->symbols, fault->rip, name), tried(fault), fault->gpa, misconfiguration ? "" : linear, fault->eptp);
    if (note)
        explain_line(e, "%s", note);
    if (v)
        reentry_tell_same_rip(e, v, v->exits + !machine_over_native(machine, cpu), (uint32_t)fault->reason, fault->rip);
    if (!misconfiguration && fault->qualification & EPT_VIOLATION_LINEAR_VALID && !(fault->qualification & EPT_VIOLATION_TRANSLATION))
        explain_line(e, "the access was that of the guest's page walk to one of its paging-structure entries%s",
                     fault->eptp & EPTP_ACCESSED_DIRTY ? "; with accessed and dirty flags for EPT (EPTP bit 6) each of them counts as a write" : "");
    if (route->beyond)
        explain_line(e, "the guest-physical address has more bits than the walk of %d levels translates (EPTP bits 5:3)", (int)EPTP_WALK_LENGTH(fault->eptp));
    for (unsigned i = 0; i < route->count; i++)
        tell_step(e, route, fault, i);
    if (route->count && misconfiguration)
        explain_line(e, "the %s is misconfigured: %s [29.3.3.1]", ept_entry_name(route->step[route->count - 1].level), flaws[route->flaw].sentence);
    else if (route->count && route->not_present)
        explain_line(e, "the %s is not present: bits 2:0%s are 0, nothing is mapped there [29.3.3.2]", ept_entry_name(route->step[route->count - 1].level),
                     fault->user_execute ? " and 10" : "");
    else if (route->count)
        tell_missing(e, route, fault);
    explain_end(e);
}

/* ---- when ---- */

static uint64_t key_of(const struct ept_fault *fault, const struct route *route, const char *reason)
{
    uint64_t place = fault->reason == EXIT_REASON_ept_misconfiguration && route->count ? route->step[route->count - 1].pa : fault->rip ^ fault->gpa << 20;

    return explain_key(place, reason);
}

/* `retired`: has the guest executed anything since it was entered? */
static void met(struct machine *machine, struct cpu *cpu, const struct ept_fault *fault, bool retired)
{
    static const char again[] = "for the third time in a row: between them neither RIP nor an entry of the EPT has changed";
    struct ept_watch *watch = &machine->ept[cpu->index];
    struct ept_seen *seen = &watch->seen[fault->vmcs / PAGE_SIZE % EPT_VMCSS];
    const struct ept_fault *before = &seen->fault;
    struct route route = walk(machine, fault);
    uint64_t entries = hash_of(&route);
    bool same = !retired && entries == seen->entries && fault->rip == before->rip && fault->gpa == before->gpa && fault->vmcs == before->vmcs &&
                fault->qualification == before->qualification && fault->eptp == before->eptp;

    *seen = (struct ept_seen){ *fault, entries, same ? seen->same + 1 : 1 };
    watch->fault = *fault;
    watch->open = true;
    if (seen->same == TIMES_TOLD)
        tell(machine, cpu, fault, &route, key_of(fault, &route, "ept.no_progress"), again, true);
    else if (seen->same < TIMES_TOLD)
        tell(machine, cpu, fault, &route, 0, NULL, false);
}

static struct ept_fault fault_of(const struct machine *machine, const struct cpu *cpu, const struct notice *notice)
{
    const struct vmcs *vmcs = cpu->vmx.current;
    uint64_t address = vmcs->pa;

    if (machine_over_native(machine, cpu))
        native_current(machine->native, cpu, &address);
    return (struct ept_fault){
        .vmcs = address,
        .reason = notice->a & 0xffff, .qualification = notice->b, .rip = notice->c, .gpa = VMCS(vmcs, guest_physical_address),
        .linear = VMCS(vmcs, guest_linear_address), .eptp = cpu->vmx.eptp,
        .user_execute = cpu_proc2_controls(cpu) & PROC2_mode_based_execute_control,
        .wide = cpu_long_mode(cpu), .cpl = cpu_cpl(cpu), .paging_levels = cpu->cr4 & CR4_LA57 ? 5 : 4, .cr3 = cpu->cr3,
        .level = machine_over_native(machine, cpu) ? 2 : machine->options.root_level + 1,
    };
}

static bool is_ept_exit(uint64_t reason)
{
    return reason == EXIT_REASON_ept_violation || reason == EXIT_REASON_ept_misconfiguration;
}

void ept_exited(struct machine *machine, struct cpu *cpu, const struct notice *notice)
{
    struct ept_watch *watch = &machine->ept[cpu->index];

    watch->open = false;
    if (!is_ept_exit(notice->a) || !cpu->vmx.current)
        return;
    struct ept_fault fault = fault_of(machine, cpu, notice);
    bool retired = cpu->instructions != cpu->vmx.entry_instructions;
    if (machine_over_native(machine, cpu)) {    /* the core handles it, or ept_reflected() comes */
        machine->ept[cpu->index].exit = fault;
        machine->ept[cpu->index].exit_retired = retired;
        return;
    }
    met(machine, cpu, &fault, retired);
}

/* Told when L0 is done: until then memory may be held in suspense (emu/native/reads.c). */
void ept_reflected(struct machine *machine, const struct cpu *cpu, const struct notice *notice)
{
    struct ept_watch *watch = &machine->ept[cpu->index];

    watch->reflected = is_ept_exit(notice->a);
    watch->exit.reason = notice->a;
    watch->exit.qualification = notice->b;
    watch->exit.gpa = notice->c;
    watch->exit.eptp = notice->d;
}

void ept_entered(struct machine *machine, struct cpu *cpu)
{
    struct ept_watch *watch = &machine->ept[cpu->index];

    if (!machine_over_native(machine, cpu))
        watch->open = false;
    if (watch->reflected)
        met(machine, cpu, &watch->exit, watch->exit_retired);
    watch->reflected = false;
}

void ept_end(struct machine *machine)
{
    static const char open[] = "and the guest was not entered again after it";

    bool well = machine->result.end == MACHINE_EXITED && !machine->result.value;

    for (unsigned i = 0; i < machine->model->cpu_count; i++) {
        const struct ept_watch *watch = &machine->ept[i];
        struct route route;

        if (!watch->open || (well && watch->fault.reason == EXIT_REASON_ept_violation) || machine_level(machine, &machine->model->cpu[i]) >= watch->fault.level)
            continue;
        route = walk(machine, &watch->fault);
        tell(machine, &machine->model->cpu[i], &watch->fault, &route, key_of(&watch->fault, &route, "ept.no_progress"), open, false);
    }
}
