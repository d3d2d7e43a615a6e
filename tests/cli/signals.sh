#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The first signal ends a run with a report and a status, and keeps what was written; host memory stays bounded.   Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/../tap.sh"

# stopped SIGNAL IMAGE OPTION...: boots the image, waits until its first line on stderr, sends the signal; sets status
stopped()
{
    local signal=$1 image=$2 pid
    shift 2
    "$sesqui" boot "build/guests/$image.elf" "$@" --no-console --trace "$work/trace" >/dev/null 2>"$work/err" </dev/null &
    pid=$!
    for _ in $(seq 600); do
        [ -s "$work/err" ] && break
        sleep 0.1
    done
    kill -"$signal" $pid
    wait $pid
    status=$?
}

stopped TERM mistakes --append jump-to-itself
[ $status = 143 ] && grep -q 'interrupted by signal 15' "$work/err" && grep -q 'processor 0, L0: rip .*<jump_to_itself.*: jmp' "$work/err"
result $? "SIGTERM: status 143, and where the processor is" "$work/err"
[ "$(tail -c 1 "$work/trace" | od -An -c | tr -d ' ')" = '\n' ]
result $? "the trace ends with a whole line" "$work/trace"

"$sesqui" boot build/guests/turnstile.elf --trace "$work/trace" 2>"$work/err" </dev/null | head -c 10 >"$work/console"
status=${PIPESTATUS[0]}
[ "$status" = 2 ] && grep -q 'standard output could not be written in full' "$work/err" && [ -s "$work/trace" ] &&
    [ "$(tail -c 1 "$work/trace" | od -An -c | tr -d ' ')" = '\n' ]
result $? "a reader that goes away: status 2, and the trace ends with a whole line" "$work/err"

stopped TERM mistakes --append rip-not-advanced --hv
[ $status = 143 ] && grep -q 'the same VM exit cpuid at guest rip 0x8000' "$work/err"
result $? "SIGTERM over the core: status 143, and the exit that repeats" "$work/err"

# Scenarios: what has run is told, and what has not; the trace is kept.
long="$work/long.scn"
{ cat scenarios/parts/root.scn; printf 'repeat 1000\nrepeat 900\nl0 vmread guest_rip\nend\nend\n'; } >"$long"
for signal in INT TERM; do
    # A shell whose caller ignores SIGINT, as of jobs in the background, cannot set it back.
    perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$sesqui" run scenarios/bare-halt.scn "$long" "$long" "$long" "$long" "$long" --trace "$work/trace" >"$work/out" 2>"$work/err" </dev/null &
    pid=$!
    for _ in $(seq 600); do
        grep -q '^ok 1 - ' "$work/out" && break
        sleep 0.05
    done
    kill -$signal $pid
    wait $pid
    status=$?
    want=$([ $signal = INT ] && echo 130 || echo 143)
    [ $status = $want ] && grep -q "^Bail out! SIG$signal: [1-5] of 6 scenarios did not run to their end\$" "$work/out" && ! grep -q '^not ok' "$work/out" &&
        grep -q '^# [1-5] passed, 0 failed$' "$work/out" && grep -q 'long.scn:[0-9]*: interrupted before this line' "$work/out"
    result $? "SIG$signal ends a run of scenarios: status $want, and what ran" "$work/out"
    [ "$(tail -c 1 "$work/trace" | od -An -c | tr -d ' ')" = '\n' ]
    result $? "its trace ends with a whole line" "$work/out"
done
"$sesqui" run scenarios --trace - 2>"$work/err" </dev/null | head -c 10 >"$work/console"
status=${PIPESTATUS[0]}
[ "$status" = 2 ]
result $? "scenarios for a reader that goes away: status 2" "$work/err"

# What is translated is bounded: 128 MB beyond the guest's own memory.
"$sesqui" boot build/guests/mistakes.elf --append jump-to-zeros --memory 256M --no-console --limit 600000 2>"$work/err" >/dev/null &
pid=$! most=0
while kill -0 $pid 2>/dev/null; do
    now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status 2>/dev/null)
    [ -n "$now" ] && [ "$now" -gt $most ] && most=$now
    sleep 0.05
done
wait $pid
echo "# at most $most KB" >>"$work/err"
[ "$most" -gt 0 ] && [ "$most" -lt $(((256 + 128) * 1024)) ]
result $? "a run through zeros takes less than 128 MB beyond the guest's memory" "$work/err"
finish
