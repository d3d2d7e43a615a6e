/* SPDX-License-Identifier: MIT */
/* The library leaks a few hundred bytes when translated code is modified; its own doing, and bounded by the code pages. */
#if defined(__SANITIZE_ADDRESS__)
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:tb_invalidate_phys_page_fast\nleak:uc_open\n";
}
#else
typedef int sanitizer_is_off;
#endif
