#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The fuzz targets, sanitized, each for a few seconds and always with the same inputs. Prints TAP.
#
#   FUZZ=build/asan/tests/fuzz tests/fuzz/fuzz.sh
#   FUZZ_INPUTS=1000000 tests/fuzz/fuzz.sh      so many inputs of each, however long it takes
set -u
folder=${FUZZ:-build/asan/tests/fuzz}
number=0

# fuzz TARGET COUNT WHAT: runs inputs 0 to COUNT - 1 of seed 1
fuzz()
{
    local output count=${FUZZ_INPUTS:-$2} limit=300
    [ -z "${FUZZ_INPUTS:-}" ] || limit=infinity
    number=$((number + 1))
    if output=$(timeout $limit "$folder/$1" --seed 1 --count "$count" 2>&1) && [ "$output" = "$count inputs of seed 1" ]; then
        echo "ok $number - $1: $count $3"
    else
        echo "not ok $number - $1: $count $3"
        tail -15 <<<"$output" | sed 's/^/    /'
    fi
}

fuzz vmcs_random 100000 'VMCSs entered and left'
fuzz check_parts 20000 'walks over VM-entry checks, remembered and anew'
folder=${FUZZ_RELEASE:-build/release/tests/fuzz}
fuzz check_parts 160000 'walks of 64 changes, not sanitized'
folder=${FUZZ:-build/asan/tests/fuzz}
fuzz scenario_text 30000 'scenario texts'
fuzz image_load 30000 'images'
fuzz protocol_load 20000 'kernels and other images, packed and not'
fuzz device_registers 20000 'guests that write nonsense to devices'
fuzz vmcs_text 10000 'VMCS dumps'
fuzz virtio 20000 'drivers of virtio devices'
fuzz remapping_unit 50000 'programs against a remapping unit'
fuzz disk 20000 'options and files of disks'
fuzz firmware_calls 20000 'guests that call the firmware and its configuration'
fuzz option_text 50000 'dialogues, moments and dates'
echo "1..$number"
