#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's stock kernel and an initramfs of busybox, from Debian's packages: build/linux/vmlinuz and build/linux/initrd. Nothing of it is in
# this repository, and nothing is installed.   scenarios/linux/assemble.sh [FLAVOUR]   FLAVOUR: cloud-amd64 (unless told) or amd64
set -eu
cd "$(dirname "$0")/../.."
flavour=${1:-cloud-amd64}

. scenarios/linux/packages.sh
fetch "$kernel"
fetch busybox-static
cp "$out/root/boot/vmlinuz-$version" "$out/vmlinuz"

# The initramfs: busybox, the modules of KVM and virtio (those that are not in the kernel itself), a guest of KVM, a reader of disks, and init.
ramfs=$out/ramfs
rm -rf "$ramfs"
mkdir -p "$ramfs/bin" "$ramfs/dev" "$ramfs/proc" "$ramfs/sys" "$ramfs/mnt" "$ramfs/modules"
cp "$out/root/bin/busybox" "$ramfs/bin/"
for module in irqbypass kvm kvm-intel virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk virtio_console virtio-rng \
    net_failover failover virtio_net qemu_fw_cfg crc16 mbcache jbd2 crc32c_generic ext4; do
    file=$(find "$out/root/lib/modules/$version" -name "$module.ko" | head -1)
    [ -z "$file" ] || cp "$file" "$ramfs/modules/"
done
gcc -O1 -Wall -Wextra -static -o "$ramfs/bin/first-guest" "$here/first_guest.c"
gcc -O1 -Wall -Wextra -static -o "$ramfs/bin/reader" "$here/reader.c"
cp "$here/init" "$ramfs/init"
chmod 755 "$ramfs/init"
pack "$ramfs" "$out/initrd"
echo "$out/vmlinuz and $out/initrd"
