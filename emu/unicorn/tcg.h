/* SPDX-License-Identifier: MIT */
/*
 * What this folder knows of the library's code generator (QEMU's TCG): the functions with which it adds operations of its
 * own to a block that is being translated, and their numbers. A value is named by the library's record of it (a temporary).
 * layout.c proves each by running blocks that contain them.
 */
#ifndef SESQUI_EMU_UNICORN_TCG_H
#define SESQUI_EMU_UNICORN_TCG_H

#include "emu/unicorn/library.h"

typedef struct library_tcg library_tcg;             /* TCGContext */
typedef struct library_temp library_temp;           /* TCGTemp */
typedef struct library_value *library_value;        /* TCGv: a temporary's distance from its context */
typedef struct library_label library_label;         /* TCGLabel */
typedef struct library_op library_op;               /* TCGOp */

enum { TCG_BR = 3, TCG_SET_LABEL = 1, TCG_MOVI_I64 = 64, TCG_LD_I64 = 73, TCG_ST_I64 = 77, TCG_ADD_I64 = 78 };  /* TCGOpcode */
enum { TCG_I64 = 1 };                               /* TCGType */
enum { TCG_ALWAYS = 1, TCG_GEU = 5 };               /* TCGCond */
enum { OP_ARGUMENTS = 24, LABEL_PRESENT = 1 };      /* args[] of an operation; a bit in the first word of a label */

library_temp *tcg_temp_new_internal_x86_64(library_tcg *tcg, int type, bool local);
void tcg_temp_free_internal_x86_64(library_tcg *tcg, library_temp *temp);
library_op *tcg_emit_op_x86_64(library_tcg *tcg, int opcode);
void tcg_gen_op1_x86_64(library_tcg *tcg, int opcode, uintptr_t a);
void tcg_gen_op3_x86_64(library_tcg *tcg, int opcode, uintptr_t a, uintptr_t b, uintptr_t c);
void tcg_gen_brcond_i64_x86_64(library_tcg *tcg, int condition, library_value a, library_value b, library_label *label);
library_label *gen_new_label_x86_64(library_tcg *tcg);
void tcg_gen_callN_x86_64(library_tcg *tcg, void *function, library_temp *result, int count, library_temp **arguments);
/* Makes `hook`'s function known to tcg_gen_callN, and calls it in the block that is being translated. */
void uc_add_inline_hook_x86_64(uc_engine *uc, void *hook, void **arguments, int count);

library_temp *__real_tcg_global_mem_new_internal_x86_64(library_tcg *tcg, int type, library_value base, intptr_t offset, const char *name);
library_temp *__wrap_tcg_global_mem_new_internal_x86_64(library_tcg *tcg, int type, library_value base, intptr_t offset, const char *name);
void __real_tcg_gen_brcondi_i32_x86_64(library_tcg *tcg, int condition, library_value a, int32_t b, library_label *label);
void __wrap_tcg_gen_brcondi_i32_x86_64(library_tcg *tcg, int condition, library_value a, int32_t b, library_label *label);

#endif
