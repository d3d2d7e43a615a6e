#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Instructions that Debian's cloud kernel takes bare and over the image that its module loads, L0's included: for the load; for work (scenarios/linux/init);
# and for each time that a guest's CPUID is answered by KVM and its OUT by KVM's user, L1's and L2's included. The same numbers on each run.
#   scenarios/linux/cost.sh [STRATEGY]   trap, copy or flip (unless told)
set -eu
cd "$(dirname "$0")/../.."
sesqui=${SESQUI:-build/release/sesqui}
strategy=${1:-flip}
linux=build/linux/cloud-amd64
few=1000 many=4000

said=$(scenarios/linux/module.sh 2>&1) || { tail -1 <<<"$said" >&2; exit 2; }
# executed PHASE WORDS: instructions of the whole run
executed()
{
    local said
    said=$(timeout 600 "$sesqui" boot "$linux/vmlinuz" --initrd "$linux/initrd.module" --append "console=ttyS0 quiet rdinit=/phase.init phase=$1 $2" \
        --explain=none --count 2>&1 | tr -d '\r')
    grep -qx "linux: phase $1 done" <<<"$said" || { tail -20 <<<"$said" >&2; return 1; }
    sed -n 's/^sesqui: \([0-9]*\) instructions$/\1/p' <<<"$said"
}
for phase in boot busy guest$few guest$many; do
    bare=$(executed $phase "")
    over=$(executed $phase hv="$strategy")
    echo "$phase $bare $over"
done | awk -v rounds=$((many - few)) '
    { bare[NR] = $2; over[NR] = $3 }
    END {
        printf "\tbare\tover L0\tratio\n"
        printf "the load\t\t%.0f\t\n", over[1] - bare[1]
        printf "work\t%.0f\t%.0f\t%.5f\n", bare[2] - bare[1], over[2] - over[1], (over[2] - over[1]) / (bare[2] - bare[1])
        printf "a round\t%.0f\t%.0f\t%.3f\n", (bare[4] - bare[3]) / rounds, (over[4] - over[3]) / rounds, (over[4] - over[3]) / (bare[4] - bare[3])
    }'
