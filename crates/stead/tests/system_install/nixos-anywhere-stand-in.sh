#!/bin/bash
# Speaks as nixos-anywhere does, refuses what it would refuse, and fails in the stage that FAIL names.
set -euo pipefail
flake= target=
while [ $# -gt 0 ]; do
    case "$1" in
    --flake) flake=$2; shift ;;
    --target-host) target=$2; shift ;;
    --ssh-port | --post-kexec-ssh-port) [ "$2" -gt 0 ]; shift ;;
    -i | --extra-files) [ -e "$2" ]; shift ;;
    *) echo "nixos-anywhere-stand-in: unknown option $1" >&2; exit 64 ;;
    esac
    shift
done
[[ $flake == *#box && -f ${flake%#*}/flake.nix && $target == root@* ]]
fail() { if [ "${FAIL-}" = "$1" ]; then echo "it broke in $1" >&2; exit 1; fi; }
fail build
echo "### Uploading install SSH keys ###"
echo "### Gathering machine facts ###"
fail connect
echo "### Switching system into kexec ###"
fail kexec
echo "### Gathering machine facts ###"
echo "### Formatting hard drive with disko ###"
fail disko
echo "### Uploading the system closure ###"
echo "### Installing NixOS ###"
fail install
echo "### Rebooting ###"
fail reboot
echo "### Done! ###"
