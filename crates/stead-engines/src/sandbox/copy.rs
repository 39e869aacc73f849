//! Copying layers.

use super::core::Core;
use crate::common::bounded::Run;
use crate::common::claim::Claim;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use stead_machine::EngineError;

impl Core {
    /// Copies everything in a folder with owners, modes, times, links and attributes; blocks are shared where the file
    /// system can. The copy is not on disk yet.
    ///
    /// # Errors
    /// If something cannot be copied.
    pub fn copy(&self, from: &Path, to: &Path, claim: &Claim) -> Result<(), EngineError> {
        let mut command = if self.root {
            Command::new("cp")
        } else {
            // What belongs to root inside may be closed to this user.
            let mut command = Command::new(&self.programs.sandbox);
            command.args(["as-root", "cp"]);
            command
        };
        command.args(["-a", "--reflink=auto", "--"]).arg(from.join(".")).arg(to);
        finish(command.env("LC_ALL", "C"), claim)
    }
}

fn finish(command: &mut Command, claim: &Claim) -> Result<(), EngineError> {
    let run = Run {
        what: "copy a layer",
        claim: Some(claim),
        input: None,
        limit: None,
        // What it has copied belongs to nothing yet.
        killable: true,
        package: None,
    };
    let output = run.output(command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(EngineError::Failed(format!(
        "copy a layer: {}",
        said.lines().next().unwrap_or("cp failed")
    )))
}

/// How much is in a folder, for people; what lies in folders that are closed to this user is not counted.
pub fn size(folder: &Path) -> String {
    fn sum(folder: &Path) -> u64 {
        let mut bytes = 0;
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                bytes += sum(&entry.path());
            }
        }
        bytes
    }
    stead_file::size::Size(sum(folder)).to_string()
}
