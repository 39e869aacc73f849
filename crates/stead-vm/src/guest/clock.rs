//! The machine's clock and its random numbers, which both stand still while it does.

use crate::failure::{Result, Tried};
use crate::sys;
use rustix::fd::AsFd;
use rustix::time::{ClockId, Timespec, clock_settime};

/// Sets the clock to `ms` milliseconds since 1970.
pub fn set(ms: u64) -> Result<()> {
    let time = Timespec { tv_sec: (ms / 1000) as i64, tv_nsec: (ms % 1000 * 1_000_000) as i64 };
    clock_settime(ClockId::Realtime, time).tried(|| format!("setting the clock to {ms}"))
}

/// Stirs the hexadecimal digits of `seed` into the kernel's random pool.
pub fn stir(seed: &str) -> Result<()> {
    let mut bytes = [0; 64];
    for (i, pair) in seed.as_bytes().chunks(2).enumerate() {
        let digits = std::str::from_utf8(pair).ok();
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes[i % 64] ^= byte.unwrap_or_default();
    }
    let path = "/dev/urandom";
    let pool = std::fs::OpenOptions::new().write(true).open(path).tried(|| path)?;
    sys::stir(pool.as_fd(), &bytes).tried(|| path)
}
