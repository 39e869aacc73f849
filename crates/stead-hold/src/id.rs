//! Identities of sessions.

use crate::clock::now_ms;
use std::hash::{BuildHasher, Hasher, RandomState};

const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new id: 14 lower-case letters and digits, nine of time in milliseconds and five of chance, so that ids sort by
/// age.
pub fn new() -> String {
    let time = now_ms();
    // The standard library seeds its hashers from the kernel's random numbers.
    let chance = RandomState::new().build_hasher().finish();
    let mut id = String::with_capacity(14);
    for shift in (0..9).rev() {
        id.push(char::from(LETTERS[(time >> (5 * shift)) as usize & 31]));
    }
    for shift in 0..5 {
        id.push(char::from(LETTERS[(chance >> (5 * shift)) as usize & 31]));
    }
    id
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<String> = (0..100).map(|_| super::new()).collect();
        assert_eq!(ids.len(), 100);
        assert!(
            ids.iter().all(|id| id.len() == 14 && id.bytes().all(|b| b.is_ascii_alphanumeric()))
        );
    }
}
