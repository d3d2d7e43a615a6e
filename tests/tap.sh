# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by the test programs that print TAP.
tests=0 failures=0

# result STATUS TEXT [FILE]: a TAP line; FILE, or its two ends, explains a failure
result()
{
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tests - $2"
        return
    fi
    failures=$((failures + 1))
    echo "not ok $tests - $2"
    [ -z "${3:-}" ] || awk '{ line[NR] = substr($0, 1, 400) }
        END { for (i = 1; i <= NR; i++) if (i <= 20 || i > NR - 20) print "# " line[i] }' "$3"
}

# The last line of all; the exit status is 0 if nothing failed.
finish()
{
    echo "1..$tests"
    [ $failures = 0 ]
}
