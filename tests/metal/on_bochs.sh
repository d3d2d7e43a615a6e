#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The image build/sesqui.elf on Bochs, a VMX implementation that is not ours: L1's transcript, the sequence of exits and every
# defined field that L0 reads and writes are those of the native core on the model. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
image=build/sesqui.elf guest=build/guests/turnstile.elf bochs=tests/metal/bochs.sh
# The two processors that are compared: of the same generation, and with the same VMX capabilities.
profile=haswell cpu=corei7_haswell_4770
$bochs --installed 2>/dev/null || { echo "1..1"; echo "ok 1 - Bochs # skip: it is not installed (tests/deps.sh metal)"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

boot() { $bochs --cpu $cpu --limit 150 "$@" $image 2>"$work/messages"; }

"$sesqui" boot $guest >"$work/bare" 2>/dev/null
for strategy in trap copy flip; do
    # The firmware that Bochs has here leaves IA32_FEATURE_CONTROL unlocked.
    "$sesqui" boot $guest --hv=$strategy --vmx-profile $profile --feature-control 0 --full-trace --trace "$work/native" >/dev/null 2>&1
    trace=fields
    [ $strategy != trap ] || trace=exits    # the serial line would take minutes
    boot --append "hv=$strategy trace=$trace log=com2" --module $guest --serial2 "$work/metal" >"$work/console"
    result $? "$strategy: turnstile over the image on Bochs" "$work/messages"
    diff "$work/bare" "$work/console" >"$work/difference"
    result $? "$strategy: L1's transcript is that of our bare machine" "$work/difference"
    tests/metal/compare.sh "$work/native" "$work/metal" >"$work/difference"
    result $? "$strategy: the exits are those of the native core on the model" "$work/difference"
    [ $trace = fields ] || continue
    tests/metal/compare.sh --defined "$work/native" "$work/metal" >"$work/difference"
    result $? "$strategy: and so is every defined field that L0 reads and writes" "$work/difference"
done

boot --cpus 2 --module $guest >"$work/console"
diff "$work/bare" "$work/console" >"$work/difference"
result $? "two processors: the same transcript" "$work/difference"
boot --append late --module build/guests/slide.elf --until "slide:" >"$work/console"
"$sesqui" boot build/guests/slide.elf --hv=flip --late 2>/dev/null | diff - "$work/console" >"$work/difference"
result $? "late load: load, unload, load, finalise as on the model" "$work/difference"
cpu=core2_penryn_t9600 boot --module $guest --until "sesqui: cannot start" >"$work/console"
[ "$(cat "$work/console")" = "sesqui: cannot start: the processor lacks secondary controls" ] ||
    grep -q '^sesqui: cannot start: the processor lacks' "$work/console"
result $? "a processor without EPT is refused by name" "$work/console"
cpu=p4_prescott_celeron_336 boot --module $guest --until "sesqui: cannot start" >"$work/console"
[ "$(cat "$work/console")" = "sesqui: cannot start: the processor has no VMX" ]
result $? "a processor without VMX is refused by name" "$work/console"

finish
