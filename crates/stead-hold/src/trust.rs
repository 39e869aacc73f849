//! Whether a folder is one's own, so that nobody else can put a socket or a file into it: the runtime folder may lie in
//! `/tmp`.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why what lies in a folder is not to be trusted; `None` if only this user can have put it there.
///
/// # Errors
/// If the folder cannot be looked at.
pub fn distrust(folder: &Path) -> io::Result<Option<String>> {
    // Not where a symbolic link leads: whoever made the link can lead it elsewhere.
    let meta = std::fs::symlink_metadata(folder)?;
    Ok(fault(&meta, rustix::process::geteuid().as_raw()))
}

fn fault(meta: &Metadata, me: u32) -> Option<String> {
    if !meta.is_dir() {
        Some("is not a folder: remove it".into())
    } else if meta.uid() != me {
        let owner = meta.uid();
        Some(format!(
            "belongs to user {owner}, not to user {me}: what lies in it could not be trusted"
        ))
    } else if meta.mode() & 0o077 != 0 {
        Some(format!("is open to others (mode {:o}): chmod 700 it", meta.mode() & 0o777))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_an_own_closed_folder_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        std::fs::create_dir(&own).unwrap();
        let mode = |mode| {
            std::fs::set_permissions(&own, std::fs::Permissions::from_mode(mode)).unwrap();
            distrust(&own).unwrap()
        };
        assert_eq!(mode(0o700), None);
        assert!(mode(0o750).unwrap().starts_with("is open to others (mode 750)"));
        assert_eq!(mode(0o700), None);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert!(distrust(&link).unwrap().unwrap().contains("not a folder"));
        assert!(distrust(&dir.path().join("none")).is_err());
    }

    #[test]
    fn a_folder_of_another_user_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let meta = std::fs::symlink_metadata(dir.path()).unwrap();
        let (me, other) = (meta.uid(), meta.uid() + 1);
        assert_eq!(fault(&meta, me), None);
        let why = fault(&meta, other).unwrap();
        assert!(why.starts_with(&format!("belongs to user {me}, not to user {other}")), "{why}");
    }
}
