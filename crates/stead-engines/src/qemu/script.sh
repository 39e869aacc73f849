#!/bin/sh
# Starts the virtual machine @NAME@ without Stead. Written by `stead start-script @NAME@`; to be written again
# (with --force) after its stead file was changed, a snapshot was made or restored, or Stead was updated.
#
# This terminal is its console: root has a shell there. ctrl-a x ends QEMU at once, `@OFF@` inside ends it in order;
# ctrl-a h tells more. While it runs, Stead cannot start it, nor can this while Stead runs it.
#
@ABOUT@
#
# The rules of the stead file for its network (`egress`, `dns`, `networks`), its limits and its sandbox do not hold here.
# It reaches nothing outside, and what leads in is above. With NETWORK=open it reaches whatever this computer does, and
# what listens on this computer's own loopback as well.
set -eu

ports=@PORTS@
restrict=on
[ "${NETWORK-}" = open ] && restrict=off

again='stead start-script @NAME@ --force writes this script anew'
readable() { # FILE...
  for file; do
    [ -r "$file" ] || { echo "$0: $file cannot be read; if it is gone, $again" >&2; exit 1; }
  done
}
writable() { # DISK...: what a snapshot has kept is never written to, not by root either
  for disk; do
    case $(stat -c %A "$disk") in
      -?w*) ;;
      *) echo "$0: $disk belongs to a snapshot by now: $again" >&2; exit 1 ;;
    esac
  done
}
readable @NEEDS@ @DISKS@
writable @DISKS@

own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
trap 'exit 1' HUP INT TERM

# What Stead would tell the machine when it boots; it comes with the first root, as one more archive of files.
cat > "$own/config" <<'END OF CONFIG'
@CONFIG@
END OF CONFIG
entry() { # NAME MODE SIZE
  printf 070701
  printf %08x 1 "$2" 0 0 1 0 "$3" 0 0 0 0 $((${#1} + 1)) 0
  printf '%s\0' "$1"
}
zeros() { # up to a multiple of four bytes
  head -c $(((4 - $1 % 4) % 4)) /dev/zero
}
initramfs=@INITRAMFS@
if [ -n "$initramfs" ]; then
  size=$(wc -c < "$own/config")
  {
    cat "$initramfs"
    entry config.json 33152 "$size"
    zeros $((110 + 12))
    cat "$own/config"
    zeros "$size"
    entry 'TRAILER!!!' 0 0
    zeros $((110 + 11))
  } > "$own/initramfs"
fi

@COMMAND@
