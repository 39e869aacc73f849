//! What a machine changed against its base.

use super::identity::is_white_out;
use crate::common::files::failed;
use rustix::fs::{Access, getxattr};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use stead_machine::EngineError;
use stead_machine::model::{Change, ChangeKind};

/// What Stead itself writes into every state.
const OWN: [&str; 6] =
    ["etc/machine-id", "etc/hostname", "etc/hosts", "etc/resolv.conf", "var/lib/stead", "etc/mtab"];

/// Layers above a base, topmost first, compared with the base, topmost first.
pub fn diff(layers: &[PathBuf], base: &[PathBuf]) -> Result<Vec<Change>, EngineError> {
    let mut found: BTreeMap<PathBuf, Option<ChangeKind>> = BTreeMap::new();
    // Folders of which nothing below this layer is seen.
    let mut closed: Vec<PathBuf> = Vec::new();
    for layer in layers {
        let mut closing = Vec::new();
        walk(layer, Path::new(""), &mut |path, meta| {
            if OWN.iter().any(|own| path.starts_with(own)) {
                return false;
            }
            if found.contains_key(path) && !meta.is_dir()
                || closed.iter().any(|c| path.starts_with(c))
            {
                return false;
            }
            let before = look(base, path);
            let kind = match (&before, is_white_out(meta)) {
                (Some(_), true) => Some(ChangeKind::Deleted),
                (None, true) => None,
                (None, false) => Some(ChangeKind::Added),
                (Some(before), false) if same_folder(before, meta) => None,
                (Some(_), false) => Some(ChangeKind::Changed),
            };
            if is_white_out(meta) || !meta.is_dir() || is_opaque(&layer.join(path)) {
                closing.push(path.to_owned());
            }
            found.entry(path.to_owned()).or_insert(kind);
            // What is in a folder that is there as a whole is told with it only where the base has the folder, too.
            meta.is_dir()
        })?;
        closed.extend(closing);
    }
    for folder in &closed {
        deleted_below(base, folder, &mut found);
    }
    let mut changes: Vec<Change> = found
        .into_iter()
        .filter_map(|(path, kind)| Some(Change { path: Path::new("/").join(path), kind: kind? }))
        .collect();
    changes.sort();
    Ok(changes)
}

/// Without the folders that were made only for something to be mounted there, and those above them.
pub fn without_mount_points(changes: Vec<Change>, points: &[&Path]) -> Vec<Change> {
    let leads_to_one = |change: &Change| {
        change.kind == ChangeKind::Added
            && points.iter().any(|point| point.starts_with(&change.path))
    };
    let (leading, mut rest): (Vec<Change>, Vec<Change>) =
        changes.into_iter().partition(leads_to_one);
    // One that holds something else is told, so that all that is told lies in what is there.
    let holds = |folder: &Change| rest.iter().any(|other| other.path.starts_with(&folder.path));
    let told: Vec<Change> = leading.into_iter().filter(holds).collect();
    rest.extend(told);
    rest.sort();
    rest
}

/// What the base has in a folder that was replaced as a whole, and the replacement does not.
fn deleted_below(
    base: &[PathBuf],
    folder: &Path,
    found: &mut BTreeMap<PathBuf, Option<ChangeKind>>,
) {
    // A folder that is gone is told by itself.
    if found.get(folder).is_some_and(|kind| *kind == Some(ChangeKind::Deleted)) {
        return;
    }
    if !look(base, folder).is_some_and(|meta| meta.is_dir()) {
        return;
    }
    for layer in base {
        for entry in std::fs::read_dir(layer.join(folder)).into_iter().flatten().flatten() {
            let path = folder.join(entry.file_name());
            if look(base, &path).is_some() {
                found.entry(path).or_insert(Some(ChangeKind::Deleted));
            }
        }
    }
}

/// What the base shows at a path: a layer above hides what it covers.
fn look(base: &[PathBuf], path: &Path) -> Option<Metadata> {
    for layer in base {
        // From the top of the path down: a folder that is covered hides all below.
        let mut open = true;
        let mut sofar = PathBuf::new();
        let mut parts = path.components().peekable();
        while let Some(part) = parts.next() {
            sofar.push(part);
            match layer.join(&sofar).symlink_metadata() {
                Ok(meta) if is_white_out(&meta) => return None,
                Ok(meta) if parts.peek().is_none() => return Some(meta),
                Ok(meta) if !meta.is_dir() => return None,
                Ok(_) => open &= !is_opaque(&layer.join(&sofar)),
                Err(_) => break,
            }
        }
        if !open {
            return None;
        }
    }
    None
}

fn same_folder(before: &Metadata, now: &Metadata) -> bool {
    before.is_dir() && now.is_dir() && before.mode() == now.mode()
}

fn is_opaque(path: &Path) -> bool {
    ["trusted.overlay.opaque", "user.overlay.opaque"].iter().any(|name| {
        let mut value = [0_u8; 1];
        getxattr(path, *name, &mut value).is_ok_and(|n| n == 1 && value[0] == b'y')
    })
}

/// Calls `visit` for everything below `at`, folders first; it says whether to go into a folder.
fn walk(
    root: &Path,
    at: &Path,
    visit: &mut impl FnMut(&Path, &Metadata) -> bool,
) -> Result<(), EngineError> {
    let folder = root.join(at);
    for entry in std::fs::read_dir(&folder).map_err(failed(folder.display()))? {
        let entry = entry.map_err(failed(folder.display()))?;
        let path = at.join(entry.file_name());
        // Removed since: a machine that runs goes on working.
        let Ok(meta) = entry.metadata() else { continue };
        if visit(&path, &meta) && meta.is_dir() {
            match walk(root, &path, visit) {
                Err(_) if root.join(&path).symlink_metadata().is_err() => {}
                // Told by itself: it was made so, or its mode was changed.
                Err(_) if is_closed(&root.join(&path)) => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Whether a folder is closed to this user, who is root inside and may have closed it to itself.
fn is_closed(folder: &Path) -> bool {
    rustix::fs::access(folder, Access::READ_OK | Access::EXEC_OK)
        .is_err_and(|e| e == rustix::io::Errno::ACCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn white_out(root: &Path, path: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path,
            rustix::fs::FileType::CharacterDevice,
            rustix::fs::Mode::empty(),
            0,
        )
        .unwrap();
    }

    #[test]
    fn mount_points_are_not_told_but_what_else_lies_beside_them_is() {
        let added = |paths: &[&str]| -> Vec<Change> {
            let change = |path: &&str| Change { path: path.into(), kind: ChangeKind::Added };
            paths.iter().map(change).collect()
        };
        let told = |paths: &[&str], points: &[&str]| {
            let points: Vec<&Path> = points.iter().map(Path::new).collect();
            without_mount_points(added(paths), &points)
        };
        assert_eq!(told(&["/a", "/a/b", "/a/b/c", "/ab"], &["/a/b/c"]), added(&["/ab"]));
        assert_eq!(told(&["/a", "/a/b", "/a/b/c", "/a/x"], &["/a/b/c"]), added(&["/a", "/a/x"]));
        // What lies at the point itself is told.
        assert_eq!(told(&["/a", "/a/x"], &["/a"]), added(&["/a", "/a/x"]));
        let gone = vec![Change { path: "/a".into(), kind: ChangeKind::Deleted }];
        assert_eq!(without_mount_points(gone.clone(), &[Path::new("/a")]), gone);
    }

    #[test]
    fn added_changed_deleted_over_layers_and_what_is_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let [top, frozen, cover, base] = ["top", "frozen", "cover", "base"].map(|n| {
            let path = dir.path().join(n);
            std::fs::create_dir(&path).unwrap();
            path
        });
        file(&base, "etc/a", "1");
        file(&base, "etc/b", "1");
        file(&base, "etc/c", "1");
        file(&base, "root/secret", "1");
        white_out(&cover, "root");
        file(&top, "etc/a", "2");
        white_out(&top, "etc/b");
        file(&frozen, "etc/b", "2");
        file(&frozen, "etc/n", "2");
        white_out(&top, "etc/n");
        file(&frozen, "root/secret", "mine");
        file(&top, "etc/machine-id", "own");
        let changes = diff(&[top, frozen], &[cover, base]).unwrap();
        let told: Vec<String> =
            changes.iter().map(|c| format!("{:?} {}", c.kind, c.path.display())).collect();
        assert_eq!(told, ["Changed /etc/a", "Deleted /etc/b", "Added /root", "Added /root/secret"]);
    }
}
