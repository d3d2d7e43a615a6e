#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# turnstile on the bare processor of Bochs: its transcript is that of our bare machine, but for what docs/bochs-ledger.md says
# of VMCALL.   Prints TAP.
set -u
here=$(dirname "$0")
sesqui=${SESQUI:-build/release/sesqui}
image=build/guests/turnstile.elf
message=$("$here/bochs.sh" --installed 2>&1) || { echo "1..0 # SKIP $message"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Row VMCALL of the ledger: what Bochs prints in place of our line, its mismatch, and the count at the end.
cat >"$work/known" <<'END'
< VMCALL in root operation: VM-instruction error 1
> VMCALL in root operation: VMsucceed
> MISMATCH VMCALL in root operation: 0x0, expected 0x1
END
"$sesqui" boot $image 2>/dev/null | sed 's/exits, all as expected/exits, 1 mismatches/' >"$work/ours"
"$here/bochs.sh" --limit 300 $image >"$work/bochs" 2>"$work/messages"
status=$?
echo "$([ $status = 0 ] || echo "not ")ok 1 - turnstile ends on Bochs"
diff "$work/ours" "$work/bochs" | grep '^[<>]' >"$work/difference"
if [ "$(wc -l <"$work/ours")" -gt 50 ] && cmp -s "$work/known" "$work/difference"; then
    echo "ok 2 - its transcript is that of our bare machine, but for VMCALL"
else
    echo "not ok 2 - its transcript is that of our bare machine, but for VMCALL"
    head -20 "$work/difference" "$work/messages" | sed 's/^/# /'
    status=1
fi
echo "1..2"
[ $status = 0 ]
