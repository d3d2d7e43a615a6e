# SPDX-License-Identifier: MIT
# The part of a trace that must not depend on which machine L0 runs on: what L1 and L2 exited for, and what L0 made of it.
#     awk [-v fields=1 [-v defined=1]] -f exits.awk TRACE
# Left out, with the reason:
#   the clock                             another machine, another time
#   lines of other events                 L0's own VMX instructions and entries: physical addresses of its pool
#   text after rip= of an exit            an explanation of the qualification, which stands before it
#   vmcs= of a failed entry               a physical address of L0
#   RIP, RFLAGS of L2 at an external      the interrupt's moment: L2 waits in a loop; until L2's next exit (by an instruction)
#   interrupt                             also where L0 or L1 reads and writes them
#   with fields=1, values of host-state fields and of those with physical addresses of L0
#   with defined=1, exit information that the SDM leaves undefined for the exit at hand (28.2): processors differ
#   with defined=1, RFLAGS that an exit by a fault of L2 saves: docs/bochs-ledger.md, "RF"
#   with defined=1, where in its frame an IRET that unblocks NMIs looks first (bit 12 of the qualification): no rule says
#   with defined=1, whether CS is code or data in real mode: docs/bochs-ledger.md, "CS"
#   bits above 8 of an EPT violation      optional reports (SDM Vol. 3, 28.2.1, Table 28-7)
function bits(number,   i, value) {
    value = 0
    for (i = 3; i <= length(number); i++)
        value = value * 16 + index("0123456789abcdef", substr(number, i, 1)) - 1
    return value % 512
}
function mask(line, what,   start, value) {
    if (!match(line, what "=0x[0-9a-f]+"))
        return line
    value = substr(line, RSTART + length(what) + 1, RLENGTH - length(what) - 1)
    return substr(line, 1, RSTART - 1) what "=" bits(value) " (bits 8:0)" substr(line, RSTART + RLENGTH)
}
function moment(line) {
    if (interrupt)
        sub(/rip=0x[0-9a-f]+/, "rip=*", line)
    if (flags)
        sub(/guest_rflags=0x[0-9a-f]+/, "guest_rflags=*", line)
    return line
}
# Is this field of exit information defined for the exit just met?  SDM Vol. 3, 28.2.1, 28.2.4, 28.2.5. Later reads, and writes,
# may be about an exit of another level.
function is_defined(field) {
    if (!fresh)
        return 0
    if (field ~ /^guest_physical/)
        return reason ~ /^ept_/
    if (field ~ /^guest_linear/)
        return reason == "ept_violation" && linear
    if (field ~ /_length$/)
        return reason ~ /^(cpuid|getsec|hlt|inv.*|rdpmc|rdtscp?|vm.*|cr_access|mov_dr|io_instruction|rdmsr|wrmsr|mwait|monitor|pause|.*_access|wbinvd|xsetbv|rdrand|rdseed)$/
    return reason ~ /^(vmclear|vmptrld|vmptrst|vmread|vmwrite|vmxon|invept|invvpid|invpcid|.*tr_access|rdrand|rdseed)$/
}
fields && $3 == "L0" && $4 == "vmx" && $5 ~ /^vm(read|write)$/ {
    line = substr($0, length($1) + index($0, $1))
    split($6, field, "=")
    if (field[1] == "exit_qualification")
        iret = reason == "ept_violation" && field[2] ~ /[13579bdf][0-9a-f][0-9a-f][0-9a-f]$/
    if (defined && iret && field[1] ~ /^guest_(linear|physical)_address$/)
        sub(/=0x[0-9a-f]+/, "=frame", line)
    if (defined && field[1] ~ /^(exit_instruction_(length|information)|guest_(linear|physical)_address)$/ && !is_defined(field[1]))
        sub(/=0x[0-9a-f]+/, "=undefined", line)
    sub(/ (host_[a-z0-9_]+|ept_pointer|[a-z]+_bitmap_address|vmcs_link_pointer|entry_msr_load_address)=0x[0-9a-f]+/, " &*", line)
    sub(/=0x[0-9a-f]+\*/, "=*", line)
    if (++since > 10)
        fresh = 0
    if (defined)
        sub(/guest_cs_access_rights=0x9[3b] /, "guest_cs_access_rights=0x9* ", line)
    if (defined && fault)
        sub(/guest_rflags=0x[0-9a-f]+/, "guest_rflags=*", line)
    line = moment(line)
    print line
}
$4 ~ /^(exit|entry-failed|handled|reflect|emulated|nested-entry|nested-fail|inject-l1)$/ {
    line = substr($0, length($1) + index($0, $1))
    if ($4 == "exit" && match(line, / rip=0x[0-9a-f]+/))
        line = substr(line, 1, RSTART + RLENGTH - 1)
    if ($4 != "exit")
        fresh = 0
    if ($4 == "entry-failed") {
        sub(/ vmcs=0x[0-9a-f]+/, "", line)
    }
    if ($4 == "exit") {
        reason = $5
        fresh = 1
        iret = 0
        since = 0
        linear = index("89abcdef", substr($6, length($6) - 1, 1)) != 0  # bit 7 of the qualification
    }
    if ($4 == "exit" && $3 == "L2") {
        interrupt = $5 == "external_interrupt"
        flags = interrupt || (flags && $5 == "ept_violation")
        violation = $5 == "ept_violation"
        fault = violation || $5 ~ /^(exception_or_nmi|ept_misconfiguration)$/
    }
    line = moment(line)
    if ($5 == "ept_violation")
        line = mask(line, "qual")
    if (violation && line ~ /vmread exit_qualification=/)
        line = mask(line, "exit_qualification")
    print line
}
