/* SPDX-License-Identifier: MIT */
/* Strings, and the memory functions that the compiler may call. */
#include "hv/x86/x86.h"

void *memcpy(void *to, const void *from, size_t length)
{
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
    return result;
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
