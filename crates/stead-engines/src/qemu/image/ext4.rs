//! File systems made of a folder, without mounting anything.

use crate::debian::{ImageError, Job};
use std::path::Path;

/// Of every root; images of one kind differ in nothing but what is in them.
pub const ROOT: &str = "5b1c3f0e-7a2d-4c57-9d0a-57ead0000001";
/// Names of folders are hashed with this.
const SEED: &str = "5b1c3f0e-7a2d-4c57-9d0a-57ead0000002";
/// When it was made, by its own word.
const TIME: &str = "1700000000";

/// Writes a file system of `size` bytes with what is in `root` into `disk`, at `offset`.
pub fn make(job: &Job, root: &Path, disk: &Path, offset: u64, size: u64) -> Result<(), ImageError> {
    let program = job.tools.find("mke2fs").ok_or_else(|| ImageError::Needs {
        name: job.name.to_owned(),
        program: "mke2fs",
        package: "e2fsprogs",
    })?;
    (job.progress)("writing the file system");
    // Nothing is left for the guest's kernel to initialise: that would be written again in every guest.
    let options = format!(
        "hash_seed={SEED},offset={offset},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
    );
    let mut arguments: Vec<&std::ffi::OsStr> = Vec::new();
    for argument in
        ["-q", "-F", "-t", "ext4", "-b", "4096", "-U", ROOT, "-L", "root", "-E", &options, "-d"]
    {
        arguments.push(argument.as_ref());
    }
    let size = format!("{}k", size / 1024);
    arguments.extend([root.as_os_str(), disk.as_os_str(), size.as_ref()]);
    job.run(&program, arguments, &[("E2FSPROGS_FAKE_TIME", TIME), ("SOURCE_DATE_EPOCH", TIME)])
}
