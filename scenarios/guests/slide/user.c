/* SPDX-License-Identifier: MIT */
/* Programs at CPL 3: user.h. Descriptors: SDM Vol. 3, 3.4.5; the TSS gives RSP0 (8.7). */
#include "scenarios/guests/slide/user.h"

#include "arch/x86.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/processor.h"

enum { TSS_SELECTOR = 24, PAGING_USER = 4 };

uint64_t user_try(const void *code);
extern uint64_t user_rax, user_rbx;
extern const uint8_t user_ud[], user_gp[], user_vmxoff[], user_vmcall[];

struct __attribute__((packed)) gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

static uint64_t gdt[7] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0, 0x00cff3000000ffff, 0x00affb000000ffff };
static _Alignas(16) uint8_t stack0[4096];
static struct __attribute__((packed)) { uint32_t reserved; uint64_t rsp0; uint8_t rest[92]; } tss;

static void allow_user(uint64_t *table, unsigned level)
{
    for (unsigned i = 0; i < 512; i++) {
        if (!(table[i] & 1))
            continue;
        table[i] |= PAGING_USER;
        if (level > 2)
            allow_user((uint64_t *)(table[i] & 0xffffffffff000), level - 1);
    }
}

static void set_gate(unsigned vector, const uint8_t *handler)
{
    struct gate *gate = (struct gate *)store_idtr().base + vector;

    gate->offset_low = (uint16_t)(uint64_t)handler;
    gate->offset_middle = (uint16_t)((uint64_t)handler >> 16);
    gate->offset_high = (uint32_t)((uint64_t)handler >> 32);
}

void user_prepare(void)
{
    const uint64_t base = (uint64_t)&tss;
    const struct descriptor_table pointer = { sizeof gdt - 1, (uint64_t)gdt };

    tss.rsp0 = (uint64_t)(stack0 + sizeof stack0);
    gdt[3] = (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt[4] = base >> 32;
    __asm__ volatile("lgdt %0" : : "m"(pointer));
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
    allow_user((uint64_t *)read_cr3(), 4);
    write_cr3(read_cr3());
}

static uint64_t attempt(const uint8_t *code)
{
    const struct gate *gates = (const struct gate *)store_idtr().base;
    const struct gate ud = gates[VECTOR_UD], gp = gates[VECTOR_GP];
    uint64_t vector;

    set_gate(VECTOR_UD, user_ud);
    set_gate(VECTOR_GP, user_gp);
    vector = user_try(code);
    ((struct gate *)store_idtr().base)[VECTOR_UD] = ud;
    ((struct gate *)store_idtr().base)[VECTOR_GP] = gp;
    return vector;
}

uint64_t user_executes_vmxoff(void) { return attempt(user_vmxoff); }

uint64_t user_executes_vmcall(uint64_t rax, uint64_t rbx)
{
    user_rax = rax;
    user_rbx = rbx;
    return attempt(user_vmcall);
}
