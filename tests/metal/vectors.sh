#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tries VM entries from a list (docs/vectors.md) as guest code on our machine: each verdict must be what the check table,
# evaluated without a machine, says. With --bochs also on Bochs: each difference must be in ledger.tsv.   Prints TAP.
set -u
usage()
{
    cat <<'END'
tests/metal/vectors.sh [--all] [--bochs] [--seed N] [--keep DIRECTORY]

    --all       every bit of every field, 800 pairs of rows (otherwise a sample, as in make test)
    --bochs     on Bochs as well (tests/deps.sh metal installs it); implies --all
    --seed N    chooses the pairs (default 1; the ledger is checked for rows that explain nothing only with 1)
    --keep DIR  leaves list, expected, ours and bochs there
END
}
pairs=200 every=31 seed=1 bochs="" keep=""
while [ $# != 0 ]; do
    case $1 in
    --all) pairs=800 every=1 ;;
    --bochs) bochs=1 pairs=800 every=1 ;;
    --seed) seed=${2:?--seed needs a number}; shift ;;
    --keep) keep=${2:?--keep needs a directory}; shift ;;
    --help) usage; exit 0 ;;
    *) echo "vectors.sh: $1: no such option (try --help)" >&2; exit 2 ;;
    esac
    shift
done

here=$(dirname "$0")
sesqui=${SESQUI:-build/release/sesqui}
image=build/guests/vectors.elf
lister=build/release/tests/metal/vector_list
[ -x $lister ] || lister=build/asan/tests/metal/vector_list
work=$keep
[ -n "$work" ] || { work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; }
mkdir -p "$work"
. "$(dirname "$0")/../tap.sh"

$lister "$seed" $pairs $every "$work/list" "$work/expected" 2>"$work/lister"
result $? "a list is written" "$work/lister"
sed 's/^/# /' "$work/lister"
count=$(wc -l <"$work/expected")

timeout 600 "$sesqui" boot $image --module "$work/list" >"$work/ours" 2>"$work/messages"
result $? "our machine: exit status 0" "$work/messages"
[ "$count" -gt 500 ] && grep -q "^vectors: $count tried" "$work/ours"
result $? "our machine: all $count vectors tried" "$work/messages"
awk -f "$here/verdict.awk" -f - "$work/expected" "$work/ours" >"$work/wrong" <<'END'
BEGIN { FS = "\t" }
NR == FNR { answer[$1] = $2; next }
/^(machine|vectors:) / { next }
{
    at = index($0, ": ")
    name = substr($0, 1, at - 1)
    if (class_of(substr($0, at + 2)) != answer[name])
        print $0 "\n    the check table says: " answer[name]
}
END
[ ! -s "$work/wrong" ]
result $? "our machine: each verdict is the check table's" "$work/wrong"

if [ -n "$bochs" ]; then
    message=$("$here/bochs.sh" --installed 2>&1)
    if [ $? != 0 ]; then
        tests=$((tests + 1))
        echo "ok $tests - Bochs: # SKIP $message"
    else
        "$here/bochs.sh" --limit 600 --module "$work/list" $image >"$work/bochs" 2>"$work/bochs.messages"
        result $? "Bochs: the program ends" "$work/bochs.messages"
        awk -v stale=$((seed == 1)) -f "$here/verdict.awk" -f "$here/vectors.awk" "$here/ledger.tsv" "$work/expected" \
            "$work/ours" "$work/bochs" >"$work/comparison"
        compared=$?
        result $compared "Bochs: each difference is in the ledger" "$work/comparison"
        [ $compared != 0 ] || cut -c1-160 "$work/comparison" | sed 's/^/# /'
    fi
fi
finish
