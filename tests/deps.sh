#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the Debian packages that are missing; shows their names first. sudo only when not root.
#   tests/deps.sh          to build and test
#   tests/deps.sh metal    to boot images on Bochs as well (make metal)
#   tests/deps.sh clang    to build with clang as well, beside gcc: some 45 MB to download, 220 MB on disk
set -eu
needed="gcc make binutils libc6-dev libunicorn-dev libcapstone-dev check libsubunit-dev pkg-config lcov libdw-dev zlib1g-dev acpica-tools qemu-utils"
case ${1:-} in
"") ;;
metal) needed="bochs bochsbios bochs-sdl vgabios" ;;
clang) needed="clang" ;;
*) echo "tests/deps.sh: \"$1\": only \"metal\" and \"clang\" are known" >&2; exit 2 ;;
esac
missing=""
for package in $needed; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "Debian packages to install:$missing"
as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "not root, and no sudo: run  apt-get install$missing  as root" >&2; exit 1; }
    as_root=sudo
fi
$as_root apt-get update -q
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing
