/* SPDX-License-Identifier: MIT */
/* Making a guest: EPT, controls, host state, and the two kinds of guest state. See guest.h. */
#include "scenarios/guests/lib/guest.h"

#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"

/* IA32_VMX_EPT_VPID_CAP: SDM Vol. 3, A.10. */
#define EPT_CAP_WALK_4 (1u << 6)
#define EPT_CAP_WRITE_BACK (1u << 14)
#define EPT_CAP_INVEPT (1u << 20)
#define EPT_CAP_INVEPT_SINGLE (1u << 25)
#define EPT_CAP_INVVPID (1ull << 32)
#define VMX_BASIC_TRUE_CONTROLS (1ull << 55)

enum { EPT_WRITE_BACK = 6 << 3, EPTP_WRITE_BACK_WALK_4 = 6 | 3 << 3, PAGING_ENTRY = 3, PAGING_LARGE = 0x83 };

int world_enter(uint64_t *gpr, bool launch);
extern const uint8_t world_exit[];

uint64_t ept_entry(const void *page, uint64_t rights)
{
    return (uintptr_t)page | EPT_WRITE_BACK | rights;
}

uint64_t *guest_ept_entry(struct guest *guest, uint64_t address)
{
    return &guest->ept[3][address / PAGE % (PAGE / 8)];
}

vmx_result guest_invept(struct guest *guest)
{
    bool single = rdmsr(MSR_ia32_vmx_ept_vpid_cap) & EPT_CAP_INVEPT_SINGLE;
    return invept(single ? INVEPT_SINGLE_CONTEXT : INVEPT_ALL_CONTEXT, guest->eptp);
}

vmx_result guest_enter(struct guest *guest)
{
    int result = world_enter(guest->gpr, !guest->launched);

    if (result)
        return result == -1 ? VMX_INVALID : (vmx_result)vmread(VMCS_vm_instruction_error);
    if (!(vmread(VMCS_exit_reason) & EXIT_REASON_ENTRY_FAILURE))
        guest->launched = true;
    return 0;
}

/* A control word as this processor can have it (SDM Vol. 3, A.3): bits 31:0 of the MSR must be 1, bits 63:32 may be. */
static bool control(uint32_t field, uint32_t msr, uint32_t wanted)
{
    uint64_t allowed = rdmsr(msr);
    uint32_t value = (wanted | (uint32_t)allowed) & (uint32_t)(allowed >> 32);

    vmwrite(field, value);
    return !(wanted & ~value);
}

/* IA32_EFER is switched by controls where they are offered; elsewhere by "IA-32e mode guest" alone (27.3.2.1). */
static uint32_t offered(uint32_t msr, uint32_t bits)
{
    return bits & (uint32_t)(rdmsr(msr) >> 32);
}

static const char *set_controls(const struct controls *controls)
{
    uint32_t distance = rdmsr(MSR_ia32_vmx_basic) & VMX_BASIC_TRUE_CONTROLS
                      ? MSR_ia32_vmx_true_pinbased_ctls - MSR_ia32_vmx_pinbased_ctls : 0;
    uint64_t ept = rdmsr(MSR_ia32_vmx_ept_vpid_cap);
    uint32_t exit = controls->exit | offered(MSR_ia32_vmx_exit_ctls + distance,
                                             EXIT_load_ia32_efer | EXIT_save_ia32_efer);
    uint32_t entry = controls->entry | offered(MSR_ia32_vmx_entry_ctls + distance, ENTRY_load_ia32_efer);

    if (!control(VMCS_pin_based_controls, MSR_ia32_vmx_pinbased_ctls + distance, controls->pin))
        return "pin-based controls";
    if (!control(VMCS_processor_based_controls, MSR_ia32_vmx_procbased_ctls + distance,
                 controls->proc | PROC_activate_secondary_controls))
        return "primary processor-based controls";
    if (!control(VMCS_secondary_processor_based_controls, MSR_ia32_vmx_procbased_ctls2,
                 controls->proc2 | PROC2_enable_ept | PROC2_enable_vpid))
        return "secondary processor-based controls";
    if (sizeof(void *) == 8)
        exit |= EXIT_host_address_space_size;
    if (!control(VMCS_exit_controls, MSR_ia32_vmx_exit_ctls + distance, exit))
        return "VM-exit controls";
    if (!control(VMCS_entry_controls, MSR_ia32_vmx_entry_ctls + distance, entry))
        return "VM-entry controls";
    if (~ept & (EPT_CAP_WALK_4 | EPT_CAP_WRITE_BACK | EPT_CAP_INVEPT | EPT_CAP_INVVPID))
        return "EPT of 4 levels in write-back memory with INVEPT and INVVPID";
    return NULL;
}

void guest_host_state(void)
{
    uint16_t selector;

    vmwrite(VMCS_host_cr0, read_cr0());
    vmwrite(VMCS_host_cr3, read_cr3());
    vmwrite(VMCS_host_cr4, read_cr4());
    __asm__("mov %%cs, %0" : "=r"(selector));
    vmwrite(VMCS_host_cs_selector, selector);
    __asm__("mov %%ss, %0" : "=r"(selector));
    vmwrite(VMCS_host_ss_selector, selector);
    vmwrite(VMCS_host_ds_selector, selector);
    vmwrite(VMCS_host_es_selector, selector);
    vmwrite(VMCS_host_fs_selector, selector);
    vmwrite(VMCS_host_gs_selector, selector);
    __asm__("str %0" : "=r"(selector));
    vmwrite(VMCS_host_tr_selector, selector);
    vmwrite(VMCS_host_fs_base, rdmsr(MSR_ia32_fs_base));
    vmwrite(VMCS_host_gs_base, rdmsr(MSR_ia32_gs_base));
    vmwrite(VMCS_host_tr_base, 0);      /* no stack is switched: the TSS is never read */
    vmwrite(VMCS_host_gdtr_base, store_gdtr().base);
    vmwrite(VMCS_host_idtr_base, store_idtr().base);
    vmwrite(VMCS_host_ia32_efer, rdmsr(MSR_ia32_efer));
    vmwrite(VMCS_host_rip, (uintptr_t)world_exit);
}

const char *guest_create(struct guest *guest, uint16_t vpid, const struct controls *controls, const uint8_t *start,
                         const uint8_t *end)
{
    const char *missing;

    memset(guest, 0, sizeof(*guest));
    memcpy(guest->memory + GUEST_CODE, start, (size_t)(end - start));
    for (unsigned level = 0; level < EPT_TABLES - 1; level++)
        guest->ept[level][0] = (uintptr_t)guest->ept[level + 1] | EPT_RIGHTS;
    for (unsigned page = 0; page < GUEST_PAGES; page++)
        guest->ept[3][page] = ept_entry(guest->memory + page * PAGE, EPT_RIGHTS);
    guest->eptp = (uintptr_t)guest->ept[0] | EPTP_WRITE_BACK_WALK_4;
    guest->vpid = vpid;

    *(uint32_t *)guest->vmcs = vmcs_revision();
    if (vmclear((uintptr_t)guest->vmcs) || vmptrld((uintptr_t)guest->vmcs))
        return "VMCLEAR and VMPTRLD";
    missing = set_controls(controls);
    if (missing)
        return missing;
    vmwrite(VMCS_ept_pointer, guest->eptp);
    vmwrite(VMCS_virtual_processor_identifier, vpid);
    vmwrite(VMCS_exception_bitmap, 0);
    vmwrite(VMCS_page_fault_error_code_mask, 0);
    vmwrite(VMCS_page_fault_error_code_match, 0);
    vmwrite(VMCS_cr3_target_count, 0);
    vmwrite(VMCS_exit_msr_store_count, 0);
    vmwrite(VMCS_exit_msr_load_count, 0);
    vmwrite(VMCS_entry_msr_load_count, 0);
    vmwrite(VMCS_entry_interruption_information, 0);
    vmwrite(VMCS_cr0_guest_host_mask, 0);
    vmwrite(VMCS_cr0_read_shadow, 0);
    vmwrite(VMCS_cr4_guest_host_mask, CR4_VMXE);    /* must stay 1 in VMX operation; the guest sees 0 */
    vmwrite(VMCS_cr4_read_shadow, 0);
    guest_host_state();
    return NULL;
}

struct segment_state { uint16_t selector; uint32_t limit, access_rights; uint64_t base; };

/* The fields of the eight segment registers are two apart, in the order of enum segment_register. */
static void set_segment(enum segment_register segment, struct segment_state state)
{
    unsigned distance = 2 * segment;

    vmwrite(VMCS_guest_es_selector + distance, state.selector);
    vmwrite(VMCS_guest_es_limit + distance, state.limit);
    vmwrite(VMCS_guest_es_access_rights + distance, state.access_rights);
    vmwrite(VMCS_guest_es_base + distance, state.base);
}

/* What both modes have in common. */
static void set_common_state(uint64_t cr0)
{
    vmwrite(VMCS_guest_cr0, cr0);
    vmwrite(VMCS_guest_rip, GUEST_CODE);
    vmwrite(VMCS_guest_rsp, GUEST_STACK);
    vmwrite(VMCS_guest_rflags, RFLAGS_FIXED);
    vmwrite(VMCS_guest_dr7, 0x400);
    vmwrite(VMCS_guest_gdtr_base, GUEST_GDT);
    vmwrite(VMCS_guest_idtr_base, 0);
    vmwrite(VMCS_guest_ia32_sysenter_cs, 0);
    vmwrite(VMCS_guest_ia32_sysenter_esp, 0);
    vmwrite(VMCS_guest_ia32_sysenter_eip, 0);
    vmwrite(VMCS_guest_ia32_debugctl, 0);
    vmwrite(VMCS_guest_interruptibility_state, 0);
    vmwrite(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
    vmwrite(VMCS_guest_pending_debug_exceptions, 0);
    vmwrite(VMCS_vmcs_link_pointer, ~0ull);
    set_segment(SEG_LDTR, (struct segment_state){ .access_rights = AR_UNUSABLE });
}

void guest_long_mode(struct guest *guest)
{
    uint64_t *gdt = (uint64_t *)(guest->memory + GUEST_GDT);
    const uint32_t code = AR_G | AR_L | AR_PRESENT | AR_S | 11, data = AR_G | AR_DB | AR_PRESENT | AR_S | 3;

    if (read_cr4() & CR4_LA57) {
        *(uint64_t *)(guest->memory + GUEST_ROOT) = GUEST_PML4 | PAGING_ENTRY;
        *(uint64_t *)(guest->memory + GUEST_PML4) = GUEST_PDPT | PAGING_ENTRY;
    } else {
        *(uint64_t *)(guest->memory + GUEST_ROOT) = GUEST_PDPT | PAGING_ENTRY;
    }
    *(uint64_t *)(guest->memory + GUEST_PDPT) = GUEST_PD | PAGING_ENTRY;
    *(uint64_t *)(guest->memory + GUEST_PD) = PAGING_LARGE;
    gdt[GUEST_CS / 8] = 0x00af9b000000ffffull;
    gdt[GUEST_SS / 8] = 0x00cf93000000ffffull;
    set_common_state(read_cr0());
    vmwrite(VMCS_guest_cr3, GUEST_ROOT);
    vmwrite(VMCS_guest_cr4, read_cr4());
    vmwrite(VMCS_guest_ia32_efer, EFER_LME | EFER_LMA);
    vmwrite(VMCS_guest_gdtr_limit, GUEST_TR - 1);
    vmwrite(VMCS_guest_idtr_base, GUEST_IDT);
    vmwrite(VMCS_guest_idtr_limit, PAGE - 1);
    for (enum segment_register s = SEG_ES; s <= SEG_GS; s++)
        set_segment(s, (struct segment_state){ GUEST_SS, ~0u, data, 0 });
    set_segment(SEG_CS, (struct segment_state){ GUEST_CS, ~0u, code, 0 });
    set_segment(SEG_TR, (struct segment_state){ GUEST_TR, 0x67, AR_PRESENT | 11, GUEST_TSS });
}

/*
 * Two address spaces, roots GUEST_ROOT and GUEST_ROOT_2: the lowest memory one to one, and at GUEST_WINDOW one page, of the
 * same name and not of the same place: GUEST_PAGE_1 or GUEST_PAGE_2.
 */
static void guest_map(struct guest *guest, enum guest_paging paging)
{
    enum { ENTRY = 7, PDPTE = 1 };          /* present, writable, user; PDPTEs have no such rights */
    uint8_t *memory = guest->memory;

    if (paging == GUEST_PAGING_PAE) {
        uint64_t *root = (uint64_t *)(memory + GUEST_ROOT), *root2 = (uint64_t *)(memory + GUEST_ROOT_PAE_2);
        root[0] = root2[0] = GUEST_LOW_TABLE | PDPTE;
        root[GUEST_WINDOW >> 30] = root2[3] = GUEST_DIRECTORY_1 | PDPTE;     /* the last two are there to be looked at */
        root2[GUEST_WINDOW >> 30] = root[2] = GUEST_DIRECTORY_2 | PDPTE;
        *(uint64_t *)(memory + GUEST_LOW_TABLE) = ENTRY | PAGING_LARGE;
        *(uint64_t *)(memory + GUEST_DIRECTORY_1) = GUEST_TABLE_1 | ENTRY;
        *(uint64_t *)(memory + GUEST_DIRECTORY_2) = GUEST_TABLE_2 | ENTRY;
        *(uint64_t *)(memory + GUEST_TABLE_1) = GUEST_PAGE_1 | ENTRY;
        *(uint64_t *)(memory + GUEST_TABLE_2) = GUEST_PAGE_2 | ENTRY;
        return;
    }
    uint32_t *root = (uint32_t *)(memory + GUEST_ROOT), *root2 = (uint32_t *)(memory + GUEST_DIRECTORY_2);
    root[0] = root2[0] = GUEST_LOW_TABLE | ENTRY;
    root[GUEST_WINDOW >> 22] = GUEST_TABLE_1 | ENTRY;
    root2[GUEST_WINDOW >> 22] = GUEST_TABLE_2 | ENTRY;
    for (uint32_t page = 0; page < GUEST_PAGES; page++)
        ((uint32_t *)(memory + GUEST_LOW_TABLE))[page] = page * PAGE | ENTRY;
    *(uint32_t *)(memory + GUEST_TABLE_1) = GUEST_PAGE_1 | ENTRY;
    *(uint32_t *)(memory + GUEST_TABLE_2) = GUEST_PAGE_2 | ENTRY;
}

void guest_real_mode(void)
{
    const uint32_t code = AR_PRESENT | AR_S | 11, data = AR_PRESENT | AR_S | 3;

    set_common_state((rdmsr(MSR_ia32_vmx_cr0_fixed0) & ~(CR0_PE | CR0_PG)) | CR0_ET);
    vmwrite(VMCS_guest_cr3, 0);
    vmwrite(VMCS_guest_cr4, rdmsr(MSR_ia32_vmx_cr4_fixed0));
    vmwrite(VMCS_guest_ia32_efer, 0);
    vmwrite(VMCS_guest_rip, 0);         /* at CS:0 */
    vmwrite(VMCS_guest_gdtr_limit, 0xffff);
    vmwrite(VMCS_guest_idtr_limit, 0x3ff);
    for (enum segment_register s = SEG_ES; s <= SEG_GS; s++)
        set_segment(s, (struct segment_state){ 0, 0xffff, data, 0 });
    set_segment(SEG_CS, (struct segment_state){ GUEST_CODE >> 4, 0xffff, code, GUEST_CODE });
    set_segment(SEG_TR, (struct segment_state){ 0, 0xffff, AR_PRESENT | 11, 0 });
}

void guest_protected_mode(struct guest *guest, enum guest_paging paging, bool on)
{
    const uint32_t code = AR_G | AR_DB | AR_PRESENT | AR_S | 11, data = AR_G | AR_DB | AR_PRESENT | AR_S | 3;
    uint64_t *gdt = (uint64_t *)(guest->memory + GUEST_GDT), cr0 = rdmsr(MSR_ia32_vmx_cr0_fixed0) | CR0_ET;

    gdt[GUEST_CS / 8] = 0x00cf9b000000ffffull;
    gdt[GUEST_SS / 8] = 0x00cf93000000ffffull;
    guest_map(guest, paging);
    set_common_state(on ? cr0 : cr0 & ~(uint64_t)CR0_PG);
    vmwrite(VMCS_guest_cr3, on ? GUEST_ROOT : 0);
    vmwrite(VMCS_guest_cr4, rdmsr(MSR_ia32_vmx_cr4_fixed0) | (on && paging == GUEST_PAGING_PAE ? CR4_PAE : 0));
    vmwrite(VMCS_guest_ia32_efer, 0);
    vmwrite(VMCS_guest_gdtr_limit, GUEST_TR - 1);
    vmwrite(VMCS_guest_idtr_base, GUEST_IDT);
    vmwrite(VMCS_guest_idtr_limit, PAGE - 1);
    for (unsigned i = 0; i < 4 && paging == GUEST_PAGING_PAE; i++)
        vmwrite(VMCS_guest_pdpte0 + 2 * i, ((uint64_t *)(guest->memory + GUEST_ROOT))[i]);
    for (enum segment_register s = SEG_ES; s <= SEG_GS; s++)
        set_segment(s, (struct segment_state){ GUEST_SS, ~0u, data, 0 });
    set_segment(SEG_CS, (struct segment_state){ GUEST_CS, ~0u, code, 0 });
    set_segment(SEG_TR, (struct segment_state){ GUEST_TR, 0x67, AR_PRESENT | 11, GUEST_TSS });
}

void guest_gate32(struct guest *guest, unsigned vector, uint32_t handler)
{
    *(uint64_t *)(guest->memory + GUEST_IDT + 8 * vector) =
        (handler & 0xffff) | GUEST_CS << 16 | 0x8eull << 40 | (uint64_t)(handler >> 16) << 48;
}

void guest_gate(struct guest *guest, unsigned vector, uint64_t handler)
{
    uint64_t *gate = (uint64_t *)(guest->memory + GUEST_IDT + 16 * vector);

    gate[0] = (handler & 0xffff) | GUEST_CS << 16 | 0x8eull << 40 | (handler >> 16 & 0xffff) << 48;
    gate[1] = handler >> 32;
}
