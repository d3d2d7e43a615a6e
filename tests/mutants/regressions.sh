#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each regression scenario that names a fault of the core must fail when that fault is planted. Prints TAP.
#
#   tests/mutants/regressions.sh [--only EXPRESSION] [--list]
#
#   --only      scenarios whose name, with their fault, fits this extended regular expression
#   --list      prints them, with the fault of each, and plants nothing
#
# Exit status: 0 if each noticed its fault, 1 if not, 2 for a mistake. The environment says how the core is compiled: HV_COMPILE, CC (make regressions
# sets them, and passes REGRESSION_OPTIONS).
#
# The line is `# Fault: FILE: TEXT => TEXT`: the first text stands in FILE, where the second takes its place.
set -u
usage() { sed -n '5,11s/^# \{0,1\}//p' "$0"; }
die() { echo "regressions: $*" >&2; exit 2; }

only=. list=
while [ $# -gt 0 ]; do
    case $1 in
    --only)
        [ $# -gt 1 ] || die "$1 needs a value (--help)"
        only=$2
        shift ;;
    --list) list=yes ;;
    --help|-h) usage; exit 0 ;;
    *) die "unknown option \"$1\" (--help)" ;;
    esac
    shift
done
mutants=build/mutants folder=build/mutants/regressions
. "$(dirname "$0")/../tap.sh"

# with STRATEGY FILE: prints the scenario with that strategy
with() { LD_LIBRARY_PATH=$mutants/core "$mutants/sesqui" run "$2" --print | sed "s/^l0 native .*/l0 native $1/"; }

# plant FILE TEXT TEXT: builds $folder/libsesqui-hv.so
plant()
{
    local file=$1 source objects= sources=$1
    rm -rf "$folder"
    mkdir -p "$folder/$(dirname "$file")"
    FROM=$2 TO=$3 perl -0777 -pe '$found = s/\Q$ENV{FROM}\E/$ENV{TO}/; END { exit !$found }' "$file" >"$folder/$file" || return 1
    case $file in *.c) ;; *) sources=$(grep -lF "$file" $mutants/core/hv/*.d $mutants/core/hv/*/*.d | sed "s,^$mutants/core/,,; s/\.d$/.c/") ;; esac
    for source in $sources; do
        mkdir -p "$folder/$(dirname "$source")"
        [ -f "$folder/$source" ] || cp "$source" "$folder/$source"
        $HV_COMPILE -I"$folder" -I. -w -c -o "$folder/${source%.c}.o" "$folder/$source" 2>"$folder/log" || return 1
    done
    for source in $(cd $mutants/core && ls hv/*.o hv/*/*.o); do
        [ -f "$folder/$source" ] && objects="$objects $folder/$source" || objects="$objects $mutants/core/$source"
    done
    $CC -shared -Wl,-soname,libsesqui-hv.so -o "$folder/libsesqui-hv.so" $objects
}

# A line each: NAME: FAULT
chosen=$(grep -H '^# Fault: ' scenarios/regressions/*.scn | sed 's,^.*/\([^/]*\)\.scn:# Fault: ,\1: ,' | grep -E -- "$only") ||
    die "no scenario fits \"$only\""
[ -z "$list" ] || { echo "$chosen"; exit 0; }

while IFS= read -r line; do
    name=${line%%: *} fault=${line#*: } noticed=
    scenario=scenarios/regressions/$name.scn file=${fault%%: *} text=${fault#*: }
    if ! plant "$file" "${text%% => *}" "${text#* => }"; then
        result 1 "$name: its fault can be planted in $file"
        head -3 "$folder/log" 2>/dev/null | sed 's/^/# /'
        continue
    fi
    for strategy in trap copy flip; do
        with $strategy "$scenario" >"$folder/$name.scn"
        LD_LIBRARY_PATH=$folder timeout -k 1 30 "$mutants/sesqui" run "$folder/$name.scn" >"$folder/out" 2>&1 </dev/null ||
            noticed="$noticed $strategy: $(grep -m1 '^# ' "$folder/out" | sed 's/.*\.scn:[0-9]*: //');"
    done
    [ -n "$noticed" ]
    result $? "$name notices its fault (${noticed# })"
done <<<"$chosen"
finish
