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
    timeout 20 "$sesqui" "$@" >"$folder/out" 2>"$folder/err" </dev/null
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
    timeout 20 "$sesqui" "$@" >"$folder/out" 2>"$folder/err" </dev/null && grep -qF -- "$words" "$folder/out"
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
{ word 32 0x1badb002; word 32 4; word 32 $((-(0x1badb002 + 4))); } >"$folder/video"

refused 'no command'
refused 'unknown command "bott"' bott
refused 'unknown option "--bott"' --bott
refused 'did you mean boot?' bott
refused 'did you mean check-vmcs?' check-vmc
refused 'unknown command "bott"' help bott
refused 'which image' boot
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
refused '1 to 8 processors' boot "$folder/good" --cpus 0
refused '1 to 8 processors' boot "$folder/good" --cpus 9
refused '1 to 8 processors' boot "$folder/good" --cpus 4294967297
refused 'not a number' boot "$folder/good" --cpus two
refused 'not a number' boot "$folder/good" --limit 5x
refused 'not a number' boot "$folder/good" --seed ''
refused 'takes no value' boot "$folder/good" --strict=yes
refused 'unknown strategy "fast"' boot "$folder/good" --hv=fast
refused 'unknown profile "pentium"' boot "$folder/good" --vmx-profile pentium
refused 'unknown capability "eptt"' boot "$folder/good" --vmx -eptt
refused '"encls-exiting" is not implemented' boot "$folder/good" --vmx +pml,+encls-exiting
refused '"pml" is neither +NAME nor -NAME' boot "$folder/good" --vmx -ept-ad,pml
refused '"-" is neither' boot "$folder/good" --vmx -
refused '--vmx needs a value' boot "$folder/good" --vmx
refused 'No such file' boot "$folder/missing"
refused 'not a regular file' boot "$folder"
refused 'not a regular file' boot /dev/zero
refused 'the file is empty' boot "$folder/empty"
refused 'not a bootable image' boot "$folder/zeros"
refused 'bzImage' boot "$folder/bzimage"
refused 'multiboot header' boot "$folder/short"
refused 'video mode' boot "$folder/video"
refused 'not all RAM' boot "$folder/high"
refused 'boot information' boot "$folder/information"
refused 'No such file' boot "$folder/good" --initrd "$folder/missing"
refused '--trace' boot "$folder/good" --trace "$folder/missing/trace"
refused '--console' boot "$folder/good" --console "$folder/missing/console"
refused 'unexpected argument' checks everything
refused 'unknown option' checks --everything
refused 'takes no value' checks --markdown=yes

works 'usage: sesqui' --help
works 'CPU engine' --version
works 'usage: sesqui boot' boot --help
works 'usage: sesqui boot' help boot
works 'usage: sesqui run' help run
works 'usage: sesqui bench' bench nested -h
works 'usage: sesqui COMMAND' help
works 'usage: sesqui COMMAND' -h
works 'icelake' boot --vmx help
works 'use_tsc_scaling' boot --vmx=help
works 'usage: sesqui checks' checks --help
works '27.3.1' checks
works '| check |' checks --markdown

timeout 20 "$sesqui" boot "$folder/good" --no-console >"$folder/out" 2>"$folder/err"
[ $? = 7 ] && [ ! -s "$folder/out" ] && [ ! -s "$folder/err" ]
report $? "the guest's exit value is the exit status, and nothing is printed"

echo "1..$number"
