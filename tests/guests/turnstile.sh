#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots the guest hypervisor `turnstile` bare and over the core, with each strategy: it must find every exit as expected,
# print the same transcript in all these worlds, and do so again, byte for byte, whether traced or not.   Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
image=${IMAGE:-build/guests/turnstile.elf}
limit=100000000
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

# boot NAME OPTION...: leaves NAME.console, NAME.messages; returns sesqui's exit status
boot()
{
    local name=$1
    shift
    timeout 300 "$sesqui" boot "$image" --limit $limit "$@" >"$work/$name.console" 2>"$work/$name.messages"
}

# ends_within LIMIT OPTION...: does the guest end within so many instructions?
ends_within()
{
    local limit=$1
    shift
    boot short "$@" && return 0
    [ $? = 120 ] || { echo "# neither an end nor the limit:"; tail -2 "$work/short.messages" | sed 's/^/# /'; }
    return 1
}

# How many instructions the guest executes: the smallest limit within which it ends.
count()
{
    local low=0 high=$limit
    while [ $((high - low)) -gt 1 ]; do
        local middle=$(((low + high) / 2))
        if ends_within $middle "$@" >/dev/null; then high=$middle; else low=$middle; fi
    done
    echo $high
}

for world in bare trap copy flip; do
    options=()
    [ $world = bare ] || options=(--hv=$world)
    boot $world "${options[@]}"
    result $? "$world: exit status 0" "$work/$world.messages"
    grep -q '^turnstile: [1-9][0-9]* exits, all as expected' "$work/$world.console"
    result $? "$world: every exit as expected" "$work/$world.console"

    boot $world.1 "${options[@]}" --trace "$work/$world.1.trace"
    boot $world.2 "${options[@]}" --trace "$work/$world.2.trace"
    test -s "$work/$world.1.trace" && cmp -s "$work/$world.1.trace" "$work/$world.2.trace"
    result $? "$world: two traces are byte-identical"
    cmp -s "$work/$world.1.console" "$work/$world.2.console" && cmp -s "$work/$world.1.console" "$work/$world.console"
    result $? "$world: three consoles are byte-identical"

    untraced=$(count "${options[@]}")
    ends_within "$untraced" "${options[@]}" --trace "$work/traced" && [ "$untraced" -lt $limit ] &&
        ! ends_within $((untraced - 1)) "${options[@]}" --trace "$work/traced"
    result $? "$world: tracing leaves the number of instructions as it is"
    echo "# $untraced instructions"
done

for world in trap copy flip; do
    diff "$work/bare.console" "$work/$world.console" >"$work/difference"
    result $? "the transcript is the same bare and over the core, strategy $world" "$work/difference"
    boot races --hv=$world --races --strict --trace "$work/races.trace" &&
        diff <(grep -v ' why  ' "$work/$world.1.trace") <(grep -v ' why  ' "$work/races.trace") >"$work/difference"
    result $? "$world: the same trace while memory changes behind L0's reads" "$work/difference"
    ! diff -q "$work/bare.1.trace" "$work/$world.1.trace" >/dev/null
    result $? "the traces are not: over the core there is more to see"
done
! diff -q "$work/copy.1.trace" "$work/trap.1.trace" >/dev/null && ! diff -q "$work/flip.1.trace" "$work/copy.1.trace" >/dev/null
result $? "nor are they the same with different strategies"

finish
