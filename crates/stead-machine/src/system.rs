//! A machine's declared system, as far as a plan knows it: digests of what was rendered, and of what was last brought.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A declared system as it was rendered for one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// What the stead file calls it.
    pub name: String,
    /// A digest of each part: `files`, `packages`.
    pub parts: BTreeMap<String, String>,
    /// Who brings it.
    #[serde(flatten)]
    pub by: By,
}

/// Who brings a system to its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum By {
    /// Applying a plan does.
    Apply,
    /// A person does, with `stead system switch`.
    Hand {
        /// Why.
        why: String,
    },
    /// Nobody can.
    Nobody {
        /// Why, and what to do.
        why: String,
    },
}

/// The system that a machine was last brought to. It goes with the machine's state: one that is restored, cloned or
/// moved has none, and is brought again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// What the stead file called it.
    pub name: String,
    /// As in [`Rendered::parts`].
    pub parts: BTreeMap<String, String>,
    /// What this switch is known by.
    pub switch: String,
    /// When all of it was there, in milliseconds since the Unix epoch. `None`: the switch did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

impl Rendered {
    /// The parts that are otherwise than those that were brought.
    pub(crate) fn differing(&self, brought: &Brought) -> Vec<String> {
        let all = self.parts.keys().chain(brought.parts.keys());
        let mut parts: Vec<String> =
            all.filter(|part| self.parts.get(*part) != brought.parts.get(*part)).cloned().collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }
}
