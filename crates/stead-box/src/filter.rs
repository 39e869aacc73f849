//! What processes in a sandbox may ask of the kernel: capabilities and system calls.
//!
//! The system calls are an allow list with a ceiling: every call that was known when this was written and is not in
//! [`calls::DENIED`] goes through, every later one is answered with `ENOSYS`. So a kernel that is newer than this
//! program opens nothing by itself, programs take their way for older kernels, and the list that people have to
//! review is the short one: what is denied, each with its reason. A full list of what is allowed would be three
//! hundred names that break a program for each one forgotten.
//!
//! Calls of another architecture on the same kernel (i386, x32, 32-bit ARM) are answered with `ENOSYS`: their numbers
//! differ, and each would be a second door.

pub mod bpf;
pub mod calls;

use crate::guard_sys;
use std::io;

/// Why the filter is not in force. Whoever gets this must not go on to start what was to be filtered.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} of the sandbox's processes: {source}; nothing is started without")]
pub struct FilterError {
    /// What was tried.
    pub step: &'static str,
    /// What the kernel said.
    pub source: io::Error,
}

/// A capability that is kept: its number and what for. All count in the sandbox's own user namespace only.
type Kept = (u32, &'static str);

/// Capabilities that root in any sandbox keeps.
const KEPT: [Kept; 13] = [
    (0, "CHOWN: package managers give files away"),
    (1, "DAC_OVERRIDE: root reads and writes what is others'"),
    (3, "FOWNER: chmod of others' files"),
    (4, "FSETID: setgid bits survive a write"),
    (5, "KILL: signals to others' processes"),
    (6, "SETGID: to become somebody else"),
    (7, "SETUID: to become somebody else"),
    (8, "SETPCAP: programs drop what they do not need"),
    (10, "NET_BIND_SERVICE: ports below 1024"),
    (
        13,
        "NET_RAW: without it the kernel refuses even to start a program that carries it, as `ping` does",
    ),
    (18, "SYS_CHROOT: build tools"),
    (29, "AUDIT_WRITE: su and login fail without"),
    (31, "SETFCAP: packages whose programs carry capabilities"),
];

/// Capabilities that root keeps besides in a sandbox in which containers may be made.
const KEPT_NESTED: [Kept; 3] = [
    (12, "NET_ADMIN: networks of containers"),
    (19, "SYS_PTRACE: looking into containers"),
    (21, "SYS_ADMIN: mounts and namespaces of containers"),
];

/// Confines the calling thread, and whatever it starts: for the moment just before exec, inside the sandbox's user
/// namespace. There is no way back. `nested` is whether containers may be made inside.
///
/// # Errors
/// At the first step that the kernel refuses.
pub fn apply(nested: bool) -> Result<(), FilterError> {
    let step = |step| move |source| FilterError { step, source };
    let extra: &[Kept] = if nested { &KEPT_NESTED } else { &[] };
    let kept = KEPT.iter().chain(extra).fold(0, |set: u64, (number, _)| set | 1 << number);
    guard_sys::limit_capabilities(kept).map_err(step("limit the capabilities"))?;
    guard_sys::no_new_privileges().map_err(step("rule out new privileges"))?;
    let program = bpf::program(bpf::Arch::NATIVE, nested);
    guard_sys::filter_calls(&program).map_err(step("filter the system calls"))
}
