//! Identities of sessions.

use crate::clock::now_ms;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new id: 14 lower-case letters and digits, nine of time in milliseconds and five of chance, so that ids sort by
/// age. Those of one process do within a millisecond, too.
pub fn new() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = now_ms();
    let later = |last: u64| Some(now.max(last + 1));
    // It never refuses: the closure always has an answer.
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later).unwrap_or(now);
    let time = now.max(last + 1);
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
    fn ids_differ_and_sort_by_age() {
        let ids: Vec<String> = (0..100).map(|_| super::new()).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        assert!(
            ids.iter().all(|id| id.len() == 14 && id.bytes().all(|b| b.is_ascii_alphanumeric()))
        );
    }
}
