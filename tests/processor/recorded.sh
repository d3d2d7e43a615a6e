#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A thousand random programs and seven hundred random guests leave the same behind as when Bochs was asked: without Bochs (docs/processor.md). Prints TAP.
set -u
here=$(dirname "$0")
work=$(mktemp)
trap 'rm -f "$work"' EXIT
number=1 failed=0
"$here/processor.sh" --programs || { printf 'not '; failed=1; }
echo "ok 1 - the programs are those that were recorded: whatever changes them asks for processor.sh --record, and the same with --exits"
for options in '--count 1000' '--exits --count 700'; do
    number=$((number + 1))
    # shellcheck disable=SC2086
    "$here/processor.sh" --recorded $options >"$work" || failed=1
    sed "/^1\.\./d; s/ok 1 /ok $number /" "$work"
    ! grep -q '^1\.\.0 # SKIP' "$work" || echo "ok $number - processor.sh $options # SKIP $(sed -n 's/^1\.\.0 # SKIP //p' "$work")"
done
echo "1..$number"
exit $failed
