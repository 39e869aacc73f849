#!/bin/sh
# Every test that is quick enough for each change. Those that boot whole systems, one after the other, keep one processor busy: they
# run after the rest, in two lanes. Everything runs, whatever failed before.
set -u
status=0
cargo test --locked --workspace --no-fail-fast -- \
    --skip _conforms --skip a_real_debian_becomes --skip a_debian_is_found_as_declared || status=1

said=$(mktemp)
{
    cargo test --locked -p stead-system --test audit_vm -- a_debian_is_found_as_declared &&
        cargo test --locked -p stead-engines --test debian_vm -- a_real_debian_becomes
} >"$said" 2>&1 &
beside=$!
cargo test --locked -p stead-engines --test qemu -- _conforms || status=1
wait "$beside" || status=1
cat "$said"
rm -f "$said"
exit "$status"
