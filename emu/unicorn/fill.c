/* SPDX-License-Identifier: MIT */
/* The library's TLB is filled by the model's translate(): guest paging, EPT, and everything remembered live there. */
#include "emu/unicorn/engine.h"

#include <string.h>

#include "model/cpu/raise.h"
#include "model/vmx/apic.h"

static struct mapping_key mapping_key(const struct engine *e)
{
    const struct cpu *cpu = e->cpu;
    struct mapping_key key = { .cpu = 0 };
    key.cr0 = cpu->cr0;
    key.cr3 = cpu->cr3;
    key.cr4 = cpu->cr4;
    key.efer = CPU_MSR(cpu, ia32_efer);
    memcpy(key.pdpte, cpu->pdpte, sizeof key.pdpte);
    key.eptp = cpu->vmx.ept ? cpu->vmx.eptp : 0;
    key.generation = cpu->model->tlb.generation;
    key.watches = cpu->model->memory.watches;
    if (e->debug_armed) {
        memcpy(key.dr, cpu->dr, sizeof key.dr);
        key.dr7 = cpu->dr7;
    }
    key.cpu = cpu->index;
    key.vpid = cpu->vmx.vpid;
    key.non_root = cpu->vmx.non_root;
    key.ept = cpu->vmx.ept;
    key.apic_access = cpu->vmx.apic_accesses ? cpu->vmx.apic_access_page : ~0ull;
    return key;
}

bool fill_same_mapping(const struct mapping_key *a, const struct mapping_key *b)
{
    return a->generation == b->generation && a->cpu == b->cpu && a->cr3 == b->cr3 && a->cr0 == b->cr0 && a->cr4 == b->cr4 &&
           a->efer == b->efer && a->eptp == b->eptp && a->vpid == b->vpid && a->non_root == b->non_root && a->ept == b->ept &&
           a->watches == b->watches && a->dr7 == b->dr7 && a->apic_access == b->apic_access &&
           !memcmp(a->dr, b->dr, sizeof a->dr) && !memcmp(a->pdpte, b->pdpte, sizeof a->pdpte);
}

void fill_prepare(struct engine *e)
{
    struct mapping_key key = mapping_key(e);
    e->apic_linear = ~0ull;
    if (fill_same_mapping(&key, &e->mapped))
        return;
    bool valid = context_switch(e, &key);
    e->mapped = key;
    if (valid)
        return;
    tlb_flush_x86_64(e->library);
}

/* The write that this run was for is done: the next one comes to the model again. */
void fill_finish(struct engine *e)
{
    if (e->apic_linear != ~0ull)
        tlb_flush_page_x86_64(e->library, e->apic_linear);
}

/*
 * A data access to the APIC-access page. If it is virtualized it goes to the virtual-APIC page, this once: reads have an
 * entry that does not last, a write is a step of its own, after which the model does what it means (SDM Vol. 3, 30.4.3.2).
 */
static bool map_virtual_apic(struct engine *e, uint64_t va, unsigned size, enum access_kind kind, int mmu, uintptr_t ra)
{
    uint64_t pa;
    if (!apic_access_virtualized(e->cpu, va & ~PAGE_MASK, size, kind, &pa))
        return false;
    if (kind == ACCESS_READ) {
        tlb_set_page_with_attrs_x86_64(e->library, va & PAGE_MASK, pa & PAGE_MASK, (library_attributes){ 0 }, RIGHT_READ,
                                       mmu, 1);
        return true;
    }
    if (!e->request->single_step)
        leave(e, LEFT_APIC_WRITE, WITHIN_BLOCK, ra);
    apic_access_written(e->cpu, va & ~PAGE_MASK);
    e->apic_linear = va & PAGE_MASK;
    tlb_set_page_with_attrs_x86_64(e->library, va & PAGE_MASK, pa & PAGE_MASK, (library_attributes){ 0 },
                                   RIGHT_READ | RIGHT_WRITE, mmu, PAGE_SIZE);
    return true;
}

void fill_check_alignment(struct engine *e, bool check)
{
    e->alignment_checked = check;
    clock_set_budget(e, e->budget);
    tlb_flush_x86_64(e->library);
}

/* Where a PC has its display there is RAM: what is written there is lost. The first write is told, so reads must not bring its right. */
static int display_rights(struct engine *e, uint64_t pa, int rights, int access)
{
    if (pa >> 17 != 0xa0000 >> 17 || e->display_written)
        return rights;
    if (access != LIBRARY_WRITE)
        return rights & ~RIGHT_WRITE;
    e->display_written = true;
    cpu_notify(e->cpu, &(struct notice){ .kind = NOTICE_DISPLAY, .a = pa, .b = e->count->current ? e->count->current->pc : 0,
                                        .c = (&ENV64(e->env, REGS))[RSP] });
    return rights;
}

static void map_page(struct engine *e, uint64_t linear, uint64_t pa, int rights, int mmu, int access)
{
    uint64_t linear_page = linear & PAGE_MASK, size = PAGE_SIZE;
    struct memory *memory = &e->model->memory;
    size_t page = memory_page_index(memory, pa);
    unsigned slot = linear_page / PAGE_SIZE % RECENT_PAGES;
    rights = display_rights(e, pa, rights, access);
    if (e->debug_armed && debug_watches_page(e->cpu, linear_page)) {
        rights &= access == LIBRARY_FETCH ? RIGHT_EXECUTE : RIGHT_READ | RIGHT_WRITE;
        size = access == LIBRARY_FETCH ? PAGE_SIZE : 1;     /* every data access comes here */
    } else if (page != SIZE_MAX && (memory->watch[page] & WATCH_ACCESSES)) {
        rights &= access == LIBRARY_FETCH ? RIGHT_EXECUTE : RIGHT_READ | RIGHT_WRITE;
        size = access == LIBRARY_FETCH ? PAGE_SIZE : 1;
    } else if (e->alignment_checked && mmu == MMU_USER && access != LIBRARY_FETCH) {
        rights &= ~RIGHT_EXECUTE;
        size = 1;
    }
    if (page != SIZE_MAX && e->recent[slot].linear == linear_page && e->recent[slot].page != page)
        tlb_flush_page_x86_64(e->library, linear_page); /* so that no MMU mode keeps an older page at this address */
    tlb_set_page_with_attrs_x86_64(e->library, linear_page, pa & PAGE_MASK, (library_attributes){ 0 }, rights, mmu, size);
    if (page == SIZE_MAX)
        return;
    e->recent[slot].linear = linear_page;
    e->recent[slot].page = page;
    e->last_linear[page] = linear_page;
    /* A new entry is "not dirty": every store would take the slow path for ever. Pages with code need that. */
    if ((rights & RIGHT_WRITE) && !(memory->watch[page] & WATCH_CODE))
        tlb_set_dirty_x86_64(e->library, linear_page);
}

/* RIP of the instruction that makes the access. The library does the same for accesses to the task priority. */
static uint64_t place_of(struct engine *e, uintptr_t ra)
{
    if (ra)
        cpu_restore_state_x86_64(e->library, ra, false);
    return ENV64(e->env, EIP);
}

/* Before a store that is not aligned the library asks for the page of its last byte, from that page's beginning on: no access. Each byte
 * comes here afterwards. */
static bool is_look_ahead(uint64_t va, unsigned size)
{
    return !(va & ~PAGE_MASK) && (size > 8 || (size & (size - 1)));
}

bool __wrap_x86_cpu_tlb_fill_x86_64(library_cpu *cpu, uint64_t va, int size, int access, int mmu, bool probe, uintptr_t ra)
{
    struct engine *e = engine_here();
    (void)cpu;
    if (probe)
        return false;
    if (e->probing) {
        map_page(e, va, va, RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE, mmu, access);
        return true;
    }
    struct access how = {
        .kind = access == LIBRARY_WRITE ? ACCESS_WRITE : access == LIBRARY_FETCH ? ACCESS_FETCH : ACCESS_READ,
        .user = mmu == MMU_USER,
        .smap_override = mmu == MMU_SUPERVISOR_AC,
    };
    /* Outside 64-bit mode CS.base + EIP wraps (SDM Vol. 1, 3.3); the library does not cut the sum. */
    uint64_t linear = access == LIBRARY_FETCH && !(ENV32(e->env, HFLAGS) & HF_CS64) ? (uint32_t)va : va;
    struct translation t = translate(e->cpu, linear, how);
    if (t.result == TRANSLATION_OK) {
        if (e->alignment_checked && mmu == MMU_USER && access != LIBRARY_FETCH && (va & (unsigned)(size - 1)))
            leave_event(e, VECTOR_AC, true, 0, WITHIN_BLOCK, ra);
        if (e->debug_armed && access != LIBRARY_FETCH && !is_look_ahead(va, (unsigned)size))
            debug_access(e, va, (unsigned)size, how.kind);
        if (access != LIBRARY_FETCH && (memory_watched(&e->model->memory, t.pa) & WATCH_ACCESSES))
            vmcs_touched(e->cpu, t.pa, (unsigned)size, access == LIBRARY_WRITE, place_of(e, ra));
        map_page(e, va, t.pa, t.rights, mmu, access);
        return true;
    }
    if (t.result == TRANSLATION_APIC_ACCESS && map_virtual_apic(e, va, (unsigned)size, how.kind, mmu, ra))
        return true;
    /* A breakpoint on an instruction, and a trap behind the one before it, come before what its fetch meets (SDM Vol. 3, 6.9, Table 6-2). */
    if (access == LIBRARY_FETCH && e->debug_armed && e->count->retired < e->budget &&
        va == ENV64(e->env, EIP) + SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE))
        debug_block(e, linear);
    e->linear = linear;
    e->access = how;
    e->translation = t;
    leave(e, LEFT_FAULT, access == LIBRARY_FETCH ? BETWEEN_BLOCKS : WITHIN_BLOCK, ra);
}

bool peek(struct engine *e, uint64_t linear, void *to, unsigned length)
{
    struct access access = { .kind = ACCESS_READ };
    struct translation t;
    if ((linear & ~PAGE_MASK) + length > PAGE_SIZE)
        return false;
    access.probe = true;
    t = translate(e->cpu, linear, access);
    return t.result == TRANSLATION_OK && memory_read(&e->model->memory, t.pa, to, length);
}
