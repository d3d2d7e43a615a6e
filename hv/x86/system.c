/* SPDX-License-Identifier: MIT */
/*
 * The image was put into memory by a loader inside an operating system: what a boot loader says otherwise it says (arch/late_load.h).
 * Executed once, in the caller's world: with its paging, the image at late_system.linear.
 */
#include "hv/x86/x86.h"

#include "arch/late_load.h"

uint64_t system_main(const struct late_system *s);      /* called by passage.S */
extern uint8_t image_start[], image_end[];

bool execute_disable(void)
{
    enum { LEAF_80000001_EDX_NX = 1 << 20 };

    return hal_cpuid(0x80000000, 0).eax >= 0x80000001 && hal_cpuid(0x80000001, 0).edx & LEAF_80000001_EDX_NX;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) { return a < b + b_size && b < a + a_size; }

/* Is what L0 has at [linear, ...) its own?  It has memory one to one, and the image where it is linked. */
static bool address_taken(uint64_t linear, uint64_t pool)
{
    const uint64_t size = image_size();

    return linear != pool && (linear < paging_top() || overlap(linear, size, IMAGE_VIRTUAL + IMAGE_LOAD, size) ||
                              (uint64_t)((int64_t)(linear << 16) >> 16) != linear);
}

static const char *read_ranges(const struct late_system *s)
{
    if (s->range_count > RANGES_MAX)
        return "the memory map has more entries than the image keeps";
    for (uint64_t i = 0; i < s->range_count; i++) {
        const struct late_range *r = &s->range[i];
        if (r->base + r->size < r->base)
            return "an entry of the memory map wraps around";
        boot.range[boot.ranges++] = (struct memory_range){ r->base, r->base + r->size, (uint32_t)r->type };
    }
    memory_describe();
    return is_ram(s->pool, s->pool_size) ? NULL : "the pool is no RAM in the memory map, or lies in two entries of it";
}

static const char *read_processors(const struct late_system *s)
{
    if (!s->processor_count || s->processor_count > UINT32_MAX)
        return "the list of processors is empty, or absurd";
    processor_count = (uint32_t)s->processor_count;
    return NULL;
}

static const char *read_system(const struct late_system *s)
{
    const char *why, *word;

    if (!execute_disable())
        return "the processor has no execute-disable bit, or it is switched off (IA32_MISC_ENABLE)";
    if (late_linear)
        return "this image has been prepared before: put it there anew";
    if (here() != s->linear)
        return "the image is not where it was announced";
    if ((why = read_ranges(s)) || (why = read_processors(s)) || (why = pool_given(s->pool, s->pool_size, s->linear, processor_count)))
        return why;
    processor_blocks = processor_count < PROCESSORS ? processor_count : PROCESSORS;
    for (unsigned i = 0; i < processor_blocks; i++)
        processors[i].apic_id = s->local_apic_id[i];
    if (address_taken(s->linear, s->pool))
        return "the image is at a linear address that L0 has for something else: neither where memory would be one to one, nor in "
               "the image's own";
    text_copy(boot.text, s->command_line);
    options.late = true;
    if ((word = options_read(boot.text))) {
        print("sesqui: unknown option (docs/metal.md lists them): %s\n", word);
        return "of an option";
    }
    return paging_build(s->linear);
}

uint64_t system_main(const struct late_system *s)
{
    const char *why;

    if (s->signature != LATE_SYSTEM_SIGNATURE)
        return LATE_REFUSED;                    /* and there is no log to say so */
    log_memory(s->log, s->log_linear, s->log_size);
    log_open(0);
    why = read_system(s);
    if (why) {
        print("sesqui: cannot prepare: %s\n", why);
        return LATE_REFUSED;
    }
    late_by_system = true;
    late_prepare(s->linear);
    return LATE_DONE;
}
