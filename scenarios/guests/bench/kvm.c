/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor that does with its VMCS what KVM does: scenarios/guests/bench/kvm_exits.def. Its guest exits eight times for each reason, so that
 * `sesqui bench nested --l0=image` can count what an L0 beneath executes for one exit and entry.
 */
#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/idt.h"

enum { EXIT_NOT_OFFERED = 2 };
#define PAT 0x0007040600070406          /* as after power-on */

int kvm_enter(bool launch, uint64_t *host_rsp);
extern const uint8_t kvm_exit[], l2_exits_start[], l2_exits_end[];

unsigned main(void);

static struct guest guest;
static _Alignas(PAGE) uint8_t msr_bitmap[PAGE];

static void clear(unsigned field, uint64_t bits)
{
    vmwrite(field, vmread(field) & ~bits);
}

/* Beyond what guest_create() does: IA32_EFER is not switched, for both levels have the same; the rest as KVM has it. */
static void set_up(void)
{
    clear(VMCS_exit_controls, EXIT_load_ia32_efer | EXIT_save_ia32_efer);
    clear(VMCS_entry_controls, ENTRY_load_ia32_efer);
    for (unsigned i = 0; i < PAGE; i++)
        msr_bitmap[i] = 0xff;
    vmwrite(VMCS_msr_bitmap_address, (uintptr_t)msr_bitmap);
    vmwrite(VMCS_guest_ia32_pat, PAT);
    vmwrite(VMCS_host_ia32_pat, PAT);
    vmwrite(VMCS_host_es_selector, 0);
    vmwrite(VMCS_host_ds_selector, 0);
    vmwrite(VMCS_host_fs_selector, 0);
    vmwrite(VMCS_host_gs_selector, 0);
    vmwrite(VMCS_host_rip, (uintptr_t)kvm_exit);
}

/* Leaves the flags alone: L0 has more or less to do as an instruction of L1 finds them, and addresses shall not decide that. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t sum;
    __asm__("leaq (%1, %2), %0" : "=r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* What is read of an exit, KVM's next RIP among it. False: an exit of another kind. */
static bool handle(void)
{
    const unsigned reason = (unsigned)vmread(VMCS_exit_reason);
    uint64_t rip = 0, length = 0;

    switch (reason) {
#define NESTED_EXIT(id, title, name, line)                                                                          \
        return true;                                                                                                \
    case EXIT_REASON_##name:
#define STEP(id, what, field, place) STEP_##what(field)
#define STEP_read(field)                                                                                             \
        if (VMCS_##field == VMCS_guest_rip)                                                                         \
            rip = vmread(VMCS_##field);                                                                             \
        else if (VMCS_##field == VMCS_exit_instruction_length)                                                      \
            length = vmread(VMCS_##field);                                                                          \
        else if (VMCS_##field != VMCS_exit_reason)                                                                  \
            vmread(VMCS_##field);
#define STEP_write(field) vmwrite(VMCS_##field, sum(rip, length));
#define LINE(id, line)
#define RETRY(id, line)
#include "scenarios/guests/bench/kvm_exits.def"
        return true;
    default:
        return false;
    }
}

unsigned main(void)
{
    const struct controls controls = {
        .pin = PIN_external_interrupt_exiting | PIN_nmi_exiting | PIN_virtual_nmis,
        .proc = PROC_use_tsc_offsetting | PROC_hlt_exiting | PROC_rdpmc_exiting | PROC_unconditional_io_exiting |
                PROC_use_msr_bitmaps | PROC_cr8_load_exiting | PROC_cr8_store_exiting,
        .proc2 = PROC2_unrestricted_guest,
        .exit = EXIT_save_debug_controls | EXIT_acknowledge_interrupt_on_exit | EXIT_load_ia32_pat,
        .entry = ENTRY_ia32e_mode_guest | ENTRY_load_debug_controls | ENTRY_load_ia32_pat,
    };
    uint64_t host_rsp = 0;
    const char *missing;
    bool launch = true;

    console_open();
    idt_load();
    missing = vmx_start();
    if (!missing)
        missing = guest_create(&guest, 1, &controls, l2_exits_start, l2_exits_end);
    if (missing) {
        print("kvm: this processor does not offer what it needs: %s\n", missing);
        return EXIT_NOT_OFFERED;
    }
    guest_long_mode(&guest);
    set_up();
    do {
        if (kvm_enter(launch, &host_rsp))
            return 1;
        launch = false;
    } while (handle());
    return vmread(VMCS_exit_reason) != EXIT_REASON_hlt;
}
