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
