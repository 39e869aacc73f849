//! What reading needs to know beside the text.

use crate::size::Size;
use std::path::{Component, Path, PathBuf};

/// What reading needs to know beside the text.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    /// The file, as messages name it.
    pub path: PathBuf,
    /// The folder that relative paths start from; absolute.
    pub folder: PathBuf,
    /// What `~` is; without it, a path that begins with `~` is an error.
    pub home: Option<PathBuf>,
    /// Names of the engines there are.
    pub engines: Vec<&'a str>,
    /// What this computer has. `None`: requests are not held against it.
    pub host: Option<HostFacts>,
}

/// What this computer has.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    /// All its memory.
    pub memory: Size,
    /// Its processors.
    pub cpus: u32,
    /// Free space where machines are kept.
    pub disk_free: Size,
    /// Names of machines that exist: the disk they asked for may be in use by themselves, and is not held against
    /// what is free.
    pub made: Vec<String>,
}

impl Context<'_> {
    /// A path of this host, as written in the file, made absolute: `~` is the home, the rest starts from the folder.
    pub(crate) fn host_path(&self, text: &str) -> Result<PathBuf, String> {
        let path = match text.strip_prefix('~') {
            None => self.folder.join(text),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => match &self.home {
                Some(home) => home.join(rest.trim_start_matches('/')),
                None => return Err("`~` stands for a home folder, and there is none".into()),
            },
            Some(_) => {
                return Err("`~` stands only for your own home, not for somebody else's".into());
            }
        };
        Ok(tidy(&path))
    }
}

/// Without `.`, `..` and double slashes.
pub(crate) fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            component => tidy.push(component),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_from_the_folder_or_the_home() {
        let context = Context {
            folder: "/home/ana/farm".into(),
            home: Some("/home/ana".into()),
            ..Context::default()
        };
        for (text, path) in [
            (".", "/home/ana/farm"),
            ("./x/../y", "/home/ana/farm/y"),
            ("../lib/", "/home/ana/lib"),
            ("~", "/home/ana"),
            ("~/src", "/home/ana/src"),
            ("~//src", "/home/ana/src"),
            ("/srv//data", "/srv/data"),
            ("../../../../..", "/"),
        ] {
            assert_eq!(context.host_path(text).unwrap(), Path::new(path), "{text}");
        }
        assert!(context.host_path("~bob/x").is_err());
        assert!(Context::default().host_path("~/x").is_err());
    }
}
