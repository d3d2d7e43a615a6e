/* SPDX-License-Identifier: MIT */
/* Counts times weights: a model, linear in each weight. */
#include "cli/bench/nested.h"

const struct weight weight_table[WEIGHTS] = {
#define WEIGHT(id, kind, low, middle, high, count, unit, source)                                                     \
    { #id, unit, WEIGHT_##kind, { low, middle, high }, source },
#include "cli/bench/weights.def"
};

static double counted(const struct native_passages *trip, enum passage passage, unsigned weight)
{
    const struct native_counts *c = &trip->of[passage].counts;
    const uint64_t times = trip->of[passage].times;

    switch (weight) {
#define WEIGHT(id, kind, low, middle, high, count, unit, source)                                                     \
    case WEIGHT_##id:                                                                                                 \
        return (double)(count);
#include "cli/bench/weights.def"
    }
    return 0;
}

struct cycles cycles_of(const struct native_passages *trip, enum passage passage, enum weight_level level)
{
    struct cycles sum = { 0, 0 };

    for (unsigned i = 0; i < WEIGHTS; i++) {
        const double cost = counted(trip, passage, i) * weight_table[i].level[level];
        if (weight_table[i].kind == WEIGHT_ARCHITECTURE)
            sum.architecture += cost;
        else if (weight_table[i].kind == WEIGHT_OWN)
            sum.own += cost;
    }
    return sum;
}

double cycles_halves(const struct native_passages *trip, const enum weight_level level[WEIGHTS], bool own_only)
{
    double sum = 0;

    for (unsigned i = 0; i < WEIGHTS; i++)
        if (!own_only || weight_table[i].kind != WEIGHT_ARCHITECTURE)
            sum += (counted(trip, PASSAGE_L2_TO_L1, i) + counted(trip, PASSAGE_L1_TO_L2, i)) * weight_table[i].level[level[i]];
    return sum;
}

static double ratio_at(const struct native_passages *other, const struct native_passages *flip,
                       const enum weight_level level[WEIGHTS], bool own_only)
{
    return cycles_halves(other, level, own_only) / cycles_halves(flip, level, own_only);
}

/* A quotient of sums that are linear in each weight is monotonic in each: its extremes lie at the corners of the ranges. */
struct ratio cycles_ratio(const struct native_passages *other, const struct native_passages *flip, bool own_only)
{
    enum weight_level level[WEIGHTS];
    struct ratio ratio;

    for (unsigned i = 0; i < WEIGHTS; i++)
        level[i] = WEIGHT_DEFAULT;
    ratio.by_default = ratio.least = ratio.most = ratio_at(other, flip, level, own_only);
    for (unsigned i = 0; i < WEIGHTS; i++) {
        level[i] = WEIGHT_LOW;
        ratio.low[i] = ratio_at(other, flip, level, own_only);
        level[i] = WEIGHT_HIGH;
        ratio.high[i] = ratio_at(other, flip, level, own_only);
        level[i] = WEIGHT_DEFAULT;
    }
    for (unsigned corner = 0; corner < 1u << WEIGHTS; corner++) {
        for (unsigned i = 0; i < WEIGHTS; i++)
            if (weight_table[i].kind != WEIGHT_SWITCHED)
                level[i] = corner >> i & 1 ? WEIGHT_HIGH : WEIGHT_LOW;
        const double at = ratio_at(other, flip, level, own_only);
        ratio.least = at < ratio.least ? at : ratio.least;
        ratio.most = at > ratio.most ? at : ratio.most;
    }
    return ratio;
}
