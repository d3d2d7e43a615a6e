#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The remapping unit beside QEMU's: random tables and a request of a device (vectors.c), the verdicts compared. Prints TAP.
#
#   COUNT=2000 SEED=1 tests/remapping/qemu.sh
#
# What differs is in ledger.list, with its reason, or fails. QEMU's processor halts at once, so that its time is that of its devices.
set -u
vectors=${VECTORS:-build/release/tests/remapping/vectors}
count=${COUNT:-400} seed=${SEED:-1}
here=$(dirname "$0")
. "$here/../tap.sh"
if ! command -v qemu-system-x86_64 >/dev/null; then
    result 0 "the remapping unit beside QEMU's # SKIP qemu-system-x86_64 is missing (apt-get install qemu-system-x86)"
    finish
    exit
fi
if [ ! -x "$vectors" ]; then
    result 1 "$vectors is not there (make tests)"
    finish
    exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c 65536 /dev/zero | tr '\0' '\364' >"$work/halt"         # HLT everywhere

# excused MODE LINE: the number of the ledger's row, or nothing
excused()
{
    local row=0 mode expression
    while IFS='|' read -r mode expression; do
        row=$((row + 1))
        mode=${mode%% *}
        expression=${expression# }
        [ "$mode" = "$1" ] && [[ $2 =~ $expression ]] && { echo "$row"; return; }
    done <"$work/ledger"
}

# The reason is the text behind the last separator, which no expression has before it.
sed -n '/^#/d; s/^\(.*\) | [^|]*$/\1/p' "$here/ledger.list" | sed 's/ | /|/' >"$work/ledger"
for mode in legacy scalable; do
    option=
    [ $mode = legacy ] || option=,x-scalable-mode=on
    coproc QEMU { exec timeout 300 qemu-system-x86_64 -M q35 -accel tcg -icount shift=0,sleep=off -bios "$work/halt" -m 16M -display none -nodefaults \
        -device "intel-iommu,aw-bits=48,snoop-control=on$option" -device edu,addr=1,dma_mask=0xffffffffffffffff \
        -device isa-debug-exit,iobase=0x501,iosize=2 -qtest stdio -qtest-log /dev/null 2>"$work/told"; }
    process=$QEMU_PID
    # Of these two ends Bash lets a program have no others than its input and output.
    timeout 250 "$vectors" "$work/differ" --seed "$seed" --count "$count" --mode $mode <&"${QEMU[0]}" >&"${QEMU[1]}" 2>>"$work/told"
    status=$?
    [ $status = 0 ] || kill "$process" 2>/dev/null
    wait "$process" 2>/dev/null
    if [ $status != 0 ]; then
        result 1 "$mode mode: $count vectors are answered" "$work/told"
        continue
    fi
    : >"$work/unknown"; : >"$work/known"
    while read -r line; do
        row=$(excused $mode "$line")
        [ -n "$row" ] && echo "$row" >>"$work/known" || echo "$line" >>"$work/unknown"
    done < <(grep -v '^#' "$work/differ")
    [ ! -s "$work/unknown" ]
    result $? "$mode mode: $(sed -n 's/^# //p' "$work/differ"), $(wc -l <"$work/known") of them by rows of the ledger" "$work/unknown"
done
finish
