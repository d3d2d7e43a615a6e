#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --hv-at: the core slides beneath guests that run already, wherever they are; they say what they say on the bare machine, or it refuses by name.
set -u
. tests/tap.sh
sesqui=${SESQUI:-build/release/sesqui}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

boot() { timeout 120 "$sesqui" boot "build/guests/$1.elf" --limit 30M --explain=none "${@:2}"; }

# The moments are prime numbers of instructions, from the loader's hand-over to the end of the guest. A guest in VMX operation is refused.
along()     # GUEST OPTION...
{
    local guest=$1 at status slid=0 refused=0 bad=""
    shift
    boot "$guest" "$@" >"$work/bare" 2>"$work/bare.err"
    local expected=$?
    for at in 0 1 7 97 499 1009 2503 4999 7001 9001 11003 20011 49999 200003 1000003; do
        for strategy in trap copy flip; do
            boot "$guest" "$@" --hv=$strategy --hv-at instructions:$at >"$work/over" 2>"$work/over.err"
            status=$?
            if [ $status = $expected ] && cmp -s "$work/bare" "$work/over"; then
                slid=$((slid + 1))
            elif [ $status = 123 ] && grep -q 'it cannot slide beneath processor [0-9]*: the guest has set CR4.VMXE' "$work/over.err"; then
                refused=$((refused + 1))
            else
                bad="$bad $strategy:$at($status)"
            fi
        done
    done
    echo "$slid as on the bare machine, $refused refused,$bad" >"$work/verdict"
    [ -z "$bad" ] && [ $slid -ge 15 ]
    result $? "$guest $*: the same over a core that comes at any moment" "$work/verdict"
}
along kvm
along turnstile
along wicket --cpus 2
along relay --cpus 2

# A moment by the console or by a port; one that never comes is told.
boot turnstile >"$work/bare" 2>/dev/null
boot turnstile --hv=flip --hv-at port:0x3f8=0x0a --trace "$work/trace" >"$work/over" 2>"$work/err"
grep -q ' slide ' "$work/trace" || grep -q 'it cannot slide beneath' "$work/err"
result $? "a moment by a port: the first line feed that is written" "$work/err"
first=$(head -c 4 "$work/bare")
boot turnstile --hv=flip --hv-at "console:$first" --trace "$work/trace" >"$work/over" 2>"$work/err"
grep -q ' slide ' "$work/trace" && [ "$(head -c 4 "$work/over")" = "$first" ]
result $? "a moment by the console" "$work/err"
boot turnstile --hv=flip --hv-at "console:never said" >"$work/over" 2>"$work/err"
status=$?
cmp -s "$work/bare" "$work/over" && [ $status = 0 ] && grep -q 'has not come: it ran on the bare machine' "$work/err"
result $? "a moment that does not come is told, and the guest runs bare" "$work/err"
finish
