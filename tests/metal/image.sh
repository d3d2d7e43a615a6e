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

boot $image --cpus 4 --module $guest 2>"$work/messages" | cmp - "$work/bare" >>"$work/messages" 2>&1
result $? "four processors: the same transcript" "$work/messages"
boot build/metal/multiboot2.elf --module "$image hv=flip" --module $guest 2>"$work/messages" | cmp - "$work/bare" >>"$work/messages" 2>&1
result $? "started by its Multiboot2 header: the same transcript" "$work/messages"
for strategy in trap copy flip; do
    boot $image --hv=$strategy --module $guest 2>"$work/messages" | transcript | cmp - "$work/bare" >>"$work/messages" 2>&1
    result $? "the image as L1 over the native core, strategy $strategy" "$work/messages"
    boot $image --append "hv=$strategy" --module $image --module $guest 2>"$work/messages" | transcript |
        cmp - "$work/bare" >>"$work/messages" 2>&1
    result $? "the image as L1 over itself, strategy $strategy" "$work/messages"
done

# says TEXT OPTION...: the image prints exactly this one line, and halts
says()
{
    local text=$1
    shift
    boot $image "$@" >"$work/console" 2>"$work/messages"
    [ $? = 121 ] && [ "$(wc -l <"$work/console")" = 1 ] && grep -qF "$text" "$work/console" &&
        grep -q 'halted' "$work/messages"
    result $? "refused: $text" "$work/console"
}
says "no module: give the image that shall be L1 as the first module"
says "module 0 is no multiboot image and no ELF file" --module README.md
says "module 0 is an ELF file without a multiboot header" --module build/guests/bad/no_multiboot.elf
says "module 0: an ELF segment needs bytes that the file does not have" --module build/guests/bad/segment_beyond_file.elf
says "too little memory" --memory 8 --module $guest
says "the processor has no VMX" --vmx -vmx --module $guest
says "the firmware has locked VMX off" --feature-control 1 --module $guest
says "the processor lacks EPT" --vmx -ept --module $guest
says "the processor lacks VPIDs" --vmx -vpid --module $guest
says "unknown option (docs/metal.md lists them): hv=flop" --append "hv=flop" --module $guest
says "no RAM below 4 GB is free for L0's pool" --memory 64 --cpus 66 --module $guest
two=build/image-2/sesqui.elf
image=$two says "the machine has more processors than the image is built for" --cpus 3 --module $guest
image=$two boot $two --cpus 2 --module $guest 2>"$work/messages" | cmp - "$work/bare" >>"$work/messages" 2>&1
result $? "an image for two processors on two" "$work/messages"

# falls_back SWITCH STRATEGY TEXT
falls_back()
{
    boot $image --vmx "$1" --append "hv=$2" --module $guest >"$work/console" 2>"$work/messages"
    [ $? = 0 ] && grep -qF "strategy $2: $3" "$work/console" && grep -q 'falls back to trap$' "$work/console" &&
        transcript <"$work/console" | cmp -s - "$work/bare"
    result $? "$2 without what it needs ($1) falls back to trap and says so" "$work/console"
}
falls_back -vmcs-shadowing flip "the processor lacks VMCS shadowing"
falls_back -vmcs-shadowing copy "the processor lacks VMCS shadowing"
falls_back -vmwrite-any flip "VMWRITE cannot write exit information"

finish
