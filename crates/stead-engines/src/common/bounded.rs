//! Running other programs with an end in sight.

use super::claim::Claim;
use super::files::failed;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use stead_machine::EngineError;

/// How long a program that was killed may take to be gone.
const GONE: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(10) };

/// How a program is run.
pub struct Run<'a> {
    /// What is being done, for errors.
    pub what: &'a str,
    /// The machine it works on.
    pub claim: Option<&'a Claim>,
    /// What it reads.
    pub input: Option<Vec<u8>>,
    /// How long it may take; `None` is for ever.
    pub limit: Option<Duration>,
    /// Whether it may be killed at any time, and run again.
    pub killable: bool,
    /// The Debian package that it is in, if that may be missing.
    pub package: Option<&'a str>,
}

impl Run<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// If it cannot be run, or does not come to its end in time; it is killed then.
    pub fn output(self, command: &mut Command) -> Result<Output, EngineError> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdout(Stdio::piped());
        match (&self.input, self.claim) {
            // What it says besides its answer lies behind the note of who it is.
            (Some(_), Some(claim)) => command.stdin(Stdio::piped()).stderr(claim.stream()?),
            (Some(_), None) => command.stdin(Stdio::piped()).stderr(Stdio::piped()),
            (None, Some(claim)) => command.stdin(claim.stream()?).stderr(Stdio::piped()),
            (None, None) => command.stdin(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut child = command.spawn().map_err(|e| {
            let hint = self.package.map(|p| format!(" (Debian: apt install {p})"));
            let hint = hint.unwrap_or_default();
            EngineError::Failed(format!("{}: {program}: {e}{hint}", self.what))
        })?;
        if let Some(claim) = self.claim {
            claim.note(&program, child.id(), self.killable);
        }
        let handle =
            Pid::from_raw(child.id().cast_signed()).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let (input, mut stdin) = (self.input, child.stdin.take());
        let claim = self.claim.cloned();
        let (send, receive) = mpsc::channel();
        std::thread::Builder::new()
            .name("run".into())
            .spawn(move || {
                if let (Some(input), Some(stdin)) = (input, &mut stdin) {
                    // A program that ends before it has read says why.
                    let _ = stdin.write_all(&input);
                }
                drop(stdin);
                let output = child.wait_with_output();
                // Not before: it may be given up, and still be at work.
                drop(claim);
                let _ = send.send(output);
            })
            .map_err(failed(self.what))?;
        let ended = match self.limit {
            None => receive.recv().ok(),
            Some(limit) => receive.recv_timeout(limit).ok(),
        };
        if let Some(output) = ended {
            return output.map_err(failed(format!("{}: {program}", self.what)));
        }
        if let Some(Ok(handle)) = handle {
            let _ = pidfd_send_signal(&handle, Signal::KILL);
        }
        let _ = receive.recv_timeout(GONE);
        let seconds = self.limit.unwrap_or_default().as_secs();
        Err(EngineError::Failed(format!(
            "{}: {program} did not come to an end within {seconds} s and was killed",
            self.what
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::{Place, SANDBOX};
    use super::*;

    fn run(claim: &Claim, limit: Duration) -> Run<'_> {
        Run {
            what: "try",
            claim: Some(claim),
            input: None,
            limit: Some(limit),
            killable: false,
            package: None,
        }
    }

    #[test]
    fn what_is_given_up_and_goes_on_keeps_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(&dir.path().join("data"), &dir.path().join("run"), &SANDBOX);
        let note = dir.path().join("pid");
        // As a program that no signal ends because the kernel works for it: the one inside stays when its parent is killed,
        // and has its output open.
        let inside = format!("echo $$ >{0}.new; mv {0}.new {0}; exec sleep 1000", note.display());
        let script = format!("sh -c '{inside}' 2>/dev/null & wait");
        for limit in [10, 100, 1000, 10_000].map(Duration::from_millis) {
            let claim = Claim::take(&place, "box").unwrap();
            let error = run(&claim, limit).output(Command::new("sh").args(["-c", &script]));
            let error = error.unwrap_err().to_string();
            assert!(error.contains("did not come to an end"), "{error}");
            drop(claim);
            // If the limit is too short for this host, there is none inside.
            while Claim::attempt(&place, "box").unwrap().is_none() {
                let Ok(pid) = std::fs::read_to_string(&note) else { continue };
                let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
                rustix::process::kill_process(pid, Signal::KILL).unwrap();
                // Waits for its end.
                drop(Claim::take(&place, "box").unwrap());
                return;
            }
        }
        panic!("what still goes on does not keep the machine");
    }
}
