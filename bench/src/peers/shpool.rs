//! shpool: one daemon for all sessions, a terminal model only to restore the screen.

use super::{Peer, ask, first_line, run};
use crate::client::wait;
use crate::error::{Context, Error, Result};
use crate::stage::Stage;
use crate::sys;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const SETTINGS: &str = "\
prompt_prefix = \"\"
session_restore_mode = \"screen\"
nodaemonize = true
";

/// shpool with its default way of restoring the screen.
pub struct Shpool {
    binary: PathBuf,
    daemon: Option<Child>,
}

impl Shpool {
    pub(super) fn new(binary: PathBuf) -> Self {
        Shpool { binary, daemon: None }
    }

    fn socket(stage: &Stage) -> PathBuf {
        stage.path("run").join("shpool.sock")
    }

    fn shpool(&self, stage: &Stage) -> Command {
        let mut command = stage.command(&self.binary);
        command.arg("-c").arg(stage.path("shpool.toml")).arg("-s").arg(Self::socket(stage));
        command
    }

    /// The last word of the session's line in the listing.
    fn status(&self, stage: &Stage, session: &str) -> Option<String> {
        let mut command = self.shpool(stage);
        command.arg("list");
        let text = ask(command).ok()?;
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(session))?;
        line.split_whitespace().next_back().map(str::to_owned)
    }
}

impl Peer for Shpool {
    fn name(&self) -> &'static str {
        "shpool"
    }

    fn version(&self) -> String {
        first_line(&self.binary, "version")
    }

    fn binaries(&self) -> Vec<PathBuf> {
        vec![self.binary.clone()]
    }

    fn start(&mut self, stage: &Stage) -> Result<()> {
        std::fs::write(stage.path("shpool.toml"), SETTINGS)?;
        let mut command = self.shpool(stage);
        command.arg("daemon");
        sys::in_own_session(&mut command);
        self.daemon = Some(command.spawn().context("cannot start shpool's daemon")?);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !Self::socket(stage).exists() {
            if Instant::now() > deadline {
                return Err(Error::new("shpool's daemon made no socket"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn create(&self, stage: &Stage, session: &str, program: &[String]) -> Option<Command> {
        let mut command = self.shpool(stage);
        command.args(["attach", "--background", "--cmd", &program.join(" "), session]);
        Some(command)
    }

    fn exists(&self, stage: &Stage, session: &str) -> bool {
        self.status(stage, session).is_some()
    }

    fn ready(&self, stage: &Stage, session: &str) -> bool {
        self.status(stage, session).is_some_and(|status| status == "disconnected")
    }

    fn attach(&self, stage: &Stage, session: &str, _: &[String]) -> Command {
        let mut command = self.shpool(stage);
        command.args(["attach", session]);
        command
    }

    fn leave_keys(&self) -> &'static [u8] {
        b"\0\x11"
    }

    fn kill(&self, stage: &Stage, session: &str) {
        let mut command = self.shpool(stage);
        command.args(["kill", session]);
        // It may have ended by itself.
        let _ = run(command);
    }

    fn list(&self, stage: &Stage) -> Option<Command> {
        let mut command = self.shpool(stage);
        command.arg("list");
        Some(command)
    }

    fn stop(&mut self, _: &Stage) {
        let Some(mut daemon) = self.daemon.take() else { return };
        if let Some(pid) = Pid::from_raw(daemon.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        // A daemon that does not listen is swept with the stage.
        if !wait(&mut daemon, Instant::now() + Duration::from_secs(5)).unwrap_or(false) {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    fn remark(&self) -> &'static str {
        "session_restore_mode \"screen\", its default; keeps 500 lines at most"
    }
}
