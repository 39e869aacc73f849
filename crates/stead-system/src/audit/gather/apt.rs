//! What apt goes by.

use super::files::Place;
use super::program;
use crate::Whole;
use crate::audit::evidence::Seen;
use std::collections::BTreeMap;
use stead_file::declared::Os;

/// All settings, by name in small letters; what is in a list is under the list's name.
pub fn settings(place: &Place, whole: &Whole) -> Seen<BTreeMap<String, Vec<String>>> {
    if whole.system.os == Os::Nixos {
        return Err("NixOS has no apt".into());
    }
    Ok(dumped(&String::from_utf8_lossy(&program::run(place, "apt-config", &["dump"])?)))
}

/// What `apt-config dump` prints.
pub fn dumped(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else { continue };
        let value = value.trim_end_matches(';').trim_matches('"').to_owned();
        let key = key.trim_end_matches("::").to_lowercase();
        if !value.is_empty() {
            all.entry(key).or_default().push(value);
        }
    }
    all
}
