# SPDX-License-Identifier: MIT
# Debian's packages, unpacked and not installed: sourced by the scripts beside it. In: flavour. Out: out, where all of it goes; here, this
# folder; kernel, the package; version, its release.

out=build/linux/$flavour
# shellcheck disable=SC2034
here=$PWD/scenarios/linux

fail() { echo "$(basename "$0"): $*" >&2; exit 1; }

# fetch PACKAGE: unpacks it into $out/root
fetch()
{
    [ ! -e "$out/packages/$1.done" ] || return 0
    echo "  APT   $1"
    (cd "$out/packages" && apt-get download -q "$1" >/dev/null 2>"$1.log") || {
        sed 's/^/    /' "$out/packages/$1.log" >&2
        fail "the package $1 cannot be had from Debian's archive (apt-get update; is there a network?)"
    }
    dpkg-deb -x "$out/packages/$1"_*.deb "$out/root"
    touch "$out/packages/$1.done"
}

# pack FOLDER FILE: an initramfs, the same bytes from the same files
pack()
{
    find "$1" -exec touch -h -d @0 {} +
    (cd "$1" && find . | LC_ALL=C sort | "../root/bin/busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$2"
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "this is no Debian: apt-get and dpkg-deb are needed"
mkdir -p "$out/packages" "$out/root"
kernel=$(apt-cache depends "linux-image-$flavour" 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }')
[ -n "$kernel" ] || fail "apt knows no linux-image-$flavour (apt-get update?)"
version=${kernel#linux-image-}
