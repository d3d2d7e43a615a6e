#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots images that are wrong, or do what no guest should. Each must end with the exit status of its case and one line of
# explanation, never with a crash, a hang or a sanitizer's report. Every build that is there is tried.   Prints TAP.
set -u
bad=build/guests/bad
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests=0 failures=0

# expect STATUS IMAGE OPTION...
expect()
{
    local wanted=$1 name=$2 status
    shift 2
    timeout -s KILL 120 "$sesqui" boot "$bad/$name.elf" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    tests=$((tests + 1))
    if [ "$status" = "$wanted" ] && { [ "$wanted" -lt 100 ] && [ "$wanted" != 2 ] && [ "$wanted" != 99 ] || [ -s "$work/err" ]; } &&
        ! grep -qE 'Sanitizer|runtime error' "$work/err"; then
        echo "ok $tests - $sesqui $name $*: status $status"
    else
        echo "not ok $tests - $sesqui $name $*: status $status, expected $wanted"
        tail -3 "$work/err" | sed 's/^/# /'
        failures=$((failures + 1))
    fi
}

for sesqui in ${SESQUI:-build/release/sesqui build/asan/sesqui}; do
    [ -x "$sesqui" ] || continue
    for hv in "" --hv=trap; do
        expect 120 endless --limit 1000000 $hv
        expect 120 endless_exceptions --limit 1000000 $hv
        expect 121 triple_fault --limit 1000000 $hv
        expect 121 no_lme --limit 1000000 $hv
        expect 121 bad_idt --limit 1000000 $hv
        expect 121 dead_halt --limit 1000000 $hv
        expect 7 exit_7 --limit 1000000 $hv
        expect 99 exit_unknown --limit 1000000 $hv
        expect 121 vmx_uninitialised --feature-control 0 --limit 1000000 $hv
        expect 121 stack_mmio --limit 1000000 $hv
        expect 121 jump_unmapped --limit 1000000 $hv
        expect 121 jump_mmio --limit 1000000 $hv
        expect 0 no_multiboot --limit 1000000 $hv
    done
    for image in empty truncated segment_beyond_file segment_offset_wraps segment_address_wraps segment_beyond_memory \
                 segment_file_exceeds_memory headers_beyond_file headers_count headers_size entry_outside checksum \
                 flags_unknown; do
        expect 2 $image
    done
done
echo "1..$tests"
[ $failures = 0 ] && [ $tests != 0 ]
