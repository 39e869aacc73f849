//! Where two histories part that began as one.

use super::{HistoryError, Item, Reader};
use std::path::Path;

/// The offset up to which both are the same; in doubt it is one before.
///
/// # Errors
/// If one of them cannot be read.
pub fn parting(one: &Path, other: &Path) -> Result<u64, HistoryError> {
    let mut one = Reader::open(one)?.from(0);
    let mut other = Reader::open(other)?.from(0);
    let mut same = 0;
    loop {
        match (one.next_item()?, other.next_item()?) {
            (Some(ours), Some(theirs)) if ours == theirs => {
                same = match ours {
                    Item::Chunk { offset, bytes, .. } => offset + bytes.len() as u64,
                    Item::Event { offset, .. } => offset,
                    Item::Missing { to, .. } => to,
                };
            }
            (
                Some(Item::Chunk { offset, bytes, .. }),
                Some(Item::Chunk { offset: its, bytes: others, .. }),
            ) if offset == its => {
                let alike = bytes.iter().zip(others).take_while(|(one, other)| one == other);
                return Ok(offset + alike.count() as u64);
            }
            _ => return Ok(same),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Writer;

    fn history(pieces: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path()).unwrap();
        for (at, piece) in (1..).zip(pieces) {
            writer.output(at, piece.as_bytes());
            assert!(writer.flush());
        }
        folder
    }

    #[test]
    fn what_is_alike_is_found() {
        for (one, other, parts) in [
            (vec!["one", "two"], vec!["one", "two"], 6),
            (vec!["one", "two"], vec!["one"], 3),
            (vec!["one", "two"], vec!["one", "ten", "more"], 4),
            (vec!["one"], vec![], 0),
        ] {
            let (one, other) = (history(&one), history(&other));
            assert_eq!(parting(one.path(), other.path()).unwrap(), parts);
            assert_eq!(parting(other.path(), one.path()).unwrap(), parts);
        }
    }
}
