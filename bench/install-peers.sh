#!/bin/sh
# The programs that are measured beside Stead: tmux, dtach, bubblewrap, podman and what they need from Debian, shpool
# and zellij by cargo into a cache outside the clone. Does nothing that is already done.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../scripts/apt.sh"

# What the published tables measured.
SHPOOL=0.11.5
ZELLIJ=0.45.1

cache=${STEAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stead-dev}
peers=$cache/peers

installed() { # PROGRAM VERSION
    [ -x "$peers/bin/$1" ] && grep -qsF "\"$1 $2 " "$peers/.crates.toml"
}

cargo_install() { # PROGRAM VERSION
    installed "$1" "$2" && return
    # zellij builds OpenSSL and curl, which want more than a C compiler.
    apt_install gcc libc6-dev make perl pkg-config
    # From elsewhere, so that the clone's cargo settings, which are for Stead, do not apply.
    (cd / && CARGO_TARGET_DIR=$cache/peers-target \
        cargo install --quiet --locked --root "$peers" --version "$2" "$1")
}

apt_install tmux dtach
# podman takes netavark for its bridges and runc as its runtime; busybox is all there is in its image.
apt_install bubblewrap podman runc netavark iptables busybox-static btrfs-progs xfsprogs
cargo_install shpool "$SHPOOL"
cargo_install zellij "$ZELLIJ"
