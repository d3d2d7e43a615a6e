# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Sourced by the tests with Debian's kernel: what they share.
. tests/tap.sh
sesqui=${SESQUI:-build/release/sesqui}
linux=build/linux/cloud-amd64
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# assembled WHAT COMMAND...: makes what a test needs of Debian's packages. Where they cannot be had, WHAT is skipped by name; what else goes wrong is a
# failure. Either ends the test.
assembled()
{
    local what=$1
    shift
    "$@" >"$scratch/assemble" 2>&1 && return
    if grep -q 'cannot be had\|apt knows no\|this is no Debian\|QEMU cannot be run here\|QEMU lacks libraries here' "$scratch/assemble"; then
        result 0 "$what # SKIP $(tail -1 "$scratch/assemble")"
    else
        result 1 "$what: it is assembled from Debian's packages" "$scratch/assemble"
    fi
    finish
    exit
}
