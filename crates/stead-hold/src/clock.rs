//! The time of day, and a clock that never steps.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch. For people and files; it steps when the clock is set.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    now.saturating_add_signed(stepped())
}

/// Names a file whose milliseconds are added to the time of day, in programs built for tests: the clock of
/// the machine that tests run on is not theirs to set.
pub const TEST_CLOCK: &str = "STEAD_TEST_CLOCK";

#[cfg(debug_assertions)]
fn stepped() -> i64 {
    std::env::var_os(TEST_CLOCK)
        .and_then(|file| std::fs::read_to_string(file).ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(not(debug_assertions))]
const fn stepped() -> i64 {
    0
}

/// Milliseconds of a clock that never steps. For timers.
pub fn steady_ms() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec as u64 * 1000 + t.tv_nsec as u64 / 1_000_000
}
