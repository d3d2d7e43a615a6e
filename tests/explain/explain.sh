#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each mistake of tests/explain/*.list must be told with its true cause, bare and over the core.   Prints TAP.
#
# A line of a list:   IMAGE WORDS | OPTIONS | WORLDS | SENTENCE
#   IMAGE WORDS  an image of build/guests (without .elf) and its command line; or a scenario, X.scn, of tests/explain/
#   OPTIONS      more options of `sesqui boot` or `sesqui run`
#   WORLDS       where it is tried: bare, hv (each strategy), trap, copy, flip; for scenarios: -
#   SENTENCE     an extended regular expression for one line of what is told; several, separated by " && ", must all be there;
#                one that begins with "!" must not; the last line that is told is "exit status N"
# Lines that begin with # are comments.
set -u
sesqui=${SESQUI:-build/release/sesqui}
here=$(dirname "$0")
limit=${LIMIT:-50000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/../tap.sh"

# told SENTENCES: are they all in $work/told?
told()
{
    local rest=$1 one
    while [ -n "$rest" ]; do
        one=${rest%% && *}
        [ "$one" = "$rest" ] && rest="" || rest=${rest#* && }
        case $one in
        !*) ! grep -qE -- "${one#!}" "$work/told" || { echo "# must not be told: ${one#!}" >>"$work/told"; return 1; } ;;
        *) grep -qE -- "$one" "$work/told" || { echo "# is missing: $one" >>"$work/told"; return 1; } ;;
        esac
    done
}

trim() { local t=${1#"${1%%[![:space:]]*}"}; printf '%s' "${t%"${t##*[![:space:]]}"}"; }

try()       # IMAGE WORDS OPTIONS WORLD SENTENCE
{
    local hv=() words=()
    case $4 in
    -) # shellcheck disable=SC2086
        timeout -s KILL 120 "$sesqui" run "$here/$1" $3 >"$work/told" 2>&1 ;;
    *)
        [ "$4" = bare ] || hv=("--hv=$4")
        [ -z "$2" ] || words=(--append "$2")
        # shellcheck disable=SC2086
        timeout -s KILL 120 "$sesqui" boot "build/guests/$1.elf" "${words[@]}" "${hv[@]}" --no-console --limit "$limit" $3 \
            >/dev/null 2>"$work/told" </dev/null ;;
    esac
    local status=$?
    echo "exit status $status" >>"$work/told"
    [ $status -lt 128 ] && ! grep -qE 'Sanitizer|runtime error' "$work/told" && told "$5"
    result $? "$1 $2 ($4)" "$work/told"
}

for list in "$here"/*.list; do
    while IFS='|' read -r what options worlds sentence; do
        case $what in '' | '#'*) continue ;; esac
        what=$(trim "$what") sentence=$(trim "$sentence") worlds=$(trim "$worlds")
        image=${what%% *} words=${what#"$image"}
        for world in ${worlds//hv/trap copy flip}; do
            try "$image" "$(trim "$words")" "$options" "$world" "$sentence"
        done
    done <"$list"
done
finish
