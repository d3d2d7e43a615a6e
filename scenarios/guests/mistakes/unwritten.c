/* SPDX-License-Identifier: MIT */
/* Fields that take effect and were never written, where VM entry does not mind; controls that were written and have no effect. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

extern const uint8_t halts[], halts_end[], pushes[], pushes_end[];
__asm__(".pushsection .rodata\n"
        "halts: hlt\n   jmp halts\nhalts_end:\n"
        "pushes: pushq $1\n   hlt\npushes_end:\n"
        ".popsection");

static struct guest *const guest = &guest_of_mistakes;
static _Alignas(PAGE) uint8_t region[PAGE];

static const struct { uint32_t encoding; const char *exists; } fields[] = {
#define FIELD(name, encoding, exists) { encoding, #exists },
#include "arch/vmcs_fields.def"
};
enum { FIELDS = sizeof fields / sizeof fields[0], NO_FIELD = 1 };

/* Those that every processor has, and those that guest_create() writes. */
static bool is_there(unsigned i)
{
    return VMCS_ENCODING_TYPE(fields[i].encoding) != VMCS_TYPE_EXIT_INFORMATION &&
           ((fields[i].exists[0] == 'A' && fields[i].exists[1] == 'L') || fields[i].encoding == VMCS_secondary_processor_based_controls ||
            fields[i].encoding == VMCS_ept_pointer || fields[i].encoding == VMCS_virtual_processor_identifier ||
            fields[i].encoding == VMCS_guest_ia32_efer || fields[i].encoding == VMCS_host_ia32_efer);
}

/* All of the guest's VMCS is written into another region, but for one field. */
static void start_without(uint32_t forgotten)
{
    static uint64_t value[FIELDS];

    start_guest(halts, halts_end);
    for (unsigned i = 0; i < FIELDS; i++)
        value[i] = is_there(i) ? vmread(fields[i].encoding) : 0;
    must(vmclear((uintptr_t)guest->vmcs) == 0, "VMCLEAR");
    *(uint32_t *)region = vmcs_revision();
    must(vmclear((uintptr_t)region) == 0 && vmptrld((uintptr_t)region) == 0, "VMCLEAR and VMPTRLD");
    for (unsigned i = 0; i < FIELDS; i++)
        if (value[i] && fields[i].encoding != forgotten)
            vmwrite(fields[i].encoding, value[i]);
}

static void add(uint32_t field, uint64_t bits) { vmwrite(field, vmread(field) | bits); }

static void run(void)
{
    guest_enter(guest);
    vmclear((uintptr_t)region);
    vmxoff();
}

static void with_control(uint32_t field, uint64_t bits)
{
    start_without(NO_FIELD);
    add(field, bits);
    run();
}

static void io_bitmaps(void) { with_control(VMCS_processor_based_controls, PROC_use_io_bitmaps); }
static void msr_bitmap(void) { with_control(VMCS_processor_based_controls, PROC_use_msr_bitmaps); }
static void virtual_apic(void) { with_control(VMCS_processor_based_controls, PROC_use_tpr_shadow); }
static void timer_value(void) { with_control(VMCS_pin_based_controls, PIN_activate_preemption_timer); }
static void guest_pat(void) { with_control(VMCS_entry_controls, ENTRY_load_ia32_pat); }
static void host_pat(void) { with_control(VMCS_exit_controls, EXIT_load_ia32_pat); }
static void msr_store_area(void) { with_control(VMCS_exit_msr_store_count, 1); }

/* As they ought to be: nothing is to be told. */
static void all_written(void)
{
    static _Alignas(PAGE) uint8_t page[PAGE];

    start_without(NO_FIELD);
    add(VMCS_processor_based_controls, PROC_use_msr_bitmaps | PROC_use_io_bitmaps);
    vmwrite(VMCS_msr_bitmap_address, (uintptr_t)page);
    vmwrite(VMCS_io_bitmap_a_address, (uintptr_t)page);
    vmwrite(VMCS_io_bitmap_b_address, (uintptr_t)page);
    run();
}

static void secondary_not_activated(void)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) & ~(uint64_t)PROC_activate_secondary_controls);
    run();
}

static void ept_not_enabled(void)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_secondary_processor_based_controls, PROC2_enable_vpid);
    run();
}

/* ---- fields whose control is 0 ---- */

static _Alignas(PAGE) uint8_t page_of_bits[PAGE];

static void with_field(uint32_t field, uint64_t value)
{
    start_without(NO_FIELD);
    vmwrite(field, value);
    run();
}

static void io_bitmaps_only(void)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_io_bitmap_b_address, (uintptr_t)page_of_bits);
    vmwrite(VMCS_io_bitmap_a_address, (uintptr_t)page_of_bits);
    run();
}

static void msr_bitmap_only(void) { with_field(VMCS_msr_bitmap_address, (uintptr_t)page_of_bits); }
static void tsc_offset_only(void) { with_field(VMCS_tsc_offset, -1000ull); }
static void timer_value_only(void) { with_field(VMCS_preemption_timer_value, 1000); }
static void virtual_apic_only(void) { with_field(VMCS_virtual_apic_address, (uintptr_t)page_of_bits); }
static void msr_area_only(void) { with_field(VMCS_entry_msr_load_address, (uintptr_t)page_of_bits); }
static void nmi_as_exception(void) { with_field(VMCS_exception_bitmap, 1u << VECTOR_NMI | 1u << VECTOR_UD); }
static void all_exceptions(void) { with_field(VMCS_exception_bitmap, 0xffffffff); }
static void vpid_only(void)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_secondary_processor_based_controls, vmread(VMCS_secondary_processor_based_controls) & ~(uint64_t)PROC2_enable_vpid);
    vmwrite(VMCS_virtual_processor_identifier, 7);
    run();
}

static void read_shadow_only(void) { with_field(VMCS_cr0_read_shadow, CR0_PE); }

/* The whole of CR0 is the hypervisor's, and what the guest is to read was left at 0; and with a read shadow that says what is so. */
static void hide_cr0(uint64_t shadow)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_cr0_guest_host_mask, ~0ull);
    vmwrite(VMCS_cr0_read_shadow, shadow);
    run();
}
static void protection_hidden(void) { hide_cr0(0); }
static void cr0_shadowed(void) { hide_cr0(CR0_PE); }

static void cet_only(void) { with_field(VMCS_host_ia32_s_cet, 0x1000); }

/* A count of 0 that is written is meant. */
static void msr_area_of_none(void)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_exit_msr_load_count, 0);
    vmwrite(VMCS_exit_msr_load_address, (uintptr_t)page_of_bits);
    run();
}

static void guest_efer_only(void)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_entry_controls, vmread(VMCS_entry_controls) & ~(uint64_t)ENTRY_load_ia32_efer);
    vmwrite(VMCS_guest_ia32_efer, rdmsr(MSR_ia32_efer) ^ EFER_SCE);
    run();
}

/* DR7 without its control: another one than the hypervisor's, and the same. */
static void without_debug_controls(uint64_t dr7)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_entry_controls, vmread(VMCS_entry_controls) & ~(uint64_t)ENTRY_load_debug_controls);
    vmwrite(VMCS_guest_dr7, dr7);
    run();
}
static void dr7_only(void) { without_debug_controls(0x401); }
static void dr7_same(void) { without_debug_controls(0x400); }

/* VM exits do not load it. */
static void host_efer_only(void)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_exit_controls, vmread(VMCS_exit_controls) & ~(uint64_t)EXIT_load_ia32_efer);
    vmwrite(VMCS_host_ia32_efer, rdmsr(MSR_ia32_efer) ^ EFER_SCE);
    run();
}

/* What the guest has anyhow. */
static void guest_efer_same(void)
{
    start_without(NO_FIELD);
    vmwrite(VMCS_entry_controls, vmread(VMCS_entry_controls) & ~(uint64_t)ENTRY_load_ia32_efer);
    run();
}

/* ---- what an exit or entry loads ---- */

static __attribute__((noinline)) void uses_segment(void) { __asm__ volatile("movq %%gs:-4096, %%rax" : : : "rax"); }

static void host_gs_base(void)
{
    start_without(VMCS_host_gs_base);
    guest_enter(guest);
    uses_segment();
}

/* No wrapper that sets it. */
static void host_rsp(void)
{
    extern const uint8_t exit_pushes[];
    start_without(VMCS_host_rsp);
    vmwrite(VMCS_host_rip, (uintptr_t)exit_pushes);
    __asm__ volatile("vmlaunch\nexit_pushes: pushq %%rax\n ud2" : : : "memory");
}

static void guest_rsp(void)
{
    start_without(VMCS_guest_rsp);
    memcpy(guest->memory + GUEST_CODE, pushes, (size_t)(pushes_end - pushes));
    run();
}

const struct mistake mistakes_of_unwritten_fields[] = {
    { "io-bitmaps-unwritten", io_bitmaps }, { "msr-bitmap-unwritten", msr_bitmap }, { "virtual-apic-unwritten", virtual_apic },
    { "timer-value-unwritten", timer_value }, { "guest-pat-unwritten", guest_pat }, { "host-pat-unwritten", host_pat },
    { "msr-store-area-unwritten", msr_store_area }, { "all-fields-written", all_written },
    { "secondary-not-activated", secondary_not_activated }, { "ept-not-enabled", ept_not_enabled },
    { "io-bitmaps-only", io_bitmaps_only }, { "msr-bitmap-only", msr_bitmap_only }, { "tsc-offset-only", tsc_offset_only },
    { "timer-value-only", timer_value_only }, { "virtual-apic-only", virtual_apic_only }, { "vpid-only", vpid_only }, { "msr-area-only", msr_area_only },
    { "msr-area-of-none", msr_area_of_none }, { "nmi-in-exception-bitmap", nmi_as_exception }, { "all-in-exception-bitmap", all_exceptions },
    { "read-shadow-only", read_shadow_only }, { "protection-hidden", protection_hidden }, { "cr0-shadowed", cr0_shadowed }, { "cet-only", cet_only }, { "guest-efer-only", guest_efer_only }, { "host-efer-only", host_efer_only }, { "guest-efer-same", guest_efer_same }, { "dr7-only", dr7_only }, { "dr7-same", dr7_same },
    { "host-gs-base-unwritten", host_gs_base }, { "host-rsp-unwritten", host_rsp }, { "guest-rsp-unwritten", guest_rsp },
    { NULL, NULL },
};
