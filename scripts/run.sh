#!/bin/sh
# Starts the steward and opens a first session, in a sandbox where this kernel allows one. run.sh DIR: where the
# programs lie.
set -eu
stead=$1/stead
case ":$PATH:" in *":$1:"*) say=stead ;; *) say=$stead ;; esac
"$stead" steward start >/dev/null

# Only a machine that was made here is taken away again where it does not start.
there() { [ "$("$stead" ls --machines -m "$1" --json)" != '[]' ]; }

name=first
first=$("$stead" status first --json 2>/dev/null || true)
on() { echo "$first" | sed -n 's/.*"machine":"\([^"]*\)".*/\1/p'; }
case $first in
*'"exit":{'*)
    # It has ended: it begins again where it was, if that is still there.
    if [ "$(on)" != host ]; then "$stead" up "$(on)" >/dev/null 2>&1 || true; fi
    "$stead" restart first >/dev/null 2>&1 || true
    first=$("$stead" status first --json)
    case $first in *'"exit":{'*) first= name= ;; esac ;;
esac
machine=$(on)
if [ -z "$machine" ]; then
    made=yes
    ! there scratch || made=
    if said=$("$stead" run -d ${name:+-n "$name"} -m scratch -a shell 2>&1); then
        machine=scratch
        name=$said
    else
        [ -z "$made" ] || "$stead" destroy --yes scratch >/dev/null 2>&1 || true
        echo "There is no sandbox to be had here (\"$say doctor\" says more):"
        echo "$said" | sed 's/^/    /'
        name=$("$stead" run -d ${name:+-n "$name"} -a shell)
        machine=host
    fi
fi

if [ "$machine" = host ]; then
    cat <<EOF
The session "$name" runs on this computer itself: with your rights, with nothing between it and your files.
It outlives this terminal, the steward and a reboot.

    $say attach $name      reach it again; leave with ctrl-\\ d
    $say run -a claude     start an agent (codex, opencode, gemini)
    $say                   see all sessions

EOF
else
    cat <<EOF
The session "$name" runs in the machine "$machine", a copy-on-write clone of this computer. The programs that are
installed here are there. Your home, keys, logins and sockets are not, and what it changes stays in it.
It outlives this terminal, the steward and a reboot.

    $say attach $name
        reach it again; leave with ctrl-\\ d
    $say cp . $machine:/root/work
        give it a copy of this folder; the other way round brings files back
    $say diff $machine
        what it has changed
    $say run -m $machine
        another session there; -a claude starts an agent
    $say init
        a stead.toml, for machines that share a project's folder
    $say destroy $machine
        remove it with all that is in it
    $say
        see everything

EOF
fi
if [ -t 0 ] && [ -t 1 ]; then
    printf 'Press Enter to open it. '
    read -r _
    exec "$stead" attach "$name"
fi
