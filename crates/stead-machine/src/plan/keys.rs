//! Where two declarations of a machine differ.

use super::words;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stead_file::declared::{Machine, Network};

/// A key of a declaration that differs. The values are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// The key: `memory`, or `network.egress`.
    pub key: String,
    /// As it is.
    pub before: String,
    /// As it is to be.
    pub after: String,
}

/// What differs between two machines, in order of keys. Whether they run is not part of it, nor what system they have,
/// which is brought to them while they run.
pub(super) fn machine(before: &Machine, after: &Machine) -> Vec<KeyChange> {
    let same = before == after || {
        let system = before.system.clone();
        *before == Machine { running: before.running, system, ..after.clone() }
    };
    if same {
        return Vec::new();
    }
    let mut keys = differing("", before, after, &["running", "qemu", "system"]);
    keys.extend(differing("qemu.", &before.qemu, &after.qemu, &[]));
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    keys
}

/// What differs between the networks of two machines.
pub(super) fn network(before: Option<&Network>, after: Option<&Network>) -> Vec<KeyChange> {
    match (before, after) {
        (before, after) if before == after => Vec::new(),
        (Some(before), Some(after)) => differing("network.", before, after, &[]),
        // The key `network` of the machine says so.
        _ => Vec::new(),
    }
}

fn differing<T: Serialize>(
    prefix: &str,
    before: &T,
    after: &T,
    without: &[&str],
) -> Vec<KeyChange> {
    let (Ok(Value::Object(before)), Ok(Value::Object(mut after))) =
        (serde_json::to_value(before), serde_json::to_value(after))
    else {
        return Vec::new();
    };
    // What is as by default may not be written.
    for key in before.keys() {
        after.entry(key).or_insert(Value::Null);
    }
    let mut keys: Vec<KeyChange> = after
        .iter()
        .filter(|(key, value)| !without.contains(&key.as_str()) && before.get(*key) != Some(value))
        .map(|(key, value)| {
            let before = words::value(key, before.get(key).unwrap_or(&Value::Null));
            let mut after = words::value(key, value);
            if before == after {
                after.push_str(" (other values)");
            }
            KeyChange { key: format!("{prefix}{key}"), before, after }
        })
        .collect();
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    keys
}
