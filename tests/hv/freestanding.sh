#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The two borders that matter most (docs/structure.md): the core needs nothing but the HAL, the model nothing but itself.
# Prints TAP.
set -u
build=${BUILD:-build/release}
tests=0 failures=0

# result TEXT OFFENDERS: fails if there are any
result()
{
    tests=$((tests + 1))
    if [ -z "$2" ]; then
        echo "ok $tests - $1"
    else
        echo "not ok $tests - $1"
        printf '%s\n' "$2" | head -20 | sed 's/^/#   /'
        failures=$((failures + 1))
    fi
}

undefined() { nm "$1" 2>/dev/null | awk '$1 == "U" { print $2 }' | sort -u; }
defined() { nm "$1" 2>/dev/null | awk '$2 ~ /^[A-TV-Z]$/ { print $3 }' | sort -u; }
# Symbols that an archive needs and does not hold itself.
foreign() { comm -23 <(undefined "$1") <(defined "$1"); }
# includes FOLDER: every quoted or angled header of its sources, "file: header"
includes() { grep -rnoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+["<][^">]+' "$1" --include='*.[chS]' --include='*.def' |
             sed -E 's/^([^:]+):[0-9]+:.*["<]/\1: /'; }

hv=$build/libsesqui-hv.a model=$build/libsesqui-model.a
for archive in "$hv" "$model"; do
    [ -n "$(defined "$archive")" ] || { echo "not ok 1 - $archive is there and has symbols"; echo "1..1"; exit 1; }
done

result "hv/ needs no symbol but the HAL's and the compiler's own" \
    "$(foreign "$hv" | grep -vE '^(hal_[a-z0-9_]+|memcpy|memset|memmove|memcmp|_GLOBAL_OFFSET_TABLE_)$')"
result "hv/ keeps no state in globals" \
    "$(nm "$hv" | awk '$2 ~ /^[BbDdCcGgSs]$/ { print $3 }' | grep -v '^\.')"
result "hv/ includes nothing from outside hv/ and arch/ but the compiler's headers" \
    "$(includes hv | grep -vE ': (hv/|arch/|std(arg|bool|def|int)\.h$)')"
result "hv/ offers the back end nothing that the model or the machine defines too" \
    "$(comm -12 <(defined "$hv") <(for a in "$model" "$build/libsesqui-emu.a"; do defined "$a"; done | sort -u))"
result "arch/ includes nothing but its own tables" "$(includes arch | grep -vE ': arch/')"
result "model/ includes nothing from emu/, hv/ or cli/" "$(includes model | grep -E ': (emu|hv|cli)/')"
result "model/ includes no header of an engine, of stdio or of the allocator" \
    "$(includes model | grep -E ': (unicorn|capstone|stdio|stdlib|malloc)')"
result "the model's library needs no CPU engine, no stdio and no allocator" \
    "$(foreign "$model" | grep -E '^(uc_|cs_|hal_|hv_|engine_|malloc|calloc|realloc|free$|f?printf|s?n?printf|v.*printf|puts|fputs|fputc|putc|putchar|fopen|fclose|fwrite|fread|fflush|std(in|out|err)$|__.*printf_chk|__wrap_|__real_)')"
echo "1..$tests"
exit $((failures != 0))
