/* SPDX-License-Identifier: MIT */
/* The side effects of delivering an event, all of them: model/cpu/deliver.def. */
#ifndef SESQUI_MODEL_DELIVER_H
#define SESQUI_MODEL_DELIVER_H

#include "model/cpu/cpu.h"

struct delivery_effect {
    const char *name, *events;
    bool raised, injected;
    const char *section, *text;
};

enum delivery_row {
#define EFFECT(name, events, on_raised, on_injected, section, text) DELIVERY_##name,
#include "model/cpu/deliver.def"
    DELIVERY_ROWS
};
extern const struct delivery_effect delivery_table[DELIVERY_ROWS];

/* Delivery of cpu->event begins: everything but what gate.c does (the frame, RIP, RSP, CS, SS, RFLAGS), once. */
void delivery_begin(struct cpu *cpu);
/* A page fault was found that does not exit: that much happens even if it is not the one that is delivered. */
void delivery_page_fault(struct cpu *cpu, const struct event *event);
/* RFLAGS as the frame of cpu->event, or the TSS, has them: RF by 18.3.1.1. An instruction has cleared it when it began. */
uint64_t delivery_flags(const struct cpu *cpu);
/* Would the image of RFLAGS that delivery saves have RF = 1 because of the event (18.3.1.1)?  For VM exits that it causes itself. */
bool delivery_pushes_resume_flag(const struct event *event);

#endif
