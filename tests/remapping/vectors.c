/* SPDX-License-Identifier: MIT */
/*
 * A remapping unit and requests of a device, judged by another implementation: tables that are sound but for a bit or two, one request, and what
 * became of it. The same writes go to the model and, by the qtest protocol, to QEMU's intel-iommu with its edu device.
 *
 *   vectors REPORT [--seed S] [--count N] [--mode legacy|scalable]
 *
 * Its output and input are the ends of pipes to `qemu-system-x86_64 -qtest stdio` (qemu.sh). REPORT gets a line for each vector that differs.
 *
 * Vectors follow each other on one machine, whose memory keeps what the ones before have written, in both alike.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/iommu/iommu.h"
#include "model/random.h"

enum { RAM_SIZE = 16 << 20, WIDTH = 48, SOURCE = 0x08 };        /* the device is number 1 of bus 0 */
enum { ROOT = 0x10000, CONTEXT = 0x11000, DIRECTORY = 0x12000, PASIDS = 0x13000, TABLES = 0x20000, PAGE = 0x200000, RESULT = 0x400000, PATTERN = 0x400008 };
#define UNIT 0xfed90000ull
#define DEVICE_BAR 0xe0000000ull
#define DEVICE_BUFFER 0x40000ull
#define GLOBAL_CONTEXTS (1ull << 63 | 1ull << 61)
#define GLOBAL_PAGES (1ull << 63 | 1ull << 60)
enum { PATTERNS = 4, MUTATIONS = 3, PLACES = 12, WRITES = 32, TEXT = 240, RECORD = 0x220 };

/* ---- a vector ---- */

struct write { uint64_t pa, value; };
struct vector {
    unsigned number, writes;
    struct write write[WRITES];
    uint64_t root, iova, target, data;      /* target: where the sound tables lead */
    bool enabled, to_memory;
    char text[TEXT];
};

static uint64_t state;

static unsigned pick(unsigned below) { return (unsigned)(random_next(&state) >> 33) % below; }

static void put(struct vector *v, uint64_t pa, uint64_t value) { v->write[v->writes++] = (struct write){ pa, value }; }

__attribute__((format(printf, 2, 3))) static void say(struct vector *v, const char *format, ...)
{
    size_t length = strlen(v->text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(v->text + length, sizeof v->text - length, format, arguments);
    va_end(arguments);
}

/* Tables of `levels` levels whose leaf is at level `leaf`; `type`: of the context entry in legacy mode, of the PASID table entry in scalable mode. */
static void sound(struct vector *v, bool scalable, unsigned levels, unsigned leaf, unsigned type)
{
    put(v, ROOT, CONTEXT | 1);
    put(v, ROOT + 8, scalable ? CONTEXT | 1 : 0);
    if (scalable) {
        put(v, CONTEXT + SOURCE * 32, DIRECTORY | 1);
        put(v, CONTEXT + SOURCE * 32 + 8, 0);
        put(v, DIRECTORY, PASIDS | 1);
        put(v, PASIDS, TABLES | (uint64_t)type << 6 | (uint64_t)(levels - 2) << 2 | 1);
        put(v, PASIDS + 8, 1 + pick(100));
        for (unsigned i = 16; i < 64; i += 8)
            put(v, PASIDS + i, 0);
    } else {
        put(v, CONTEXT + SOURCE * 16, TABLES | (uint64_t)type << 2 | 1);
        put(v, CONTEXT + SOURCE * 16 + 8, (uint64_t)(1 + pick(100)) << 8 | (levels - 2));
    }
    for (unsigned level = levels; level >= leaf; level--) {
        const uint64_t at = TABLES + (levels - level) * 0x1000ull + (v->iova >> (12 + 9 * (level - 1)) & 0x1ff) * 8;
        const uint64_t to = level > leaf ? TABLES + (levels - level + 1) * 0x1000ull : leaf == 3 ? 0 : PAGE;

        put(v, at, to | 3 | (level == leaf && leaf > 1 ? 0x80 : 0));
    }
    v->target = leaf == 1 ? PAGE + v->iova % PAGE_SIZE : PAGE + v->iova % 0x200000;
}

static const char *const places_legacy[] = { "root.low", "root.high", "context.low", "context.high", "level[0]", "level[1]", "level[2]", "level[3]" };
static const char *const places_scalable[] = { "root.low", "root.high", "context.low", "context.high", "directory", "pasid[0]", "pasid[1]", "pasid[2]", "pasid[3]", "pasid[4]",
                                               "pasid[5]", "pasid[6]", "pasid[7]", "level[0]", "level[1]", "level[2]", "level[3]" };

static unsigned bit_of_interest(void)
{
    switch (pick(4)) {
    case 0:
        return pick(64);
    case 1:
        return 48 + pick(16);
    default:
        return pick(12);
    }
}

static void mutate(struct vector *v, bool scalable)
{
    const char *const *names = scalable ? places_scalable : places_legacy;

    for (unsigned count = pick(MUTATIONS); count; count--) {
        unsigned place = pick(v->writes), bit = bit_of_interest();

        v->write[place].value ^= 1ull << bit;
        say(v, " %s.%u", names[place], bit);
    }
    if (!pick(20)) {
        v->root ^= 1ull << (10 + pick(2));
        say(v, " rtaddr.ttm");
    }
    if (!pick(12)) {
        v->iova ^= 1ull << (39 + pick(12));
        say(v, " iova.wide");
    }
    if (!pick(30)) {
        v->enabled = false;
        say(v, " disabled");
    }
}

static void make(struct vector *v, unsigned number, bool scalable)
{
    static const unsigned legacy_types[] = { 0, 0, 0, 0, 1, 2, 3 }, scalable_types[] = { 2, 2, 2, 4, 0, 5, 7 };
    unsigned levels = scalable ? 4 : 3 + pick(2), leaf = 1 + pick(3), type = (scalable ? scalable_types : legacy_types)[pick(7)];

    *v = (struct vector){ .number = number, .enabled = true, .to_memory = pick(2), .root = ROOT | (scalable ? 1 << 10 : 0) };
    v->iova = (random_next(&state) & ((1ull << (12 + 9 * levels)) - 1) & ~0x3fffffffull) | PAGE | (pick(1 << 18) * 8ull);
    if (v->iova >> 20 == 0xfee)
        v->iova ^= 1ull << 32;
    v->data = random_next(&state) | 1;
    sound(v, scalable, levels, leaf, type);
    say(v, "%u levels, leaf %u, type %u, %s:", levels, leaf, type, v->to_memory ? "write" : "read");
    mutate(v, scalable);
}

/* ---- what becomes of it ---- */

/* `moved`: the data is where the sound tables lead, or has come from there. Only of requests that no fault was recorded of. */
struct outcome { uint64_t value; uint32_t status; uint64_t low, high; };

/* In scalable mode the other machine has reasons of its own. */
static void words(const struct vector *v, const struct outcome *o, bool scalable, char to[TEXT])
{
    if (o->status & 2 && scalable)
        snprintf(to, TEXT, "refused");
    else if (o->status & 2)
        snprintf(to, TEXT, "reason 0x%02x, %s by 0x%x of 0x%" PRIx64, (unsigned)(o->high >> 32 & 0xff), o->high >> 62 & 1 ? "read" : "write", (unsigned)(o->high & 0xffff),
                 (uint64_t)(o->low & PAGE_MASK));
    else
        snprintf(to, TEXT, "%s", o->value == v->data ? "granted" : "nothing recorded, nothing moved");
}

/* ---- the model ---- */

static struct iommu *iommu;
static struct memory memory;

static void message(void *context, struct iommu_message sent) { (void)context, (void)sent; }

static void open_model(bool scalable)
{
    iommu = malloc(sizeof *iommu);
    memory_init(&memory, calloc(1, RAM_SIZE), RAM_SIZE, calloc(1, RAM_SIZE / PAGE_SIZE));
    iommu_init(iommu, &memory, (struct iommu_outside){ NULL, message, NULL }, &iommu_profiles[scalable ? IOMMU_PROFILE_scalable : IOMMU_PROFILE_legacy], WIDTH);
}

static struct outcome ask_model(const struct vector *v)
{
    struct outcome o = { 0 };
    struct iommu_request request = { .source = SOURCE, .address = v->iova, .access = v->to_memory ? IOMMU_WRITE : IOMMU_READ };

    iommu_reset(iommu);
    for (unsigned i = 0; i < v->writes; i++)
        memory_write64(&memory, v->write[i].pa, v->write[i].value);
    memory_write64(&memory, v->target, v->to_memory ? 0 : v->data);
    iommu_register_write(iommu, VTD_rtaddr, 8, v->root);
    iommu_register_write(iommu, VTD_gcmd, 4, VTD_SRTP);
    if (v->enabled)
        iommu_register_write(iommu, VTD_gcmd, 4, VTD_TE);
    const struct iommu_translation to = iommu_translate(iommu, &request);
    if (!to.reason && v->to_memory)
        memory_write64(&memory, to.pa, v->data);
    o.value = v->to_memory ? memory_read64(&memory, v->target) : to.reason ? 0 : memory_read64(&memory, to.pa);
    o.status = (uint32_t)iommu_register_read(iommu, VTD_fsts, 4);
    o.low = iommu_register_read(iommu, RECORD, 8);
    o.high = iommu_register_read(iommu, RECORD + 8, 8);
    return o;
}

/* ---- the other machine: qtest ---- */

/* The number in the answer to a command, 0 if it has none. Ends the program where there is no answer. */
static uint64_t answer(void)
{
    uint64_t value = 0;
    char line[200];

    fflush(stdout);
    if (!fgets(line, sizeof line, stdin) || strncmp(line, "OK", 2)) {
        fprintf(stderr, "vectors: no answer, or a bad one\n");
        exit(2);
    }
    (void)sscanf(line, "OK 0x%" SCNx64, &value);
    return value;
}

static void set(uint64_t at, unsigned size, uint64_t value)
{
    printf("write%c 0x%" PRIx64 " 0x%" PRIx64 "\n", size == 8 ? 'q' : 'l', at, value);
    answer();
}

static uint64_t get(uint64_t at, unsigned size)
{
    printf("read%c 0x%" PRIx64 "\n", size == 8 ? 'q' : 'l', at);
    return answer();
}

static void set_config(unsigned offset, uint32_t value)
{
    printf("outl 0xcf8 0x%x\n", 0x80000000u | SOURCE << 8 | offset);
    answer();
    printf("outl 0xcfc 0x%x\n", value);
    answer();
}

/* The device takes its time. */
static void dma(uint64_t from, uint64_t to, bool to_memory)
{
    set(DEVICE_BAR + 0x80, 8, from);
    set(DEVICE_BAR + 0x88, 8, to);
    set(DEVICE_BAR + 0x90, 8, 8);
    set(DEVICE_BAR + 0x98, 8, to_memory ? 3 : 1);
    while (get(DEVICE_BAR + 0x98, 8) & 1)
        ;
}

static struct outcome ask_other(const struct vector *v)
{
    struct outcome o;

    set(UNIT + VTD_gcmd, 4, 0);
    for (unsigned i = 0; i < v->writes; i++)
        set(v->write[i].pa, 8, v->write[i].value);
    set(v->target, 8, v->to_memory ? 0 : v->data);
    set(PATTERN, 8, v->to_memory ? v->data : 0);
    dma(PATTERN, DEVICE_BUFFER, false);
    set(UNIT + VTD_rtaddr, 8, v->root);
    set(UNIT + VTD_gcmd, 4, VTD_SRTP);
    set(UNIT + VTD_ccmd, 8, GLOBAL_CONTEXTS);
    set(UNIT + VTD_iotlb, 8, GLOBAL_PAGES);
    set(UNIT + RECORD + 12, 4, 1u << 31);
    set(UNIT + VTD_fsts, 4, 0xff);
    if (v->enabled)
        set(UNIT + VTD_gcmd, 4, VTD_TE);
    dma(v->to_memory ? DEVICE_BUFFER : v->iova, v->to_memory ? v->iova : DEVICE_BUFFER, v->to_memory);
    set(UNIT + VTD_gcmd, 4, 0);
    if (!v->to_memory)
        dma(DEVICE_BUFFER, RESULT, true);
    o.value = get(v->to_memory ? v->target : RESULT, 8);
    o.status = (uint32_t)get(UNIT + VTD_fsts, 4);
    o.low = get(UNIT + RECORD, 8);
    o.high = get(UNIT + RECORD + 8, 8);
    return o;
}

int main(int argc, char **argv)
{
    unsigned count = 100, differ = 0, refused = 0;
    bool scalable = false;
    FILE *report;

    if (argc < 2 || argc % 2 || !(report = fopen(argv[1], "w"))) {
        fprintf(stderr, "usage: vectors REPORT [--seed S] [--count N] [--mode legacy|scalable]\n");
        return 2;
    }
    state = 1;
    for (int i = 2; i < argc; i += 2) {
        if (!strcmp(argv[i], "--seed"))
            state = strtoull(argv[i + 1], NULL, 0);
        else if (!strcmp(argv[i], "--count"))
            count = (unsigned)strtoul(argv[i + 1], NULL, 0);
        else
            scalable = !strcmp(argv[i + 1], "scalable");
    }
    state *= 0x9e3779b97f4a7c15;
    set_config(0x10, DEVICE_BAR);
    set_config(4, 6);
    open_model(scalable);
    for (unsigned i = 0; i < count; i++) {
        struct vector v;
        char us[TEXT], them[TEXT];

        make(&v, i, scalable);
        const struct outcome ours = ask_model(&v), theirs = ask_other(&v);
        refused += ours.status & 2 ? 1 : 0;
        words(&v, &ours, scalable, us);
        words(&v, &theirs, scalable, them);
        if (!strcmp(us, them))
            continue;
        differ++;
        fprintf(report, "%u: %s | ours: %s | theirs: %s\n", i, v.text, us, them);
    }
    fprintf(report, "# %u vectors, %u refused, %u differ\n", count, refused, differ);
    puts("outb 0x501 0");                       /* isa-debug-exit */
    return fclose(report) ? 2 : 0;
}
