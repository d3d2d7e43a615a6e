/* SPDX-License-Identifier: MIT */
/* The second processor. A program with one has a second_main(), where that one begins; when it returns it halts. */
#ifndef SESQUI_GUESTS_SECOND_H
#define SESQUI_GUESTS_SECOND_H

void second_wake(void);
void second_main(void);

#endif
