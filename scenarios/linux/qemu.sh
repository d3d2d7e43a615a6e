#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An initramfs with Debian's QEMU, unpacked and not installed: build/linux/FLAVOUR/initrd.qemu. Its libraries are Debian's packages where this
# system does not have them, which has to be of the same release.   scenarios/linux/qemu.sh [FLAVOUR]
set -eu
cd "$(dirname "$0")/../.."
flavour=${1:-cloud-amd64}

. scenarios/linux/packages.sh
scenarios/linux/module.sh "$flavour" >/dev/null
missing=$(apt-get -s --no-install-recommends install qemu-system-x86 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
for package in qemu-system-x86 qemu-system-data seabios $missing; do
    fetch "$package"
done
root=$PWD/$out/root
libraries=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
needed=$(LD_LIBRARY_PATH=$libraries ldd "$root/usr/bin/qemu-system-x86_64") || fail "QEMU cannot be run here: $needed"
! grep -q 'not found' <<<"$needed" || fail "QEMU lacks libraries here: $(grep 'not found' <<<"$needed" | tr -s '\n\t ' ' ')"

ramfs=$out/ramfs.qemu
rm -rf "$ramfs"
mkdir -p "$ramfs"/{bin,dev,proc,sys,tmp,modules,share,lib64,lib/x86_64-linux-gnu}
cp "$out/ramfs.module/bin/busybox" "$root/usr/bin/qemu-system-x86_64" "$ramfs/bin/"
cp "$out/ramfs.module"/modules/{sesqui,irqbypass,kvm,kvm-intel}.ko "$ramfs/modules/"
awk '/=>/ { print $3 }' <<<"$needed" | while read -r file; do cp -L "$file" "$ramfs/lib/x86_64-linux-gnu/"; done
cp -L /lib64/ld-linux-x86-64.so.2 "$ramfs/lib64/"
for file in seabios/bios-256k.bin qemu/kvmvapic.bin qemu/linuxboot_dma.bin; do cp "$root/usr/share/$file" "$ramfs/share/"; done
cp "$out/vmlinuz" "$ramfs/kernel"
guest=$out/ramfs.guest
rm -rf "$guest"
mkdir -p "$guest"/{bin,dev,proc,sys}
cp "$ramfs/bin/busybox" "$guest/bin/"
cp "$here/qemu.guest" "$guest/init"
pack "$guest" "$ramfs/guest"
cp "$here/qemu.init" "$ramfs/init"
pack "$ramfs" "$out/initrd.qemu"
echo "$out/initrd.qemu"
