#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The module of linux/ brings the image beneath Debian's stock kernel: loads, refuses, unloads, stays. Prints TAP.
set -u
. tests/debian.sh
assembled "the module beneath Debian's kernel" scenarios/linux/module.sh
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
boots_and_resets()  # NAME OPTION...: the same, but that the machine is reset at the end
{
    name=$1
    shift
    timeout 300 "$sesqui" boot "$linux/vmlinuz" --initrd "$linux/initrd.module" --limit 24G "$@" >"$scratch/out" 2>"$scratch/err"
    local status=$?
    tr -d '\r' <"$scratch/out" >"$scratch/lines"
    [ $status = 121 ] && [ "$(wc -l <"$scratch/err")" = 1 ] && grep -q 'reset' "$scratch/err"
    result $? "$name: the kernel boots and resets the machine, which has nothing to say of L0" <(cat "$scratch/err"; tail -20 "$scratch/out")
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
# Early: from the initramfs, as initramfs-tools has it.
boots "early" --append "console=ttyS0 quiet rdinit=/early.init sesqui=final sesqui.hv=copy"
says "module: prerequisites: "
says "module: the boot goes on"
says "module: state final"
says "module: processors 0"
says "module: command_line sesqui hv=copy log=memory"
says "module: kexec closed: 1"
says "module: a guest"
boots "early, not wanted" --append "console=ttyS0 quiet rdinit=/early.init sesqui=off"
says "module: the boot goes on"
! grep -q 'module: state\|dmesg:' "$scratch/lines"
result $? "$name: L0 is not there" "$scratch/lines"
boots "early, refused" --feature-control 1 --append "console=ttyS0 quiet rdinit=/early.init sesqui=final"
says "sesqui: L0 is not beneath this system: dmesg says why"
says "module: the boot goes on"
says "dmesg: this processor has no VMX, or firmware has locked it off \(IA32_FEATURE_CONTROL\)"
for command in prereqs ""; do
    # shellcheck disable=SC2016
    echo 'manual_add_modules() { echo "modules: $*"; }' >"$scratch/hook-functions"
    sed "s,/usr/share/initramfs-tools/hook-functions,$scratch/hook-functions," linux/initramfs/hook >"$scratch/hook"
    [ "$(sh "$scratch/hook" $command)" = "$([ -n "$command" ] || echo "modules: sesqui")" ]
    result $? "the hook: ${command:-the module is taken along}"
done
make -s -C linux DESTDIR="$scratch/root" initramfs && [ -x "$scratch/root/etc/initramfs-tools/hooks/sesqui" ] &&
    cmp -s linux/initramfs/init-top "$scratch/root/etc/initramfs-tools/scripts/init-top/sesqui"
result $? "make initramfs puts both where initramfs-tools looks"

# Loads that fail in their midst; then another kernel takes over, and resets the machine.
boots_and_resets "faults" --cpus 2 --append "console=ttyS0 quiet rdinit=/faults.init kexec"
says "module: refused on one processor: not loaded"
says "dmesg: L0 says: sesqui: load refused: the guest has set CR4.VMXE: .*"
says "dmesg: 1 of 2 processors could not be loaded: all run without L0"
says "module: no place in sysfs: not loaded"
says "module: no memory: not loaded"
says "dmesg: no [0-9]+ MB of contiguous memory below 4 GB: load the module earlier, from the initramfs"
says "module: nothing is left"
says "module: at last: loaded over processors 0-1"
says "module: again: loaded over processors 0-1"
says "module: the second kernel: loaded over processors 0-1"
says "module: the second kernel: a guest"
boots "VMX locked off" --feature-control 1 --append "console=ttyS0 quiet refuse"
says "dmesg: this processor has no VMX, or firmware has locked it off \(IA32_FEATURE_CONTROL\)"
says "module: not loaded "
finish
