/* SPDX-License-Identifier: MIT */
/*
 * The host's side: a child that may do nothing but compute (seccomp in strict mode), with the arena at its fixed address. A signal is
 * the instruction's exception; its handler leaves by the way that the epilogue leaves.
 */
#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "arch/x86.h"
#include "tests/instructions/instructions.h"

/* Saves what a C function must keep, and goes to the prologue; `leave_arena` restores it. 0x804f00: HOST_RSP_AT of the arena. */
void enter_arena(void);
extern const uint8_t leave_arena[];
_Static_assert(ARENA + HOST_RSP_AT == 0x804f00 && ARENA + PROLOGUE_AT == 0x802000, "addresses in the code below");
__asm__(".text\n"
        "enter_arena:\n"
        "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, 0x804f00\n"
        "    mov $0x802000, %eax\n"
        "    jmp *%rax\n"
        "leave_arena:\n"
        "    mov 0x804f00, %rsp\n"
        "    cld\n"
        "    movl $0x1f80, 0x804f08\n"
        "    ldmxcsr 0x804f08\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
        "    ret\n");

static volatile unsigned ended;

static void on_signal(int number, siginfo_t *information, void *context)
{
    ucontext_t *u = context;

    (void)information;
    ended = number == SIGFPE ? 0 : number == SIGILL ? 6 : number == SIGTRAP ? 3 : 13;
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)leave_arena;
    u->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)(RFLAGS_DF | RFLAGS_TF | RFLAGS_AC);
}

static void child(const struct trial *trials, struct outcome *outcomes, unsigned count, volatile unsigned *done)
{
    static const int signals[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGTRAP };
    static uint8_t signal_stack[64 << 10];
    const stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof signal_stack };
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    uint8_t end[12] = { 0x48, 0xb8 };           /* MOV RAX, imm64; JMP RAX */
    uint64_t leave = (uintptr_t)leave_arena;
    uint8_t *arena = mmap((void *)(uintptr_t)ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (arena != (uint8_t *)(uintptr_t)ARENA)
        _exit(2);
    memcpy(end + 2, &leave, 8);
    end[10] = 0xff, end[11] = 0xe0;
    arena_prepare(arena, end, sizeof end);
    sigaltstack(&stack, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    alarm(120);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
        _exit(3);
    for (unsigned i = 0; i < count; i++) {
        const struct trial *t = &trials[i];
        struct outcome *o = &outcomes[i];
        uint8_t *code = arena + CODE_AT;
        int32_t jump = EPILOGUE_AT - (CODE_AT + t->length + 5);

        *done = i;
        memcpy(arena + IN_AT, &t->in, sizeof t->in);
        memcpy(arena + DATA_FIRST, t->data, DATA_SIZE);
        memcpy(arena + STACK_FIRST, t->stack, STACK_SIZE);
        memcpy(code, t->code, t->length);
        code[t->length] = 0xe9;
        memcpy(code + t->length + 1, &jump, 4);
        ended = ENDED_WELL;
        enter_arena();
        o->ended = ended;
        memcpy(&o->out, arena + OUT_AT, sizeof o->out);
        memcpy(o->data, arena + DATA_FIRST, DATA_SIZE);
        memcpy(o->stack, arena + STACK_FIRST, STACK_SIZE);
    }
    *done = count;
    syscall(SYS_exit, 0);
}

bool host_run(const struct trial *trials, struct outcome *outcomes, unsigned count, unsigned *done)
{
    volatile unsigned *progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        child(trials, outcomes, count, progress);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    *done = *progress;
    munmap((void *)progress, 4096);
    return *done == count && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
