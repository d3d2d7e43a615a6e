/* SPDX-License-Identifier: MIT */
/* For programs of guests: a label that their L1 knows, where they must exit. */
    .macro exit_here name
    .globl \name
\name:
    .endm
