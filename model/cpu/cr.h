/* SPDX-License-Identifier: MIT */
/* Loads of control registers on behalf of an instruction: #GP, or a VM exit while the PDPTEs are read. */
#ifndef SESQUI_MODEL_CR_H
#define SESQUI_MODEL_CR_H

#include "model/cpu/cpu.h"

/* Checks, then loads. STATUS_OK: done; else the fault or VM exit, nothing changed. cr3_write() is the third of them. */
enum status cr0_load(struct cpu *cpu, enum insn_id id, uint64_t value);
enum status cr4_load(struct cpu *cpu, uint64_t value);

struct attempt;
struct refusal;
/* The row of a load (`operand`: the register's number) that the PDPTEs would refuse, read as physical memory; NULL: none. The attempt
 * becomes what the row has looked at. */
const struct refusal *cr_pdptes_refuse(struct attempt *attempt);

/* moves.c: the instructions. */
enum status move_to_cr(struct cpu *cpu, const struct insn *insn);
enum status move_from_cr(struct cpu *cpu, const struct insn *insn);
enum status move_to_dr(struct cpu *cpu, const struct insn *insn);
enum status move_from_dr(struct cpu *cpu, const struct insn *insn);
enum status clear_task_switched(struct cpu *cpu, const struct insn *insn);
enum status load_machine_status(struct cpu *cpu, const struct insn *insn);
enum status store_machine_status(struct cpu *cpu, const struct insn *insn);

/* io.c: IN, OUT, INS, OUTS. The permission check comes before VM exits, the instruction after. */
enum status io_permitted(struct cpu *cpu, const struct insn *insn);
enum status io_execute(struct cpu *cpu, const struct insn *insn);

#endif
