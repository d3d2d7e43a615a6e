#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# vectors.sh with all vectors, on Bochs too: a part of make metal.   Prints TAP.
exec "$(dirname "$0")/vectors.sh" --bochs "$@"
