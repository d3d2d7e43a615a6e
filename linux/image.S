/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The file build/sesqui.elf, as it is. */
    .section .rodata
    .balign 16
    .globl sesqui_image, sesqui_image_end
sesqui_image:
    .incbin IMAGE
sesqui_image_end:
