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
    let mut tree = Tree::new();
    let Some(home) = &whole.system.agents.claude_home else { return Ok(tree) };
    let home = Path::new(home);
    if !home.is_absolute() || !home.starts_with("/") {
        return Ok(tree);
    }
    let mut left = MOST;
    walk(home, Path::new(""), &mut tree, &mut left).map_err(|e| {
        Failure::failed(format!("cannot read `claude_home` {}: {e}", home.display()))
            .help("name a folder of at most 8 MiB, or a git repository")
    })?;
    Ok(tree)
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

fn walk(root: &Path, within: &Path, tree: &mut Tree, left: &mut usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(within))? {
        let entry = entry?;
        let relative = within.join(entry.file_name());
        let kind = entry.file_type()?;
        if !stead_system::debian::parity(&first(&relative, kind.is_dir())) {
            continue;
        }
        if kind.is_dir() {
            walk(root, &relative, tree, left)?;
        } else if kind.is_file() {
            let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
            *left = left
                .checked_sub(text.len())
                .ok_or_else(|| std::io::Error::other("it has more than 8 MiB"))?;
            let program = text.starts_with("#!");
            let file = if program { File { text, mode: 0o700 } } else { File::private(text) };
            tree.insert(relative, file);
        }
    }
    Ok(())
}

/// A folder is looked into if something in it could be taken.
fn first(relative: &Path, folder: bool) -> PathBuf {
    if folder { relative.join("x.md") } else { relative.to_owned() }
}
