//! What of a person's `~/.claude` other machines have too.

use crate::failure::Failure;
use std::path::{Path, PathBuf};
use stead_system::mcp::{self, Servers};
use stead_system::{File, Tree, Whole};

/// Most bytes of all of it; the rest of such a folder is not made by a person.
const MOST: usize = 8 << 20;

/// The files of the folder that the system names, by relative path. Nothing where it names a repository or nothing.
///
/// # Errors
/// If the folder is not there or too large.
pub fn files(whole: &Whole) -> Result<Tree, Failure> {
    let Some(home) = &whole.system.agents.claude_home else { return Ok(Tree::new()) };
    let home = Path::new(home);
    if !home.is_absolute() || !home.starts_with("/") {
        return Ok(Tree::new());
    }
    let mut walk = Walk {
        root: std::fs::canonicalize(home).unwrap_or_else(|_| home.into()),
        left: MOST,
        ..Walk::default()
    };
    walk.folder(Path::new("")).map_err(|e| {
        Failure::failed(format!("cannot read `claude_home` {}: {e}", home.display()))
            .help("name a folder of at most 8 MiB, or a git repository")
    })?;
    for (path, why) in &walk.out {
        eprintln!("{}: left out, because {why}", home.join(path).display());
    }
    Ok(walk.tree)
}

/// The MCP servers that go with it, without credentials. Nothing where the system names a repository or nothing.
///
/// # Errors
/// If a file that could have them cannot be read.
pub fn servers(whole: &Whole) -> Result<Servers, Failure> {
    let mut servers = Servers::default();
    let Some(home) = &whole.system.agents.claude_home else { return Ok(servers) };
    let home = Path::new(home);
    if !home.is_absolute() {
        return Ok(servers);
    }
    for path in mcp::places(home) {
        let text = match std::fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Ok(about) if about.len() > MOST as u64 => Err(std::io::Error::other("it is too large")),
            _ => std::fs::read_to_string(&path),
        };
        text.map_err(|e| e.to_string()).and_then(|text| servers.add(&text)).map_err(|why| {
            Failure::failed(format!("cannot read MCP servers from {}: {why}", path.display()))
        })?;
    }
    Ok(servers)
}

/// A way through a folder.
#[derive(Default)]
struct Walk {
    /// The folder, without a link in its path.
    root: PathBuf,
    tree: Tree,
    /// Bytes that it may still have.
    left: usize,
    /// Folders on the way here, so that a link leads round in no circle.
    above: Vec<PathBuf>,
    /// What is wanted and was left out, and why.
    out: Vec<(PathBuf, &'static str)>,
}

impl Walk {
    fn folder(&mut self, within: &Path) -> std::io::Result<()> {
        let real = std::fs::canonicalize(self.root.join(within))?;
        if self.above.contains(&real) {
            self.out.push((within.into(), "it is a link that leads round in a circle"));
            return Ok(());
        }
        self.above.push(real.clone());
        let mut entries = std::fs::read_dir(&real)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            self.entry(&entry, &within.join(entry.file_name()))?;
        }
        self.above.pop();
        Ok(())
    }

    fn entry(&mut self, entry: &std::fs::DirEntry, relative: &Path) -> std::io::Result<()> {
        let wanted = |path: &Path, folder| stead_system::debian::parity(&first(path, folder));
        let mut path = entry.path();
        let mut kind = entry.file_type()?;
        if kind.is_symlink() {
            if !wanted(relative, false) && !wanted(relative, true) {
                return Ok(());
            }
            let Ok(real) = std::fs::canonicalize(&path) else {
                self.out.push((relative.into(), "it is a link that leads to nothing"));
                return Ok(());
            };
            kind = std::fs::metadata(&real)?.file_type();
            // What is nobody's business is that by every name.
            let inside = real.strip_prefix(&self.root).is_ok_and(|to| wanted(to, kind.is_dir()));
            if !inside {
                self.out.push((
                    relative.into(),
                    "it is a link that leads out of what is taken: name the folder where it leads",
                ));
                return Ok(());
            }
            path = real;
        }
        if !wanted(relative, kind.is_dir()) {
            return Ok(());
        }
        if kind.is_dir() {
            return self.folder(relative);
        }
        if !kind.is_file() {
            self.out.push((relative.into(), "it is no file"));
            return Ok(());
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => self.take(relative, text),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                self.out.push((relative.into(), "it is no text"));
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    fn take(&mut self, relative: &Path, text: String) -> std::io::Result<()> {
        self.left = self
            .left
            .checked_sub(text.len())
            .ok_or_else(|| std::io::Error::other("it has more than 8 MiB"))?;
        let program = text.starts_with("#!");
        let file = if program { File { text, mode: 0o700 } } else { File::private(text) };
        self.tree.insert(relative.into(), file);
        Ok(())
    }
}

/// A folder is looked into if something in it could be taken.
fn first(relative: &Path, folder: bool) -> PathBuf {
    if folder { relative.join("x.md") } else { relative.to_owned() }
}
