#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots a multiboot image on Debian's Bochs, without a display. The guest's serial line is standard output.
set -eu
usage()
{
    cat <<'END'
tests/metal/bochs.sh [OPTION...] IMAGE

Boots a multiboot image on Bochs as Debian packages it, headless. The first serial port is standard output.

    --append S             text after the image's name on its command line
    --module "FILE ARGS"   a boot module and its command line; repeatable
    --memory MB            memory (default 128)
    --cpus N               processors, 1 to 8 (default 1)
    --cpu MODEL            processor model (default corei7_skylake_x; `bochs-bin --help cpu` lists them)
    --until TEXT           the guest has ended when a line of its console begins with TEXT
    --limit SECONDS        give up after so many seconds (default 60)
    --serial2 FILE         what the guest writes to the second serial port
    --debug-port FILE      what the guest writes to port 0xe9, behind what Bochs itself says
    --log FILE             keep Bochs's own log there
    --installed            boot nothing: exit status 0 if all that is needed is installed
    --help

A guest ends by writing the letters of "Shutdown" to port 0x8900, as scenarios/guests/lib does after the test-exit port,
or with --until. Exit status: 0 it ended, 2 usage or image error, 3 Bochs is not installed (`tests/deps.sh metal` does
that), 120 limit, 121 triple fault, 123 Bochs itself gave up.
END
}
complain()
{
    echo "bochs.sh: $2" >&2
    exit "$1"
}

top=$(cd "$(dirname "$0")/../.." && pwd)
loader=$top/build/release/tests/metal/memory_image
firmware=$top/build/metal/firmware.rom
append="" modules=() memory=128 cpus=1 cpu=corei7_skylake_x until="" limit=60 log="" serial2="" debug_port="" image="" installed=""
while [ $# != 0 ]; do
    case $1 in
    --help) usage; exit 0 ;;
    --installed) installed=1; shift; continue ;;
    --append | --module | --memory | --cpus | --cpu | --until | --limit | --log | --serial2 | --debug-port)
        [ $# -ge 2 ] || complain 2 "$1 needs a value (try --help)" ;;
    -*) complain 2 "$1: no such option (try --help)" ;;
    *) [ -z "$image" ] || complain 2 "one image at a time, please: \"$1\" is a second one"
       image=$1; shift; continue ;;
    esac
    case $1 in
    --append) append=$2 ;;
    --module) modules+=("$2") ;;
    --memory) memory=$2 ;;
    --cpus) cpus=$2 ;;
    --cpu) cpu=$2 ;;
    --until) until=$2 ;;
    --limit) limit=$2 ;;
    --log) log=$2 ;;
    --serial2) serial2=$2 ;;
    --debug-port) debug_port=$2 ;;
    esac
    shift 2
done
for number in "$memory" "$cpus" "$limit"; do
    [[ $number =~ ^[1-9][0-9]{0,5}$ ]] || complain 2 "\"$number\" is not a number that makes sense here (try --help)"
done

# The one display that needs no terminal, no port, and lets a panic of Bochs be a line in its log.
export SDL_VIDEODRIVER=dummy
sdl=/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_sdl2_gui.so
command -v bochs-bin >/dev/null && [ -e $sdl ] && [ -e /usr/share/bochs/VGABIOS-lgpl-latest ] ||
    complain 3 "Bochs is not installed: run  tests/deps.sh metal"
[ -z "$installed" ] || exit 0
[ -n "$image" ] || complain 2 "which image? (try --help)"
[ -x "$loader" ] && [ -e "$firmware" ] || complain 2 "not built: run  make bochs-parts"

work=$(mktemp -d)
bochs_pid="" tail_pid=""
cleanup()
{
    [ -z "$bochs_pid" ] || kill -9 "$bochs_pid" 2>/dev/null || true
    [ -z "$tail_pid" ] || kill "$tail_pid" 2>/dev/null || true
    [ -z "$log" ] || cp "$work/log" "$log" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

"$loader" "$memory" "$work" "$image" "$append" "${modules[@]}" || exit 2
# One instruction a tick of a 4 MHz processor: a character on the serial line takes 350 of them.
cat >"$work/bochsrc" <<END
display_library: sdl2
romimage: file=$firmware, address=0xffff0000
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
sound: driver=dummy, waveoutdrv=dummy
plugin_ctrl: unmapped=1, serial=1
megs: $memory
cpu: model=$cpu, count=$cpus, ips=4000000, reset_on_triple_fault=0, ignore_bad_msrs=$([ -n "$debug_port" ] && echo 0 || echo 1)
optramimage1: file=$work/start, address=0x8f000
optramimage2: file=$work/information, address=0x90000
optramimage3: file=$work/image, address=0x100000
com1: enabled=1, mode=file, dev=$work/serial
com2: enabled=1, mode=file, dev=${serial2:-/dev/null}
log: $work/log
panic: action=report
error: action=report
info: action=report
clock: sync=none, time0=1
port_e9_hack: enabled=$([ -n "$debug_port" ] && echo 1 || echo 0)
END
echo c >"$work/debugger"            # the packaged Bochs is a debugger: "continue"
: >"$work/serial"
: >"$work/log"
bochs-bin -q -f "$work/bochsrc" -rc "$work/debugger" </dev/null >"${debug_port:-$work/out}" 2>&1 &
bochs_pid=$!
tail -n +1 -s 0.1 --pid=$bochs_pid -f "$work/serial" &
tail_pid=$!

# True if the guest has ended; sets `status` and, unless all is well, `reason`.
status=0 reason=""
ended()
{
    if [ -n "$until" ] && awk -v text="$until" 'index($0, text) == 1 { found = 1 } END { exit !found }' "$work/serial"; then
        return 0
    elif grep -q 'Shutdown port: shutdown requested' "$work/log"; then
        return 0
    elif grep -q '3rd ([0-9]*) exception with no resolution' "$work/log"; then
        status=121 reason="the processor shut down (a triple fault)"
    elif ! kill -0 $bochs_pid 2>/dev/null; then
        status=123 reason="Bochs gave up: $(grep -h '>>PANIC<<' "$work/log" "${debug_port:-$work/out}" | tail -1 | cut -c1-200)"
    else
        return 1
    fi
}

deadline=$((SECONDS + limit))
until ended; do
    if [ $SECONDS -ge $deadline ]; then
        status=120 reason="no end within $limit seconds"
        break
    fi
    sleep 0.1
done
sleep 0.1                           # the rest of the last line
kill -9 $bochs_pid 2>/dev/null || true
wait $bochs_pid 2>/dev/null || true
bochs_pid=""
wait $tail_pid 2>/dev/null || true
tail_pid=""
[ -z "$reason" ] || echo "bochs.sh: $reason" >&2
exit $status
