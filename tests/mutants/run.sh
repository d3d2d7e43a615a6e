#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Plants faults in the core, one at a time (rules.list), and sees whether a test or a rule notices (judge.sh). By make mutants.
#
#   tests/mutants/run.sh [--only EXPRESSION] [--sample COUNT [--seed SEED]] [--jobs N] [--report FILE] [--list]
#
#   --only      mutants whose line (rule, file, line, site, text) fits this extended regular expression
#   --sample    COUNT of them, chosen by SEED (1)
#   --report    the report goes to FILE.txt and FILE.tsv (build/report/mutants)
#   --list      prints the mutants and plants nothing
#
# Exit status: 0 if at least 95 % were noticed and equivalent.list is true,
# 1 if not, 2 for a mistake. The environment says how the core is compiled: HV_COMPILE, HV_WRAPS (make mutants sets them).
set -u
usage() { sed -n '5,13s/^# \{0,1\}//p' "$0"; }
die() { echo "mutants: $*" >&2; exit 2; }

here=tests/mutants mutants=build/mutants report=build/report/mutants
only=. sample= seed=1 jobs=2 list=
while [ $# -gt 0 ]; do
    case $1 in
    --only|--sample|--seed|--jobs|--report)
        [ $# -gt 1 ] || die "$1 needs a value (--help)"
        printf -v "${1#--}" %s "$2"
        shift ;;
    --list) list=yes ;;
    --help|-h) usage; exit 0 ;;
    *) die "unknown option \"$1\" (--help)" ;;
    esac
    shift
done
for number in "$sample" "$seed" "$jobs"; do
    [[ $number =~ ^[0-9]*$ ]] || die "\"$number\" is not a number"
done

perl $here/plant.pl sites $here/rules.list >"$mutants/sites" || exit 2
all=$(wc -l <"$mutants/sites")
grep -E -- "$only" "$mutants/sites" >"$mutants/chosen" || die "no mutant fits \"$only\""
if [ -n "$sample" ]; then
    perl -e 'srand(shift); my $n = shift; my @l = <>; my @c;
             push @c, splice(@l, int(rand(@l)), 1) while @l && $n--; print sort @c' "$seed" "$sample" "$mutants/chosen" \
        >"$mutants/sampled" && mv "$mutants/sampled" "$mutants/chosen"
fi
[ -z "$list" ] || { cat "$mutants/chosen"; exit 0; }

# ---- one mutant: NUMBER RULE FILE LINE SITE TEXT; prints it with its verdict ----
one()
{
    local number=$1 rule=$2 file=$3 line=$4 site=$5 text=$6 folder=$mutants/$1 verdict by source first objects=
    mkdir -p "$folder/$(dirname "$file")"
    perl $here/plant.pl plant $here/rules.list "$rule" "$file" "$site" >"$folder/$file" || exit 2
    case $file in
    *.c) sources=$file ;;
    *) sources=$(grep -lF "$file" $mutants/core/hv/*.d $mutants/core/hv/*/*.d | sed "s,^$mutants/core/,,; s/\.d$/.c/") ;;
    esac
    verdict=
    for source in $sources; do
        mkdir -p "$folder/$(dirname "$source")"
        [ -f "$folder/$source" ] || cp "$source" "$folder/$source"
        $HV_COMPILE -I"$folder" -I. -w -c -o "$folder/${source%.c}.o" "$folder/$source" 2>"$folder/out" || verdict=stillborn
    done
    if [ -z "$verdict" ]; then
        for source in $(cd $mutants/core && ls hv/*.o hv/*/*.o); do
            [ -f "$folder/$source" ] && objects="$objects $folder/$source" || objects="$objects $mutants/core/$source"
        done
        ld -shared -soname libsesqui-hv.so $HV_WRAPS -o "$folder/libsesqui-hv.so" $objects || exit 2
        case $file in *_flip.c|*.def) first=flip ;; *_copy.c) first=copy ;; *) first=trap ;; esac
        if by=$($here/judge.sh $mutants "$folder" $first); then verdict=killed; else verdict=survived; fi
    fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$rule" "$file" "$line" "$text" "$verdict" "${by:-}" >"$mutants/verdicts/$number"
    rm -rf "$folder"
}
export -f one
export here mutants HV_COMPILE HV_WRAPS CCACHE_DISABLE=1

# ---- what the judge needs, made once: scenarios with each strategy, transcripts of the bare machine ----
rm -rf "$mutants"/[0-9]* "$mutants/verdicts" "$mutants/scenarios" "$mutants/transcripts"
mkdir -p "$mutants/verdicts" "$mutants/transcripts" "$(dirname $report)" "$mutants"/scenarios/{trap,copy,flip}
export LD_LIBRARY_PATH=$mutants/core
for scenario in scenarios/*.scn scenarios/regressions/*.scn; do
    [ -f "$scenario" ] || continue
    "$mutants/sesqui" run "$scenario" --print >"$mutants/plain.scn" || die "$scenario does not parse"
    grep -q '^l0 native ' "$mutants/plain.scn" || continue
    for strategy in trap copy flip; do
        sed "s/^l0 native .*/l0 native $strategy/" "$mutants/plain.scn" >"$mutants/scenarios/$strategy/$(basename "$scenario")"
    done
done
for guest in turnstile, turnstile,la57 wicket, wicket,la57 wicket32, wicket32,pae; do
    "$mutants/sesqui" boot "build/guests/${guest%,*}.elf" --append "${guest#*,}" --console "$mutants/transcripts/$guest" \
        2>/dev/null || die "the guest hypervisor $guest fails on the bare machine"
done
cp -r "$mutants/core" "$mutants/0"
! by=$($here/judge.sh $mutants "$mutants/0") || die "the tests fail without a fault: $by"

count=$(wc -l <"$mutants/chosen")
start=$SECONDS
[ -t 2 ] && tty=yes || tty=
nl "$mutants/chosen" | while IFS=$'\t' read -r number rule file line site text; do
    printf '%s\0' "${number// /}" "$rule" "$file" "$line" "$site" "$text"
done | xargs -0 -n 6 -P "$jobs" bash -c 'one "$@"' one &
runner=$!
while kill -0 $runner 2>/dev/null; do
    sleep 2
    [ -z "$tty" ] || printf '\rmutants: %s of %s, %s s ' "$(ls "$mutants/verdicts" | wc -l)" "$count" $((SECONDS - start)) >&2
done
wait $runner || die 'a mutant could not be made'
[ -z "$tty" ] || echo >&2

cat $(ls -v "$mutants"/verdicts/*) >"$report.all"
perl $here/report.pl $here/rules.list $here/equivalent.list "$report.all" "$count" "$all" $((SECONDS - start)) "$report.tsv" | tee "$report.txt"
status=${PIPESTATUS[0]}
rm "$report.all"
exit "$status"
