#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots `handover`, a guest whose two processors give pages to L0 at the same time, with many seeds of the scheduler: over
# the native core with each strategy, where no rule is broken, and over the image, whose two L0s change turns anywhere, in
# the midst of giving, too. The transcript is always the same.   Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
guest=build/guests/handover.elf image=build/sesqui.elf
seeds=${SEEDS:-24}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

# boot OPTION...: leaves console, messages; good if the guest says that all is as expected
boot()
{
    timeout 300 "$sesqui" boot "$@" --cpus 2 --strict --limit 200000000 >"$work/console" 2>"$work/messages" &&
        grep -q '^handover: 64 pages given, 40 gone' "$work/console" && grep -q '^handover: all as expected' "$work/console"
}

worlds=(--hv=trap --hv=copy --hv=flip "--hv=trap --races" "--hv=copy --races" "--hv=flip --races")
for ((seed = 1; seed <= seeds; seed++)); do
    world=${worlds[seed % ${#worlds[@]}]}
    boot $guest $world --seed $seed --trace "$work/trace"
    result $? "seed $seed $world" "$work/messages"
    # A VMCALL that exits while the other processor's has not been handled: both give at the same time.
    awk '/ exit +vmcall/ { open++; both += open == 2 } / handled +vmcall/ { open-- } END { print both + 0 }' "$work/trace" >>"$work/both"
    grep -c ' exit  *init_signal' "$work/trace" >>"$work/kicks"
done
! grep -qx 0 "$work/both"
result $? "with each seed both gave at the same time more than once"
! grep -qx 0 "$work/kicks" && [ "$(sort -u "$work/kicks" | wc -l)" -gt 2 ]
result $? "processors were kicked, not always as often"

boot $guest --hv=flip --seed 7 --trace "$work/first" && boot $guest --hv=flip --seed 7 --trace "$work/second" &&
    cmp -s "$work/first" "$work/second"
result $? "the same seed gives the same trace" "$work/messages"

strategies=(trap copy flip)
for ((seed = 0; seed < seeds; seed++)); do
    strategy=${strategies[seed % 3]}
    boot $image --append "hv=$strategy" --module $guest --seed $seed
    result $? "the image, seed $seed hv=$strategy" "$work/messages"
done

finish
