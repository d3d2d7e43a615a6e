/* SPDX-License-Identifier: MIT */
/* The paging of the 64-bit program. */
#include "scenarios/guests/wicket/own.h"

#include "arch/x86.h"
#include "scenarios/guests/lib/processor.h"

const char *own_paging(void)
{
    return read_cr4() & CR4_LA57 ? "5-level" : "4-level";
}

void provoke_own_paging(void)
{
}
