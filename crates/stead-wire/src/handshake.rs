//! Which protocol version two programs of different age speak with each other.

use crate::WireError;
use serde::{Deserialize, Serialize};

/// The versions that this build speaks, oldest and newest.
pub const SPOKEN: Versions = Versions { min: 1, max: 1 };

/// A range of protocol versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest version spoken.
    pub min: u32,
    /// The newest version spoken.
    pub max: u32,
}

/// The newest version that both ends speak.
///
/// # Errors
/// [`WireError::Version`] with a sentence that says which end is the older one.
pub fn agree(ours: Versions, theirs: Versions) -> Result<u32, WireError> {
    let newest = ours.max.min(theirs.max);
    let oldest = ours.min.max(theirs.min);
    if newest >= oldest {
        return Ok(newest);
    }
    let older = if theirs.max < ours.min { "client" } else { "hold" };
    Err(WireError::Version(format!(
        "this hold speaks {} to {}, the client {} to {}; the {older} is too old: {}",
        ours.min,
        ours.max,
        theirs.min,
        theirs.max,
        if older == "client" {
            "use a newer stead"
        } else {
            "use the stead that started this session, or restart the session"
        }
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_wins() {
        let ours = Versions { min: 2, max: 5 };
        assert_eq!(agree(ours, Versions { min: 1, max: 3 }).unwrap(), 3);
        assert_eq!(agree(ours, Versions { min: 4, max: 9 }).unwrap(), 5);
    }

    #[test]
    fn without_overlap_the_older_end_is_named() {
        let ours = Versions { min: 2, max: 5 };
        let old = agree(ours, Versions { min: 1, max: 1 }).unwrap_err();
        assert!(old.to_string().contains("the client is too old"), "{old}");
        let young = agree(ours, Versions { min: 6, max: 8 }).unwrap_err();
        assert!(young.to_string().contains("the hold is too old"), "{young}");
    }
}
