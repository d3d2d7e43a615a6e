/* SPDX-License-Identifier: MIT */
/*
 * Late load, what is done in L0's world: the guest runs on bare hardware until it calls late_entry() (passage.S), each processor for
 * itself, in any order or at once. Nothing is shared by two that do.
 */
#include "hv/x86/x86.h"

#include "arch/late_load.h"

extern const uint8_t late_entry[], late_leave[], passage_nmi[];
_Noreturn void late_main(struct processor *p);  /* called by passage.S */

uint64_t late_table_entry(void) { return of_caller(late_entry); }

void late_prepare(uint64_t linear)
{
    late_linear = linear;
    for (unsigned i = 0; i < sizeof gdt_between / sizeof *gdt_between; i++)
        gdt_between[i] = CODE_DESCRIPTOR;
}

/* In 64-bit mode at CPL 0 the guest's own selector; else the one with which it asked. */
static uint64_t code_selector(const struct processor *p, const struct hal_capture *s)
{
    const struct hal_guest_segment *cs = &s->segment[SEG_CS];

    return cs->access_rights & AR_L && !(cs->selector & 3) ? cs->selector : p->passage.code;
}

void hal_release(const struct hal_capture *s)
{
    struct processor *p = this_processor();
    struct passage *passage = &p->passage;
    void (*leave)(uint64_t) = (void (*)(uint64_t))of_caller(late_leave);

    if (&p->captured != s)
        p->captured = *s;
    p->ready = false;
    p->nmi |= s->nmi;
    p->without_task = !s->segment[SEG_TR].selector;
    hal_wrmsr(MSR_ia32_pat, s->pat);
    hal_wrmsr(MSR_ia32_debugctl, s->debugctl);
    hal_wrmsr(MSR_ia32_sysenter_cs, s->sysenter_cs);
    hal_wrmsr(MSR_ia32_sysenter_esp, s->sysenter_esp);
    hal_wrmsr(MSR_ia32_sysenter_eip, s->sysenter_eip);
    passage->cr3 = s->cr3 & ~0xfffull;
    passage->dr7 = s->dr7;
    passage->code = code_selector(p, s);
    passage->ss = s->segment[SEG_SS].selector;
    passage->rsp = s->rsp;
    passage->rflags = s->rflags;
    passage->cs = s->segment[SEG_CS].selector;
    /* With interrupts off HLT is executed again; with them on the guest goes on behind it, as one that lost no interrupt may. */
    passage->rip = s->rip - (s->activity == ACTIVITY_HLT && !(s->rflags & RFLAGS_IF));
    passage->idtr = (struct table_pointer){ s->idtr.limit, s->idtr.base };
    gates_between(p->gates_between, of_caller(passage_nmi), (uint16_t)passage->code);
    tables_between(&passage->gdtr_between);
    leave(of_caller(p));
    __builtin_unreachable();
}

void late_main(struct processor *p)
{
    static uint32_t choosing;
    const unsigned index = (unsigned)(p - processors);
    const char *why;

    tables_load(index);
    write_cr0(START_CR0);
    hal_wrmsr(MSR_ia32_pat, PAT_RESET);         /* hv/x86/paging.c has devices by entry 3: uncacheable, whatever the caller has there */
    control_registers();
    hal_lock(&choosing);                        /* for a system that brought the image along it is not known before */
    options_choose_strategy();
    hal_unlock(&choosing);
    why = hv_run(options.strategy);
    print("sesqui: load refused: %s\n", why);
    p->captured.registers.gpr[RAX] = LATE_REFUSED;
    p->captured.nmi = hv_nmi_due();
    hal_release(&p->captured);
}
