#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The hypervisor of examples/minimal, as docs/start.md tells its story: it is built alone in a folder, runs bare and over the core, and
# each of the page's mistakes is told with the lines that the page shows.   Prints TAP.
set -u
sesqui=$(realpath "${SESQUI:-build/release/sesqui}")
page=docs/start.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../tap.sh"

# build DIR: a copy of the example with the change of a line that sed makes (nothing without one)
build()
{
    mkdir "$work/$1"
    cp examples/minimal/* "$work/$1/"
    [ -z "${2:-}" ] || sed -i -E "$2" "$work/$1/hypervisor.c"
    if [ -n "${2:-}" ] && cmp -s examples/minimal/hypervisor.c "$work/$1/hypervisor.c"; then
        echo "# the change \"$2\" fits no line" >"$work/$1/log"
        return 1
    fi
    make -C "$work/$1" >"$work/$1/log" 2>&1
}

for compiler in gcc clang; do
    if ! command -v $compiler >/dev/null; then
        result 0 "built by $compiler # SKIP $compiler is not installed"
        continue
    fi
    CC=$compiler MAKEFLAGS="CC=$compiler" build $compiler
    result $? "built by $compiler" "$work/$compiler/log"
    for world in bare trap copy flip; do
        option=--hv=$world
        [ $world != bare ] || option=--strict
        "$sesqui" boot "$work/$compiler/hypervisor.elf" --limit 1000000 $option >"$work/console" 2>"$work/told"
        [ $? = 0 ] && [ "$(cat "$work/console")" = "$(printf 'the guest says: 0x0000000000000016\nthe guest has halted')" ] && [ ! -s "$work/told" ]
        result $? "$compiler, $world: it runs" "$work/told"
    done
done

# mistake NAME CHANGE: the output that the page shows after "<!-- NAME -->", addresses apart, is what comes
addresses() { sed -E 's/0x[0-9a-f]+/0x/g; s/<[^>]*>/<>/g; s/[0-9]+/N/g'; }
mistake()
{
    build "$1" "$2"
    result $? "$1: built" "$work/$1/log"
    (cd "$work/$1" && "$sesqui" boot hypervisor.elf --limit 10000000) >"$work/console" 2>"$work/told"
    sed -n "/^<!-- $1 -->/,/^\$/p" "$page" | sed -n 's/^    //p' | grep -v '^\$ ' | addresses >"$work/shown"
    addresses <"$work/told" >"$work/plain"
    [ -s "$work/shown" ] && grep -qxFf "$work/shown" "$work/plain" &&
        [ "$(grep -cxFf "$work/plain" "$work/shown")" = "$(wc -l <"$work/shown")" ]
    result $? "$1: the page shows what comes" "$work/told"
}
mistake vmxe 's/cr4 \| 1 << 13/cr4/'
mistake link-pointer '/vmwrite\(LINK_POINTER/d'
mistake rip '/vmwrite\(GUEST_RIP, vmread/d'
mistake host-rip 's/vmwrite\(HOST_RIP, \(uint64_t\)vm_exit\)/vmwrite(HOST_RIP, 0xdead0000)/'

# Each page of docs/ stands in the index, and each page that it names is there.
for page in docs/*.md; do
    [ "$page" = docs/README.md ] || grep -q "($(basename "$page"))" docs/README.md
    result $? "docs/README.md names $(basename "$page")"
done
grep -oE '\]\([a-z-]+\.md\)' docs/*.md | sed -E 's/.*\((.*)\)/\1/' | sort -u | while read -r name; do
    [ -f "docs/$name" ] || echo "$name"
done >"$work/missing"
[ ! -s "$work/missing" ]
result $? "the pages link to pages that exist" "$work/missing"
finish
