//! How fast this computer's time stamp counter runs.

use std::sync::OnceLock;

/// Thousands of ticks a second; `None` where there is no such counter. Measured once a process, in a few milliseconds.
pub fn kilohertz() -> Option<u64> {
    static MEASURED: OnceLock<Option<u64>> = OnceLock::new();
    *MEASURED.get_or_init(measure)
}

#[cfg(target_arch = "x86_64")]
fn measure() -> Option<u64> {
    use crate::keep::sys::ticks;
    use std::time::{Duration, Instant};
    // The shortest of several, since whatever comes between makes one longer.
    let mut best: Option<(Duration, u64)> = None;
    for _ in 0..5 {
        let (began, first) = (Instant::now(), ticks());
        while began.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let (ticked, lasted) = (ticks().wrapping_sub(first), began.elapsed());
        if best.is_none_or(|(least, _)| lasted < least) {
            best = Some((lasted, ticked));
        }
    }
    let (lasted, ticked) = best?;
    let nanos = u64::try_from(lasted.as_nanos()).ok()?;
    Some(ticked.saturating_mul(1_000_000) / nanos.max(1)).filter(|khz| *khz > 100_000)
}

#[cfg(not(target_arch = "x86_64"))]
fn measure() -> Option<u64> {
    None
}
