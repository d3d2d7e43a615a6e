/* SPDX-License-Identifier: MIT */
/*
 * Pages that change hands: L1 gives L0 a page, for good. Before L0 uses it, nobody else may reach it: it has left EPT01,
 * and every processor has emptied its shadows and invalidated what it remembered (SDM Vol. 3, 29.4.3.3).
 *
 * The list of pages is also the request: it only grows, and each processor knows how much of it it has seen. It looks
 * before each entry. Who gives a page looks itself, kicks with INIT those that run their guest, and waits until all others
 * have seen its page, holding no lock. Two that give at once cannot wait for each other: the one whose page comes later on
 * the list has seen the earlier one. A processor in the wait-for-SIPI state blocks INIT (26.2), and need not be waited for:
 * it has invalidated before it went there, executes no instruction of a guest, and looks before it does.
 *
 * L0 on another processor may have found just now that the page is L1's, and write there: it is waited for like any other,
 * for it says that it has looked when it has finished. The one that waits has nothing of L1's in its hands.
 */
#include "hv/core.h"

bool page_given(const struct hv_machine *m, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < m->given.count; i++)
        if (m->given.page[i] - base < size)
            return true;
    return false;
}

static void invalidate_ept01(const struct hv_machine *m)
{
    if (hal_invept(INVEPT_SINGLE, ept_pointer(&m->ept01)) != HAL_OK)
        hal_fail_stop("an INVEPT of L0 failed");
}

/* Whatever this processor has of the pages on the list goes; only then it says so. */
static void look(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    const unsigned seen = m->given.count;

    if (cpu->presence->seen == seen)
        return;
    hal_fence();
    vept_empty_all(cpu);
    invalidate_ept01(m);
    if (cpu->level == 2)
        vmcs02_choose_pages(cpu);
    hal_fence();
    cpu->presence->seen = seen;
}

/* ---- this processor between its guest and L0 ---- */

/*
 * No fence is needed between what is said of its place and the look at the list. Who gives a page waits until this processor has
 * seen it, or is in the wait-for-SIPI state, and kicks it as soon as it finds it in its guest, whenever that gets there. In that
 * state it has nothing left that it could have overlooked; it looks when it leaves it.
 */
void pages_look(struct hv_cpu *cpu)
{
    struct presence *p = cpu->presence;

    if (cpu->waits_for_sipi && p->place != PLACE_NOWHERE) {
        vept_empty_all(cpu);
        invalidate_ept01(cpu->machine);
    }
    while (p->seen != cpu->machine->given.count) {
        p->place = PLACE_L0;
        look(cpu);
    }
    p->place = cpu->waits_for_sipi ? PLACE_NOWHERE : PLACE_GUEST;
}

/* Who overlooked it has put its page on the list, and it will look. */
void pages_leave_wait(struct hv_cpu *cpu)
{
    hal_fence();
    cpu->waits_for_sipi = false;
}

/* ---- giving ---- */

static void wait_for(struct hv_machine *m, unsigned other, unsigned count)
{
    const struct presence *p = &m->presence[other];

    for (bool kicked = false; p->place != PLACE_NOWHERE && p->seen < count; hal_pause()) {
        if (p->place == PLACE_GUEST && !kicked) {
            init_kick(m, other);
            kicked = true;
        }
    }
}

static bool unreachable(const struct hv_machine *m)
{
    for (unsigned i = 0; i < processors_kept(); i++)
        if (m->presence[i].unreachable)
            return true;
    return false;
}

/* The page is on the list, and in EPT01 no more; *count: of the list. */
static enum page_given_result take(struct hv_machine *m, uint64_t page, unsigned *count)
{
    const unsigned pages = m->ept01.pages;

    if (!late_everywhere(m))
        return PAGE_TOO_EARLY;
    if (unreachable(m))
        return PAGE_UNREACHABLE;
    if (page & PAGE_OFFSET || !l1_owns(m, page))
        return PAGE_NOT_YOURS;
    if (m->given.count == GIVEN_PAGES)
        return PAGE_LIST_FULL;
    if (!ept_unmap(&m->ept01, page))
        return PAGE_NO_MEMORY;
    hal_keep(m->ept01.pages - pages);
    m->given.page[m->given.count] = page;
    hal_fence();
    *count = ++m->given.count;
    hal_fence();
    return PAGE_GIVEN;
}

enum page_given_result page_give(struct hv_cpu *cpu, uint64_t page)
{
    struct hv_machine *m = cpu->machine;
    enum page_given_result result;
    unsigned count = 0;

    hal_lock(&m->lock);
    result = take(m, page, &count);
    hal_unlock(&m->lock);
    if (result != PAGE_GIVEN)
        return result;
    look(cpu);
    for (unsigned i = 0; i < processors_kept(); i++)
        if (i != hal_cpu_index())
            wait_for(m, i, count);
    hal_pm_zero_page(PA(page));
    hal_own(PA(page), 1, HAL_OWNER_L0);
    return PAGE_GIVEN;
}
