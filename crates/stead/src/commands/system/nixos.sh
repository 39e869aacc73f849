# Brings a NixOS machine to the flake in /etc/nixos. $1: build, switch, keep or back; $2: what the flake calls it.
set -eu
PATH="$PATH:/run/current-system/sw/bin:/run/wrappers/bin"
export PATH
dir=/run/stead-system
umask 077
mkdir -p "$dir"
case "$1" in
build)
    command -v nixos-rebuild >/dev/null || { echo 'it has no nixos-rebuild: it is no NixOS' >&2; exit 4; }
    # Of a repository, a flake is only what git knows.
    if [ -e /etc/nixos/.git ]; then
        git -C /etc/nixos add --intent-to-add . >&2
    fi
    cd "$dir"
    nixos-rebuild build --flake "/etc/nixos#$2" >&2
    ;;
switch)
    readlink -f /run/current-system >"$dir/before"
    systemctl list-units --state=failed --plain --no-legend | cut -d' ' -f1 | sort >"$dir/failed"
    made=$(readlink -f "$dir/result")
    # If nobody says within five minutes that it still answers, the old system comes back by itself.
    systemctl stop stead-back.timer 2>/dev/null || true
    systemd-run --quiet --collect --unit=stead-back --on-active=300 \
        "$(cat "$dir/before")/bin/switch-to-configuration" switch
    # What was built: that is not worked out once more while the time runs.
    nix-env -p /nix/var/nix/profiles/system --set "$made"
    "$made/bin/switch-to-configuration" switch >&2
    ;;
keep)
    systemctl list-units --state=failed --plain --no-legend | cut -d' ' -f1 | sort >"$dir/failed.now"
    fails=$(comm -13 "$dir/failed" "$dir/failed.now" | tr '\n' ' ')
    if [ -n "$fails" ]; then
        echo "these failed: $fails" >&2
        exit 5
    fi
    systemctl stop stead-back.timer
    ;;
back)
    systemctl stop stead-back.timer 2>/dev/null || true
    nix-env -p /nix/var/nix/profiles/system --set "$(cat "$dir/before")"
    "$(cat "$dir/before")/bin/switch-to-configuration" switch >&2
    ;;
esac
