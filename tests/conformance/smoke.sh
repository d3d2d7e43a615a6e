#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the smoke set of a user's own kvm-unit-tests build.   tests/conformance/smoke.sh DIR
#
# DIR is the suite's folder (or its x86/ folder). Each line: where it ran, the suite's own counts, exit status, verdict.
set -u
sesqui=${SESQUI:-build/release/sesqui}
dir=${1:-}
[ -n "$dir" ] || { echo "say where the suite was built:  make conformance-smoke KUT=DIR" >&2; exit 2; }
[ -f "$dir/x86/vmx.flat" ] && dir=$dir/x86
[ -f "$dir/vmx.flat" ] || { echo "$dir: no vmx.flat here; build the suite first (its ./configure && make)" >&2; exit 2; }

vmx="null vmenter test_vmxon test_vmclear test_vmptrld test_vmptrst test_vmread_flags_touch test_vmwrite_flags_touch
     test_vmcs_lifecycle CR_shadowing I/O_bitmap instruction_intercept"
plain="smap eventinj idt_test syscall"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'NR_CPUS=1\nMEMSIZE=512\nTEST_DEVICE=0\n' >"$work/env"
passed=0 failed=0

# one WHERE IMAGE SUBTEST OPTION...: runs it twice; passes if the suite says so, and both consoles and traces are the same
one()
{
    local where=$1 image=$2 subtest=$3
    shift 3
    local append=()
    [ "$subtest" = - ] || append=(--append "$subtest")
    for n in 1 2; do
        timeout 300 "$sesqui" boot "$dir/$image" "${append[@]}" --initrd "$work/env" --memory 512M --limit 3000000000 "$@" \
            --trace "$work/trace$n" >"$work/out$n" 2>"$work/err$n"
        status=$?
    done
    local verdict=ok summary
    summary=$(grep -aE '^SUMMARY' "$work/out1" | tail -1 | tr -d '\r')
    [ "$status" = 0 ] || verdict=FAILED
    cmp -s "$work/trace1" "$work/trace2" && cmp -s "$work/out1" "$work/out2" || verdict="FAILED (two runs differ)"
    printf '%-10s %-14s %-28s %-42s exit %-4s %s\n' "$where" "$image" "$subtest" "${summary:--}" "$status" "$verdict"
    if [ "$verdict" = ok ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        grep -aE '^FAIL|Unhandled|Abort' "$work/out1" | head -5
        tail -3 "$work/err1"
    fi
}

(cd "$dir" && sha256sum vmx.flat $(printf '%s.flat ' $plain))
for subtest in $vmx; do
    one bare vmx.flat "$subtest"
    one --hv=trap vmx.flat "$subtest" --hv=trap
done
for image in $plain; do
    one bare "$image.flat" -
done
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
