#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The 32-bit program `tasks` switches tasks on the bare machine. Over L0, native and the image, each switch is refused by #NP of the TSS, and
# L0 goes on (docs/limits.md).   Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

# run WHAT REFUSED OPTION...: all three switches are done, or all are refused with the TSS's selector
run()
{
    local what=$1 refused=$2 wanted
    shift 2
    timeout 120 "$sesqui" boot --limit 100000000 "$@" >"$work/said" 2>"$work/messages"
    wanted=$(for switch in "call to a TSS" "call to a task gate" "INT to a task gate"; do
                 times=$((${times:-0} + 1))
                 [ "$refused" = yes ] && echo "$switch: exception 11, error code 0x40" || echo "$switch: done, the other task ran $times times"
             done; echo "tasks: still here")
    [ "$(grep -v '^sesqui: ' "$work/said")" = "$wanted" ]
    result $? "$what" "$work/said"
}

run "bare: three switches, there and back" no build/guests/tasks.elf
for strategy in trap copy flip; do
    run "over the native core, $strategy: #NP(selector) each time" yes build/guests/tasks.elf --hv=$strategy
    run "over the image, $strategy: the same" yes build/sesqui.elf --append hv=$strategy --module build/guests/tasks.elf
done

finish
