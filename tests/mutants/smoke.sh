#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A few mutants, always the same: faults of the core that the tests must notice. All of them: make mutants. Prints TAP.
set -u
count=10 report=build/report/mutants-smoke
mkdir -p "$(dirname $report)"
rm -f $report.tsv
make -s --no-print-directory VARIANT=release mutants-core MUTANT_OPTIONS="--sample $count --seed 2 --report $report" >$report.log 2>&1
number=0
while IFS=$'\t' read -r rule file line text verdict by; do
    [ "$rule" != rule ] || continue
    number=$((number + 1))
    case $verdict in
    killed|equivalent) echo "ok $number - $file:$line, $rule: $verdict ($by)" ;;
    *) echo "not ok $number - $file:$line, $rule: $verdict: $text" ;;
    esac
done < <(cat $report.tsv 2>/dev/null)
if [ $number != $count ]; then
    number=$((number + 1))
    echo "not ok $number - $count mutants were made"
    tail -5 $report.log | sed 's/^/# /'
fi
echo "1..$number"
