#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots the guest hypervisor `wicket` in each paging mode of its own (32-bit, PAE, 4-level, 5-level), and `turnstile` with
# 5-level paging, bare and over the core with each strategy: exits as expected, one transcript in all worlds.   Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

# program IMAGE WORD TEXT: WORD is its command line, TEXT stands in its transcript
program()
{
    local image=$1 word=$2 text=$3
    timeout 120 "$sesqui" boot "build/guests/$image.elf" --append "$word" --limit 100000000 >"$work/bare" 2>"$work/messages"
    [ $? = 0 ] && grep -q "exits, all as expected" "$work/bare" && grep -q "$text" "$work/bare"
    result $? "$image $word: every exit as expected ($text)" "$work/bare"
    for strategy in trap copy flip; do
        timeout 120 "$sesqui" boot "build/guests/$image.elf" --append "$word" --limit 100000000 --hv=$strategy >"$work/over" \
            2>"$work/messages" && diff "$work/bare" "$work/over" >"$work/difference"
        result $? "$image $word: the same over the core, strategy $strategy" "$work/difference"
    done
}

program wicket32 "" "own paging: 32-bit"
program wicket32 pae "own paging: PAE"
program wicket "" "own paging: 4-level"
program wicket la57 "own paging: 5-level"
program turnstile la57 "64-bit guest"

# Turnstile does not print its paging: without 5-level paging it cannot start.
"$sesqui" boot build/guests/turnstile.elf --append la57 --vmx -ept-walk-5 --limit 100000000 >"$work/bare" 2>"$work/messages"
[ $? = 121 ]
result $? "turnstile la57 needs a processor with 5-level paging" "$work/messages"

finish
