/* SPDX-License-Identifier: MIT */
/* wicket's own paging. own32.c for the 32-bit program, own64.c for the other. */
#ifndef SESQUI_WICKET_OWN_H
#define SESQUI_WICKET_OWN_H

const char *own_paging(void);
/* Outside VMX operation, where CR4.VMXE is still set. */
void provoke_own_paging(void);

#endif
