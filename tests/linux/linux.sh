#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's stock kernel on the machine: to user space, KVM, and off; with one, two and four processors, twice alike, and over the core.
set -u
. tests/debian.sh
assembled "Debian's kernel" scenarios/linux/assemble.sh

# boots NAME OPTION...: runs it; what it says goes to NAME.out and NAME.err
boots()
{
    local name=$1
    shift
    timeout 900 "$sesqui" boot "$linux/vmlinuz" --initrd "$linux/initrd" --append "console=ttyS0" --limit 16000000000 --explain=none --hash \
        "$@" >"$scratch/$name.out" 2>"$scratch/$name.err"
    local status=$?
    cat "$scratch/$name.err" >>"$scratch/$name.out"
    [ $status = 0 ]
    result $? "$name: the kernel boots and switches off" <(tail -20 "$scratch/$name.out")
}

# says NAME LINE: a line of init's or of a guest's
says()
{
    grep -qxE "($2)"$'\r?' "$scratch/$1.out"
    result $? "$1: $2" <(grep -E '^linux:' "$scratch/$1.out")
}

# A disk: an ext4 file system with a file.
disk=()
if command -v mke2fs >/dev/null; then
    mkdir "$scratch/files"
    echo "a file on a virtio disk" >"$scratch/files/known"
    mke2fs -q -t ext4 -d "$scratch/files" "$scratch/disk" 16M >/dev/null
    disk=(--disk "$scratch/disk")
    before=$(sha256sum <"$scratch/disk")
else
    result 0 "a disk # SKIP mke2fs is missing (apt-get install e2fsprogs)"
fi

# has_disk NAME: what init says of it
has_disk()
{
    [ ${#disk[@]} != 0 ] || return 0
    says "$1" "linux: disk says: a file on a virtio disk"
    says "$1" "linux: disk keeps: written"
    says "$1" "linux: disk done"
}

for processors in 1 2 4; do
    name="$processors processor(s)"
    if [ $processors = 1 ]; then
        boots "$name"
    else
        boots "$name" --cpus $processors "${disk[@]}" --net "$scratch/pcap.$processors" --virtio-console "$scratch/hvc.$processors" --rng
        has_disk "$name"
    fi
    says "$name" "linux: processors $processors"
    says "$name" "linux: clocksource tsc"
    says "$name" "linux: idle driver acpi_idle"
    says "$name" "linux: firmware files etc/e820"
    says "$name" "linux: idle states POLL C1 C2 "
    says "$name" "linux: frequency driver intel_pstate"
    says "$name" "linux: date 2024-01-01 00:00"
    says "$name" "linux: vmx flags .*ept vpid unrestricted_guest.*"
    says "$name" "a guest of KVM speaks"
    sed -n 's/\r$//; s/^linux: warned: //p' "$scratch/$name.out" >"$scratch/warned"
    grep -v '^#' scenarios/linux/dmesg.allowed >"$scratch/allowed"
    ! grep -vxEf "$scratch/allowed" "$scratch/warned" >"$scratch/unknown"
    result $? "$name: dmesg warns of nothing but what scenarios/linux/dmesg.allowed says" "$scratch/unknown"
done
boots "again" --cpus 2 "${disk[@]}" --net "$scratch/pcap.again" --virtio-console "$scratch/hvc.again" --rng
cmp -s "$scratch/again.out" "$scratch/2 processor(s).out" && cmp -s "$scratch/pcap.2" "$scratch/pcap.again" && cmp -s "$scratch/hvc.2" "$scratch/hvc.again"
result $? "two runs are byte-identical, and have the same hash"
if [ ${#disk[@]} != 0 ]; then
    says "again" "linux: random [0-9a-f]{16}"
    says "again" "linux: net 02:73:65:73:71:01"
    grep -q "the virtio console speaks" "$scratch/hvc.2"
    result $? "the virtio console speaks"
    [ "$(od -A n -t x1 -j 52 -N 2 "$scratch/pcap.2")" = " 08 06" ]
    result $? "the capture begins with a request for an address (ARP)"
fi
boots "behind a remapping unit" --iommu=scalable --cpus 2 --append "console=ttyS0 intel_iommu=on,sm_on iommu.strict=1" "${disk[@]}" --rng --edu
grep -q "iommu: Default domain type: Translated" "$scratch/behind a remapping unit.out" && ! grep -q "remapping unit refuses\|DMAR: .*[Ff]ault" "$scratch/behind a remapping unit.out"
result $? "behind a remapping unit: DMA is translated, and nothing refused" <(grep -E "DMAR|iommu|refuses" "$scratch/behind a remapping unit.out")
has_disk "behind a remapping unit"
boots "4 processors over flip" --hv=flip --cpus 4
says "4 processors over flip" "linux: processors 4"
says "4 processors over flip" "linux: clocksource tsc"
says "4 processors over flip" "a guest of KVM speaks"
printf 'expect "linux: bye" within 300\nexpect "# "\nsend "echo $((6 * 7)) is typed; exit\\r"\nexpect "42 is typed"\n' >"$scratch/script"
boots "over flip, with a dialogue" --hv=flip --input "$scratch/script" --append "console=ttyS0 shell pci=nomsi" "${disk[@]}"
has_disk "over flip, with a dialogue"
if [ ${#disk[@]} != 0 ]; then
    [ "$(sha256sum <"$scratch/disk")" = "$before" ]
    result $? "the disk's file is as it was"
fi
says "over flip, with a dialogue" "a guest of KVM speaks"
says "over flip, with a dialogue" "42 is typed"
boots "bare, and over flip from init on" --cpus 2 --hv=flip --hv-at "console:Run /init" --trace "$scratch/slide"
says "bare, and over flip from init on" "a guest of KVM speaks"
[ "$(grep -c ' slide ' "$scratch/slide")" = 2 ]
result $? "the core has come beneath both processors"
finish
