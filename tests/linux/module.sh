#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The module of linux/ brings the image beneath Debian's stock kernel: loads, refuses, unloads, stays. Prints TAP.
set -u
. tests/tap.sh
sesqui=${SESQUI:-build/release/sesqui}
linux=build/linux/cloud-amd64
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if ! scenarios/linux/module.sh >"$scratch/assemble" 2>&1; then
    if grep -q 'cannot be had\|apt knows no\|no Debian' "$scratch/assemble"; then
        result 0 "the module beneath Debian's kernel # SKIP $(tail -1 "$scratch/assemble")"
    else
        result 1 "the module is built against Debian's headers, without a warning" "$scratch/assemble"
    fi
    finish
    exit
fi
result 0 "the module is built against Debian's headers, without a warning"

boots()     # NAME OPTION...
{
    name=$1
    shift
    timeout 300 "$sesqui" boot "$linux/vmlinuz" --initrd "$linux/initrd.module" --append "console=ttyS0 quiet" --limit 16G "$@" >"$scratch/out" 2>"$scratch/err"
    local status=$?
    tr -d '\r' <"$scratch/out" >"$scratch/lines"
    [ $status = 0 ] && [ ! -s "$scratch/err" ]
    result $? "$name: the kernel boots and switches off, and the machine has nothing to say of L0" <(cat "$scratch/err"; tail -20 "$scratch/out")
}
says()      # EXPRESSION
{
    grep -qxE "$1" "$scratch/lines"
    result $? "$name: $1" <(grep -aE '^(module|dmesg): ' "$scratch/lines")
}

digest=$(sha256sum <build/sesqui.elf | cut -d' ' -f1)
for processors in 1 2; do
    boots "$processors processor(s)" --cpus $processors
    says "module: not loaded hv=none"
    says "dmesg: hv=none: there are flip, copy and trap"
    says "dmesg: Linux is in VMX operation: end all virtual machines first"
    says "dmesg: kvm_intel is loaded, and knows the processor without L0: rmmod kvm_intel, and modprobe it afterwards"
    says "module: loaded  over processors 0"
    says "module: state loaded"
    says "module: command_line sesqui hv=flip log=memory"
    says "module: sha256 $digest"
    says "dmesg: image of L0: SHA-256 $digest, flip"
    says "module: a guest over flip"
    says "module: port accesses by L1 and L2 that exited: 0 44"     # one a character of two guests'; Linux is in VMX operation meanwhile
    says "module: no sleep"
    says "dmesg: L0 does not survive sleep: refused"
    says "module: in use"
    says "module: not unloaded"
    says "dmesg: kvm_intel is loaded, and knows the processor with L0: rmmod kvm_intel first"
    says "dmesg: L0 is gone"
    says "module: removed"
    says "module: a guest without L0"
    says "module: loaded hv=trap over processors 0$([ $processors = 1 ] || echo -1)"
    says "module: state final"
    says "dmesg: L0 is final"
    says "module: stays"
    says "module: a guest over trap"
    [ "$(grep -c '^a guest of KVM speaks' "$scratch/lines")" = 5 ]
    result $? "$name: five guests of KVM"
    if [ $processors = 2 ]; then
        says "module: processor 1 online 1"
        says "module: processor 1 does not change to 0"
        says "dmesg: processor 1 has L0 beneath it and cannot go offline"
    fi
    # What Linux itself warns of, but for the taint of a module that is not signed.
    { grep -v '^#' scenarios/linux/dmesg.allowed; echo 'module verification failed.*'; } | sed 's/^/module: warned: /' >"$scratch/allowed"
    ! grep '^module: warned: ' "$scratch/lines" | grep -vxEf "$scratch/allowed" >"$scratch/unknown"
    result $? "$name: the kernel warns of nothing else" "$scratch/unknown"
done
boots "VMX locked off" --feature-control 1 --append "console=ttyS0 quiet refuse"
says "dmesg: this processor has no VMX, or firmware has locked it off \(IA32_FEATURE_CONTROL\)"
says "module: not loaded "
finish
