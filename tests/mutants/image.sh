#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A few faults in the core's back end on the metal, others with each commit: most of them the tests must notice. All of them: make mutants-image. Prints TAP.
#
#   tests/mutants/image.sh [SEED]     by SEED instead of the commit, to see again what a run has shown
set -u
count=25 most=9 report=build/report/mutants-image-smoke
seed=${1:-$(git rev-parse HEAD 2>/dev/null || echo none)}
mkdir -p "$(dirname $report)"
rm -f $report.tsv
make -s --no-print-directory VARIANT=release mutants-image \
    MUTANT_OPTIONS="--quick --sample $count --seed $seed --budget 50 --report $report" >$report.log 2>&1
number=0 survived=0
while IFS=$'\t' read -r rule file line text verdict by; do
    [ "$rule" != rule ] || continue
    number=$((number + 1))
    case $verdict in
    killed|equivalent) echo "ok $number - $file:$line, $rule: $verdict ($by)" ;;
    survived) survived=$((survived + 1)); echo "ok $number - $file:$line, $rule: survived, one of at most $most that may"; echo "# $text" ;;
    *) echo "not ok $number - $file:$line, $rule: $verdict: $text" ;;
    esac
done < <(cat $report.tsv 2>/dev/null)
verdict=ok
[ $number -ge 5 ] || { verdict='not ok'; tail -5 $report.log | sed 's/^/# /'; }
echo "$verdict $((number + 1)) - $number mutants were judged (seed $seed)"
[ $survived -le $most ] && verdict=ok || verdict='not ok'
echo "$verdict $((number + 2)) - $survived of $number survived"
echo "1..$((number + 2))"
[ $number -ge 5 ] && [ $survived -le $most ]
