#!/bin/sh
# What the tests need: real programs to hold, real agents, another terminal to compare with, and for machines what
# makes file systems and images, and what attacks a sandbox from inside.
# deps-test.sh CACHE: node modules go to CACHE/npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$1
. "$here/apt.sh"
apt_install vim less htop tmux procps git bash util-linux perl-base python3 g++ \
    coreutils tar curl python3-yaml e2fsprogs fdisk iproute2 mmdebstrap xz-utils zstd lz4 mount strace crun runc busybox-static sudo systemd openssh-client wireguard-tools libnss-myhostname nftables \
    nix-bin shellcheck

command -v node >/dev/null || { echo "the tests need Node 20 or later" >&2; exit 1; }
mkdir -p "$cache/npm"
if ! cmp -s "$here/test-packages.json" "$cache/npm/package.json"; then
    echo "installing the agents and the reference terminal"
    cp "$here/test-packages.json" "$cache/npm/package.json.next"
    mv "$cache/npm/package.json.next" "$cache/npm/package.json"
    (cd "$cache/npm" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null) ||
        { rm -f "$cache/npm/package.json"; exit 1; }
fi
# Claude Code puts its own binary in place once.
if ! "$cache/npm/node_modules/.bin/claude" --version >/dev/null 2>&1; then
    (cd "$cache/npm" && node node_modules/@anthropic-ai/claude-code/install.cjs >/dev/null)
fi
"$cache/npm/node_modules/.bin/claude" --version >/dev/null
"$cache/npm/node_modules/.bin/codex" --version >/dev/null

if [ ! -x "$cache/peers/bin/cargo-fuzz" ] && ! command -v cargo-fuzz >/dev/null; then
    echo "installing cargo-fuzz"
    CARGO_TARGET_DIR="$cache/peers-target" cargo install --quiet --locked --root "$cache/peers" cargo-fuzz
fi
