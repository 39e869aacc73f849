//! The profiles that there are: built in, and the user's own.

use super::profile::{Profile, ProfileError};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const BUILT_IN: [(&str, &str); 5] = [
    ("claude", include_str!("../../profiles/claude.toml")),
    ("codex", include_str!("../../profiles/codex.toml")),
    ("gemini", include_str!("../../profiles/gemini.toml")),
    ("opencode", include_str!("../../profiles/opencode.toml")),
    ("shell", include_str!("../../profiles/shell.toml")),
];

/// All profiles by name. A user's file that is wrong spoils only its own name.
#[derive(Debug, Default)]
pub struct Profiles {
    good: BTreeMap<String, Profile>,
    bad: Vec<ProfileError>,
}

impl Profiles {
    /// The built-in profiles and those in `agents/*.toml` of the user's configuration folder
    /// ([`stead_hold::folder::Places::config`]).
    pub fn load(config: &Path) -> Self {
        let mut profiles = Self::built_in();
        let folder = config.join("agents");
        let mut files: Vec<PathBuf> = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return profiles,
            Err(source) => {
                profiles.bad.push(ProfileError::Io { path: folder, source });
                return profiles;
            }
        };
        files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
        files.sort();
        for path in files {
            let read = fs::read_to_string(&path)
                .map_err(|source| ProfileError::Io { path: path.clone(), source })
                .and_then(|text| Profile::parse(&text, &path));
            match read {
                Ok(profile) => {
                    profiles.good.insert(profile.name.clone(), profile);
                }
                Err(error) => {
                    // Running the built-in one where the user meant theirs would be a surprise.
                    if let Some(name) = path.file_stem().and_then(|n| n.to_str()) {
                        profiles.good.remove(name);
                    }
                    profiles.bad.push(error);
                }
            }
        }
        profiles
    }

    /// The built-in profiles alone.
    pub fn built_in() -> Self {
        let good = BUILT_IN
            .into_iter()
            .map(|(name, text)| {
                let profile = Profile::parse(text, Path::new(name))
                    .expect("the built-in profiles are read by the tests");
                (name.to_owned(), profile)
            })
            .collect();
        Profiles { good, bad: Vec::new() }
    }

    /// A profile by name.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.good.get(name)
    }

    /// All profiles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.good.values()
    }

    /// What is wrong with the user's files.
    pub fn errors(&self) -> &[ProfileError] {
        &self.bad
    }

    /// The profile whose program a command runs, for sessions that were started without naming one.
    pub fn for_command(&self, command: &[String]) -> Option<&Profile> {
        let program = super::arguments::base(command.first()?);
        self.good.values().find(|p| super::arguments::base(&p.command[0]) == program)
    }
}
