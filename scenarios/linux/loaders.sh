#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Stock programs that call the firmware, from Debian's packages: iPXE (entered in real mode) to its prompt and a command there, memtest86+ into its pass
# on 64 MB. Slow: iPXE draws random numbers from the clock's interrupts, by code that modifies itself. Prints TAP.   scenarios/linux/loaders.sh
set -u
cd "$(dirname "$0")/../.."
. tests/tap.sh
sesqui=${SESQUI:-build/release/sesqui}
out=build/linux/loaders
mkdir -p "$out"

# fetch PACKAGE FILE
fetch()
{
    [ -e "$out/$2" ] && return
    (cd "$out" && apt-get download -q "$1" >/dev/null 2>"$1.log") && dpkg-deb -x "$out/$1"_*.deb "$out" && [ -e "$out/$2" ]
}

if fetch ipxe boot/ipxe.lkrn; then
    cat >"$out/ipxe.script" <<'SCRIPT'
expect "Press Ctrl-B" within 600
send "\x02"
expect "iPXE>" within 60
send "echo judge ${net0/mac} done\r"
expect "judge  done" within 60
SCRIPT
    # At its prompt it waits: the limit ends the run, and the script is over by then.
    "$sesqui" boot "$out/boot/ipxe.lkrn" --limit 1500M --explain=none --input "$out/ipxe.script" >"$out/ipxe.out" 2>&1
    [ $? = 120 ]
    result $? "iPXE: its prompt, and a command" "$out/ipxe.out"
else
    result 0 "iPXE # SKIP the package ipxe cannot be had"
fi
if fetch memtest86+ boot/memtest86+x64.bin; then
    "$sesqui" boot "$out/boot/memtest86+x64.bin" --memory 64M --append "console=ttyS0,115200" --limit 2500M --explain=none >"$out/memtest.out" 2>&1
    [ $? = 120 ] && grep -q "walking ones" "$out/memtest.out" && grep -q "Status: Testing" "$out/memtest.out" && ! grep -qE "Errors: [1-9]" "$out/memtest.out"
    result $? "memtest86+: in its pass, without errors" "$out/memtest.out"
else
    result 0 "memtest86+ # SKIP the package memtest86+ cannot be had"
fi
finish
