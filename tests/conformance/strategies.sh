#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs vmx.flat as L1 over the core with every strategy, and on the bare machine.   tests/conformance/strategies.sh [OPTION...] DIR
#
# Prints the verdicts side by side. Exit status: 0 if each subtest has the same verdict and counts with all three strategies,
# passes unless strategies.list says why it cannot, and enough pass; else 1.
set -u
usage="usage: tests/conformance/strategies.sh [OPTION...] DIR

  --threshold N     subtests that must pass over the core (default 88 of 107)
  --jobs N          how many run side by side (default: one a processor)
  --only PATTERN    subtests whose name matches this extended regular expression; no threshold then
  --output DIR      default build/conformance-strategies
  --scale N         multiplies each limit of instructions (default 1)
  --again           runs nothing: the table of the results that are in the output folder"
here=$(dirname "$0")
threshold=88 jobs=$(nproc) only='' output=build/conformance-strategies scale=1 again='' dir=
while [ $# -gt 0 ]; do
    case $1 in
    --threshold | --jobs | --only | --output | --scale)
        [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    --again) again=1 ;;
    --help | -h) echo "$usage"; exit 0 ;;
    -*) echo "unknown option $1" >&2; echo "$usage" >&2; exit 2 ;;
    *) dir=$1 ;;
    esac
    shift
done
case $threshold in *[!0-9]* | '') echo "--threshold takes a number" >&2; exit 2 ;; esac
[ -z "$only" ] || threshold=0

mkdir -p "$output"
for mode in bare trap copy flip; do
    [ -z "$again" ] || break
    [ -t 2 ] && echo "$mode" >&2
    machine=--hv=$mode; [ $mode = bare ] && machine=''
    "$here/run.sh" --vmx --only "$only" --jobs "$jobs" --scale "$scale" --machine "$machine" --output "$output/$mode" \
        "$dir" >"$output/$mode.log"
    [ $? -le 1 ] || { cat "$output/$mode.log"; exit 2; }
done
for mode in bare trap copy flip; do
    [ -s "$output/$mode/results.tsv" ] || { echo "$output/$mode: no results" >&2; exit 2; }
done

awk -F'\t' -v threshold="$threshold" '
    FILENAME ~ /strategies[.]list$/ {
        if (/^#/ || !NF) next
        split($0, word, /[ \t]+/)
        expected[word[1]] = word[2]
        reason[word[1]] = $0
        sub(/^[^ ]+ +[^ ]+ +/, "", reason[word[1]])
        next
    }
    {
        mode = FILENAME; sub(/\/results[.]tsv$/, "", mode); sub(/.*\//, "", mode)
        verdict[mode, $3] = $4; counts[mode, $3] = $5 "/" $6 "/" $7; why[mode, $3] = $11
        seconds[mode] += $9; pass[mode] += $4 == "pass"
        if (mode == "bare") name[++n] = $3
    }
    function cell(mode, test) { return verdict[mode, test] " " counts[mode, test] }
    END {
        printf "%-46s %-16s %-16s %-16s %-16s  (verdict, PASS/FAIL/SKIP)\n", "subtest", "bare", "trap", "copy", "flip"
        for (i = 1; i <= n; i++) {
            t = name[i]
            printf "%-46s %-16s %-16s %-16s %-16s\n", t, cell("bare", t), cell("trap", t), cell("copy", t), cell("flip", t)
            wanted = t in expected ? expected[t] : "pass"
            if (cell("trap", t) != cell("copy", t) || cell("trap", t) != cell("flip", t)) {
                print "    DIFFERS"; differ++
            }
            if (verdict["trap", t] != wanted) { print "    NOT " wanted ": " why["trap", t]; wrong++ }
            else if (t in expected) print "    " reason[t]
        }
        printf "\npass: bare %d, trap %d, copy %d, flip %d of %d (%d wanted over the core)\n", pass["bare"], pass["trap"],
               pass["copy"], pass["flip"], n, threshold
        printf "verdicts that differ between the strategies: %d; not as strategies.list has it: %d\n", differ, wrong
        printf "seconds of one processor: bare %.0f, trap %.0f, copy %.0f, flip %.0f\n", seconds["bare"], seconds["trap"],
               seconds["copy"], seconds["flip"]
        exit !(!differ && !wrong && pass["trap"] >= threshold && pass["copy"] >= threshold && pass["flip"] >= threshold)
    }' "$here/strategies.list" "$output"/{bare,trap,copy,flip}/results.tsv | tee "$output/table.txt"
exit "${PIPESTATUS[0]}"
