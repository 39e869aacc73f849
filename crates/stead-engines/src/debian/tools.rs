use std::ffi::OsString;
use std::path::PathBuf;

/// Where the programs and the settings are that make images.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Folders with programs.
    pub path: OsString,
    /// The settings of apt: `/etc/apt`.
    pub apt: PathBuf,
}

impl Tools {
    /// Those of this host.
    pub fn of_host() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        // A service's path may be without those of root.
        folders.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
        Self { path: std::env::join_paths(folders).unwrap_or(path), apt: "/etc/apt".into() }
    }

    /// Where this program is.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .map(|folder| folder.join(program))
            .find(|path| path.is_file())
    }
}
