/* SPDX-License-Identifier: MIT */
/* What becomes of a remembered translation of which memory says something else by now: of the processors' and of a remapping unit's. */
#ifndef SESQUI_MODEL_TLB_POLICY_H
#define SESQUI_MODEL_TLB_POLICY_H

enum tlb_policy {
    TLB_KEEP,                   /* a remembered translation is used whenever the architecture allows it */
    TLB_DROP,                   /* none is ever used: every access walks */
    TLB_SEEDED,                 /* remembered translations are used or dropped at random, by seed */
};

#endif
