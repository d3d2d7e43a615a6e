#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `sesqui bench nested`: the counts are the same each time, and what the strategies are for can be seen in them. Nothing here
# is a time, and no count of instructions is expected: that one is the compiler's. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
. "$(dirname "$0")/../tap.sh"

# count COLUMN STRATEGY PART EXIT: a figure of the table
count()
{
    awk -F'\t' -v column="$1" -v strategy="$2" -v part="$3" -v reason="$4" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $1 == reason && $2 == strategy && $3 == part { print $at[column] }' "$folder/counts.tsv"
}

timeout 120 "$sesqui" bench nested --no-instructions --tsv - >"$folder/counts.tsv" 2>"$folder/log"
result $? "the bench finds a steady state for each exit and strategy" "$folder/log"
timeout 120 "$sesqui" bench nested --no-instructions --tsv - >"$folder/again.tsv" 2>>"$folder/log"
cmp "$folder/counts.tsv" "$folder/again.tsv" >>"$folder/log" 2>&1
result $? "twice the same" "$folder/log"

for exit in $(awk -F'\t' 'NR > 1 { print $1 }' "$folder/counts.tsv" | uniq | sort -u); do
    for strategy in trap copy flip; do
        [ "$(count times $strategy exit "$exit")" = 1 ] && [ "$(count times $strategy entry "$exit")" = 1 ]
        result $? "$exit, $strategy: L0 runs once to reflect the exit and once to enter" "$folder/log"
    done
    [ "$(count times trap l1 "$exit")" -ge 3 ]
    result $? "$exit, trap: each VMREAD and VMWRITE of L1 is an exit more" "$folder/log"
    [ "$(count times copy l1 "$exit")" = 0 ] && [ "$(count times flip l1 "$exit")" = 0 ]
    result $? "$exit, copy and flip: no access of KVM's hot path exits" "$folder/log"
    [ "$(count vmclear flip exit "$exit")" = 1 ] && [ "$(count vmclear flip entry "$exit")" = 1 ]
    result $? "$exit, flip: VMCLEAR once each way" "$folder/log"
    [ "$(count vmptrld flip exit "$exit")" = 1 ] && [ "$(count vmptrld flip entry "$exit")" = 1 ]
    result $? "$exit, flip: VMPTRLD once each way" "$folder/log"
    [ "$(count vmlaunch flip entry "$exit")" = 1 ] && [ "$(count vmresume copy entry "$exit")" = 1 ]
    result $? "$exit: flip launches, copy resumes" "$folder/log"
    [ $(($(count vmread copy exit "$exit") + $(count vmwrite copy exit "$exit"))) -gt \
        $(($(count vmread flip exit "$exit") + $(count vmwrite flip exit "$exit"))) ]
    result $? "$exit: reflecting takes copy more VMREADs and VMWRITEs than flip" "$folder/log"
    [ $(($(count vmread copy entry "$exit") + $(count vmwrite copy entry "$exit"))) -gt \
        $(($(count vmread flip entry "$exit") + $(count vmwrite flip entry "$exit"))) ]
    result $? "$exit: entering, too" "$folder/log"
done
[ "$(count times flip l2 ept_violation)" = 1 ] && [ "$(count times flip l2 cpuid)" = 0 ]
result $? "a page that L1 mapped is one exit more, L0's own, and nothing else is" "$folder/log"

# L0's instructions: counted exactly, so twice the same; a build with other flags has others.
timeout 300 "$sesqui" bench nested --exit cpuid --tsv - >"$folder/counts.tsv" 2>"$folder/log"
result $? "L0's instructions are counted" "$folder/log"
timeout 300 "$sesqui" bench nested --exit cpuid --tsv - >"$folder/again.tsv" 2>>"$folder/log"
cmp "$folder/counts.tsv" "$folder/again.tsv" >>"$folder/log" 2>&1
result $? "twice the same" "$folder/log"
[ "$(count instruction flip exit cpuid)" -gt "$(count vmread flip exit cpuid)" ] &&
    [ "$(count instruction flip exit cpuid)" -lt "$(count instruction copy exit cpuid)" ]
result $? "more than its VMREADs, and flip's fewer than copy's" "$folder/log"
[ "$(count instruction trap l1 cpuid)" -gt "$(count vmread trap l1 cpuid)" ]
result $? "those of the exits of trap's L1 are counted too" "$folder/log"

# Two roads to the same counts: the core as native code beneath a script, and as an image beneath a guest program.
timeout 120 "$sesqui" bench nested --no-instructions --tsv - >"$folder/native.tsv" 2>"$folder/log" &&
    timeout 120 "$sesqui" bench nested --l0 image --tsv - >"$folder/image.tsv" 2>>"$folder/log"
result $? "the image is measured" "$folder/log"
# halves FILE: the VMX instructions of both halves, of the exits that both have
halves()
{
    awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $1 ~ /^(cpuid|vmcall|wrmsr|out)$/ && ($3 == "exit" || $3 == "entry") {
            print $1, $2, $3, $at["vmread"], $at["vmwrite"], $at["vmclear"], $at["vmptrld"], $at["vmlaunch"], $at["vmresume"],
                $at["invept"], $at["invvpid"], $at["dirty_entry"] }' "$1"
}
halves "$folder/native.tsv" >"$folder/native.txt"
halves "$folder/image.tsv" >"$folder/image.txt"
[ "$(wc -l <"$folder/native.txt")" = 24 ] && diff "$folder/native.txt" "$folder/image.txt" >"$folder/log"
result $? "native and image: the same VMX instructions in each half" "$folder/log"
cp "$folder/image.tsv" "$folder/counts.tsv"
[ "$(count instruction flip exit cpuid)" -gt 0 ] && [ "$(count instruction flip exit cpuid)" -lt "$(count instruction copy exit cpuid)" ]
result $? "image: its instructions are counted, flip's fewer than copy's" "$folder/log"

for arguments in "nested --bad" "nested extra" "nested --tsv" "nested --no-instructions=1" "nested --exit x" "nested --l0 x" \
    "nested --l0 image --exit interrupt" "a b"; do
    # shellcheck disable=SC2086
    timeout 20 "$sesqui" bench $arguments >"$folder/log" 2>&1
    [ $? = 2 ] && [ -s "$folder/log" ]
    result $? "refused with a message: bench $arguments" "$folder/log"
done

finish
