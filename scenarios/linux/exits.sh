#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the core is exited for beneath Debian's cloud kernel, by reason: while it boots; idles for ten seconds; works (processes, pipes, compression,
# a file system); loads KVM and creates a guest; and for each time that this guest's CPUID is answered by KVM and its OUT by KVM's user. Each
# column is the difference of two whole runs. One line a kind of exit, tab-separated: docs/reactive.md is about them.
#   scenarios/linux/exits.sh [STRATEGY]   trap, copy or flip (unless told)    APPEND=l1tf=off: more for the command line of the kernel
set -eu
cd "$(dirname "$0")/../.."
sesqui=${SESQUI:-build/release/sesqui}
strategy=${1:-flip}
linux=build/linux/cloud-amd64
few=1000 many=4000
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

scenarios/linux/assemble.sh >"$scratch/assemble" 2>&1 || { tail -1 "$scratch/assemble" >&2; exit 2; }
for phase in boot idle busy guest$few guest$many; do
    timeout 600 "$sesqui" boot "$linux/vmlinuz" --initrd "$linux/initrd" --append "console=ttyS0 quiet phase=$phase ${APPEND:-}" --hv="$strategy" --explain=none \
        --stats="$scratch/$phase" >"$scratch/out" 2>&1 && grep -q "linux: phase $phase done" "$scratch/out" || {
        tail -20 "$scratch/out" >&2
        exit 1
    }
done
awk -v few=$few -v many=$many '
    FNR == 1 { run++; seconds[run] = $5; next }
    FNR == 2 { next }
    {
        line = $0
        kind = substr(line, 3, 44); sub(/ +$/, "", kind)
        split(substr(line, 47), count)
        indented = kind ~ /^ /
        sub(/^ +/, "", kind)
        if (!indented) reason = kind
        name = indented ? reason ": " kind : kind
        if (!(name in seen)) { seen[name] = 1; order[++names] = name }
        n[name, run, 1] = count[1]; n[name, run, 2] = count[3]
    }
    function of(run, before) { return n[name, run, level] - n[name, before, level] }
    END {
        printf "level\tkind of exit\tboot\tidle, a second\twork, a second\tKVM and its first guest\teach CPUID and OUT of L2\n"
        printf "\tseconds of guest time\t%s\t%.3f\t%.3f\t\t\n", seconds[1], seconds[2] - seconds[1], seconds[3] - seconds[1]
        for (level = 1; level <= 2; level++)
            for (i = 1; i <= names; i++) {
                name = order[i]
                each = of(5, 4) / (many - few)
                if (of(1, 0) + of(2, 1) + of(3, 1) + of(4, 1) + each)
                    printf "L%d\t%s\t%d\t%.2f\t%.2f\t%.0f\t%.3f\n", level, name, of(1, 0), of(2, 1) / (seconds[2] - seconds[1]),
                           of(3, 1) / (seconds[3] - seconds[1]), of(4, 1) - few * each, each
            }
    }' "$scratch/boot" "$scratch/idle" "$scratch/busy" "$scratch/guest$few" "$scratch/guest$many"
