#!/bin/sh
# Starts the steward and opens a first session. run.sh DIR: where the programs lie.
set -eu
stead=$1/stead
case ":$PATH:" in *":$1:"*) say=stead ;; *) say=$stead ;; esac
"$stead" steward start >/dev/null
if ! "$stead" status first >/dev/null 2>&1; then
    "$stead" run -d -n first -a shell >/dev/null
fi
cat <<EOF
The session "first" runs. It outlives this terminal, the steward and a reboot.

    $say attach first      reach it again; leave with ctrl-\\ d
    $say run -a claude     start an agent (codex, opencode, gemini)
    $say                   see all sessions

EOF
if [ -t 0 ] && [ -t 1 ]; then
    printf 'Press Enter to open it. '
    read -r _
    exec "$stead" attach first
fi
