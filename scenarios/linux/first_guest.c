/* SPDX-License-Identifier: MIT */
/* The first guest of KVM: 16-bit code that writes characters to a port and halts. Linux' Documentation/virt/kvm/api.rst. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUEST_SIZE = 0x4000, GUEST_AT = 0x1000, PORT = 0x217 };

/* For each character of the text behind the code: OUT DX, AL; then HLT. */
static const unsigned char code[] = {
    0xba, 0x17, 0x02,               /* mov dx, 0x217 */
    0xbe, 0x10, 0x10,               /* mov si, 0x1010 */
    0xac,                           /* 1: lodsb */
    0x84, 0xc0,                     /* test al, al */
    0x74, 0x03,                     /* jz 2f */
    0xee,                           /* out dx, al */
    0xeb, 0xf8,                     /* jmp 1b */
    0xf4,                           /* 2: hlt */
    0x90, 'a', ' ', 'g', 'u', 'e', 's', 't', ' ', 'o', 'f', ' ', 'K', 'V', 'M', ' ', 's', 'p', 'e', 'a', 'k', 's', '\n', 0,
};

static int check(int value, const char *what)
{
    if (value < 0) {
        perror(what);
        exit(1);
    }
    return value;
}

/* So often, by SI: CPUID, which KVM itself handles, and OUT, which comes here. Then HLT. */
static const unsigned char code_that_exits[] = {
    0x66, 0x31, 0xc0,               /* 1: xor eax, eax */
    0x0f, 0xa2,                     /* cpuid */
    0xba, 0x17, 0x02,               /* mov dx, 0x217 */
    0xee,                           /* out dx, al */
    0x4e,                           /* dec si */
    0x75, 0xf4,                     /* jnz 1b */
    0xf4,                           /* hlt */
};

/* "hold": it keeps its virtual machine for another two seconds. "exits N", 1 to 65535: its guest exits, and says nothing. */
int main(int argc, char **argv)
{
    const bool quiet = argc > 2 && strcmp(argv[1], "exits") == 0, hold = argc > 1 && !quiet;
    int kvm = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
    int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    unsigned char *memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region region = { .guest_phys_addr = GUEST_AT, .memory_size = GUEST_SIZE,
                                                  .userspace_addr = (unsigned long)memory };
    struct kvm_sregs sregs;
    struct kvm_regs regs = { .rip = GUEST_AT, .rflags = 2, .rsi = quiet ? strtoul(argv[2], NULL, 0) : 0 };

    memcpy(memory, quiet ? code_that_exits : code, quiet ? sizeof code_that_exits : sizeof code);
    check(ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    int vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    size_t size = (size_t)check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    check(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    check(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    check(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
    for (;;) {
        check(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
        if (run->exit_reason == KVM_EXIT_HLT) {
            sleep(hold ? 2 : 0);
            return 0;
        }
        if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT) {
            printf("first-guest: exit reason %u\n", run->exit_reason);
            return 1;
        }
        if (!quiet)
            fwrite((char *)run + run->io.data_offset, run->io.size, 1, stdout);
    }
}
