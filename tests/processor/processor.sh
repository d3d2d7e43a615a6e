#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Random programs of system-level instructions on our bare machine and on Bochs: what each leaves behind must be the same.
#   processor.sh [--count N] [--seed S] [--first I]      Prints TAP; differing lines, ours and Bochs's, as comments.
# A processor that shuts down (a triple fault) ends its run: the batch goes on behind that program.
set -u
here=$(dirname "$0")
sesqui=${SESQUI:-build/release/sesqui}
image=build/processor/programs.elf
count=300 seed=1 first=0 keep=""
while [ $# -ge 2 ]; do
    case $1 in
    --count) count=$2 ;;
    --seed) seed=$2 ;;
    --first) first=$2 ;;
    --keep) keep=$2 ;;
    *) echo "usage: processor.sh [--count N] [--seed S] [--first I] [--keep DIR]" >&2; exit 2 ;;
    esac
    shift 2
done
message=$("${BOCHS:-$here/../metal/bochs.sh}" --installed 2>&1) || { echo "1..0 # SKIP $message"; exit 0; }
[ -e $image ] || { echo "1..0 # SKIP $image is not built: make tests"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ours() { "$sesqui" boot $image --append "$1" 2>>"$work/messages"; }
bochs() { "${BOCHS:-$here/../metal/bochs.sh}" --limit 1800 --append "$1" $image 2>>"$work/messages"; }

# Runs programs first to first + count - 1 on one of the two, into a file: one line for each program.
batch()
{
    local run=$1 to=$2 at=$first end=$((first + count)) status last
    : >"$to"
    while [ $at -lt $end ]; do
        $run "seed=$seed first=$at count=$((end - at))" >"$work/part"
        status=$?
        grep '^[0-9]*: ' "$work/part" >"$work/lines"
        cat "$work/lines" >>"$to"
        grep -q '^done' "$work/part" && return 0
        [ $status = 121 ] || { echo "# $run ended with status $status: $(tail -1 "$work/messages")"; return 1; }
        last=$(tail -1 "$work/lines" | cut -d: -f1)
        at=$((${last:-$((at - 1))} + 1))
        echo "$at: shutdown" >>"$to"
        at=$((at + 1))
    done
}

batch ours "$work/ours" && batch bochs "$work/bochs" || { echo "not ok 1 - both ran $count programs"; echo "1..1"; exit 1; }
# #AC and #PF are of one class (SDM Vol. 3, 6.9): whether the page of a misaligned operand has become accessed is the processor's choice.
normal() { awk '$2 == "11" { $NF = "-" } { print }' "$1" >"$1.normal"; }
normal "$work/ours"
normal "$work/bochs"
diff "$work/ours.normal" "$work/bochs.normal" >"$work/difference"
differing=$(grep -c '^<' "$work/difference")
[ -z "$keep" ] || cp "$work/ours" "$work/bochs" "$work/difference" "$keep"
if [ "$(wc -l <"$work/ours")" = "$count" ] && [ "$differing" = 0 ] && [ ! -s "$work/difference" ]; then
    echo "ok 1 - $count programs left the same behind ($(grep -c shutdown "$work/ours") shut the processor down)"
    status=0
else
    echo "not ok 1 - $differing of $count programs left something else behind (seed $seed)"
    head -20 "$work/difference" | sed 's/^/# /'
    status=1
fi
echo "1..1"
exit $status
