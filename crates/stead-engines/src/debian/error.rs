use std::io;
use std::path::{Path, PathBuf};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nobody knows this image.
    #[error(
        "there is no image {0}; there are host, debian/11, debian/12, debian/13 and debian/sid"
    )]
    Unknown(String),
    /// Nobody knows this image for virtual machines.
    #[error(
        "there is no image {0} for virtual machines; there are debian/11, debian/12, debian/13 and debian/sid"
    )]
    UnknownGuest(String),
    /// The program that makes images is missing.
    #[error(
        "to make the image {0}, mmdebstrap is needed: `apt install mmdebstrap` (or debootstrap)"
    )]
    NoProgram(String),
    /// A program that makes images of virtual machines is missing.
    #[error("to make the image {name}, {program} is needed: `apt install {package}`")]
    Needs {
        /// The image.
        name: String,
        /// The program.
        program: &'static str,
        /// The package that it comes with.
        package: &'static str,
    },
    /// Only root can make images.
    #[error(
        "the image {0} is not made yet, and only root can make it: its files belong to several users"
    )]
    NotRoot(String),
    /// The program failed.
    #[error("{program} could not make the image {name} ({status}):\n{told}")]
    Failed {
        /// The program.
        program: String,
        /// The image.
        name: String,
        /// How it ended.
        status: String,
        /// Its last lines.
        told: String,
    },
    /// What was made is not as it must be.
    #[error("{path} is not {what}; remove {remove} to have it made again", remove = path.parent().unwrap_or(path).display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        what: String,
    },
    /// Something is mounted in an unfinished image, so it is not removed.
    #[error(
        "{0} is left of an image that was not finished, but something is mounted in it: unmount that first"
    )]
    Mounted(PathBuf),
    /// Anything else that a file operation says.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ImageError {
    /// A file operation that failed.
    pub fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }
}
