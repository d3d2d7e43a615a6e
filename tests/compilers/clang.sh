#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# All of it built by clang: no warning, the same golden traces, the same guests as gcc's build. Prints TAP; skipped without clang.
#
#   CLANG='ccache clang' tests/compilers/clang.sh        after `make` with gcc
set -u
. "$(dirname "$0")/../tap.sh"
sesqui=${SESQUI:-build/release/sesqui} clang=${CLANG:-clang} ours=build/clang builds=0
if ! command -v "${clang##* }" >/dev/null; then
    echo "ok 1 - what clang builds # SKIP there is no clang (tests/deps.sh clang)"
    echo "1..1"
    exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

env -u MAKEFLAGS -u MAKELEVEL make -s -j"$(nproc)" VARIANT=clang CC="$clang" all tests >"$work/log" 2>&1
result $? "clang builds the program, the tests, the image and the guests; warnings are errors" "$work/log"
! grep -i 'warning' "$work/log" >"$work/warnings"
result $? "nor does the linker or the driver warn" "$work/warnings"

"$ours/sesqui" run scenarios --golden traces >"$work/golden" 2>&1
result $? "the golden traces are the same" "$work/golden"

BUILD=$ours bash tests/hv/freestanding.sh >"$work/borders" 2>&1
result $? "hv/ and model/ keep their borders" "$work/borders"
objdump -h "$ours/libsesqui-hv.a" | awk '$2 ~ /^\.text/ && $3 !~ /^0+$/ { print; bad = 1 } END { exit bad }' >"$work/text"
result $? "all code of the core is in the section that is counted" "$work/text"

# The machine is the same: the trace of gcc's guest over gcc's core and over clang's, on either machine.
for build in "$sesqui" "$ours/sesqui"; do
    timeout 120 "$build" boot build/guests/turnstile.elf --hv=flip --trace "$work/trace.$((++builds))" >/dev/null 2>"$work/messages"
done
[ -s "$work/trace.1" ] && cmp "$work/trace.1" "$work/trace.2" >>"$work/messages" 2>&1
result $? "turnstile over the core of clang: the trace is that over the core of gcc" "$work/messages"

# Random programs, and as guests: tables, registers and what they leave behind are the same, whoever compiled their generator.
for image in processor/programs exits/exits; do
    for build in build "$ours"; do
        rm -f "$work/part"
        timeout 120 "$sesqui" boot --explain=none --limit 500M "$build/$image.elf" --append "e9 code count=60" --console "$work/part" 2>"$work/messages"
        cat "$work/part" >"$work/programs.${build//\//_}" 2>>"$work/messages"
    done
    [ -s "$work/programs.build" ] && cmp "$work/programs.build" "$work/programs.${ours//\//_}" >>"$work/messages" 2>&1
    result $? "$image: the same random programs from both" "$work/messages"
done

# Guests and image by clang: what a guest says depends on where its code lies, so it is compared with the bare machine.
same()      # NAME OPTION...
{
    local name=$1
    shift
    timeout 120 "$ours/sesqui" boot "$@" >"$work/over" 2>"$work/messages"
    [ -s "$work/bare" ] && cmp "$work/bare" "$work/over" >>"$work/messages" 2>&1
    result $? "$name" "$work/messages"
}
timeout 120 "$ours/sesqui" boot "$ours/guests/turnstile.elf" >"$work/bare" 2>"$work/messages"
result $? "turnstile by clang, on the bare machine" "$work/messages"
for strategy in trap copy flip; do
    same "turnstile by clang, over the core by clang ($strategy)" "$ours/guests/turnstile.elf" --hv=$strategy
done
same "turnstile by clang, over the image by clang" "$ours/sesqui.elf" --module "$ours/guests/turnstile.elf"
finish
