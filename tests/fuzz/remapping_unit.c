/* SPDX-License-Identifier: MIT */
/*
 * A remapping unit under software that writes nonsense into its registers, tables and queue, and devices that ask for anything. Memory is as large as it
 * is, so that a sanitizer sees a table or an answer beyond it. What must hold besides:
 *
 *   a grant lies within the host's address width, and gives what was asked for
 *   it is what the tables say now, or it is told that they say something else
 *   with what is remembered dropped, nothing is stale
 *   after a refusal that is to be recorded the Fault Status Register says that there are records, or too many
 *   an interrupt that goes on is in the range of interrupts
 *   no bit of a register is set that it does not have
 */
#include <stdlib.h>
#include <string.h>

#include "model/iommu/iommu.h"
#include "tests/fuzz/fuzz.h"

enum { RAM_SIZE = 64 << 10, WIDTH = 40, STEP = 12, TABLES = 12 };
/* What a sound unit has, and what fuzz_make() begins with: one table a page. */
enum { ROOT = 0x1000, CONTEXT = 0x2000, DIRECTORY = 0x3000, PASIDS = 0x4000, SECOND = 0x5000, FIRST = 0x9000, INTERRUPTS = 0xd000, QUEUE = 0xe000, DATA = 0xf000 };

static const struct { uint16_t offset; uint8_t size; } registers[] = {
#define VTD_REGISTER(name, offset, size, reset, writable, clear, action, title) { offset, size },
#include "arch/vtd_registers.def"
};
enum { REGISTERS = sizeof registers / sizeof registers[0] };

static struct iommu *iommu;
static struct memory memory;
static uint8_t *ram, *watch;
static struct { bool refused, recorded, stale; } told;

static void message(void *context, struct iommu_message sent) { (void)context, (void)sent; }

static void notify(void *context, const struct iommu_notice *notice)
{
    (void)context;
    told.refused |= notice->kind == IOMMU_NOTICE_REFUSED;
    told.recorded |= notice->kind == IOMMU_NOTICE_REFUSED && notice->recorded;
    told.stale |= notice->kind == IOMMU_NOTICE_STALE;
    for (unsigned i = 0; notice->way && i < notice->way->count; i++)
        FUZZ_ASSERT(notice->way->step[i].pa + 8 <= RAM_SIZE || !notice->way->step[i].value || notice->reason);
}

static void begin(uint8_t choice)
{
    if (!iommu) {
        iommu = malloc(sizeof *iommu);
        ram = malloc(RAM_SIZE);
        watch = calloc(1, RAM_SIZE / PAGE_SIZE);
        FUZZ_ASSERT(iommu && ram && watch);
    }
    memset(ram, 0, RAM_SIZE);
    memory_init(&memory, ram, RAM_SIZE, watch);
    iommu_init(iommu, &memory, (struct iommu_outside){ NULL, message, notify }, &iommu_profiles[choice % IOMMU_PROFILES], WIDTH);
    iommu->policy = choice & 0x80 ? TLB_DROP : choice & 0x40 ? TLB_SEEDED : TLB_KEEP;
}

static struct iommu_translation ask(const struct iommu_request *request)
{
    told.refused = told.recorded = told.stale = false;
    const struct iommu_translation to = iommu_translate(iommu, request);
    FUZZ_ASSERT(told.refused == (to.reason != IOMMU_GRANTED));
    FUZZ_ASSERT(!told.recorded || IOMMU_R(iommu, fsts) & (VTD_FSTS_PPF | VTD_FSTS_PFO));
    FUZZ_ASSERT(told.stale == to.stale);
    FUZZ_ASSERT(iommu->policy != TLB_DROP || !to.stale);
    if (to.reason || to.interrupt)
        return to;
    FUZZ_ASSERT(!(to.pa >> WIDTH) || !(IOMMU_R(iommu, gsts) & VTD_TE));
    FUZZ_ASSERT(request->access == IOMMU_READ ? to.readable : to.writable);
    const struct iommu_translation now = iommu_probe(iommu, request);
    FUZZ_ASSERT(to.stale || (!now.reason && now.pa == to.pa));
    return to;
}

/* Page by page, over the tables too. */
static void transfer(struct iommu_request request, uint8_t byte, uint64_t length)
{
    static uint8_t data[PAGE_SIZE];

    memset(data, byte, sizeof data);
    while (length) {
        const struct iommu_translation to = ask(&request);
        uint64_t part = PAGE_SIZE - request.address % PAGE_SIZE;

        if (to.reason || to.interrupt)
            return;
        part = part < length ? part : length;
        if (request.access != IOMMU_READ)
            memory_write(&memory, to.pa, data, part);
        request.address += part;
        length -= part;
    }
}

static uint64_t number(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, at, size);
    return value;
}

/* kind, detail; place; value. */
static void step(const uint8_t at[STEP])
{
    const uint16_t place = (uint16_t)number(at + 2, 2);
    const uint64_t value = number(at + 4, 8);
    const struct iommu_request request = {
        .address = value & (at[1] & 0x80 ? ~0ull : 0xffff), .source = (at[1] & 0x40) ? place : 0x18, .kind = (at[1] >> 2 & 3) % 3, .access = (at[1] & 3) % 3,
        .has_pasid = at[1] & 0x10, .pasid = at[1] & 0x20 ? place : 0, .supervisor = at[0] & 0x10, .execute = at[0] & 0x20,
    };
    struct iommu_message in = { .address = 0xfee00000 | (value & 0xfffff), .data = place }, out;

    switch (at[0] & 7) {
    case 0: case 1:
        iommu_register_write(iommu, at[1] & 0x80 ? place % VTD_WINDOW : registers[at[1] % REGISTERS].offset, at[0] & 8 ? place & 15 : registers[at[1] % REGISTERS].size, value);
        break;
    case 2: case 3:
        memory_write64(&memory, place & ~7ull, value);
        break;
    case 4:
        ask(&request);
        break;
    case 5:
        transfer(request, at[1], place % (2 * PAGE_SIZE));
        break;
    case 6:
        if (iommu_interrupt(iommu, at[1] & 1 ? IOMMU_NO_SOURCE : request.source, in, &out))
            FUZZ_ASSERT(out.address >= VTD_INTERRUPT_BASE && (out.wide || out.address < VTD_INTERRUPT_END));
        break;
    case 7:
        iommu_register_read(iommu, at[1] & 0x80 ? place % VTD_WINDOW : registers[at[1] % REGISTERS].offset, at[0] & 8 ? place & 15 : registers[at[1] % REGISTERS].size);
        break;
    }
    FUZZ_ASSERT(!(IOMMU_R(iommu, gsts) & ~(uint64_t)(VTD_TOGGLES | VTD_SRTP | VTD_SIRTP)));
    FUZZ_ASSERT(!(IOMMU_R(iommu, iqt) & ~0x7fff0ull) && !(IOMMU_R(iommu, iqh) & ~0x7fff0ull));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!size)
        return 0;
    begin(*bytes++);
    for (size--; size >= STEP; bytes += STEP, size -= STEP)
        step(bytes);
    return 0;
}

/* ---- inputs: sound tables for device 3 of bus 0, then changes ---- */

struct input { uint8_t *to; size_t size; };

static void add(struct input *in, uint8_t kind, uint8_t detail, uint16_t place, uint64_t value)
{
    in->to[in->size] = kind;
    in->to[in->size + 1] = detail;
    memcpy(in->to + in->size + 2, &place, 2);
    memcpy(in->to + in->size + 4, &value, 8);
    in->size += STEP;
}

static void add_register(struct input *in, unsigned offset, uint64_t value)
{
    for (unsigned i = 0; i < REGISTERS; i++)
        if (registers[i].offset == offset)
            add(in, 0, (uint8_t)i, 0, value);
}

static void sound(struct input *in, bool scalable)
{
    add(in, 2, 0, ROOT, CONTEXT | 1);
    if (scalable) {
        add(in, 2, 0, CONTEXT + 0x18 * 32, DIRECTORY | 1);
        add(in, 2, 0, DIRECTORY, PASIDS | 1);
        add(in, 2, 0, PASIDS, SECOND | 1ull << 2 | (uint64_t)VTD_PGTT_SECOND << 6 | 1);
        add(in, 2, 0, PASIDS + 8, 7);
        add(in, 2, 0, PASIDS + 16, FIRST | 1);
    } else {
        add(in, 2, 0, CONTEXT + 0x18 * 16, SECOND | 1);
        add(in, 2, 0, CONTEXT + 0x18 * 16 + 8, 7 << 8 | 2);
    }
    for (unsigned level = 0; level < 3; level++) {
        add(in, 2, 0, (uint16_t)(SECOND + level * 0x1000), (SECOND + (level + 1) * 0x1000ull) | 3);
        add(in, 2, 0, (uint16_t)(FIRST + level * 0x1000), (FIRST + (level + 1) * 0x1000ull) | 7);
    }
    add(in, 2, 0, SECOND + 0x3000, DATA | 3);
    add(in, 2, 0, FIRST + 0x3000, 7);
    add(in, 2, 0, INTERRUPTS, 0x200001);
    add_register(in, VTD_rtaddr, ROOT | (scalable ? 1 << 10 : 0));
    add_register(in, VTD_irta, INTERRUPTS | 4);
    add_register(in, VTD_iqa, QUEUE);
    add_register(in, VTD_gcmd, VTD_SRTP);
    add_register(in, VTD_gcmd, VTD_SIRTP);
    add_register(in, VTD_gcmd, VTD_TE | VTD_QIE | VTD_IRE);
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    static const uint64_t values[] = { 0, 1, 3, 7, ~0ull, VTD_TE, VTD_QIE, VTD_IRE, VTD_SRTP, VTD_TE | VTD_QIE | VTD_IRE, 0x10, 0x20, 0x3fff0, 0xfee00000, 1ull << 40,
                                       ROOT, CONTEXT | 1, SECOND | 3, FIRST | 7, DATA | 3, DATA | 0x83, QUEUE, QUEUE | 0x800, 0xffffffffffff1000 };
    struct input in = { to, 1 };
    unsigned steps = 1 + fuzz_below(random, 60);

    to[0] = (uint8_t)fuzz_next(random);
    if (fuzz_below(random, 8))
        sound(&in, to[0] % IOMMU_PROFILES == IOMMU_PROFILE_scalable && fuzz_below(random, 4));
    for (unsigned i = 0; i < steps; i++) {
        uint64_t word = fuzz_next(random), value = fuzz_next(random);
        uint16_t place = (uint16_t)(word >> 16);

        if (fuzz_below(random, 2))              /* an entry that is used, or near one */
            place = (uint16_t)((1 + fuzz_below(random, TABLES)) << 12 | (fuzz_below(random, 2) ? fuzz_below(random, 8) * 8 : (0x18 + fuzz_below(random, 2)) * 16));
        if (fuzz_below(random, 2))
            value = values[fuzz_below(random, sizeof values / sizeof values[0])] ^ (fuzz_below(random, 4) ? 0 : 1ull << fuzz_below(random, 64));
        add(&in, (uint8_t)word, (uint8_t)(word >> 8), place, value);
        if (!fuzz_below(random, 3))
            add(&in, 4, (uint8_t)fuzz_below(random, 2), 0, fuzz_below(random, 0x2000));
    }
    return in.size;
}
