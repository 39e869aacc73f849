#!/bin/sh
# Licences, sources and duplicates of what is built in, by cargo-deny. Advisories too, where their database is to be
# had. audit.sh CACHE
set -eu
cache=$1
deny="$cache/peers/bin/cargo-deny"
[ -x "$deny" ] || deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
    echo "installing cargo-deny"
    CARGO_TARGET_DIR="$cache/peers-target" cargo install --quiet --locked --root "$cache/peers" cargo-deny
    deny="$cache/peers/bin/cargo-deny"
fi
"$deny" check licenses bans sources
if ! "$deny" check advisories 2>"$cache/advisories.log"; then
    if grep -q -e 'failed to fetch' -e 'unable to clone' -e 'failed to clone' "$cache/advisories.log"; then
        echo "advisories: not checked, their database cannot be reached from here"
    else
        cat "$cache/advisories.log" >&2
        exit 1
    fi
fi
