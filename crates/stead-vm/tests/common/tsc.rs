//! How fast the processor's counter counts: an emulated guest sees the host's, and cannot measure it well.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub fn khz() -> u64 {
    static KHZ: OnceLock<u64> = OnceLock::new();
    *KHZ.get_or_init(|| {
        // SAFETY: reads a register.
        let count = || unsafe { std::arch::x86_64::_rdtsc() };
        let (began, first) = (Instant::now(), count());
        std::thread::sleep(Duration::from_millis(50));
        (count() - first) * 1_000_000 / began.elapsed().as_nanos() as u64
    })
}
