//! The root of a sandbox: overlays on a stage, a folder in memory that nobody else sees.
//!
//! On the stage lie the layers (`l0`, `l1`, …), the cover (`c`), the upper (`u`) and the root that is made of them
//! (`m`), so that the names that are given to the kernel are short and nobody else's. Whoever works inside made the
//! content of layers; nothing in them is reached through a symbolic link.

use crate::failure::{BoxError, Result, Tried};
use crate::inside;
use crate::mounts::{self, NODEV, NOSUID, RO, beneath};
use crate::rootless;
use crate::spec::{Base, Spec, Upper};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fgetxattr, fstat, open, openat2,
    stat,
};
use rustix::io::Errno;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Folders that may be file systems of their own on this host, and are seen inside all the same.
const SEPARATE: [&str; 5] = ["/usr", "/var", "/opt", "/nix", "/etc"];

/// How the cover leaves a path of this host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// It says nothing about it.
    Silent,
    /// It has something to say about what is below.
    Partly,
    /// Nothing below it is seen but what the cover has.
    Whole,
    /// It is not there.
    Gone,
}

/// Where a root is put together.
pub struct Stage<'a> {
    spec: &'a Spec,
    /// How ids on disk are shifted; `None` where root inside is the one who starts the sandbox.
    shift: Option<&'a OwnedFd>,
    made: u32,
}

/// Makes the root and leaves this process in the folder where it is, under the name `m`.
pub fn assemble(
    spec: &Spec,
    shift: Option<&OwnedFd>,
    owner: u32,
    notes: &mut Vec<String>,
) -> Result<()> {
    let layer = |path: &Path, attributes: u64| -> Result<OwnedFd> {
        let mount = mounts::tree(path, false)?;
        mounts::restrict(&mount, attributes, shift, false, path)?;
        Ok(mount)
    };
    let layers =
        spec.layers.iter().map(|path| layer(path, RO | NODEV)).collect::<Result<Vec<_>>>()?;
    let cover = match &spec.base {
        Base::Host { cover, .. } => Some(layer(cover, RO | NODEV)?),
        Base::Folder(_) => None,
    };
    let upper = match &spec.upper {
        Upper::Folder(path) => {
            close_to_others(path)?;
            layer(path, NODEV)?
        }
        Upper::Memory { size } => {
            let size = size.or(spec.limits.memory.map(|m| m / 2));
            let size = size.map_or("50%".to_owned(), |s| s.to_string());
            let options = [("mode", "700"), ("size", &*size)];
            mounts::fresh("tmpfs", &options, NODEV | NOSUID)?
        }
    };
    let stage = mounts::fresh("tmpfs", &[("mode", "700"), ("size", "1m")], NODEV | NOSUID)?;
    let run = open(&spec.run, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| spec.run.display())?;
    mounts::put(&stage, &run).tried(|| spec.run.display())?;
    rustix::process::fchdir(&stage).tried(|| "the stage")?;
    for (n, layer) in layers.iter().enumerate() {
        put_new(layer, &format!("l{n}"))?;
    }
    if let Some(cover) = &cover {
        put_new(cover, "c")?;
    }
    put_new(&upper, "u")?;
    for name in ["m", "e"] {
        make(Path::new(name), 0o755)?;
    }
    make(Path::new("u/fs"), 0o755)?;
    make(Path::new("u/work"), 0o700)?;
    if matches!(spec.upper, Upper::Memory { .. }) {
        let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
        chownat(CWD, "u/fs", Some(uid), Some(gid), AtFlags::empty())
            .tried(|| "the upper in memory")?;
    }
    let mut stage = Stage { spec, shift, made: 0 };
    let bare = Path::new("");
    match &spec.base {
        Base::Folder(folder) => stage.lay(bare, Some(folder), false)?,
        Base::Host { show, .. } => {
            if shift.is_some() {
                stage.lay(bare, Some(Path::new("/")), false)?;
                stage.lay_separate()?;
            } else {
                rootless::lay(&mut stage, notes)?;
            }
            for path in show {
                stage.show(path).map_err(|e| refused(path, &e))?;
            }
        }
    }
    Ok(())
}

fn refused(path: &Path, e: &BoxError) -> BoxError {
    BoxError::refused(format!("{} cannot be shown inside: {e}", path.display()))
}

/// Sees to it that nobody on this host reaches what is made inside: a program there that belongs to root and is
/// set-user-id would be one here.
fn close_to_others(path: &Path) -> Result<()> {
    let mode = std::fs::metadata(path).tried(|| path.display())?.mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
            .tried(|| format!("{}: making it private", path.display()))?;
    }
    Ok(())
}

fn make(path: &Path, mode: u32) -> Result<()> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e).tried(|| path.display()),
        _ => Ok(()),
    }
}

fn put_new(mount: &OwnedFd, name: &str) -> Result<()> {
    make(Path::new(name), 0o755)?;
    mounts::put_at(mount, name)
}

/// The name of the folder on the stage for what `layer` has at `path`, with nothing followed on the way.
fn below(layer: &str, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(layer, flags, Mode::empty())?;
    beneath(root.as_fd(), path, flags)
}

impl Stage<'_> {
    /// Whether extended attributes of an overlay are those of an ordinary user.
    fn user(&self) -> bool {
        self.shift.is_none()
    }

    fn place(&mut self, mount: &OwnedFd) -> Result<String> {
        self.made += 1;
        let name = format!("x{}", self.made);
        put_new(mount, &name)?;
        Ok(name)
    }

    /// What the cover says about `path`.
    pub fn cover(&self, path: &Path) -> Result<Cover> {
        let say = || format!("the cover at {}", path.display());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open("c", flags, Mode::empty()).tried(say)?;
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match openat2(&root, path, flags, Mode::empty(), how) {
            Ok(fd) => {
                let key =
                    if self.user() { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
                let mut value = [0u8; 1];
                let opaque = fgetxattr(&fd, key, &mut value) == Ok(1) && &value == b"y";
                Ok(if opaque { Cover::Whole } else { Cover::Partly })
            }
            Err(Errno::NOENT) => Ok(Cover::Silent),
            // A whiteout, or a file instead of a folder.
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(Cover::Gone),
            Err(e) => Err(e).tried(say),
        }
    }

    /// Lays an overlay over `base` of this host (or over nothing of it) at `path` of the root. `path` is relative.
    pub fn lay(&mut self, path: &Path, base: Option<&Path>, shown: bool) -> Result<()> {
        let whole = path.as_os_str().is_empty();
        let mut lowers = Vec::new();
        let mut devices = Vec::new();
        let layers = (0..self.spec.layers.len()).map(|n| format!("l{n}/fs"));
        let cover = matches!(self.spec.base, Base::Host { .. }).then(|| "c".to_owned());
        for layer in layers.chain(cover) {
            if whole {
                devices.push(stat(&*layer).tried(|| &layer)?.st_dev);
                lowers.push(layer);
                continue;
            }
            match below(&layer, path) {
                Ok(fd) => {
                    devices.push(fstat(&fd).tried(|| &layer)?.st_dev);
                    let mount = mounts::tree_at(&fd).tried(|| &layer)?;
                    lowers.push(self.place(&mount)?);
                }
                // What is shown is shown although the cover hides it.
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR | Errno::LOOP) if shown && layer == "c" => {}
                Err(e) => return Err(e).tried(|| format!("{layer}/{}", path.display())),
            }
        }
        if let Some(base) = base {
            let view = mounts::tree(base, false)?;
            mounts::restrict(&view, RO | NODEV, self.shift, false, base)?;
            // The kernel refuses a lower layer inside another one; an overlay between hides that from it.
            let around = devices.contains(&fstat(&view).tried(|| base.display())?.st_dev);
            let mut name = self.place(&view)?;
            if around && !lowers.is_empty() {
                name = self.wrap(name)?;
            }
            lowers.push(name);
        }
        if lowers.is_empty() {
            lowers.push("e".to_owned());
        }
        let (upper, work) = Self::upper(path, base)?;
        let target = if whole { PathBuf::from("m") } else { Path::new("m").join(path) };
        let target = target.to_string_lossy();
        let user = self.user();
        let upper = Some((&*upper, &*work));
        match mounts::overlay(&lowers, upper, &target, user) {
            Err(Errno::LOOP) if base.is_some() && lowers.len() > 1 => {
                let view = lowers.pop().expect("the base is the last");
                lowers.push(self.wrap(view)?);
                mounts::overlay(&lowers, upper, &target, user)
            }
            done => done,
        }
        .tried(|| format!("an overlay at /{}", path.display()))
    }

    fn wrap(&mut self, view: String) -> Result<String> {
        self.made += 1;
        let name = format!("x{}", self.made);
        make(Path::new(&name), 0o755)?;
        mounts::overlay(&[view, "e".to_owned()], None, &name, self.user())
            .tried(|| "an overlay around the base")?;
        Ok(name)
    }

    /// The upper and the work folder for `path`.
    fn upper(path: &Path, base: Option<&Path>) -> Result<(String, String)> {
        let slug = path.to_string_lossy().replace('%', "%25").replace('/', "%2f");
        // No name of a folder is empty, and none begins with `%2f`, so this one is nobody else's.
        let slug = if slug.is_empty() { "%2f".to_owned() } else { slug };
        let work = format!("u/work/{slug}");
        for character in [',', ':', '\\'] {
            if path.to_string_lossy().contains(character) {
                return Err(BoxError::refused(format!(
                    "{}: a path with `{character}` cannot be an overlay",
                    path.display()
                )));
            }
        }
        if path.as_os_str().is_empty() {
            make(Path::new(&work), 0o700)?;
            return Ok(("u/fs".to_owned(), work));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open("u/fs", flags, Mode::empty()).tried(|| "the upper")?;
        let mode =
            base.and_then(|b| std::fs::metadata(b).ok()).map_or(0o755, |m| m.mode() & 0o7777);
        inside::folder(root.as_fd(), path, mode)?;
        make(Path::new(&work), 0o700)?;
        Ok((format!("u/fs/{}", path.display()), work))
    }

    /// Overlays of their own for what are file systems of their own on this host.
    fn lay_separate(&mut self) -> Result<()> {
        let mounted = rootless::mounted()?;
        for path in SEPARATE.map(Path::new) {
            if !mounted.iter().any(|m| m == path) {
                continue;
            }
            let relative = path.strip_prefix("/").expect("absolute");
            let base = match self.cover(relative)? {
                Cover::Gone => continue,
                Cover::Whole => None,
                Cover::Partly | Cover::Silent => Some(path),
            };
            Self::copy_up(relative)?;
            self.lay(relative, base, false)?;
        }
        Ok(())
    }

    /// Shows `path` of this host, copy-on-write, although the cover hides it.
    fn show(&mut self, path: &Path) -> Result<()> {
        let relative =
            path.strip_prefix("/").map_err(|_| BoxError::refused("not an absolute path"))?;
        let file = crate::binds::real(path)?;
        let found = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        if !std::fs::metadata(&found).tried(|| path.display())?.is_dir() {
            return Err(BoxError::refused("only folders can be shown; bind a file instead"));
        }
        Self::copy_up(relative)?;
        self.lay(relative, Some(&found), true)
    }

    /// Makes a folder in the root, and its copy in the upper, with all above it as they are.
    fn copy_up(path: &Path) -> Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open("m", flags, Mode::empty()).tried(|| "the root")?;
        inside::folder(root.as_fd(), path, 0o755)?;
        let fd = beneath(root.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY)
            .tried(|| path.display())?;
        // Setting what is set already is enough for the overlay to copy it.
        let mode = Mode::from_raw_mode(fstat(&fd).tried(|| path.display())?.st_mode);
        rustix::fs::fchmod(&fd, mode).tried(|| path.display())
    }
}
