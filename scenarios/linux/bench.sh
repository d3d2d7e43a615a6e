#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's cloud kernel beside others: host CPU time to boot it to its first program, and for reads from a virtio disk (not on Bochs, which has none); the
# same kernel, initramfs and disk for all, in turn, and medians. A rival that is not installed is named and left out. Medians of RUNS (3).
#   scenarios/linux/bench.sh     QEMU=PROGRAM: instead of qemu-system-x86_64
set -eu
cd "$(dirname "$0")/../.."
sesqui=${SESQUI:-build/release/sesqui}
qemu=${QEMU:-qemu-system-x86_64}
linux=build/linux/cloud-amd64
runs=${RUNS:-3} megabytes=2048 requests=20000 memory=512
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

scenarios/linux/assemble.sh >"$scratch/assemble" 2>&1 || { echo "  Debian's kernel is not measured: $(tail -1 "$scratch/assemble")"; exit 2; }
head -c 64M /dev/urandom >"$scratch/disk"

append() { echo "console=ttyS0 quiet bench=$1"; }

start_sesqui()
{
    "$sesqui" boot "$linux/vmlinuz" --initrd "$linux/initrd" --append "$(append "$1")" --memory ${memory}M --disk "$scratch/disk" --explain=none --count
}

# As little beside the processor as our machine has; a processor with the same vector instructions.
start_qemu()
{
    local bench=$1
    shift
    "$qemu" -M q35 -accel tcg -cpu Nehalem -m $memory -nodefaults -display none -serial stdio -no-reboot -kernel "$linux/vmlinuz" -initrd "$linux/initrd" \
        -append "$(append "$bench")" -drive "file=$scratch/disk,if=virtio,format=raw,snapshot=on" "$@"
}
# With firmware and boot loader before the kernel; no virtio disk.
start_bochs()
{
    # shellcheck disable=SC2046
    scenarios/linux/bochs.sh $(append "$1")
}
start_qemu_icount() { start_qemu "$1" -icount shift=0,sleep=off; }

# measure NAME BENCH COMMAND: one run; its CPU time is a line of $scratch/NAME.BENCH
measure()
{
    local TIMEFORMAT='%U %S'
    { time timeout 600 bash -c "$3 $2" >"$scratch/out" 2>&1 </dev/null; } 2>"$scratch/time" || true
    if ! grep -q "linux: bench done" "$scratch/out"; then
        echo "bench.sh: $1 did not end its run ($2):" >&2
        tail -5 "$scratch/out" >&2
        exit 1
    fi
    awk '{ print $1 + $2 }' "$scratch/time" >>"$scratch/$1.${2%,*}"
    sed -n 's/^sesqui: \([0-9]*\) instructions.*/\1/p' "$scratch/out" >"$scratch/instructions"
}
median() { sort -n "$scratch/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

rivals=(sesqui)
declare -A title=([sesqui]="sesqui" [qemu]="QEMU TCG" [icount]="QEMU TCG, -icount shift=0" [bochs]="Bochs")
declare -A command=([sesqui]=start_sesqui [qemu]=start_qemu [icount]=start_qemu_icount [bochs]=start_bochs)
if command -v "$qemu" >/dev/null; then
    rivals+=(qemu icount)
else
    echo "  QEMU is not measured: no $qemu (apt-get install qemu-system-x86, or QEMU=PROGRAM)"
fi
if scenarios/linux/bochs.sh assemble >"$scratch/assemble" 2>&1; then
    rivals+=(bochs)
else
    echo "  Bochs is not measured: $(tail -1 "$scratch/assemble")"
fi
export -f append start_sesqui start_qemu start_qemu_icount start_bochs
export sesqui qemu linux scratch memory

for ((run = 0; run < runs; run++)); do
    for bench in boot "sequential,$megabytes" "random,$requests"; do
        for rival in "${rivals[@]}"; do
            [ "$rival" != bochs ] || [ "$bench" = boot ] || continue
            measure "$rival" "$bench" "${command[$rival]}"
            [ "$rival$bench" != sesquiboot ] || cp "$scratch/instructions" "$scratch/boot.instructions"
        done
    done
done

# row TEXT VALUE UNIT BASE NOTE
row() { awk -v t="  $1" -v v="$2" -v u="$3" -v b="$4" -v n="$5" 'BEGIN { printf "%-50s %10.3g %-10s (%s%s)\n", t, v, u, (b > 0 ? sprintf("%.2f times as much as sesqui; ", v / b) : ""), n }'; }
# cost NAME BENCH COUNT: CPU time beyond that of the boot, for each of COUNT
cost() { awk -v a="$(median "$1.$2")" -v b="$(median "$1.boot")" -v n="$3" 'BEGIN { print (a - b) / n }'; }

echo "Debian's cloud kernel, ${memory} MB, one processor; host CPU time, medians of $runs"
for rival in "${rivals[@]}"; do
    base=0 note="from the start to the first program and off"
    [ "$rival" != bochs ] || note="$note; with its BIOS, and a CD's boot loader"
    [ "$rival" = sesqui ] && note="$note; $(awk '{ printf "%.0f M instructions", $1 / 1e6 }' "$scratch/boot.instructions")" || base=$(median sesqui.boot)
    row "boot, ${title[$rival]}" "$(median "$rival.boot")" s "$base" "$note"
done
for rival in "${rivals[@]}"; do
    base=0
    [ "$rival" != bochs ] || continue
    [ "$rival" = sesqui ] || base=$(awk -v c="$(cost sesqui sequential $megabytes)" 'BEGIN { print c * 1e3 }')
    row "virtio-blk, sequential, ${title[$rival]}" "$(awk -v c="$(cost "$rival" sequential $megabytes)" 'BEGIN { print c * 1e3 }')" "ms a MB" "$base" \
        "$(awk -v c="$(cost "$rival" sequential $megabytes)" 'BEGIN { printf "%.0f MB a CPU second", 1 / c }'); requests of 1 MB"
done
for rival in "${rivals[@]}"; do
    base=0
    [ "$rival" != bochs ] || continue
    [ "$rival" = sesqui ] || base=$(awk -v c="$(cost sesqui random $requests)" 'BEGIN { print c * 1e6 }')
    row "virtio-blk, random, ${title[$rival]}" "$(awk -v c="$(cost "$rival" random $requests)" 'BEGIN { print c * 1e6 }')" "us each" "$base" "requests of 4 KB"
done
