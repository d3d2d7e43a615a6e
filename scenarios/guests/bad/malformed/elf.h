/* SPDX-License-Identifier: MIT */
/*
 * The bytes of an ELF32 multiboot file with one program header. A file of this folder defines what is wrong with it and
 * includes this; the rest is right (System V ABI, Intel386 supplement).
 */
#ifndef ENTRY
#define ENTRY 0x100000
#endif
#ifndef PROGRAM_HEADERS
#define PROGRAM_HEADERS 52
#endif
#ifndef PROGRAM_HEADER_SIZE
#define PROGRAM_HEADER_SIZE 32
#endif
#ifndef PROGRAM_HEADER_COUNT
#define PROGRAM_HEADER_COUNT 1
#endif
#ifndef OFFSET
#define OFFSET (code - file)
#endif
#ifndef ADDRESS
#define ADDRESS 0x100000
#endif
#ifndef FILE_SIZE
#define FILE_SIZE (end - code)
#endif
#ifndef MEMORY_SIZE
#define MEMORY_SIZE (end - code)
#endif
#ifndef MAGIC
#define MAGIC 0x1badb002
#endif
#ifndef FLAGS
#define FLAGS 0
#endif
#ifndef CHECKSUM
#define CHECKSUM -(MAGIC + FLAGS)
#endif
    .text
file:
    .byte 0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
    .word 2, 3                              /* executable, 386 */
    .long 1, ENTRY, PROGRAM_HEADERS, 0, 0
    .word 52, PROGRAM_HEADER_SIZE, PROGRAM_HEADER_COUNT, 0, 0, 0
    .long 1, OFFSET, ADDRESS, ADDRESS, FILE_SIZE, MEMORY_SIZE, 7, 4096
    .long MAGIC, FLAGS, CHECKSUM
code:
    xorl %eax, %eax
    outl %eax, $0xf4
1:  hlt
    jmp 1b
end:
