//! Looks at a host by the rules and says what is to be covered.

use super::HideError;
use super::rules::{Act, Made, rule};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// So many files are looked at; what is beyond is hidden unseen. It bounds what a start can cost.
const MOST: usize = 300_000;

/// Whom something belongs to and who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl From<&Metadata> for Rights {
    fn from(meta: &Metadata) -> Self {
        Self { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid() }
    }
}

/// What the cover has at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Covered {
    /// A folder through which the host's is seen.
    Through(Rights),
    /// A folder with nothing of the host's in it.
    Empty(Rights),
    /// Nothing.
    Gone,
    /// A file made anew.
    File(Rights, String),
}

/// What is to be covered, by path below the root; a folder is before what is in it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub covered: BTreeMap<PathBuf, Covered>,
    pub notes: Vec<String>,
    looked_at: usize,
}

impl Found {
    /// A name for exactly this.
    pub fn digest(&self, userxattr: bool) -> String {
        let mut digest = Sha256::new();
        digest.update(if userxattr { b"1u" } else { b"1t" });
        let mut field = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        for (path, covered) in &self.covered {
            field(path.as_os_str().as_bytes());
            let (kind, rights, content) = match covered {
                Covered::Through(rights) => (b't', Some(rights), ""),
                Covered::Empty(rights) => (b'e', Some(rights), ""),
                Covered::Gone => (b'g', None, ""),
                Covered::File(rights, content) => (b'f', Some(rights), content.as_str()),
            };
            field(&[kind]);
            if let Some(Rights { mode, uid, gid }) = rights {
                for number in [mode, uid, gid] {
                    field(&number.to_le_bytes());
                }
            }
            field(content.as_bytes());
        }
        digest.finalize().iter().take(16).fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        })
    }

    fn put(&mut self, path: &Path, covered: Covered) {
        self.covered.insert(path.to_owned(), covered);
    }
}

/// Walks the host.
pub(super) fn walk(root: &Path) -> Result<Found, HideError> {
    let mut walk = Walk { root, found: Found::default() };
    let meta = fs::metadata(root).map_err(HideError::at("look at", root))?;
    let entries = fs::read_dir(root).map_err(HideError::at("read", root))?;
    for entry in entries {
        let entry = entry.map_err(HideError::at("read", root))?;
        let path = PathBuf::from(entry.file_name());
        walk.entry(&path, entry.metadata(), Act::Gone);
    }
    let Walk { mut found, .. } = walk;
    found.put(Path::new(""), Covered::Through(Rights::from(&meta)));
    parents(root, &mut found)?;
    Ok(found)
}

/// Adds the folders that lead to what is covered, as they are on the host.
fn parents(root: &Path, found: &mut Found) -> Result<(), HideError> {
    let mut missing = BTreeMap::new();
    for path in found.covered.keys() {
        for parent in path.ancestors().skip(1) {
            if found.covered.contains_key(parent) || missing.contains_key(parent) {
                break;
            }
            let full = root.join(parent);
            let meta = fs::symlink_metadata(&full).map_err(HideError::at("look at", &full))?;
            missing.insert(parent.to_owned(), Covered::Through(Rights::from(&meta)));
        }
    }
    found.covered.append(&mut missing);
    Ok(())
}

struct Walk<'a> {
    root: &'a Path,
    found: Found,
}

impl Walk<'_> {
    /// Decides about one path. `otherwise` is what happens if no rule names it.
    fn entry(&mut self, path: &Path, meta: io::Result<Metadata>, otherwise: Act) {
        self.found.looked_at += 1;
        let meta = match meta {
            Ok(meta) => meta,
            // It went away between the listing and the look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => return self.found.put(path, Covered::Gone),
        };
        let rights = Rights::from(&meta);
        let kind = meta.file_type();
        match rule(path).map_or(otherwise, |rule| rule.act) {
            Act::Gone => self.found.put(path, Covered::Gone),
            // A link to a folder elsewhere: programs expect a folder.
            Act::Empty | Act::Only if kind.is_symlink() => {
                if matches!(rule(path), Some(rule) if rule.act == Act::Only) {
                    self.found.notes.push(format!(
                        "/{} is a link on this host; inside it is empty",
                        path.display()
                    ));
                }
                self.found.put(path, Covered::Empty(Rights { mode: 0o755, ..rights }));
            }
            Act::Empty | Act::Only if !kind.is_dir() => self.found.put(path, Covered::Gone),
            Act::Made(made) => {
                let rights =
                    if kind.is_file() { rights } else { Rights { mode: 0o644, uid: 0, gid: 0 } };
                let content = self.made(made);
                self.found.put(path, Covered::File(rights, content));
            }
            Act::Empty => self.found.put(path, Covered::Empty(rights)),
            Act::Only => self.folder(path, rights, Act::Gone),
            Act::Shown if kind.is_dir() => self.named_below(path),
            Act::Shown => {}
            Act::Walked if kind.is_symlink() => {}
            Act::Walked if kind.is_dir() => {
                if rights.mode & 0o005 == 0o005 {
                    self.folder(path, rights, Act::Walked);
                } else {
                    self.found.put(path, Covered::Empty(rights));
                }
            }
            Act::Walked => {
                // Devices, sockets and pipes are ways to the host's own programs.
                if !kind.is_file() || rights.mode & 0o004 == 0 {
                    self.found.put(path, Covered::Gone);
                }
            }
        }
    }

    fn folder(&mut self, path: &Path, rights: Rights, otherwise: Act) {
        let entries = if self.found.looked_at > MOST {
            None
        } else {
            fs::read_dir(self.root.join(path)).ok()
        };
        let Some(entries) = entries else {
            self.found.notes.push(format!(
                "/{} cannot be looked at, or has too many files; inside it is empty",
                path.display()
            ));
            return self.found.put(path, Covered::Empty(rights));
        };
        for entry in entries {
            // A listing that breaks off may have left out a secret.
            let Ok(entry) = entry else { return self.found.put(path, Covered::Empty(rights)) };
            self.entry(&path.join(entry.file_name()), entry.metadata(), otherwise);
        }
    }

    /// In a folder that is shown as it is, only what rules name is looked at.
    fn named_below(&mut self, path: &Path) {
        for rule in
            super::rules::RULES.iter().filter(|rule| Path::new(rule.path).parent() == Some(path))
        {
            let below = Path::new(rule.path);
            self.entry(below, fs::symlink_metadata(self.root.join(below)), Act::Shown);
        }
    }

    fn made(&self, made: Made) -> String {
        let fields = |file: &str| -> Vec<Vec<String>> {
            let text = fs::read(self.root.join(file)).unwrap_or_default();
            let split = |line: &str| line.split(':').map(str::to_owned).collect();
            String::from_utf8_lossy(&text)
                .lines()
                .filter(|line| line.contains(':'))
                .map(split)
                .collect()
        };
        let lines = |text: &mut String, line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let mut text = String::new();
        match made {
            Made::Text(plain) => text.push_str(plain),
            Made::Shadow => {
                for entry in fields("etc/passwd") {
                    lines(&mut text, &format!("{}:*:19000:0:99999:7:::", entry[0]));
                }
            }
            Made::GroupShadow => {
                for entry in fields("etc/group") {
                    lines(
                        &mut text,
                        &format!("{}:*::{}", entry[0], entry.get(3).map_or("", String::as_str)),
                    );
                }
            }
        }
        text
    }
}

/// Whether `name` is what a pattern with one `*` at its end or its middle means.
pub(super) fn matches(pattern: &str, name: &OsStr) -> bool {
    let name = name.as_bytes();
    match pattern.split_once('*') {
        None => pattern.as_bytes() == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len()
                && name.starts_with(start.as_bytes())
                && name.ends_with(end.as_bytes())
        }
    }
}
