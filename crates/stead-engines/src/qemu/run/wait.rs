//! Waiting until a machine is up.

use super::super::core::Core;
use crate::common::files::{self, failed};
use crate::common::running;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use stead_machine::engine::Result;
use stead_machine::{EngineError, Steps};
use stead_vm::control::Told;
use stead_vm::doubted;
use stead_vm::files::READY;

/// How long a machine may take to boot: emulated ones on a busy computer take minutes.
pub const PATIENCE: Duration = Duration::from_mins(10);
/// How long the agent of an image of a person's own is waited for: there may be none.
pub const DOUBT: Duration = Duration::from_mins(10);
/// How often it is looked whether anybody has given up.
const LOOK: Duration = Duration::from_millis(500);
/// How much of its console is told when a machine does not come up.
const TOLD: usize = 5;
/// What a guest of ours begins a line on its console with.
const OURS: &str = "stead: ";
/// Bytes at its end that these are looked for in.
const LOOKED_AT: u64 = 64 << 10;

/// Where the keeper of a machine that is being started says how it goes.
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(READY);
        files::remove_file(&path)?;
        let listener =
            UnixListener::bind(&path).map_err(failed(format!("listen on {}", path.display())))?;
        Ok(Door { listener, path })
    }

    /// Waits until it is up. That it is late is [`EngineError::NotNow`].
    pub fn wait(self, core: &Core, name: &str, patience: Duration, steps: &Steps) -> Result<()> {
        let done = self.listen(core, name, patience, steps);
        let _ = files::remove_file(&self.path);
        done
    }

    fn listen(&self, core: &Core, name: &str, patience: Duration, steps: &Steps) -> Result<()> {
        let deadline = Instant::now() + patience;
        let gone = || {
            EngineError::Failed(format!(
                "its keeper ended before it was up{}",
                last_words(core, name)
            ))
        };
        // Whoever is to connect is alive, or there is nobody to wait for.
        let stream = loop {
            if readable(&self.listener, LOOK)? {
                break self.listener.accept().map_err(failed("hear from its keeper"))?.0;
            }
            if running::find(&core.place, name)?.is_none() {
                return Err(gone());
            }
            steps.go_on()?;
        };
        stream.set_read_timeout(Some(LOOK)).map_err(failed("hear from its keeper"))?;
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        loop {
            match (&mut lines).take(1 << 16).read_line(&mut line) {
                Ok(0) => return Err(gone()),
                Ok(_) => {
                    match serde_json::from_str(&line) {
                        Ok(Told::Step(step)) => steps.step(&step)?,
                        Ok(Told::Ready) => return Ok(()),
                        Ok(Told::Failed(why)) => {
                            return Err(EngineError::Failed(format!(
                                "{why}{}",
                                last_words(core, name)
                            )));
                        }
                        Err(_) => return Err(gone()),
                    }
                    line.clear();
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    steps.go_on()?;
                    if Instant::now() > deadline {
                        return Err(EngineError::NotNow(format!(
                            "it is not up after {} minutes{}",
                            patience.as_secs() / 60,
                            last_words(core, name)
                        )));
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(failed("hear from its keeper")(e)),
            }
        }
    }
}

/// The end of what it said on its console, since that is where a kernel says what is wrong.
fn last_words(core: &Core, name: &str) -> String {
    let log = core.console(name).join(super::vm::CONSOLE);
    let log = doubted::end_of(&log, LOOKED_AT).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let plain = |line: &str| line.replace(|c: char| c.is_control(), "");
    let lines: Vec<String> =
        text.lines().map(plain).filter(|line| !line.trim().is_empty()).collect();
    // A guest of ours that gives up has said why, before the kernel said much more.
    let said = lines.iter().rfind(|line| line.starts_with(OURS) && !line.ends_with("ready"));
    if let Some(said) = said {
        return format!("; inside: {}", said.trim_start_matches(OURS));
    }
    let last = &lines[lines.len().saturating_sub(TOLD)..];
    if last.is_empty() {
        String::new()
    } else {
        format!("; its console ends:\n{}", last.join("\n"))
    }
}

fn readable(listener: &UnixListener, limit: Duration) -> Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec { tv_sec: 0, tv_nsec: limit.subsec_nanos().into() };
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut fds, Some(&limit)) {
        Err(rustix::io::Errno::INTR) => Ok(false),
        other => other.map(|count| count > 0).map_err(|e| failed("wait for its keeper")(e.into())),
    }
}
