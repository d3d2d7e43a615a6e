#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The module of linux/, built against Debian's headers (unpacked, not installed), and an initramfs that loads it: build/linux/FLAVOUR/module/sesqui.ko
# and build/linux/FLAVOUR/initrd.module. Its first process is module.init; with rdinit=/faults.init, /early.init
# or /phase.init (which is init) on the kernel's command line those.   scenarios/linux/module.sh [FLAVOUR]
set -eu
cd "$(dirname "$0")/../.."
flavour=${1:-cloud-amd64}

. scenarios/linux/packages.sh
scenarios/linux/assemble.sh "$flavour" >/dev/null
fetch "linux-headers-$version"
common=""
for package in $(apt-cache depends "linux-headers-$version" | awk '/Depends: linux-(headers|kbuild)-/ { print $2 }'); do
    fetch "$package"
    [ "${package%-common}" = "$package" ] || common=$package
done
# What an installed package names by its place is here in this one.
root=$PWD/$out/root
echo "include $root/usr/src/$common/Makefile" >"$root/usr/src/linux-headers-$version/Makefile"

module=$out/module
mkdir -p "$module/build"
cp -r arch linux "$here/obstacle" "$module/"
cmp -s build/sesqui.elf "$module/build/sesqui.elf" || cp build/sesqui.elf "$module/build/"
headers=$root/usr/src/linux-headers-$version
build() { env -u MAKEFLAGS -u MAKELEVEL make -s "$@"; }
{ build -C "$module/linux" KERNEL="$headers" && build -C "$headers" M="$PWD/$module/obstacle" modules; } >"$module/log" 2>&1 || {
    sed 's/^/    /' "$module/log" >&2
    fail "the module could not be built ($module/log)"
}
! grep -i 'warning:' "$module/log" >&2 || fail "the compiler warns"

ramfs=$out/ramfs.module
rm -rf "$ramfs"
cp -a "$out/ramfs" "$ramfs"
cp "$module/linux/sesqui.ko" "$module/obstacle/obstacle.ko" "$ramfs/modules/"

# For kexec: a kernel, and an initramfs within this one.
gcc -O1 -Wall -Wextra -static -o "$ramfs/bin/kexec" "$here/kexec.c"
second=$out/ramfs.second
rm -rf "$second"
mkdir -p "$second/bin" "$second/dev" "$second/proc" "$second/sys" "$second/modules"
cp "$ramfs/bin/busybox" "$ramfs/bin/first-guest" "$second/bin/"
cp "$ramfs"/modules/{sesqui,irqbypass,kvm,kvm-intel}.ko "$second/modules/"
cp "$here/second.init" "$second/init"
pack "$second" "$ramfs/second"
cp "$out/vmlinuz" "$ramfs/kernel"

# What initramfs-tools and its hook put there.
place=lib/modules/$version
mkdir -p "$ramfs/scripts/init-top" "$ramfs/$place/updates"
cp linux/initramfs/init-top "$ramfs/scripts/init-top/sesqui"
cp "$module/linux/sesqui.ko" "$ramfs/$place/updates/"
echo "updates/sesqui.ko:" >"$ramfs/$place/modules.dep"

cp "$here/module.init" "$ramfs/init"
cp "$here/faults.init" "$here/early.init" "$ramfs/"
cp "$here/init" "$ramfs/phase.init"
chmod 755 "$ramfs"/*init "$second/init"
pack "$ramfs" "$out/initrd.module"
echo "$module/linux/sesqui.ko and $out/initrd.module"
