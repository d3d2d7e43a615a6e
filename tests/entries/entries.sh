#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 20,000 states that random system instructions bring L1 to, and the core enters each of them, with each strategy; the states are of all
# kinds. `make entries` runs many more. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
program=${ENTRIES:-${BUILD:-build/release}/tests/entries/entries}
output=$(mktemp)
trap 'rm -f "$output"' EXIT

timeout 400 "$program" --states 20000 >"$output" 2>&1 && grep -qE '^2[0-9]{4} states entered' "$output"
result $? "20,000 states of L1 are entered" "$output"
awk '/^ *[0-9]+  / && !$1 { bad = 1; print $2 } END { exit bad || NR < 30 }' "$output" >"$output.missing"
result $? "they are of every kind" "$output.missing"
"$program" --states 300 >"$output" && "$program" --states 300 | cmp -s - "$output"
result $? "two runs are alike"
"$program" --states none >/dev/null 2>&1
[ $? = 2 ]
result $? "a number that is none is refused"
rm -f "$output.missing"
finish
