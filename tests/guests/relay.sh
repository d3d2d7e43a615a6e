#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots `relay`, a guest hypervisor on two processors whose guests change places, with 50 seeds of the scheduler, bare and
# over the core with each strategy: the transcript is always the same, and no rule is broken.   Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
image=${IMAGE:-build/guests/relay.elf}
seeds=${SEEDS:-50}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

# boot NAME OPTION...: leaves NAME.console, NAME.messages; returns sesqui's exit status
boot()
{
    local name=$1
    shift
    timeout 300 "$sesqui" boot "$image" --cpus 2 --strict --limit 20000000 --count "$@" >"$work/$name.console" \
        2>"$work/$name.messages"
}

boot bare
result $? "bare: exit status 0" "$work/bare.messages"
grep -q '^relay: all as expected' "$work/bare.console"
result $? "bare: all as expected" "$work/bare.console"

worlds=("" --hv=trap --hv=copy --hv=flip "--hv=trap --races" "--hv=copy --races" "--hv=flip --races")
for ((seed = 1; seed <= seeds; seed++)); do
    world=${worlds[seed % ${#worlds[@]}]}
    boot seeded --seed "$seed" $world && cmp "$work/bare.console" "$work/seeded.console" >>"$work/seeded.messages" 2>&1
    result $? "seed $seed ${world:-bare}: the same transcript" "$work/seeded.messages"
    grep instructions "$work/seeded.messages" >>"$work/counts"
done

# The seeds do vary what happens: the processors wait for each other differently long.
[ "$(sort -u "$work/counts" | wc -l)" -gt $((seeds / 2)) ]
result $? "most runs differ in how many instructions they took"

boot first --hv=flip --seed 7 --trace "$work/first.trace" && boot second --hv=flip --seed 7 --trace "$work/second.trace" &&
    cmp -s "$work/first.trace" "$work/second.trace"
result $? "the same seed gives the same trace" "$work/second.messages"

finish
