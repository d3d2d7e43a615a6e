/* SPDX-License-Identifier: MIT */
/* The HAL on the metal: the processor's own instructions. */
#include "hv/x86/x86.h"

struct processor *this_processor(void)
{
    struct processor *self;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(self));
    return self;
}

struct hal_cpuid hal_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct hal_cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

unsigned hal_cpu_index(void) { return this_processor()->index; }
unsigned hal_cpu_count(void) { return processor_count; }
void *hal_cpu_local(void) { return this_processor()->local; }

void *hal_machine_local(void)
{
    static _Alignas(64) uint8_t local[HAL_MACHINE_LOCAL_SIZE];
    return local;
}

bool hal_rdmsr(uint32_t index, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    bool done = false;

    __asm__ volatile("1: rdmsr\n movb $1, %2\n2:" FIXUP("1b", "2b") : "+a"(low), "+d"(high), "+r"(done) : "c"(index));
    *value = (uint64_t)high << 32 | low;
    return done;
}

bool hal_wrmsr(uint32_t index, uint64_t value)
{
    bool done = false;

    __asm__ volatile("1: wrmsr\n movb $1, %0\n2:" FIXUP("1b", "2b")
                     : "+r"(done) : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    return done;
}

bool hal_xsetbv(uint32_t index, uint64_t value)
{
    bool done = false;

    __asm__ volatile("1: xsetbv\n movb $1, %0\n2:" FIXUP("1b", "2b")
                     : "+r"(done) : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
    return done;
}

#define READ(function, register)                                                                                    \
    uint64_t function(void)                                                                                         \
    {                                                                                                               \
        uint64_t value;                                                                                             \
        __asm__ volatile("movq %%" #register ", %0" : "=r"(value) : : "memory");                                    \
        return value;                                                                                               \
    }
#define WRITE(function, register)                                                                                   \
    void function(uint64_t value)                                                                                   \
    {                                                                                                               \
        __asm__ volatile("movq %0, %%" #register : : "r"(value) : "memory");                                        \
    }
READ(read_cr0, cr0)
READ(read_cr2, cr2)
READ(read_cr3, cr3)
READ(hal_read_cr4, cr4)
WRITE(write_cr0, cr0)
WRITE(hal_write_cr2, cr2)
WRITE(hal_write_cr4, cr4)

uint64_t hal_read_dr(unsigned number)
{
    uint64_t value;

    switch (number) {
    case 0: __asm__ volatile("movq %%dr0, %0" : "=r"(value)); break;
    case 1: __asm__ volatile("movq %%dr1, %0" : "=r"(value)); break;
    case 2: __asm__ volatile("movq %%dr2, %0" : "=r"(value)); break;
    default: __asm__ volatile("movq %%dr3, %0" : "=r"(value)); break;
    }
    return value;
}

void hal_write_dr(unsigned number, uint64_t value)
{
    switch (number) {
    case 0: __asm__ volatile("movq %0, %%dr0" : : "r"(value)); break;
    case 1: __asm__ volatile("movq %0, %%dr1" : : "r"(value)); break;
    case 2: __asm__ volatile("movq %0, %%dr2" : : "r"(value)); break;
    case 3: __asm__ volatile("movq %0, %%dr3" : : "r"(value)); break;
    default: __asm__ volatile("movq %0, %%dr6" : : "r"(value)); break;
    }
}

struct hal_table store_gdtr(void)
{
    struct table_pointer table;
    __asm__ volatile("sgdt %0" : "=m"(table));
    return (struct hal_table){ table.base, table.limit };
}

struct hal_table store_idtr(void)
{
    struct table_pointer table;
    __asm__ volatile("sidt %0" : "=m"(table));
    return (struct hal_table){ table.base, table.limit };
}

uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* IRET unblocks NMIs (SDM Vol. 3, 6.7.1): one that waits is met behind it (fault.c). */
void hal_forget_nmi(void)
{
    uint64_t scratch;

    __asm__ volatile("movq %%rsp, %0; pushq %1; pushq %0; pushfq; pushq %2; leaq 1f(%%rip), %0; pushq %0; iretq; 1:"
                     : "=&r"(scratch) : "i"(SELECTOR_DATA), "i"(SELECTOR_CODE) : "cc", "memory");
    __atomic_fetch_and(&this_processor()->nmi, (uint8_t)~HAL_NMI, __ATOMIC_SEQ_CST);
}

void hal_pause(void) { __asm__ volatile("pause" : : : "memory"); }   /* what is waited for is read anew */

_Noreturn void halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void hal_fail_stop(const char *reason) { stop("L0 stopped", reason); }

enum { MSR_PREDICTION_COMMAND = 0x49, MSR_FLUSH_COMMAND = 0x10b, LEAF_7_EDX_IBRS_IBPB = 1 << 26 };

/*
 * It exists where CPUID says so, which is asked once: CPUID is slow, and an exit beneath another hypervisor. Elsewhere there is nothing to do. The others
 * are for who knows that they exist (hv/barrier.c).
 */
void hal_prediction_barrier(void)
{
    static enum { UNKNOWN, ABSENT, PRESENT } barrier;

    if (barrier == UNKNOWN)
        barrier = hal_cpuid(0, 0).eax >= 7 && hal_cpuid(7, 0).edx & LEAF_7_EDX_IBRS_IBPB ? PRESENT : ABSENT;
    if (barrier == PRESENT)
        hal_wrmsr(MSR_PREDICTION_COMMAND, 1);
}

void hal_flush_l1d(void) { hal_wrmsr(MSR_FLUSH_COMMAND, 1); }

void hal_clear_buffers(void)
{
    static const uint16_t selector = SELECTOR_DATA;

    __asm__ volatile("verw %0" : : "m"(selector) : "cc");
}

void hal_write_back_invalidate(void) { __asm__ volatile("wbinvd" : : : "memory"); }
void hal_fence(void) { __asm__ volatile("mfence" : : : "memory"); }

uint8_t port_in(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

void port_out(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port)); }

void hal_lock(uint32_t *lock)
{
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
        hal_pause();
}

void hal_unlock(uint32_t *lock) { __atomic_store_n(lock, 0, __ATOMIC_RELEASE); }
