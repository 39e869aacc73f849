//! Copying layers.

use super::bounded::Run;
use super::claim::Claim;
use super::files::failed;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use stead_machine::EngineError;

/// Copies everything in a folder with owners, modes, times, links and attributes; blocks are shared where the file
/// system can. The copy is not on disk yet.
///
/// # Errors
/// If something cannot be copied.
pub fn all(from: &Path, to: &Path, claim: &Claim) -> Result<(), EngineError> {
    let run = Run {
        what: "copy a layer",
        claim: Some(claim),
        input: None,
        limit: None,
        // What it has copied belongs to nothing yet.
        killable: true,
        package: None,
    };
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto", "--"]).arg(from.join(".")).arg(to).env("LC_ALL", "C");
    let output = run.output(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(EngineError::Failed(format!(
        "copy a layer: {}",
        said.lines().next().unwrap_or("cp failed")
    )))
}

/// How much is in a folder, for people.
///
/// # Errors
/// If it cannot be read.
pub fn size(folder: &Path) -> Result<String, EngineError> {
    fn sum(folder: &Path) -> std::io::Result<u64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                bytes += sum(&entry.path())?;
            }
        }
        Ok(bytes)
    }
    let bytes = sum(folder).map_err(failed(folder.display()))?;
    Ok(stead_file::size::Size(bytes).to_string())
}
