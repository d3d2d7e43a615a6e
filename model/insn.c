/* SPDX-License-Identifier: MIT */
/* Names of the sensitive instructions. */
#include "model/insn.h"

const char *insn_name(enum insn_id id)
{
    static const char *const names[INSN_COUNT] = {
        [INSN_none] = "none",
#define INSTRUCTION(name, exit_reason) [INSN_##name] = #name,
#include "arch/instructions.def"
    };

    return (unsigned)id < INSN_COUNT ? names[id] : "none";
}
