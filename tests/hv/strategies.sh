#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each scenario in which L1 is a hypervisor, with every strategy for its VMCSs, and on the bare machine that has what L1 is
# offered: what L1 and L2 find must not tell which it is, so that all expectations hold with each. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
. "$(dirname "$0")/../tap.sh"

# with STRATEGY: the scenario in $folder/plain.scn with that strategy, or `absent`
with() { sed "s/^l0 native .*/l0 native $1/; s/^l0 native absent/l0 absent/" "$folder/plain.scn"; }

# `absent`: on the bare machine, unless the scenario is about the core itself and says so; cpus-*: where the architecture leaves
# things open L1 can tell that L0 is there.
mkdir "$folder"/{absent,trap,copy,flip} "$folder"/races-{trap,copy,flip}
for scenario in scenarios/nested-*.scn scenarios/cpus-*.scn scenarios/regressions/*.scn; do
    name=${scenario##*/}
    "$sesqui" run "$scenario" --print >"$folder/plain.scn" 2>"$folder/log" && grep -q '^l0 native ' "$folder/plain.scn" ||
        result 1 "$scenario asks for a native core" "$folder/log"
    [[ $name = cpus-* ]] || grep -q '^#.*Over the core only' "$scenario" || with absent >"$folder/absent/$name"
    for strategy in trap copy flip; do
        with $strategy >"$folder/$strategy/$name"
        with "$strategy races=1" >"$folder/races-$strategy/$name"
    done
done
for strategy in absent trap copy flip; do
    timeout 300 "$sesqui" run "$folder/$strategy" --trace "$folder/$strategy.trace" >"$folder/all" 2>&1
    [ $? -le 1 ] || { cp "$folder/all" "$folder/log"; result 1 "$strategy: the run came to its end" "$folder/log"; }
    while read -r verdict line; do
        echo "$line" >"$folder/log"
        line=${line##*"$folder"/} name=${line%%.scn*}
        [ "$verdict" = ok ]
        result $? "${name/\//: }" "$folder/log"
    done < <(sed -n '/^\(not \)\?ok /{ s/^not ok/not-ok/; /^not-ok/{ N; s/\n/ /; }; p; }' "$folder/all")
done

# What L0 has read of L1's memory changes behind it: nobody may notice.
for strategy in trap copy flip; do
    timeout 300 "$sesqui" run "$folder/races-$strategy" --trace "$folder/races.trace" >"$folder/log" 2>&1 &&
        diff "$folder/$strategy.trace" "$folder/races.trace" >"$folder/log"
    result $? "$strategy: all of them, the same while memory changes behind L0's reads" "$folder/log"
done

# They differ in what they are for.
# lines STRATEGY PATTERN: how many lines of its trace of nested-cpuid match
lines()
{
    "$sesqui" run "$folder/$1/nested-cpuid.scn" --trace "$folder/$1.trace" >/dev/null && grep -c "$2" "$folder/$1.trace"
}
: >"$folder/log"
[ "$(lines trap 'exit  *vmread')" -gt 0 ]
result $? "trap: L1's VMREADs exit" "$folder/log"
[ "$(lines copy 'exit  *vmread')" = 0 ]
result $? "copy: the VMREADs of an ordinary round trip do not" "$folder/log"
[ "$(lines flip 'exit  *vmread')" = 0 ]
result $? "flip: the VMREADs of an ordinary round trip do not" "$folder/log"
[ "$(lines copy 'entry  *launch')" = 2 ]
result $? "copy: L2 is launched once, then resumed" "$folder/log"
[ "$(lines flip 'entry  *launch')" = 3 ]
result $? "flip: L2 is launched each time, for F was VMCLEARed" "$folder/log"

finish
