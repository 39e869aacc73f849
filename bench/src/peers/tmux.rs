//! tmux: one server for all sessions.

use super::{Peer, first_line, run};
use crate::error::Result;
use crate::stage::Stage;
use std::path::PathBuf;
use std::process::Command;

const SETTINGS: &str = "\
set -g status off
set -g exit-empty off
";

/// tmux with the status line off, so that all 24 rows belong to the program.
pub struct Tmux {
    binary: PathBuf,
}

impl Tmux {
    pub(super) fn new(binary: PathBuf) -> Self {
        Tmux { binary }
    }

    fn tmux(&self, stage: &Stage) -> Command {
        let mut command = stage.command(&self.binary);
        command.arg("-f").arg(stage.path("tmux.conf"));
        command
    }

    fn target(session: &str) -> String {
        format!("={session}")
    }
}

impl Peer for Tmux {
    fn name(&self) -> &'static str {
        "tmux"
    }

    fn version(&self) -> String {
        first_line(&self.binary, "-V")
    }

    fn binaries(&self) -> Vec<PathBuf> {
        vec![self.binary.clone()]
    }

    fn start(&mut self, stage: &Stage) -> Result<()> {
        std::fs::write(stage.path("tmux.conf"), SETTINGS)?;
        let mut command = self.tmux(stage);
        command.arg("start-server");
        run(command)
    }

    fn keep_long_history(&mut self, stage: &Stage) -> Result<()> {
        let mut command = self.tmux(stage);
        command.args(["set-option", "-g", "history-limit", "50000"]);
        run(command)
    }

    fn create(&self, stage: &Stage, session: &str, program: &[String]) -> Option<Command> {
        let mut command = self.tmux(stage);
        command.args(["new-session", "-d", "-x", "80", "-y", "24", "-s", session]).args(program);
        Some(command)
    }

    fn exists(&self, stage: &Stage, session: &str) -> bool {
        let mut command = self.tmux(stage);
        command.args(["has-session", "-t", &Self::target(session)]);
        run(command).is_ok()
    }

    fn attach(&self, stage: &Stage, session: &str, _: &[String]) -> Command {
        let mut command = self.tmux(stage);
        command.args(["attach-session", "-t", &Self::target(session)]);
        command
    }

    fn leave_keys(&self) -> &'static [u8] {
        b"\x02d"
    }

    fn kill(&self, stage: &Stage, session: &str) {
        let mut command = self.tmux(stage);
        command.args(["kill-session", "-t", &Self::target(session)]);
        // It may have ended by itself.
        let _ = run(command);
    }

    fn list(&self, stage: &Stage) -> Option<Command> {
        let mut command = self.tmux(stage);
        command.arg("list-sessions");
        Some(command)
    }

    fn search(&self, stage: &Stage, session: &str, pattern: &str) -> Option<Command> {
        let mut command = stage.command("/bin/sh");
        let text = "\"$0\" capture-pane -p -S - -t \"$1\" | grep -c -e \"$2\"";
        command.args(["-c", text]).arg(&self.binary).arg(Self::target(session) + ":").arg(pattern);
        Some(command)
    }

    fn stop(&mut self, stage: &Stage) {
        let mut command = self.tmux(stage);
        command.arg("kill-server");
        // It may never have been started.
        let _ = run(command);
    }

    fn holds_a_crowd(&self) -> bool {
        true
    }

    fn remark(&self) -> &'static str {
        "status line off; history-limit 2000, or 50,000 lines where history is measured"
    }
}
