#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 2,000 random programs of L1 and L2, sanitized, on the bare machine and over the core with each strategy: no difference.
# `make equivalence` runs many more. Prints TAP.
#
#   EQUIVALENCE=build/asan/tests/equivalence/equivalence tests/equivalence/equivalence.sh
set -u
program=${EQUIVALENCE:-build/asan/tests/equivalence/equivalence}
count=2000
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if output=$(timeout 400 "$program" --programs $count --jobs "$(nproc)" --out "$folder" 2>&1) &&
    grep -q "^$count programs, " <<<"$output" && grep -q '^0 differences$' <<<"$output"; then
    echo "ok 1 - equivalence: $count programs"
else
    echo "not ok 1 - equivalence: $count programs"
    head -30 <<<"$output" | sed 's/^/# /'
    for scenario in "$folder"/*.scn; do
        [ ! -f "$scenario" ] || sed 's/^/#     /' "$scenario"
    done
fi
# What it does is worth the name: most programs reach L2, and come back several times.
reached=$(sed -nE 's/.* lines; ([0-9]+)\.[0-9] % reached L2, ([0-9]+)\.[0-9] round trips.*/\1 \2/p' <<<"$output")
[ -n "$reached" ] && [ "${reached% *}" -ge 50 ] && [ "${reached#* }" -ge 5 ]
[ $? = 0 ] && echo "ok 2 - equivalence: at least half of the programs reach L2, five round trips on average" ||
    { echo "not ok 2 - equivalence: at least half of the programs reach L2, five round trips on average"; echo "# $output" | head -3; }
echo "1..2"
