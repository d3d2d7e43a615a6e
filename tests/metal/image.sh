#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The image build/sesqui.elf on our own bare machine: L1's transcript is that of the bare machine, the sequence of exits and
# every field that L0 reads and writes are those of the native core; nested in itself; and what it refuses. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
image=build/sesqui.elf guest=build/guests/turnstile.elf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

boot() { timeout 300 "$sesqui" boot --limit 2000000000 --strict "$@"; }
# What L1 said, without what an L0 on the same line said.
transcript() { grep -v '^sesqui: '; }

boot $guest >"$work/bare" 2>/dev/null
result $? "turnstile on the bare machine"

for strategy in trap copy flip; do
    boot $guest --hv=$strategy --full-trace --trace "$work/native" >"$work/console" 2>"$work/messages"
    result $? "$strategy: over the native core"
    boot $image --append "hv=$strategy trace=fields log=com2" --module $guest --serial2 "$work/metal" >"$work/console" 2>"$work/messages"
    result $? "$strategy: over the image, no rule broken" "$work/messages"
    diff "$work/bare" "$work/console" >"$work/difference"
    result $? "$strategy: L1's transcript is that of the bare machine" "$work/difference"
    tests/metal/compare.sh "$work/native" "$work/metal" >"$work/difference"
    result $? "$strategy: the exits are those of the native core" "$work/difference"
    tests/metal/compare.sh --fields "$work/native" "$work/metal" >"$work/difference"
    result $? "$strategy: and so is every field that L0 reads and writes" "$work/difference"
done

# The rows of a table: what is said, which image, options
rows() { grep -v '^#' "$(dirname "$0")/$1.tsv"; }
image_of() { case $1 in usual) echo $image;; two) echo build/image-2/sesqui.elf;; *) echo "$1";; esac; }

while IFS=$'\t' read -r -a row; do
    options=("${row[@]:3}")
    boot "$(image_of "${row[1]}")" "${options[@]/#IMAGE/$image}" >"$work/console" 2>"$work/messages"
    [ $? = 0 ] && transcript <"$work/console" | cmp - "$work/bare" >>"$work/messages" 2>&1 &&
        { [ "${row[2]}" = - ] || grep -qF -- "${row[2]}" "$work/console"; }
    result $? "${row[0]}: the same transcript" "$work/messages"
done < <(rows starts)
for strategy in trap copy flip; do
    boot $image --hv=$strategy --module $guest 2>"$work/messages" | transcript | cmp - "$work/bare" >>"$work/messages" 2>&1
    result $? "the image as L1 over the native core, strategy $strategy" "$work/messages"
    boot $image --append "hv=$strategy" --module $image --module $guest 2>"$work/messages" | transcript |
        cmp - "$work/bare" >>"$work/messages" 2>&1
    result $? "the image as L1 over itself, strategy $strategy" "$work/messages"
done

# The image prints exactly this one line, and halts.
while IFS=$'\t' read -r -a row; do
    boot "$(image_of "${row[1]}")" "${row[@]:2}" >"$work/console" 2>"$work/messages"
    [ $? = 121 ] && [ "$(wc -l <"$work/console")" = 1 ] && grep -qF "${row[0]}" "$work/console" && grep -q 'halted' "$work/messages"
    result $? "refused: ${row[0]} (${row[*]:2})" "$work/console"
done < <(rows refusals)

finish
