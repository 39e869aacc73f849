#!/bin/sh
# Runs every fuzz target for SECONDS (default 20). A find is kept in fuzz/artifacts and fails the run.
# Needs cargo-fuzz; finds inputs beyond the committed corpus, which stay in the cache.
set -eu
seconds=${1:-20}
cd "$(dirname "$0")/.."
cache=${STEAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stead-dev}
PATH=$cache/peers/bin:$PATH
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}-fuzz"
# Sanitizers and coverage are behind unstable flags, which the stable compiler takes this way. They
# need a dynamic executable, so the static linking of .cargo/config.toml is taken back.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-C target-feature=-crt-static"
host=$(rustc -vV | sed -n 's/^host: //p')
for target in $(cargo fuzz list --fuzz-dir fuzz); do
    found=$cache/fuzz-corpus/$target
    mkdir -p "$found"
    echo "fuzz: $target for $seconds s"
    cargo fuzz run "$target" --fuzz-dir fuzz --target "$host" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_funcs=0 -print_final_stats=1
done
