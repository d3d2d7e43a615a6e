#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The second entry of late load: `lodger`, an operating system whose addresses are not one to one, brings the image along, while its other
# processor sends it NMIs; with each strategy and several seeds of the scheduler. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
guest=build/guests/lodger.elf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

boot() { timeout 300 "$sesqui" boot $guest --cpus 2 --limit 300000000 "$@" >"$work/console" 2>"$work/messages"; }

strategies=(trap copy flip)
for ((seed = 1; seed <= ${SEEDS:-6}; seed++)); do
    strategy=${strategies[seed % 3]}
    boot --append "hv=$strategy" --module build/sesqui.elf --seed $seed && [ "$(cat "$work/console")" = "lodger: all as expected" ]
    result $? "hv=$strategy, seed $seed" "$work/console"
done
boot --append hv=flip --module build/sesqui.elf --vmx -vmcs-shadowing && [ "$(cat "$work/console")" = "lodger: all as expected" ]
result $? "a strategy that the processor lacks falls back" "$work/console"
boot --module build/guests/turnstile.elf
[ $? = 2 ] && grep -q "module 0 is no 64-bit ELF file" "$work/console"
result $? "an image without the second entry is told from L0's" "$work/console"
! readelf -SW build/sesqui.elf 2>&1 | grep -w '\.got' >"$work/messages"
result $? "code that runs in the caller's world knows no address by a table" "$work/messages"

finish
