#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The demonstration behind `make run`: our guest hypervisor as L1, its guests as L2, on the bare machine and over the core.
set -u
sesqui=${1:-build/release/sesqui}
image=build/guests/turnstile.elf
out=build/demo
mkdir -p "$out"
bold='' plain='' red='' green=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m' red=$'\e[31m' green=$'\e[32m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

say "1. L1 on the bare machine: a guest hypervisor runs its guests on the model of VMX, without VT-x"
"$sesqui" boot "$image" --trace "$out/bare.trace" >"$out/bare.console" 2>"$out/bare.messages"
bare=$?
tr -d '\r' <"$out/bare.console"

say "   It fails some VM entries on purpose. What its author would read (all of it: $out/bare.messages):"
grep -A2 'exit 33' "$out/bare.messages" | head -3 | sed 's/^/  /'

say "2. The same image over our L0 core (--hv=trap): L1 is deprivileged, its guests are L2"
"$sesqui" boot "$image" --hv=trap --trace "$out/hv.trace" >"$out/hv.console" 2>"$out/hv.messages"
over=$?
tail -2 "$out/hv.console" | tr -d '\r'

say "3. One nested exit, as the trace tells it: L2 executes CPUID, L0 reflects the exit, L1 handles it, L0 enters L2 again"
awk '
    !done && / L2 exit / && / cpuid / { show = 1 }
    show && !done { print "  " $0 }
    show && / nested-entry / { going_back = 1 }
    going_back && / entry / { done = 1 }
' "$out/hv.trace" >"$out/nested-exit"
head -12 "$out/nested-exit"
echo "  ... $(($(wc -l <"$out/nested-exit") - 16)) lines like these: L1 reads its VMCS and answers the CPUID"
tail -4 "$out/nested-exit"
cat <<'LEGEND'
  Columns: clock (instructions), processor, the level that ran, what happened. "exit" of L1 are L1's own VMX instructions and
  CPUID, emulated by L0; "reflect" hands an exit of L2 to L1; "entry" goes back down.
LEGEND

say "4. What ran"
awk '
    $4 == "exit"  { key = $3 " " $5; n[key]++; total++ }
    END { for (k in n) printf "  %-4s %-28s %6d\n", substr(k, 1, 2), substr(k, 4), n[k]; printf "  all exits %28d\n", total }
' "$out/hv.trace" | sort

say "5. Verdict"
if [ "$bare" = 0 ] && [ "$over" = 0 ] && cmp -s "$out/bare.console" "$out/hv.console"; then
    echo "${green}ok${plain}: L1's transcript over the core is byte for byte the one of the bare machine."
    echo "    Consoles and full traces: $out/.  Your own image:  $sesqui boot IMAGE [--hv=trap] --trace FILE"
else
    echo "${red}FAILED${plain}: exit status bare $bare, over the core $over; compare $out/bare.console and $out/hv.console"
    diff "$out/bare.console" "$out/hv.console" | head -20
    exit 1
fi
