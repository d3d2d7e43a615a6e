#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The terminal as the guest's console: what is typed arrives byte by byte, the escape key works, and however the run ends the terminal has its
# former mode again.
set -u
. tests/tap.sh
sesqui=${SESQUI:-build/release/sesqui}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
command -v script >/dev/null || { result 0 "script # SKIP bsdutils is not installed"; finish; exit; }

# Echoes the first UART with a mark before each byte; "q" ends with value 5.  1: in al,[3fd]; test 1; jz 1b; in al,[3f8]; cmp 'q'; je 2f;
# out al; jmp 1b; 2: mov eax,5; out 0xf4,eax
printf '\x02\xb0\xad\x1b\x00\x00\x01\x00\xfe\x4f\x51\xe4\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x10\x00' >"$scratch/echo.bin"
printf '\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7\x66\xba\xf8\x03\xec\x3c\x71\x74\x03\xee\xeb\xeb\xb8\x05\x00\x00\x00\xe7\xf4' >>"$scratch/echo.bin"

# in_terminal NAME STATUS COMMAND: runs sesqui in a terminal; COMMAND types. The terminal's mode is the same before and behind it.
in_terminal()
{
    local name=$1 wanted=$2 command=$3
    rm -f "$scratch"/{before,after,status,pid}
    # shellcheck disable=SC2016
    eval "$command" | S=$sesqui D=$scratch timeout 60 script -qec 'stty -g >$D/before; sh -c "echo \$\$ >$D/pid; exec $S boot $D/echo.bin"; echo $? >$D/status; stty -g >$D/after' \
        /dev/null >"$scratch/out" 2>&1
    [ "$(cat "$scratch/status" 2>/dev/null)" = "$wanted" ]
    result $? "$name: status $wanted" <(cat "$scratch/status" "$scratch/out" 2>&1)
    cmp -s "$scratch/before" "$scratch/after"
    result $? "$name: the terminal has its mode back" <(cat "$scratch/before" "$scratch/after" 2>&1)
}

# begun: waits until the guest has the terminal
begun() { for _ in $(seq 100); do grep -q 'Ctrl-A x ends' "$scratch/out" 2>/dev/null && return; sleep 0.1; done; }

in_terminal "typing" 5 'begun; printf "abc\003d"; sleep 1; printf q; sleep 1'
grep -q $'abc\003d' "$scratch/out"
result $? "typing: each byte arrives, Ctrl-C too, since the guest reads" "$scratch/out"
in_terminal "Ctrl-C before anything is read" 130 'begun; printf "\003"; sleep 1'
in_terminal "escape x" 130 'begun; printf "a\001x"; sleep 1'
in_terminal "escape h, escape twice" 5 'begun; printf "\001h\001\001\001zq"; sleep 1'
grep -q $'\001' "$scratch/out" && [ "$(grep -c 'Ctrl-A x ends' "$scratch/out")" = 3 ]
result $? "escape h says it again, an unknown key too, and twice sends one" "$scratch/out"
in_terminal "SIGTERM" 143 'begun; kill -TERM "$(cat "$scratch/pid")"; sleep 1'
for signal in SEGV HUP QUIT ABRT; do
    number=$(kill -l $signal)
    in_terminal "SIG$signal" $((128 + number)) "begun; kill -$signal \"\$(cat \"\$scratch/pid\")\"; sleep 1"
done
in_terminal "SIGTERM twice" 143 'begun; pid=$(cat "$scratch/pid"); kill -TERM $pid; kill -TERM $pid 2>/dev/null; sleep 1'
finish
