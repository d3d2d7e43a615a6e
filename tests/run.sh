#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs test programs and adds their results up.   tests/run.sh PROGRAM...
#
# A program ending in _test is a Check suite; any other prints TAP. Each one's output is kept in build/test-results/; what
# failed is shown. JOBS=N: how many at once. Closing line: N passed, N failed, N skipped.
set -u
results=build/test-results
rm -rf "$results"
mkdir -p "$results"
passed=0 failed=0 skipped=0

# add NAME TAP-FILE EXIT-STATUS: counts the TAP lines; an unhappy exit without a failed line is one failure more
add()
{
    local ok not_ok skip
    skip=$(grep -ciE '^ok\b.*# *skip' "$2")
    not_ok=$(grep -cE '^not ok\b' "$2")
    ok=$(( $(grep -cE '^ok\b' "$2") - skip ))
    if [ "$3" != 0 ] && [ "$not_ok" = 0 ]; then
        not_ok=1
        echo "  $1: exit status $3"
    fi
    if [ $((ok + not_ok + skip)) = 0 ]; then
        not_ok=1
        echo "  $1: ran no test"
    fi
    passed=$((passed + ok)) failed=$((failed + not_ok)) skipped=$((skipped + skip))
    printf '  %-44s %5d ok' "$1" "$ok"
    [ "$not_ok" = 0 ] || printf '  %d FAILED' "$not_ok"
    [ "$skip" = 0 ] || printf '  %d skipped' "$skip"
    echo
    if [ "$not_ok" != 0 ]; then
        grep -E -A8 '^not ok\b' "$2" | head -60
        [ ! -s "$2.err" ] || { echo "    --- stderr:"; tail -20 "$2.err"; }
    fi
}

# one PROGRAM: runs it; leaves its TAP, its standard error and, last, its exit status
one()
{
    local program=$1 file status
    file=$(place "$program")
    case $program in
    *_test)
        CK_TAP_LOG_FILE_NAME=$file CK_VERBOSITY=silent CK_DEFAULT_TIMEOUT=120 "$program" >"$file.out" 2>"$file.err"
        status=$?
        [ -f "$file" ] || cp "$file.out" "$file"
        ;;
    *)
        $program >"$file" 2>"$file.err"
        status=$?
        ;;
    esac
    echo $status >"$file.status.new"
    mv "$file.status.new" "$file.status"
}
place() { echo "$results/$(echo "${1#build/}" | tr '/ ' '__').tap"; }
export results
export -f one place

# As many at once as there are processors; told of in the order of the command line.
printf '%s\0' "$@" | xargs -0 -n 1 -P "${JOBS:-$(nproc)}" bash -c 'one "$1"' one &
for program in "$@"; do
    file=$(place "$program")
    while [ ! -f "$file.status" ] && kill -0 $! 2>/dev/null; do sleep 0.2; done
    [ -f "$file.status" ] || echo 1 >"$file.status"     # whoever ran it is gone
    [ -f "$file" ] || : >"$file"
    add "${program#build/}" "$file" "$(cat "$file.status")"
done
wait
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
