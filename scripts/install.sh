#!/bin/sh
# install.sh DIR PREFIX: programs, man pages and completions.
set -eu
install -D -m 755 -t "$2/bin" "$1/stead" "$1/stead-hold" "$1/stead-box" "$1/stead-vm" "$1/stead-system"
man=$(mktemp -d)
trap 'rm -rf "$man"' EXIT
"$1/stead" man "$man"
install -D -m 644 -t "$2/share/man/man1" "$man"/*.1
install -d "$2/share/bash-completion/completions" "$2/share/zsh/site-functions" "$2/share/fish/vendor_completions.d"
"$1/stead" completions bash >"$2/share/bash-completion/completions/stead"
"$1/stead" completions zsh >"$2/share/zsh/site-functions/_stead"
"$1/stead" completions fish >"$2/share/fish/vendor_completions.d/stead.fish"
echo "installed below $2; \"$2/bin/stead steward install\" has systemd start the steward"
