//! Stead: one hold a session, and the steward.

use super::{Peer, ask, first_line, run};
use crate::error::{Context, Result};
use crate::stage::Stage;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Stead from a folder with its release build.
pub struct Stead {
    stead: PathBuf,
    hold: PathBuf,
}

impl Stead {
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let find = |name: &str| {
            let path = dir.join(name);
            std::fs::canonicalize(&path).context(path.display())
        };
        Ok(Stead { stead: find("stead")?, hold: find("stead-hold")? })
    }

    fn stead(&self, stage: &Stage) -> Command {
        stage.command(&self.stead)
    }

    fn sessions(&self, stage: &Stage) -> Vec<String> {
        let mut command = self.stead(stage);
        command.args(["ls", "--json"]);
        let text = ask(command).unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let mut names = Vec::new();
        collect_names(&value, &mut names);
        names
    }
}

/// Every string called `name` anywhere in the listing: machines' names do no harm here.
fn collect_names(value: &serde_json::Value, names: &mut Vec<String>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|v| collect_names(v, names)),
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    serde_json::Value::String(name) if key == "name" => names.push(name.clone()),
                    other => collect_names(other, names),
                }
            }
        }
        _ => {}
    }
}

impl Peer for Stead {
    fn name(&self) -> &'static str {
        "stead"
    }

    fn version(&self) -> String {
        first_line(&self.stead, "--version")
    }

    fn binaries(&self) -> Vec<PathBuf> {
        vec![self.stead.clone(), self.hold.clone()]
    }

    fn start(&mut self, stage: &Stage) -> Result<()> {
        let mut command = self.stead(stage);
        command.args(["steward", "start"]);
        run(command)
    }

    fn create(&self, stage: &Stage, session: &str, program: &[String]) -> Option<Command> {
        let mut command = self.stead(stage);
        command.args(["run", "-d", "-n", session, "--"]).args(program);
        Some(command)
    }

    fn exists(&self, stage: &Stage, session: &str) -> bool {
        self.sessions(stage).iter().any(|name| name == session)
    }

    fn attach(&self, stage: &Stage, session: &str, _: &[String]) -> Command {
        let mut command = self.stead(stage);
        command.args(["attach", session]);
        command
    }

    fn leave_keys(&self) -> &'static [u8] {
        b"\x1cd"
    }

    fn kill(&self, stage: &Stage, session: &str) {
        let mut command = self.stead(stage);
        command.args(["rm", "--force", "--yes", session]);
        // It may be gone already.
        let _ = run(command);
    }

    fn list(&self, stage: &Stage) -> Option<Command> {
        let mut command = self.stead(stage);
        command.arg("ls");
        Some(command)
    }

    fn search(&self, stage: &Stage, _: &str, pattern: &str) -> Option<Command> {
        let mut command = self.stead(stage);
        command.args(["search", pattern]);
        Some(command)
    }

    fn stop(&mut self, stage: &Stage) {
        let sessions = self.sessions(stage);
        if !sessions.is_empty() {
            let mut command = self.stead(stage);
            command.arg("kill").args(sessions);
            let _ = run(command);
        }
        let mut command = self.stead(stage);
        command.args(["steward", "stop"]);
        // It may not be running.
        let _ = run(command);
    }

    fn holds_a_crowd(&self) -> bool {
        true
    }

    fn remark(&self) -> &'static str {
        "all defaults: the whole history is kept on disk, timed and searchable"
    }
}
