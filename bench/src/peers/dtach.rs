//! dtach: one process a session, no screen kept.

use super::{Peer, first_line};
use crate::processes;
use crate::stage::Stage;
use std::path::PathBuf;
use std::process::Command;

/// dtach with its redraw by window change.
pub struct Dtach {
    binary: PathBuf,
}

impl Dtach {
    pub(super) fn new(binary: PathBuf) -> Self {
        Dtach { binary }
    }

    fn socket(stage: &Stage, session: &str) -> PathBuf {
        stage.path("run").join(session)
    }
}

impl Peer for Dtach {
    fn name(&self) -> &'static str {
        "dtach"
    }

    fn version(&self) -> String {
        first_line(&self.binary, "--version")
    }

    fn binaries(&self) -> Vec<PathBuf> {
        vec![self.binary.clone()]
    }

    fn create(&self, stage: &Stage, session: &str, program: &[String]) -> Option<Command> {
        let mut command = stage.command(&self.binary);
        command.arg("-n").arg(Self::socket(stage, session)).arg("-z").args(program);
        Some(command)
    }

    fn exists(&self, stage: &Stage, session: &str) -> bool {
        Self::socket(stage, session).exists()
    }

    fn attach(&self, stage: &Stage, session: &str, _: &[String]) -> Command {
        let mut command = stage.command(&self.binary);
        command.arg("-a").arg(Self::socket(stage, session)).args(["-z", "-r", "winch"]);
        command
    }

    fn leave_keys(&self) -> &'static [u8] {
        b"\x1c"
    }

    /// dtach cannot be asked to end, so it is ended by id.
    fn kill(&self, stage: &Stage, session: &str) {
        let socket = Self::socket(stage, session);
        processes::end(&self.binaries(), stage.root(), Some(socket.as_os_str()));
    }

    fn stop(&mut self, stage: &Stage) {
        processes::end(&self.binaries(), stage.root(), None);
    }

    fn keeps_screen(&self) -> bool {
        false
    }

    fn holds_a_crowd(&self) -> bool {
        true
    }

    fn remark(&self) -> &'static str {
        "keeps no screen and no history: the session's own program paints again at every attach"
    }
}
