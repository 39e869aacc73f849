//! `stead-hold` without the rest of Stead: what of Stead's figures is the hold's own.

use super::{Peer, ask, first_line};
use crate::error::{Context, Result};
use crate::processes;
use crate::stage::Stage;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Holds alone, no steward.
pub struct Hold {
    binary: PathBuf,
}

impl Hold {
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let path = dir.join("stead-hold");
        Ok(Hold { binary: std::fs::canonicalize(&path).context(path.display())? })
    }

    fn hold(&self, stage: &Stage) -> Command {
        stage.command(&self.binary)
    }
}

impl Peer for Hold {
    fn name(&self) -> &'static str {
        "stead-hold"
    }

    fn version(&self) -> String {
        first_line(&self.binary, "--version")
    }

    fn binaries(&self) -> Vec<PathBuf> {
        vec![self.binary.clone()]
    }

    fn create(&self, stage: &Stage, session: &str, program: &[String]) -> Option<Command> {
        let mut command = self.hold(stage);
        command.args(["create", "-n", session, "--"]).args(program);
        Some(command)
    }

    fn exists(&self, stage: &Stage, session: &str) -> bool {
        let mut command = self.hold(stage);
        command.arg("ls");
        ask(command).is_ok_and(|text| text.split_whitespace().any(|word| word == session))
    }

    fn attach(&self, stage: &Stage, session: &str, _: &[String]) -> Command {
        let mut command = self.hold(stage);
        command.args(["attach", session]);
        command
    }

    fn leave_keys(&self) -> &'static [u8] {
        b"\x1cd"
    }

    /// A hold alone has no command for this, so it is ended by id, and its folder removed.
    fn kill(&self, stage: &Stage, session: &str) {
        let sessions = stage.path("data").join("stead/sessions");
        for folder in std::fs::read_dir(sessions).into_iter().flatten().flatten() {
            let spec = std::fs::read(folder.path().join("spec.json")).unwrap_or_default();
            let spec: serde_json::Value = serde_json::from_slice(&spec).unwrap_or_default();
            if spec["name"] == session {
                let argument = folder.path();
                processes::end(&self.binaries(), stage.root(), Some(argument.as_os_str()));
                let _ = std::fs::remove_dir_all(argument);
            }
        }
    }

    fn list(&self, stage: &Stage) -> Option<Command> {
        let mut command = self.hold(stage);
        command.arg("ls");
        Some(command)
    }

    fn stop(&mut self, stage: &Stage) {
        processes::end(&self.binaries(), stage.root(), None);
    }

    fn holds_a_crowd(&self) -> bool {
        true
    }

    fn remark(&self) -> &'static str {
        "the hold alone, without the steward"
    }
}
