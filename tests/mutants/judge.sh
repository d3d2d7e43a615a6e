#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the tests of the core, cheapest first, until one fails.   tests/mutants/judge.sh MUTANTS CORE [STRATEGY]
#
# MUTANTS is the folder that run.sh has prepared, CORE the folder of a libsesqui-hv.so; scenarios with STRATEGY come first. Prints what failed, and how; exit
# status 0 if something did, 1 if nothing did. A test that does not end in time has failed.
set -u
mutants=$1 core=$2 first=${3:-trap}
export LD_LIBRARY_PATH=$core CK_FORK=no
ulimit -v 16000000      # KB
ulimit -c 0

# within SECONDS COMMAND...: its output is in CORE/out
within() { timeout -k 1 "$@" >"$core/out" 2>&1 </dev/null; }

# killed WHAT STATUS
killed()
{
    case $2 in
    124|137) echo "$1: no end" ;;
    129|13[0-9]) echo "$1: signal $(($2 - 128))" ;;
    *) echo "$1: $(reason)" ;;
    esac
    exit 0
}

# The first complaint of a run, as one of the ways in which a fault can show.
reason()
{
    case $(grep -m1 -E '^# |rule broken|rule R[0-9]|^[^ ]+:[0-9]+:[FE]:|^program ' "$core/out") in
    *'rule was broken'*|*'rule broken'*|*'rule R'*) grep -m1 -oE '(rule was broken|rule R[0-9]+|rule broken).*' "$core/out" | cut -c1-100 ;;
    *'golden trace'*) echo 'golden trace' ;;
    *'L0 stopped'*|*'native L0'*) grep -m1 -oE '(L0 stopped|native L0).*' "$core/out" | cut -c1-100 ;;
    *) grep -m1 -E '^# |^[^ ]+:[0-9]+:[FE]:|^program ' "$core/out" | sed 's/^# //; s/.*mutants\/scenarios\///' | cut -c1-100 ;;
    esac
}

within 60 "$mutants/tests/capability_test" || killed capability_test $?
for strategy in $first $(printf '%s\n' trap copy flip | grep -vx "$first"); do
    within 30 "$mutants/sesqui" run --stop "$mutants/scenarios/$strategy" || killed "scenarios, $strategy" $?
done
for strategy in copy flip; do       # they serve L1's VMREADs without exits: what they are for (tests/hv/strategies.sh)
    within 30 "$mutants/sesqui" run "$mutants/scenarios/$strategy/nested-cpuid.scn" --trace - || killed "$strategy" $?
    ! grep -q 'exit  *vmread' "$core/out" || killed "$strategy shadows nothing" 1
done
for folder in . regressions; do
    [ ! -d "traces/$folder" ] || within 30 "$mutants/sesqui" run --stop "scenarios/$folder" --golden "traces/$folder" ||
        killed 'golden traces' $?
done
for test in $(ls "$mutants"/tests/*_test | grep -v '/c[a-z]*_test'); do
    within 60 "$test" || killed "$(basename "$test")" $?
done
within 120 "$mutants/equivalence" --programs 1000 --out "$core" || killed equivalence $?
# The guest hypervisors print the same as on the bare machine, whose transcripts are there: IMAGE,OPTION
for transcript in "$mutants"/transcripts/*; do
    guest=$(basename "$transcript") image=${guest%%,*}
    for strategy in trap copy flip; do
        within 60 "$mutants/sesqui" boot "build/guests/$image.elf" --append "${guest#*,}" --hv=$strategy --limit 30000000 \
            --console "$core/console"
        status=$?
        [ $status = 0 ] || killed "$guest, $strategy" $status
        cmp -s "$core/console" "$transcript" || killed "$guest, $strategy" 1
    done
done
# A processor on which VMWRITE refuses VM-exit information, which the strategies with shadow VMCSs need.
within 60 "$mutants/sesqui" boot build/guests/turnstile.elf --hv=trap --vmx -vmwrite_any --limit 30000000 ||
    killed 'turnstile without vmwrite_any' $?
# Late load, and back (docs/metal.md): the program says itself whether all is as it expects.
for strategy in trap copy flip; do
    for options in '--cpus 1' '--cpus 2 --append two'; do
        within 60 "$mutants/sesqui" boot build/guests/slide.elf --hv=$strategy --late --strict --limit 30000000 $options ||
            killed "slide $options, $strategy" $?
    done
done
within 120 "$mutants/tests/cpus_test" || killed cpus_test $?
exit 1
