#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each scenario in which L1 is a hypervisor, with every strategy for its VMCSs, and on the bare machine that has what L1 is
# offered: what L1 and L2 find must not tell which it is, so that all expectations hold with each. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tests=0 failures=0

# result STATUS TEXT: a TAP line; the log explains a failure
result()
{
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tests - $2"
    else
        echo "not ok $tests - $2"
        sed 's/^/# /' "$folder/log" | head -12
        failures=$((failures + 1))
    fi
}

# with STRATEGY FILE: prints the scenario as one file, with that strategy, or `absent`; fails if it asks for no native core
with()
{
    "$sesqui" run "$2" --print >"$folder/plain.scn" && grep -q '^l0 native ' "$folder/plain.scn" &&
        sed "s/^l0 native .*/l0 native $1/; s/^l0 native absent/l0 absent/" "$folder/plain.scn"
}

# Scenarios nested-*: L1 cannot tell whether L0 is there at all. cpus-*: it can, where the architecture leaves things open.
for strategy in absent trap copy flip; do
    scenarios=(scenarios/nested-*.scn)
    [ $strategy = absent ] || scenarios+=(scenarios/cpus-*.scn)
    for scenario in "${scenarios[@]}"; do
        with $strategy "$scenario" >"$folder/$strategy.scn" 2>"$folder/log" &&
            timeout 120 "$sesqui" run "$folder/$strategy.scn" --trace "$folder/$strategy.trace" >"$folder/log" 2>&1
        result $? "$strategy: $(basename "$scenario" .scn)"
        [ $strategy = absent ] && continue
        # What L0 has read of L1's memory changes behind it: nobody may notice.
        sed 's/^l0 native .*/& races=1/' "$folder/$strategy.scn" >"$folder/races.scn" &&
            timeout 120 "$sesqui" run "$folder/races.scn" --trace "$folder/races.trace" >"$folder/log" 2>&1 &&
            diff "$folder/$strategy.trace" "$folder/races.trace" >"$folder/log"
        result $? "$strategy: $(basename "$scenario" .scn), the same while memory changes behind L0's reads"
    done
done

# They differ in what they are for.
# lines STRATEGY PATTERN: how many lines of its trace of nested-cpuid match
lines()
{
    with "$1" scenarios/nested-cpuid.scn >"$folder/$1.scn" &&
        "$sesqui" run "$folder/$1.scn" --trace "$folder/$1.trace" >/dev/null && grep -c "$2" "$folder/$1.trace"
}
: >"$folder/log"
[ "$(lines trap 'exit  *vmread')" -gt 0 ]
result $? "trap: L1's VMREADs exit"
[ "$(lines copy 'exit  *vmread')" = 0 ]
result $? "copy: the VMREADs of an ordinary round trip do not"
[ "$(lines flip 'exit  *vmread')" = 0 ]
result $? "flip: the VMREADs of an ordinary round trip do not"
[ "$(lines copy 'entry  *launch')" = 2 ]
result $? "copy: L2 is launched once, then resumed"
[ "$(lines flip 'entry  *launch')" = 3 ]
result $? "flip: L2 is launched each time, for F was VMCLEARed"

echo "1..$tests"
[ $failures = 0 ]
