/* SPDX-License-Identifier: MIT */
/* The paging of a 32-bit program: 0 to 4 GB one to one. 32-bit paging with 4 MB pages, or, if the command line says
 * "pae", PAE paging with 2 MB pages: SDM Vol. 3, 4.3, 4.4. */
#include "scenarios/guests/lib/guest.h"

#include "scenarios/guests/lib/processor.h"

enum { LARGE_PAGE = 0x83, PRESENT = 1, DIRECTORIES = 4, INFORMATION_COMMAND_LINE = 1 << 2 };

void paging_start(const uint32_t *information);     /* called by boot32.S */

static _Alignas(PAGE) uint32_t directory[PAGE / 4];
static _Alignas(PAGE) uint64_t directories[DIRECTORIES][PAGE / 8];
static _Alignas(32) uint64_t directory_pointers[DIRECTORIES];

static bool wants_pae(const uint32_t *information)
{
    if (!(information[0] & INFORMATION_COMMAND_LINE))
        return false;
    for (const char *c = (const char *)information[4]; *c; c++)
        if (c[0] == 'p' && c[1] == 'a' && c[2] == 'e')
            return true;
    return false;
}

void paging_start(const uint32_t *information)
{
    if (wants_pae(information)) {
        for (unsigned i = 0; i < DIRECTORIES; i++) {
            directory_pointers[i] = (uintptr_t)directories[i] | PRESENT;
            for (unsigned j = 0; j < PAGE / 8; j++)
                directories[i][j] = (uint64_t)i << 30 | j << 21 | LARGE_PAGE;
        }
        write_cr4(read_cr4() | CR4_PAE);
        write_cr3((uintptr_t)directory_pointers);
    } else {
        for (unsigned i = 0; i < PAGE / 4; i++)
            directory[i] = i << 22 | LARGE_PAGE;
        write_cr4(read_cr4() | CR4_PSE);
        write_cr3((uintptr_t)directory);
    }
    write_cr0(read_cr0() | CR0_NE);             /* the bit that VMX operation needs, and only then what L0 need not see */
    write_cr0(read_cr0() | CR0_PG | CR0_WP);
}
