#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's acpica-tools read the ACPI tables without a complaint: each is disassembled, and the result compiled again.
set -u
. tests/tap.sh
build=$(dirname "${SESQUI:-build/release/sesqui}")
program="$build/tests/emu/firmware_table_test"
[ -x "$program" ] || program=$(ls -t build/*/tests/emu/firmware_table_test 2>/dev/null | head -1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
SESQUI_ACPI_TABLES="$folder" "$program" >/dev/null 2>&1
result $? "the tables are written"
command -v iasl >/dev/null || { result 0 "iasl # SKIP acpica-tools is not installed"; finish; exit; }
for name in DSDT FACP APIC MCFG HPET; do
    (cd "$folder" && iasl -d "$name.dat" >"$name.log" 2>&1 && iasl -p "$name.new" "$name.dsl" >>"$name.log" 2>&1)
    grep -q '0 Errors, 0 Warnings' "$folder/$name.log" && ! grep -qE '(Error|Warning) +[0-9]|Invalid' "$folder/$name.log"
    result $? "$name: no error and no warning" "$folder/$name.log"
done
finish
