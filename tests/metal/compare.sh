#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compares the sequence of exits in two traces.   tests/metal/compare.sh [--fields|--defined] TRACE TRACE
#
# --fields: also what L0 read from and wrote into its VMCSs (--full-trace of sesqui boot, trace=fields of the image)
# --defined: the same, but for exit information that the SDM leaves undefined
#
# Prints the first disagreement with what led to it, and returns 1; 2 if a trace cannot be read or has no exits. What may
# differ is listed in tests/metal/exits.awk.
set -u
case ${1:-} in -h|--help) sed -n '3,10s/^# \?//p' "$0"; exit 0;; esac
fields=0 defined=0
[ "${1:-}" != --defined ] || { fields=1 defined=1; shift; }
[ "${1:-}" != --fields ] || { fields=1; shift; }
[ $# = 2 ] || { echo "usage: tests/metal/compare.sh [--fields|--defined] TRACE TRACE" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$(dirname "$0")
for side in 1 2; do
    [ -r "$1" ] || { echo "$1: cannot be read" >&2; exit 2; }
    awk -v fields=$fields -v defined=$defined -f "$here/exits.awk" "$1" | tr -d '\r' >"$work/$side"
    [ -s "$work/$side" ] || { echo "$1: no exits in it" >&2; exit 2; }
    set -- "$2" "$1"
done
cmp -s "$work/1" "$work/2" && exit 0
line=$(cmp "$work/1" "$work/2" 2>&1 | sed -n 's/.*line \([0-9]*\).*/\1/p')
[ -n "$line" ] || line=$(($(cat "$work/1" "$work/2" | wc -l) / 2))
echo "the sequences of exits differ from line $line on"
from=$((line > 12 ? line - 12 : 1))
for side in 1 2; do
    echo "--- $1"
    awk -v from=$from -v line="$line" 'NR >= from && NR <= line + 4 { print (NR == line ? "> " : "  ") $0 }' "$work/$side"
    set -- "$2" "$1"
done
exit 1
