#!/bin/sh
# Every test that is quick enough for each change. Those that boot whole systems, one after the other, keep one processor busy
# (`test = false` in their Cargo.toml): they run after the rest, in two lanes. Everything runs, whatever failed before.
# Always `--workspace`: of one package alone, dependencies have other features, and are built once more.
set -u
status=0
cargo test --locked --workspace --no-fail-fast || status=1

said=$(mktemp)
beside() {
    ended=0
    cargo test --locked --workspace --test audit_vm || ended=1
    cargo test --locked --workspace --test debian_vm || ended=1
    return $ended
}
beside >"$said" 2>&1 &
lane=$!
cargo test --locked --workspace --test qemu || status=1
wait "$lane" || status=1
cat "$said"
rm -f "$said"
exit "$status"
