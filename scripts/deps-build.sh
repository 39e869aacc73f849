#!/bin/sh
# What the build needs beyond Rust: a C compiler and libc's static library (for SQLite and static programs).
set -eu
if command -v cc >/dev/null && [ -n "$(cc -print-file-name=libc.a | grep / || true)" ]; then
    exit 0
fi
. "$(dirname "$0")/apt.sh"
apt_install gcc libc6-dev
