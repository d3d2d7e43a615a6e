/* SPDX-License-Identifier: MIT */
/*
 * Lines for what a scenario is not about. Each is done by instructions and stores of the actor, so that a native L0 and
 * the sanitizer see the same as from guest code.
 */
#include <inttypes.h>
#include <string.h>

#include "emu/scenario/run.h"
#include "model/vmx/capability.h"

enum { LARGE_PAGE = 2 << 20, ENTRIES = 512, DIRECTORIES = 4, EPT_SPLITS = 2 + DIRECTORIES };
enum { EPT_DEFAULT = MEMORY_WB << 3 };
#define EPT_MAPPED (DIRECTORIES * 1ull << 30)
#define EPT_ADDRESS 0x000ffffffffff000ull
#define BASIC_TRUE_CONTROLS (1ull << 55)        /* IA32_VMX_BASIC: SDM Vol. 3, A.1 */

/* A step of a preparation did not succeed. What is unusual about it is left to expectations, or to the next line. */
static bool undone(struct run *run, const char *what)
{
    if (*run->error->text)
        return false;
    if (run->outcome.unusual & ~UNUSUAL_FAIL)
        return true;
    return run_fail(run, "the preparation stopped: %s did not succeed", what);
}

/* ---- VMX ---- */

static bool prepare_vmx(struct run *run)
{
    uint64_t control;
    if (!instruction_rdmsr(run, MSR_ia32_feature_control, &control))
        return undone(run, "RDMSR of IA32_FEATURE_CONTROL");
    if (!(control & FEATURE_CONTROL_LOCK) &&
        !instruction_plain(run, OP_wrmsr, MSR_ia32_feature_control,
                           control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX))
        return undone(run, "WRMSR of IA32_FEATURE_CONTROL");
    if (!instruction_plain(run, OP_mov_from_cr, 0, 0) ||
        !instruction_plain(run, OP_mov_to_cr, 0, run->outcome.value | CR0_NE))
        return undone(run, "MOV to CR0");
    if (!instruction_plain(run, OP_mov_from_cr, 4, 0) ||
        !instruction_plain(run, OP_mov_to_cr, 4, run->outcome.value | CR4_VMXE))
        return undone(run, "MOV to CR4");
    return true;
}

static bool prepare_region(struct run *run, const struct statement *s)
{
    uint64_t basic;
    if (!instruction_rdmsr(run, MSR_ia32_vmx_basic, &basic))
        return undone(run, "RDMSR of IA32_VMX_BASIC");
    uint32_t identifier = ((uint32_t)basic & ~VMCS_SHADOW_INDICATOR) | (s->operand[1] ? VMCS_SHADOW_INDICATOR : 0);
    return memory_store(run, s->operand[0], &identifier, sizeof identifier) || undone(run, "the store to the region");
}

/* The least that a control word may hold: SDM Vol. 3, A.2. */
static bool least_controls(struct run *run, uint32_t msr, uint32_t true_msr, uint32_t *value)
{
    uint64_t basic, word = 0;
    bool good = instruction_rdmsr(run, MSR_ia32_vmx_basic, &basic) &&
                instruction_rdmsr(run, basic & BASIC_TRUE_CONTROLS ? true_msr : msr, &word);
    *value = (uint32_t)word;
    return good;
}

struct field_value {
    uint32_t field;
    uint64_t value;
};

/* Outside 64-bit mode operands have 32 bits, and fields of 64 bits two halves (SDM Vol. 3, 25.11.2). */
static bool write_fields(struct run *run, const struct field_value *field, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const bool halves = !cpu_64bit(run->cpu) && VMCS_ENCODING_WIDTH(field[i].field) == VMCS_WIDTH_64;
        if (!instruction_vmwrite(run, field[i].field, field[i].value) ||
            (halves && !instruction_vmwrite(run, field[i].field + 1, field[i].value >> 32)))
            return false;
    }
    return true;
}
#define WRITE_FIELDS(run, table) write_fields(run, table, sizeof table / sizeof table[0])

static bool write_controls(struct run *run, const struct statement *s)
{
    uint32_t pin, proc, exit, entry;
    if (!least_controls(run, MSR_ia32_vmx_pinbased_ctls, MSR_ia32_vmx_true_pinbased_ctls, &pin) ||
        !least_controls(run, MSR_ia32_vmx_procbased_ctls, MSR_ia32_vmx_true_procbased_ctls, &proc) ||
        !least_controls(run, MSR_ia32_vmx_exit_ctls, MSR_ia32_vmx_true_exit_ctls, &exit) ||
        !least_controls(run, MSR_ia32_vmx_entry_ctls, MSR_ia32_vmx_true_entry_ctls, &entry))
        return false;
    const bool ept = s->given & 1, wide = cpu_64bit(run->cpu);
    const struct field_value controls[] = {
        { VMCS_pin_based_controls, pin },
        { VMCS_processor_based_controls, proc | (ept ? PROC_activate_secondary_controls : 0) },
        { VMCS_exit_controls, exit | (wide ? EXIT_host_address_space_size : 0) },
        { VMCS_entry_controls, entry | (wide ? ENTRY_ia32e_mode_guest : 0) },
        { VMCS_vmcs_link_pointer, ~0ull },
    };
    const struct field_value second[] = {
        { VMCS_secondary_processor_based_controls, PROC2_enable_ept },
        { VMCS_ept_pointer, s->operand[0] | MEMORY_WB | 3 << 3 },
    };
    return WRITE_FIELDS(run, controls) && (!ept || WRITE_FIELDS(run, second));
}

/* The host state of the actor: what it has now. */
static bool write_host(struct run *run)
{
    const struct cpu *cpu = run->cpu;
    uint64_t cr0, cr3, cr4;
    if (!instruction_plain(run, OP_mov_from_cr, 0, 0))
        return false;
    cr0 = run->outcome.value;
    if (!instruction_plain(run, OP_mov_from_cr, 3, 0))
        return false;
    cr3 = run->outcome.value;
    if (!instruction_plain(run, OP_mov_from_cr, 4, 0))
        return false;
    cr4 = run->outcome.value;
    const struct field_value host[] = {
        { VMCS_host_cr0, cr0 }, { VMCS_host_cr3, cr3 }, { VMCS_host_cr4, cr4 },
        { VMCS_host_es_selector, SELECTOR_DATA }, { VMCS_host_cs_selector, SELECTOR_CODE },
        { VMCS_host_ss_selector, SELECTOR_DATA }, { VMCS_host_ds_selector, SELECTOR_DATA },
        { VMCS_host_fs_selector, SELECTOR_DATA }, { VMCS_host_gs_selector, SELECTOR_DATA },
        { VMCS_host_tr_selector, SELECTOR_TSS }, { VMCS_host_tr_base, cpu->seg[SEG_TR].base },
        { VMCS_host_gdtr_base, cpu->gdtr.base }, { VMCS_host_idtr_base, cpu->idtr.base },
        { VMCS_host_rip, PLACE_HOST_RIP }, { VMCS_host_rsp, PLACE_HOST_RSP },
    };
    const struct field_value control_registers[] = {
        { VMCS_guest_cr0, cr0 }, { VMCS_guest_cr3, cr3 }, { VMCS_guest_cr4, cr4 },
    };
    const struct field_value pdptes[] = {       /* what PAE paging with EPT takes from the VMCS */
        { VMCS_guest_pdpte0, cpu->pdpte[0] }, { VMCS_guest_pdpte1, cpu->pdpte[1] },
        { VMCS_guest_pdpte2, cpu->pdpte[2] }, { VMCS_guest_pdpte3, cpu->pdpte[3] },
    };
    const bool pae = cr4 & CR4_PAE && !cpu_long_mode(cpu);
    return WRITE_FIELDS(run, host) && WRITE_FIELDS(run, control_registers) && (!pae || WRITE_FIELDS(run, pdptes));
}

static bool write_guest(struct run *run)
{
    const struct cpu *cpu = run->cpu;
    const uint32_t data = 0x3 | AR_S | AR_PRESENT | AR_DB | AR_G, code = 0xb | AR_S | AR_PRESENT | AR_G | (cpu_64bit(cpu) ? AR_L : AR_DB);
    const struct field_value guest[] = {
        { VMCS_guest_es_selector, SELECTOR_DATA }, { VMCS_guest_cs_selector, SELECTOR_CODE },
        { VMCS_guest_ss_selector, SELECTOR_DATA }, { VMCS_guest_ds_selector, SELECTOR_DATA },
        { VMCS_guest_fs_selector, SELECTOR_DATA }, { VMCS_guest_gs_selector, SELECTOR_DATA },
        { VMCS_guest_tr_selector, SELECTOR_TSS },
        { VMCS_guest_es_limit, 0xffffffff }, { VMCS_guest_cs_limit, 0xffffffff }, { VMCS_guest_ss_limit, 0xffffffff },
        { VMCS_guest_ds_limit, 0xffffffff }, { VMCS_guest_fs_limit, 0xffffffff }, { VMCS_guest_gs_limit, 0xffffffff },
        { VMCS_guest_tr_limit, TSS_LIMIT },
        { VMCS_guest_es_access_rights, data }, { VMCS_guest_cs_access_rights, code },
        { VMCS_guest_ss_access_rights, data }, { VMCS_guest_ds_access_rights, data },
        { VMCS_guest_fs_access_rights, data }, { VMCS_guest_gs_access_rights, data },
        { VMCS_guest_ldtr_access_rights, AR_UNUSABLE }, { VMCS_guest_tr_access_rights, 0xb | AR_PRESENT },
        { VMCS_guest_tr_base, cpu->seg[SEG_TR].base },
        { VMCS_guest_gdtr_base, cpu->gdtr.base }, { VMCS_guest_gdtr_limit, GDT_LIMIT },
        { VMCS_guest_idtr_base, cpu->idtr.base }, { VMCS_guest_idtr_limit, IDT_LIMIT },
        { VMCS_guest_rip, PLACE_GUEST_RIP }, { VMCS_guest_rsp, PLACE_GUEST_RSP },
        { VMCS_guest_rflags, RFLAGS_FIXED }, { VMCS_guest_dr7, 0x400 },
    };
    return WRITE_FIELDS(run, guest);
}

static bool prepare_vmcs(struct run *run, const struct statement *s)
{
    return (write_controls(run, s) && write_host(run) && write_guest(run)) || undone(run, "VMWRITE or RDMSR");
}

static bool change_control(struct run *run, const struct statement *s)
{
    const struct control_name *control = &control_table[s->operand[0]];
    uint64_t value;
    if (!instruction_vmread(run, control->field, &value))
        return undone(run, "VMREAD of the control");
    value = s->op == OP_set ? value | control->mask : value & ~(uint64_t)control->mask;
    return instruction_vmwrite(run, control->field, value) || undone(run, "VMWRITE of the control");
}

static bool advance(struct run *run)
{
    uint64_t rip, length;
    if (!instruction_vmread(run, VMCS_guest_rip, &rip) ||
        !instruction_vmread(run, VMCS_exit_instruction_length, &length) ||
        !instruction_vmwrite(run, VMCS_guest_rip, rip + length))
        return undone(run, "VMREAD or VMWRITE");
    return true;
}

/* ---- EPT ---- */

static bool store_entry(struct run *run, uint64_t address, uint64_t value)
{
    return memory_store(run, address, &value, sizeof value);
}

static bool prepare_ept(struct run *run, const struct statement *s)
{
    uint64_t root = s->operand[0], pdpt = root + PAGE_SIZE, pd = pdpt + PAGE_SIZE;
    bool good = store_entry(run, root, pdpt | EPT_RIGHTS);
    for (uint64_t i = 0; good && i < DIRECTORIES; i++)
        good = store_entry(run, pdpt + 8 * i, (pd + PAGE_SIZE * i) | EPT_RIGHTS);
    for (uint64_t i = 0; good && i < DIRECTORIES * ENTRIES; i++)
        good = store_entry(run, pd + 8 * i, i * LARGE_PAGE | EPT_RIGHTS | EPT_DEFAULT | EPT_LARGE);
    return good || undone(run, "a store to the EPT tables");
}

/* Address of the 4 KB entry for `gpa`; a 2 MB page is split first. */
static bool leaf(struct run *run, uint64_t root, uint64_t gpa, uint64_t *address)
{
    uint64_t region = gpa / LARGE_PAGE, directory = root + 2 * PAGE_SIZE + 8 * region, entry;
    uint64_t table = root + EPT_SPLITS * PAGE_SIZE + region * PAGE_SIZE;

    if (!memory_load(run, directory, &entry, sizeof entry))
        return false;
    if (entry & EPT_LARGE) {
        uint64_t base = entry & EPT_ADDRESS & ~(LARGE_PAGE - 1ull), flags = entry & ~EPT_ADDRESS & ~EPT_LARGE;
        for (uint64_t i = 0; i < ENTRIES; i++)
            if (!store_entry(run, table + 8 * i, (base + i * PAGE_SIZE) | flags))
                return false;
        if (!store_entry(run, directory, table | EPT_RIGHTS))
            return false;
    } else {
        table = entry & EPT_ADDRESS;
    }
    *address = table + 8 * (gpa / PAGE_SIZE % ENTRIES);
    return true;
}

static bool change_ept(struct run *run, const struct statement *s)
{
    uint64_t root = s->operand[0], gpa = s->operand[1], address, value = 0;
    if (gpa >= EPT_MAPPED)
        return run_fail(run, "`prepare ept` maps 4 GB only");
    if (s->op == OP_ept_map)
        value = (s->operand[2] & PAGE_MASK) | s->operand[3] | EPT_DEFAULT;
    else if (s->op == OP_ept_entry)
        value = s->operand[2];
    return (leaf(run, root, gpa, &address) && store_entry(run, address, value)) ||
           undone(run, "an access to the EPT tables");
}

/* ---- the rest ---- */

static bool fill(struct run *run, const struct statement *s)
{
    uint8_t page[PAGE_SIZE];
    memset(page, (int)s->operand[1], sizeof page);
    return memory_store(run, s->operand[0] & PAGE_MASK, page, sizeof page) || undone(run, "a store");
}

/* Outside 64-bit mode RIP has 32 bits: no processor has more, and VM entries refuse it (27.3.1.4). */
static bool rip_possible(struct run *run, uint64_t rip, bool mode_64bit)
{
    return mode_64bit || !(rip >> 32) || run_fail(run, "RIP is above 4 GB, where only 64-bit mode can be");
}

static bool set_register(struct run *run, const struct statement *s)
{
    uint64_t number = s->operand[0], value = s->operand[1];

    if (number == REGISTER_RIP && !rip_possible(run, value, cpu_64bit(run->cpu)))
        return false;
    if (number == REGISTER_RIP)
        run->cpu->rip = value;
    else if (number == REGISTER_RFLAGS)
        run->cpu->rflags = RFLAGS_FIXED |
                           (value & (RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_AC));
    else
        run->cpu->gpr[number] = value;
    return true;
}

static bool set_segment(struct run *run, const struct statement *s)
{
    struct segment *segment = &run->cpu->seg[s->operand[0]];

    if (s->operand[0] == SEG_CS && !rip_possible(run, run->cpu->rip, cpu_long_mode(run->cpu) && s->operand[3] & AR_L))
        return false;
    *segment = (struct segment){ .selector = segment->selector, .base = s->operand[1], .limit = (uint32_t)s->operand[2],
                                 .access_rights = (uint32_t)s->operand[3] };
    return true;
}

static bool set_operand(struct run *run, const struct statement *s)
{
    if (s->given & 2 && s->operand[1] > SEG_GS)
        return run_fail(run, "no operand lies in a system segment");
    run->operand.given = true;
    run->operand.offset = s->operand[0];
    run->operand.segment = s->given & 2 ? (enum segment_register)s->operand[1] : SEG_DS;
    return true;
}

bool prepare_line(struct run *run, const struct statement *s)
{
    switch (s->op) {
    case OP_prepare_vmx:
        return prepare_vmx(run);
    case OP_prepare_region:
        return prepare_region(run, s);
    case OP_prepare_vmcs:
        return prepare_vmcs(run, s);
    case OP_prepare_ept:
        return prepare_ept(run, s);
    case OP_ept_map:
    case OP_ept_unmap:
    case OP_ept_entry:
        return change_ept(run, s);
    case OP_fill:
        return fill(run, s);
    case OP_set:
    case OP_clear:
        return change_control(run, s);
    case OP_advance:
        return advance(run);
    case OP_register:
        return set_register(run, s);
    case OP_cpl:
        environment_set_cpl(run->cpu, (unsigned)s->operand[0]);
        return true;
    case OP_mode:
        if (!rip_possible(run, run->cpu->rip, s->operand[0] == MODE_long))
            return false;
        environment_set_mode(run->cpu, (enum script_mode)s->operand[0]);
        return true;
    case OP_segment:
        return set_segment(run, s);
    case OP_operand:
        return set_operand(run, s);
    default:
        return run_fail(run, "this line is not implemented");
    }
}
