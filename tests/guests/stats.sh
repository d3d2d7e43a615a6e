#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `sesqui boot --stats` counts the VM exits that the trace shows, over the native core and over the image alike; what is written where. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

boots() { timeout 120 "$sesqui" boot --limit 100000000 --no-console --explain=none "$@" >"$work/said" 2>"$work/messages"; }
# counts FILE: the table without its rates: name, first group, second group
counts() { sed -E 's/ +([0-9]+) +[0-9.]+ +([0-9]+) +[0-9.]+$/: \1 \2/' "$1" | grep ': [0-9]'; }
# row NAME of the table, as "L1 L2"
row() { counts "$work/table" | sed -n "s/^  $1: //p"; }

for strategy in trap copy flip; do
    boots build/guests/turnstile.elf --hv=$strategy --trace "$work/trace" --stats="$work/table"
    for reason in "all:" "CPUID:cpuid" "VMWRITE:vmwrite" "RDMSR:rdmsr" "EPT violation:ept_violation" "I\/O instruction:io_instruction" "HLT:hlt"; do
        [ "$(row "${reason%:*}")" = "$(awk -v word="${reason#*:}" '
            $4 == "exit" && (!word || $5 == word) { n[$3]++ }
            $4 == "entry-failed" && !word && $6 == "exit" { n["L" 2]++ }
            END { print n["L1"] + 0, n["L2"] + 0 }' "$work/trace")" ]
        result $? "$strategy: exits counted are those of the trace: ${reason%:*}" "$work/table"
    done
    counts "$work/table" >"$work/native"
    boots build/sesqui.elf --append hv=$strategy --module build/guests/turnstile.elf --stats="$work/table"
    counts "$work/table" >"$work/image"
    cmp -s "$work/native" "$work/image" && [ -s "$work/native" ]
    result $? "$strategy: over the image, as many of each kind" <(diff "$work/native" "$work/image")
done

boots build/guests/turnstile.elf --stats
grep -q '^  by reason  *guests  *a second$' "$work/messages" && ! grep -q 'VMREAD' "$work/messages"
result $? "bare: the exits are those of turnstile's own guests; the table is on stderr" "$work/messages"
boots build/guests/loop.elf --stats
grep -qx 'sesqui: VM exits in .* of guest time: none' "$work/messages"
result $? "a program without guests has no exits" "$work/messages"
boots --stats build/guests/loop.elf; grep -q 'of guest time: none$' "$work/messages"
result $? "an image behind --stats is the image" "$work/messages"
cp build/guests/loop.elf "$work/loop.elf"
boots "$work/loop.elf" --stats="$work/loop.elf"
[ $? = 2 ] && cmp -s build/guests/loop.elf "$work/loop.elf"
result $? "the table is not written over the image" "$work/messages"
boots build/guests/turnstile.elf --hv --limit 200000 --stats
grep -q '^sesqui: VM exits in ' "$work/messages"
result $? "a run that its limit ends has a table, too" "$work/messages"
finish
