//! Looks at a host by the rules and says what is to be covered.

use super::HideError;
use super::rules::{Act, Below, Made};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat, fstat, open, openat, statat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many files are looked at; what is beyond is hidden unseen. It bounds what a start can cost.
const MOST: usize = 300_000;
/// So long may a folder's path be; deeper ones are hidden unseen. It bounds the open folders of a walk.
const DEEPEST: usize = 4096;
/// Bytes of a listing that are fetched at a time.
const LISTING: usize = 16 << 10;
/// The folder at the top with most to look at: a thread of its own does.
const BUSIEST: &CStr = c"etc";
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Whom something belongs to and who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl From<&Stat> for Rights {
    fn from(meta: &Stat) -> Self {
        Self { mode: meta.st_mode & 0o7777, uid: meta.st_uid, gid: meta.st_gid }
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

    fn and(mut self, other: Self) -> Self {
        self.covered.extend(other.covered);
        self.notes.extend(other.notes);
        self
    }

    fn put(&mut self, path: PathBuf, covered: Covered) {
        self.covered.insert(path, covered);
    }
}

/// Walks the host.
pub(super) fn walk(root: &Path) -> Result<Found, HideError> {
    let failed = |e: Errno| HideError::at("look at", root)(e.into());
    let dir = open(root, FOLDER, Mode::empty()).map_err(failed)?;
    let meta = fstat(&dir).map_err(failed)?;
    let looked_at = AtomicUsize::new(0);
    let walk = || Walk { root: &dir, looked_at: &looked_at, found: Found::default() };
    let mut found = std::thread::scope(|scope| {
        let busiest = scope.spawn(move || walk().named(BUSIEST));
        let rest = walk().top();
        let busiest = busiest.join().expect("no panic");
        rest.map(|rest| rest.and(busiest)).map_err(|e| HideError::at("read", root)(e.into()))
    })?;
    found.put(PathBuf::new(), Covered::Through(Rights::from(&meta)));
    parents(root, &dir, &mut found)?;
    Ok(found)
}

/// Adds the folders that lead to what is covered, as they are on the host.
fn parents(root: &Path, dir: &OwnedFd, found: &mut Found) -> Result<(), HideError> {
    let mut missing = BTreeMap::new();
    for path in found.covered.keys() {
        for parent in path.ancestors().skip(1) {
            if found.covered.contains_key(parent) || missing.contains_key(parent) {
                break;
            }
            let meta = statat(dir, parent, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| HideError::at("look at", &root.join(parent))(e.into()))?;
            missing.insert(parent.to_owned(), Covered::Through(Rights::from(&meta)));
        }
    }
    found.covered.append(&mut missing);
    Ok(())
}

struct Walk<'a> {
    root: &'a OwnedFd,
    /// Of all walks of this host together.
    looked_at: &'a AtomicUsize,
    found: Found,
}

/// Something that was found: by which name in which open folder, and what its path below the root is.
#[derive(Clone, Copy)]
struct Entry<'a> {
    dir: BorrowedFd<'a>,
    name: &'a CStr,
    folder: &'a Path,
}

impl Entry<'_> {
    fn path(&self) -> PathBuf {
        self.folder.join(OsStr::from_bytes(self.name.to_bytes()))
    }
}

impl Walk<'_> {
    /// Everything but what is below [`BUSIEST`].
    fn top(mut self) -> Result<Found, Errno> {
        self.inside(self.root.as_fd(), Path::new(""), Act::Gone, Some(BUSIEST))?;
        Ok(self.found)
    }

    /// One entry of the top, and what is below it.
    fn named(mut self, name: &CStr) -> Found {
        let top = Path::new("");
        let rule = Below::of(top).rule(OsStr::from_bytes(name.to_bytes()));
        let entry = Entry { dir: self.root.as_fd(), name, folder: top };
        self.entry(entry, FileType::Unknown, rule.map_or(Act::Gone, |rule| rule.act));
        self.found
    }

    /// Decides about one path. `kind` is what its folder says that it is.
    fn entry(&mut self, entry: Entry<'_>, kind: FileType, act: Act) {
        self.looked_at.fetch_add(1, Ordering::Relaxed);
        // Links show nothing that is not shown elsewhere. Most of what there is needs no look of its own.
        match (act, kind) {
            (Act::Gone, _) => return self.found.put(entry.path(), Covered::Gone),
            (Act::Walked, FileType::Symlink) => return,
            _ => {}
        }
        let meta = match statat(entry.dir, entry.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(meta) => meta,
            // It went away between the listing and the look.
            Err(Errno::NOENT) => return,
            Err(_) => return self.found.put(entry.path(), Covered::Gone),
        };
        let rights = Rights::from(&meta);
        let kind = FileType::from_raw_mode(meta.st_mode);
        match act {
            Act::Gone => self.found.put(entry.path(), Covered::Gone),
            // A link to a folder elsewhere: programs expect a folder.
            Act::Empty | Act::Only if kind == FileType::Symlink => {
                let path = entry.path();
                if act == Act::Only {
                    self.found.notes.push(format!(
                        "/{} is a link on this host; inside it is empty",
                        path.display()
                    ));
                }
                self.found.put(path, Covered::Empty(Rights { mode: 0o755, ..rights }));
            }
            Act::Empty | Act::Only if kind != FileType::Directory => {
                self.found.put(entry.path(), Covered::Gone);
            }
            Act::Made(made) => {
                let plain = Rights { mode: 0o644, uid: 0, gid: 0 };
                let rights = if kind == FileType::RegularFile { rights } else { plain };
                let content = self.made(made);
                self.found.put(entry.path(), Covered::File(rights, content));
            }
            Act::Empty => self.found.put(entry.path(), Covered::Empty(rights)),
            Act::Only => self.folder(entry, rights, Act::Gone),
            Act::Shown if kind == FileType::Directory => self.named_below(&entry.path()),
            Act::Shown => {}
            Act::Walked => match kind {
                FileType::Symlink => {}
                FileType::Directory if rights.mode & 0o005 == 0o005 => {
                    self.folder(entry, rights, Act::Walked);
                }
                FileType::Directory => self.found.put(entry.path(), Covered::Empty(rights)),
                FileType::RegularFile if rights.mode & 0o004 != 0 => {}
                // Devices, sockets and pipes are ways to the host's own programs.
                _ => self.found.put(entry.path(), Covered::Gone),
            },
        }
    }

    fn folder(&mut self, entry: Entry<'_>, rights: Rights, otherwise: Act) {
        let path = entry.path();
        let opened =
            if self.looked_at.load(Ordering::Relaxed) > MOST || path.as_os_str().len() > DEEPEST {
                None
            } else {
                openat(entry.dir, entry.name, FOLDER | OFlags::NOFOLLOW, Mode::empty()).ok()
            };
        let Some(dir) = opened else {
            self.found.notes.push(format!(
                "/{} cannot be looked at, or has too many files; inside it is empty",
                path.display()
            ));
            return self.found.put(path, Covered::Empty(rights));
        };
        // A listing that breaks off may have left out a secret.
        if self.inside(dir.as_fd(), &path, otherwise, None).is_err() {
            self.found.put(path, Covered::Empty(rights));
        }
    }

    /// Decides about everything in a folder but one. `otherwise` is what happens to what no rule names.
    fn inside(
        &mut self,
        dir: BorrowedFd<'_>,
        folder: &Path,
        otherwise: Act,
        but: Option<&CStr>,
    ) -> Result<(), Errno> {
        let rules = Below::of(folder);
        let mut buffer = Vec::with_capacity(LISTING);
        let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type());
            if name != c"." && name != c".." && Some(name) != but {
                let act =
                    rules.rule(OsStr::from_bytes(name.to_bytes())).map_or(otherwise, |r| r.act);
                self.entry(Entry { dir, name, folder }, kind, act);
            }
        }
        Ok(())
    }

    /// In a folder that is shown as it is, only what rules name is looked at.
    fn named_below(&mut self, path: &Path) {
        for rule in
            super::rules::RULES.iter().filter(|rule| Path::new(rule.path).parent() == Some(path))
        {
            let name = CString::new(rule.path).expect("a rule has no zero");
            let dir = self.root.as_fd();
            let entry = Entry { dir, name: &name, folder: Path::new("") };
            if !matches!(statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT)) {
                self.entry(entry, FileType::Unknown, rule.act);
            }
        }
    }

    fn read(&self, file: &str) -> std::io::Result<Vec<u8>> {
        let file = openat(self.root, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = Vec::new();
        std::fs::File::from(file).read_to_end(&mut text)?;
        Ok(text)
    }

    fn made(&self, made: Made) -> String {
        let fields = |file: &str| -> Vec<Vec<String>> {
            let text = self.read(file).unwrap_or_default();
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
