#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Failed VM entries: what is printed, dumped, and found again by `sesqui check-vmcs`; KVM's logs; bad files. Prints TAP.
#
#   SESQUI=build/release/sesqui tests/cli/check_vmcs.sh
set -u
sesqui=${SESQUI:-build/release/sesqui}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
number=0

report()
{
    number=$((number + 1))
    if [ "$1" = 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}

# has WORDS FILE
has() { grep -qF -- "$1" "$2"; report $? "${2##*/} has: $1"; }

# checked STATUS FILE: `check-vmcs FILE` ends with that status; its output is in $folder/out
checked()
{
    timeout 20 "$sesqui" check-vmcs "$2" >"$folder/out" 2>"$folder/err" </dev/null
    [ $? = "$1" ]
    report $? "check-vmcs ${2##*/}: status $1"
}

# refused WORDS: what is on stdin is refused with one line that contains WORDS
refused()
{
    timeout 20 "$sesqui" check-vmcs - >"$folder/out" 2>"$folder/err"
    [ $? = 2 ] && [ "$(wc -l <"$folder/err")" = 1 ] && grep -qF -- "$1" "$folder/err"
    report $? "refused: $1"
}

# A guest that makes entries fail: turnstile does, among other things.
timeout 60 "$sesqui" boot build/guests/turnstile.elf --no-console --dump-vmcs "$folder/dump" 2>"$folder/messages"
has 'VM entry failed at rip 0x' "$folder/messages"
has '<world_enter+0x' "$folder/messages"
has 'exit 33 (VM-entry failure due to invalid guest state), qualification 0x4' "$folder/messages"
has '  entry failed: guest.cs.s [27.3.1.2]' "$folder/messages"
has '      guest_cs_access_rights = 0xa08b (VMWRITE at rip 0x' "$folder/messages"
has 'never written since VMCLEAR, and 0:' "$folder/messages"
[ "$(grep -c 'entry failed: guest.cs.s ' "$folder/messages")" = 1 ]
report $? "a failure is told of once"

# What the dump says failed is what check-vmcs finds, in the same order.
checked 1 "$folder/dump"
sed -n 's/^#.*entry failed: //p' "$folder/dump" >"$folder/told"
sed -n 's/^  fails: //p' "$folder/out" >"$folder/found"
[ -s "$folder/told" ] && cmp -s "$folder/told" "$folder/found"
report $? "check-vmcs finds in a dump what the machine found"
! grep -q 'assumed\|not decided' "$folder/out"
report $? "a dump leaves nothing open"

# A scenario that fails at a VM entry.
printf "include $PWD/scenarios/parts/guest.scn\n" >"$folder/fails.scn"
printf 'l0 vmwrite guest_cs_access_rights 0xa090\nl0 vmlaunch\nexpect ok\n' >>"$folder/fails.scn"
"$sesqui" run "$folder/fails.scn" --dump-vmcs "$folder/scenario-dump" >"$folder/tap"
has '#   entry failed: guest.cs.type [27.3.1.2]' "$folder/tap"
has '#       guest_cs_access_rights = 0xa090 (VMWRITE at rip 0x' "$folder/tap"
checked 1 "$folder/scenario-dump"
has 'fails: guest.cs.type' "$folder/out"

# --symbols: names in the trace, only then.
"$sesqui" boot build/guests/turnstile.elf --hv --no-console --trace "$folder/plain" 2>/dev/null
"$sesqui" boot build/guests/turnstile.elf --hv --no-console --symbols --trace "$folder/symbols" 2>/dev/null
! grep -q '<' "$folder/plain"
report $? "no names in a trace without --symbols"
grep -q ' exit .*rip=0x[0-9a-f]* <[a-z_0-9]*+0x' "$folder/symbols"
report $? "names in a trace with --symbols"
sed 's/ <[^>]*>//' "$folder/symbols" | cmp -s - "$folder/plain"
report $? "the traces differ by the names alone"

# KVM's log: with prefixes, and one field that is wrong (a virtual-8086 segment's base).
log=tests/cli/dumps/kvm-log.txt
checked 1 "$log"
has '1 of ' "$folder/out"
has 'fails: guest.fs.v86_base' "$folder/out"
has 'guest_fs_base = 0x10' "$folder/out"
has 'assumed, as not in the file' "$folder/out"
has 'vmcs_link_pointer' "$folder/out"
sed 's/^FS: .*/FS: sel=0x0001, attr=0x000f3, limit=0x0000ffff, base=0x0000000000000010/' "$log" >"$folder/good-log"
checked 0 "$folder/good-log"
sed 's/FSBase=00007f8c5d7fa700/FSBase=00017f8c5d7fa700/' "$folder/good-log" >"$folder/canonical-log"
checked 1 "$folder/canonical-log"
has 'fails: host.fs.base' "$folder/out"
sed 's/^/<4>[  673.850218] kvm_intel: /' "$folder/good-log" >"$folder/prefixed-log"
checked 0 "$folder/prefixed-log"
cat "$folder/prefixed-log" "$log" >"$folder/two-logs"
checked 1 "$folder/two-logs"
[ "$(grep -c 'VM-entry check' "$folder/out")" = 2 ]
report $? "two VMCSs in one log"
refused 'no "*** Control State ***"' < <(sed '/Control State/,$d' "$log")
refused '-:4: this should read "CR4: actual' < <(sed 's/^CR4: actual=0x/CR4: actual=0xy/; s/ CR4: actual=0x/ CR4: actual=0xy/' "$log")

# Hand-written files and bad ones.
printf 'guest_rflags = 0x0\n' >"$folder/one-field"
checked 1 "$folder/one-field"
has 'fails: guest.rflags.fixed' "$folder/out"
printf 'guest_rflags = 2\nguest_rip = 0x1000 # comment\n' >"$folder/fine"
checked 0 "$folder/fine"
refused '-:2: "guest_cr9" is no VMCS field' < <(printf 'vmcs 0x1000\nguest_cr9 = 1\n')
refused '-:1: 0x10000 does not fit into guest_es_selector' < <(printf 'guest_es_selector = 0x10000\n')
refused 'is no number of 64 bits' < <(printf 'guest_rip = 0x1ffffffffffffffff\n')
refused '-:2: guest_rip is there twice' < <(printf 'guest_rip = 1\nguest_rip = 2\n')
refused '-:1: expected NAME = VALUE' < <(printf 'guest_rip 1\n')
refused '-:1: processor:' < <(printf 'processor physical_address_width = 90\n')
refused '-:1: this line is too long' < <(head -c 5000 /dev/zero)
refused 'there is no VMCS in it' < <(printf '')
refused '-:1: ' < <(head -c 9000 build/guests/turnstile.elf)

# Generated pages are current.
"$sesqui" checks --markdown | cmp -s - docs/checks.md
report $? "docs/checks.md is current (make docs)"
"$sesqui" checks --events | cmp -s - docs/events.md
report $? "docs/events.md is current (make docs)"

echo "1..$number"
