#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sixty faults in the machine, others with each commit: most of them the unit tests and scenarios must notice. All of them: make mutants-machine. Prints TAP.
#
#   tests/mutants/machine.sh [SEED]     by SEED instead of the commit, to see again what a run has shown
set -u
# Of 382 drawn from all rooms 26 % survived, weighted by the places in each a quarter (docs/mutants.md), before the tests that came since: even
# then more than 24 of 60 come by chance in less than one run in 100.
count=60 most=24 report=build/report/mutants-machine-smoke
seed=${1:-$(git rev-parse HEAD 2>/dev/null || echo none)}
mkdir -p "$(dirname $report)"
rm -f $report.tsv
make -s --no-print-directory VARIANT=release mutants-machine-quick \
    MUTANT_OPTIONS="--quick --sample $count --seed $seed --report $report" >$report.log 2>&1
number=0 survived=0
while IFS=$'\t' read -r rule file line text verdict how by; do
    [ "$rule" != rule ] || continue
    number=$((number + 1))
    case $verdict in
    killed) echo "ok $number - $file:$line, $rule: noticed by $by ($how)" ;;
    equivalent | stillborn) echo "ok $number - $file:$line, $rule: $verdict" ;;
    'survived, known') echo "ok $number - $file:$line, $rule: survives, which is known (survivors.list)" ;;
    survived) survived=$((survived + 1)); echo "ok $number - $file:$line, $rule: survived, one of at most $most that may"; echo "# $text" ;;
    *) echo "not ok $number - $file:$line, $rule: $verdict: $text" ;;
    esac
done < <(cat $report.tsv 2>/dev/null)
[ $number = $count ] && echo "ok $((number + 1)) - $count mutants were made" ||
    { echo "not ok $((number + 1)) - $count mutants were made"; tail -5 $report.log | sed 's/^/# /'; }
verdict=ok
[ $survived -le $most ] || verdict='not ok'
echo "$verdict $((number + 2)) - $survived of $count survived that are in no list (seed $seed)"
echo "1..$((number + 2))"
[ $number = $count ] && [ $survived -le $most ]
