//! Root file systems for sandboxes whose base is not this host: made from a distribution's packages, once, and kept.
//!
//! An image is a folder with ids as inside (root is 0). It is made beside its place and renamed, so one that is there
//! is whole. Whoever makes it holds a lock that the program that unpacks the packages holds too: after a kill -9 the
//! next call waits until that has died with us, and removes what it left.

mod mirrors;

pub use mirrors::Mirrors;

use rustix::fs::{FlockOperation, flock};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What an image has besides the packages that a Debian cannot be without: what agents reach for first.
const PACKAGES: &str = "ca-certificates,curl,git,procps,python3-minimal";
/// The releases by number and name.
const RELEASES: [(&str, &str); 4] =
    [("11", "bullseye"), ("12", "bookworm"), ("13", "trixie"), ("sid", "sid")];
/// How many of the last lines of a failure are told.
const TOLD: usize = 8;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nobody knows this image.
    #[error(
        "there is no image {0}; there are host, debian/11, debian/12, debian/13 and debian/sid"
    )]
    Unknown(String),
    /// The program that makes images is missing.
    #[error(
        "to make the image {0}, mmdebstrap is needed: `apt install mmdebstrap` (or debootstrap)"
    )]
    NoProgram(String),
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
    fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }
}

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

    fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .map(|folder| folder.join(program))
            .find(|path| path.is_file())
    }
}

/// The folder of the image `name` (`debian/12`) in `images`, which is made first if it is not there: some forty
/// seconds and 300 MB. `progress` gets a line for each step. Blocks; may be called by several at once.
///
/// # Errors
/// If it is not there and cannot be made. Nothing is left but a folder that the next call removes.
pub fn ensure(images: &Path, name: &str, progress: &dyn Fn(&str)) -> Result<PathBuf, ImageError> {
    ensure_with(images, name, progress, &Tools::of_host())
}

/// [`ensure`] with other tools than the host's.
///
/// # Errors
/// As [`ensure`].
pub fn ensure_with(
    images: &Path,
    name: &str,
    progress: &dyn Fn(&str),
    tools: &Tools,
) -> Result<PathBuf, ImageError> {
    let (number, suite) = release(name)?;
    let image = images.join(format!("debian-{number}"));
    if image.is_dir() {
        return Ok(image);
    }
    let program = maker(name, tools)?;

    // Closed to others: there are programs inside that run as root, of any age.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(images)
        .map_err(ImageError::at("make", images))?;
    let lock = lock(&images.join(format!("debian-{number}.lock")), progress)?;
    if image.is_dir() {
        return Ok(image);
    }
    let part = images.join(format!("debian-{number}.part"));
    discard(&part)?;
    let maker = Maker { name, suite, part: &part, program: &program, tools };
    maker.run(&lock, progress)?;
    for of_host in ["etc/resolv.conf", "etc/hostname"] {
        // What was needed to make it is nothing for those who use it.
        match fs::remove_file(part.join(of_host)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::at("remove", &part.join(of_host))(error));
            }
            _ => {}
        }
    }
    // All of it is on disk before it has its name.
    let folder = File::open(&part).map_err(ImageError::at("open", &part))?;
    rustix::fs::syncfs(&folder)
        .map_err(|error| ImageError::at("write out", &part)(error.into()))?;
    fs::rename(&part, &image).map_err(ImageError::at("put in place", &image))?;
    Ok(image)
}

/// Whether the image `name` is there, or what it is made with; nothing is made.
///
/// # Errors
/// As [`ensure`] would fail before it begins.
pub fn check(images: &Path, name: &str) -> Result<(), ImageError> {
    check_with(images, name, &Tools::of_host())
}

/// [`check`] with other tools than the host's.
///
/// # Errors
/// As [`check`].
pub fn check_with(images: &Path, name: &str, tools: &Tools) -> Result<(), ImageError> {
    let (number, _) = release(name)?;
    if images.join(format!("debian-{number}")).is_dir() {
        return Ok(());
    }
    maker(name, tools).map(drop)
}

/// Number and name of the release that an image is made of.
fn release(name: &str) -> Result<(&'static str, &'static str), ImageError> {
    let release = name.strip_prefix("debian/");
    let known =
        RELEASES.iter().find(|(number, suite)| [Some(*number), Some(suite)].contains(&release));
    known.copied().ok_or_else(|| ImageError::Unknown(name.to_owned()))
}

/// The program that can make the image here.
fn maker(name: &str, tools: &Tools) -> Result<PathBuf, ImageError> {
    if !rustix::process::geteuid().is_root() {
        return Err(ImageError::NotRoot(name.to_owned()));
    }
    let program = ["mmdebstrap", "debootstrap"].into_iter().find_map(|program| tools.find(program));
    program.ok_or_else(|| ImageError::NoProgram(name.to_owned()))
}

/// Holds the image for us, once nobody else does.
fn lock(path: &Path, progress: &dyn Fn(&str)) -> Result<File, ImageError> {
    let lock = File::options().create(true).truncate(false).write(true).read(true).open(path);
    let lock = lock.map_err(ImageError::at("open", path))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        progress("somebody else is making this image; waiting for it");
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| ImageError::at("lock", path)(error.into()))?;
    }
    Ok(lock)
}

/// Removes an unfinished image.
fn discard(part: &Path) -> Result<(), ImageError> {
    let mounts = Path::new("/proc/self/mountinfo");
    let mounts = fs::read_to_string(mounts).map_err(ImageError::at("read", mounts))?;
    let whole = fs::canonicalize(part).unwrap_or_else(|_| part.to_owned());
    // Ours are in a mount namespace of their own and die with it, so this is somebody else's.
    if mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|at| Path::new(at).starts_with(&whole))
    {
        return Err(ImageError::Mounted(part.to_owned()));
    }
    match fs::remove_dir_all(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ImageError::at("remove", part)(error))
        }
        _ => Ok(()),
    }
}

struct Maker<'a> {
    name: &'a str,
    suite: &'a str,
    part: &'a Path,
    program: &'a Path,
    tools: &'a Tools,
}

impl Maker<'_> {
    fn run(&self, lock: &File, progress: &dyn Fn(&str)) -> Result<(), ImageError> {
        let lock = lock.try_clone().map_err(ImageError::at("hold", self.part))?;
        let mirrors = Mirrors::of(&self.tools.apt);
        let sources = mirrors.sources(self.suite);
        let (reader, writer) =
            io::pipe().map_err(ImageError::at("make a pipe for", self.program))?;
        let errors = writer.try_clone().map_err(ImageError::at("make a pipe for", self.program))?;
        // It dies when we do, with all that it started, and its mounts with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]);
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(self.program);
        command.args(["--variant=minbase", &format!("--include={PACKAGES}")]);
        let mmdebstrap = self.program.ends_with("mmdebstrap");
        if mmdebstrap {
            command.args(["--mode=root", self.suite]).arg(self.part).args(&sources);
        } else {
            command.arg(self.suite).arg(self.part).arg(&mirrors.main);
        }
        // Its standard input is the lock: it is held for as long as any of this runs.
        command.stdin(lock).stdout(writer).stderr(errors);
        command
            .env("PATH", &self.tools.path)
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        let mut child = command.spawn().map_err(ImageError::at("start", self.program))?;
        // The pipe ends when the last who writes to it has ended, and this would be one.
        drop(command);
        let mut told = VecDeque::new();
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            progress(&line);
            told.push_back(line);
            if told.len() > TOLD {
                told.pop_front();
            }
        }
        let status = child.wait().map_err(ImageError::at("wait for", self.program))?;
        if !status.success() {
            return Err(ImageError::Failed {
                program: self.program.display().to_string(),
                name: self.name.to_owned(),
                status: status.to_string(),
                told: Vec::from(told).join("\n"),
            });
        }
        if !mmdebstrap {
            let list = self.part.join("etc/apt/sources.list");
            fs::write(&list, sources.join("\n") + "\n").map_err(ImageError::at("write", &list))?;
        }
        Ok(())
    }
}
