#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The SDM's sections in docs/sdm.md and their citations in the sources agree (tests/docs/sections.pl); and faults of each kind, planted
# in a copy of both, are told. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

perl tests/docs/sections.pl >"$folder/faults" 2>&1
[ ! -s "$folder/faults" ]
result $? "every citation is of a section in docs/sdm.md, and what the list names exists" "$folder/faults"

mkdir -p "$folder/root/docs"
cp -R model emu hv arch cli tests scenarios "$folder/root"
cp docs/sdm.md docs/iommu.md "$folder/root/docs"

# planted FILE COMMAND PATTERN TEXT: after `sed -E COMMAND` on FILE there is one line of complaint, or more, that matches PATTERN
planted()
{
    local file=$folder/root/$1

    cp "$file" "$folder/kept"
    sed -E -i "$2" "$file"
    perl tests/docs/sections.pl "$folder/root" >"$folder/faults" 2>&1
    ! cmp -s "$file" "$folder/kept" && grep -qE "$3" "$folder/faults"
    result $? "told: $4" "$folder/faults"
    cp "$folder/kept" "$file"
}

planted model/vmx/entry.c 's/27\.6 "Event Injection"/27.16 "Event Injection"/' \
    '^model/vmx/entry\.c:[0-9]+: 27\.16 is not in the list' 'a comment cites a section that is not in the list'
planted model/cpu/refusals.def 's/"Vol\. 1, 19\.5\.2"/"Vol. 1, 19.5.3"/' \
    'refusals\.def:[0-9]+: Vol\. 1, 19\.5\.3 is not in the list' 'a row of a table does, of another volume'
planted emu/explain/ept_walk.c 's/\[29\.3\.3\.1\]/[29.3.3.9]/' \
    'ept_walk\.c:[0-9]+: 29\.3\.3\.9 is not' 'a message does, in brackets'
planted scenarios/bare-interrupts.scn 's/27\.7\.6/27.7.16/' 'bare-interrupts\.scn:[0-9]+: 27\.7\.16 is not' 'a comment of a script does'
planted tests/metal/ledger.tsv 's/\t28\.3\.2 /\t28.3.12 /' 'ledger\.tsv:[0-9]+: 28\.3\.12 is not' 'a row of a ledger does'
planted emu/device/lapic.h 's/ch\. 11 /ch. 13 /' 'lapic\.h:[0-9]+: ch\. 13 is not' 'a chapter is cited that is not in the list'
planted docs/sdm.md '/^\| 28\.7 \|/d' ': 28\.7 is not in the list' 'a section that is cited is no more in the list'
planted docs/sdm.md 's/^(\| 28\.7 \|)(.*)/\1\2\n\1\2/' '28\.7 stands there twice' 'a section stands there twice'
planted docs/sdm.md 's/^(\| 28\.7 \|)[^|]*/\1 /' '28\.7 has no title' 'a section has no title'
planted docs/sdm.md 's/^(\| 28\.7 \|[^|]*\|)[^|]*/\1 somewhere /' '28\.7 names nothing in its column of the code' 'nothing implements a section'
planted docs/sdm.md 's/^(\| 28\.7 \|[^|]*\|[^|]*\|).*/\1 |/' '28\.7 names nothing in its column of the tests' 'nothing tests a section'
planted docs/sdm.md 's/^(\| 27\.5 \|.*)\|$/\1 `tests\/tap.sh` |/' '27\.5 is left out and has tests' 'a section that is left out has tests'
planted docs/sdm.md '/^\| 28\.7 \|/s/`core-abort-indicator\.scn`/`vmx\/exit.c`/' '28\.7: model/vmx/exit\.c is no test' 'what tests a section is no test'
planted model/vmx/exit.c 's/\bvmx_abort\(/vmx_give_up(/' '28\.7: model/vmx/exit\.c has no vmx_abort' 'a function has another name'
planted tests/model/boundary_test.c 's/nothing_after_an_abort/after_an_abort/' '28\.7: .* has no nothing_after_an_abort' 'a test has another name'
planted docs/sdm.md '/^\| 28\.7 \|/s/core-abort-indicator/core-abort/' '28\.7: there is no file core-abort\.scn' 'a scenario has another name'
planted docs/sdm.md '/^\| 28\.7 \|/s/`vmx\/exit\.c/`exit.c/' '28\.7: exit\.c may be any of' 'a name that is of several files'
planted model/cpu/boundary.def 's/28\.7/28.1/' '28\.7: no row of model/cpu/boundary\.def cites it' 'the rows of a table cite another section'
planted model/iommu/reasons.def 's/"7\.1\.3, LRT\.1/"7.1.13, LRT.1/' 'reasons\.def:[0-9]+: VT-d, 7\.1\.13 is not in the list of docs/iommu\.md' 'a section of VT-d that is not in its list'
planted model/iommu/second.c 's/VT-d, 3\.7/VT-d, 3.17/' 'second\.c:[0-9]+: VT-d, 3\.17 is not' 'a comment cites one'
finish
