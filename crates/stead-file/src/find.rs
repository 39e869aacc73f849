//! Which stead file holds here.

use std::path::{Path, PathBuf};

/// What a stead file is called.
pub const FILE_NAME: &str = "stead.toml";

/// The stead file of a folder: in it, or in the nearest folder above that has one.
pub fn find(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_one_above_is_found() {
        let top = tempfile::tempdir().unwrap();
        let deep = top.path().join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(find(&deep).filter(|path| path.starts_with(top.path())), None);
        fs::write(top.path().join(FILE_NAME), "").unwrap();
        assert_eq!(find(&deep), Some(top.path().join(FILE_NAME)));
        // A folder of that name is none.
        fs::create_dir(deep.join(FILE_NAME)).unwrap();
        assert_eq!(find(&deep), Some(top.path().join(FILE_NAME)));
        fs::write(top.path().join("a").join(FILE_NAME), "").unwrap();
        assert_eq!(find(&deep), Some(top.path().join("a").join(FILE_NAME)));
    }
}
