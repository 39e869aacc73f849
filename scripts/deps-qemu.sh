#!/bin/sh
# What machines of engine qemu need: QEMU 10 or later with its firmware, and virtiofsd for shares.
# deps-qemu.sh CACHE [long]: virtiofsd goes to CACHE/peers/bin where Debian has none; `long` adds ARM guests.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$1
. "$here/apt.sh"
qemu="qemu-system-x86 qemu-utils qemu-system-data"
firmware="seabios ovmf"
if [ "${2:-}" = long ]; then
    qemu="$qemu qemu-system-arm"
    firmware="$firmware qemu-efi-aarch64"
fi

# new_enough VERSION: memory goes to a file and comes back only since 9, and Debian has 7.2 or 10.
new_enough() {
    dpkg --compare-versions "${1:-0}" ge 1:10
}

# candidate PACKAGE [RELEASE]: the version that would be installed.
candidate() {
    apt-cache ${2:+-t "$2"} policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p'
}

# in_reach RELEASE PACKAGE...: whether all of these are new enough there.
in_reach() {
    release=$1
    shift
    for package in "$@"; do
        new_enough "$(candidate "$package" "$release")" || return 1
    done
}

old=
for package in $qemu; do
    new_enough "$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null)" || old="$old $package"
done
# shellcheck disable=SC2086
if [ -n "$old" ]; then
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    from=
    in_reach "$from" $old || from=$suite-backports
    in_reach "$from" $old || add_backports "$suite"
    in_reach "$from" $old || { echo "QEMU 10 or later is needed, and no package source here has it" >&2; exit 1; }
    apt_install_from "$from" $old
fi
# shellcheck disable=SC2086
apt_install $firmware

if ! command -v virtiofsd >/dev/null && [ ! -x /usr/libexec/virtiofsd ] && [ ! -x "$cache/peers/bin/virtiofsd" ]; then
    case $(candidate virtiofsd) in
        '' | '(none)')
            apt_install gcc libc6-dev libcap-ng-dev libseccomp-dev
            echo "installing virtiofsd (two minutes)"
            # From elsewhere, so that this project's settings of Rust are not its.
            mkdir -p "$cache/peers"
            (cd "$cache/peers" &&
                CARGO_TARGET_DIR="$cache/peers-target" cargo install --quiet --locked --root "$cache/peers" virtiofsd)
            ;;
        *) apt_install virtiofsd ;;
    esac
fi
