#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the tests of a coverage build and writes the HTML report.   tests/coverage.sh BUILD TEST-PROGRAM...
set -eu
build=$1
shift
find "$build" -name '*.gcda' -delete
tests/run.sh "$@" || echo "coverage of a failing run"
"$build/sesqui" run scenarios >/dev/null || true
report=build/report/coverage
mkdir -p "$report"
lcov --quiet --capture --directory "$build" --base-directory . --no-external --rc lcov_branch_coverage=1 \
    --output-file "$report/all.info"
lcov --quiet --remove "$report/all.info" '*/tests/*' --rc lcov_branch_coverage=1 --output-file "$report/sesqui.info"
genhtml --quiet --branch-coverage --output-directory "$report" "$report/sesqui.info"
lcov --summary "$report/sesqui.info" --rc lcov_branch_coverage=1 2>&1 | grep -E 'lines|functions|branches'
echo "exclusions: tests/ only. Report: $report/index.html"
