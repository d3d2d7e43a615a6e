/* SPDX-License-Identifier: MIT */
/* kexec KERNEL INITRD COMMAND-LINE: another kernel takes over, behind the reboot notifiers: kexec_file_load(2), reboot(2). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    enum { RESTART_KEXEC = 0x45584543 };

    if (argc != 4)
        return 2;
    const int kernel = open(argv[1], O_RDONLY), initrd = open(argv[2], O_RDONLY);
    if (kernel < 0 || initrd < 0 || syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0L) != 0) {
        perror("kexec");
        return 1;
    }
    reboot(RESTART_KEXEC);
    perror("reboot");
    return 1;
}
