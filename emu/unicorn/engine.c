/* SPDX-License-Identifier: MIT */
/* The engine as the rest of the machine sees it (emu/cpu.h): open, run, close; and what a run's end means. */
#include "emu/unicorn/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "model/cpu/walk.h"

/*
 * The library calls functions of this folder with its own structures only, and some (gettimeofday) with nothing at all.
 * All these calls happen while engine_open(), engine_run() or engine_close() is on the stack of this thread: they reach
 * the engine through this pointer, which is null at all other times.
 */
static _Thread_local struct engine *here;

struct engine *engine_here(void) { return here; }

library_cpu *__wrap_cpu_x86_init_x86_64(uc_engine *uc)
{
    library_cpu *cpu = __real_cpu_x86_init_x86_64(uc);
    if (here) {
        here->library = cpu;
        here->env = (library_env *)((uint8_t *)cpu + CPU_ENV);
        here->count = &FIELD(struct counters, here->env, COUNTERS);
    }
    return cpu;
}

/* The library adapts the size of its TLB to the time of day. Fills set accessed flags in page tables, so real time would
 * make guest memory vary from run to run. */
int __wrap_gettimeofday(struct timeval *tv, void *zone)
{
    if (!here)
        return __real_gettimeofday(tv, zone);
    uint64_t us = (here->ticks + (here->count ? here->count->retired : 0)) >> 10;
    *tv = (struct timeval){ (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };
    return 0;
}

/* The slow path of memory accesses looks for a region by linear address; only its rights are used, and by then the TLB
 * has decided. */
void *__wrap_memory_mapping(uc_engine *uc, uint64_t va)
{
    return here && here->region ? here->region : __real_memory_mapping(uc, va);
}

/* ---- device memory -------------------------------------------------------------------------------------------------- */

/* The library's addresses are relative to the region: `base` is where the region begins. */
static uint64_t device_read(uint64_t base, uint64_t offset, unsigned size)
{
    const struct bus *bus = &here->model->bus;
    if (here->probing)
        here->linear = cpu_restore_state_x86_64(here->library, FIELD(uintptr_t, here->library, CPU_MEM_IO_PC), false) ?
                       ENV64(here->env, EIP) : ~0ull;
    if (!bus->mmio_read || !here->cpu)
        return ~0ull;
    clock_publish(here);
    return bus->mmio_read(bus->context, here->cpu, base + offset, size);
}

static void device_write(uint64_t base, uint64_t offset, unsigned size, uint64_t value)
{
    const struct bus *bus = &here->model->bus;
    if (!bus->mmio_write || !here->cpu)
        return;
    clock_publish(here);
    bus->mmio_write(bus->context, here->cpu, base + offset, size, value);
}

uint64_t engine_rip(struct engine *e, const struct cpu *cpu)
{
    if (!e->running || e->cpu != cpu || !cpu_restore_state_x86_64(e->library, FIELD(uintptr_t, e->library, CPU_MEM_IO_PC), false))
        return cpu->rip;
    return ENV64(e->env, EIP);
}

static uint64_t on_device_read(uc_engine *uc, uint64_t offset, unsigned size, void *base)
{
    (void)uc;
    return device_read((uintptr_t)base, offset, size);
}

static void on_device_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *base)
{
    (void)uc;
    device_write((uintptr_t)base, offset, size, value);
}

static bool map_devices(struct engine *e, uint64_t from, uint64_t to)
{
    return from == to || !uc_mmio_map(e->uc, from, to - from, on_device_read, (void *)(uintptr_t)from, on_device_write,
                                      (void *)(uintptr_t)from);
}

/* RAM below the hole, RAM from 4 GB on, and device memory everywhere else in the 52-bit physical address space. */
static bool map_memory(struct engine *e)
{
    struct memory *memory = &e->model->memory;
    uint64_t high = memory->size > MEMORY_HOLE ? memory->size - MEMORY_HOLE : 0;
    e->low_size = memory->size - high;
    if (uc_mem_map_ptr(e->uc, 0, e->low_size, UC_PROT_ALL, memory->ram) ||
        (high && uc_mem_map_ptr(e->uc, MEMORY_HIGH, high, UC_PROT_ALL, memory->ram + e->low_size)))
        return false;
    e->region = __real_memory_mapping(e->uc, 0);
    return e->region && map_devices(e, e->low_size, MEMORY_HIGH) && map_devices(e, MEMORY_HIGH + high, 1ull << 52) &&
           qemu_ram_addr_from_host_x86_64(e->uc, memory->ram) == 0 &&
           (!high || qemu_ram_addr_from_host_x86_64(e->uc, memory->ram + e->low_size) == e->low_size);
}

/* ---- open and close ------------------------------------------------------------------------------------------------- */

const char *engine_description(void) { return "Unicorn 2.0.1.post1"; }

static const char *open_library(struct engine *e)
{
    if (uc_open(UC_ARCH_X86, UC_MODE_64, &e->uc))
        return "it cannot be initialised";
    if (!map_memory(e) || !e->library)      /* the library creates its processor at its first use */
        return "memory cannot be mapped";
    if (uc_ctl_exits_enable(e->uc) || !intercept_open(e) || !clock_open(e) || !alignment_open(e) || !code_open(e))
        return "it cannot be set up";
    return check_layout(e);
}

struct engine *engine_open(struct model *model, char *error, size_t error_size)
{
    unsigned major, minor, version = uc_version(&major, &minor);
    if (version != UNICORN_VERSION) {
        snprintf(error, error_size, "CPU engine: Unicorn %u.%u (0x%08x) found, 2.0.1.post1 (0x%08x) needed: package "
                 "libunicorn-dev 2.0.1.post1 of Debian 12", major, minor, version, (unsigned)UNICORN_VERSION);
        return NULL;
    }
    struct engine *e = calloc(1, sizeof *e);
    if (e) {
        e->last_linear = calloc(model->memory.size / PAGE_SIZE + 1, sizeof *e->last_linear);
        e->fpu = calloc(MODEL_CPU_MAX, FPU_END - FPU_FIRST);
    }
    if (!e || !e->last_linear || !e->fpu || model->memory.size < PAGE_SIZE) {
        snprintf(error, error_size, "CPU engine: no memory");
        if (e) {
            free(e->last_linear);
            free(e->fpu);
        }
        free(e);
        return NULL;
    }
    e->model = model;
    e->recent = e->context[0].recent;
    memset(e->context[0].recent, 0xff, sizeof e->context[0].recent);
    memset(e->context[1].recent, 0xff, sizeof e->context[1].recent);
    here = e;
    const char *bad = open_library(e);
    here = NULL;
    if (bad) {
        snprintf(error, error_size, "CPU engine: Unicorn's inside differs from 2.0.1.post1 (package libunicorn-dev "
                 "2.0.1.post1 of Debian 12 needed): %s", bad);
        engine_close(e);
        return NULL;
    }
    return e;
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    here = e;
    if (e->uc)
        uc_close(e->uc);
    code_close(e);
    context_close(e);
    here = NULL;
    free(e->last_linear);
    free(e->fpu);
    free(e);
}

void engine_interrupt(struct engine *e)
{
    e->interrupted = true;
    clock_set_budget(e, 0);
}

/* ---- what the end of a run means ------------------------------------------------------------------------------------ */

static void stop_event(struct stop *stop, struct event event)
{
    event.valid = true;
    stop->reason = STOP_EVENT;
    stop->event = event;
}

static void stop_exception(struct stop *stop, enum vector vector, bool has_error_code, uint32_t error_code)
{
    stop_event(stop, (struct event){ .vector = (uint8_t)vector, .type = EVENT_HARDWARE_EXCEPTION,
                                     .has_error_code = has_error_code, .error_code = error_code });
}

/*
 * The bytes of the instruction at RIP, as they were executed: the page tables may say something else by now, as long as
 * nothing was invalidated. The part in a second page is read anew.
 */
static size_t executed_code(struct engine *e, uint8_t code[INSTRUCTION_MAX])
{
    struct cpu *cpu = e->cpu;
    const struct block *b = e->count->current;
    uint64_t pc = cpu_code_base(cpu) + cpu->rip;
    if (e->position != WITHIN_BLOCK || !b || b->ram == ~0ull || (pc ^ b->pc) & PAGE_MASK)
        return fetch_code(cpu, code);
    size_t here_bytes = PAGE_SIZE - (pc & ~PAGE_MASK), n = here_bytes < INSTRUCTION_MAX ? here_bytes : INSTRUCTION_MAX;
    memcpy(code, e->model->memory.ram + b->ram + (pc - b->pc), n);
    struct access fetch = { .kind = ACCESS_FETCH, .user = cpu_cpl(cpu) == 3, .probe = true };
    for (; n < INSTRUCTION_MAX; n++) {
        struct translation t = translate(cpu, cpu_64bit(cpu) ? pc + n : (uint32_t)(pc + n), fetch);
        if (t.result != TRANSLATION_OK || !memory_read(&e->model->memory, t.pa, code + n, 1))
            break;
    }
    return n;
}

/* Opcode behind the prefixes; *at is set to its place. */
static uint8_t first_opcode(const struct cpu *cpu, const uint8_t *code, size_t length, size_t *at)
{
    struct prefixes prefixes = { .segment = NO_REGISTER };
    for (*at = 0; *at < length && prefix_add(&prefixes, code[*at], code_bits(cpu) == 64); ++*at)
        ;
    return *at < length ? code[*at] : 0;
}

/*
 * A near branch to an address that is not canonical faults itself (SDM Vol. 2, JMP, CALL, RET); the library has executed it
 * and failed to fetch at its target. Takes it back, but for the return address that CALL has written below the stack.
 */
static void branch_back(struct engine *e)
{
    struct cpu *cpu = e->cpu;
    const struct block *b = e->count->current;
    uint8_t code[INSTRUCTION_MAX];
    uint64_t target = cpu->rip;
    size_t at;
    if (!b || !b->count || !e->count->retired || !cpu_64bit(cpu) || target == b->pc + b->length)
        return;
    cpu->rip = b->pc + b->offset[b->count - 1];
    size_t length = fetch_code(cpu, code);
    uint8_t opcode = first_opcode(cpu, code, length, &at), reg = at + 1 < length ? code[at + 1] >> 3 & 7 : 0;
    if (opcode == 0xff && reg == 2) {
        cpu->gpr[RSP] += 8;
    } else if (opcode == 0xc3 || (opcode == 0xc2 && at + 2 < length)) {
        cpu->gpr[RSP] -= 8 + (opcode == 0xc2 ? code[at + 1] | (uint64_t)code[at + 2] << 8 : 0);
    } else if (opcode != 0xff || reg != 4) {
        cpu->rip = target;
        return;
    }
    cpu->instructions--;
    cpu->clock--;
}

/*
 * An instruction that reads and writes its operand translates the address once, for the write: what guest paging forbids is found before
 * what EPT says of the page (SDM Vol. 3, 29.3.3). The library reads first.
 */
static struct translation translation_of_write(struct engine *e, struct translation of_read)
{
    struct access write = e->access;
    write.kind = ACCESS_WRITE;
    write.probe = true;
    struct translation t = translate(e->cpu, e->linear, write);
    return t.result == TRANSLATION_OK || t.result == TRANSLATION_APIC_ACCESS ? of_read : t;
}

/* An access that failed. Whether it used the stack, or was going to write what it failed to read, is seen only in the
 * instruction. */
static void stop_fault(struct engine *e, struct stop *stop)
{
    struct memory_use use = { false, false };
    uint8_t code[INSTRUCTION_MAX];
    bool not_canonical = e->translation.result == TRANSLATION_NOT_CANONICAL;
    if (e->access.kind != ACCESS_FETCH && (not_canonical || e->access.kind == ACCESS_READ))
        use = decode_memory_use(e->cpu, code, executed_code(e, code));
    if (use.read_modify_write && e->access.kind == ACCESS_READ && !not_canonical)
        e->translation = translation_of_write(e, e->translation);
    switch (e->translation.result) {
    case TRANSLATION_PAGE_FAULT:
        stop_exception(stop, VECTOR_PF, true, e->translation.error_code);
        stop->event.address = e->linear;
        break;
    case TRANSLATION_NOT_CANONICAL:
        if (e->access.kind == ACCESS_FETCH)
            branch_back(e);
        if (use.stack)
            stop_exception(stop, VECTOR_SS, true, 0);
        else
            stop_exception(stop, VECTOR_GP, true, 0);
        break;
    case TRANSLATION_APIC_ACCESS:
        if (e->access.kind != ACCESS_FETCH)
            e->translation.instruction_length = instruction_length(code_bits(e->cpu), code, fetch_code(e->cpu, code));
        /* fall through */
    default:
        stop->reason = STOP_FAULT;
        /* SDM Vol. 3, 28.2.1, Table 28-7: a read-modify-write sets bit 1; whether bit 0 too is left to the processor. */
        if (use.read_modify_write && e->translation.qualification & EPT_VIOLATION_TRANSLATION)
            e->translation.qualification = (e->translation.qualification & ~EPT_VIOLATION_READ) | EPT_VIOLATION_WRITE;
        stop->linear = e->linear;
        stop->translation = e->translation;
        break;
    }
}

/* INT n, INT3, INTO and INT1: types of SDM Vol. 3, Table 25-17. */
static bool stop_software(struct engine *e, struct stop *stop)
{
    uint8_t code[INSTRUCTION_MAX];
    size_t length = executed_code(e, code), at;
    struct event event = { .type = EVENT_SOFTWARE_EXCEPTION };
    switch (first_opcode(e->cpu, code, length, &at)) {
    case 0xcc: event.vector = VECTOR_BP; break;
    case 0xce: event.vector = VECTOR_OF; break;
    case 0xf1: event.vector = VECTOR_DB, event.type = EVENT_PRIVILEGED_SOFTWARE_EXCEPTION; break;
    case 0xcd:
        if (++at < length) {
            event.vector = code[at];
            event.type = EVENT_SOFTWARE_INTERRUPT;
            break;
        }
        return false;
    default:
        return false;
    }
    event.instruction_length = (uint8_t)(at + 1);
    stop_event(stop, event);
    return true;
}

/*
 * Of an instruction that stops the translator reads no more than it needs to know that. The rest may be in a page that cannot
 * be fetched: then that is what happens, with the bytes that are missing taken as 0 to see how long it is.
 */
static bool fetch_is_cut(struct engine *e, uint8_t code[INSTRUCTION_MAX], size_t length, struct stop *stop)
{
    struct cpu *cpu = e->cpu;
    struct access fetch = { .kind = ACCESS_FETCH, .user = cpu_cpl(cpu) == 3 };
    struct insn insn;
    if (length == INSTRUCTION_MAX)
        return false;
    memset(code + length, 0, INSTRUCTION_MAX - length);
    if (!decode(cpu, code, INSTRUCTION_MAX, &insn) || insn.length <= length)
        return false;
    e->access = fetch;
    e->linear = cpu_code_base(cpu) + cpu->rip + length;
    if (!cpu_64bit(cpu))
        e->linear = (uint32_t)e->linear;
    e->translation = translate(cpu, e->linear, fetch);
    if (e->translation.result == TRANSLATION_OK)
        return false;
    stop_fault(e, stop);
    return true;
}

/* #UD, or an instruction that the translator was not shown. */
static void stop_undefined(struct engine *e, struct stop *stop)
{
    struct cpu *cpu = e->cpu;
    uint8_t code[INSTRUCTION_MAX];
    size_t length = executed_code(e, code), at;
    if (!length && e->count->current && e->count->current->patched) {
        stop->reason = STOP_REFUSED;
        stop->text = "a sensitive instruction that is not in RAM";
        return;
    }
    uint8_t opcode = first_opcode(cpu, code, length, &at);
    if ((opcode == 0xf1 || (opcode == 0xcd && e->count->current && e->count->current->patched)) && stop_software(e, stop))
        return;
    if (fetch_is_cut(e, code, length, stop))
        return;
    if (!decode(cpu, code, length, &stop->insn))
        stop_exception(stop, VECTOR_UD, false, 0);
    else
        stop->reason = STOP_INSTRUCTION;
}

/*
 * #NM that the library raised for an MMX or SSE instruction: CR0.EM = 1 and, for SSE, CR4.OSFXSR = 0 make it #UD whatever CR0.TS is
 * (SDM Vol. 3, Tables 13-1, 14-1); the library looks at TS first.
 */
static bool undefined_after_all(struct engine *e)
{
    uint8_t code[INSTRUCTION_MAX];
    size_t length = executed_code(e, code), at;
    bool prefixed = false;
    if (first_opcode(e->cpu, code, length, &at) != 0x0f || at + 1 >= length)
        return false;
    if (e->cpu->cr0 & CR0_EM)
        return true;
    for (size_t i = 0; i < at; i++)
        prefixed |= code[i] == 0x66 || code[i] == 0xf2 || code[i] == 0xf3;
    uint8_t opcode = code[at + 1];
    bool mmx = !prefixed && ((opcode >= 0x60 && opcode <= 0x7f) || opcode >= 0xd0);
    return !(e->cpu->cr4 & CR4_OSFXSR) && !mmx && opcode != 0xae && opcode != 0x38 && opcode != 0x3a;
}

/*
 * Between two instructions. The fetch of one beyond the last that was asked for does not count: it will be tried again. But a branch to an
 * address that is not canonical has not been executed, though nothing was fetched there yet.
 */
static void settle(struct engine *e)
{
    uint64_t rip = ENV64(e->env, EIP);
    if (e->position != BETWEEN_BLOCKS)
        return;
    if (e->left == LEFT_FAULT && e->count->retired >= e->budget)
        e->left = LEFT_POLL;
    if ((e->left != LEFT_POLL && e->left != LEFT_INTERRUPTIBLE) || !e->count->retired || !(ENV32(e->env, HFLAGS) & HF_CS64) ||
        linear_canonical(e->cpu, rip))
        return;
    e->left = LEFT_FAULT;
    e->linear = rip;
    e->access = (struct access){ .kind = ACCESS_FETCH };
    e->translation = (struct translation){ .result = TRANSLATION_NOT_CANONICAL };
}

static void finish(struct engine *e, struct stop *stop)
{
    switch (e->left) {
    case LEFT_POLL:
        stop->reason = e->interrupted ? STOP_INTERRUPTIBLE : STOP_LIMIT;
        break;
    case LEFT_INTERRUPTIBLE:
        stop->reason = STOP_INTERRUPTIBLE;
        break;
    case LEFT_EXECUTED:
        stop->reason = STOP_EXECUTED;
        stop->insn = e->insn;
        stop->status = e->status;
        break;
    case LEFT_APIC_WRITE:
        stop->reason = STOP_APIC_WRITE;
        break;
    case LEFT_EVENT:
        if (e->event.vector == VECTOR_NM && e->event.type == EVENT_HARDWARE_EXCEPTION && undefined_after_all(e))
            stop_exception(stop, VECTOR_UD, false, 0);
        else
            stop_event(stop, e->event);
        break;
    case LEFT_FAULT:
        stop_fault(e, stop);
        break;
    case LEFT_UD:
        stop_undefined(e, stop);
        break;
    case LEFT_SOFTWARE_INTERRUPT:
        if (stop_software(e, stop))
            break;
        e->text = "a software interrupt whose code has vanished";
        /* fall through */
    default:
        stop->reason = STOP_REFUSED;
        stop->text = e->text ? e->text : "the CPU engine stopped without a reason";
    }
}

void run_begin(struct engine *e)
{
    const struct cpu *cpu = e->cpu;
    uint64_t budget = e->limit > cpu->clock ? e->limit - cpu->clock : 0;
    e->start_clock = cpu->clock;
    e->start_instructions = cpu->instructions;
    clock_set_budget(e, e->request->single_step && budget > 1 ? 1 : budget);
    e->count->retired = 0;
    e->count->current = e->count->previous = NULL;
    e->interrupted = e->stopping = false;
    e->left = LEFT_NOT;
    e->position = BETWEEN_BLOCKS;
    e->text = NULL;
    debug_prepare(e);
    fill_prepare(e);
    code_prepare(e);
    state_load(e);
    e->running = true;
}

void engine_run(struct engine *e, struct cpu *cpu, const struct engine_request *request, struct stop *stop)
{
    *stop = (struct stop){ 0 };
    here = e;
    e->cpu = cpu;
    e->request = request;
    e->limit = request->limit;
    e->executed = 0;
    if (e->flush_wanted)
        code_flush(e);
    run_begin(e);
    uc_err error = uc_emu_start(e->uc, ENV64(e->env, EIP), 0, 0, 0);
    e->running = false;
    if (error && e->left == LEFT_NOT) {
        e->left = LEFT_REFUSED;
        e->text = uc_strerror(error);
    }
    if (e->left != LEFT_EXECUTED) {
        settle(e);
        state_store(e);
    }
    fill_finish(e);
    finish(e, stop);
    /* The latest of them was the stop, if nothing was tried after it. */
    bool nothing_since = e->executed && !e->count->retired && (e->left == LEFT_POLL || e->left == LEFT_INTERRUPTIBLE);
    stop->executed = e->executed - (e->left == LEFT_EXECUTED || nothing_since);
    stop->instructions = nothing_since ? e->before_instructions : e->start_instructions;
    stop->clock = nothing_since ? e->before_clock : e->start_clock;
    here = NULL;
}
