//! What survives of a machine whose root lies in memory: a disk over a file system with nothing in it.

use super::base::{Base, protect};
use crate::common::bounded::Run;
use crate::common::claim::Claim;
use crate::common::files::{self, failed};
use crate::common::place::Place;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use stead_machine::EngineError;
use stead_machine::engine::Result;

/// How large it is unless said otherwise.
pub const SIZE: u64 = 64 << 30;
/// Less than this is no file system worth having.
pub const LEAST: u64 = 16 << 20;
/// What the file system is called inside.
pub const LABEL: &str = "persist";
/// How long making it may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// The empty file system of this size, made once. Nobody else makes it meanwhile: the store is locked.
///
/// # Errors
/// If it cannot be made.
pub fn base(place: &Place, size: u64, claim: &Claim) -> Result<Base> {
    let file = place.images().join(format!("persist-{}.raw", size.next_multiple_of(1 << 20) >> 20));
    if !file.exists() {
        files::make(&place.images())?;
        make(&file, size.next_multiple_of(1 << 20), claim)?;
    }
    Base::of(place, LABEL, "", &file).map_err(EngineError::Failed)
}

fn make(file: &Path, size: u64, claim: &Claim) -> Result<()> {
    let part = file.with_extension("part");
    files::remove_file(&part)?;
    let open = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&part);
    open.and_then(|open| open.set_len(size)).map_err(failed(format!("make {}", part.display())))?;
    let run = Run {
        what: "make an empty file system",
        claim: Some(claim),
        input: None,
        limit: Some(PATIENCE),
        killable: true,
        package: Some("e2fsprogs"),
    };
    let mut command = Command::new(program("mke2fs"));
    command.args(["-q", "-F", "-t", "ext4", "-m", "1", "-L", LABEL]);
    command.args(["-E", "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0"]);
    let output = run.output(command.arg(&part))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let _ = files::remove_file(&part);
        return Err(EngineError::Failed(format!("make an empty file system: mke2fs: {said}")));
    }
    protect(&part)?;
    std::fs::File::open(&part)
        .and_then(|part| part.sync_all())
        .and_then(|()| std::fs::rename(&part, file))
        .map_err(failed(format!("make {}", file.display())))
}

/// A program of root's, which may not be in the path of this user.
fn program(name: &str) -> std::path::PathBuf {
    ["/usr/sbin", "/sbin"]
        .map(|folder| Path::new(folder).join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| name.into())
}
