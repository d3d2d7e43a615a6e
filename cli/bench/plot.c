/* SPDX-License-Identifier: MIT */
/*
 * The modelled cycles as a picture (SVG 1.1, no script, no font but the viewer's): for each exit and strategy one bar, its parts
 * in the order in which they happen, and a whisker for the range of the weights; beneath, how far each weight moves copy/flip.
 */
#include <math.h>

#include "cli/bench/nested.h"

enum {
    WIDTH = 1120, LEFT = 250, RIGHT = 70, BAR = 15, BAR_GAP = 3, GROUP_GAP = 14, TOP = 118, AXIS = 46,
    SENSITIVITY_TOP = 84, SENSITIVITY_ROW = 19, TICKS = 8
};
static const char architecture_colour[] = "#b8bec6";

/* The parts of a bar; what exits and entries cost anyway comes first, as one. */
static const struct { enum passage passage; const char *colour, *title; } own_part[] = {
    { PASSAGE_L2_TO_L1, "#1f6fb4", "L0: exit half" },
    { PASSAGE_L1_TO_L1, "#c0392b", "L0: L1's own VMREADs and VMWRITEs" },
    { PASSAGE_L1_TO_L2, "#e58e26", "L0: entry half" },
    { PASSAGE_L2_TO_L2, "#6f4fa0", "L0: fills its shadow EPT" },
};
enum { OWN_PARTS = sizeof own_part / sizeof own_part[0] };

static struct cycles whole(const struct native_passages *trip, enum weight_level level)
{
    struct cycles sum = { 0, 0 };

    for (unsigned i = 0; i < PASSAGE_COUNT; i++) {
        const struct cycles part = cycles_of(trip, (enum passage)i, level);
        sum.architecture += part.architecture;
        sum.own += part.own;
    }
    return sum;
}

/* A round number of cycles for one tick, so that `most` fits. */
static double tick(double most)
{
    double step = pow(10, floor(log10(most / TICKS)));

    while (step * TICKS < most)
        step *= step * 2 * TICKS >= most ? 2 : 5;
    return step;
}

static void text(FILE *to, double x, double y, const char *anchor, int size, const char *weight, const char *what)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" font-weight=\"%s\">%s</text>\n", x, y, anchor,
            size, weight, what);
}

static void box(FILE *to, double x, double y, double width, double height, const char *colour)
{
    fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, width, height, colour);
}

static void line(FILE *to, double x1, double y1, double x2, double y2, const char *colour)
{
    fprintf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1, x2, y2, colour);
}

static void legend(FILE *to)
{
    double x = 20;

    box(to, x, 70, 12, 12, architecture_colour);
    text(to, x + 17, 80, "start", 12, "normal", "VM exits and entries themselves");
    x += 235;
    for (unsigned i = 0; i < OWN_PARTS; i++) {
        box(to, x, 70, 12, 12, own_part[i].colour);
        text(to, x + 17, 80, "start", 12, "normal", own_part[i].title);
        x += i == 1 ? 265 : 130;
    }
    line(to, 20, 99, 60, 99, "#222");
    line(to, 20, 95, 20, 103, "#222");
    line(to, 60, 95, 60, 103, "#222");
    text(to, 68, 103, "start", 12, "normal", "the same with all weights at their low, and at their high ends (weights.def)");
}

static void bar(FILE *to, const struct native_passages *trip, double y, double scale)
{
    const struct cycles middle = whole(trip, WEIGHT_DEFAULT), low = whole(trip, WEIGHT_LOW), high = whole(trip, WEIGHT_HIGH);
    const double from = LEFT + (low.architecture + low.own) * scale, to_x = LEFT + (high.architecture + high.own) * scale;
    const double centre = y + BAR / 2.0;
    double x = LEFT;
    char label[32];

    box(to, x, y, middle.architecture * scale, BAR, architecture_colour);
    x += middle.architecture * scale;
    for (unsigned i = 0; i < OWN_PARTS; i++) {
        const double width = cycles_of(trip, own_part[i].passage, WEIGHT_DEFAULT).own * scale;
        box(to, x, y, width, BAR, own_part[i].colour);
        x += width;
    }
    line(to, from, centre, to_x, centre, "#222");
    line(to, from, centre - 4, from, centre + 4, "#222");
    line(to, to_x, centre - 4, to_x, centre + 4, "#222");
    snprintf(label, sizeof label, "%.0f", middle.architecture + middle.own);
    text(to, to_x + 5, centre + 4, "start", 11, "normal", label);
}

static void axis(FILE *to, double y, double step, double scale, unsigned ticks)
{
    char label[32];

    for (unsigned i = 0; i <= ticks; i++) {
        const double x = LEFT + i * step * scale;
        line(to, x, TOP - 6, x, y, "#e3e6ea");
        snprintf(label, sizeof label, "%.0f", i * step);
        text(to, x, y + 15, "middle", 11, "normal", label);
    }
    text(to, LEFT, y + 34, "start", 12, "normal",
         "modelled cycles of one round trip, at the default weights; work of L1 and L2 themselves not counted");
}

/* Returns where it ends. */
static double bars(const struct nested_costs *costs, FILE *to)
{
    double most = 0, y = TOP;
    unsigned groups = 0;

    for (unsigned exit = 0; exit < NESTED_EXITS; exit++) {
        groups += costs->measured[exit];
        for (unsigned strategy = 0; strategy < STRATEGIES; strategy++) {
            const struct cycles high = whole(&costs->trip[exit][strategy], WEIGHT_HIGH);
            most = fmax(most, high.architecture + high.own);
        }
    }
    const double step = tick(most), scale = (WIDTH - LEFT - RIGHT) / most;
    const double end = TOP + groups * (STRATEGIES * (BAR + BAR_GAP) + GROUP_GAP);
    axis(to, end, step, scale, (unsigned)(most / step));
    for (unsigned exit = 0; exit < NESTED_EXITS; exit++) {
        if (!costs->measured[exit])
            continue;
        text(to, 20, y + BAR + BAR_GAP + 12, "start", 13, "bold", nested_exit_title[exit]);
        for (unsigned strategy = 0; strategy < STRATEGIES; strategy++) {
            text(to, LEFT - 8, y + 12, "end", 12, "normal", strategy_name[strategy]);
            bar(to, &costs->trip[exit][strategy], y, scale);
            y += BAR + BAR_GAP;
        }
        y += GROUP_GAP;
    }
    return end + AXIS;
}

static void sensitivity(const struct nested_costs *costs, FILE *to, double top)
{
    const struct ratio ratio = cycles_ratio(&costs->trip[NESTED_cpuid][1], &costs->trip[NESTED_cpuid][2], false);
    const double left = 400, right = WIDTH - 140, least = ratio.least * 0.98, most = ratio.most * 1.02;
    const double scale = (right - left) / (most - least), middle = left + (ratio.by_default - least) * scale;
    char label[160];
    double y = top + SENSITIVITY_TOP;

    text(to, 20, top + 24, "start", 15, "bold", "CPUID: cycles of both halves, copy divided by flip, and what moves the quotient");
    snprintf(label, sizeof label, "%.2f at the default weights; %.2f to %.2f over all weights in their ranges together. One weight "
             "at a time, low (blue) to high (orange):", ratio.by_default, ratio.least, ratio.most);
    text(to, 20, top + 44, "start", 12, "normal", label);
    line(to, middle, y - 12, middle, y + WEIGHTS * SENSITIVITY_ROW, "#222");
    snprintf(label, sizeof label, "%.2f", ratio.by_default);
    text(to, middle, y - 16, "middle", 11, "normal", label);
    for (unsigned i = 0; i < WEIGHTS; i++, y += SENSITIVITY_ROW) {
        const double low = left + (ratio.low[i] - least) * scale, high = left + (ratio.high[i] - least) * scale;
        const struct weight *weight = &weight_table[i];
        text(to, 20, y + 11, "start", 12, "normal", weight->unit);
        box(to, fmin(low, middle), y + 1, fabs(low - middle), 12, "#6aa7dd");
        box(to, fmin(high, middle), y + 1, fabs(high - middle), 12, "#eeb063");
        snprintf(label, sizeof label, "%g-%g: %.2f-%.2f", weight->level[WEIGHT_LOW], weight->level[WEIGHT_HIGH], ratio.low[i],
                 ratio.high[i]);
        text(to, right + 6, y + 11, "start", 11, "normal", label);
    }
}

void nested_plot(const struct nested_costs *costs, FILE *to)
{
    unsigned groups = 0;

    for (unsigned exit = 0; exit < NESTED_EXITS; exit++)
        groups += costs->measured[exit];
    const int height = TOP + (int)groups * (STRATEGIES * (BAR + BAR_GAP) + GROUP_GAP) + AXIS +
                       (costs->measured[NESTED_cpuid] ? SENSITIVITY_TOP + WEIGHTS * SENSITIVITY_ROW + 20 : 10);
    fprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" fill=\"#222\">\n", WIDTH, height, WIDTH, height);
    box(to, 0, 0, WIDTH, height, "#ffffff");
    text(to, 20, 30, "start", 19, "bold", "What one nested exit and entry costs L0, by strategy");
    text(to, 20, 51, "start", 12, "normal", costs->instructions
         ? "Counts of sesqui bench nested times estimated weights: a model, nothing here was measured in cycles."
         : "Counts of sesqui bench nested times estimated weights, L0's instructions left out: a model, not measured in cycles.");
    legend(to);
    const double end = bars(costs, to);
    if (costs->measured[NESTED_cpuid])
        sensitivity(costs, to, end);
    fputs("</svg>\n", to);
}
