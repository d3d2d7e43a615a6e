/* SPDX-License-Identifier: MIT */
/* What `sesqui bench` measures in seconds and bytes. */
#ifndef SESQUI_CLI_BENCH_H
#define SESQUI_CLI_BENCH_H

/* Measures with the images in this folder, and prints. Returns the process exit status. */
int bench_speed(const char *guests);

#endif
