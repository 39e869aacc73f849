#!/bin/sh
# Makes the pictures in docs/pictures from the real program, in a world of its own. pictures.sh DIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
programs=$1
world=$(mktemp -d /tmp/stead-pictures-XXXXXX)
export XDG_DATA_HOME="$world/data" XDG_RUNTIME_DIR="$world/run" XDG_CONFIG_HOME="$world/config" HOME="$world/home"
export PATH="$programs:$PATH" PS1='$ '
mkdir -p "$world/run" "$HOME/shop" "$HOME/api"
trap 'stead destroy --yes shop twin >/dev/null 2>&1 || true; for s in $(stead ls --json | tr "," "\n" | sed -n "s/.*\"name\":\"\([^\"]*\)\".*/\1/p"); do stead kill "$s" >/dev/null 2>&1 || true; done; stead steward stop; rm -rf "$world"' EXIT

# Machines only where this host can have them: the picture says what is there.
cd "$HOME/shop"
cat >stead.toml <<'EOF'
[machines.shop]
shares = ["."]
[machines.twin]
running = false
EOF
on=
if stead doctor >/dev/null; then
    stead apply >/dev/null 2>&1
    on="-m shop"
fi
# shellcheck disable=SC2086
stead run -d $on -n fix-login -- bash --norc -c 'echo "$ cargo test"; printf "running 42 tests\n\033[32m%s\033[0m\n" "test result: ok. 42 passed"; echo; printf "Push the branch? [Y/n] "; read -r x' >/dev/null
# shellcheck disable=SC2086
stead run -d $on -n nightly -- sh -c 'while :; do date +"%T nightly build goes on"; sleep 1; done' >/dev/null
cd "$HOME/api"
stead run -d -n shell -- bash --norc >/dev/null
stead run -d -n migrate -- sh -c 'echo "migrating"; exit 3' >/dev/null
stead wait fix-login --for waiting --timeout 30s
stead wait shell --for idle --timeout 30s
stead wait migrate --timeout 30s || true

cd "$HOME"
stead-hold create -n dashboard stead >/dev/null
if [ -n "$on" ]; then
    # Past this host's sessions and the machine's own line.
    stead wait dashboard --for 'sandbox running' --timeout 30s
    stead send dashboard --key down,down,down,down
fi
picture() { stead screen "$1" --format json | node "$here/picture.mjs" >"$here/../docs/pictures/$2.svg"; }
stead wait dashboard --for 'Push the branch' --timeout 30s
picture dashboard dashboard
stead kill dashboard
