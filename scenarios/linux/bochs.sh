#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's kernel on Bochs as Debian packages it: from a CD with ISOLINUX, by Bochs's BIOS. What the kernel says is standard output; Bochs ends when the
# kernel switches off. Packages are unpacked, not installed, but for Bochs.
#   scenarios/linux/bochs.sh assemble           makes build/linux/cloud-amd64/cd
#   scenarios/linux/bochs.sh COMMAND-LINE...    boots from it, with 512 MB
set -eu
cd "$(dirname "$0")/../.."
# shellcheck disable=SC2034
flavour=cloud-amd64
. scenarios/linux/packages.sh
cd=$out/cd bochs=/usr/share/bochs

if [ "${1:-}" = assemble ]; then
    if ! command -v bochs-bin >/dev/null || [ ! -e $bochs/BIOS-bochs-latest ] || [ ! -e /usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_sdl2_gui.so ]; then
        fail "Bochs is not installed: tests/deps.sh metal"
    fi
    for package in isolinux syslinux-common genisoimage; do fetch "$package"; done
    ! ldd "$out/root/usr/bin/genisoimage" | grep -q 'not found' || fail "genisoimage lacks libraries here"
    mkdir -p "$cd"
    cp "$out/root/usr/lib/ISOLINUX/isolinux.bin" "$out/root/usr/lib/syslinux/modules/bios/ldlinux.c32" "$out/vmlinuz" "$out/initrd" "$cd"
    exit
fi

work=$(mktemp -d)
pid=""
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
printf 'DEFAULT kernel\nPROMPT 0\nLABEL kernel\n KERNEL vmlinuz\n INITRD initrd\n APPEND %s\n' "$*" >"$cd/isolinux.cfg"
"$out/root/usr/bin/genisoimage" -quiet -o "$work/cd" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$cd"
cat >"$work/bochsrc" <<END
display_library: sdl2
romimage: file=$bochs/BIOS-bochs-latest
vgaromimage: file=$bochs/VGABIOS-lgpl-latest
sound: driver=dummy, waveoutdrv=dummy
megs: 512
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$work/cd, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
log: $work/log
panic: action=report
error: action=report
info: action=report
clock: sync=none, time0=1
END
echo c >"$work/debugger"            # the packaged Bochs is a debugger: "continue"
: >"$work/serial"
SDL_VIDEODRIVER=dummy bochs-bin -q -f "$work/bochsrc" -rc "$work/debugger" </dev/null >"$work/out" 2>&1 &
pid=$!
wait $pid || true                   # its status says nothing: it is 1 when the guest switches off
pid=""
cat "$work/serial"
