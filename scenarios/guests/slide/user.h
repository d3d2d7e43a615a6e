/* SPDX-License-Identifier: MIT */
/* A program at CPL 3 executes one instruction; what comes back is the vector of the exception that it got. */
#ifndef SESQUI_SLIDE_USER_H
#define SESQUI_SLIDE_USER_H

#include <stdint.h>

/* GDT, TSS and paging that let CPL 3 run. */
void user_prepare(void);
uint64_t user_executes_vmxoff(void);
uint64_t user_executes_vmcall(uint64_t rax, uint64_t rbx);

#endif
