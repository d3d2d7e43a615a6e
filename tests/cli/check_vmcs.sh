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
! grep -q 'never written' "$folder/messages"
report $? "nothing is said of fields that no failed check looks at"
# A field that one looks at, and that nobody wrote.
printf "include $PWD/scenarios/parts/guest.scn\nl0 prepare region 0x20000\nl0 vmclear 0x20000\nl0 vmptrld 0x20000\nl0 vmlaunch\nexpect ok\n" >"$folder/unwritten.scn"
"$sesqui" run "$folder/unwritten.scn" >"$folder/tap" 2>&1
has 'pin_based_controls = 0x0 (never written' "$folder/tap"
has '0, but must be 1: bit 1 (reserved), bit 2 (reserved), bit 4 (reserved); IA32_VMX_TRUE_PINBASED_CTLS: 0x16 must be 1' "$folder/tap"
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
sed 's/ <[^>]*>//g' "$folder/symbols" | cmp -s - "$folder/plain"
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
checked 3 "$folder/good-log"
sed 's/FSBase=00007f8c5d7fa700/FSBase=00017f8c5d7fa700/' "$folder/good-log" >"$folder/canonical-log"
checked 1 "$folder/canonical-log"
has 'fails: host.fs.base' "$folder/out"
sed 's/^/<4>[  673.850218] kvm_intel: /' "$folder/good-log" >"$folder/prefixed-log"
checked 3 "$folder/prefixed-log"
cat "$folder/prefixed-log" "$log" >"$folder/two-logs"
checked 1 "$folder/two-logs"
[ "$(grep -c "^$folder/two-logs:" "$folder/out")" = 2 ]
report $? "two VMCSs in one log"

# lacks WORDS FILE
lacks() { ! grep -qF -- "$1" "$2"; report $? "${2##*/} lacks: $1"; }

# found FILE: the checks that fail in it, a line each, are what is expected on stdin
found()
{
    timeout 20 "$sesqui" check-vmcs "$1" 2>/dev/null </dev/null | sed -n 's/^  fails: \([^ ]*\) .*/\1/p' >"$folder/ids"
    diff - "$folder/ids" >"$folder/difference"
    report $? "fails in ${1##*/}: $(tr '\n' ' ' <"$folder/ids")"
}

# ---- what mailers, forums and terminals do to a log: the same checks fail as before ----
sed 's/.*kvm_intel: //; s/^\[[^]]*\] //; s/^Sep.*: //' "$log" >"$folder/bare-log"
echo guest.fs.v86_base >"$folder/expected"
found "$log" <"$folder/expected"
fold -s -w 60 "$folder/bare-log" >"$folder/wrapped"
found "$folder/wrapped" <"$folder/expected"
fold -s -w 72 "$folder/prefixed-log" | sed 's/^/> > /' >"$folder/quoted"
sed '/^$/d' "$log" | fold -s -w 72 | sed 's/^/>>/' >"$folder/quoted-log"
found "$folder/quoted-log" <"$folder/expected"
fold -w 80 "$folder/bare-log" >"$folder/terminal"
found "$folder/terminal" <"$folder/expected"
sed 's/=/=3D/g; s/  /=C2=A0 /g; s/\(.\{60\}\)/\1=\n/' "$log" >"$folder/quoted-printable"
found "$folder/quoted-printable" <"$folder/expected"
sed 's/&/\&amp;/g; s/=/\&#x3d;/; s/  /\&nbsp; /g; s/^/<br>/; s/$/<\/span>/' "$log" >"$folder/html"
found "$folder/html" <"$folder/expected"
sed -z 's/./&\x00/g' "$folder/bare-log" | { printf '\377\376'; cat; } >"$folder/utf-16"
found "$folder/utf-16" <"$folder/expected"
sed 's/^/\x1b[33m/; s/ /\x1b[0m /; s/$/\r/' "$log" >"$folder/coloured"
found "$folder/coloured" <"$folder/expected"
sed 's/\*\*\* //; s/ \*\*\*//' "$log" >"$folder/unmarked"
found "$folder/unmarked" <"$folder/expected"

# ---- damage: a bad line costs that line, what is missing is said, the next VMCS is read ----
sed 's/attr=0x0040*82/attr=(null)/; s/^\(.*\)CR4: actual=0x/\1CR4: actual=0xy/' "$log" >"$folder/garbled"
found "$folder/garbled" <"$folder/expected"
checked 1 "$folder/garbled"
has 'line 4: not read: "[10639.238047] CR4: actual=0xy' "$folder/out"
grep -A99 '^  assumed' "$folder/out" | tr '\n' ' ' >"$folder/assumed"
has ' guest_cr4 ' "$folder/assumed"
{ sed '/Host State/,$d' "$log"; sed 's/base=0x0000000000000010/base=0x0000000000000020/' "$log"; } >"$folder/cut"
checked 1 "$folder/cut"
has 'missing: the dump is cut: host state controls' "$folder/out"
has 'guest_fs_base = 0x20' "$folder/out"
[ "$(grep -c "^$folder/cut:" "$folder/out")" = 2 ]
report $? "the VMCS after one that is cut is read"
sed '1,/Host State/d' "$log" >"$folder/beheaded"
checked 3 "$folder/beheaded"
has 'missing: the dump is cut: guest state' "$folder/out"
sed 's/ RSP = 0x[0-9a-f]*  RIP/ RSP = 0x12345678123456789  RIP/' "$log" >"$folder/too-long"
found "$folder/too-long" <"$folder/expected"

# ---- two processors print at the same time ----
second=$folder/second
sed 's/DR7 = 0x0000000000000400/DR7 = 0x0000000100000400/; s/base=0x0000000000000010/base=0x0000000000000000/; s/EPT pointer = 0x/EPT pointer = 0x1/' \
    "$folder/bare-log" >"$second"
found "$second" <<<guest.dr7.high
paste -d '\n' <(sed 's/^/[   71.001000][ T4411] kvm_intel: /' "$folder/bare-log") \
    <(sed 's/^/[   71.001000][ T4412] kvm_intel: /' "$second") >"$folder/tagged"
found "$folder/tagged" < <(printf 'guest.fs.v86_base\nguest.dr7.high\n')
checked 1 "$folder/tagged"
lacks 'mixed' "$folder/out"
paste -d '\n' "$folder/bare-log" "$second" >"$folder/mixed"
found "$folder/mixed" < <(printf 'guest.fs.v86_base\nguest.dr7.high\n')
checked 1 "$folder/mixed"
has "if its lines are told from another's rightly" "$folder/out"
has 'mixed with the lines of another processor; that these belong here is a guess:' "$folder/out"
# Their lines come in runs, and never are both at the same place: nothing is in doubt.
{ head -12 "$folder/bare-log"; head -4 "$second"; sed -n '13,40p' "$folder/bare-log"; sed -n '5,30p' "$second"
  sed '1,40d' "$folder/bare-log"; sed '1,30d' "$second"; } >"$folder/runs"
found "$folder/runs" < <(printf 'guest.fs.v86_base\nguest.dr7.high\n')

# ---- current KVM: controls in another order, CET, MSR areas ----
current=tests/cli/dumps/kvm-current.txt
checked 3 "$current"
has 'exit reason 33 (VM-entry failure due to invalid guest state): the processor refused this, and none of the checks that this dump lets me make fails' "$folder/out"
has 'suspect: fields that are not in the file: vmcs_link_pointer' "$folder/out"
lacks 'not read' "$folder/out"
sed 's/SSP = 0xffffc90000a45ff8/SSP = 0xffffc90000a45ffa/; s/SSP = 0x0000000000000000/SSP = 0x0000000000000001/' "$current" >"$folder/cet"
found "$folder/cet" < <(printf 'host.ssp.aligned\nguest.ssp.aligned\n')
sed 's/SSP TABLE = 0xff/SSP TABLE = 0x0f/' "$current" >"$folder/ssp-table"
found "$folder/ssp-table" <<<guest.interrupt_ssp_table.canonical
sed 's/value=0xfffffe00003d2000/value=0x0ffffe00003d2000/' "$current" >"$folder/msr"
checked 1 "$folder/msr"
has 'fails: entry 2 of the VM-entry MSR-load area [27.4] the address is not canonical' "$folder/out"
has 'MSR 0x600 = 0xffffe00003d2000' "$folder/out"
sed 's/1: msr=0x00000600/1: msr=0xc0000100/' "$current" >"$folder/msr"
checked 1 "$folder/msr"
has 'entry 2 of the VM-entry MSR-load area [27.4] IA32_FS_BASE and IA32_GS_BASE are not loaded from the list' "$folder/out"
has 'entry 2 of the VM-exit MSR-load area [28.6]' "$folder/out"
sed 's/reason=80000021 qualification=0000000000000000/reason=80000022 qualification=0000000000000001/' "$current" >"$folder/msr"
checked 3 "$folder/msr"
has 'suspect: entry 1 of the VM-entry MSR-load area (the exit qualification) [27.4]: MSR 0xc0000080 (ia32_efer) = 0xd01; no rule that all' "$folder/out"
sed '/msr=/d' "$folder/msr" >"$folder/msr-unknown"
checked 3 "$folder/msr-unknown"
has 'entry 1 of the VM-entry MSR-load area (the exit qualification) [27.4]: it is not in the file: 16 bytes at entry_msr_load_address + 0x0' "$folder/out"

# ---- the log's own verdict ----
sed 's/reason=80000021/reason=00000030/' "$current" >"$folder/succeeded"
checked 0 "$folder/succeeded"
has 'its exit reason is 48 (EPT violation), of an entry that succeeded' "$folder/out"
{ cat "$folder/succeeded"; echo 'qemu[311]: KVM: entry failed, hardware error 0x7'; } >"$folder/error-7"
checked 3 "$folder/error-7"
has 'VM-instruction error 7 (VM entry with invalid control field(s)): the processor refused this' "$folder/out"
has 'suspect: controls that this processor does not offer' "$folder/out"
sed 's/CR4: actual=0x0000000000b52ee0/CR4: actual=0x0000000000b56ee0/' "$current" >"$folder/smxe"
checked 3 "$folder/smxe"
has 'suspect: bits of guest CR4 that not every processor has: SMXE (bit 14); IA32_VMX_CR4_FIXED1 decides' "$folder/out"
{ cat "$folder/smxe"; echo 'capability cr4_fixed1 = 0xffbfff'; } >"$folder/smxe-decided"
checked 1 "$folder/smxe-decided"
has 'fails: guest.cr4.must_be_0' "$folder/out"
timeout 20 "$sesqui" check-vmcs --capability IA32_VMX_CR4_FIXED1=0xffbfff "$folder/smxe" >"$folder/out"
[ $? = 1 ] && grep -qF '1, but must be 0: SMXE (bit 14); IA32_VMX_CR4_FIXED1 = 0xffbfff' "$folder/out"
report $? "--capability decides what the dump does not say"
timeout 20 "$sesqui" check-vmcs --vmx-profile haswell "$current" >"$folder/out"
[ $? = 1 ] && grep -qF 'fails: control.entry.must_be_0' "$folder/out" && grep -qF 'Load CET state (bit 20)' "$folder/out"
report $? "--vmx-profile: what the generation lacks is not offered"
has 'so that processor accepted the controls and the host state' "$folder/out"
timeout 20 "$sesqui" check-vmcs --width 32 "$current" >"$folder/out"
[ $? = 1 ] && grep -qF 'fails: control.eptp.width' "$folder/out"
report $? "--width counts beside a log"
{ echo 'processor physical_address_width = 32'; cat "$current"; } >"$folder/width"
checked 1 "$folder/width"
has 'fails: host.cr3.width' "$folder/out"
printf 'guest_cr4 = 0x8002020\nexit_reason = 0x80000021\n' >"$folder/hand-refused"
checked 3 "$folder/hand-refused"
has 'LASS (bit 27)' "$folder/out"

# ---- Xen ----
found tests/cli/dumps/xen.txt <<<guest.tr.selector_ti
checked 1 tests/cli/dumps/xen.txt
has 'the log says: exit reason 33' "$folder/out"
lacks 'not read' "$folder/out"
lacks ' guest_cs_selector' "$folder/out"
sed 's/TR: 0084/TR: 0080/; s/0x80000021/0x80000022/; s/80000021 qualification=0000000000000000/80000022 qualification=0000000000000002/; s/Invalid guest state (0)/MSR loading (entry 1)\n(XEN)   msr 000001dd val 1ffff80512345678 (mbz 0)/' \
    tests/cli/dumps/xen.txt | fold -s -w 72 >"$folder/xen-msr"
checked 1 "$folder/xen-msr"
has 'entry 2 of the VM-entry MSR-load area [27.4] the address of a last-branch record is not canonical' "$folder/out"

# ---- QEMU's registers ----
found tests/cli/dumps/qemu-64.txt <<<guest.tr.type
checked 1 tests/cli/dumps/qemu-64.txt
has "these are QEMU's registers, not a VMCS" "$folder/out"
sed 's/00008900 DPL=0 TSS64-avl/00008b00 DPL=0 TSS64-busy/' tests/cli/dumps/qemu-64.txt >"$folder/qemu"
checked 3 "$folder/qemu"
has 'suspect: fields that are not in the file:' "$folder/out"
checked 3 tests/cli/dumps/qemu-32.txt
has 'VM-instruction error 7' "$folder/out"
{ cat "$current"; cat tests/cli/dumps/qemu-64.txt; } >"$folder/both"
checked 3 "$folder/both"
[ "$(grep -c "^$folder/both:" "$folder/out")" = 1 ]
report $? "QEMU's registers after KVM's VMCS are of the same entry"
{ sed 's/0x7/0x0/' tests/cli/dumps/qemu-32.txt; sed 's/reason=80000021/reason=00000030/; s/^/> /; s/\] kvm_intel/][ T909] kvm_intel/' "$current"; } >"$folder/qemu-first"
checked 3 "$folder/qemu-first"
[ "$(grep -c 'hardware error 0, which KVM says of VMfailInvalid: the processor refused this' "$folder/out")" = 2 ]
report $? "what QEMU says before its registers counts for KVM's VMCS after them"
has 'suspect: no check of a VMCS: there was no current VMCS' "$folder/out"
refused 'it says exit reason 33 (VM-entry failure due to invalid guest state), but there is no VMCS in it' < <(printf 'KVM: entry failed, hardware error 0x80000021\n')
sed 's/0x80000021/0xffffffff/' tests/cli/dumps/qemu-64.txt | sed 's/00008900/00008b00/' >"$folder/amd"
checked 3 "$folder/amd"
has 'which KVM says of AMD processors' "$folder/out"

# Two that fail one after the other, and one of Xen's kind of nesting.
sed 's/vmentry failure (reason 0x80000021): Invalid guest state (0)/VMLAUNCH error: 0x7/; s/reason=80000021/reason=00000001/; s/TR: 0084/TR: 0080/; s/intr_info=00000000 errcode=00000000 ilen=00000000/intr_info=80000308 errcode=00000000 ilen=00000000/' \
    tests/cli/dumps/xen.txt >"$folder/xen-launch"
checked 3 "$folder/xen-launch"                  # a processor with IA32_VMX_BASIC[56] would have accepted that
has 'suspect: checks that are not decided: control.injection.error_code_missing' "$folder/out"
sed -i '1i capability IA32_VMX_BASIC = 0xda040000000012' "$folder/xen-launch"
found "$folder/xen-launch" <<<control.injection.error_code_missing
checked 1 "$folder/xen-launch"
has 'the log says: VM-instruction error 7' "$folder/out"

# A part of a log, without any title.
printf 'RFLAGS=0x00000006         DR7 = 0x0000000000000400\nInterruptibility = 00000001  ActivityState = 00000000\nreason=80000021 qualification=0\n' >"$folder/part"
found "$folder/part" <<<guest.interruptibility.sti_if

# ---- lists: any hypervisor's names, encodings, by hand ----
found tests/cli/dumps/list-names.txt <<<host.size.rip_canonical
checked 1 tests/cli/dumps/list-names.txt
for name in pin_based_controls processor_based_controls secondary_processor_based_controls exit_controls entry_controls ept_pointer \
    guest_cr0 guest_cr3 guest_cr4 guest_cs_selector guest_cs_access_rights guest_cs_limit guest_cs_base guest_ss_access_rights \
    guest_gdtr_limit guest_gdtr_base guest_rflags vmcs_link_pointer host_cr0 host_cr4 host_rip; do
    lacks " $name " <(sed '1,/^  assumed/d; s/$/ /' "$folder/out")
done
printf 'Guest GDTR Limit: 0x57  Base: 0x1000  Guest IDTR Limit: 0x10000 Base: 0x2000\n' >"$folder/subjects"
found "$folder/subjects" <<<guest.idtr.limit
checked 1 "$folder/subjects"
lacks 'is there again' "$folder/out"
printf 'haxm: 4000 VMX_PIN_CONTROLS: 16\nhaxm: 4002 VMX_PRIMARY_PROCESSOR_CONTROLS: 401e172\nhaxm: 6820 GUEST_RFLAGS: 12\nhaxm: 4814 GUEST_ES_AR: 93\nhaxm: 4804 GUEST_SS_LIMIT: 100000\nhaxm: 4818 GUEST_SS_AR: 93\nhaxm: 2800 GUEST_VMCS_LINK_PTR: ffffffffffffffff\n' >"$folder/bare-hexadecimal"
found "$folder/bare-hexadecimal" <<<guest.ss.granularity_1
checked 1 "$folder/bare-hexadecimal"
has 'guest_ss_limit = 0x100000' "$folder/out"
printf 'G.RFLAGS(0x6820): 0x0   G.CS(0x0802): 0x0008   \n' >"$folder/name-and-encoding"
found "$folder/name-and-encoding" <<<guest.rflags.fixed
printf '*** Guest State ***\nGUEST_RFLAGS: 0x46\nguest_es_base = 0\n*** Host State ***\nHOST_CR0: 0x80050033\n' >"$folder/titled-list"
found "$folder/titled-list" </dev/null
checked 0 "$folder/titled-list"
lacks ' host_cr0 ' <(sed 's/$/ /' "$folder/out")
printf '0x4000 = 0x16\n0x6820: 0\n4816 = 0xa09b\n0x2801 = 0xffffffff\nVMREAD(0x681e) = 0x1000\n' >"$folder/encodings"
found "$folder/encodings" <<<guest.rflags.fixed
checked 1 "$folder/encodings"
for name in pin_based_controls guest_cs_access_rights guest_rip; do lacks " $name " <(sed 's/$/ /' "$folder/out"); done
printf 'guest_rflags = 0x0\n' >"$folder/one-field"
checked 1 "$folder/one-field"
has 'fails: guest.rflags.fixed' "$folder/out"
printf 'guest_rflags = 2\nguest_rip = 0x1000 # comment\n' >"$folder/fine"
checked 0 "$folder/fine"
printf 'vmcs 0x1000\nguest_cr9 = 1\nguest_rflags = 0\n' >"$folder/unknown-name"
checked 1 "$folder/unknown-name"
has 'line 2: "guest_cr9" is no VMCS field that is known here' "$folder/out"
printf 'guest_es_selector = 0x10000\nguest_rip = 0x1ffffffffffffffff\nguest_rsp = 1\nguest_rsp = 2\nprocessor physical_address_width = 90\n' >"$folder/bad-values"
checked 0 "$folder/bad-values"
has 'line 1: 0x10000 does not fit into guest_es_selector' "$folder/out"
has 'line 2: "guest_rip" is there without a number of 64 bits' "$folder/out"
has 'line 4: guest_rsp is there again, with 0x2; 0x1 counts' "$folder/out"
has 'line 5: processor:' "$folder/out"
refused 'there is no VMCS in it (line 1: "guest_cr9" is no VMCS field' < <(printf 'guest_cr9 = 1\n')
refused 'there is no VMCS in it' < <(printf 'a log\nof something else: 12\n')
refused 'there is no VMCS in it' < <(head -c 5000 /dev/zero)
refused 'there is no VMCS in it' < <(printf '')
refused 'there is no VMCS in it' < <(head -c 9000 build/guests/turnstile.elf)

# ---- name and encoding both, in any order and with any separator: the encoding is not the value ----
# read_as TEXT FAILS...: these checks fail, whose ids are given, in order
read_as()
{
    printf "$1" >"$folder/columns"
    found "$folder/columns" < <(shift; for id; do echo "$id"; done)
}
for columns in 'GUEST_RFLAGS,0x6820,0x1' 'GUEST_RFLAGS 6820 1' 'GUEST_RFLAGS\t6820h\t1h' '0x6820;GUEST_RFLAGS;0x1' \
    '0x6820;0x1;GUEST_RFLAGS' '0x1 | 0x6820 | GUEST_RFLAGS' '0x1|GUEST_RFLAGS|0x6820' 'GUEST_RFLAGS,0x1,0x6820' \
    '7,GUEST_RFLAGS,0x6820,0x1' '| GUEST_RFLAGS | 0x00006820 | 0x1 |' '[GUEST_RFLAGS, 26656, 0x1]' \
    '{"name": "GUEST_RFLAGS", "encoding": "0x6820", "value": "0x1"}' 'GUEST_RFLAGS (0x6820): 0x1'; do
    read_as "name;encoding;value\n$columns\n" guest.rflags.fixed
    timeout 20 "$sesqui" check-vmcs "$folder/columns" >"$folder/out" 2>&1
    has 'guest_rflags = 0x1' "$folder/out"
done
read_as 'name,encoding,value\nGUEST_RFLAGS,0x6820,0x0\nHOST_TR_SELECTOR,0x0c0c,0x0\nGUEST_DR7,0x681a,0x400\n' host.tr.nonzero guest.rflags.fixed
read_as 'VMCS_LINK_POINTER,0x2800,0xffffffff\nVMCS_LINK_POINTER_HIGH,0x2801,0xffffffff\nGUEST_RFLAGS,0x6820,0x6820\n' guest.rflags.reserved guest.rflags.fixed
refused 'all 3 values are the encodings of their fields' < <(printf 'GUEST_CR0 = 0x6800,\nGUEST_CR3 = 0x6802,\nGUEST_DR7 = 0x681a,\n')

# ---- the base of numbers without 0x: one decision for all of a list, and it is told ----
bare='guest rip: fffff80276543210\nss ar: 4093\ntr ar: 8b\nrflags: 202\ncs ar: a09b limit ffffffff\n'
read_as "$bare"
checked 0 "$folder/columns"
[ "$(grep -c 'numbers without 0x are read as hexadecimal: ' "$folder/out")" = 1 ]
report $? "that the numbers were read as hexadecimal is told in one line"
for name in guest_ss_access_rights guest_tr_access_rights guest_rflags guest_cs_limit; do
    lacks " $name " <(sed '1,/^  assumed/d; s/$/ /' "$folder/out")
done
read_as "${bare/tr ar: 8b/tr ar: 89}" guest.tr.type
timeout 20 "$sesqui" check-vmcs "$folder/columns" >"$folder/out" 2>&1
has 'guest_tr_access_rights = 0x89' "$folder/out"
read_as 'vmcs 0x4000\nguest_cs_limit 000fffff\nguest_rflags 202\n'
read_as '0x6820: 202\n0x681e: ffffffff80001000\n'
# Decimal, which the file may not have meant: told, too.
read_as 'guest_rflags = 202\n' guest.rflags.reserved
checked 1 "$folder/columns"
has 'numbers are read as decimal: nothing in the file tells their base' "$folder/out"
read_as 'guest_rflags = 514\nguest_dr7 = 0x400\nhost_rip = ffffffff80000000\n'
checked 0 "$folder/columns"
has 'numbers without 0x are read as decimal, except those with letters or a 0 in front' "$folder/out"
read_as 'guest_rflags = 514\nguest_dr7 = 0x400\n'
checked 0 "$folder/columns"
has 'numbers without 0x are read as decimal: the file has others with 0x' "$folder/out"
read_as 'guest_rflags = 2\nguest_dr7 = 0x400\n'
checked 0 "$folder/columns"
lacks 'numbers' "$folder/out"

# ---- prose is no list; a list in a letter is ----
for page in README.md docs/check-vmcs.md docs/checks.md; do refused 'there is no VMCS in it' <"$page"; done
letter='I have tried this on two machines now and it fails on both of them.\n'
{ for i in 1 2 3 4 5 6; do printf "$letter"; done; printf 'guest_rflags = 0x0\n'; printf "$letter"; } >"$folder/letter"
found "$folder/letter" <<<guest.rflags.fixed
{ for i in {1..40}; do printf "$letter"; done; printf 'On the first one GUEST_RFLAGS = 0x0 was to blame.\n'; } >"$folder/story"
refused 'a text with 1 values of fields in it, no list' <"$folder/story"

# ---- a log whose lines were joined reads as before ----
for dump in "$log" "$current" tests/cli/dumps/xen.txt; do
    "$sesqui" check-vmcs "$dump" | sed '1s/^[^ ]*//; s/line [0-9]*//' >"$folder/as-lines"
    tr '\n' ' ' <"$dump" >"$folder/joined"
    "$sesqui" check-vmcs "$folder/joined" | sed '1s/^[^ ]*//; s/line [0-9]*//' | cmp -s - "$folder/as-lines"
    report $? "joined to one line: ${dump##*/}"
done

# ---- a row fails only on what was given ----
# undecided ID LINES: that row is not decided, and nothing fails
undecided()
{
    printf "$2" >"$folder/given"
    timeout 20 "$sesqui" check-vmcs "$folder/given" >"$folder/out" 2>&1 </dev/null
    [ $? = 0 ] && sed -n '/^  not decided/,/^  assumed/p' "$folder/out" | grep -qF " $1"
    report $? "not decided: $1"
}
undecided guest.cs.type 'guest_cs_access_rights = 0x93\n'
undecided guest.ss.dpl_rpl 'guest_ss_selector = 3\n'
undecided control.injection.error_code_missing 'entry_interruption_information = 0x8000030b\nguest_cr0 = 0x30\n'
undecided guest.tr.type 'guest_tr_access_rights = 0x83\n'
undecided guest.ss.type 'guest_ss_access_rights = 0x8f\n'
undecided guest.debugctl.reserved 'guest_ia32_debugctl = 0x4000\nentry_controls = 0x13ff\n'
printf 'guest_cs_access_rights = 0x93\nprocessor_based_controls = 0x401e172\nguest_rflags = 2\n' >"$folder/given"
found "$folder/given" <<<guest.cs.type
printf 'guest_tr_access_rights = 0x83\nentry_controls = 0x13ff\n' >"$folder/given"
found "$folder/given" <<<guest.tr.type

# ---- times in front, and what logs put behind them ----
printf '%s\n' 'pin_based_controls = 0x16' 'guest_rflags = 0' 'GUEST_CS_ACCESS_BITS = 0xa09b' >"$folder/plain"
sed 's/^/[ 9021.315014]  # /' "$folder/plain" >"$folder/dmesg"
sed 's/ = /   /; s/^/00:00:18.504321 /' "$folder/plain" >"$folder/vbox"
for file in plain dmesg vbox; do found "$folder/$file" <<<guest.rflags.fixed; done
checked 1 "$folder/dmesg"
has '"GUEST_CS_ACCESS_BITS" is no VMCS field that is known here' "$folder/out"
printf '# guest_rflags = 0\nguest_rip = 0x1000\n' >"$folder/commented"
checked 0 "$folder/commented"                   # a line that somebody has taken out
printf 'guest_cr3[0]\t\t0x1000\nrflags[0]\t\t0x0\n' >"$folder/indexed"
found "$folder/indexed" <<<guest.rflags.fixed

# ---- rows that only some processors have ----
undecided control.injection.error_code_vector 'entry_interruption_information = 0x80000b15\n'
undecided control.injection.error_code_missing 'entry_interruption_information = 0x8000030d\nguest_cr0 = 0x80050033\nprocessor_based_controls = 0x401e172\n'
undecided control.injection.reserved 'entry_interruption_information = 0x80002b0e\nguest_cr0 = 0x80050033\n'
undecided control.injection.other_vector 'entry_interruption_information = 0x80000701\n'
undecided guest.cr3.width 'guest_cr3 = 0x6000000000001000\n'
undecided host.cr3.width 'host_cr3 = 0x4000000000001000\n'
undecided control.eptp.reserved 'ept_pointer = 0x10de\nsecondary_processor_based_controls = 2\nprocessor_based_controls = 0x8401e172\n'
undecided guest.pending_debug.reserved 'guest_pending_debug_exceptions = 0x800\n'
undecided guest.interruptibility.nmi_sti 'entry_interruption_information = 0x80000202\nguest_interruptibility_state = 1\nguest_rflags = 0x202\n'
printf 'guest_cr3 = 0x1000000000001000\n' >"$folder/given"
found "$folder/given" <<<guest.cr3.width
printf 'entry_interruption_information = 0x80000b15\ncapability IA32_VMX_BASIC = 0xda040000000011\n' >"$folder/given"
found "$folder/given" <<<control.injection.error_code_vector
printf 'entry_interruption_information = 0x80000b15\ncapability IA32_VMX_BASIC = 0x1da040000000011\n' >"$folder/given"
checked 0 "$folder/given"
! grep -q error_code_vector "$folder/out"
report $? "IA32_VMX_BASIC decides"

# ---- bits that must be 0 or 1, by name and with the capability that says so ----
printf 'secondary_processor_based_controls = 0x80\nprocessor_based_controls = 0x8401e172\nIA32_VMX_PROCBASED_CTLS2 = 0x2a00000000\n' >"$folder/bits"
checked 1 "$folder/bits"
has '1, but must be 0: Unrestricted guest (bit 7); IA32_VMX_PROCBASED_CTLS2: 0x2a may be 1' "$folder/out"
printf 'pin_based_controls = 0x10\nhost_cr4 = 0x2020\nhost_cr0 = 0x80000011\n' >"$folder/bits"
checked 1 "$folder/bits"
has '0, but must be 1: bit 1 (reserved), bit 2 (reserved) (on every processor)' "$folder/out"
has '0, but must be 1: NE (bit 5) (on every processor)' "$folder/out"
printf 'guest_cr0 = 0x20\nprocessor_based_controls = 0x0401e172\n' >"$folder/bits"
checked 1 "$folder/bits"
has '0, but must be 1: PE (bit 0), PG (bit 31) (on every processor, where "unrestricted guest" is 0)' "$folder/out"

# ---- selectors by their segments' names, several on a line; a name without "=" that is no field's ----
printf 'HOST_CS = 0x10 HOST_SS = 0x2b\nvmcs.HOST_TR: 0x0\nPIN_BASED 0x16\nFOO_BAR 0x12\n' >"$folder/segments"
checked 1 "$folder/segments"
has 'host_ss_selector = 0x2b' "$folder/out"
has 'host.tr.nonzero' "$folder/out"
has 'line 4: "FOO_BAR" is no VMCS field that is known here' "$folder/out"
! grep -q '"PIN_BASED"\|"HOST_CS"' "$folder/out"
report $? "PIN_BASED and HOST_CS are fields"

# ---- whatever programs put before each line: read as without it, notes included ----
cat >"$folder/plain" <<'END'
VMX_VMCS32_CTRL_ENTRY               0x000093ff
VMX_VMCS_GUEST_CR0                  0x80050033
VMX_VMCS_CTRL_CR0_MASK              0xffffffffe005003f
VMX_VMCS_GUEST_CR4                  0x3626f8
VMX_VMCS_CTRL_EPTP_FULL             0x00000003a7a5d01e
VMX_VMCS_HOST_RSP                   0xffffa80ec0f30d60
VMX_VMCS_HOST_RIP                   0xfffff8051a6a21d4
VMX_VMCS_GUEST_RIP                  0x8000fffffffff000
VMX_VMCS32_GUEST_CS_ACCESS_RIGHT    0xa09b
VMX_VMCS_GUEST_OF_NOBODY            = 0x1
END
checked 1 "$folder/plain"
has guest.rip.identical "$folder/out"
has '"VMX_VMCS_GUEST_OF_NOBODY" is no VMCS field' "$folder/out"
sed 1d "$folder/out" >"$folder/expected"
for prefix in '[ 9021.315023] ' '[ 9021.315023]  # ' '# ' '00:00:18.504330 ' '<6>' '(XEN) ' '[1.5] (XEN) ' '2024-05-01 12:33:04.123 '; do
    sed "s/^/$prefix/" "$folder/plain" >"$folder/prefixed"
    checked 1 "$folder/prefixed"
    sed 1d "$folder/out" | cmp -s - "$folder/expected"
    report $? "the same with \"$prefix\" before each line"
done
# ---- bhyvectl's: an index behind each name, descriptors in one ----
printf 'efer[0]\t\t0x500\ncr0[0]\t\t0x80050033\ncr4[0]\t\t0x2020\nrflags[0]\t0x0\ncs desc[0]\t0x0/0xffffffff/0xa09b\ntr desc[0]\t0x1000/0x2087/0x83\ngdtr[0]\t\t0x3000/0x1007f\n' >"$folder/index"
printf 'cs[0]\t\t0x10\nhost_cr0\t0x80050033\nhost_cr4\t0x3426e0\nentry_ctls[0]\t0xd3ff\n' >>"$folder/index"
checked 1 "$folder/index"
for row in guest.rflags.fixed guest.tr.type guest.gdtr.limit; do has $row "$folder/out"; done
refused 'it says exit reason 33' <<<$'vm exit[0]\n\treason\t\tVMX\n\trip\t\t0x000000000000fff0\n\texit_reason\t33 (Entry failure due to invalid guest state)'

# ---- what is about VMCSs and is none: manuals, the source of what prints one, a line of somebody's own ----
for page in docs/*.md README.md; do
    timeout 20 "$sesqui" check-vmcs "$page" >"$folder/out" 2>"$folder/err"
    status=$?
    [ $status = 2 ] && [ ! -s "$folder/out" ]
    report $? "$page is no VMCS"
done
# The lines of a log with conversions in place of their values, as C and as a patch in a mail.
for conversion in %08x %016llx %lx %#x; do
    sed "s/=0x[0-9a-f]*/=0x$conversion/g; s/= 0x[0-9a-f]*/= 0x$conversion/g; s/=[0-9a-f]\{4,\}/=$conversion/g; s/= [0-9a-f]\{4,\}/= $conversion/g
            s/^/\tpr_err(\"/; s/\$/\\\\n\", vmcs_readl(GUEST_CR0));/" tests/cli/dumps/kvm-current.txt >"$folder/source.c"
    refused 'conversions of printf (%08x) stand where values would' <"$folder/source.c"
    sed 's/^/> +/' "$folder/source.c" | refused 'conversions of printf (%08x) stand where values would'
done
# A dump with a comment of its reader's between the lines, each behind a mark that is no number.
sed 's/^.*\] //; s/^/[…] /' tests/cli/dumps/kvm-current.txt | sed '9i\\nCR4 is what the guest asked for, by the way, so that I think it is innocent.\n' >"$folder/comment"
timeout 20 "$sesqui" check-vmcs tests/cli/dumps/kvm-current.txt | sed 1d >"$folder/expected"
checked 3 "$folder/comment"
sed 1d "$folder/out" | cmp -s - "$folder/expected"
report $? "a comment between the lines of a dump changes nothing"
{ echo '[    7.193766] EPT pointer = 0xfffffc000661205e'; cat tests/cli/dumps/kvm-current.txt; } >"$folder/stray"
checked 3 "$folder/stray"
sed 1d "$folder/out" | cmp -s - "$folder/expected"
report $? "a line of somebody's own before a dump is no VMCS"
# Many reserved bits, and whole kinds of fields, are told by one name.
printf 'guest_cr0 = 0xffffffff80050033\n' >"$folder/wide"
checked 1 "$folder/wide"
has 'bits 63:32 (reserved)' "$folder/out"
has 'all host state all controls' "$folder/out"

# ---- QEMU's CR4 is the guest's view: what fails with it is a suspect ----
sed 's/CR4=[0-9a-f]*/CR4=00000000/; s/EFER=[0-9a-f]*/EFER=0000000000000500/; s/00008900/00008b00/' tests/cli/dumps/qemu-64.txt >"$folder/view"
timeout 20 "$sesqui" check-vmcs "$folder/view" >"$folder/out"
has "if the hypervisor enters with the guest's CR0 and CR4 as they are here: guest.ia32e.pae" "$folder/out"

# Generated pages are current.
"$sesqui" checks --markdown | cmp -s - docs/checks.md
report $? "docs/checks.md is current (make docs)"
"$sesqui" checks --events | cmp -s - docs/events.md
report $? "docs/events.md is current (make docs)"
"$sesqui" checks --refusals | cmp -s - docs/refusals.md
report $? "docs/refusals.md is current (make docs)"
"$sesqui" checks --iommu | cmp -s - docs/iommu-refusals.md
report $? "docs/iommu-refusals.md is current (make docs)"

echo "1..$number"
