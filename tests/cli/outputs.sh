#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `sesqui` writes: nothing before it can begin, nothing over what it reads, whole lines, within the limit, and never where the
# caller closed a stream. Prints TAP.
#
#   SESQUI=build/release/sesqui tests/cli/outputs.sh        after `make`
set -u
sesqui=$(realpath "${SESQUI:-build/release/sesqui}")
. "$(dirname "$0")/../tap.sh"
guests=$(realpath build/guests)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

cp "$guests/roundtrip.elf" image
cp "$guests/loop.elf" module
ln image image.hard
ln -s image image.soft
ln -s "$work" folder
printf 'l0 prepare vmx\nl0 prepare region 0x10000\nl0 vmxon 0x10000\n' >good.scn
cp good.scn part.scn
printf 'include part.scn\n' >includes.scn
printf 'nonsense\n' >bad.scn
printf 'precious\n' >precious
cp image image.copy; cp module module.copy; cp includes.scn includes.copy; cp good.scn good.copy
mkdir golden twins twins/a twins/b
cp good.scn twins/a/same.scn; cp good.scn twins/b/same.scn

untouched()
{
    cmp -s image image.copy && cmp -s module module.copy && cmp -s includes.scn includes.copy && cmp -s good.scn good.copy &&
        cmp -s part.scn good.copy && [ "$(cat precious)" = precious ] && [ ! -e new ]
}
# spared WORDS ARGUMENT...: status 2, one line with WORDS, nothing has changed on the disk
spared()
{
    local words=$1 status
    shift
    timeout 60 "$sesqui" "$@" >out 2>err </dev/null
    status=$?
    [ $status = 2 ] && [ "$(wc -l <err)" = 1 ] && grep -qF -- "$words" err && untouched
    result $? "$* -> $words" err
}

# ---- nothing that is read is written ----
for option in --trace --console --dump-vmcs --serial2; do
    for name in image image.hard image.soft ./image "$work/image" folder/image; do
        spared "is the image, which is read" boot image $option $name
    done
    spared "is a module, which is read" boot image --module "module words" $option module
    spared "is a module, which is read" boot image --initrd module $option module
done
spared "is a scenario, which is read" run good.scn --trace good.scn
spared "is a scenario, which is read" run good.scn includes.scn --dump-vmcs folder/includes.scn
spared "includes, which is read" run includes.scn --trace part.scn
spared "which is read" run includes.scn good.scn --golden golden --update-golden --trace part.scn
cp good.scn golden/good.trace
spared "is a scenario, which is read" run golden/good.trace good.scn --golden golden --update-golden
"$sesqui" run good.scn --golden golden --update-golden >out && cp golden/good.trace golden.copy
spared "is a golden trace, which is read" run good.scn --golden golden --trace golden/good.trace
spared "is the file of --trace, too" run good.scn --golden golden --update-golden --trace golden/good.trace
spared "golden trace of two scenarios" run twins/a twins/b --golden golden --update-golden --trace new
cmp golden/good.trace golden.copy
result $? "the golden trace is what it was"
cp image appended
"$sesqui" boot appended >>appended 2>err
[ $? = 2 ] && cmp appended image
result $? "standard output appended to the image is refused" err

# ---- no two outputs are one file ----
spared "is the file of --trace, too" boot image --trace new --console new
spared "is the file of --trace, too" boot image --trace precious --console precious
spared "is the file of --trace, too" boot image --trace new --dump-vmcs folder/new
spared "is the file of --dump-vmcs, too" boot image --serial2 new --dump-vmcs new
spared "is the file of --tsv, too" bench nested --tsv new --svg new
"$sesqui" boot image --trace both >both 2>err
[ $? = 2 ] && grep -q 'where standard output goes' err
result $? "a trace into the file of standard output is refused" err
"$sesqui" boot image --limit 1000 --trace both 2>both
[ $? = 2 ] && grep -q 'where standard error goes' both
result $? "a trace into the file of standard error is refused" both
"$sesqui" boot image --limit 1000 --no-console --trace /dev/null --dump-vmcs /dev/null --serial2 - 2>err >out
[ $? = 120 ]
result $? "devices may be shared" err

# ---- nothing is touched before the command can begin ----
for output in precious new; do
    for mistake in "missing" "module --memory 1" "image --memory 7G" "image --cpus 81" "image --initrd missing" "good.scn" \
                   "image --serial2 missing/x" "image --vmx nonsense" "image --hv trap" "image image" "--nonsense image" "/"; do
        # shellcheck disable=SC2086
        timeout 60 "$sesqui" boot --trace $output $mistake >out 2>err </dev/null
        [ $? = 2 ] && untouched
        result $? "boot $mistake --trace $output: the file is as it was" err
    done
done
"$sesqui" boot image --limit 1000000 --trace precious --trace last 2>err
[ -s last ] && untouched
result $? "of an output that is given twice the first is not touched" err
spared "No such file" run missing.scn --trace new
"$sesqui" run bad.scn --trace precious >out 2>err
[ $? = 1 ] && untouched
result $? "scenarios of which none can run leave the trace as it was" out
"$sesqui" run bad.scn good.scn --trace fresh >out 2>err
[ $? = 1 ] && grep -q vmxon fresh
result $? "those that can run are traced" out
"$sesqui" run good.scn --print --trace precious >out 2>err && untouched
result $? "--print writes no trace" err
spared "unknown exit" bench nested --exit nonsense --tsv precious

# ---- a trace: whole lines, a limit, errors ----
whole() { [ -s "$1" ] && [ "$(tail -c 1 "$1" | od -An -c | tr -d ' ')" = '\n' ]; }
for limit in 1K 64K 1M; do
    "$sesqui" boot image --limit 2000000 --trace trace --trace-limit $limit >out 2>err
    [ $? = 120 ] && whole trace && [ "$(stat -c %s trace)" -le "$(numfmt --from=iec $limit)" ] &&
        [ "$(stat -c %s trace)" -gt $(($(numfmt --from=iec $limit) - 500)) ] &&
        tail -1 trace | grep -qE '^ *[0-9]+ +[0-9]+ L[0-2] trace-end ' && grep -q 'ends at its limit' err
    result $? "--trace-limit $limit: the trace stays below, its last line says so" err
done
"$sesqui" boot image --trace unlimited --trace-limit 0 --limit 1000000 >out 2>err
"$sesqui" boot image --trace roomy --limit 1000000 >out 2>err
cmp unlimited roomy && ! grep -q trace-end roomy && [ "$(stat -c %s roomy)" -gt 65536 ]
result $? "--trace-limit 0, and a trace within the limit, are whole and alike" err
{ echo 'l0 prepare vmx'; for _ in $(seq 20); do echo 'l0 prepare region 0x10000'; done; } >long.scn
"$sesqui" run long.scn long.scn long.scn --trace trace --trace-limit 1K >out 2>err
[ $? = 0 ] && whole trace && [ "$(stat -c %s trace)" -le 1024 ] && [ "$(grep -c trace-end trace)" = 1 ] && tail -1 trace | grep -q trace-end
result $? "run: one limit for the file, one end line" err
"$sesqui" boot image --trace - --no-console --limit 1000000 --trace-limit 1K 2>err | tail -1 | grep -q trace-end
result $? "the limit holds for standard output, too" err

(ulimit -f 40; "$sesqui" boot image --limit 1000000 --trace full >out 2>err)
[ $? = 2 ] && whole full && [ "$(grep -c full err)" = 1 ] && grep -q 'full could not be written in full: File too large' err
result $? "a file that cannot grow: status 2, one line, the trace ends with a whole line" err
"$sesqui" boot image --trace killed >out 2>err &
for _ in $(seq 200); do [ -s killed ] && break; sleep 0.05; done
kill -KILL $!
wait $! 2>/dev/null
whole killed
result $? "a run that was killed leaves whole lines" err

# ---- standard streams ----
cd - >/dev/null || exit 1
err=$work/err
full()      # ARGUMENT...
{
    timeout 120 "$sesqui" "$@" >/dev/full 2>"$err" </dev/null
    [ $? = 2 ] && [ "$(grep -c 'written in full' "$err")" = 1 ]
    result $? "$*: a full disk beneath standard output is status 2" "$err"
}
for arguments in --help --version help "help boot" "boot --help" "boot --vmx help" "run --help" "run --reference" "checks" "checks --markdown" \
                 "checks --help" "check-vmcs --help" "bench --help" "run $work/good.scn" "run $work/good.scn --print" \
                 "run $work/good.scn --trace -" "boot build/guests/turnstile.elf --explain=none" "boot build/guests/turnstile.elf --no-console --trace -" \
                 "boot build/guests/turnstile.elf --no-console --dump-vmcs -" "bench nested --exit cpuid --no-instructions --tsv -"; do
    # shellcheck disable=SC2086
    full $arguments
done
for output in --trace --console --dump-vmcs; do
    timeout 60 "$sesqui" boot build/guests/turnstile.elf --explain=none $output /dev/full >/dev/null 2>"$err"
    [ $? = 2 ] && [ "$(grep -c 'written in full' "$err")" = 1 ]
    result $? "$output /dev/full is status 2" "$err"
done

# Warnings that nobody could read; a closed stream is somebody's wish.
"$sesqui" boot build/guests/mistakes.elf --append ept-without-invept --no-console >/dev/null 2>/dev/full </dev/null
[ $? = 2 ]
result $? "a full disk beneath standard error is status 2"
"$sesqui" boot build/guests/mistakes.elf --append ept-without-invept --no-console >/dev/null 2>&- </dev/null
[ $? = 0 ]
result $? "a closed standard error changes no status"

# Streams that the caller closed: what would go there goes nowhere, least of all into a file.
cd "$work" || exit 1
"$sesqui" boot "$guests/turnstile.elf" --trace trace --hv >plain.out 2>plain.err; cp trace plain
"$sesqui" boot "$guests/turnstile.elf" --trace trace --hv >&- 2>err
[ $? = 2 ] && grep -q 'standard output' err && cmp trace plain
result $? ">&-: the console is not in the trace" err
"$sesqui" boot "$guests/turnstile.elf" --trace trace --hv 2>&- >out
[ $? = 0 ] && cmp trace plain && cmp out plain.out
result $? "2>&-: messages are not in the trace" out
"$sesqui" boot "$guests/turnstile.elf" --trace trace --hv <&- >&- 2>&-
[ $? = 2 ] && cmp trace plain
result $? "<&- >&- 2>&-: the trace is the same"
"$sesqui" boot "$guests/turnstile.elf" --hv --console console --trace trace <&- >&- 2>err
[ $? = 0 ] && cmp trace plain && cmp console plain.out
result $? "<&- >&-: nobody needs them with --console" err
"$sesqui" boot "$guests/turnstile.elf" --hv --trace /dev/stdout >out 2>err --no-console
[ $? = 0 ] && cmp out plain
result $? "/dev/stdout is standard output" err
printf 'kept\n' >out
"$sesqui" boot "$guests/turnstile.elf" --hv --trace /dev/stdout --no-console >>out 2>err
[ "$(head -1 out)" = kept ] && tail -n +2 out | cmp - plain
result $? "/dev/stdout is not emptied" err
finish
