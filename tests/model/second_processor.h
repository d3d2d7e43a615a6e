/* SPDX-License-Identifier: MIT */
/*
 * A second processor: segments, stacks, far transfers, gates, returns, task switches, ENTER and the virtual interrupt flag, written
 * after the pseudo-code of SDM Vol. 2 (MOV, POP, LDS, JMP, CALL, RET, IRET, INT n, LLDT, LTR, LAR, LSL, VERR, ENTER) and Vol. 3, ch. 5, 6, 8,
 * 21, and after nothing in model/. It goes straight ahead: a check that fails leaves by longjmp(), and what was written is forgotten, but
 * for the faults of a task switch that has happened (8.3). second_processor_test.c runs both.
 */
#ifndef SESQUI_TESTS_SECOND_PROCESSOR_H
#define SESQUI_TESTS_SECOND_PROCESSOR_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "arch/vmx.h"
#include "model/cpu/cpu.h"
#include "model/insn.h"

enum { PAGE_THERE = 1, PAGE_WRITE = 2, PAGE_USER = 4, SECOND_PAGES = 512, SECOND_WRITES = 1024 };
enum { TYPE_TSS16 = 1, TYPE_LDT = 2, TYPE_CALL16 = 4, TYPE_TASK = 5, TYPE_INT16 = 6, TYPE_TRAP16 = 7, TYPE_TSS32 = 9, TYPE_CALL32 = 12,
       TYPE_INT32 = 14, TYPE_TRAP32 = 15 };

struct second {
    uint64_t gpr[16], rip, rflags, cr0, cr2, cr3, cr4, dr6, dr7, efer, debugctl;
    struct segment seg[SEG_COUNT];
    struct table_register gdtr, idtr;
    uint32_t shadow;
    uint64_t pending, instructions, clock;
    bool delivering, resumes;
    struct event first;                 /* the event that is being delivered */
    bool faulted, kept;                 /* kept: a task switch has happened, a fault undoes nothing */
    uint8_t vector;
    uint32_t error;
    uint64_t address;
    const uint8_t *ram;
    uint64_t ram_size;
    const uint8_t *page;                /* PAGE_* of each page with paging on */
    unsigned writes;
    struct { uint32_t at; uint8_t byte; } write[SECOND_WRITES];
    jmp_buf out;
};
struct desc { uint64_t low, high, at; };

static inline bool s_long(const struct second *s) { return s->efer >> 10 & 1; }
static inline bool s_protected(const struct second *s) { return s->cr0 & 1; }
static inline bool s_v86(const struct second *s) { return s->rflags >> 17 & 1; }
static inline bool s_64(const struct second *s) { return s_long(s) && (s->seg[SEG_CS].access_rights >> 13 & 1); }
static inline unsigned s_cpl(const struct second *s)
{
    return !s_protected(s) ? 0 : s_v86(s) ? 3 : s->seg[SEG_SS].access_rights >> 5 & 3;
}
static inline uint64_t s_next(const struct second *s, unsigned length)
{
    return s_64(s) ? s->rip + length : (uint32_t)(s->rip + length);
}
static inline bool s_canonical(uint64_t a) { return (uint64_t)((int64_t)(a << 16) >> 16) == a; }
/* Of a base that a register keeps: by the width of 57 bits that the processor has, whatever CR4.LA57 is (Vol. 1, 3.3.7.1). */
static inline bool s_canonical_base(uint64_t a) { return (uint64_t)((int64_t)(a << 7) >> 7) == a; }

_Noreturn static inline void s_fault(struct second *s, unsigned vector, uint32_t error)
{
    bool coded = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;

    s->faulted = true;
    s->vector = (uint8_t)vector;
    s->error = coded && s_protected(s) ? error : 0;
    longjmp(s->out, 1);
}

/* Bit 0 (EXT) of error codes: Vol. 3, 6.13. */
static inline unsigned s_ext(const struct second *s) { return s->delivering && s->first.type != 4 && s->first.type != 6; }
_Noreturn static inline void s_fault_of(struct second *s, unsigned vector, uint16_t selector) { s_fault(s, vector, (selector & 0xfffc) | s_ext(s)); }

/* ---- memory ---- */

static inline void s_reach(struct second *s, uint64_t linear, unsigned size, bool write, bool user)
{
    for (unsigned i = 0; s->cr0 >> 31 && i < size; i++) {
        uint64_t at = s_long(s) ? linear + i : (uint32_t)(linear + i), page = at >> 12;
        uint8_t is = page < SECOND_PAGES ? s->page[page] : 0;

        if ((is & PAGE_THERE) && !(user && !(is & PAGE_USER)) && !(write && !(is & PAGE_WRITE) && (user || (s->cr0 >> 16 & 1))))
            continue;
        s->address = i && (at & 0xfff) == 0 ? at : s_long(s) ? linear : (uint32_t)linear;
        s_fault(s, 14, (is & PAGE_THERE ? 1u : 0) | (write ? 2u : 0) | (user ? 4u : 0));
    }
}

static inline uint8_t s_byte(const struct second *s, uint64_t at)
{
    for (unsigned i = s->writes; i-- > 0;)
        if (s->write[i].at == at)
            return s->write[i].byte;
    return at < s->ram_size ? s->ram[at] : 0xff;
}

static inline uint64_t s_get(const struct second *s, uint64_t linear, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)s_byte(s, s_long(s) ? linear + i : (uint32_t)(linear + i)) << 8 * i;
    return value;
}

static inline void s_put(struct second *s, uint64_t linear, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++) {
        uint64_t at = s_long(s) ? linear + i : (uint32_t)(linear + i);
        if (at < s->ram_size && s->writes < SECOND_WRITES) {
            s->write[s->writes].at = (uint32_t)at;
            s->write[s->writes++].byte = (uint8_t)(value >> 8 * i);
        }
    }
}

/* What the processor does for itself: at level 0, without alignment checks. */
static inline uint64_t s_system(struct second *s, uint64_t linear, unsigned size)
{
    s_reach(s, linear, size, false, false);
    return s_get(s, linear, size);
}

static inline void s_aligned(struct second *s, uint64_t linear, unsigned size, unsigned cpl)
{
    if (cpl == 3 && (s->cr0 >> 18 & 1) && (s->rflags >> 18 & 1) && (size == 2 || size == 4 || size == 8) && linear % size)
        s_fault(s, 17, 0);
}

/* Vol. 3, 5.3: of an expand-down segment what lies behind the limit. */
static inline bool s_in_limit(const struct segment *g, uint64_t offset, unsigned size)
{
    if ((g->access_rights & 0xc) == 4)
        return offset > g->limit && offset + size - 1 <= (g->access_rights >> 14 & 1 ? 0xffffffffu : 0xffffu);
    return offset + size - 1 <= g->limit;
}

/* An operand in memory, that is read; of `size` bytes. */
static inline uint64_t s_operand_at(struct second *s, const struct insn *insn, unsigned size)
{
    const struct segment *g = &s->seg[insn->segment];
    uint64_t offset = (uint64_t)insn->displacement;
    unsigned vector = insn->segment == SEG_SS ? 12 : 13;

    if (s_64(s)) {
        offset += insn->segment >= SEG_FS ? g->base : 0;
        if (!s_canonical(offset) || !s_canonical(offset + size - 1))
            s_fault(s, vector, 0);
        return offset;
    }
    offset &= insn->address_size == 2 ? 0xffff : 0xffffffff;
    if (g->access_rights >> 16 & 1)
        s_fault(s, vector, 0);
    if (s_protected(s) && !s_v86(s) && (g->access_rights & 8) && !(g->access_rights & 2))
        s_fault(s, vector, 0);
    if (!s_in_limit(g, offset, size))
        s_fault(s, vector, 0);
    return (uint32_t)(offset + g->base);
}

static inline uint64_t s_explicit(struct second *s, uint64_t linear, unsigned size)
{
    s_reach(s, linear, size, false, s_cpl(s) == 3);
    s_aligned(s, linear, size, s_cpl(s));
    return s_get(s, linear, size);
}

static inline uint16_t s_word_operand(struct second *s, const struct insn *insn)
{
    return (uint16_t)(insn->kind == OPERAND_MEMORY ? s_explicit(s, s_operand_at(s, insn, 2), 2) : s->gpr[insn->rm]);
}

/* ---- stacks ---- */

struct stk { struct segment g; uint64_t p; unsigned cpl; bool flat; uint32_t error; };

static inline uint64_t k_mask(const struct stk *k) { return k->flat ? ~0ull : k->g.access_rights >> 14 & 1 ? 0xffffffff : 0xffff; }
static inline struct stk k_here(const struct second *s)
{
    return (struct stk){ s->seg[SEG_SS], s->gpr[RSP], s_cpl(s), s_64(s), 0 };
}
static inline uint64_t k_at(struct second *s, const struct stk *k, uint64_t offset, unsigned size, bool write)
{
    uint64_t linear = offset;

    if (k->flat) {
        if (!s_canonical(offset) || !s_canonical(offset + size - 1))
            s_fault(s, 12, k->error);
    } else {
        if ((k->g.access_rights >> 16 & 1) || !s_in_limit(&k->g, offset, size))
            s_fault(s, 12, k->error);
        linear = (uint32_t)(k->g.base + offset);
    }
    s_reach(s, linear, size, write, k->cpl == 3);
    s_aligned(s, linear, size, k->cpl);
    return linear;
}
static inline void k_move(struct stk *k, int64_t by) { k->p = (k->p & ~k_mask(k)) | ((k->p + (uint64_t)by) & k_mask(k)); }
static inline uint64_t k_peek(struct second *s, const struct stk *k, unsigned n, unsigned size)
{
    return s_get(s, k_at(s, k, (k->p + (uint64_t)n * size) & k_mask(k), size, false), size);
}
static inline void k_push(struct second *s, struct stk *k, unsigned size, uint64_t value)
{
    k_move(k, -(int64_t)size);
    s_put(s, k_at(s, k, k->p & k_mask(k), size, true), size, value);
}

/* ---- descriptors ---- */

static inline uint32_t d_rights(const struct desc *d) { return d->low >> 40 & 0xf0ff; }
static inline bool d_code(uint32_t r) { return (r & 0x18) == 0x18; }
static inline bool d_conforming(uint32_t r) { return (r & 0x1c) == 0x1c; }
static inline bool d_null(uint16_t selector) { return selector < 4; }
static inline struct segment d_segment(const struct desc *d, uint16_t selector)
{
    uint32_t limit = (uint32_t)(d->low & 0xffff) + (uint32_t)(d->low >> 48 & 15) * 0x10000;
    uint64_t base = (d->low >> 16 & 0xffff) + (d->low >> 32 & 0xff) * 0x10000 + (d->low >> 56) * 0x1000000 + d->high * 0x100000000ull;

    return (struct segment){ .selector = selector, .access_rights = d_rights(d), .base = base,
                             .limit = d->low >> 55 & 1 ? limit * 4096 + 4095 : limit };
}
static inline struct desc d_read(struct second *s, uint16_t selector, unsigned vector)
{
    const struct segment *l = &s->seg[SEG_LDTR];
    uint64_t base = selector & 4 ? l->base : s->gdtr.base, limit = selector & 4 ? l->limit : s->gdtr.limit;
    struct desc d = { 0, 0, 0 };

    if (((selector & 4) && (l->access_rights >> 16 & 1)) || (selector & 0xfff8u) + 7 > limit)
        s_fault_of(s, vector, selector);
    d.at = s_long(s) ? base + (selector & 0xfff8) : (uint32_t)(base + (selector & 0xfff8));
    d.low = s_system(s, d.at, 8);
    return d;
}
static inline void d_upper(struct second *s, uint16_t selector, struct desc *d)
{
    if ((selector & 0xfff8u) + 15 > (selector & 4 ? s->seg[SEG_LDTR].limit : s->gdtr.limit))
        s_fault_of(s, 13, selector);
    d->high = s_system(s, d->at + 8, 8);
    if (d->high >> 40 & 0x1f)
        s_fault_of(s, 13, selector);
}
static inline void d_type(struct second *s, const struct desc *d, uint32_t rights)
{
    s_reach(s, d->at + 5, 1, true, false);
    s_put(s, d->at + 5, 1, rights);
}
/* Loads a segment register that passed its checks: sets the accessed flag if it is not yet. */
static inline struct segment d_accessed(struct second *s, const struct desc *d, struct segment g)
{
    if (!(g.access_rights & 0x10001)) {
        g.access_rights |= 1;
        d_type(s, d, g.access_rights);
    }
    return g;
}
static inline bool d_code64(const struct second *s, uint32_t rights) { return s_long(s) && (rights >> 13 & 1); }
static inline void s_set_cs(struct second *s, struct segment g)
{
    if (d_code64(s, g.access_rights))
        g.base = 0;
    s->seg[SEG_CS] = g;
}
static inline uint64_t s_target(struct second *s, const struct segment *code, uint64_t offset)
{
    if (d_code64(s, code->access_rights) ? !s_canonical(offset) : (uint32_t)offset > code->limit)
        s_fault(s, 13, s_ext(s));
    return d_code64(s, code->access_rights) ? offset : (uint32_t)offset;
}
static inline struct segment g_null(uint16_t selector) { return (struct segment){ .selector = selector, .access_rights = 0x10000 }; }

static inline void s_retire(struct second *s, uint64_t rip, bool branch)
{
    s->rip = rip;
    s->shadow &= ~3u;
    s->rflags &= ~0x10000ull;
    s->instructions++;
    s->clock++;
    if ((s->rflags >> 8 & 1) && (branch || !(s->debugctl >> 1 & 1)))
        s->pending |= 1u << 14;
}

/* ---- data segments, SS ---- */

static inline void s_load(struct second *s, enum segment_register n, uint16_t selector)
{
    unsigned cpl = s_cpl(s), rpl = selector & 3, dpl;
    struct desc d;
    uint32_t r;

    if (!s_protected(s) || s_v86(s)) {
        s->seg[n].selector = selector;
        s->seg[n].base = (uint32_t)selector * 16;
        return;
    }
    if (d_null(selector)) {
        if (n == SEG_SS && (!s_64(s) || cpl == 3 || rpl != cpl))
            s_fault(s, 13, 0);
        s->seg[n] = g_null(selector);
        if (n == SEG_SS)
            s->seg[n].access_rights += cpl * 32;
        return;
    }
    d = d_read(s, selector, 13);
    r = d_rights(&d);
    dpl = r >> 5 & 3;
    if (n == SEG_SS) {
        if (rpl != cpl || dpl != cpl || (r & 0x1a) != 0x12)
            s_fault_of(s, 13, selector);
        if (!(r & 0x80))
            s_fault_of(s, 12, selector);
    } else {
        if (!(r & 0x10) || (r & 0xa) == 8 || (!d_conforming(r) && (rpl > dpl || cpl > dpl)))
            s_fault_of(s, 13, selector);
        if (!(r & 0x80))
            s_fault_of(s, 11, selector);
    }
    s->seg[n] = d_accessed(s, &d, d_segment(&d, selector));
}

static inline void s_move_to_segment(struct second *s, const struct insn *insn)
{
    struct stk k = k_here(s);
    uint64_t at, offset = 0;
    uint16_t selector;

    if (insn->id == INSN_pop_segment) {
        selector = (uint16_t)k_peek(s, &k, 0, insn->operand_size);
    } else if (insn->id == INSN_load_far_pointer) {
        at = s_operand_at(s, insn, insn->operand_size + 2u);
        offset = s_explicit(s, at, insn->operand_size);
        selector = (uint16_t)s_explicit(s, at + insn->operand_size, 2);
    } else {
        selector = s_word_operand(s, insn);
    }
    s_load(s, (enum segment_register)insn->target, selector);
    if (insn->id == INSN_pop_segment) {
        k_move(&k, insn->operand_size);
        s->gpr[RSP] = k.p;
    }
    if (insn->id == INSN_load_far_pointer)
        s->gpr[insn->reg] = insn->operand_size == 2 ? (s->gpr[insn->reg] & ~0xffffull) | offset : offset;
    s_retire(s, s_next(s, insn->length), false);
    if (insn->target == SEG_SS && insn->id != INSN_load_far_pointer)
        s->shadow |= 2;
}

/* ---- LLDT, LTR, LAR, LSL, VERR, VERW ---- */

static inline void s_load_table(struct second *s, const struct insn *insn)
{
    bool task = insn->id == INSN_ltr;
    uint16_t selector = s_word_operand(s, insn);
    enum segment_register n = task ? SEG_TR : SEG_LDTR;
    struct desc d;
    uint32_t r;

    if (d_null(selector)) {
        if (task)
            s_fault(s, 13, 0);
        s->seg[n] = g_null(selector);
    } else {
        if (selector & 4)
            s_fault_of(s, 13, selector);
        d = d_read(s, selector, 13);
        r = d_rights(&d) & 0x1f;
        if (task ? r != TYPE_TSS32 && (s_long(s) || r != TYPE_TSS16) : r != TYPE_LDT)
            s_fault_of(s, 13, selector);
        if (s_long(s)) {
            d_upper(s, selector, &d);
            if (!s_canonical_base(d_segment(&d, 0).base))
                s_fault_of(s, 13, selector);
        }
        if (!(d_rights(&d) & 0x80))
            s_fault_of(s, 11, selector);
        s->seg[n] = d_segment(&d, selector);
        if (task) {
            s->seg[n].access_rights |= 2;
            d_type(s, &d, s->seg[n].access_rights);
        }
    }
    s_retire(s, s_next(s, insn->length), false);
}

static inline void s_query(struct second *s, const struct insn *insn)
{
    uint16_t selector = s_word_operand(s, insn);
    bool local = selector & 4, yes = false;
    uint64_t answer = 0;

    if (!d_null(selector) && !(local && (s->seg[SEG_LDTR].access_rights >> 16 & 1)) &&
        (selector & 0xfff8u) + 7 <= (local ? s->seg[SEG_LDTR].limit : s->gdtr.limit)) {
        struct desc d = d_read(s, selector, 13);
        uint32_t r = d_rights(&d);
        unsigned dpl = r >> 5 & 3;
        bool privilege = d_conforming(r) || (dpl >= s_cpl(s) && dpl >= (selector & 3u));
        /* Types of system descriptors with an answer (Vol. 2, LAR, Table 3-52, and LSL): legacy modes, IA-32e mode. */
        uint32_t lar = s_long(s) ? 0x1a04 : 0x1a3e, lsl = s_long(s) ? 0x0a04 : 0x0a0e;

        if (insn->id == INSN_verr)
            yes = privilege && (r & 0x10) && (r & 0xa) != 8;
        else if (insn->id == INSN_verw)
            yes = privilege && (r & 0x1a) == 0x12;
        else
            yes = privilege && ((r & 0x10) || ((insn->id == INSN_lar ? lar : lsl) >> (r & 15) & 1));
        answer = insn->id == INSN_lar ? d.low >> 32 & 0xf0ff00 : d_segment(&d, 0).limit;
    }
    if (yes && (insn->id == INSN_lar || insn->id == INSN_lsl)) {
        uint64_t *to = &s->gpr[insn->reg];
        *to = insn->operand_size == 2 ? (*to & ~0xffffull) | (answer & 0xffff) : answer;
    }
    s_retire(s, s_next(s, insn->length), false);
    s->rflags = (s->rflags & ~0x40ull) | (yes ? 0x40 : 0);
}

/* ---- stacks of inner levels ---- */

static inline struct segment s_stack_segment(struct second *s, uint16_t selector, unsigned cpl, unsigned vector, struct desc *d)
{
    uint32_t r;

    if (d_null(selector))
        s_fault(s, vector, vector == 10 ? (selector & 0xfffcu) | s_ext(s) : s_ext(s));
    *d = d_read(s, selector, vector);
    r = d_rights(d);
    if ((selector & 3u) != cpl || (r >> 5 & 3) != cpl || (r & 0x1a) != 0x12)
        s_fault_of(s, vector, selector);
    if (!(r & 0x80))
        s_fault_of(s, 12, selector);
    return d_segment(d, selector);
}

static inline uint64_t s_of_task(struct second *s, unsigned offset, unsigned room, unsigned at, unsigned size)
{
    const struct segment *t = &s->seg[SEG_TR];
    uint64_t linear = t->base + offset;

    if (offset + room - 1 > t->limit)
        s_fault_of(s, 10, t->selector);
    s_reach(s, s_long(s) ? linear : (uint32_t)linear, room, false, false);
    return s_get(s, linear + at, size);
}

static inline struct stk s_inner(struct second *s, unsigned level, unsigned ist, struct segment *ss, struct desc *d)
{
    struct stk k = { .cpl = level };
    uint16_t selector;

    if (s_long(s)) {
        k.p = s_of_task(s, ist ? 36 + 8 * (ist - 1) : 4 + 8 * level, 8, 0, 8);
        k.flat = true;
        *ss = g_null((uint16_t)level);
        ss->access_rights += 32 * level;
        k.error = s_ext(s);
    } else {
        bool wide = s->seg[SEG_TR].access_rights >> 3 & 1;
        k.p = wide ? s_of_task(s, 4 + 8 * level, 6, 0, 4) : s_of_task(s, 2 + 4 * level, 4, 0, 2);
        selector = (uint16_t)(wide ? s_of_task(s, 4 + 8 * level, 6, 4, 2) : s_of_task(s, 2 + 4 * level, 4, 2, 2));
        *ss = s_stack_segment(s, selector, level, 10, d);
        k.error = (selector & 0xfffc) | s_ext(s);
    }
    k.g = *ss;
    return k;
}

/* ---- task switches: Vol. 3, 8.3 ---- */

static inline void s_task_load(struct second *s, uint32_t eip, const uint16_t *seg, uint16_t ldt)
{
    static const enum segment_register data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    unsigned cpl = seg[SEG_CS] & 3;
    bool v86 = s_v86(s);
    struct desc d;
    uint32_t r;

    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = v86 ? (struct segment){ seg[i], 0xf3, 0xffff, (uint64_t)seg[i] * 16 } : g_null(seg[i]);
    if (!v86)
        s->seg[SEG_SS].access_rights += 32 * cpl;
    s->seg[SEG_LDTR] = g_null(ldt);
    if (!d_null(ldt)) {
        if (ldt & 4)
            s_fault_of(s, 10, ldt);
        d = d_read(s, ldt, 10);
        if ((d_rights(&d) & 0x9f) != 0x82)
            s_fault_of(s, 10, ldt);
        s->seg[SEG_LDTR] = d_segment(&d, ldt);
    }
    if (!v86) {
        if (d_null(seg[SEG_CS]))
            s_fault_of(s, 10, seg[SEG_CS]);
        d = d_read(s, seg[SEG_CS], 10);
        r = d_rights(&d);
        if (!d_code(r) || (d_conforming(r) ? (r >> 5 & 3) > cpl : (r >> 5 & 3) != cpl))
            s_fault_of(s, 10, seg[SEG_CS]);
        if (!(r & 0x80))
            s_fault_of(s, 11, seg[SEG_CS]);
        s->seg[SEG_CS] = d_accessed(s, &d, d_segment(&d, seg[SEG_CS]));
        struct segment ss = s_stack_segment(s, seg[SEG_SS], cpl, 10, &d);
        s->seg[SEG_SS] = d_accessed(s, &d, ss);
        for (unsigned i = 0; i < 4; i++) {
            uint16_t selector = seg[data[i]];
            if (d_null(selector))
                continue;
            d = d_read(s, selector, 10);
            r = d_rights(&d);
            if (!(r & 0x10) || (r & 0xa) == 8 || (!d_conforming(r) && ((selector & 3u) > (r >> 5 & 3) || cpl > (r >> 5 & 3))))
                s_fault_of(s, 10, selector);
            if (!(r & 0x80))
                s_fault_of(s, 11, selector);
            s->seg[data[i]] = d_accessed(s, &d, d_segment(&d, selector));
        }
    }
    if (eip > s->seg[SEG_CS].limit)
        s_fault(s, 13, s_ext(s));
}

enum second_source { BY_CALL, BY_IRET, BY_JMP, BY_GATE };

static inline void s_task_switch(struct second *s, uint16_t selector, enum second_source source, uint64_t next, uint64_t flags)
{
    unsigned vector = source == BY_IRET ? 10 : 13;
    const struct segment old = s->seg[SEG_TR];
    bool wide, old_wide = old.access_rights >> 3 & 1, clears = source == BY_JMP || source == BY_IRET, links = source == BY_CALL || source == BY_GATE;
    uint32_t image[26], eip, new_flags, gpr[8], cr3 = 0;
    uint16_t seg[6] = { 0 }, ldt;
    struct segment t;
    struct desc d, od = { 0, 0, 0 };

    if (d_null(selector) || (selector & 4))
        s_fault_of(s, vector, selector);
    d = d_read(s, selector, vector);
    t = d_segment(&d, selector);
    if ((t.access_rights & 0x17) != (source == BY_IRET ? 3u : 1u))
        s_fault_of(s, vector, selector);
    if (!(t.access_rights & 0x80))
        s_fault_of(s, 11, selector);
    wide = t.access_rights >> 3 & 1;
    if (t.limit < (wide ? 103u : 43u))
        s_fault_of(s, 10, selector);
    s_reach(s, (uint32_t)t.base, wide ? 104 : 44, false, false);
    for (unsigned i = 0; i < 26; i++)
        image[i] = (uint32_t)(i < 11 || wide ? s_get(s, (uint32_t)t.base + 4 * i, 4) : 0);
    const uint8_t *b = (const uint8_t *)image;
#define AT16(o) ((uint32_t)(b[o] | b[(o) + 1] << 8))
    eip = wide ? image[8] : AT16(14);
    new_flags = wide ? image[9] : AT16(16);
    ldt = (uint16_t)(wide ? image[24] : AT16(42));
    for (unsigned i = 0; i < 8; i++)
        gpr[i] = wide ? image[10 + i] : 0xffff0000u | AT16(18 + 2 * i);
    for (unsigned i = 0; i < 6; i++)
        seg[i] = (uint16_t)(wide ? image[18 + i] : i < 4 ? AT16(34 + 2 * i) : 0);
    cr3 = image[7];
    if (old.limit < (old_wide ? 103u : 43u))
        s_fault_of(s, 10, old.selector);
    s_reach(s, (uint32_t)(old.base + (old_wide ? 32 : 14)), old_wide ? 64 : 28, true, false);
    if (clears) {
        od.at = (uint32_t)(s->gdtr.base + (old.selector & 0xfff8));
        od.low = s_system(s, od.at, 8);
        s_reach(s, od.at + 5, 1, true, false);
    }
    if (links)
        s_reach(s, (uint32_t)t.base, 2, true, false);
    if (source != BY_IRET)
        s_reach(s, d.at + 5, 1, true, false);
    /* The old task is saved, the new one begins: from here on nothing is taken back. */
    if (source == BY_IRET)
        flags &= ~(1ull << 14);
    if (old_wide) {
        s_put(s, old.base + 32, 4, next);
        s_put(s, old.base + 36, 4, flags);
        for (unsigned i = 0; i < 8; i++)
            s_put(s, old.base + 40 + 4 * i, 4, s->gpr[i]);
        for (unsigned i = 0; i < 6; i++)
            s_put(s, old.base + 72 + 4 * i, 4, s->seg[i].selector);
    } else {
        s_put(s, old.base + 14, 2, next);
        s_put(s, old.base + 16, 2, flags);
        for (unsigned i = 0; i < 8; i++)
            s_put(s, old.base + 18 + 2 * i, 2, s->gpr[i]);
        for (unsigned i = 0; i < 4; i++)
            s_put(s, old.base + 34 + 2 * i, 2, s->seg[i].selector);
    }
    if (clears)
        s_put(s, od.at + 5, 1, d_rights(&od) & 0xfd);
    t.access_rights |= 2;
    if (source != BY_IRET)
        s_put(s, d.at + 5, 1, t.access_rights);
    if (links) {
        s_put(s, t.base, 2, old.selector);
        new_flags |= 1u << 14;
    }
    s->kept = true;
    s->seg[SEG_TR] = t;
    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = gpr[i];
    s->rip = eip;
    s->rflags = (new_flags & 0x3f7fd5) | 2;
    s->cr0 |= 8;
    s->dr7 &= ~0x155ull;
    if (wide && s->cr0 >> 31)
        s->cr3 = cr3;
    s_task_load(s, eip, seg, ldt);
}

/* Vol. 3, 18.3.1.5. */
static inline void s_task_trap(struct second *s)
{
    const struct segment *t = &s->seg[SEG_TR];

    if (!(t->access_rights >> 3 & 1) || !(s_system(s, (uint32_t)(t->base + 100), 2) & 1))
        return;
    s->address = 1u << 15;
    s_fault(s, 1, 0);
}

static inline void s_task_by_instruction(struct second *s, uint16_t selector, enum second_source source, uint64_t next)
{
    s_task_switch(s, selector, source, next, s->rflags & ~0x10000ull);
    s->shadow &= ~3u;
    s->instructions++;
    s->clock++;
    s_task_trap(s);
}

/* ---- JMP and CALL far ---- */

static inline void s_jump(struct second *s, const struct insn *insn)
{
    bool call = insn->id == INSN_call_far;
    unsigned size = insn->operand_size, cpl = s_cpl(s), dpl;
    uint64_t offset = (uint64_t)insn->displacement, next = s_next(s, insn->length), at;
    uint16_t selector = insn->selector;
    struct stk k = k_here(s);
    struct segment code, ss;
    struct desc d, sd = { 0, 0, 0 };
    uint32_t r;

    if (insn->kind == OPERAND_MEMORY) {
        at = s_operand_at(s, insn, size + 2);
        offset = s_explicit(s, at, size);
        selector = (uint16_t)s_explicit(s, at + size, 2);
    }
    if (!s_protected(s) || s_v86(s)) {
        code = s->seg[SEG_CS];
        if (call) {
            k_push(s, &k, size, code.selector);
            k_push(s, &k, size, next);
        }
        code.selector = selector;
        code.base = (uint32_t)selector * 16;
        offset = s_target(s, &code, offset);
        s->seg[SEG_CS] = code;
        s->gpr[RSP] = k.p;
        s_retire(s, offset, true);
        return;
    }
    if (d_null(selector))
        s_fault(s, 13, 0);
    d = d_read(s, selector, 13);
    r = d_rights(&d);
    dpl = r >> 5 & 3;
    if (r & 0x10) {
        if (!d_code(r) || (s_long(s) && (r & 0x6000) == 0x6000))
            s_fault_of(s, 13, selector);
        if (d_conforming(r) ? dpl > cpl : (selector & 3u) > cpl || dpl != cpl)
            s_fault_of(s, 13, selector);
        if (!(r & 0x80))
            s_fault_of(s, 11, selector);
        code = d_segment(&d, (uint16_t)((selector & 0xfffc) + cpl));
    } else {
        unsigned type = r & 15, level = cpl, parameters;
        uint64_t entry;
        uint16_t named = selector;

        if (type != TYPE_CALL32 && (s_long(s) || (type != TYPE_CALL16 && type != TYPE_TASK && type != TYPE_TSS16 && type != TYPE_TSS32)))
            s_fault_of(s, 13, selector);
        if (dpl < cpl || dpl < (selector & 3u))
            s_fault_of(s, 13, selector);
        if (!(r & 0x80))
            s_fault_of(s, 11, selector);
        if (type == TYPE_TASK || type == TYPE_TSS16 || type == TYPE_TSS32) {
            s_task_by_instruction(s, type == TYPE_TASK ? (uint16_t)(d.low >> 16) : named, call ? BY_CALL : BY_JMP, next);
            return;
        }
        if (s_long(s))
            d_upper(s, selector, &d);
        entry = (d.low & 0xffff) + (type == TYPE_CALL32 ? (d.low >> 48) * 0x10000 : 0) + d.high * 0x100000000ull;
        parameters = s_long(s) ? 0 : d.low >> 32 & 31;
        selector = (uint16_t)(d.low >> 16);
        if (d_null(selector))
            s_fault(s, 13, 0);
        d = d_read(s, selector, 13);
        r = d_rights(&d);
        dpl = r >> 5 & 3;
        if (!d_code(r) || dpl > cpl || (!call && !d_conforming(r) && dpl < cpl) || (s_long(s) && (r & 0x6000) != 0x2000))
            s_fault_of(s, 13, selector);
        if (!(r & 0x80))
            s_fault_of(s, 11, selector);
        if (call && !d_conforming(r))
            level = dpl;
        size = s_long(s) ? 8 : type == TYPE_CALL32 ? 4 : 2;
        offset = entry;
        code = d_segment(&d, (uint16_t)((selector & 0xfffc) + level));
        if (level < cpl) {
            struct stk n = s_inner(s, level, 0, &ss, &sd);
            uint64_t words[31];

            for (unsigned i = parameters; i-- > 0;)
                words[i] = k_peek(s, &k, i, size);
            k_push(s, &n, size, s->seg[SEG_SS].selector);
            k_push(s, &n, size, s->gpr[RSP]);
            for (unsigned i = parameters; i-- > 0;)
                k_push(s, &n, size, words[i]);
            k_push(s, &n, size, s->seg[SEG_CS].selector);
            k_push(s, &n, size, next);
            offset = s_target(s, &code, offset);
            ss = d_accessed(s, &sd, ss);
            code = d_accessed(s, &d, code);
            s->seg[SEG_SS] = ss;
            s->gpr[RSP] = n.p;
            s_set_cs(s, code);
            s_retire(s, offset, true);
            return;
        }
    }
    if (call) {
        k_push(s, &k, size, s->seg[SEG_CS].selector);
        k_push(s, &k, size, next);
    }
    offset = s_target(s, &code, offset);
    code = d_accessed(s, &d, code);
    s->gpr[RSP] = k.p;
    s_set_cs(s, code);
    s_retire(s, offset, true);
}

/* ---- RET far, IRET ---- */

static inline struct segment s_return_code(struct second *s, uint16_t selector, struct desc *d)
{
    unsigned rpl = selector & 3;
    uint32_t r;

    if (d_null(selector))
        s_fault(s, 13, 0);
    *d = d_read(s, selector, 13);
    r = d_rights(d);
    if (!d_code(r) || rpl < s_cpl(s) || (d_conforming(r) ? (r >> 5 & 3) > rpl : (r >> 5 & 3) != rpl) || (s_long(s) && (r & 0x6000) == 0x6000))
        s_fault_of(s, 13, selector);
    if (!(r & 0x80))
        s_fault_of(s, 11, selector);
    return d_segment(d, selector);
}

static inline struct segment s_return_stack(struct second *s, uint16_t selector, const struct segment *code, struct desc *d)
{
    unsigned cpl = code->selector & 3;
    struct segment g;

    if (!d_null(selector))
        return s_stack_segment(s, selector, cpl, 13, d);
    if (!d_code64(s, code->access_rights) || cpl == 3)
        s_fault(s, 13, 0);
    g = g_null(selector);
    g.access_rights += 32 * cpl;
    return g;
}

/* To an outer level, or from 64-bit mode: RSP as wide as the new stack, and the segments of inner levels. */
static inline void s_outer(struct second *s, const struct segment *code, const struct segment *ss, uint64_t rsp, uint64_t release, bool drops)
{
    static const enum segment_register data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    struct stk k = { .g = *ss, .flat = d_code64(s, code->access_rights) };

    k.p = k.flat || (ss->access_rights >> 14 & 1) ? rsp : (s->gpr[RSP] & ~0xffffull) + (rsp & 0xffff);
    k_move(&k, (int64_t)release);
    s->gpr[RSP] = k.p;
    for (unsigned i = 0; drops && i < 4; i++) {
        struct segment *g = &s->seg[data[i]];
        bool unusable = g->access_rights >> 16 & 1;

        if (unusable && g->selector == 0)
            continue;
        if (unusable || (!d_conforming(g->access_rights) && (g->access_rights >> 5 & 3) < (code->selector & 3u)))
            *g = (struct segment){ .access_rights = 0x10000, .base = s_long(s) && data[i] >= SEG_FS ? g->base : 0 };
    }
}

static inline void s_return(struct second *s, const struct insn *insn)
{
    unsigned size = insn->operand_size;
    uint16_t release = (uint16_t)insn->displacement, selector;
    struct stk k = k_here(s), up;
    uint64_t rip = k_peek(s, &k, 0, size), rsp;
    struct segment code, ss;
    struct desc d, sd = { 0, 0, 0 };

    selector = (uint16_t)k_peek(s, &k, 1, size);
    if (!s_protected(s) || s_v86(s)) {
        code = s->seg[SEG_CS];
        code.selector = selector;
        code.base = (uint32_t)selector * 16;
        rip = s_target(s, &code, rip);
        s->seg[SEG_CS] = code;
        k_move(&k, 2 * (int64_t)size + release);
        s->gpr[RSP] = k.p;
        s_retire(s, rip, true);
        return;
    }
    code = s_return_code(s, selector, &d);
    if ((selector & 3u) == s_cpl(s)) {
        rip = s_target(s, &code, rip);
        s_set_cs(s, d_accessed(s, &d, code));
        k_move(&k, 2 * (int64_t)size + release);
        s->gpr[RSP] = k.p;
        s_retire(s, rip, true);
        return;
    }
    up = k;
    k_move(&up, release);
    rsp = k_peek(s, &up, 2, size);
    ss = s_return_stack(s, (uint16_t)k_peek(s, &up, 3, size), &code, &sd);
    rip = s_target(s, &code, rip);
    code = d_accessed(s, &d, code);
    ss = d_accessed(s, &sd, ss);
    s_set_cs(s, code);
    s->seg[SEG_SS] = ss;
    s_outer(s, &code, &ss, rsp, release, true);
    s_retire(s, rip, true);
}

#define ALWAYS_POPPED 0x4dd5ull                 /* arithmetic flags, TF, DF, NT */
#define WIDE_POPPED 0x250000ull                 /* RF, AC, ID */
#define VIRTUAL_FLAGS 0x180000ull               /* VIF, VIP */

static inline void s_flags(struct second *s, uint64_t from, uint64_t which)
{
    s->rflags = (s->rflags & ~which) | (from & which) | 2;
}

/* Vol. 3, 21.3, 21.4: is VIF used in place of IF? */
static inline bool s_own_flag(const struct second *s)
{
    return (s->rflags >> 12 & 3) < 3 && (s_v86(s) ? s->cr4 & 1 : s_protected(s) && s_cpl(s) == 3 && (s->cr4 & 2));
}

static inline void s_load_own_flags(struct second *s, uint64_t image)
{
    s_flags(s, image, ALWAYS_POPPED);
    s->rflags = (s->rflags & ~0x80000ull) | (image & 0x200 ? 0x80000 : 0);
}

static inline void s_interrupt_return(struct second *s, const struct insn *insn)
{
    unsigned size = insn->operand_size, cpl = s_cpl(s), iopl = s->rflags >> 12 & 3;
    uint64_t rip, rsp = 0, flags, which = ALWAYS_POPPED | (size > 2 ? WIDE_POPPED : 0);
    struct segment code, ss = g_null(0);
    struct desc d, sd = { 0, 0, 0 };
    struct stk k = k_here(s);
    uint16_t selector;
    bool outer;

    if (s_protected(s) && !s_v86(s) && (s->rflags >> 14 & 1)) {
        if (s_long(s))
            s_fault(s, 13, 0);
        s_task_by_instruction(s, (uint16_t)s_system(s, (uint32_t)s->seg[SEG_TR].base, 2), BY_IRET, s_next(s, insn->length));
        return;
    }
    if (!s_protected(s) || s_v86(s)) {
        bool own = s_v86(s) && iopl < 3;

        if (own && (!(s->cr4 & 1) || size != 2))
            s_fault(s, 13, 0);
        rip = k_peek(s, &k, 0, size);
        selector = (uint16_t)k_peek(s, &k, 1, size);
        flags = k_peek(s, &k, 2, size);
        code = s->seg[SEG_CS];
        code.selector = selector;
        code.base = (uint32_t)selector * 16;
        rip = s_target(s, &code, rip);
        if (own && ((flags & 0x100) || ((flags & 0x200) && (s->rflags & 0x100000))))
            s_fault(s, 13, 0);
        s->seg[SEG_CS] = code;
        k_move(&k, 3 * (int64_t)size);
        s->gpr[RSP] = k.p;
        s_retire(s, rip, true);
        if (own)
            s_load_own_flags(s, flags);
        else
            s_flags(s, flags, which | 0x200 | (s_v86(s) ? 0 : 0x3000));
        return;
    }
    rip = k_peek(s, &k, 0, size);
    selector = (uint16_t)k_peek(s, &k, 1, size);
    flags = k_peek(s, &k, 2, size);
    if (size == 4 && (flags >> 17 & 1) && cpl == 0 && !s_long(s)) {
        static const enum segment_register order[] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
        uint16_t to[SEG_COUNT];

        rsp = k_peek(s, &k, 3, 4);
        to[SEG_CS] = selector;
        for (unsigned i = 0; i < 5; i++)
            to[order[i]] = (uint16_t)k_peek(s, &k, 4 + i, 4);
        if (rip > 0xffff)
            s_fault(s, 13, 0);
        for (unsigned i = 0; i < 6; i++)
            s->seg[i] = (struct segment){ to[i], 0xf3, 0xffff, (uint64_t)to[i] * 16 };
        s->gpr[RSP] = rsp;
        s_retire(s, rip, true);
        s_flags(s, flags, which | 0x23200 | VIRTUAL_FLAGS);
        return;
    }
    code = s_return_code(s, selector, &d);
    outer = (selector & 3u) > cpl;
    if (outer || s_64(s)) {
        rsp = k_peek(s, &k, 3, size);
        ss = s_return_stack(s, (uint16_t)k_peek(s, &k, 4, size), &code, &sd);
    }
    rip = s_target(s, &code, rip);
    code = d_accessed(s, &d, code);
    if (outer || s_64(s)) {
        ss = d_accessed(s, &sd, ss);
        s->seg[SEG_SS] = ss;
        s_outer(s, &code, &ss, rsp, 0, outer);
    } else {
        k_move(&k, 3 * (int64_t)size);
        s->gpr[RSP] = k.p;
    }
    s_set_cs(s, code);
    s_retire(s, rip, true);
    if (cpl <= iopl)
        which |= 0x200;
    if (cpl == 0)
        which |= 0x3000 | (size > 2 ? VIRTUAL_FLAGS : 0);
    s_flags(s, flags, which);
}

/* ---- CLI, STI, PUSHF, POPF of the virtual interrupt flag; ENTER ---- */

static inline uint64_t s_own_image(const struct second *s)
{
    return (s->rflags & 0x4dd5) | 0x3002 | (s->rflags >> 19 & 1 ? 0x200 : 0);
}

static inline void s_virtual(struct second *s, const struct insn *insn)
{
    struct stk k = k_here(s);
    uint64_t image;

    if (insn->id == INSN_cli || insn->id == INSN_sti) {
        if (insn->id == INSN_sti && (s->rflags >> 20 & 1))
            s_fault(s, 13, 0);
        s_retire(s, s_next(s, insn->length), false);
        s->rflags = (s->rflags & ~0x80000ull) | (insn->id == INSN_sti ? 0x80000 : 0);
        return;
    }
    if (insn->operand_size != 2)
        s_fault(s, 13, 0);
    if (insn->id == INSN_pushf) {
        k_push(s, &k, 2, s_own_image(s));
        s->gpr[RSP] = k.p;
        s_retire(s, s_next(s, insn->length), false);
        return;
    }
    image = k_peek(s, &k, 0, 2);
    if ((image & 0x100) || ((image & 0x200) && (s->rflags >> 20 & 1)))
        s_fault(s, 13, 0);
    k_move(&k, 2);
    s->gpr[RSP] = k.p;
    s_retire(s, s_next(s, insn->length), false);
    s_load_own_flags(s, image);
}

static inline void s_enter(struct second *s, const struct insn *insn)
{
    unsigned size = insn->operand_size, level = insn->selector % 32;
    struct stk k = k_here(s), display = k;
    uint64_t frame, wide = k_mask(&k);

    k_push(s, &k, size, s->gpr[RBP]);
    frame = k.p;
    display.p = s->gpr[RBP];
    for (unsigned i = 1; i < level; i++) {
        k_move(&display, -(int64_t)size);
        k_push(s, &k, size, k_peek(s, &display, 0, size));
    }
    if (level)
        k_push(s, &k, size, frame);
    k_move(&k, -(int64_t)insn->displacement);
    k_at(s, &k, k.p & k_mask(&k), size, true);
    s->gpr[RBP] = wide == 0xffff ? (s->gpr[RBP] & ~0xffffull) + (frame & 0xffff) : frame;
    s->gpr[RSP] = k.p;
    s_retire(s, s_next(s, insn->length), false);
}

/* ---- events: Vol. 3, 6.12, 6.14, 21.1.4, 21.3 ---- */

static inline void s_deliver(struct second *s)
{
    const struct event *e = &s->first;
    bool software = e->type == 4 || e->type == 6, changed;
    uint64_t next = software || e->type == 5 ? s_next(s, e->instruction_length) : s->rip, offset, linear, gate;
    uint64_t flags = s->resumes ? s->rflags | 0x10000 : (software || e->type == 5) && !e->injected ? s->rflags & ~0x10000ull : s->rflags, high = 0;
    unsigned cpl = s_cpl(s), type, level, ist, size = s_long(s) ? 16 : 8, dpl;
    uint32_t named = e->vector * 8u + 2 + s_ext(s), r, entry;
    struct stk k = k_here(s);
    struct segment code, ss = g_null(0);
    struct desc d, sd = { 0, 0, 0 };
    uint16_t selector;

    if (e->type == 4 && s_v86(s) && !e->injected) {
        bool redirected = false, own = (s->rflags >> 12 & 3) < 3;

        if (s->cr4 & 1) {
            const struct segment *t = &s->seg[SEG_TR];
            uint32_t at;

            if (t->limit < 0x67)
                s_fault(s, 13, 0);
            at = (uint16_t)s_system(s, (uint32_t)(t->base + 0x66), 2) - 32u + e->vector / 8u;
            if (at > t->limit)
                s_fault(s, 13, 0);
            redirected = !(s_system(s, (uint32_t)(t->base + at), 1) >> e->vector % 8 & 1);
        }
        if (!redirected && own)
            s_fault(s, 13, 0);
        if (redirected) {
            entry = (uint32_t)s_explicit(s, e->vector * 4u, 4);
            k_push(s, &k, 2, own ? s_own_image(s) : (s->rflags & 0x7fd5) | 2);
            k_push(s, &k, 2, s->seg[SEG_CS].selector);
            k_push(s, &k, 2, next);
            s->gpr[RSP] = k.p;
            s->seg[SEG_CS].selector = (uint16_t)(entry >> 16);
            s->seg[SEG_CS].base = (entry >> 16) * 16;
            s->rip = entry & 0xffff;
            s->rflags &= ~(0x10100ull | (own ? 0x80000 : 0x200));
            return;
        }
    }
    if (!s_protected(s)) {
        if (e->vector * 4u + 3 > s->idtr.limit)
            s_fault(s, 13, 0);
        entry = (uint32_t)s_system(s, (uint32_t)(s->idtr.base + e->vector * 4u), 4);
        k_push(s, &k, 2, flags);
        k_push(s, &k, 2, s->seg[SEG_CS].selector);
        k_push(s, &k, 2, next);
        if ((entry & 0xffff) > s->seg[SEG_CS].limit)
            s_fault(s, 13, 0);
        s->gpr[RSP] = k.p;
        s->seg[SEG_CS].selector = (uint16_t)(entry >> 16);
        s->seg[SEG_CS].base = (entry >> 16) * 16;
        s->rip = entry & 0xffff;
        s->rflags &= ~0x50300ull;
        return;
    }
    if (e->vector * size + size - 1 > s->idtr.limit)
        s_fault(s, 13, named);
    linear = s->idtr.base + e->vector * size;
    if (!s_long(s))
        linear = (uint32_t)linear;
    s_reach(s, linear, size, false, false);
    gate = s_get(s, linear, 8);
    if (s_long(s))
        high = s_get(s, linear + 8, 8);
    r = gate >> 40 & 0xff;
    type = r & 0x1f;
    if (!(type == TYPE_INT32 || type == TYPE_TRAP32 || (!s_long(s) && (type == TYPE_INT16 || type == TYPE_TRAP16 || type == TYPE_TASK))))
        s_fault(s, 13, named);
    if (software && (r >> 5 & 3) < cpl)
        s_fault(s, 13, named);
    if (!(r & 0x80))
        s_fault(s, 11, named);
    selector = (uint16_t)(gate >> 16);
    if (type == TYPE_TASK) {
        s_task_switch(s, selector, BY_GATE, next, flags);
        if (e->has_error_code) {
            struct stk n = k_here(s);

            k_push(s, &n, s->seg[SEG_TR].access_rights >> 3 & 1 ? 4 : 2, e->error_code);
            s->gpr[RSP] = n.p;
        }
        s->delivering = false;
        s_task_trap(s);
        return;
    }
    offset = (gate & 0xffff) + (type >= TYPE_INT32 ? (gate >> 48) * 0x10000 : 0) + high * 0x100000000ull;
    ist = s_long(s) ? gate >> 32 & 7 : 0;
    if (d_null(selector))
        s_fault(s, 13, s_ext(s));
    d = d_read(s, selector, 13);
    r = d_rights(&d);
    dpl = r >> 5 & 3;
    if (!d_code(r) || dpl > cpl || (s_long(s) && (r & 0x6000) != 0x2000))
        s_fault_of(s, 13, selector);
    if (!(r & 0x80))
        s_fault_of(s, 11, selector);
    level = d_conforming(r) ? cpl : dpl;
    if (s_v86(s) && level)
        s_fault_of(s, 13, selector);
    code = d_segment(&d, (uint16_t)((selector & 0xfffc) + level));
    changed = level < cpl;
    k.error = s_ext(s);
    if (changed || ist)
        k = s_inner(s, level, ist, &ss, &sd);
    if (s_long(s)) {
        k.flat = true;
        k.p &= ~15ull;
    }
    size = s_long(s) ? 8 : type >= TYPE_INT32 ? 4 : 2;
    if (s_v86(s))
        for (unsigned n = 0; n < 4; n++)
            k_push(s, &k, size, s->seg[(const unsigned[]){ SEG_GS, SEG_FS, SEG_DS, SEG_ES }[n]].selector);
    if (changed || s_long(s)) {
        k_push(s, &k, size, s->seg[SEG_SS].selector);
        k_push(s, &k, size, s->gpr[RSP]);
    }
    k_push(s, &k, size, flags);
    k_push(s, &k, size, s->seg[SEG_CS].selector);
    k_push(s, &k, size, next);
    if (e->has_error_code)
        k_push(s, &k, size, e->error_code);
    offset = s_target(s, &code, offset);
    if (changed)
        ss = d_accessed(s, &sd, ss);
    code = d_accessed(s, &d, code);
    if (s_v86(s))
        s->seg[SEG_ES] = s->seg[SEG_DS] = s->seg[SEG_FS] = s->seg[SEG_GS] = g_null(0);
    if (changed)
        s->seg[SEG_SS] = ss;
    s->gpr[RSP] = k.p;
    s_set_cs(s, code);
    s->rip = offset;
    s->rflags &= ~(0x34100ull | (type == TYPE_INT32 || type == TYPE_INT16 ? 0x200 : 0));
}

#endif
