#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Random programs of system-level instructions on our bare machine and on Bochs: what each leaves behind must be the same, or be
# explained by a row of ledger.tsv (docs/processor.md).
set -u
here=$(dirname "$0")
sesqui=${SESQUI:-build/release/sesqui}
image=build/processor/programs.elf
# 48-bit linear addresses on both sides; what else of CR4, EFER and CPUID one of them lacks no program touches.
profile=skylake cpu=corei7_icelake_u
usage()
{
    cat <<'END'
tests/processor/processor.sh [OPTION...]

    --exits       the same programs as guests under random controls, VM exit by VM exit (tests/exits)
    --count N     programs (default 300)
    --seed S      seed (default 1)
    --first I     the first of them (default 0)
    --show N      print so many differences (default 20)
    --stale       a row of the ledger that explains nothing, and names no program that it was seen with, is a failure
    --keep DIR    keep what both machines told there, and the differences
    --record      write down as digests what both told alike (recorded.list beside the ledger)
    --recorded    without Bochs: compare with what has been written down
    --programs    exit status 0 if the image makes the programs that have been written down
    --progress    say on stderr how far it is

Prints TAP. A processor that shuts down (a triple fault) ends its run: the batch goes on behind that program. One program, with
its code and tables:  sesqui boot --vmx-profile skylake build/processor/programs.elf --append "first=I count=1 code"
END
}
complain() { echo "processor.sh: $1 (try --help)" >&2; exit 2; }
ledger=$here/ledger.tsv
count=300 seed=1 first=0 keep="" show=20 stale=0 progress="" record=""
while [ $# -ge 1 ]; do
    case $1 in
    --help) usage; exit 0 ;;
    --stale) stale=1; shift; continue ;;
    --progress) progress=1; shift; continue ;;
    --record | --recorded | --programs) record=${1#--}; shift; continue ;;
    --exits) image=build/exits/exits.elf ledger=$here/../exits/ledger.tsv; shift; continue ;;
    --count | --seed | --first | --show | --keep) [ $# -ge 2 ] || complain "$1 needs a value" ;;
    *) complain "$1: no such option" ;;
    esac
    case $1 in
    --count) count=$2 ;;
    --seed) seed=$2 ;;
    --first) first=$2 ;;
    --show) show=$2 ;;
    --keep) keep=$2 ;;
    esac
    shift 2
done
for number in "$count" "$seed" "$first" "$show"; do
    [[ $number =~ ^[0-9]{1,9}$ ]] || complain "\"$number\" is no number that makes sense here"
done
[ -z "$record" ] || [ "$seed" = 1 ] || complain "seed 1 alone is recorded"
recorded=$(dirname $ledger)/recorded.list
[ "$record" = recorded ] || [ "$record" = programs ] || message=$("${BOCHS:-$here/../metal/bochs.sh}" --installed 2>&1) || { echo "1..0 # SKIP $message"; exit 0; }
[ -e $image ] || [ "$record" != programs ] || exit 1
[ -e $image ] || { echo "1..0 # SKIP $image is not built: make tests"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A program that jumps into anything may also run for ever: ours runs first, and finds those.
ours() { "$sesqui" boot --vmx-profile $profile --explain=none --limit $((slice * 500000)) $image --append "$1" --console "$work/part" 2>>"$work/messages"; }
bochs()
{
    "${BOCHS:-$here/../metal/bochs.sh}" --cpu $cpu --limit 7200 --debug-port "$work/part" --append "$1" $image >/dev/null 2>>"$work/messages"
}

# Of the code, tables and registers of the first ten programs.
made()
{
    "$sesqui" boot --vmx-profile $profile --explain=none --limit 25000000 build/processor/programs.elf --append "e9 code seed=1 first=0 count=10" \
        --console "$work/part" 2>>"$work/messages"
    grep '^#' "$work/part" | cksum | cut -d' ' -f1
}
if [ "$record" = programs ]; then
    grep -qx "# programs: $(made)" "$recorded"
    exit
fi

# Runs programs first to first + count - 1 on one of the two, into a file: one line for each step.
batch()
{
    local run=$1 to=$2 at=$first end=$((first + count)) status last slice skip
    : >"$to"
    while [ $at -lt $end ]; do
        slice=1000              # ours by few, so that one without an end is told soon
        [ $run != ours ] || [ "$record" = recorded ] || slice=50
        slice=$((end - at < slice ? end - at : slice))
        skip=$(awk -v at=$at '$1 >= at { print $1; exit }' "$work/endless")
        if [ "${skip:-$end}" = $at ]; then
            [ $run = ours ] || grep "^$at\." "$work/ours" >>"$to"
            at=$((at + 1))
            continue
        fi
        [ "${skip:-$end}" -ge $((at + slice)) ] || slice=$((skip - at))
        rm -f "$work/part"
        $run "e9 seed=$seed first=$at count=$slice"
        status=$?
        [ -e "$work/part" ] || { echo "# $run said nothing, status $status: $(tail -1 "$work/messages")"; return 1; }
        grep '^[0-9]*\.[0-9]* ' "$work/part" >"$work/lines"
        [ -z "$progress" ] || echo "$run: $at of $end" >&2
        if grep -q '^done' "$work/part"; then
            cat "$work/lines" >>"$to"
            at=$((at + slice))
            continue
        fi
        # The last line is that of the step that shut the processor down, or does not end.
        last=$(tail -1 "$work/lines" | cut -d. -f1)
        case $run/$status in
        */121) sed '$s/:.*/: shutdown=1/' "$work/lines" >>"$to" ;;
        ours/120) sed '$s/:.*/: endless=1/' "$work/lines" >>"$to"; echo "${last:-$at}" >>"$work/endless" ;;
        *) echo "# $run ended with status $status at $(tail -1 "$work/lines" | cut -c1-60): $(tail -1 "$work/messages")"; return 1 ;;
        esac
        at=$((${last:-$at} + 1))
    done
}

: >"$work/endless"
if [ "$record" = recorded ]; then
    [ -e "$recorded" ] || { echo "not ok 1 - $recorded: nothing is recorded (--record)"; echo "1..1"; exit 1; }
    sed -n 's/ endless$//p' "$recorded" >"$work/endless"
    batch ours "$work/ours" || { echo "not ok 1 - $count programs ran"; echo "1..1"; exit 1; }
    perl "$here/recorded.pl" compare "$recorded" "$work/ours" >"$work/verdict"
    status=$?
    [ $status = 0 ] || printf 'not '
    echo "ok 1 - $count programs of seed $seed left the same behind as on Bochs when it was asked (recorded.list)"
    sed 's/^/# /' "$work/verdict"
    echo "1..1"
    exit $status
fi
batch ours "$work/ours" && batch bochs "$work/bochs" || { echo "not ok 1 - both ran $count programs"; echo "1..1"; exit 1; }
awk -v stale=$stale -v show="$show" -f "$here/compare.awk" "$ledger" "$work/ours" "$work/bochs" >"$work/verdict"
status=$?
[ -z "$keep" ] || cp "$work/ours" "$work/bochs" "$work/verdict" "$keep"
if [ "$record" = record ]; then
    {
        echo "# What random programs leave behind on our machine and on Bochs 2.7 alike: PROGRAM of seed $seed, and a digest of each step's line up to"
        echo "# the first difference (docs/processor.md). After a change of the programs: tests/processor/processor.sh --record"
        echo "# programs: $(made)"
        perl "$here/recorded.pl" write "$work/ours" "$work/bochs"
    } >"$recorded"
fi
[ $status = 0 ] || printf 'not '
echo "ok 1 - $count programs of seed $seed left the same behind on both, or what the ledger says"
sed 's/^/# /' "$work/verdict"
echo "1..1"
exit $status
