#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A Debian 12 root file system with systemd, made by debootstrap from Debian's archive, on a virtio disk: boots to its login prompt, a script logs in,
# runs a command and switches off. Slow: some minutes to make it, then some minutes to boot.   scenarios/linux/debian.sh [OPTION OF sesqui boot]...
set -eu
cd "$(dirname "$0")/../.."
out=build/linux/debian
sesqui=${SESQUI:-build/release/sesqui}
fail() { echo "debian.sh: $*" >&2; exit 1; }

if [ ! -e "$out/disk" ]; then
    [ "$(id -u)" = 0 ] || fail "debootstrap has to be run as root"
    command -v debootstrap >/dev/null || fail "debootstrap is missing (apt-get install debootstrap)"
    command -v mke2fs >/dev/null || fail "mke2fs is missing (apt-get install e2fsprogs)"
    mkdir -p "$out"
    rm -rf --one-file-system "$out/root"
    echo "  DEBOOTSTRAP   $out/root"
    debootstrap --variant=minbase --include=systemd-sysv,udev bookworm "$out/root" >"$out/log" 2>&1 || fail "debootstrap failed: $out/log"
    echo "root:sesqui" | chroot "$out/root" chpasswd
    echo sesqui >"$out/root/etc/hostname"
    echo "/dev/vda / ext4 defaults 0 1" >"$out/root/etc/fstab"
    ln -sf /lib/systemd/system/serial-getty@.service "$out/root/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service"
    rm -rf "$out/root/var/cache/apt" "$out/root/var/lib/apt/lists"
    rm -f "$out/disk.new"
    mke2fs -q -t ext4 -L debian -d "$out/root" "$out/disk.new" 1G >>"$out/log"
    mv "$out/disk.new" "$out/disk"
fi
scenarios/linux/assemble.sh >/dev/null
cat >"$out/script" <<'SCRIPT'
expect "login: " within 600
send "root\r"
expect "Password: " within 120
send "sesqui\r"
expect "# " within 120
send "systemctl is-system-running; echo $((6 * 7)) from Debian $(cat /etc/debian_version)\r"
expect "42 from Debian 12" within 120
send "poweroff\r"
SCRIPT
exec "$sesqui" boot build/linux/cloud-amd64/vmlinuz --initrd build/linux/cloud-amd64/initrd --append "console=ttyS0 root=/dev/vda" --memory 1G \
    --explain=none --disk "$out/disk" --input "$out/script" "$@"
