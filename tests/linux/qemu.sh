#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's QEMU with KVM in Debian's kernel: SeaBIOS and a Linux as its guests say the same on the bare machine, with L0 beneath it by the module, and
# with the native core slid beneath while it runs. Prints TAP.
set -u
. tests/debian.sh
assembled "QEMU in Debian's kernel" scenarios/linux/qemu.sh

# boots NAME COMMAND-LINE OPTION...: what the guests say goes to NAME.guests
boots()
{
    local name=$1 line=$2
    shift 2
    timeout 900 "$sesqui" boot "$linux/vmlinuz" --initrd "$linux/initrd.qemu" --memory 1G --append "console=ttyS0 quiet $line" --explain=none --limit 60G \
        --strict "$@" >"$scratch/out" 2>"$scratch/err"
    [ $? = 0 ] && grep -q '^qemu: bye' "$scratch/out"
    result $? "$name: QEMU has run its guests" <(cat "$scratch/err"; tail -20 "$scratch/out")
    tr -d '\r' <"$scratch/out" | grep -aE '^(seabios|linux|first|second): ' >"$scratch/$name.guests"
}
same()      # NAME
{
    diff "$scratch/bare.guests" "$scratch/$1.guests" >"$scratch/difference"
    result $? "$1: the guests say the same" "$scratch/difference"
}

boots bare ""
for line in "seabios: No bootable device\." "linux: a Linux under QEMU" "linux: processors 1, vmx 1"; do
    grep -qx "$line" "$scratch/bare.guests"
    result $? "bare: $line" "$scratch/bare.guests"
done
boots flip hv=flip
same flip
grep -q '^qemu: L0: sesqui hv=flip' "$scratch/out" && [ "$(sed -n 's/\r//; s/^exits: VMRESUME *\([0-9]*\) 0$/\1/p' "$scratch/out")" -gt 1000 ]
result $? "flip: the image is beneath it" <(grep -a '^exits: \|^qemu: ' "$scratch/out")
# What is left belongs to the beginning of the two VMCSs.
awk '/^exits: VMRESUME/ { entries = $3 } /^exits: VMREAD|^exits: VMWRITE/ { accesses += $3 } END { exit !(accesses && accesses * 20 < entries) }' "$scratch/out"
result $? "flip: KVM's VMREADs and VMWRITEs exit for less than a twentieth of its entries" <(grep -a '^exits: ' "$scratch/out")
boots two "hv=flip two" --cpus 2 --memory 1500M
for guest in first second; do
    # What they compute is what the one guest does; they have two processors, and a little less memory left.
    diff <(sed -n 's/^linux: //p' "$scratch/bare.guests" | grep -v '^memory ' | sed 's/^processors 1, vmx 1$/processors 2, vmx 2/') \
        <(sed -n "s/^$guest: //p" "$scratch/two.guests" | grep -v '^memory ') >"$scratch/difference"
    result $? "two processors, two guests at once with two each: the $guest" "$scratch/difference"
done
boots copy "" --hv=copy --hv-at instructions:2G
same copy
finish
