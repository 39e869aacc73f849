//! What of a person's `~/.claude` other machines have too.

use crate::failure::Failure;
use std::path::{Path, PathBuf};
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
