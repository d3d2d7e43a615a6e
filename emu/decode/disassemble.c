/* SPDX-License-Identifier: MIT */
/* Text for traces, by Capstone. */
#include <capstone/capstone.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emu/decode/decode.h"
#include "emu/decode/needs.h"

static cs_mode mode_of(unsigned bits)
{
    return bits == 64 ? CS_MODE_64 : bits == 32 ? CS_MODE_32 : CS_MODE_16;
}

uint8_t instruction_length(unsigned bits, const uint8_t *bytes, size_t length)
{
    csh handle;
    cs_insn *insn = NULL;
    uint8_t result = 0;
    if (cs_open(CS_ARCH_X86, mode_of(bits), &handle) != CS_ERR_OK)
        return 0;
    if (cs_disasm(handle, bytes, length, 0, 1, &insn) == 1) {
        result = (uint8_t)insn->size;
        cs_free(insn, 1);
    }
    cs_close(&handle);
    return result;
}

/* An instruction that is newer than Capstone may be nothing to it, or another one: XRSTORS and RDPID share an opcode with what it knows. */
static bool is_misnamed(const struct need *need, const cs_insn *insn)
{
    return need && !need_is_kind(need) && need->mode != MODE_LEGACY && (!insn || strncasecmp(insn->mnemonic, need->name, strlen(need->name)) != 0);
}

static void lower_case(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

void disassemble(unsigned bits, uint64_t rip, const uint8_t *bytes, size_t length, char *text, size_t text_size)
{
    const struct need *need = need_of(bits, bytes, length);
    csh handle;
    cs_insn *insn = NULL;
    snprintf(text, text_size, "(bad)");
    if (cs_open(CS_ARCH_X86, mode_of(bits), &handle) != CS_ERR_OK)
        return;
    if (cs_disasm(handle, bytes, length, rip, 1, &insn) != 1)
        insn = NULL;
    if (is_misnamed(need, insn)) {
        snprintf(text, text_size, "%s", need->name);
        lower_case(text);
    } else if (insn)
        snprintf(text, text_size, *insn->op_str ? "%s %s" : "%s", insn->mnemonic, insn->op_str);
    if (insn)
        cs_free(insn, 1);
    cs_close(&handle);
}
