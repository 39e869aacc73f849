//! zellij: one server process a session.

use super::{Peer, ask, first_line, run};
use crate::error::Result;
use crate::stage::Stage;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const SETTINGS: &str = "\
pane_frames false
show_startup_tips false
show_release_notes false
default_layout \"bare\"
";

/// zellij with one pane and no bars, so that all 24 rows belong to the program.
pub struct Zellij {
    binary: PathBuf,
}

impl Zellij {
    pub(super) fn new(binary: PathBuf) -> Self {
        Zellij { binary }
    }

    fn zellij(&self, stage: &Stage) -> Command {
        stage.command(&self.binary)
    }

    fn configure(stage: &Stage, more: &str) -> Result<()> {
        let dir = stage.path("home/.config/zellij");
        std::fs::create_dir_all(dir.join("layouts"))?;
        std::fs::write(dir.join("config.kdl"), format!("{SETTINGS}{more}"))?;
        std::fs::write(dir.join("layouts").join("bare.kdl"), "layout {\n    pane\n}\n")?;
        Ok(())
    }
}

impl Peer for Zellij {
    fn name(&self) -> &'static str {
        "zellij"
    }

    fn version(&self) -> String {
        first_line(&self.binary, "--version")
    }

    fn binaries(&self) -> Vec<PathBuf> {
        vec![self.binary.clone()]
    }

    fn start(&mut self, stage: &Stage) -> Result<()> {
        Self::configure(stage, "")
    }

    fn keep_long_history(&mut self, stage: &Stage) -> Result<()> {
        Self::configure(stage, "scroll_buffer_size 50000\n")
    }

    fn create(&self, stage: &Stage, session: &str, program: &[String]) -> Option<Command> {
        let mut command = self.zellij(stage);
        command.args(["attach", "--create-background", session, "--close-on-exit", "--"]);
        command.args(program);
        Some(command)
    }

    fn exists(&self, stage: &Stage, session: &str) -> bool {
        let mut command = self.zellij(stage);
        command.args(["list-sessions", "--short"]);
        ask(command).is_ok_and(|text| text.lines().any(|line| line.trim() == session))
    }

    /// A session is listed before it answers.
    fn ready(&self, stage: &Stage, session: &str) -> bool {
        let mut command = self.zellij(stage);
        command.args(["--session", session, "action", "query-tab-names"]);
        ask(command).is_ok_and(|text| text.contains("Tab"))
    }

    /// For a while after it answers it still turns clients away ("no session", "lost connection").
    fn settling(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn attach(&self, stage: &Stage, session: &str, _: &[String]) -> Command {
        let mut command = self.zellij(stage);
        command.args(["attach", session]);
        command
    }

    fn leave_keys(&self) -> &'static [u8] {
        b"\x0fd"
    }

    fn kill(&self, stage: &Stage, session: &str) {
        let mut command = self.zellij(stage);
        command.args(["delete-session", "--force", session]);
        // It may have ended by itself.
        let _ = run(command);
    }

    fn list(&self, stage: &Stage) -> Option<Command> {
        let mut command = self.zellij(stage);
        command.arg("list-sessions");
        Some(command)
    }

    fn stop(&mut self, stage: &Stage) {
        let mut command = self.zellij(stage);
        command.args(["kill-all-sessions", "--yes"]);
        // There may be none.
        let _ = run(command);
    }

    fn remark(&self) -> &'static str {
        "one pane without frame, bars and plugins; scroll buffer 10,000 lines, 50,000 where history is measured"
    }
}
