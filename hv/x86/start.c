/* SPDX-License-Identifier: MIT */
/* From the boot loader to the core: what the image does before its guest runs. docs/metal.md. */
#include "hv/x86/x86.h"

/* `processors` to image.ld, which aligns it: an alignment of the object would move the multiboot headers away from the file's beginning. */
__attribute__((section(".bss.processors"), used)) static struct processor first;
uint32_t processor_count = 1, processor_blocks = 1;
static struct hal_capture guest;                /* the first processor's: L1 as loaded */
static volatile bool go;                        /* the other processors may start their guests */

/* XSETBV of the guest is executed by L0; a machine check that comes to L0 is remembered, and does not shut the processor down. */
void control_registers(void)
{
    enum { LEAF_1_ECX_XSAVE = 1 << 26, LEAF_1_EDX_MCE = 1 << 7 };
    const struct hal_cpuid id = hal_cpuid(1, 0);

    hal_write_cr4(hal_read_cr4() | (id.ecx & LEAF_1_ECX_XSAVE ? CR4_OSXSAVE : 0) | (id.edx & LEAF_1_EDX_MCE ? CR4_MCE : 0));
}

/* A processor after INIT: it waits for L1's SIPI. SDM Vol. 3, 10.1.1, Table 10-1. */
static void wait_for_sipi(struct hal_capture *capture)
{
    *capture = (struct hal_capture){
        .rip = 0xfff0, .rflags = RFLAGS_FIXED, .cr0 = CR0_ET | CR0_CD | CR0_NW, .dr7 = 0x400,
        .gdtr.limit = 0xffff, .idtr.limit = 0xffff, .activity = ACTIVITY_WAIT_FOR_SIPI,
        .registers.gpr = { [RDX] = hal_cpuid(1, 0).eax },
    };
    hal_rdmsr(MSR_ia32_pat, &capture->pat);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        capture->segment[i] = (struct hal_guest_segment){ 0, 3 | AR_S | AR_PRESENT, 0xffff, 0 };
    capture->segment[SEG_CS] = (struct hal_guest_segment){ 0xf000, 0xb | AR_S | AR_PRESENT, 0xffff, 0xffff0000 };
    capture->segment[SEG_LDTR] = (struct hal_guest_segment){ 0, 2 | AR_PRESENT, 0xffff, 0 };
    capture->segment[SEG_TR] = (struct hal_guest_segment){ 0, 0xb | AR_PRESENT, 0xffff, 0 };
}

bool hal_capture(struct hal_capture *capture)
{
    if (options.late)
        *capture = this_processor()->captured;
    else if (hal_cpu_index() == 0)
        *capture = guest;
    else
        wait_for_sipi(capture);
    return true;
}

static void check(const char *why)
{
    if (why)
        stop("cannot start", why);
}

/* Another processor may have met what stops all. */
static void wait_for(const volatile bool *condition)
{
    while (!*condition) {
        if (stopped)
            halt();
        hal_pause();
    }
}

static _Noreturn void run(void)
{
    stop("cannot start", hv_run(options.strategy));
}

/* L1 on bare hardware, in the state in which it would be over L0. */
static _Noreturn void run_bare(void)
{
    extern const uint8_t image_start[], protected_mode[];

    __asm__ volatile("jmp *%0" : : "r"(hal_pool().base.value + (uint64_t)(protected_mode - image_start)), "S"(guest.rip),
                     "b"(guest.registers.gpr[RBX]), "c"(MSR_ia32_efer), "d"(0));
    __builtin_unreachable();
}

void image_other(unsigned index)
{
    tables_load(index);
    control_registers();
    processors[index].ready = options.late;     /* only to be known: it gets an INIT */
    wait_for(&go);
    run();
}

/* The others have told who they are; those beyond PROCESSORS will be refused. They wait for a SIPI again, as before. */
static void late_start(void)
{
    for (unsigned i = 1; i < processor_blocks; i++) {
        wait_for(&processors[i].ready);
        processors[i].ready = false;
    }
    processors_stop();
    late_prepare(hal_pool().base.value);
}

void image_main(uint32_t magic, uint32_t information)
{
    const char *word, *why;

    log_open(0x3f8);
    tables_load(0);
    control_registers();
    check(boot_read(magic, information));
    memory_describe();
    if ((word = options_read(boot.text)))
        stop("unknown option (docs/metal.md lists them)", word);
    why = pool_reserve(processors_start());
    if (!why)
        why = paging_start();
    if (why)
        processors_stop();                      /* they would wait for ever */
    check(why);
    processors_release();
    if (options.late)
        late_start();
    else if (processor_count > PROCESSORS)
        check("the machine has more processors than the image is built for");
    check(guest_load(&guest));
    options_choose_strategy();
    paging_seal();
    if (options.late)
        run_bare();
    go = true;
    for (unsigned i = 1; i < processor_count; i++)
        wait_for(&processors[i].ready);
    run();
}
