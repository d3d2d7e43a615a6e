/* SPDX-License-Identifier: MIT */
/* See exits.h. The guest shares the memory of the program that runs it; only pages with rights of their own are different in EPT. */
#include "tests/exits/exits.h"

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"

int world_enter(uint64_t *gpr, _Bool launch);
void guest_host_state(void);
const char *vmx_start(void);
uint32_t vmcs_revision(void);

enum { EPT_ALL = 7, WRITE_BACK = 6 << 3, EPTP = 6 | 3 << 3, UNUSABLE = 0x10000 };
_Alignas(4096) static uint8_t vmcs[4096], msr_bitmap[4096], io_bitmaps[2][4096];
_Alignas(4096) static uint64_t ept[4][512];
static uint32_t pin, proc, proc2, exception_bitmap;
static uint64_t cr0_mask, cr4_mask, shadow0, shadow4;
static unsigned page_fault_mask, page_fault_match;

#define PROC(name) (1u << name)
enum { HLT = 7, INVLPG = 9, RDPMC = 11, RDTSC = 12, CR3_LOAD = 15, CR3_STORE = 16, CR8_LOAD = 19, CR8_STORE = 20, MOV_DR = 23, PORTS = 24, IO_BITMAPS = 25,
       MSR_BITMAPS = 28, SECONDARY = 31 };
enum { USE_EPT = 1, DESCRIPTOR_TABLES = 2, WITH_RDTSCP = 3, USE_VPID = 5, WBINVD = 6, UNRESTRICTED = 7, WITH_INVPCID = 12 };

void guest_open(void)
{
    const char *missing = vmx_start();

    if (missing) {
        print("exits: this processor lacks %s\n", missing);
        quit(1);
    }
    harness_cr4 |= CR4_VMXE;
    ept[0][0] = (uintptr_t)ept[1] | EPT_ALL;
    ept[1][0] = (uintptr_t)ept[2] | EPT_ALL;
    ept[2][0] = (uintptr_t)ept[3] | EPT_ALL;
    for (uint64_t i = 1; i < 512; i++)
        ept[2][i] = i << 21 | EPT_LARGE | WRITE_BACK | EPT_ALL;
}

static void random_bits(struct program *p, uint8_t *page)
{
    for (unsigned i = 0; i < 4096; i += 8)
        *(uint64_t *)(page + i) = random64(p) & random64(p);
}

void guest_controls(struct program *p)
{
    static const uint8_t bits[] = { HLT, INVLPG, RDPMC, RDTSC, CR3_LOAD, CR3_STORE, CR8_LOAD, CR8_STORE, MOV_DR, PORTS, IO_BITMAPS, MSR_BITMAPS };
    static const uint8_t secondary[] = { DESCRIPTOR_TABLES, WITH_RDTSCP, USE_VPID, WBINVD, WITH_INVPCID };

    pin = 0;
    proc = PROC(SECONDARY);
    for (unsigned i = 0; i < sizeof bits; i++)
        proc |= chance(p, 35) ? PROC(bits[i]) : 0;
    proc2 = 0;
    for (unsigned i = 0; i < sizeof secondary; i++)
        proc2 |= chance(p, 40) ? 1u << secondary[i] : 0;
    proc2 |= chance(p, 60) ? 1u << USE_EPT | (chance(p, 50) ? 1u << UNRESTRICTED : 0) : 0;
    exception_bitmap = chance(p, 50) ? ~0u : (uint32_t)random64(p) | 1u << 1 | 1u << 3 | 1u << 8 | 1u << 14;
    page_fault_mask = page_fault_match = chance(p, 60) ? 0 : 1u << 4;   /* all of them, or fetches: else a handler that cannot be fetched never ends */
    cr0_mask = random64(p) & 0xe005003f, cr4_mask = random64(p) & 0x37ffff;
    shadow0 = random64(p) & 0xe005003f, shadow4 = random64(p) & 0x37ffff;
    if (chance(p, 50))
        cr0_mask = cr4_mask = 0;
    random_bits(p, msr_bitmap);
    random_bits(p, io_bitmaps[0]);
    for (uint64_t i = 0; i < 512; i++)
        ept[3][i] = i << 12 | WRITE_BACK | EPT_ALL;
    for (unsigned i = PAGE_RIGHTS; i <= PAGE_RIGHTS_LAST; i++)
        if (chance(p, 50))
            ept[3][(uintptr_t)window[i] >> 12] &= ~7ull | (unsigned[]){ 0, 1, 3, 5, 4, 7 }[below(p, 6)];
    /* The handlers' gates lead to the landing page: an exception that does not exit ends with INT3, which does. */
    for (unsigned i = 0; i < 32; i++) {
        uint64_t *gate = (uint64_t *)window[PAGE_IDT] + (p->mode == MODE_LONG ? 2 : 1) * i;
        if (i != 3 && (*gate >> 40 & 0x1f) != 5)
            *gate = (*gate & 0x0000ffffffff0000) | (WINDOW_AT(PAGE_LANDING) & 0xffff) | (uint64_t)(WINDOW_AT(PAGE_LANDING) >> 16) << 48;
    }
}

void guest_grant(uint64_t address)
{
    struct invalidation all = { 0, 0 };

    if (address < 0x200000)
        ept[3][address >> 12] |= EPT_ALL;
    __asm__ volatile("invept %0, %1\n invvpid %0, %1" : : "m"(all), "r"(2ul) : "cc", "memory");
}

static void control(uint32_t field, uint32_t msr, uint32_t wanted)
{
    uint64_t allowed = rdmsr(msr);

    vmwrite(field, (wanted | (uint32_t)allowed) & (uint32_t)(allowed >> 32));
}

/* Selector, limit, rights, base: of the same segment the fields are two apart. */
static void put_segment(unsigned number, uint16_t selector, uint32_t limit, uint32_t rights, uint64_t base)
{
    vmwrite(VMCS_guest_es_selector + 2 * number, selector);
    vmwrite(VMCS_guest_es_limit + 2 * number, limit);
    vmwrite(VMCS_guest_es_access_rights + 2 * number, rights);
    vmwrite(VMCS_guest_es_base + 2 * number, base);
}

/* From the GDT of the program, as loading it would. */
static void put_descriptor(unsigned number, uint16_t selector)
{
    uint64_t d = *(const uint64_t *)(window[PAGE_GDT] + (selector & 0xfff8));
    uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));

    if (!(selector & 0xfffc)) {
        put_segment(number, selector, 0, UNUSABLE, 0);
        return;
    }
    if (d >> 55 & 1)
        limit = limit << 12 | 0xfff;
    put_segment(number, selector, limit, (uint32_t)(d >> 40 & 0xf0ff) | (number == SEG_TR ? 2 : 0), (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000));
}

static void put_segments(const struct program *p, const struct start *s)
{
    const uint16_t selectors[] = { [SEG_ES] = (uint16_t)s->segment[1], [SEG_CS] = (uint16_t)s->frame[1], [SEG_SS] = (uint16_t)s->frame[4],
                                   [SEG_DS] = (uint16_t)s->segment[0], [SEG_FS] = (uint16_t)s->segment[2], [SEG_GS] = (uint16_t)s->segment[3] };

    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        if (p->virtual_8086)
            put_segment(i, selectors[i], 0xffff, 0xf3, (uint64_t)selectors[i] << 4);
        else
            put_descriptor(i, selectors[i]);
    }
    put_descriptor(SEG_LDTR, (uint16_t)s->ldtr);
    put_descriptor(SEG_TR, (uint16_t)s->tr);
}

void guest_load(const struct program *p, const struct start *s)
{
    int is_long = p->mode == MODE_LONG;

    vmclear((uintptr_t)vmcs);
    *(uint32_t *)vmcs = vmcs_revision();
    vmptrld((uintptr_t)vmcs);
    guest_host_state();
    vmwrite(VMCS_host_ia32_pat, 0x0007040600070406);
    control(VMCS_pin_based_controls, MSR_ia32_vmx_true_pinbased_ctls, pin);
    control(VMCS_processor_based_controls, MSR_ia32_vmx_true_procbased_ctls, proc);
    control(VMCS_secondary_processor_based_controls, MSR_ia32_vmx_procbased_ctls2, proc2);
    control(VMCS_exit_controls, MSR_ia32_vmx_true_exit_ctls,
            EXIT_host_address_space_size | EXIT_load_ia32_efer | EXIT_save_ia32_efer | EXIT_save_debug_controls | EXIT_load_ia32_pat | EXIT_save_ia32_pat);
    control(VMCS_entry_controls, MSR_ia32_vmx_true_entry_ctls, ENTRY_load_ia32_efer | ENTRY_load_debug_controls | ENTRY_load_ia32_pat |
            (is_long ? ENTRY_ia32e_mode_guest : 0));
    vmwrite(VMCS_exception_bitmap, exception_bitmap);
    vmwrite(VMCS_page_fault_error_code_mask, page_fault_mask);
    vmwrite(VMCS_page_fault_error_code_match, page_fault_match);
    vmwrite(VMCS_msr_bitmap_address, (uintptr_t)msr_bitmap);
    vmwrite(VMCS_io_bitmap_a_address, (uintptr_t)io_bitmaps[0]);
    vmwrite(VMCS_io_bitmap_b_address, (uintptr_t)io_bitmaps[1]);
    vmwrite(VMCS_cr0_guest_host_mask, cr0_mask);
    vmwrite(VMCS_cr4_guest_host_mask, cr4_mask);
    vmwrite(VMCS_cr0_read_shadow, shadow0);
    vmwrite(VMCS_cr4_read_shadow, shadow4);
    vmwrite(VMCS_cr3_target_count, 0);
    vmwrite(VMCS_virtual_processor_identifier, 1);
    vmwrite(VMCS_ept_pointer, (uintptr_t)ept[0] | EPTP);
    vmwrite(VMCS_exit_msr_store_count, 0);
    vmwrite(VMCS_exit_msr_load_count, 0);
    vmwrite(VMCS_entry_msr_load_count, 0);
    vmwrite(VMCS_entry_interruption_information, 0);
    vmwrite(VMCS_vmcs_link_pointer, ~0ull);
    put_segments(p, s);
    vmwrite(VMCS_guest_cr0, s->cr0);
    vmwrite(VMCS_guest_cr3, s->cr3);
    vmwrite(VMCS_guest_cr4, s->cr4 | CR4_VMXE);
    for (unsigned i = 0; i < 4 && p->mode == MODE_PAE && proc2 >> USE_EPT & 1; i++)
        vmwrite(VMCS_guest_pdpte0 + 2 * i, ((const uint64_t *)(uintptr_t)s->cr3)[i]);
    vmwrite(VMCS_guest_ia32_efer, is_long ? 0xd01 : 0x801);
    vmwrite(VMCS_guest_ia32_pat, 0x0007040600070406);
    vmwrite(VMCS_guest_ia32_debugctl, 0);
    vmwrite(VMCS_guest_ia32_sysenter_cs, rdmsr(0x174));
    vmwrite(VMCS_guest_ia32_sysenter_esp, rdmsr(0x175));
    vmwrite(VMCS_guest_ia32_sysenter_eip, rdmsr(0x176));
    vmwrite(VMCS_guest_dr7, s->dr7 | 0x400);
    vmwrite(VMCS_guest_rip, s->frame[0]);
    vmwrite(VMCS_guest_rsp, s->frame[3]);
    vmwrite(VMCS_guest_rflags, s->frame[2]);
    vmwrite(VMCS_guest_gdtr_base, s->gdtr.base);
    vmwrite(VMCS_guest_gdtr_limit, s->gdtr.limit);
    vmwrite(VMCS_guest_idtr_base, s->idtr.base);
    vmwrite(VMCS_guest_idtr_limit, s->idtr.limit);
    vmwrite(VMCS_guest_activity_state, 0);
    vmwrite(VMCS_guest_interruptibility_state, 0);
    vmwrite(VMCS_guest_pending_debug_exceptions, 0);
    __asm__ volatile("mov %0, %%dr0\n mov %1, %%dr1\n mov %2, %%dr2\n mov %3, %%dr3" : : "r"(s->dr[0]), "r"(s->dr[1]), "r"(s->dr[2]), "r"(s->dr[3]));
    guest_grant(~0ull);
}

vmx_result guest_run(uint64_t gpr[16], int launch)
{
    int result = world_enter(gpr, launch);

    return !result ? 0 : result == -1 ? VMX_INVALID : (vmx_result)vmread(VMCS_vm_instruction_error);
}
