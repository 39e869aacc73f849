//! A pseudo-terminal with nothing between: the floor.

use super::Peer;
use crate::stage::Stage;
use std::path::PathBuf;
use std::process::Command;

/// No program at all.
pub struct Bare;

impl Peer for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn version(&self) -> String {
        "-".to_owned()
    }

    fn binaries(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn create(&self, _: &Stage, _: &str, _: &[String]) -> Option<Command> {
        None
    }

    fn exists(&self, _: &Stage, _: &str) -> bool {
        true
    }

    fn attach(&self, stage: &Stage, _: &str, program: &[String]) -> Command {
        let mut command = stage.command(&program[0]);
        command.args(&program[1..]);
        command
    }

    fn leave_keys(&self) -> &'static [u8] {
        b""
    }

    fn kill(&self, _: &Stage, _: &str) {}

    fn stop(&mut self, _: &Stage) {}

    fn remark(&self) -> &'static str {
        "the program itself in a pseudo-terminal: the floor"
    }
}
