//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch. It steps when the clock is set; nothing but an age is ever made from it.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    now.saturating_add_signed(stepped())
}

/// Names a file whose milliseconds are added to the time of day, in programs built for tests.
#[cfg(debug_assertions)]
fn stepped() -> i64 {
    std::env::var_os("STEAD_TEST_CLOCK")
        .and_then(|file| std::fs::read_to_string(file).ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(not(debug_assertions))]
const fn stepped() -> i64 {
    0
}
