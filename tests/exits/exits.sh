#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A hundred random guests, VM exit by VM exit, on our machine and on Bochs (docs/processor.md). Prints TAP.
exec "$(dirname "$0")/../processor/processor.sh" --exits --count 100
