//! Instants at which a test may kill this program: before and after each step of an operation and each write of a
//! record. Programs built for people have none.

/// Names the instant at which the program kills itself, counted from 1 since it was started: a number, or a file that
/// holds one. Without a file, or with an empty one, it lives. Only in programs built for tests.
pub const KILL_AT_STEP: &str = "STEAD_TEST_KILL_AT_STEP";

#[cfg(debug_assertions)]
pub(crate) fn instant() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    let Ok(set) = std::env::var(KILL_AT_STEP) else { return };
    let wanted: Option<u64> =
        set.trim().parse().ok().or_else(|| {
            std::fs::read_to_string(&set).ok().and_then(|text| text.trim().parse().ok())
        });
    if wanted == Some(count) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal takes this thread before it can do anything more.
        loop {
            std::thread::park();
        }
    }
}

#[cfg(not(debug_assertions))]
pub(crate) const fn instant() {}
