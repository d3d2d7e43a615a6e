#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's stock kernel and an initramfs of busybox, from Debian's packages: build/linux/vmlinuz and build/linux/initrd. Nothing of it is in
# this repository, and nothing is installed.   scenarios/linux/assemble.sh [FLAVOUR]   FLAVOUR: cloud-amd64 (unless told) or amd64
set -eu
cd "$(dirname "$0")/../.."
flavour=${1:-cloud-amd64}
out=build/linux/$flavour
here=$PWD/scenarios/linux

fail() { echo "assemble.sh: $*" >&2; exit 1; }

# fetch PACKAGE: unpacks it into $out/root
fetch()
{
    [ ! -e "$out/packages/$1.done" ] || return 0
    echo "  APT   $1"
    (cd "$out/packages" && apt-get download -q "$1" >/dev/null 2>"$1.log") || {
        sed 's/^/    /' "$out/packages/$1.log" >&2
        fail "the package $1 cannot be had from Debian's archive (apt-get update; is there a network?)"
    }
    dpkg-deb -x "$out/packages/$1"_*.deb "$out/root"
    touch "$out/packages/$1.done"
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "this is no Debian: apt-get and dpkg-deb are needed"
mkdir -p "$out/packages" "$out/root"
kernel=$(apt-cache depends "linux-image-$flavour" 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }')
[ -n "$kernel" ] || fail "apt knows no linux-image-$flavour (apt-get update?)"
fetch "$kernel"
fetch busybox-static
version=${kernel#linux-image-}
cp "$out/root/boot/vmlinuz-$version" "$out/vmlinuz"

# The initramfs: busybox, the modules of KVM and virtio (those that are not in the kernel itself), a guest of KVM, a reader of disks, and init.
ramfs=$out/ramfs
rm -rf "$ramfs"
mkdir -p "$ramfs/bin" "$ramfs/dev" "$ramfs/proc" "$ramfs/sys" "$ramfs/mnt" "$ramfs/modules"
cp "$out/root/bin/busybox" "$ramfs/bin/"
for module in irqbypass kvm kvm-intel virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk virtio_console virtio-rng \
    net_failover failover virtio_net crc16 mbcache jbd2 crc32c_generic ext4; do
    file=$(find "$out/root/lib/modules/$version" -name "$module.ko" | head -1)
    [ -z "$file" ] || cp "$file" "$ramfs/modules/"
done
gcc -O1 -Wall -Wextra -static -o "$ramfs/bin/first-guest" "$here/first_guest.c"
gcc -O1 -Wall -Wextra -static -o "$ramfs/bin/reader" "$here/reader.c"
cp "$here/init" "$ramfs/init"
chmod 755 "$ramfs/init"
find "$ramfs" -exec touch -h -d @0 {} +
(cd "$ramfs" && find . | LC_ALL=C sort | "../root/bin/busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$out/initrd"
echo "$out/vmlinuz and $out/initrd"
