#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The cases of list.tsv over both back ends, with each strategy and many seeds of the scheduler: SEEDS (4); CASES: some of them.
# What the guest says is always the same. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
guest=build/guests/storm.elf
seeds=${SEEDS:-4} cases=${CASES:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

strategies=(trap copy flip)
# boot OPTION...: leaves console, messages; good if the guest says that all is as expected, and nothing went wrong beneath it
boot()
{
    timeout 300 "$sesqui" boot --strict --limit 400000000 "$@" >"$work/console" 2>"$work/messages" || return 1
    grep -v '^sesqui: ' "$work/console" >"$work/said"
    [ "$(wc -l <"$work/said")" = 2 ] && grep -q '^storm: all as expected$' "$work/said"
}

while IFS=$'\t' read -r words case how processors which; do
    [ "$words" = - ] && words=
    image=build/sesqui.elf late= word=
    [ "$which" = two ] && image=build/image-2/sesqui.elf
    [ "$how" = late ] && late=--late word=late
    [[ $case =~ ^($cases)$ ]] || [ "$cases" = . ] || continue
    words=${words:+$words }$case
    for ((seed = 1; seed <= seeds; seed++)); do
        strategy=${strategies[seed % 3]}
        # The native core keeps as many processors as any machine has here: none is one too many.
        if [ "$which" = usual ]; then
            boot $guest --append "$words" --cpus "$processors" --hv=$strategy $late --seed $seed
            result $? "$words, native, hv=$strategy, seed $seed" "$work/console"
        fi
        boot $image --append "$word hv=$strategy" --module "$guest $words" --cpus "$processors" --seed $seed &&
            { [ "$which" != two ] || grep -q '^sesqui: load refused: more processors than the image is built for' "$work/console"; }
        result $? "$words, image, hv=$strategy, seed $seed" "$work/console"
    done
done < <(grep -v '^#' "$(dirname "$0")/list.tsv")

finish
