//! Bases: folders with the disk that guests of one kind begin with, its kernel, and the modules that are loaded first.
//!
//! They are made once and never written to again. The name has the number of the recipe: one that is made otherwise
//! is another base, and states go on with the one they were made from.

use super::recipe::Recipe;
use super::{kernel, modules};
use crate::debian::{self, ImageError, Job, Mirrors, Tools};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The disk.
pub const DISK: &str = "disk.raw";
/// Debian's kernel.
pub const KERNEL: &str = "vmlinuz";
/// The same, unpacked.
pub const UNPACKED: &str = "vmlinux";
/// The folder of the modules that are loaded first.
pub const MODULES: &str = "modules";
/// Their names in order, in that folder.
pub const ORDER: &str = "order";
const FACTS: &str = "facts.json";

/// What a base says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The release of its kernel.
    pub release: String,
    /// The partition of the disk that is the root, or none if all of it is.
    pub partition: Option<u32>,
}

/// Where a base is, or will be.
pub struct Base {
    /// The folder of all images.
    pub images: PathBuf,
    /// Its name there.
    pub key: String,
}

impl Base {
    pub fn folder(&self) -> PathBuf {
        self.images.join(&self.key)
    }

    pub fn there(&self) -> bool {
        self.folder().is_dir()
    }

    /// Keeps everybody else from making anything of it.
    pub fn hold(&self, progress: &dyn Fn(&str)) -> Result<File, ImageError> {
        debian::lock(&self.images.join(format!("{}.lock", self.key)), progress)
    }

    pub fn facts(&self) -> Result<Facts, ImageError> {
        let path = self.folder().join(FACTS);
        let text = fs::read(&path).map_err(ImageError::at("read", &path))?;
        serde_json::from_slice(&text)
            .map_err(|_| ImageError::Unusable { path, what: "what was written there".into() })
    }

    /// Makes it unless it is there.
    pub fn ensure(
        &self,
        recipe: &Recipe,
        progress: &dyn Fn(&str),
        tools: &Tools,
    ) -> Result<(), ImageError> {
        if self.there() {
            return Ok(());
        }
        recipe.check(tools)?;
        // Closed to others: there are programs inside that run as root, of any age.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.images)
            .map_err(ImageError::at("make", &self.images))?;
        let lock = self.hold(progress)?;
        if self.there() {
            return Ok(());
        }
        let part = self.images.join(format!("{}.part", self.key));
        debian::discard(&part)?;
        fs::create_dir(&part).map_err(ImageError::at("make", &part))?;
        let job = Job { name: recipe.name, lock: &lock, progress, tools };
        make(&job, recipe, &part)?;
        debian::in_place(&part, &self.folder())
    }
}

fn make(job: &Job, recipe: &Recipe, part: &Path) -> Result<(), ImageError> {
    let root = part.join("root");
    let sources = Mirrors::of(&job.tools.apt).sources(recipe.suite);
    recipe.root(job, &root, &sources)?;
    for of_host in ["etc/resolv.conf", "etc/hostname"] {
        // What was needed to make it is nothing for those who use it.
        match fs::remove_file(root.join(of_host)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::at("remove", &root.join(of_host))(error));
            }
            _ => {}
        }
    }

    let release = release(&root)?;
    let vmlinuz = root.join("boot").join(format!("vmlinuz-{release}"));
    let read = fs::read(&vmlinuz).map_err(ImageError::at("read", &vmlinuz))?;
    keep(&part.join(KERNEL), &read)?;
    keep(&part.join(UNPACKED), &kernel::unpacked(job.name, &vmlinuz, job.tools)?)?;
    let first = part.join(MODULES);
    fs::create_dir(&first).map_err(ImageError::at("make", &first))?;
    let mut order = String::new();
    for (file, content) in
        modules::collect(job.name, &root.join("lib/modules").join(&release), job.tools)?
    {
        keep(&first.join(&file), &content)?;
        order += &file;
        order.push('\n');
    }
    keep(&first.join(ORDER), order.as_bytes())?;

    let disk = part.join(DISK);
    let partition = recipe.disk(job, &root, &disk)?;
    fs::set_permissions(&disk, fs::Permissions::from_mode(0o444))
        .map_err(ImageError::at("protect", &disk))?;
    debian::discard(&root)?;
    let facts = serde_json::to_vec(&Facts { release, partition });
    keep(&part.join(FACTS), &facts.map_err(io::Error::from).map_err(ImageError::at("write", part))?)
}

/// The release of the only kernel in a root.
fn release(root: &Path) -> Result<String, ImageError> {
    let modules = root.join("lib/modules");
    let entries = fs::read_dir(&modules).map_err(ImageError::at("read", &modules))?;
    let found: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    match <[String; 1]>::try_from(found) {
        Ok([release]) => Ok(release),
        Err(found) => Err(ImageError::Unusable {
            path: modules,
            what: format!("the modules of one kernel, but of {}", found.len()),
        }),
    }
}

/// Writes a file that nobody writes to again.
fn keep(path: &Path, content: &[u8]) -> Result<(), ImageError> {
    fs::write(path, content)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o444)))
        .map_err(ImageError::at("write", path))
}
