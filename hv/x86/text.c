/* SPDX-License-Identifier: MIT */
/* Strings, and the memory functions that the compiler may call. */
#include "hv/x86/x86.h"

void *memcpy(void *to, const void *from, size_t length)
{
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
    return result;
}

/* Nothing here calls it by name; a compiler may, for the assignment of a structure that might overlap (clang does). In assembly,
 * for a loop in C may be compiled into a call of memmove(). */
void *memmove(void *to, const void *from, size_t length)
{
    uint8_t *last_to = (uint8_t *)to + length - 1;
    const uint8_t *last_from = (const uint8_t *)from + length - 1;

    if ((uintptr_t)to - (uintptr_t)from >= length)      /* it does not begin within `from`: upwards */
        return memcpy(to, from, length);
    __asm__ volatile("std\n rep movsb\n cld" : "+D"(last_to), "+S"(last_from), "+c"(length) : : "memory", "cc");
    return to;
}

void *memset(void *to, int byte, size_t length)
{
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(byte) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t length)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < length; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

size_t text_length(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

bool text_is(const char *text, size_t length, const char *word)
{
    return length == text_length(word) && !memcmp(text, word, length);
}

/* What does not fit is cut off. */
void text_copy(char to[TEXT_MAX], const char *from)
{
    size_t length = 0;

    for (; length < TEXT_MAX - 1 && from[length]; length++)
        to[length] = from[length];
    to[length] = '\0';
}
