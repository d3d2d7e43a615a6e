/* SPDX-License-Identifier: MIT */
/* Instructions that the model executes while the run goes on: the same comes out as where each of them is a stop. */
#include "tests/emu/fixture.h"

enum { MEMORY = 0x30000, STEPS_MAX = 100000 };

/* Each result is mixed into RAX, with the flags that it found and left. */
#define MIX " adc r8,rax\n rol r8,7\n xor r8,rdx\n"
BLOB(code_quiet, "mov ebp,20\n stc\n1: rdtsc\n" MIX "rdtscp\n" MIX " xor ecx,ecx\n mov eax,1\n cpuid\n" MIX " mov ecx,0xc0000102\n rdmsr\n" MIX
     " mov rax,cr3\n" MIX " mov rax,cr4\n" MIX " mov rax,dr7\n" MIX " clts\n" MIX " str ax\n" MIX " sldt ax\n" MIX " smsw eax\n" MIX
     " sgdt [rsi]\n mov eax,[rsi]\n" MIX " lgdt [rsi]\n" MIX " mov ax,0x40\n verw ax\n setz al\n" MIX " mov ecx,0x10\n lar eax,ecx\n setz dl\n" MIX
     " lsl eax,ecx\n" MIX " mov rax,cr3\n mov cr3,rax\n" MIX " invlpg [rsi+rbp*8]\n mov [rsi+rbp*8],rax\n" MIX
     " rdrand eax\n adc rax,0\n" MIX " rdseed r9\n adc r8,r9\n cmp rax,r8\n setg al\n dec ebp\n jnz 1b\n hlt");
BLOB(code_consequences, "mov ebp,20\n stc\n1: mov ecx,0xc0000102\n lea eax,[rsi+rbp*8+0x100]\n xor edx,edx\n wrmsr\n" MIX " mov ecx,0xc0000101\n lea eax,[rsi+rbp*8+0x200]\n xor edx,edx\n wrmsr\n mov gs:[0],rax\n"
     " swapgs\n rdgsbase r9\n adc r8,r9\n swapgs\n in al,0x71\n" MIX " mov edx,0x3f8\n in eax,dx\n" MIX " out dx,al\n" MIX " out 0x80,eax\n" MIX
     " mov rax,cr0\n xor rax,2\n mov cr0,rax\n" MIX " mov rax,cr4\n xor rax,0x80\n mov cr4,rax\n" MIX
     " mov eax,0x400\n mov dr7,rax\n" MIX " dec ebp\n jnz 1b\n hlt");
BLOB(code_iret, "mov ebp,20\n1: mov rbx,rsp\n push 0x10\n push rbx\n pushfq\n xor qword ptr [rsp],0x8d5\n push 8\n lea rax,[rip+2f]\n push rax\n iretq\n"
     " hlt\n2: pushfq\n pop rax\n" MIX " rdtsc\n" MIX " dec ebp\n jnz 1b\n hlt");
BLOB(code_user, "mov ebp,9\n stc\n1: rdtsc\n" MIX " cpuid\n" MIX " verw [rsi]\n setz al\n" MIX " dec ebp\n jnz 1b\n hlt");
BLOB(code_gp, "rdtsc\n mov ecx,0x12345\n rdmsr\n hlt");
BLOB(code_ud, "cpuid\n vmread rax,rbx\n hlt");
BLOB(code_pf, "cpuid\n stc\n sgdt [rdi]\n hlt");
BLOB(code_fault_behind, "1: rdtsc\n mov rax,[rdi]\n hlt");

static uint64_t limit_of(void *context, struct cpu *cpu)
{
    const struct fixture *f = context;
    return f->request.limit > cpu->clock + 1 ? f->request.limit : 0;
}

static void at_ring0(struct fixture *f) { (void)f; }
static void at_ring3(struct fixture *f)
{
    fixture_segment(f->cpu, SEG_CS, SELECTOR_USER_CODE64, 0xa0fb);
    fixture_segment(f->cpu, SEG_SS, SELECTOR_USER_DATA, 0xc0f3);
}

static const struct program {
    const uint8_t *code, *end;
    void (*prepare)(struct fixture *f);
    unsigned in_place;                  /* at least so many are executed so */
} programs[] = {
    { code_quiet, code_quiet_end, at_ring0, 20 * 15 }, { code_consequences, code_consequences_end, at_ring0, 20 * 9 },
    { code_iret, code_iret_end, at_ring0, 20 * 2 }, { code_user, code_user_end, at_ring3, 9 * 3 }, { code_gp, code_gp_end, at_ring0, 1 },
    { code_ud, code_ud_end, at_ring0, 1 }, { code_pf, code_pf_end, at_ring0, 1 }, { code_fault_behind, code_fault_behind_end, at_ring0, 1 },
};
enum { PROGRAMS = sizeof programs / sizeof *programs };

struct outcome {
    uint64_t gpr[GPR_COUNT], rip, rflags, cr0, cr2, cr3, cr4, instructions, clock, steps, executed, msr[MSR_COUNT];
    uint64_t seg[SEG_COUNT][4], gdtr[2], event[4], memory[512];         /* no gaps: compared as bytes */
};

/* Steps as a machine makes them: up to HLT, an exception, or the limit. A step that does nothing takes time. */
static void go(const struct program *p, uint64_t limit, uint64_t in_place, struct outcome *out)
{
    struct fixture *f = fixture_open();
    struct cpu *cpu = f->cpu;
    enum status status = STATUS_OK;
    memset(out, 0, sizeof *out);
    fixture_long_mode(f);
    p->prepare(f);
    cpu->cr4 |= CR4_FSGSBASE | CR4_OSXSAVE;
    cpu->gpr[RSI] = MEMORY, cpu->gpr[RDI] = 0xffff900000000000;
    fixture_put(f, FIXTURE_CODE, p->code, (size_t)(p->end - p->code));
    while (status == STATUS_OK && cpu->clock < limit && out->steps < STEPS_MAX) {
        f->request = (struct engine_request){ .limit = limit, .single_step = limit <= cpu->clock + 1, .in_place = in_place, .settle = limit_of,
                                              .context = f };
        engine_run(f->engine, cpu, &f->request, &f->stop);
        out->executed += f->stop.executed;
        out->steps += f->stop.executed + 1;
        if (f->stop.reason == STOP_EXECUTED)
            status = f->stop.status;
        else if (f->stop.reason == STOP_EVENT)
            status = cpu_raise(cpu, f->stop.event);
        else if (f->stop.reason == STOP_INSTRUCTION && f->stop.insn.id == INSN_hlt)
            break;
        else if (f->stop.reason == STOP_INSTRUCTION)
            status = execute(cpu, &f->stop.insn);
        else
            ck_assert_int_eq(f->stop.reason, STOP_LIMIT);
    }
    memcpy(out->gpr, cpu->gpr, sizeof out->gpr);
    memcpy(out->msr, cpu->msr, sizeof out->msr);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *s = &cpu->seg[i];
        memcpy(out->seg[i], (uint64_t[]){ s->selector, s->access_rights, s->limit, s->base }, sizeof out->seg[i]);
    }
    memcpy(out->gdtr, (uint64_t[]){ cpu->gdtr.base, cpu->gdtr.limit }, sizeof out->gdtr);
    memcpy(out->event, (uint64_t[]){ cpu->event.valid, cpu->event.vector, cpu->event.error_code, cpu->event.address }, sizeof out->event);
    memcpy(out->memory, f->ram + MEMORY, sizeof out->memory);
    out->rip = cpu->rip, out->rflags = cpu->rflags, out->cr0 = cpu->cr0, out->cr2 = cpu->cr2, out->cr3 = cpu->cr3, out->cr4 = cpu->cr4;
    out->instructions = cpu->instructions, out->clock = cpu->clock;
    fixture_close(f);
}

static void compare(const struct program *p, uint64_t limit, uint64_t in_place, struct outcome *apart, struct outcome *together)
{
    go(p, limit, 0, apart);
    go(p, limit, in_place, together);
    ck_assert_uint_eq(apart->executed, 0);
    uint64_t executed = together->executed;
    together->executed = 0;
    ck_assert_msg(!memcmp(apart, together, sizeof *apart), "program %d, limit %llu: rip %llx %llx, instructions %llu %llu, clock %llu %llu, "
                  "steps %llu %llu, r8 %llx %llx, rflags %llx %llx", (int)(p - programs), (unsigned long long)limit,
                  (unsigned long long)apart->rip, (unsigned long long)together->rip, (unsigned long long)apart->instructions,
                  (unsigned long long)together->instructions, (unsigned long long)apart->clock, (unsigned long long)together->clock,
                  (unsigned long long)apart->steps, (unsigned long long)together->steps, (unsigned long long)apart->gpr[R8],
                  (unsigned long long)together->gpr[R8], (unsigned long long)apart->rflags, (unsigned long long)together->rflags);
    together->executed = executed;
}

START_TEST(same_as_stops)
{
    static struct outcome apart, together;
    compare(&programs[_i], ~0ull, ~0ull, &apart, &together);
    ck_assert_uint_ge(together.executed, programs[_i].in_place);
    compare(&programs[_i], ~0ull, 5, &apart, &together);
    ck_assert_uint_gt(together.executed, 0);
}
END_TEST

START_TEST(same_at_each_limit)
{
    static struct outcome apart, together;
    for (uint64_t limit = 1; limit < 70; limit += 3)
        compare(&programs[_i], limit + (programs[_i].code == code_consequences ? 40 * limit : 0), ~0ull, &apart, &together);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: instructions executed in place");
    TCase *tc = tcase_create("both ways");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, same_as_stops, 0, PROGRAMS);
    tcase_add_loop_test(tc, same_at_each_limit, 0, PROGRAMS);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
