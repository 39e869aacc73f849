//! What processes in a sandbox may ask of the kernel: capabilities and system calls.
//!
//! A STAND-IN: capabilities and `no_new_privs`. The version of branch `guards` replaces it.
#![allow(missing_docs)]

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(std::io::Error);

pub fn apply(_nested: bool) -> Result<(), FilterError> {
    use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set, set_capabilities};
    let kept = 0x8104_05fb_u64;
    for number in (0..64).filter(|n| kept >> n & 1 == 0) {
        let Some(one) = CapabilitySet::from_bits(1 << number) else { continue };
        let _ = remove_capability_from_bounding_set(one);
    }
    let kept = CapabilitySet::from_bits_retain(kept);
    let sets = rustix::thread::CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(|e| FilterError(e.into()))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| FilterError(e.into()))
}
