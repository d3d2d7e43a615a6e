/* SPDX-License-Identifier: MIT */
/* Text for traces, by Capstone. */
#include <capstone/capstone.h>
#include <stdio.h>
#include <string.h>

#include "emu/decode.h"

void disassemble(unsigned bits, uint64_t rip, const uint8_t *bytes, size_t length, char *text, size_t text_size)
{
    cs_mode mode = bits == 64 ? CS_MODE_64 : bits == 32 ? CS_MODE_32 : CS_MODE_16;
    csh handle;
    cs_insn *insn = NULL;
    snprintf(text, text_size, "(bad)");
    if (cs_open(CS_ARCH_X86, mode, &handle) != CS_ERR_OK)
        return;
    if (cs_disasm(handle, bytes, length, rip, 1, &insn) == 1) {
        snprintf(text, text_size, *insn->op_str ? "%s %s" : "%s", insn->mnemonic, insn->op_str);
        cs_free(insn, 1);
    }
    cs_close(&handle);
}
