//! What processes in a sandbox may ask of the kernel: capabilities and system calls.
//!
//! A STAND-IN: only no_new_privs. The version of branch `guards` replaces it.
#![allow(missing_docs)]

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(std::io::Error);

pub fn apply(_nested: bool) -> Result<(), FilterError> {
    rustix::thread::set_no_new_privs(true).map_err(|e| FilterError(e.into()))
}
