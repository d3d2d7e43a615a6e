/* SPDX-License-Identifier: MIT */
/*
 * L1 on several processors, with more L2s than processors. A generator plays L1: it moves VMCSs between processors, runs
 * L2s, changes their memory with INVEPT, leaves VMX operation and comes back. It knows what each of L2's fields, registers
 * and pages must hold, whoever else runs meanwhile, and says so in `expect` lines. The seed chooses what each processor
 * does and how their lines interleave. Over the core with each strategy, and on the bare machine, every line must hold and
 * no rule be broken.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/scenario/scenario.h"
#include "model/random.h"

enum { CPUS = 3, GUESTS = 6, STEPS = 250, SEEDS = 50, QUEUE = 40, NOBODY = -1, NOTHING = -1 };
enum { EPT = 0x1000000, WINDOW = 0x300000, PAGES = 0x600000, VMXON_REGIONS = 0x18000, VMCS_REGIONS = 0x20000 };

/* ---- what is true ---- */

/* Fields that every strategy treats in its own way (hv/nested/field_classes.def), but for guest_rip, which L2 changes. */
static const char *const field_name[] = { "guest_rsp", "guest_gdtr_limit", "host_rsp", "tsc_offset", "exit_msr_load_address",
                                          "guest_ia32_sysenter_esp" };
enum { FIELDS = sizeof field_name / sizeof *field_name };

/* An L2, and L1's VMCS for it. Its window is a page of guest-physical memory behind which L1 puts one of two pages. */
struct guest {
    int holder, last_holder;        /* the processor on which its VMCS is active, and was active last */
    bool launched;
    uint64_t rip, rbx, field[FIELDS];
    unsigned page;                  /* behind the window: 0 or 1 */
    uint64_t content[2];
};

/* A line with its expectations, to come when it is its processor's turn. */
struct step {
    char text[300];
    int released;                   /* the guest that nobody holds after it */
};

struct processor {
    bool on;                        /* in VMX operation */
    int current;                    /* guest */
    struct step queue[QUEUE];
    unsigned first, count;
};

static struct {
    uint64_t seed;
    struct guest guest[GUESTS];
    struct processor cpu[CPUS];
    unsigned entries, moves;        /* how often an L2 was entered, and a VMCS came to another processor */
    char *text;
    size_t length, size;
} world;

static unsigned pick(unsigned below) { return (unsigned)(random_next(&world.seed) >> 32) % below; }

static unsigned region_of(int guest) { return VMCS_REGIONS + 0x1000 * (unsigned)guest; }
static unsigned window_of(int guest) { return WINDOW + 0x1000 * (unsigned)guest; }
static unsigned page_of(int guest, unsigned page) { return PAGES + 0x1000 * (2 * (unsigned)guest + page); }

/* ---- lines ---- */

__attribute__((format(printf, 1, 2))) static void emit(const char *format, ...)
{
    va_list arguments;

    if (world.size - world.length < 1000)
        world.text = realloc(world.text, world.size = 2 * world.size + 65536);
    va_start(arguments, format);
    world.length += (size_t)vsnprintf(world.text + world.length, world.size - world.length, format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static struct step *later(struct processor *cpu, const char *format, ...)
{
    struct step *step = &cpu->queue[(cpu->first + cpu->count++) % QUEUE];
    va_list arguments;

    ck_assert_uint_le(cpu->count, QUEUE);
    step->released = NOTHING;
    va_start(arguments, format);
    vsnprintf(step->text, sizeof step->text, format, arguments);
    va_end(arguments);
    return step;
}

/* ---- what L1 does on a processor ---- */

static void read_field(struct processor *cpu)
{
    const struct guest *g = &world.guest[cpu->current];
    unsigned field = pick(FIELDS + 1);

    if (field == FIELDS)
        later(cpu, "l1 vmread guest_rip\nexpect value 0x%lx\n", g->rip);
    else
        later(cpu, "l1 vmread %s\nexpect value 0x%lx\n", field_name[field], g->field[field]);
}

static void write_field(struct processor *cpu)
{
    struct guest *g = &world.guest[cpu->current];
    unsigned field = pick(FIELDS);

    g->field[field] = 0x1000 + 16 * pick(0x800);
    later(cpu, "l1 vmwrite %s 0x%lx\n", field_name[field], g->field[field]);
}

/* One that is free comes with what L1 must do on a new processor: forget old translations. */
static void load(struct processor *cpu, int self, int guest)
{
    struct guest *g = &world.guest[guest];

    if (g->holder == NOBODY)
        later(cpu, "l1 invept 2 0\n");
    world.moves += g->last_holder != self;
    g->holder = g->last_holder = self;
    cpu->current = guest;
    later(cpu, "l1 vmptrld 0x%x\n", region_of(guest));
    read_field(cpu);
}

static void clear(struct processor *cpu, int guest)
{
    world.guest[guest].launched = false;
    if (cpu->current == guest)
        cpu->current = NOTHING;
    later(cpu, "l1 vmclear 0x%x\n", region_of(guest))->released = guest;
}

static void touch(struct processor *cpu, struct guest *g, int guest)
{
    if (pick(2)) {
        g->content[g->page] = random_next(&world.seed) >> 1;
        later(cpu, "l2 write 0x%x 8 0x%lx\n", window_of(guest), g->content[g->page]);
    } else {
        later(cpu, "l2 read 0x%x 8\nexpect value 0x%lx\n", window_of(guest), g->content[g->page]);
    }
}

static void run_guest(struct processor *cpu)
{
    static const struct { const char *instruction, *reason; } exits[] = {
        { "cpuid 0", "cpuid" }, { "vmcall", "vmcall" }, { "vmxoff", "vmxoff" }, { "rdmsr 0x12345", "rdmsr" },
    };
    struct guest *g = &world.guest[cpu->current];
    unsigned way = pick(sizeof exits / sizeof *exits), touches = pick(4);

    if (pick(8) == 0)
        later(cpu, "l1 %s\nexpect fail %d\n", g->launched ? "vmlaunch" : "vmresume", g->launched ? 4 : 5);
    later(cpu, "l1 %s\nexpect register rip 0x%lx\nexpect register rsp 0x%lx\n", g->launched ? "vmresume" : "vmlaunch",
          g->rip, g->field[0]);
    g->launched = true;
    world.entries++;
    for (unsigned i = 0; i < touches; i++)
        touch(cpu, g, cpu->current);
    g->rip = 0x200000 + 16 * pick(0x1000);
    g->rbx = random_next(&world.seed) >> 1;
    later(cpu, "l2 register rbx 0x%lx\n", g->rbx);
    later(cpu, "l2 register rip 0x%lx\n", g->rip);
    later(cpu, "l2 %s\nexpect exit %s to=l1\nexpect register rbx 0x%lx\n", exits[way].instruction, exits[way].reason, g->rbx);
}

static void remap(struct processor *cpu, int guest)
{
    struct guest *g = &world.guest[guest];

    g->page ^= 1;
    later(cpu, "l1 ept map 0x%x 0x%x 0x%x rwx\n", EPT, window_of(guest), page_of(guest, g->page));
    later(cpu, "l1 invept %s\n", pick(2) ? "2 0" : "1 0x100001e");
}

/* VMCSs that were not VMCLEARed stay active on this processor. */
static void leave_or_come_back(struct processor *cpu, int self)
{
    cpu->current = NOTHING;
    cpu->on = !cpu->on;
    if (cpu->on)
        later(cpu, "l1 vmxon 0x%x\n", VMXON_REGIONS + 0x1000 * self);
    else
        later(cpu, "l1 vmxoff\n");
}

/* Decides what this processor does next; its lines go into its queue. */
static void act(int self)
{
    struct processor *cpu = &world.cpu[self];
    int guest = (int)pick(GUESTS);
    bool within_reach = world.guest[guest].holder == self || world.guest[guest].holder == NOBODY;

    if (!cpu->on) {
        leave_or_come_back(cpu, self);
        return;
    }
    switch (pick(16)) {
    case 0: case 1:
        if (within_reach)
            load(cpu, self, guest);
        return;
    case 2: case 3:
        if (world.guest[guest].holder == self)
            clear(cpu, guest);
        return;
    case 4:
        if (pick(4) == 0)
            leave_or_come_back(cpu, self);
        return;
    case 5:
        later(cpu, "l1 invept 2 0\n");
        return;
    case 6: case 7:
        if (world.guest[guest].holder == self)
            remap(cpu, guest);
        return;
    default:
        if (cpu->current == NOTHING && within_reach)
            load(cpu, self, guest);
        else if (cpu->current == NOTHING)
            later(cpu, "l1 vmread guest_rip\nexpect fail invalid\n");
        else if (pick(2))
            run_guest(cpu);
        else if (pick(2))
            read_field(cpu);
        else
            write_field(cpu);
    }
}

/* ---- a program ---- */

/* On the first processor L1 makes its VMCSs. */
static void begin(void)
{
    emit("l1 prepare vmx\nl1 prepare region 0x%x\nl1 vmxon 0x%x\nl1 prepare ept 0x%x\n", VMXON_REGIONS, VMXON_REGIONS, EPT);
    for (int i = 0; i < GUESTS; i++) {
        struct guest *g = &world.guest[i];
        *g = (struct guest){ .holder = NOBODY, .rip = 0x200000 + 0x100 * (unsigned)i };
        emit("l1 prepare region 0x%x\nl1 vmclear 0x%x\nl1 vmptrld 0x%x\nl1 prepare vmcs ept=0x%x\nl1 vmwrite guest_rip 0x%lx\n",
             region_of(i), region_of(i), region_of(i), EPT, g->rip);
        for (unsigned f = 0; f < FIELDS; f++) {
            g->field[f] = 0x1000 + 16 * pick(0x800);
            emit("l1 vmwrite %s 0x%lx\n", field_name[f], g->field[f]);
        }
        for (unsigned page = 0; page < 2; page++) {
            g->content[page] = random_next(&world.seed) >> 1;
            emit("l1 write 0x%x 8 0x%lx\n", page_of(i, page), g->content[page]);
        }
        emit("l1 ept map 0x%x 0x%x 0x%x rwx\nl1 vmclear 0x%x\n", EPT, window_of(i), page_of(i, 0), region_of(i));
    }
    for (int i = 1; i < CPUS; i++)
        emit("cpu %d\nl1 prepare vmx\nl1 prepare region 0x%x\nl1 vmxon 0x%x\n", i, VMXON_REGIONS + 0x1000 * i,
             VMXON_REGIONS + 0x1000 * i);
    for (int i = 0; i < CPUS; i++)
        world.cpu[i] = (struct processor){ .on = true, .current = NOTHING };
}

static void generate(const char *l0, const char *policy, uint64_t seed)
{
    int running = CPUS - 1;

    world.seed = seed;
    world.length = world.entries = world.moves = 0;
    emit("machine cpus=%d tlb=%s\n%s", CPUS, policy, l0);
    begin();
    for (unsigned i = 0; i < STEPS;) {
        int self = (int)pick(CPUS);
        struct processor *cpu = &world.cpu[self];
        if (!cpu->count)
            act(self);
        if (!cpu->count)
            continue;
        const struct step *step = &cpu->queue[cpu->first];
        if (self != running)
            emit("cpu %d\n", running = self);
        emit("%s", step->text);
        if (step->released != NOTHING)
            world.guest[step->released].holder = NOBODY;
        cpu->first = (cpu->first + 1) % QUEUE;
        cpu->count--;
        i++;
    }
}

/* What L0 is must not show, nor, with every other seed, that memory changes behind what it has read. */
static const char *const worlds[] = { "l0 absent\n", "l0 native trap", "l0 native copy", "l0 native flip" };
enum { WORLDS = sizeof worlds / sizeof *worlds };

START_TEST(each_line_holds)
{
    static const char *const policy[] = { "keep", "seeded", "drop" };
    uint64_t seed = (uint64_t)_i / WORLDS + 1;
    struct scenario_error error = { .text = "" };
    struct scenario_options options = { 0 };
    struct program program;
    char l0[40];

    snprintf(l0, sizeof l0, "%s%s", worlds[_i % WORLDS], _i % WORLDS == 0 ? "" : seed & 1 ? " races=1\n" : "\n");
    generate(l0, policy[seed % 3], seed);
    ck_assert_uint_ge(world.entries, 10);
    ck_assert_uint_ge(world.moves, 1);
    ck_assert_msg(scenario_parse_text(world.text, strlen(world.text), "test", &program, &error), "%s", error.text);
    bool good = scenario_run(&program, &options, NULL, &error);
    if (!good && getenv("KEEP")) {
        FILE *file = fopen(getenv("KEEP"), "w");
        fputs(world.text, file);
        fclose(file);
    }
    scenario_free(&program);
    ck_assert_msg(good, "seed %lu, %s%s (KEEP=FILE keeps the scenario)", seed, l0, error.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv cpus");
    TCase *tests = tcase_create("all");

    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, each_line_holds, 0, SEEDS * WORLDS);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);     /* hundreds of short ones */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
