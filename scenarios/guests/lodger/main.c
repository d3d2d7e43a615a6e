/* SPDX-License-Identifier: MIT */
/*
 * Lodger: an operating system with its own idea of linear addresses brings L0 along (arch/late_load.h, second half). Module 0 is
 * build/sesqui.elf. Nothing that it or L0's loader touches is mapped one to one, its GDT is read-only, it uses PCIDs and global
 * pages; and a second processor sends NMIs all the time.
 */
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/late.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/lib/second.h"
#include "scenarios/guests/lodger/world.h"

#include "arch/x86.h"

unsigned main(const void *information);

enum { EXIT_MISMATCH = 1, EXIT_NO_IMAGE = 2, ROUNDS = 60, UNDEFINED = 0x106, TOO_EARLY = 4, GIVE_PAGE = 0x53716731 };
enum { ENDBR64 = 0xfa1e0ff3, IMAGE_SEARCH = 8192, POOL_SIZE = 16 << 20, LOG_SIZE = 4096, ENOUGH_NMIS = 20, RANGES = 40, PIECE = 4 << 20 };

struct elf { uint8_t ident[16]; uint16_t type, machine; uint32_t version; uint64_t entry, phoff; };
struct segment { uint32_t type, flags; uint64_t offset, virtual, physical, file_size, memory_size; };
struct information { uint32_t flags, memory[2], boot_device, command_line, module_count, modules, symbols[4], map_length, map; };
struct module { uint32_t start, end, text, reserved; };
struct __attribute__((packed)) map_entry { uint32_t size; uint64_t base, length; uint32_t type; };
typedef uint64_t late_prepare(const struct late_system *);

static unsigned mismatches;
static const uint8_t *file;
static struct late_range range[RANGES];
static const uint32_t local_apic_id[] = { 0, 1 };
static struct late_system the_system = {
    .signature = LATE_SYSTEM_SIGNATURE, .pool = POOL, .pool_size = POOL_SIZE, .linear = DIRECT + POOL, .range = range,
    .processor_count = 2, .local_apic_id = local_apic_id, .command_line = "hv=trap", .log = LOG, .log_size = LOG_SIZE,
    .log_linear = DIRECT + LOG,
};
volatile uint64_t nmis_taken;

static void expect(const char *what, uint64_t value, uint64_t wanted)
{
    if (value == wanted)
        return;
    mismatches++;
    print("MISMATCH: %s: %lx, expected %lx\n", what, value, wanted);
}

/* ---- the second processor: in the old world, one to one ---- */

static volatile uint64_t over, sent;

void second_main(void)
{
    volatile uint32_t *const icr = (volatile uint32_t *)0xfee00300;
    volatile const uint64_t *const taken = (volatile const uint64_t *)(WORLD + (uint64_t)&nmis_taken);

    WAIT_UNTIL(over == 1);
    icr[4] = 0;
    while (over == 1) {
        const uint64_t before = *taken;
        icr[0] = 0x4400;
        sent++;
        WAIT_UNTIL(*taken != before || over != 1);
    }
    over = 3;
}

static volatile uint64_t *old(volatile uint64_t *place) { return (volatile uint64_t *)(DIRECT + (uint64_t)place); }

/* ---- the image ---- */

static const struct late_image *place_image(void)
{
    const uint8_t *const there = (const uint8_t *)(DIRECT + (uint64_t)file);    /* it need not lie in the program's 8 MB */
    const struct segment *segment = (const struct segment *)(there + ((const struct elf *)there)->phoff);
    uint8_t *const to = (uint8_t *)(DIRECT + POOL);

    memcpy(to, there + segment->offset, segment->file_size);
    memset(to + segment->file_size, 0, segment->memory_size - segment->file_size);
    for (unsigned i = 0; i < IMAGE_SEARCH; i += 8)
        if (*(const uint64_t *)(to + i) == LATE_IMAGE_SIGNATURE)
            return (const struct late_image *)(to + i);
    return NULL;
}

static void read_information(const struct information *information)
{
    const struct module *module = (const struct module *)(uint64_t)information->modules;

    for (const char *at = (const char *)(uint64_t)information->command_line; *at; at++)
        if (at[0] == 'h' && at[1] == 'v' && at[2] == '=')
            the_system.command_line = at;       /* a strategy for L0 */
    if (information->module_count)
        file = (const uint8_t *)(uint64_t)module->start;
    for (uint64_t at = information->map; at < (uint64_t)information->map + information->map_length;) {
        const struct map_entry *entry = (const struct map_entry *)at;
        uint64_t base = entry->base, end = entry->base + entry->length;
        while (entry->type == LATE_RAM && base >= 1 << 20 && base + PIECE < POOL) {     /* many ranges, as firmware makes them */
            range[the_system.range_count++] = (struct late_range){ base, PIECE, LATE_RAM };
            base += PIECE;
        }
        range[the_system.range_count++] = (struct late_range){ base, end - base, entry->type };
        at += entry->size + sizeof entry->size;
    }
}

/* ---- what must be as it was ---- */

struct state { uint64_t cr0, cr3, cr4, gdt, idt, tr, ldt, fs; };

static struct state state(void)
{
    struct state s = { .cr0 = read_cr0(), .cr3 = read_cr3(), .cr4 = read_cr4(), .gdt = store_gdtr().base, .idt = store_idtr().base };
    uint16_t tr, ldt;

    __asm__ volatile("str %0; sldt %1" : "=m"(tr), "=m"(ldt));
    s.tr = tr;
    s.ldt = ldt;
    s.fs = rdmsr(0xc0000100);
    return s;
}

static void expect_state(const struct state *wanted)
{
    const struct state now = state();

    expect("CR0", now.cr0, wanted->cr0);
    expect("CR3", now.cr3, wanted->cr3);
    expect("CR4", now.cr4, wanted->cr4);
    expect("GDTR", now.gdt, wanted->gdt);
    expect("IDTR", now.idt, wanted->idt);
    expect("TR", now.tr, wanted->tr);
    expect("LDTR", now.ldt, wanted->ldt);
    expect("FS base", now.fs, wanted->fs);
}

static uint64_t ask(uint64_t rax, uint64_t rbx)
{
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n vmcall\n1: movq $0, fault_resume" : "+a"(rax) : "b"(rbx) : "memory", "cc");
    return fault_vector >= 0 ? 0x100u + (unsigned)fault_vector : rax;
}

static void refusals(late_prepare *prepare)
{
    struct late_system wrong = the_system;

    wrong.signature = 0;
    expect("prepare with another signature", prepare(&wrong), LATE_REFUSED);
    wrong = the_system;
    wrong.linear += LATE_ALIGNMENT;
    expect("prepare with another address", prepare(&wrong), LATE_REFUSED);
    expect("it says so", *(volatile uint64_t *)(DIRECT + LOG) > 0, true);
}

/* Some task's paging. */
static uint64_t unload_elsewhere(void)
{
    world_hide_pool(true);
    const uint64_t answer = ask(LATE_CALL, LATE_UNLOAD);
    world_hide_pool(false);
    return answer;
}

static void use(late_load *load)
{
    const struct state before = state();

    for (unsigned i = 0; i < ROUNDS || nmis_taken < ENOUGH_NMIS; i++) {
        expect("load", load(), LATE_DONE);
        expect_state(&before);
        expect("call", ask(LATE_CALL, 99), LATE_UNKNOWN);
        expect("unload where the pool is not mapped", unload_elsewhere(), LATE_REFUSED);
        expect("unload", ask(LATE_CALL, LATE_UNLOAD), LATE_DONE);
        expect_state(&before);
        if (mismatches)
            return;
    }
    expect("call on bare hardware", ask(LATE_CALL, 99), UNDEFINED);
    expect("load", load(), LATE_DONE);
    expect("finalise", ask(LATE_CALL, LATE_FINALISE), LATE_DONE);
    expect("unload", ask(LATE_CALL, LATE_UNLOAD), LATE_REFUSED);
    expect("give a page: the second is without L0", ask(GIVE_PAGE, LOG), TOO_EARLY);
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n movb (%0), %%al\n1: movq $0, fault_resume" : : "r"(DIRECT + POOL) : "rax", "memory");
    expect("the pool has vanished: exception", (uint64_t)fault_vector, VECTOR_GP);
}

unsigned main(const void *information)
{
    const struct late_image *image;

    console_open();
    idt_load();
    read_information(information);
    if (!file || (*(const uint64_t *)file & 0xffffffffff) != 0x2464c457f) {
        print("lodger: module 0 is no 64-bit ELF file\n");
        return EXIT_NO_IMAGE;
    }
    second_wake();
    world_change();
    nmi_gate();
    if (!(image = place_image())) {
        print("lodger: module 0 is not L0's image\n");
        return EXIT_NO_IMAGE;
    }
    late_prepare *const prepare = (late_prepare *)(DIRECT + POOL + image->prepare);
    late_load *const load = (late_load *)(DIRECT + POOL + image->load);
    expect("ENDBR64 at prepare()", *(const uint32_t *)prepare, ENDBR64);
    expect("ENDBR64 at load()", *(const uint32_t *)load, ENDBR64);
    expect("it fits the pool", image->smallest + image->per_processor <= POOL_SIZE, true);
    *old(&over) = 1;
    refusals(prepare);
    place_image();
    expect("prepare", prepare(&the_system), LATE_DONE);
    expect("prepare again", prepare(&the_system), LATE_REFUSED);
    use(load);
    *old(&over) = 2;
    WAIT_UNTIL(*old(&over) == 3);
    expect("NMIs taken", nmis_taken, *old(&sent));
    print("lodger: %s\n", mismatches ? "mismatches" : "all as expected");
    return mismatches ? EXIT_MISMATCH : 0;
}
