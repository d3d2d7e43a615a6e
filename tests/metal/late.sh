#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Late load: a program on bare hardware asks for L0, on the model and on the image; it is told the same on both. Prints TAP.
set -u
sesqui=${SESQUI:-build/release/sesqui}
image=build/sesqui.elf slide=build/guests/slide.elf turnstile=build/guests/turnstile.elf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

boot() { timeout 300 "$sesqui" boot --limit 500000000 --strict "$@" 2>"$work/messages"; }
transcript() { grep -v '^sesqui: ' "$1" >"$work/transcript"; }

boot $turnstile >"$work/bare"
for strategy in trap copy flip; do
    boot $slide --hv=$strategy --late >"$work/model"
    result $? "$strategy: load, unload, load and finalise on the model" "$work/model"
    boot $image --append "late hv=$strategy" --module $slide >"$work/image"
    result $? "$strategy: the same on the image" "$work/image"
    cmp "$work/model" "$work/image" >"$work/difference"
    result $? "$strategy: it is told the same" "$work/image"
    boot $slide --append two --cpus 2 --hv=$strategy --late >"$work/model"
    result $? "$strategy: two processors, of which the second fails: the first goes back; then both" "$work/model"
    boot $image --cpus 2 --append "late hv=$strategy" --module "$slide two" >"$work/image"
    result $? "$strategy: the same on the image" "$work/image"
    transcript "$work/image"
    cmp "$work/model" "$work/transcript" >"$work/difference"
    result $? "$strategy: it is told the same" "$work/image"
    grep -q '^sesqui: load refused: the guest has set CR4.VMXE' "$work/image"
    result $? "$strategy: the refusal says why" "$work/image"
    boot $turnstile --hv=$strategy --late | diff "$work/bare" - >"$work/difference"
    result $? "$strategy: a guest hypervisor that loads it first has the same transcript on the model" "$work/difference"
    boot $image --append "late hv=$strategy" --module $turnstile | diff "$work/bare" - >"$work/difference"
    result $? "$strategy: and on the image" "$work/difference"
done
for seed in 1 2 3 4 5 6 7 8; do
    boot $slide --append two --cpus 2 --hv=flip --late --seed $seed | cmp - "$work/model" >"$work/difference"
    result $? "two processors, seed $seed: the same"
done

# refused TEXT COMMAND...: what there is no L0 for is answered in the guest's terms
boot $slide >"$work/console"
[ $? = 2 ] && grep -q 'no multiboot module offers L0' "$work/console"
result $? "without --late nobody offers L0" "$work/console"
boot $slide --late >"$work/console"
[ $? = 2 ] && grep -q -- '--late needs --hv' "$work/messages"
result $? "--late needs --hv" "$work/messages"
boot $slide --hv=flip --late --vmx -vmx >"$work/console"
[ $? = 1 ] && grep -q '^load: 0x1$' "$work/console"
result $? "the model: a load without VMX is refused, and the guest goes on" "$work/console"
boot $image --append late --module $slide --feature-control 1 >"$work/console"
[ $? = 1 ] && grep -q '^load: 0x1$' "$work/console" && grep -q 'load refused: the firmware has locked VMX off' "$work/console"
result $? "the image: a load with VMX locked off is refused, and the guest goes on" "$work/console"

finish
