/* SPDX-License-Identifier: MIT */
/* What the files of the image know, for tests that include one of them: its own memory functions under other names, beside the C library's. */
#ifndef SESQUI_TESTS_HV_IMAGE_X86_H
#define SESQUI_TESTS_HV_IMAGE_X86_H

#include <string.h>

#define memcpy image_memcpy
#define memmove image_memmove
#define memset image_memset
#define memcmp image_memcmp
#include "hv/x86/x86.h"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#endif
