/* SPDX-License-Identifier: MIT */
/* Instructions of the processor that C has no words for. */
#ifndef SESQUI_GUESTS_PROCESSOR_H
#define SESQUI_GUESTS_PROCESSOR_H

#include <stdint.h>

struct cpuid_result { uint32_t eax, ebx, ecx, edx; };

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdmsr(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

#define CONTROL_REGISTER(name) \
    static inline uint64_t read_##name(void) \
    { \
        unsigned long value; \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value) : : "memory"); \
        return value; \
    } \
    static inline void write_##name(uint64_t value) \
    { \
        __asm__ volatile("mov %0, %%" #name : : "r"((unsigned long)value) : "memory"); \
    }
CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
#undef CONTROL_REGISTER

/* Outside 64-bit mode the processor stores 4 bytes of base. */
struct __attribute__((packed)) descriptor_table { uint16_t limit; uint64_t base; };

static inline struct descriptor_table store_gdtr(void)
{
    struct descriptor_table table = { 0 };
    __asm__ volatile("sgdt %0" : "+m"(table));
    return table;
}

static inline struct descriptor_table store_idtr(void)
{
    struct descriptor_table table = { 0 };
    __asm__ volatile("sidt %0" : "+m"(table));
    return table;
}

/* Sleeps until an interrupt has been handled. STI holds interrupts back until HLT has begun: none is lost. */
static inline void wait_for_interrupt(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

#endif
