#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Messages name the source line where the image has DWARF line information, and do without where not.   Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
image=build/guests/mistakes.elf64                       # as it is linked: with debug information
source=scenarios/guests/mistakes/instructions.c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

# told IMAGE: what is said about a MOV to CR4 that is refused
told() { timeout 60 "$sesqui" boot "$1" --append cr4_smxe --no-console >/dev/null 2>"$work/told" </dev/null; }

line=$(grep -n '^static void cr4_smxe' $source | cut -d: -f1)
told $image
if pkg-config --exists libdw 2>/dev/null; then
    # the instruction is inlined from lib/processor.h; who called is in main.c
    grep -qE "<cr4_smxe\+0x[0-9a-f]+ (mistakes/instructions.c:$line|lib/processor.h:[0-9]+, inlined at mistakes/instructions.c:$line)>" "$work/told"
    result $? "file and line of an instruction" "$work/told"
    grep -qE "called from .*<main\+0x[0-9a-f]+ mistakes/main.c:[0-9]+>" "$work/told"
    result $? "file and line of its callers" "$work/told"
    for section in .debug_line .debug_info .debug_abbrev; do
        head -c 4000 /dev/zero | tr '\0' '\251' >"$work/garbage"
        objcopy --update-section $section="$work/garbage" $image "$work/image" 2>"$work/told" && told "$work/image"
        grep -qE "<cr4_smxe\+0x" "$work/told" && ! grep -qE 'Sanitizer|runtime error' "$work/told"
        result $? "garbage in $section costs the lines, not the rest" "$work/told"
    done
else
    result 0 "file and line # SKIP libdw-dev is not installed"
fi
told build/guests/mistakes.elf
grep -qE "<cr4_smxe\+0x[0-9a-f]+>" "$work/told"
result $? "a stripped image has names only" "$work/told"
finish
