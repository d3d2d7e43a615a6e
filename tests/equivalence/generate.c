/* SPDX-License-Identifier: MIT */
/*
 * Random programs of L1 and L2 that get somewhere. A program is written while it runs on the reference: what comes next
 * depends on the level that runs, on its VMCS, and on how the line before ended. Mostly reasonable, sometimes hostile.
 */
#include "tests/equivalence/maker.h"

#include <string.h>

#include "emu/native/native.h"
#include "model/vmx/vmx.h"

/* ---- numbers ---- */

static uint64_t edge(struct maker *m)
{
    static const uint64_t edges[] = {
        0, 1, 2, 3, 4, 7, 8, 15, 16, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
        0x100000000, 0x7fffffffff, 0x8000000000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000, 0x8000000000000000, ~0ull,
        0xfffffffffffff000, 0x11008, 0xfee00000, PLACE_VMXON, PLACE_VMCS,
    };
    switch (below(m, 4)) {
    case 0: return any(m);
    case 1: return any(m) & 0xffffffff;
    case 2: return 1ull << below(m, 64);
    default: return PICK(m, edges);
    }
}

static uint64_t canonical(struct maker *m) { return (uint64_t)((int64_t)(any(m) << 16) >> (16 + below(m, 32))); }

/* ---- what is there ---- */

static struct vmcs *current(const struct maker *m) { return cpu(m)->vmx.current; }
static const struct vmx_capability *capability(const struct maker *m) { return &m->lane->run.model->capability; }

static uint64_t field(const struct maker *m, uint32_t encoding)
{
    return current(m) ? vmcs_get(current(m), encoding) : 0;
}

static bool exists(const struct maker *m, uint32_t encoding)
{
    return vmcs_find(m->lane->run.model, encoding) < VMCS_FIELD_COUNT;
}

/* ---- lines ---- */

static void count(struct maker *m, unsigned before)
{
    struct statistics *s = m->statistics;
    const struct outcome *o = &m->lane->run.outcome;

    s->lines++;
    s->entries += o->entered;
    s->failed_entries += o->entry_failed;
    s->vmfails += o->failed;
    s->faults += o->event.valid;
    s->shutdowns += o->unusual & UNUSUAL_SHUTDOWN ? 1 : 0;
    m->reached_l2 |= o->entered;
    if (o->exited && !over(m) && level(m) == 1 && (before == 2 || o->entered)) {
        s->round_trips++;
        s->exits[(o->exit_reason & 0xffff) % (sizeof s->exits / sizeof s->exits[0])]++;
    }
}

void line(struct maker *m, enum op_id op, unsigned operands, const uint64_t operand[])
{
    struct statement s = { .op = (uint8_t)op, .given = (uint8_t)((1u << operands) - 1), .line = m->story->program.count };
    unsigned before = level(m);

    if (over(m))
        return;
    if (op_table[op].who != WHO_MACHINE)
        s.actor = (uint8_t)before;
    for (unsigned i = 0; i < operands; i++)
        s.operand[i] = operand[i + 1];
    lane_line(m->lane, &s, &m->latest);
    if (!m->latest.item[SEEN_executed])
        return;
    story_add(m->story, &s, &m->latest, m->lane);
    count(m, before);
}
/* ---- values for fields ---- */

static uint64_t page(struct maker *m)
{
    static const uint64_t pages[] = { PLACE_MSR_BITMAP, PLACE_MSR_BITMAP + 0x1000, PLACE_IO_BITMAP, PLACE_IO_BITMAP + 0x1000,
                                      PLACE_DATA, PLACE_DATA + 0x3000 };
    static const uint64_t bad[] = { 0, 1, PLACE_DATA + 8, PLACE_ABSENT, PLACE_ABSENT + 0x5000, 0x8000000000, ~0ull, 0xfee00000,
                                    1ull << 52, 0xfffff000, 0x1800000 };
    return hostile(m) ? PICK(m, bad) : PICK(m, pages);
}

static uint64_t eptp(struct maker *m)
{
    uint64_t root = PLACE_EPT + EPT_DISTANCE * (uint64_t)below(m, EPT_ROOTS);
    static const uint64_t bad[] = { 0, PLACE_EPT, PLACE_EPT | 0x1f, PLACE_EPT | 0x26, PLACE_ABSENT | 0x1e, PLACE_EPT | 0xf1e,
                                    1ull << 52 | 0x1e, PLACE_DATA | 0x1e, ~0ull };
    if (hostile(m))
        return PICK(m, bad);
    return root | 0x1e | (capability(m)->ept_vpid & CAPABILITY_EPT_ACCESSED_DIRTY && chance(m, 30) ? 1 << 6 : 0) |
           (chance(m, 10) ? 0 : 0);
}

static uint64_t pat(struct maker *m)
{
    static const uint8_t types[] = { 0, 1, 4, 5, 6, 7 };
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | PICK(m, types);
    return value;
}

static uint64_t control_word(struct maker *m, uint32_t encoding, const struct control_word *word)
{
    uint64_t value = field(m, encoding);
    for (unsigned i = below(m, 3); i; i--)
        value ^= 1u << below(m, 32);
    return (value | word->required) & word->allowed;
}

static bool has_code(uint64_t vector)
{
    return vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= VECTOR_PF) || vector == VECTOR_AC || vector == VECTOR_CP;
}

static uint64_t interruption(struct maker *m)
{
    static const uint8_t faults[] = { 0, 1, 3, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21 };
    unsigned type = below(m, 8), vector = below(m, 256);
    bool code;

    if (type == EVENT_NMI)
        vector = 2;
    else if (type == EVENT_HARDWARE_EXCEPTION)
        vector = PICK(m, faults);
    else if (type == EVENT_SOFTWARE_EXCEPTION)
        vector = 3 + below(m, 2);
    else if (type == EVENT_OTHER)
        vector = 0;
    code = type == EVENT_HARDWARE_EXCEPTION && has_code(vector);
    return 1u << 31 | (uint64_t)type << 8 | vector | (code ? 1 << 11 : 0);
}

/* Bits that change nothing which a program needs. */
#define CR0_FREE (CR0_MP | CR0_EM | CR0_TS | CR0_AM | CR0_WP)
#define CR4_FREE (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_FSGSBASE | CR4_UMIP)

/* A value that mostly does not stand in the way of an entry. */
static uint64_t sane(struct maker *m, uint32_t encoding)
{
    const struct vmx_capability *c = capability(m);
    static const uint64_t data_rights[] = { 0xc093, 0xc091, 0xc093, 0x10000 };

    switch (encoding) {
    case VMCS_virtual_processor_identifier: return 1 + below(m, 4);
    case VMCS_io_bitmap_a_address: case VMCS_io_bitmap_b_address: case VMCS_msr_bitmap_address: return page(m);
    case VMCS_virtual_apic_address: case VMCS_apic_access_address: return PLACE_VIRTUAL_APIC;
    case VMCS_exit_msr_store_address: return PLACE_MSR_AREA;
    case VMCS_exit_msr_load_address: return PLACE_MSR_AREA + 0x1000;
    case VMCS_entry_msr_load_address: return PLACE_MSR_AREA + 0x2000;
    case VMCS_exit_msr_store_count: case VMCS_exit_msr_load_count: case VMCS_entry_msr_load_count: return below(m, 3);
    case VMCS_ept_pointer: return eptp(m);
    case VMCS_pin_based_controls: return control_word(m, encoding, &c->pin);
    case VMCS_processor_based_controls: return control_word(m, encoding, &c->proc);
    case VMCS_secondary_processor_based_controls: return control_word(m, encoding, &c->proc2);
    case VMCS_exit_controls: return control_word(m, encoding, &c->exit) | EXIT_host_address_space_size;
    case VMCS_entry_controls: return control_word(m, encoding, &c->entry) | ENTRY_ia32e_mode_guest;
    case VMCS_exception_bitmap: return any(m) & any(m) & 0xffffffff;
    case VMCS_page_fault_error_code_mask: case VMCS_page_fault_error_code_match: return below(m, 16);
    case VMCS_cr3_target_count: return below(m, 5);
    case VMCS_cr3_target_value_0: case VMCS_cr3_target_value_1: case VMCS_cr3_target_value_2: case VMCS_cr3_target_value_3:
        return chance(m, 50) ? PLACE_PML4 : any(m);
    case VMCS_entry_interruption_information: return chance(m, 50) ? interruption(m) : any(m) & 0x7fffffff;
    case VMCS_entry_exception_error_code: return below(m, 0x8000);
    case VMCS_entry_instruction_length: return 1 + below(m, 15);
    case VMCS_tpr_threshold: return below(m, 16);
    case VMCS_preemption_timer_value: return below(m, chance(m, 50) ? 100 : 0x200000);
    case VMCS_vmcs_link_pointer: return ~0ull;
    case VMCS_guest_ia32_debugctl: return below(m, 2);
    case VMCS_guest_ia32_pat: case VMCS_host_ia32_pat: return pat(m);
    case VMCS_guest_ia32_efer: return EFER_LMA | EFER_LME | (any(m) & (EFER_NXE | EFER_SCE));
    case VMCS_host_ia32_efer: return EFER_LMA | EFER_LME | EFER_NXE | (any(m) & EFER_SCE);
    case VMCS_guest_cr0: return field(m, encoding) ^ (any(m) & any(m) & CR0_FREE);
    case VMCS_guest_cr4: return field(m, encoding) ^ (any(m) & any(m) & CR4_FREE);
    case VMCS_host_cr0: return field(m, encoding) ^ (any(m) & any(m) & CR0_FREE);
    case VMCS_host_cr4: return field(m, encoding) ^ (any(m) & any(m) & CR4_FREE & c->cr4_fixed1);
    case VMCS_guest_cr3: case VMCS_host_cr3: return PLACE_PML4 | (chance(m, 20) ? 0x18 : 0);
    case VMCS_guest_dr7: return 0x400 | (chance(m, 30) ? any(m) & 0xffff03ff & ~0x2000u : 0);
    case VMCS_guest_rflags: return RFLAGS_FIXED | (any(m) & (RFLAGS_ARITHMETIC | RFLAGS_IF | RFLAGS_DF | RFLAGS_AC | RFLAGS_IOPL));
    case VMCS_guest_es_access_rights: case VMCS_guest_ds_access_rights: case VMCS_guest_fs_access_rights:
    case VMCS_guest_gs_access_rights: return PICK(m, data_rights);
    case VMCS_guest_cs_access_rights: case VMCS_guest_ss_access_rights: case VMCS_guest_tr_access_rights:
    case VMCS_guest_ldtr_access_rights: return field(m, encoding);
    case VMCS_guest_es_limit: case VMCS_guest_ds_limit: case VMCS_guest_fs_limit: case VMCS_guest_gs_limit:
    case VMCS_guest_cs_limit: case VMCS_guest_ss_limit: return any(m) << 12 | 0xfff;
    case VMCS_guest_gdtr_limit: case VMCS_guest_idtr_limit: return 0xfff | below(m, 0x10000);
    case VMCS_guest_tr_limit: return 0x67 + below(m, 0x100);
    case VMCS_guest_activity_state: return chance(m, 15) ? ACTIVITY_HLT : chance(m, 10) ? below(m, 5) : ACTIVITY_ACTIVE;
    case VMCS_guest_interruptibility_state: return (chance(m, 30) ? BLOCKING_BY_MOV_SS : 0) | (chance(m, 30) ? BLOCKING_BY_NMI : 0);
    case VMCS_guest_pending_debug_exceptions: return chance(m, 30) ? 0x1000 | below(m, 16) : below(m, 16);
    case VMCS_guest_tr_selector: case VMCS_guest_ldtr_selector: case VMCS_guest_cs_selector: case VMCS_guest_ss_selector:
    case VMCS_guest_es_selector: case VMCS_guest_ds_selector: case VMCS_guest_fs_selector: case VMCS_guest_gs_selector:
    case VMCS_host_es_selector: case VMCS_host_ss_selector: case VMCS_host_ds_selector: case VMCS_host_fs_selector:
    case VMCS_host_gs_selector: return any(m) & 0xfff8;
    case VMCS_host_cs_selector: case VMCS_host_tr_selector: return (any(m) & 0xfff8) | 8;
    case VMCS_guest_idtr_base: case VMCS_host_idtr_base: return PLACE_IDT + 0x1000ull * below(m, 2);
    case VMCS_guest_es_base: case VMCS_guest_cs_base: case VMCS_guest_ss_base: case VMCS_guest_ds_base:
        return chance(m, 80) ? 0 : any(m) & 0xffff;
    default: break;
    }
    if (VMCS_ENCODING_TYPE(encoding) == VMCS_TYPE_EXIT_INFORMATION)
        return any(m);
    return VMCS_ENCODING_WIDTH(encoding) == VMCS_WIDTH_NATURAL ? canonical(m) : any(m);
}

/* Not in L0's pool, where processors look for descriptors and paging structures (differences.def, pool). */
static uint64_t elsewhere(uint64_t address)
{
    const uint64_t pool = MEMORY_SIZE - native_pool_size(1, MEMORY_SIZE);

    return (address & 0xffffffff) >= pool && (address & 0xffffffff) < MEMORY_SIZE ? address & ~pool : address;
}

bool is_list_count(uint64_t encoding)
{
    return encoding == VMCS_entry_msr_load_count || encoding == VMCS_exit_msr_load_count || encoding == VMCS_exit_msr_store_count;
}

static uint64_t value_for(struct maker *m, uint32_t encoding)
{
    const bool is_table = encoding == VMCS_guest_idtr_base || encoding == VMCS_host_idtr_base ||
                          encoding == VMCS_guest_cr3 || encoding == VMCS_host_cr3;

    return !hostile(m) ? sane(m, encoding) : is_list_count(encoding) ? edge(m) & 0x1ff : is_table ? elsewhere(edge(m)) : edge(m);
}

uint64_t encoding(struct maker *m)
{
    static const uint32_t hot[] = {
        VMCS_guest_rip, VMCS_guest_rsp, VMCS_guest_rflags, VMCS_guest_cr0, VMCS_guest_cr3, VMCS_guest_cr4, VMCS_exception_bitmap,
        VMCS_entry_interruption_information, VMCS_guest_interruptibility_state, VMCS_processor_based_controls,
        VMCS_guest_ia32_efer, VMCS_guest_ia32_pat, VMCS_guest_dr7, VMCS_tsc_offset, VMCS_host_rip, VMCS_host_cr0, VMCS_host_cr4,
        VMCS_cr0_guest_host_mask, VMCS_cr0_read_shadow, VMCS_cr4_guest_host_mask, VMCS_cr4_read_shadow,
        VMCS_vm_instruction_error, VMCS_exit_reason, VMCS_exit_qualification, VMCS_entry_controls,
    };
    const unsigned kind = below(m, 100);
    uint64_t e;

    if (kind < 35)
        return PICK(m, hot);
    if (kind < 98) {
        do
            e = vmcs_encoding((enum vmcs_field)below(m, VMCS_FIELD_COUNT));
        while (!exists(m, (uint32_t)e) && below(m, 20));
        return VMCS_ENCODING_WIDTH(e) == VMCS_WIDTH_64 && chance(m, 15) ? e | 1 : e;
    }
    return kind == 98 ? any(m) & 0x7fff : edge(m);
}

/* ---- L1 ---- */

static void write_field(struct maker *m)
{
    uint64_t e = encoding(m);

    if (e >> 32)
        e &= 0xffff;
    if (e == VMCS_exit_controls && chance(m, 80))
        return;
    LINE(m, vmwrite, e, e & 1 ? any(m) & 0xffff : value_for(m, (uint32_t)e));
}

static void read_exit(struct maker *m)
{
    static const uint32_t fields[] = {
        VMCS_exit_reason, VMCS_exit_qualification, VMCS_exit_interruption_information, VMCS_exit_interruption_error_code,
        VMCS_idt_vectoring_information, VMCS_idt_vectoring_error_code, VMCS_exit_instruction_length,
        VMCS_exit_instruction_information, VMCS_guest_linear_address, VMCS_guest_physical_address, VMCS_guest_rip,
        VMCS_guest_rflags, VMCS_guest_interruptibility_state, VMCS_guest_activity_state, VMCS_entry_interruption_information,
        VMCS_guest_pending_debug_exceptions,
    };
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (chance(m, 70))
            LINE(m, vmread, fields[i]);
}

/* So many in a hundred of all fields. */
static void read_fields(struct maker *m, unsigned percent)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (chance(m, percent) && exists(m, vmcs_encoding((enum vmcs_field)i)))
            LINE(m, vmread, vmcs_encoding((enum vmcs_field)i));
}

static uint64_t region(struct maker *m)
{
    static const uint64_t bad[] = { PLACE_VMXON, PLACE_VMCS + 8, PLACE_ABSENT, 1ull << 52, 0, 0xfee00000, ~0ull, PLACE_UNPREPARED,
                                    0x1800000, 0x8000000000 };
    return hostile(m) ? PICK(m, bad) : PLACE_VMCS + PAGE_SIZE * (uint64_t)below(m, VMCS_REGIONS);
}

static void toggle(struct maker *m)
{
    unsigned controls = 0, number;
    const struct control_word *word;

#define CONTROL(word, name, bit, text) controls++;
#include "arch/vmx_controls.def"
    for (unsigned tries = 0; tries < 20; tries++) {
        number = below(m, controls);
        const struct control_name *control = &control_table[number];
        const struct vmx_capability *c = capability(m);
        word = control->field == VMCS_pin_based_controls ? &c->pin : control->field == VMCS_processor_based_controls ? &c->proc
             : control->field == VMCS_exit_controls ? &c->exit : control->field == VMCS_entry_controls ? &c->entry : &c->proc2;
        if (control->field == VMCS_secondary_processor_based_controls && !exists(m, control->field))
            continue;
        if (hostile(m))
            break;
        if (!(word->allowed & ~word->required & control->mask) || !strcmp(control->name, "host_address_space_size") ||
            !strcmp(control->name, "ia32e_mode_guest"))
            continue;
        break;
    }
    if (chance(m, 60))
        LINE(m, set, number);
    else
        LINE(m, clear, number);
    if (control_table[number].field == VMCS_secondary_processor_based_controls && chance(m, 80))
        LINE(m, vmwrite, VMCS_processor_based_controls,
             field(m, VMCS_processor_based_controls) | PROC_activate_secondary_controls);
}

/* What a control needs, so that the entry is not refused for want of it. */
static void complete(struct maker *m)
{
    const uint64_t proc = field(m, VMCS_processor_based_controls), pin = field(m, VMCS_pin_based_controls);
    const uint64_t proc2 = proc & PROC_activate_secondary_controls ? field(m, VMCS_secondary_processor_based_controls) : 0;
    static const uint32_t if_ept[] = { VMCS_ept_pointer }, if_vpid[] = { VMCS_virtual_processor_identifier };

    if (!current(m))
        return;
    if (proc & PROC_use_io_bitmaps && !field(m, VMCS_io_bitmap_a_address)) {
        LINE(m, vmwrite, VMCS_io_bitmap_a_address, PLACE_IO_BITMAP);
        LINE(m, vmwrite, VMCS_io_bitmap_b_address, PLACE_IO_BITMAP + 0x1000);
    }
    if (proc & PROC_use_msr_bitmaps && !field(m, VMCS_msr_bitmap_address))
        LINE(m, vmwrite, VMCS_msr_bitmap_address, PLACE_MSR_BITMAP);
    if (proc & PROC_use_tpr_shadow && !field(m, VMCS_virtual_apic_address))
        LINE(m, vmwrite, VMCS_virtual_apic_address, PLACE_VIRTUAL_APIC);
    if (proc2 & PROC2_enable_ept && (field(m, VMCS_ept_pointer) & 0x3f) != 0x1e)
        LINE(m, vmwrite, if_ept[0], eptp(m));
    if (proc2 & PROC2_enable_vpid && !field(m, VMCS_virtual_processor_identifier))
        LINE(m, vmwrite, if_vpid[0], 1 + below(m, 4));
    if (proc2 & PROC2_unrestricted_guest && !(proc2 & PROC2_enable_ept))
        LINE(m, vmwrite, VMCS_secondary_processor_based_controls, proc2 & ~(uint64_t)PROC2_unrestricted_guest);
    if (pin & PIN_virtual_nmis && !(pin & PIN_nmi_exiting))
        LINE(m, vmwrite, VMCS_pin_based_controls, pin | PIN_nmi_exiting);
    if (proc & PROC_nmi_window_exiting && !(pin & PIN_virtual_nmis))
        LINE(m, vmwrite, VMCS_processor_based_controls, proc & ~(uint64_t)PROC_nmi_window_exiting);
    if (field(m, VMCS_exit_controls) & EXIT_save_preemption_timer && !(pin & PIN_activate_preemption_timer))
        LINE(m, vmwrite, VMCS_exit_controls, field(m, VMCS_exit_controls) & ~(uint64_t)EXIT_save_preemption_timer);
    if (pin & PIN_activate_preemption_timer && field(m, VMCS_preemption_timer_value) < 2)
        LINE(m, vmwrite, VMCS_preemption_timer_value, 0x100000);
    if (field(m, VMCS_entry_controls) & ENTRY_load_ia32_efer &&
        (field(m, VMCS_guest_ia32_efer) & (EFER_LMA | EFER_LME)) != (EFER_LMA | EFER_LME))
        LINE(m, vmwrite, VMCS_guest_ia32_efer, sane(m, VMCS_guest_ia32_efer));
    if (field(m, VMCS_exit_controls) & EXIT_load_ia32_efer &&
        (field(m, VMCS_host_ia32_efer) & (EFER_LMA | EFER_LME)) != (EFER_LMA | EFER_LME))
        LINE(m, vmwrite, VMCS_host_ia32_efer, sane(m, VMCS_host_ia32_efer));
}

static uint32_t msr(struct maker *m)
{
    static const uint32_t indices[] = {
#define MSR(name, index, kind) index,
#include "arch/msrs.def"
        0x12345, 0x1fff, 0x2000, 0xc0001fff, 0xc0002000, 0xbfffffff, 0x492, 0x493, 0x40000000,
    };
    return PICK(m, indices);
}

static void write_msr_areas(struct maker *m)
{
    static const uint32_t indices[] = {
        MSR_ia32_star, MSR_ia32_lstar, MSR_ia32_fmask, MSR_ia32_kernel_gs_base, MSR_ia32_sysenter_cs, MSR_ia32_sysenter_eip,
        MSR_ia32_pat, MSR_ia32_tsc_aux, MSR_ia32_cstar, MSR_ia32_misc_enable,
    };
    static const uint32_t fields[][2] = { { VMCS_exit_msr_store_address, VMCS_exit_msr_store_count },
                                          { VMCS_exit_msr_load_address, VMCS_exit_msr_load_count },
                                          { VMCS_entry_msr_load_address, VMCS_entry_msr_load_count } };
    const unsigned area = below(m, 3), entries = 1 + below(m, 3);
    const uint64_t base = PLACE_MSR_AREA + 0x1000ull * area;

    for (unsigned i = 0; i < entries; i++) {
        uint32_t index = PICK(m, indices);
        if (hostile(m))
            index = chance(m, 50) ? msr(m) : (uint32_t)edge(m);
        if (index == MSR_ia32_apic_base)
            index = MSR_ia32_star;
        LINE(m, write, base + 16 * i, 8, index | (hostile(m) && chance(m, 20) ? 1ull << 40 : 0));
        /* Over the core bit 34 of IA32_MISC_ENABLE is out of reach (hv/msrs.def). */
        LINE(m, write, base + 16 * i + 8, 8, index == MSR_ia32_pat ? pat(m) : hostile(m) && index != MSR_ia32_misc_enable ? edge(m)
                                                                            : canonical(m) & 0xffffffff);
    }
    LINE(m, vmwrite, fields[area][0], !hostile(m) ? base : chance(m, 20) ? PLACE_ABSENT : edge(m));
    LINE(m, vmwrite, fields[area][1], hostile(m) ? edge(m) & 0x1ff : entries);
}

static void write_bitmap(struct maker *m)
{
    switch (below(m, 4)) {
    case 0:
        LINE(m, fill, PLACE_MSR_BITMAP + PAGE_SIZE * below(m, 12), chance(m, 70) ? 0 : chance(m, 50) ? 0xff : below(m, 256));
        break;
    case 1: LINE(m, fill, PLACE_MSR_BITMAP, chance(m, 80) ? 0 : 0xff); break;
    default: LINE(m, write, PLACE_MSR_BITMAP + below(m, 0x4000), 1, any(m) & 0xff); break;
    }
}

/* Rights that go without INVEPT would be seen sooner here than there; both are right. */
static void change_ept(struct maker *m)
{
    const unsigned number = below(m, EPT_ROOTS);
    const uint64_t root = PLACE_EPT + EPT_DISTANCE * (uint64_t)number;
    static const uint64_t pages[] = { PLACE_DATA, PLACE_DATA + 0x1000, PLACE_DATA + 0x2000, PLACE_DATA + 0x3000, PLACE_IDT,
                                      PLACE_GUEST_RIP, 0x300000, PLACE_MSR_BITMAP };
    static const uint64_t targets[] = { PLACE_DATA + 0x4000, PLACE_DATA + 0x5000, PLACE_DATA, PLACE_DATA + 0x7000 };
    const uint64_t gpa = PICK(m, pages);

    switch (below(m, 4)) {
    case 0: LINE(m, ept_map, root, gpa, PICK(m, targets), below(m, 8)); break;
    case 1: LINE(m, ept_map, root, gpa, gpa, chance(m, 60) ? 7 : below(m, 8)); break;
    case 2: LINE(m, ept_unmap, root, gpa); break;
    default:
        if (hostile(m) || chance(m, 20))
            LINE(m, ept_entry, root, gpa, (PICK(m, targets)) | (any(m) & 0xfff & ~0x80u));
        else
            LINE(m, ept_map, root, gpa, PICK(m, targets), 7);
        break;
    }
    if (chance(m, 50))
        LINE(m, invept, 1, root | 0x1e);
    else
        LINE(m, invept, 2, 0);
}

static void prepare_vmcs(struct maker *m, bool ept)
{
    if (ept)
        LINE(m, prepare_vmcs, (PLACE_EPT + EPT_DISTANCE * (uint64_t)below(m, EPT_ROOTS)));
    else
        LINE(m, prepare_vmcs);
    if (chance(m, 50))                      /* many intercepts at once, but for those that let L2 do nothing */
        LINE(m, vmwrite, VMCS_processor_based_controls,
             (field(m, VMCS_processor_based_controls) | (any(m) & capability(m)->proc.allowed)) &
                 ~(uint64_t)(PROC_monitor_trap_flag | PROC_nmi_window_exiting | PROC_interrupt_window_exiting));
    for (unsigned i = below(m, 4); i; i--)
        toggle(m);
    for (unsigned i = below(m, 4); i; i--)
        write_field(m);
    complete(m);
}

static void enter(struct maker *m)
{
    bool launched = current(m) && current(m)->launch_state == LAUNCH_LAUNCHED;

    if (chance(m, 95))
        complete(m);
    if (chance(m, 3))
        launched = !launched;
    if (current(m) && field(m, VMCS_entry_interruption_information) & INTERRUPTION_VALID && field(m, VMCS_guest_pending_debug_exceptions))
        LINE(m, vmwrite, VMCS_guest_pending_debug_exceptions, 0);
    if (launched)
        LINE(m, vmresume);
    else
        LINE(m, vmlaunch);
    if (over(m) || level(m) == 2)
        return;
    if (chance(m, 60))
        read_exit(m);
    LINE(m, vmread, VMCS_vm_instruction_error);
    if (!over(m) && current(m) && m->lane->run.outcome.statement && chance(m, 75))
        prepare_vmcs(m, chance(m, 50));
}

static uint64_t cr_value(struct maker *m, unsigned cr)
{
    const struct cpu *c = cpu(m);

    if (hostile(m))
        return elsewhere(edge(m));
    switch (cr) {
    case 0: return c->cr0 ^ (any(m) & any(m) & CR0_FREE);
    case 3: return chance(m, 90) ? PLACE_PML4 : PLACE_PML4 | 0x18;
    case 4: return c->cr4 ^ (any(m) & any(m) & CR4_FREE);
    default: return below(m, 16);
    }
}

static uint64_t address(struct maker *m)
{
    static const uint64_t places[] = { PLACE_DATA, PLACE_DATA + 0x1000, PLACE_DATA + 0x2000, PLACE_DATA + 0x3000, 0x300000 };
    static const uint64_t bad[] = { 0x800000000000, 0xffff800000000000, 0x100000000, PLACE_DATA + 0xffc };
    return (hostile(m) ? PICK(m, bad) : PICK(m, places)) + 8 * below(m, 8);
}

/* Instructions of either level. */
static void sensitive(struct maker *m)
{
    static const uint8_t vectors[] = { 0, 1, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 19 };
    static const uint64_t crs[] = { 0, 3, 4, 8 };
    static const uint64_t leaves[] = { 0, 1, 2, 4, 6, 7, 0xb, 0xd, 0x15, 0x80000000, 0x80000001, 0x80000008, 0x40000000, 0x17 };
    static const uint64_t ports[] = { 0x80, 0x3f9, 0x7ff, 0x1234, 0x8000, 0xffff, 0x7fff };
    uint64_t number = PICK(m, crs), vector = PICK(m, vectors);
    uint32_t index = msr(m);

    switch (below(m, 40)) {
    case 0: case 1: case 2: LINE(m, cpuid, PICK(m, leaves), below(m, 3)); break;
    case 3: case 4: case 5: LINE(m, rdmsr, index); break;
    case 6: case 7:
        if (index != MSR_ia32_apic_base && index != MSR_ia32_tsc_deadline)
            LINE(m, wrmsr, index, index == MSR_ia32_pat ? pat(m) : index == MSR_ia32_efer ? sane(m, VMCS_host_ia32_efer)
                 /* Over the core bit 34 is out of reach (hv/msrs.def). */
                 : index == MSR_ia32_misc_enable ? value_for(m, VMCS_guest_rsp) & 0xffffffff : value_for(m, VMCS_guest_rsp));
        break;
    case 8: case 9: LINE(m, in, PICK(m, ports), 1ull << below(m, 3)); break;
    case 10: LINE(m, out, 0x80 + below(m, 2), 1, below(m, 256)); break;
    case 11: case 12: LINE(m, mov_to_cr, number, cr_value(m, (unsigned)number)); break;
    case 13: case 14: LINE(m, mov_from_cr, number); break;
    case 15: LINE(m, clts); break;
    case 16: LINE(m, lmsw, 1 | below(m, 16)); break;
    case 17: LINE(m, smsw); break;
    case 18: number = below(m, 8); LINE(m, mov_to_dr, number, number >= 6 ? 0x400 : canonical(m)); break;
    case 19: LINE(m, mov_from_dr, below(m, 8)); break;
    case 20: LINE(m, rdtsc); break;
    case 21: LINE(m, rdtscp); break;
    case 22: LINE(m, invlpg, address(m)); break;
    case 23: LINE(m, invpcid, below(m, 5), 0, address(m)); break;
    case 24: if (chance(m, 50)) LINE(m, invd); else LINE(m, wbinvd); break;
    case 25: LINE(m, xsetbv, hostile(m) ? 1 : 0, hostile(m) ? edge(m) : 1 | below(m, 4)); break;
    case 26: LINE(m, pause); break;
    case 27: if (chance(m, 50)) LINE(m, rdrand); else LINE(m, rdseed); break;
    case 28: if (chance(m, 50)) LINE(m, sgdt); else LINE(m, sidt); break;
    case 29: if (chance(m, 50)) LINE(m, sldt); else LINE(m, str); break;
    case 30: if (chance(m, 50)) LINE(m, getsec, 0); else LINE(m, rsm); break;
    case 31: case 32:
        if (has_code(vector))
            LINE(m, raise, vector, below(m, 0x100));
        else
            LINE(m, raise, vector);
        break;
    case 33: LINE(m, int, below(m, 256)); break;
    case 34: LINE(m, sti); break;
    case 35: if (chance(m, 50)) LINE(m, cli); else LINE(m, mov_ss); break;
    case 36: LINE(m, rdpmc, below(m, 4)); break;
    case 37: if (chance(m, 50)) LINE(m, monitor, address(m)); else LINE(m, mwait); break;
    default: LINE(m, register, below(m, 16), any(m)); break;
    }
}

static void access(struct maker *m)
{
    switch (below(m, 5)) {
    case 0: LINE(m, fetch, address(m)); break;
    case 1: case 2: LINE(m, read, address(m), 1ull << below(m, 4)); break;
    default: LINE(m, write, address(m), 1ull << below(m, 4), any(m)); break;
    }
}

/* Not at the first instruction behind a SIPI, nor while an NMI waits (differences.def, init and nmi_at_init). */
static void init(struct maker *m)
{
    if (cpu(m)->rip && !cpu(m)->nmi_pending)
        LINE(m, init);
}

static void signal(struct maker *m)
{
    switch (below(m, 8)) {
    case 0: case 1: case 2: LINE(m, interrupt, 0x20 + below(m, 0xe0)); break;
    case 3: case 4: LINE(m, nmi); break;
    case 5: if (chance(m, 30)) init(m); else if (chance(m, 30)) LINE(m, sipi, 0x30 + below(m, 0x10)); break;
    default: LINE(m, time, 1ull << below(m, 25)); break;
    }
}

static void invalidate(struct maker *m)
{
    if (chance(m, 50))
        LINE(m, invept, hostile(m) ? below(m, 5) : 1 + below(m, 2), eptp(m));
    else
        LINE(m, invvpid, hostile(m) ? below(m, 6) : below(m, 4), below(m, 5), hostile(m) ? edge(m) : address(m));
}

static void start_vmx(struct maker *m)
{
    LINE(m, vmxon, hostile(m) ? region(m) : PLACE_VMXON);
}

static void choose_vmcs(struct maker *m)
{
    const uint64_t at = region(m);
    bool fresh = chance(m, 40);

    if (fresh)
        LINE(m, vmclear, at);
    LINE(m, vmptrld, at);
    if (!over(m) && current(m) && (fresh || !field(m, VMCS_guest_cr0)) && chance(m, 85))
        prepare_vmcs(m, chance(m, 50));
}

/* L1 begins anew behind an INIT, mostly in the mode in which it was. */
static void restart(struct maker *m)
{
    LINE(m, sipi, 0x30 + below(m, 0x10));
    if (!over(m) && chance(m, 80)) {
        LINE(m, mode, MODE_long);
        LINE(m, prepare_vmx);
    }
}

static void turn_l1(struct maker *m)
{
    if (!cpu(m)->vmx.operation) {
        if (chance(m, 75))
            start_vmx(m);
        else if (chance(m, 25))
            init(m);
        else
            sensitive(m);
        return;
    }
    if (!current(m) && chance(m, 85)) {
        choose_vmcs(m);
        return;
    }
    switch (below(m, 100)) {
    case 0 ... 37: enter(m); break;
    case 38 ... 44: LINE(m, vmread, encoding(m)); break;
    case 45 ... 53: write_field(m); break;
    case 54 ... 58: toggle(m); break;
    case 59 ... 62:
        LINE(m, vmwrite, VMCS_entry_interruption_information, interruption(m));
        LINE(m, vmwrite, VMCS_entry_exception_error_code, below(m, 0x8000));
        LINE(m, vmwrite, VMCS_entry_instruction_length, 1 + below(m, 15));
        break;
    case 63 ... 65: write_bitmap(m); break;
    case 66 ... 68: write_msr_areas(m); break;
    case 69 ... 73: choose_vmcs(m); break;
    case 74: LINE(m, vmclear, region(m)); break;
    case 75: try_operands(m); break;
    case 76 ... 78: invalidate(m); break;
    case 79 ... 82: change_ept(m); break;
    case 83 ... 88: sensitive(m); break;
    case 89 ... 91: signal(m); break;
    case 92 ... 93: access(m); break;
    case 94 ... 96: if (current(m)) LINE(m, advance); break;
    case 97: if (chance(m, 20)) LINE(m, vmcall); else if (chance(m, 20)) start_vmx(m); break;
    case 98: read_fields(m, 20); break;
    default: LINE(m, vmxoff); break;
    }
}

/* ---- L2 ---- */

static void turn_l2(struct maker *m)
{
    switch (below(m, 100)) {
    case 0 ... 54: sensitive(m); break;
    case 55 ... 69: access(m); break;
    case 70 ... 77: signal(m); break;
    case 78 ... 80: if (chance(m, 70)) LINE(m, hlt); break;
    case 81 ... 88: LINE(m, vmcall); break;
    case 89: LINE(m, vmread, encoding(m)); break;
    case 90: LINE(m, vmwrite, encoding(m), edge(m)); break;
    case 91: LINE(m, vmptrld, region(m)); break;
    case 92: LINE(m, invept, 1, edge(m)); break;
    case 93: if (chance(m, 50)) LINE(m, vmxoff); else LINE(m, vmlaunch); break;
    case 94: LINE(m, cpl, chance(m, 50) ? 3 : 0); break;
    case 95: LINE(m, vmfunc, 0, 0); break;
    default: LINE(m, cpuid, below(m, 8), 0); break;
    }
    if (!over(m) && level(m) == 1 && chance(m, 60))
        read_exit(m);
}

/* ---- a whole program ---- */

/* As `prepare ept` would, but for the lowest 16 MB alone: nothing else is there to be used. */
static void prepare_ept(struct maker *m, uint64_t root)
{
    enum { RIGHTS = 7, LARGE = 0x80 | MEMORY_WB << 3, LARGE_PAGE = 2 << 20 };

    LINE(m, write, root, 8, (root + PAGE_SIZE) | RIGHTS);
    LINE(m, write, root + PAGE_SIZE, 8, (root + 2 * PAGE_SIZE) | RIGHTS);
    for (unsigned i = 0; i < 8; i++)
        LINE(m, write, root + 2 * PAGE_SIZE + 8 * i, 8, (uint64_t)i * LARGE_PAGE | RIGHTS | LARGE);
}

static void begin(struct maker *m)
{
    const unsigned regions = 1 + below(m, VMCS_REGIONS);
    const bool ept = chance(m, 60);

    LINE(m, cpu, 1);                            /* an INIT of the bootstrap processor would need firmware to go on with */
    LINE(m, prepare_vmx);
    LINE(m, prepare_region, PLACE_VMXON);
    for (unsigned i = 0; i < VMCS_REGIONS; i++)
        LINE(m, prepare_region, (PLACE_VMCS + PAGE_SIZE * (uint64_t)i));
    if (hostile(m))
        LINE(m, write, PLACE_VMCS + PAGE_SIZE * (uint64_t)below(m, VMCS_REGIONS), 4, edge(m));
    if (hostile(m))
        LINE(m, prepare_region, (PLACE_VMCS + PAGE_SIZE * (uint64_t)below(m, VMCS_REGIONS)), 1);
    for (unsigned i = 0; i < EPT_ROOTS && ept; i++)
        prepare_ept(m, PLACE_EPT + EPT_DISTANCE * (uint64_t)i);
    LINE(m, vmxon, PLACE_VMXON);
    for (unsigned i = 0; i < regions && i < 3; i++) {
        LINE(m, vmclear, (PLACE_VMCS + PAGE_SIZE * (uint64_t)i));
        LINE(m, vmptrld, (PLACE_VMCS + PAGE_SIZE * (uint64_t)i));
        if (!over(m) && current(m))
            prepare_vmcs(m, ept && chance(m, 70));
    }
}

/* L1 looks at what it has. */
static void finish(struct maker *m)
{
    if (!over(m) && level(m) == 2)
        LINE(m, vmcall);
    for (unsigned i = 0; i < VMCS_REGIONS && !over(m) && level(m) == 1 && cpu(m)->vmx.operation; i++) {
        if (i && chance(m, 80))
            continue;
        if (i)
            LINE(m, vmptrld, (PLACE_VMCS + PAGE_SIZE * (uint64_t)i));
        if (!over(m) && current(m))
            read_fields(m, chance(m, 25) ? 100 : 20);
    }
    if (!over(m) && level(m) == 1 && chance(m, 50))
        LINE(m, vmxoff);
}

enum profile_number profile_of(uint64_t number)
{
    static const enum profile_number profiles[] = { PROFILE_haswell, PROFILE_skylake, PROFILE_icelake, PROFILE_max };

    return profiles[number % 4];
}

void generate(struct lane *reference, uint64_t seed, uint64_t number, struct story *story, struct statistics *statistics)
{
    static const unsigned hostilities[] = { 0, 1, 3, 8, 25 };
    struct maker maker = {
        .lane = reference, .story = story, .statistics = statistics,
        .random = { .state = seed * 0x9e3779b97f4a7c15 ^ number * 0xd1342543de82ef95 },
    }, *m = &maker;

    m->hostility = PICK(m, hostilities);
    m->latest.item[SEEN_level] = 1;
    story_start(story, reference->profile);
    begin(m);
    for (unsigned turns = 12 + below(m, 84); turns && !over(m); turns--) {
        if (cpu(m)->activity == ACTIVITY_WAIT_FOR_SIPI && level(m) == 1 && chance(m, 60))
            restart(m);
        else if (cpu(m)->activity == ACTIVITY_HLT || cpu(m)->activity == ACTIVITY_WAIT_FOR_SIPI)
            signal(m);
        else if (level(m) == 2)
            turn_l2(m);
        else
            turn_l1(m);
    }
    finish(m);
    statistics->programs++;
    statistics->reached_l2 += m->reached_l2;
}
