#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The module of linux/, built against Debian's headers (unpacked, not installed), and an initramfs that loads it: build/linux/FLAVOUR/module/sesqui.ko
# and build/linux/FLAVOUR/initrd.module.   scenarios/linux/module.sh [FLAVOUR]
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
cp -r arch linux "$module/"
cmp -s build/sesqui.elf "$module/build/sesqui.elf" || cp build/sesqui.elf "$module/build/"
env -u MAKEFLAGS -u MAKELEVEL make -s -C "$module/linux" KERNEL="$root/usr/src/linux-headers-$version" >"$module/log" 2>&1 || {
    sed 's/^/    /' "$module/log" >&2
    fail "the module could not be built ($module/log)"
}
! grep -i 'warning:' "$module/log" >&2 || fail "the compiler warns"

ramfs=$out/ramfs.module
rm -rf "$ramfs"
cp -a "$out/ramfs" "$ramfs"
cp "$module/linux/sesqui.ko" "$ramfs/modules/"
cp "$here/module.init" "$ramfs/init"
pack "$ramfs" "$out/initrd.module"
echo "$module/linux/sesqui.ko and $out/initrd.module"
