/* SPDX-License-Identifier: MIT */
/* What the remapping unit refuses, for people: the request, the way through the tables, the rule. */
#ifndef SESQUI_EMU_EXPLAIN_REMAPPING_H
#define SESQUI_EMU_EXPLAIN_REMAPPING_H

struct iommu_notice;
struct machine;

void remapping_explain(struct machine *machine, const struct iommu_notice *notice);

#endif
