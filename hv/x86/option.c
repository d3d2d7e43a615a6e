/* SPDX-License-Identifier: MIT */
/* L0's command line: words, as docs/metal.md lists them. */
#include "hv/x86/x86.h"

struct options options = { .strategy = HV_FLIP };

const char *strategy_name(enum hv_strategy strategy)
{
    return strategy == HV_TRAP ? "trap" : strategy == HV_COPY ? "copy" : "flip";
}

static bool read_word(const char *word, size_t length)
{
    if (text_is(word, length, "hv=trap"))
        options.strategy = HV_TRAP;
    else if (text_is(word, length, "hv=copy"))
        options.strategy = HV_COPY;
    else if (text_is(word, length, "hv=flip"))
        options.strategy = HV_FLIP;
    else if (text_is(word, length, "late"))
        options.late = true;
    else if (text_is(word, length, "trace") || text_is(word, length, "trace=exits"))
        options.trace = true;
    else if (text_is(word, length, "trace=fields"))
        options.trace = options.trace_fields = true;
    else if (text_is(word, length, "log=com1"))
        log_open(0x3f8);
    else if (text_is(word, length, "log=com2"))
        log_open(0x2f8);
    else if (text_is(word, length, "log=e9"))
        log_open(0xe9);
    else if (text_is(word, length, "log=memory"))
        log_open(0);
    else
        return false;
    return true;
}

/* Some boot loaders put the image's name first, some do not: a first word that is no option is the name. */
const char *options_read(const char *text)
{
    bool first = true;

    for (;;) {
        size_t length = 0;

        while (*text == ' ')
            text++;
        if (!*text)
            return NULL;
        while (text[length] && text[length] != ' ')
            length++;
        if (!read_word(text, length) && !first)
            return text;
        first = false;
        text += length;
    }
}

void options_choose_strategy(void)
{
    const char *why;

    while ((why = hv_refusal(options.strategy))) {
        const enum hv_strategy next = options.strategy == HV_FLIP ? HV_COPY : HV_TRAP;
        print("sesqui: strategy %s: %s; falls back to %s\n", strategy_name(options.strategy), why, strategy_name(next));
        options.strategy = next;
    }
}
