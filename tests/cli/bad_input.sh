#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Mistakes on the command line and bad images: one line on stderr that names the mistake, nothing on stdout, status 2. Prints TAP.
#
#   SESQUI=build/release/sesqui tests/cli/bad_input.sh
set -u
sesqui=${SESQUI:-build/release/sesqui}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
number=0
exec </dev/null

# report OK NAME: one line of TAP
report()
{
    number=$((number + 1))
    if [ "$1" = 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}

# refused WORDS ARGUMENT...: the command ends with status 2 and one line that contains WORDS
refused()
{
    local words=$1 status lines
    shift
    timeout 20 "$sesqui" "$@" >"$folder/out" 2>"$folder/err"
    status=$?
    lines=$(wc -l <"$folder/err")
    if [ "$status" = 2 ] && [ "$lines" = 1 ] && [ ! -s "$folder/out" ] && grep -qF -- "$words" "$folder/err"; then
        report 0 "$* -> $words"
    else
        report 1 "$* -> $words"
        echo "    status $status, $lines lines: $(head -3 "$folder/err")"
    fi
}

# works WORDS ARGUMENT...: status 0, WORDS on stdout
works()
{
    local words=$1
    shift
    timeout 20 "$sesqui" "$@" >"$folder/out" 2>"$folder/err" && grep -qF -- "$words" "$folder/out"
    report $? "$* prints $words"
}

# word BITS VALUE: little-endian
word() { for ((i = 0; i < $1; i += 8)); do printf "\\x$(printf %02x $(($2 >> i & 255)))"; done; }

# A flat multiboot image, loaded at $1, which ends the run with value 7: mov eax, 7; out 0xf4, eax; hlt; jmp
flat()
{
    local base=$1
    word 32 0x1badb002; word 32 0x10000; word 32 $((-(0x1badb002 + 0x10000)))
    word 32 "$base"; word 32 "$base"; word 32 0; word 32 0; word 32 $((base + 32))
    printf '\xb8\x07\x00\x00\x00\xe7\xf4\xf4\xeb\xfd'
}

flat 0x100000 >"$folder/good"
flat 0x20000000 >"$folder/high"
flat 0x90000 >"$folder/information"
: >"$folder/empty"
head -c 9000 /dev/zero >"$folder/zeros"
{ head -c 514 /dev/zero; printf HdrS; head -c 1024 /dev/zero; } >"$folder/bzimage"
printf '\177ELF\1\1\1' >"$folder/short"
{ word 32 0x1badb002; word 32 8; word 32 $((-(0x1badb002 + 8))); } >"$folder/feature"

refused 'no command'
refused 'unknown command "bott"' bott
refused 'unknown option "--bott"' --bott
refused 'did you mean boot?' bott
refused 'did you mean check-vmcs?' check-vmc
refused 'unknown command "bott"' help bott
refused 'which image' boot
refused 'an empty argument' boot ''
refused 'an empty argument' run ''
refused 'an empty argument' check-vmcs ''
refused '--trace: the name of a file is missing' boot "$folder/good" --trace ''
refused '--trace: the name of a file is missing' boot "$folder/good" --trace=
refused 'there is no scenario' run "$folder"
refused 'Is a directory' boot "$folder/good" --trace "$folder"
refused 'write --hv=trap' boot --hv trap "$folder/good"
refused 'write --hv=flip' boot "$folder/good" --hv flip
refused 'there is no file "fast"; if it is meant as the value of --hv' boot --hv fast "$folder/good"
refused 'did you mean --hv?' boot -hv=trap "$folder/good"
refused 'did you mean --trace?' boot --trac "$folder/out" "$folder/good"
refused 'did you mean --memory?' boot --mem 1G "$folder/good"
refused 'did you mean --memory?' boot --memory1G "$folder/good"
refused 'did you mean --golden?' run --gold x
refused 'did you mean --width?' check-vmcs --with 36 x
refused 'did you mean --tsv?' bench nested --tvs x
refused 'unknown option "--nonsense" (try: sesqui bench --help)' bench nested --nonsense
refused 'contradict' boot "$folder/good" --console "$folder/console" --no-console
refused 'second one' bench a b
refused 'needs a value' run --trace
refused 'unknown option "--nonsense"' boot --nonsense "$folder/good"
refused 'second one' boot "$folder/good" "$folder/high"
refused '--append needs a value' boot "$folder/good" --append
refused 'not a memory size' boot "$folder/good" --memory lots
refused 'not a memory size' boot "$folder/good" --memory -5
refused 'not a memory size' boot "$folder/good" --memory 99999999999999999999G
refused 'not a memory size' boot "$folder/good" --memory 18014398509481984G
refused '1 MB to 4 GB' boot "$folder/good" --memory 0
refused '1 MB to 4 GB' boot "$folder/good" --memory 5G
refused '1 MB to 4 GB' boot "$folder/good" --memory 1500K
refused '1 to 80 processors' boot "$folder/good" --cpus 0
refused '1 to 80 processors' boot "$folder/good" --cpus 81
refused '1 to 80 processors' boot "$folder/good" --cpus 4294967297
refused 'not a number' boot "$folder/good" --cpus two
refused 'not a number' boot "$folder/good" --limit 5x
refused 'not a number' boot "$folder/good" --seed ''
refused 'takes no value' boot "$folder/good" --strict=yes
refused 'unknown strategy "fast"' boot "$folder/good" --hv=fast
refused 'did you mean haswell?' boot "$folder/good" --vmx-profile Haswell
refused 'did you mean skylake?' check-vmcs --vmx-profile Skylake "$folder/good"
refused 'did you mean --memory?' boot --Memory 1G "$folder/good"
refused 'unknown option "-smp" (here: --cpus N)' boot -smp 2 "$folder/good"
refused '(here: --memory SIZE)' boot -m 512 "$folder/good"
refused 'sesqui boot IMAGE)' boot -kernel "$folder/good"
refused '(here: --disk FILE' boot -drive "file=x"
refused 'unknown profile "pentium"' boot "$folder/good" --vmx-profile pentium
refused 'unknown capability "eptt"' boot "$folder/good" --vmx -eptt
refused '"encls-exiting" is not implemented' boot "$folder/good" --vmx +pml,+encls-exiting
refused '"pml" is neither +NAME nor -NAME' boot "$folder/good" --vmx -ept-ad,pml
refused '"-" is neither' boot "$folder/good" --vmx -
refused '--vmx needs a value' boot "$folder/good" --vmx
refused 'No such file' boot "$folder/missing"
refused 'is a directory, not a file' boot "$folder"
refused 'is a device, not a file' boot /dev/zero
refused 'is a device, not a file' boot /dev/null
refused 'is a device, not a file' boot - </dev/null
refused 'is a directory, not a file' boot "$folder/good" --initrd "$folder"
refused 'is a device, not a file' boot "$folder/good" --module "/dev/urandom words"
refused 'the file is empty' boot "$folder/empty"
refused 'not a bootable image' boot "$folder/zeros"
refused 'a Linux kernel of a boot protocol older than 2.06' boot "$folder/bzimage"
refused 'the ELF header is cut short' boot "$folder/short"
refused 'requires multiboot feature 3' boot "$folder/feature"
refused 'not all RAM' boot "$folder/high"
refused 'boot information' boot "$folder/information"
refused 'No such file' boot "$folder/good" --initrd "$folder/missing"
refused '--trace' boot "$folder/good" --trace "$folder/missing/trace"
refused '--console' boot "$folder/good" --console "$folder/missing/console"
refused 'unexpected argument' checks everything
refused 'unknown option' checks --everything
refused 'takes no value' checks --markdown=yes


refused 'the list is empty' boot "$folder/good" --vmx ''
refused 'unknown option "-"' -
refused 'unknown option "--"' -- boot
refused 'not a number' boot "$folder/good" --limit -1
refused 'not a number' boot "$folder/good" --limit 18446744073709551616
refused 'not a number' boot "$folder/good" --limit 0x
refused 'not a number' boot "$folder/good" --limit 1e6
refused 'not a number' boot "$folder/good" --limit ' 5'
refused 'not a number' boot "$folder/good" --feature-control x
refused 'only bits 0' boot "$folder/good" --feature-control 2
refused 'not a memory size' boot "$folder/good" --trace-limit lots
refused 'not a memory size' run --trace-limit -1 x
refused 'none of: once all none' boot "$folder/good" --explain=sometimes
refused 'unknown strategy ""' boot "$folder/good" --hv=
refused 'unknown strategy "TRAP"' boot "$folder/good" --hv=TRAP
refused 'give --hv, too' boot "$folder/good" --races
refused '--late needs --hv' boot "$folder/good" --late
refused '--hv-at needs --hv' boot "$folder/good" --hv-at port:1
refused 'contradict each other' boot "$folder/good" --hv --late --hv-at port:1
refused 'is no moment: port:P' boot "$folder/good" --hv --hv-at port:banana
refused 'is no moment: instructions:N' boot "$folder/good" --hv --hv-at instructions:
refused 'is no moment: console:TEXT' boot "$folder/good" --hv --hv-at console:
refused 'is no moment' boot "$folder/good" --hv --hv-at ''
refused '--append: a command line is at most 8191 bytes long' boot "$folder/good" --append "$(head -c 9000 /dev/zero | tr '\0' x)"
refused 'does not begin with a module' boot "$folder/good" --module ''
refused 'does not begin with a module' boot "$folder/good" --module ' words'
refused 'more than 8 modules' boot "$folder/good" --module a --module a --module a --module a --module a --module a --module a --module a --module a
refused '`make` builds the guest images' bench "$folder"
refused '--update-golden needs --golden' run --update-golden "$folder"/good
refused 'No such file' run "$folder/missing.scn"
refused 'No such file' run --golden x "$folder/missing.scn"
refused 'No such file' check-vmcs "$folder/missing"
refused 'Is a directory' check-vmcs "$folder"
refused 'larger than 64 MB' check-vmcs /dev/zero
refused 'Bad file descriptor' check-vmcs - <&-
refused 'standard input: is closed' boot - <&-
refused '32 to 52 bits' check-vmcs "$folder/good" --width 31
refused '32 to 52 bits' check-vmcs "$folder/good" --width 53
long=$(head -c 5000 /dev/zero | tr '\0' x)
refused 'File name too long' boot "$long"
refused '--trace' boot "$folder/good" --trace "$long"
refused 'File name too long' boot "$folder/good" --trace "$long"
refused 'unknown command' "$long"
refused 'unknown option' boot "--$long"
refused 'File name too long' run "$long"
refused 'File name too long' check-vmcs "$long"
[ "$(wc -c <"$folder/err")" -lt 1000 ]
report $? "a message stays readable whatever the arguments"
# What is not printable is shown, not sent to the terminal.
refused 'evil\nname\x1b[31m' boot $'evil\nname\033[31m'
refused 'evil\nname\x1b[31m' run $'evil\nname\033[31m'
refused 'evil\x07' check-vmcs $'evil\a'
refused 'unknown option "--\x1b[2J"' boot $'--\033[2J'
refused 'naïve' boot "$folder/naïve"
printf 'nonsense\n' >"$folder/"$'evil\nok 2 - name.scn'
timeout 20 "$sesqui" run "$folder/"$'evil\nok 2 - name.scn' >"$folder/out" 2>"$folder/err"
[ $? = 1 ] && ! grep -q '^ok' "$folder/out" && grep -qF 'evil\nok 2' "$folder/out"
report $? "a scenario's name cannot forge a line of TAP"
rm -f "$folder"/*.scn

# ---- files that are no multiboot v1 images: each with its own answer ----
# with OFFSET FILE BYTES: zeros up to OFFSET, then BYTES as printf knows them
with() { { head -c "$1" /dev/zero; printf "$3"; head -c 600 /dev/zero; } >"$folder/$2"; }
with 0 gzip '\x1f\x8b\x08'
with 0 xz '\xfd7zXZ\0'
with 0 zstd '\x28\xb5\x2f\xfd'
with 0 bzip2 'BZh9'
with 0 lz4 '\x04\x22\x4d\x18'
with 0 zip 'PK\x03\x04'
with 257 tar 'ustar'
with 0 library '!<arch>\n'
{ head -c 257 /dev/zero; printf 'ustar'; head -c 762 /dev/zero; cat "$folder/good"; } >"$folder/tar.multiboot"
with 0 x32 '\x7fELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\x3e\0'
with 0 i386.64 '\x7fELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\3\0'
with 0 macho64 '\xcf\xfa\xed\xfe'
with 0 macho32 '\xce\xfa\xed\xfe'
with 0 machofat '\xca\xfe\xba\xbe'
with 0 qcow 'QFI\xfb'
with 0 uimage '\x27\x05\x19\x56'
with 0 bitcode 'BC\xc0\xde'
with 510 sector '\x55\xaa'
with 32769 iso 'CD001'
with 0 dos 'MZ'
# A PE header at 0x80, subsystem $2
pe() { { printf MZ; head -c 58 /dev/zero; word 32 128; head -c 64 /dev/zero; printf 'PE\0\0'; head -c 88 /dev/zero; word 16 "$2"
         head -c 100 /dev/zero; } >"$folder/$1"; }
pe efi 10
pe efidriver 12
pe windows 3
{ printf MZ; head -c 512 "$folder/bzimage" | tail -c 510; tail -c +513 "$folder/bzimage"; } >"$folder/bzimage.efi"
printf 'l0 prepare vmx\n' >"$folder/text"
head -c 64 /dev/urandom | tr '\0-\177' '\200-\377' >"$folder/random"

# multiboot headers with one thing wrong
magic=$((0x1badb002)) magic2=$((0xe85250d6))
header() { word 32 $magic; word 32 "$1"; word 32 "$2"; }
{ header 3 $((-(magic + 3) + 1)); head -c 100 /dev/zero; } >"$folder/checksum"
{ header 3 0; head -c 100 /dev/zero; } >"$folder/nochecksum"
{ printf '\0\260\255\33\0\0\0\0\376\117\122\344'; head -c 100 /dev/zero; } >"$folder/magic"
{ printf '\33\255\260\2\0\0\0\0\344\122\117\376'; head -c 100 /dev/zero; } >"$folder/bigendian"
{ head -c 8192 /dev/zero; flat 0x100000; } >"$folder/far"
{ head -c 8184 /dev/zero; flat 0x100000; } >"$folder/straddling"
{ head -c 8180 /dev/zero; flat $((0x100000 + 8180)); } >"$folder/last"
{ printf x; flat 0x100000; } >"$folder/unaligned"
{ word 32 $magic; word 32 3; } >"$folder/cut"
# multiboot2 LENGTH CHECKSUM-ERROR
multiboot2() { word 32 $magic2; word 32 0; word 32 "$1"; word 32 $((-(magic2 + $1) + $2)); }
last_tag() { word 32 0; word 32 8; }
{ multiboot2 24 1; last_tag; } >"$folder/second.checksum"
{ multiboot2 16 0; head -c 100 /dev/zero; } >"$folder/second.endless"
{ multiboot2 4096 0; last_tag; } >"$folder/second.long"
{ multiboot2 24 0; last_tag; head -c 100 /dev/zero; } >"$folder/second.nowhere"
{ head -c 32744 /dev/zero; multiboot2 24 0; last_tag; } >"$folder/second.last"
{ head -c 4096 /dev/zero; multiboot2 16 0; flat 0x100000; } >"$folder/both"

refused 'the gzip file is damaged' boot "$folder/gzip"
refused 'compressed (xz): unpack it first' boot "$folder/xz"
refused 'compressed (zstd): unpack it first' boot "$folder/zstd"
refused 'compressed (bzip2): unpack it first' boot "$folder/bzip2"
refused 'compressed (lz4): unpack it first' boot "$folder/lz4"
refused 'an archive (zip)' boot "$folder/zip"
refused 'an archive (tar)' boot "$folder/tar"
refused 'an archive (tar)' boot "$folder/tar.multiboot"
refused 'ELFCLASS32 and machine x86-64' boot "$folder/x32"
refused 'ELFCLASS64 and machine i386' boot "$folder/i386.64"
refused 'did you mean: sesqui bench nested?' bench nestd
refused 'a library of object files' boot "$folder/library"
refused 'a Mach-O file' boot "$folder/macho64"
refused 'a Mach-O file' boot "$folder/macho32"
refused 'a Mach-O file' boot "$folder/machofat"
refused 'a disk image (qcow2)' boot "$folder/qcow"
refused '(uImage)' boot "$folder/uimage"
refused 'LLVM bitcode' boot "$folder/bitcode"
refused 'a boot sector' boot "$folder/sector"
refused 'a CD image' boot "$folder/iso"
refused 'a DOS program' boot "$folder/dos"
refused 'an EFI application (PE): there is no UEFI firmware here' boot "$folder/efi"
refused 'an EFI application' boot "$folder/efidriver"
refused 'a Windows program or driver (PE, subsystem 3)' boot "$folder/windows"
refused 'a Linux kernel of a boot protocol older than 2.06' boot "$folder/bzimage.efi"
refused 'sesqui run FILE' boot "$folder/text"
refused 'flag 16' boot "$folder/random"
refused 'at 0x0 has the wrong checksum 0xe4524ffc: with flags 0x3 it must be 0xe4524ffb' boot "$folder/checksum"
refused 'wrong checksum 0x0' boot "$folder/nochecksum"
refused 'the multiboot header, at 0x0, begins with 0x1badb000 instead of the magic 0x1badb002' boot "$folder/magic"
refused 'begins with 0x2b0ad1b instead of the magic 0x1badb002: its bytes stand in the wrong order' boot "$folder/bigendian"
refused 'lies at 0x2000 of the file, beyond the first 8 KB: put its section before all others' boot "$folder/far"
refused 'lies at 0x1ff8 of the file, beyond the first 8 KB' boot "$folder/straddling"
refused 'not a multiple of 4' boot "$folder/unaligned"
refused 'ends within its multiboot header' boot "$folder/cut"
refused 'the multiboot 2 header at 0x0 has the wrong checksum' boot "$folder/second.checksum"
refused 'do not end with one of type 0' boot "$folder/second.endless"
refused 'longer than the file' boot "$folder/second.long"
refused 'nothing says where to load it' boot "$folder/second.nowhere"
refused 'nothing says where to load it' boot "$folder/second.last"

# What a linker makes of a header in .text, with pages of 2 MB and of 4 KB.
printf '.section .multiboot,"ax"\n.long 0x1badb002, 0, -0x1badb002\n.text\n.globl _start\n_start: movb $7, %%al\noutb %%al, $0xf4\nhlt\n' >"$folder/a.S"
printf 'ENTRY(_start) SECTIONS { . = 0x200000; .text : { *(.multiboot) *(.text) } }\n' >"$folder/a.ld"
gcc -m32 -c -o "$folder/a.o" "$folder/a.S"
link() { ld -m "$1" -nostdlib -T "$folder/a.ld" "${@:2}" -o "$folder/linked" "$folder/a.o" 2>/dev/null; }
link elf_i386 -z max-page-size=0x200000
refused 'the linker aligned its segment to 0x200000 in the file; link with -z max-page-size=4096, or with -n' boot "$folder/linked"
for cure in "-z max-page-size=4096" -n; do
    # shellcheck disable=SC2086
    link elf_i386 $cure
    timeout 20 "$sesqui" boot "$folder/linked" >"$folder/out" 2>"$folder/err"
    [ $? = 7 ]
    report $? "the cure works: $cure"
done
# The header is forgotten.
printf '.globl _start\n_start: ud2\n' >"$folder/headless.S"
gcc -m32 -c -o "$folder/headless.o" "$folder/headless.S" && ld -m elf_i386 -nostdlib -T "$folder/a.ld" -o "$folder/headless" "$folder/headless.o" 2>/dev/null
timeout 20 "$sesqui" boot "$folder/headless" >"$folder/out" 2>"$folder/err"
grep -q 'the image has no multiboot header (0x1badb002 in its first 8 KB) and no PVH note: it was started as a plain ELF file' "$folder/err"
report $? "an image without a header that shuts down at once is told to have none"
refused 'an ELF object file, not linked yet' boot <(objcopy -R .multiboot "$folder/a.o" "$folder/b.o" && cat "$folder/b.o")
{ head -c 18 "$folder/a.o"; printf '\267\0'; head -c 40 /dev/zero; } >"$folder/arm"
refused 'an ELF file for another processor (machine 183)' boot "$folder/arm"
# Console scripts.
printf 'expect "x"\ntype "y"\n' >"$folder/script.bad"
printf 'expect "never" within 0\n' >"$folder/script"
refused 'line 2: neither expect "TEXT" nor send "TEXT"' boot "$folder/good" --input "$folder/script.bad"
refused '--input: ' boot "$folder/good" --input "$folder/absent"
timeout 20 "$sesqui" boot build/guests/bad/endless.elf --no-console --explain=none --input "$folder/script" >/dev/null 2>"$folder/err"
[ $? = 124 ] && grep -q "the console script's line 1 was not matched within 0 seconds of virtual time: \"never\"" "$folder/err"
report $? "a text that does not come: status 124"
printf 'expect "never"\n' >"$folder/script"
timeout 20 "$sesqui" boot build/guests/bad/exit_7.elf --no-console --input "$folder/script" >/dev/null 2>"$folder/err"
[ $? = 124 ] && grep -q 'the run ended before line 1 of the console script' "$folder/err"
report $? "a run that ends before its script: status 124"
# Disks.
head -c 4096 /dev/zero >"$folder/disk"
: >"$folder/empty"
refused '--disk: ' boot "$folder/good" --disk "$folder/absent"
refused 'is empty: a disk has one sector at least' boot "$folder/good" --disk "$folder/empty"
refused 'is a directory' boot "$folder/good" --disk "$folder,ro"
refused 'is a pipe' boot "$folder/good" --disk <(echo)
refused 'No such file' boot "$folder/good" --disk "$folder/disk,readonly"
refused 'a disk' boot "$folder/good" --disk "$folder/disk" --console "$folder/disk"
refused '8 disks at most' boot "$folder/good" $(printf -- "--disk $folder/disk %.0s" 1 2 3 4 5 6 7 8 9)
printf 'QFI\373\0\0\0\3' >"$folder/qcow2"
refused 'is a qcow2 image that is cut short' boot "$folder/good" --disk "$folder/qcow2"
if command -v qemu-img >/dev/null; then
    qemu-img create -q -f qcow2 "$folder/qcow2" 1M
    refused 'rw is for raw ones' boot "$folder/good" --disk "$folder/qcow2,rw"
    timeout 20 "$sesqui" boot build/guests/bad/exit_7.elf --no-console --disk "$folder/qcow2" >"$folder/out" 2>"$folder/err"
    [ $? = 7 ] && [ ! -s "$folder/err" ]
    report $? "a qcow2 image as a disk" "$folder/err"
    qemu-img create -q -f qcow2 -b "$folder/disk" -F raw "$folder/overlay"
    refused 'backing file' boot "$folder/good" --disk "$folder/overlay"
    truncate -s 300000 "$folder/qcow2"
    dd if=/dev/urandom of="$folder/qcow2" bs=1 seek=40 count=8 conv=notrunc status=none
    refused 'cannot be converted' boot "$folder/good" --disk "$folder/qcow2"
else
    report 0 "qcow2 images # SKIP qemu-img is missing (apt-get install qemu-utils)"
fi

# ends7 NAME ARGUMENT...: the image runs: status 7
ends7()
{
    local name=$1
    shift
    timeout 20 "$sesqui" boot "$@" >"$folder/out" 2>"$folder/err"
    [ $? = 7 ] && [ ! -s "$folder/err" ]
    report $? "$name"
}
ends7 "a header in the last place of the first 8 KB" "$folder/last"
ends7 "multiboot 2 beside multiboot v1" "$folder/both"

# ---- pipes are files ----
mkfifo "$folder/pipe"
ends7 "an image from a process substitution" <(cat "$folder/good")
cat "$folder/good" >"$folder/pipe" &
ends7 "an image from a named pipe" "$folder/pipe"
ends7 "an image from /dev/stdin, a pipe" /dev/stdin < <(cat "$folder/good")
ends7 "an image from /dev/stdin, a file" /dev/stdin <"$folder/good"
ends7 "an image from -, a pipe" - < <(cat "$folder/good")
ends7 "modules from pipes" "$folder/good" --initrd <(cat "$folder/good") --module <(cat "$folder/zeros")
ends7 "an image that comes slowly" <(head -c 20 "$folder/good"; sleep 0.3; tail -c +21 "$folder/good")
refused 'do not fit into 1 MB' boot --memory 1 <(head -c 3000000 /dev/zero)
refused 'do not fit into 1 MB' boot --memory 1 <(cat /dev/zero)
refused 'the file is empty' boot <(:)
works 'ok 1 - ' run <(echo 'l0 prepare vmx')
works 'ok 1 - -' run - < <(echo 'l0 prepare vmx')
works 'ok 1 - /dev/stdin' run /dev/stdin < <(echo 'l0 prepare vmx')

works 'usage: sesqui' --help
works 'CPU engine' --version
works 'usage: sesqui boot' boot --help
works 'usage: sesqui boot' help boot
works 'usage: sesqui run' help run
works 'usage: sesqui bench' bench nested -h
works 'usage: sesqui COMMAND' help
works 'usage: sesqui COMMAND' help help
works 'CPU engine' -V
works 'usage: sesqui COMMAND' -h
works 'icelake' boot --vmx help
works 'use_tsc_scaling' boot --vmx=help
works 'usage: sesqui checks' checks --help
works '27.3.1' checks
works '| check |' checks --markdown
works '| reason | legacy | scalable |' checks --iommu

timeout 20 "$sesqui" boot "$folder/good" --no-console >"$folder/out" 2>"$folder/err"
[ $? = 7 ] && [ ! -s "$folder/out" ] && [ ! -s "$folder/err" ]
report $? "the guest's exit value is the exit status, and nothing is printed"

echo "1..$number"
