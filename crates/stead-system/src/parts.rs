//! What was rendered, part by part, as digests: so that what is declared now can be compared with what was brought.

use crate::Tree;
use crate::debian::Desired;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// So many bytes of a digest are kept: nobody tries to make two that are alike.
const KEPT: usize = 16;

/// The parts of a Debian: `files`, `packages`. What a person is told is none of them, nor is one that is empty.
pub fn of_debian(desired: &Desired) -> BTreeMap<String, String> {
    let Ok(Value::Object(parts)) = serde_json::to_value(desired) else { return BTreeMap::new() };
    let is_empty = |value: &Value| match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    parts
        .iter()
        .filter(|(name, value)| *name != "remarks" && !is_empty(value))
        .map(|(name, value)| (name.clone(), digest(value)))
        .collect()
}

/// The parts of a flake: its files.
pub fn of_flake(tree: &Tree) -> BTreeMap<String, String> {
    tree.iter().map(|(path, file)| (path.display().to_string(), digest(file))).collect()
}

fn digest(value: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut digest = String::new();
    for byte in &Sha256::digest(bytes)[..KEPT] {
        use std::fmt::Write;
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{File, Whole, debian};

    #[test]
    fn what_differs_is_told_by_the_part_that_has_it() {
        let system = stead_file::declared::System::default();
        let (machine, name) = ("box".to_owned(), "dev".to_owned());
        let whole = Whole { machine, name, system, outside: false };
        let desired = debian::render(&whole);
        let before = of_debian(&desired);
        assert_eq!(before, of_debian(&desired.clone()));
        assert!(before.contains_key("files") && !before.contains_key("remarks"), "{before:?}");
        let mut after = desired;
        after.packages.insert("ripgrep".into());
        after.remarks.push("so it is".into());
        let after = of_debian(&after);
        let differ: Vec<&String> =
            after.keys().filter(|part| before.get(*part) != after.get(*part)).collect();
        assert_eq!(differ, ["packages"]);
        assert!(after.values().all(|digest| digest.len() == 2 * KEPT), "{after:?}");
    }

    #[test]
    fn a_flake_differs_by_its_files_with_their_modes() {
        let tree = |file: File| Tree::from([("a/flake.nix".into(), file)]);
        let (open, private) =
            (of_flake(&tree(File::new("x"))), of_flake(&tree(File::private("x"))));
        assert!(open.contains_key("a/flake.nix") && open != private, "{open:?} {private:?}");
    }
}
