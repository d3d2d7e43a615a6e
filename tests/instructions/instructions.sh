#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# User-level instructions on the host's own processor and on the CPU engine (docs/processor.md).
#   instructions.sh [--count N] [--seed S]      Prints TAP.
set -u
here=$(dirname "$0")
program=${INSTRUCTIONS:-build/release/tests/instructions/instructions}
count=30000 seed=1
while [ $# -ge 2 ]; do
    case $1 in
    --count) count=$2 ;;
    --seed) seed=$2 ;;
    *) break ;;
    esac
    shift 2
done
[ $# = 0 ] || { echo "usage: instructions.sh [--count N] [--seed S]" >&2; exit 2; }
# What the processor must have to be an opinion: as /proc/cpuinfo says it.
for feature in sse4_2 ssse3 popcnt movbe aes pclmulqdq cx16; do
    grep -qw $feature /proc/cpuinfo || { echo "1..0 # SKIP this processor has no $feature"; exit 0; }
done
[ -x "$program" ] || { echo "1..0 # SKIP $program is not built: make tests"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" --seed "$seed" --count "$count" --show 1000000 | awk -f "$here/compare.awk" "$here/ledger.tsv" - >"$work/verdict"
status=$?
[ $status = 0 ] || printf 'not '
echo "ok 1 - $count instructions do on the engine what they do on this processor, or what the ledger says"
sed 's/^/# /' "$work/verdict"
echo "1..1"
exit $status
