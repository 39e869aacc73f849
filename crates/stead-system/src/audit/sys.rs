//! What the kernel is asked directly.
#![allow(unsafe_code)]

/// Whether the kernel's clock is held to another's.
pub fn clock_is_held() -> Result<bool, String> {
    // SAFETY: all zeroes is a `timex` that asks and sets nothing.
    let mut asked: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: it is one `timex`, which the kernel writes to.
    let state = unsafe { libc::adjtimex(&raw mut asked) };
    if state < 0 {
        return Err(format!("the clock cannot be asked: {}", std::io::Error::last_os_error()));
    }
    Ok(state != libc::TIME_ERROR && asked.status & libc::STA_UNSYNC == 0)
}
