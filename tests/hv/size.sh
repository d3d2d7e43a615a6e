#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The size of the trusted core: lines of code in hv/, and lines of assembly among them, inline assembly included. Prints TAP.
set -u
cd "$(dirname "$0")/../.."
tests=0 failures=0

# Lines that are neither empty nor all comment.
code() { grep -hvE '^\s*(/?\*.*|#include.*)?$' "$@" | grep -c .; }
# Lines of __asm__ statements in C: from the word to the semicolon; and of macros that are such statements.
inline() { awk '/__asm__|(VMX|IN|OUT)\("/ { inside = 1 } inside { n++ } inside && /;[ \t]*(\\)?$/ { inside = 0 } END { print n + 0 }' "$@"; }

# at_most LIMIT COUNT WHAT
at_most()
{
    tests=$((tests + 1))
    if [ "$2" -le "$1" ]; then
        echo "ok $tests - $2 $3, at most $1"
    else
        echo "not ok $tests - $2 $3, at most $1"
        failures=$((failures + 1))
    fi
}
files=$(find hv -name '*.[chS]' -o -name '*.def')
at_most 8000 "$(code $files)" "lines of code in hv/"
at_most 320 $(($(code hv/x86/*.S) + $(inline hv/x86/*.c hv/x86/*.h))) "lines of assembly in hv/x86/"
echo "1..$tests"
[ $failures = 0 ]
