/* SPDX-License-Identifier: MIT */
/* A loader inside an operating system that hands over nonsense: hv/x86/system.c. One that does as it should is the guest `lodger`. */
#define ALSO "hv/x86/system.c"
#include "tests/hv/image.h"

static unsigned nx = 1u << 20;
static uint64_t log_place[3];
static bool prepared;
bool late_by_system;
struct processor processors[3];
uint64_t late_linear;
uint32_t processor_count = 1, processor_blocks = 1;
void log_memory(uint64_t physical, uint64_t linear, uint64_t size) { log_place[0] = physical, log_place[1] = linear, log_place[2] = size; }
void late_prepare(uint64_t linear) { late_linear = linear; prepared = true; }
uint64_t paging_top(void) { return 4096 * MB; }
const char *paging_build(uint64_t linear) { return linear ? NULL : "nothing"; }
struct hal_cpuid hal_cpuid(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    return (struct hal_cpuid){ .eax = leaf == 0x80000000 ? (nx ? 0x80000001 : 0x80000000) : 0, .edx = leaf == 0x80000001 ? nx : 0 };
}

enum { S_POOL = 0x2000000, S_SIZE = 0x800000 };
static const uint64_t linear = 0xffff888002000000;
static struct late_range map_of[RANGES_MAX + 1];
static const unsigned ids[3] = { 5, 7, 9 };
static struct late_system usual_system(void)
{
    reset();
    nx = 1u << 20;
    late_linear = 0;
    processor_count = processor_blocks = 1;
    late_by_system = prepared = false;
    where = linear;
    map_of[0] = (struct late_range){ 0, 0x9f000, 1 };
    map_of[1] = (struct late_range){ MB, TOP - MB, 1 };
    return (struct late_system){ .signature = LATE_SYSTEM_SIGNATURE, .pool = S_POOL, .pool_size = S_SIZE, .linear = linear, .range_count = 2,
        .range = map_of, .processor_count = 1, .local_apic_id = ids, .command_line = "hv=copy", .log = 0x3000000, .log_size = 4096, .log_linear = linear + MB };
}

static const char *prepare(const struct late_system *s)
{
    /* The pool at `linear` is not there in this test: what is cleared is found by its physical address. */
    ck_assert_uint_eq(system_main(s), LATE_REFUSED);
    ck_assert(!prepared && !late_by_system);
    return said;
}

START_TEST(a_system_that_asks_wrongly)
{
    struct late_system s;
    const char *map = "the memory map";

    s = usual_system(), s.signature++;
    ck_assert_str_eq(prepare(&s), "");
    s = usual_system(), nx = 0;
    (void)prepare(&s);
    ck_assert_str_eq(read_system(&s), "the processor has no execute-disable bit, or it is switched off (IA32_MISC_ENABLE)");
#define WRONG(change, why)                                                                                          \
    do {                                                                                                            \
        s = usual_system(), (change); ck_assert_str_eq(prepare(&s), "sesqui: cannot prepare: %s\n");                \
        s = usual_system(), (change); ck_assert_msg(strstr(read_system(&s), why) != NULL, "%s", why);               \
    } while (0)
    WRONG(late_linear = linear, "prepared before");
    WRONG(s.linear += 0x20000, "not where it was announced");
    WRONG(s.range_count = RANGES_MAX + 1, map);
    WRONG((s.range_count = 3, map_of[2] = (struct late_range){ 8, UINT64_MAX, 2 }), "wraps around");
    WRONG(s.pool_size = TOP, "the pool is no RAM");
    WRONG(map_of[1].type = 2, "the pool is no RAM");
    WRONG(s.processor_count = 0, "the list of processors");
    WRONG(s.processor_count = 1ull << 32, "the list of processors");
    WRONG(s.pool += 0x1000, "the pool is not aligned");
    WRONG((s.linear += 0x1000, where += 0x1000), "the pool is not aligned");
    WRONG(s.pool_size = IMAGE_BYTES + SMALLEST_POOL - 1, "smaller than the image asks for");
    WRONG((s.processor_count = 3, s.pool_size = IMAGE_BYTES + SMALLEST_POOL + 2 * POOL_PER_PROCESSOR - 1), "smaller than the image asks for");
}
END_TEST

/* With linear = physical what is cleared can be reached here. */
START_TEST(a_system_that_asks_rightly)
{
    struct late_system s = usual_system();

    where = s.linear = S_POOL;
    s.processor_count = 2;
    processor_blocks = 0;
    memset((void *)S_POOL, 1, S_SIZE);
    ck_assert_ptr_null(read_ranges(&s));
    ck_assert_ptr_null(read_processors(&s));
    ck_assert_ptr_null(pool_given(s.pool, s.pool_size, s.linear, processor_count));
    ck_assert(processor_count == 2 && image_size() == IMAGE_BYTES + PROCESSOR_SIZE && hal_pool().base.value == S_POOL && hal_pool().size == S_SIZE);
    ck_assert(*(uint64_t *)(S_POOL + IMAGE_BYTES - 8) && !*(uint64_t *)(S_POOL + IMAGE_BYTES) && *(uint64_t *)(S_POOL + IMAGE_BYTES + PROCESSOR_SIZE));
    ck_assert_uint_eq(boot.range[1].end, TOP);
    ck_assert_ptr_null(pool_given(s.pool, s.pool_size, s.linear, 1));
    pool_base = S_POOL;
    shift = linear - S_POOL;
    ck_assert_ptr_eq(in_pool(S_POOL + 5), (void *)(linear + 5));        /* in the caller's world, but not in L0's */
    where = (uint64_t)image_start;
    ck_assert_ptr_eq(in_pool(S_POOL + 5), (void *)(uint64_t)(S_POOL + 5));

    /* Addresses that L0 has for something else: memory one to one, its own image, none at all. */
    ck_assert(!address_taken(S_POOL, S_POOL) && !address_taken(linear, S_POOL));
    ck_assert(address_taken(S_POOL + 0x20000, S_POOL) && address_taken(paging_top() - 1, S_POOL) && !address_taken(paging_top(), S_POOL));
    ck_assert(address_taken(0x0000800000000000, S_POOL) && address_taken(0xffff7fffffffffff, S_POOL));
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, a_system_that_asks_wrongly);
    tcase_add_test(tcase, a_system_that_asks_rightly);
}

int main(void)
{
    return image_tests("hv image system", add);
}
