#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# All scenarios against their golden traces, with the sanitizers; then `sesqui run` itself. Prints TAP.
#
#   SESQUI=build/asan/sesqui tests/cli/scenarios.sh
set -u
sesqui=${SESQUI:-build/asan/sesqui}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
number=0

# check NAME COMMAND...: one line of TAP
check()
{
    local name=$1
    shift
    number=$((number + 1))
    if "$@" >"$folder/log" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$folder/log" | head -20
    fi
}

status() { local want=$1; shift; "$@" >"$folder/out" 2>"$folder/err" </dev/null; [ $? = "$want" ]; }
says() { grep -qF -- "$1" "$folder/out" "$folder/err"; }
complains() { status 2 "$sesqui" run "${@:2}" && says "$1" && [ "$(wc -l <"$folder/err")" = 1 ]; }

# ---- every scenario, its lines of TAP as they are ----
timeout 600 "$sesqui" run scenarios --golden traces >"$folder/all" 2>"$folder/all.err"
ended=$?
grep -vE '^(TAP version|[0-9]+\.\.|# [0-9]+ passed)' "$folder/all"
number=$(grep -cE '^(not )?ok ' "$folder/all")
check "the run of all scenarios ended with status $ended" [ "$ended" = 0 ]
check "every scenario ran" [ "$number" -gt "$(ls scenarios/*.scn | wc -l)" ]
check "nothing was printed on stderr" [ ! -s "$folder/all.err" ]
check "every golden trace has its scenario" \
    diff <(ls traces | sed 's/\.trace$//') <(ls scenarios | sed -n 's/\.scn$//p')

check "the regressions, which have no golden traces" status 0 timeout 600 "$sesqui" run scenarios/regressions

# ---- golden traces ----
golden_writes()
{
    mkdir -p "$folder/golden"
    status 0 "$sesqui" run scenarios/bare-halt.scn --golden "$folder/golden" --update-golden &&
        cmp "$folder/golden/bare-halt.trace" traces/bare-halt.trace
}
golden_differs()
{
    sed -i '3s/$/ or not/' "$folder/golden/bare-halt.trace"
    status 1 "$sesqui" run scenarios/bare-halt.scn --golden "$folder/golden" && says 'bare-halt.trace:3: the trace differs' &&
        says 'golden:' && says 'now:'
}
golden_shorter()
{
    head -5 traces/bare-halt.trace >"$folder/golden/bare-halt.trace"
    status 1 "$sesqui" run scenarios/bare-halt.scn --golden "$folder/golden" && says 'bare-halt.trace:6: the trace differs'
}
golden_missing()
{
    rm "$folder/golden/bare-halt.trace"
    status 1 "$sesqui" run scenarios/bare-halt.scn --golden "$folder/golden" && says 'there is no golden trace'
}
check "--update-golden writes the trace" golden_writes
check "a golden trace that differs fails, with both lines" golden_differs
check "a golden trace that is shorter fails" golden_shorter
check "a golden trace that is missing fails" golden_missing

# ---- printing: a fixed point that runs like the original ----
print_is_stable()
{
    local scenario
    for scenario in scenarios/*.scn scenarios/regressions/*.scn; do
        "$sesqui" run "$scenario" --print >"$folder/first.scn" && "$sesqui" run "$folder/first.scn" --print >"$folder/second.scn" &&
            cmp "$folder/first.scn" "$folder/second.scn" || return 1
    done
}
printed_runs_alike()
{
    "$sesqui" run scenarios/headline-flip-with-vmclear.scn --print >"$folder/printed.scn" &&
        "$sesqui" run "$folder/printed.scn" --trace "$folder/printed.trace" &&
        cmp "$folder/printed.trace" traces/headline-flip-with-vmclear.trace
}
check "--print of every scenario prints itself again" print_is_stable
check "a printed scenario runs like the original" printed_runs_alike
reference_is_current() { "$sesqui" run --reference | cmp - docs/scenarios.md; }
check "docs/scenarios.md is what --reference prints" reference_is_current
# Trace lines quoted in the docs are lines of golden traces, without their indentation.
quoted_lines_are_real()
{
    local line
    grep -hE '^ +[0-9]+ +0 L[0-2] ' docs/headline.md | sed 's/^    //' >"$folder/quoted"
    [ -s "$folder/quoted" ] || return 1
    while IFS= read -r line; do
        cat traces/headline-*.trace | sed 's/^ *//' | grep -qxF -- "$(sed 's/^ *//' <<<"$line")" || { echo "$line"; return 1; }
    done <"$folder/quoted"
}
check "docs/headline.md quotes real traces" quoted_lines_are_real

# ---- failures and mistakes ----
failing_scenario()
{
    printf 'l0 cpuid 0\nexpect value 1\n' >"$folder/failing.scn"
    status 1 "$sesqui" run "$folder/failing.scn" && says 'not ok 1' && says 'failing.scn:2: expected the value 0x1'
}
broken_scenario()
{
    printf 'l0 cpuidd 0\n' >"$folder/broken.scn"
    status 1 "$sesqui" run "$folder/broken.scn" && says 'not ok 1' && says 'broken.scn:1: `cpuidd 0`: no such line'
}
binary_scenario()
{
    head -c 100000 "$sesqui" >"$folder/binary.scn"
    status 1 "$sesqui" run "$folder/binary.scn" && says 'not ok 1'
}
check "a failed expectation is status 1 with file and line" failing_scenario
check "a line that is none is status 1 with file and line" broken_scenario
check "a binary file is refused" binary_scenario
check "no scenario given" complains 'no scenario given'
check "a file that is not there" complains 'No such file' "$folder/nothing.scn"
check "an unknown option" complains 'unknown option' --golden-traces
check "--update-golden alone" complains 'needs --golden' scenarios/bare-halt.scn --update-golden
check "--seed without a number" complains 'is not a number' scenarios/bare-halt.scn --seed x
check "--help" status 0 "$sesqui" run --help
echo "1..$number"
