//! What checks are written with.

use super::Bench;
use crate::engine::{Engine, EngineError, Exec};
use crate::model::{Ability, Observed, Phase, Wanted};
use crate::steps::{Journal, Steps};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;

/// Why a check did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The engine cannot, and says why.
    Skip(String),
    /// It does not do what it must.
    Fail(String),
}

impl From<EngineError> for Told {
    fn from(e: EngineError) -> Self {
        Told::Fail(e.to_string())
    }
}

impl From<std::io::Error> for Told {
    fn from(e: std::io::Error) -> Self {
        Told::Fail(e.to_string())
    }
}

/// Fails the check with this text.
pub(super) fn fail<T>(text: impl Into<String>) -> Result<T, Told> {
    Err(Told::Fail(text.into()))
}

/// What must be so.
pub(super) fn must(is: bool, text: impl FnOnce() -> String) -> Result<(), Told> {
    if is { Ok(()) } else { fail(text()) }
}

/// Skips the check where the engine says that it cannot.
pub(super) fn able(ability: &Ability) -> Result<(), Told> {
    match ability {
        Ability::Yes => Ok(()),
        Ability::No(why) => Err(Told::Skip(why.clone())),
    }
}

/// Skips the check where machines are neither made nor destroyed.
pub(super) fn makes_machines(bench: &dyn Bench) -> Result<(), Told> {
    if bench.makes_machines() {
        Ok(())
    } else {
        Err(Told::Skip("its machine is neither made nor destroyed".into()))
    }
}

/// What an engine that cannot must answer.
pub(super) fn must_refuse<T>(what: &str, result: Result<T, EngineError>) -> Result<(), Told> {
    match result {
        Err(EngineError::Cannot { why, .. }) if !why.is_empty() => Ok(()),
        Err(e) => fail(format!("{what}: it cannot, and does not say so: {e}")),
        Ok(_) => fail(format!("{what}: it says that it cannot, and does it")),
    }
}

/// A machine of a check.
pub struct Machine<'a> {
    pub(super) bench: &'a dyn Bench,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) wanted: Wanted,
}

impl<'a> Machine<'a> {
    /// One that is not made yet.
    pub(super) fn new(bench: &'a dyn Bench, name: &str) -> Self {
        Machine { bench, engine: bench.engine(), wanted: bench.wanted(name) }
    }

    /// One that runs.
    pub(super) async fn running(bench: &'a dyn Bench, name: &str) -> Result<Self, Told> {
        let machine = Machine::new(bench, name);
        machine.create().await?;
        machine.start().await?;
        Ok(machine)
    }

    pub(super) fn name(&self) -> &str {
        &self.wanted.name
    }

    pub(super) async fn create(&self) -> Result<(), Told> {
        Ok(self.engine.create(&self.wanted, &Steps::none()).await?)
    }

    pub(super) async fn start(&self) -> Result<(), Told> {
        Ok(self.engine.start(&self.wanted, &Steps::none()).await?)
    }

    pub(super) async fn stop(&self) -> Result<(), Told> {
        Ok(self.engine.stop(self.name(), &Steps::none()).await?)
    }

    /// Destroys it, and sees that it is gone.
    pub(super) async fn destroy(&self) -> Result<(), Told> {
        if !self.bench.makes_machines() {
            return Ok(());
        }
        self.engine.destroy(self.name(), &Steps::none()).await?;
        let seen = self.engine.look(self.name()).await?;
        must(seen.is_none(), || format!("destroyed, and still there: {seen:?}"))
    }

    pub(super) async fn look(&self) -> Result<Observed, Told> {
        match self.engine.look(self.name()).await? {
            Some(seen) => Ok(seen),
            None => fail(format!("{} is not there", self.name())),
        }
    }

    pub(super) async fn must_be(&self, phase: Phase) -> Result<(), Told> {
        let seen = self.look().await?.phase;
        must(seen == phase, || format!("{} is {seen:?}, and must be {phase:?}", self.name()))
    }

    /// The command that runs a line of shell inside, in its place.
    pub(super) async fn shell(&self, line: &str) -> Result<tokio::process::Command, Told> {
        let place = self.bench.place(self.name());
        let line = format!("mkdir -p \"$PLACE\" && cd \"$PLACE\" && {{ {line}\n}}");
        let exec = Exec {
            command: ["sh", "-c", &line].map(String::from).to_vec(),
            cwd: None,
            env: BTreeMap::from([("PLACE".into(), place.to_string_lossy().into_owned())]),
        };
        Ok(self.engine.exec(self.name(), &exec).await?.into())
    }

    /// Runs a line of shell inside, with this on its standard input.
    pub(super) async fn run(&self, line: &str, input: &str) -> Result<Output, Told> {
        let mut command = self.shell(line).await?;
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.kill_on_drop(true).spawn()?;
        let stdin = child.stdin.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // One that reads nothing may have ended already.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        // Both at once: what is written comes back.
        let ((), output) = tokio::join!(write, child.wait_with_output());
        Ok(output?)
    }

    /// What a line of shell prints; it must end well.
    pub(super) async fn ask(&self, line: &str) -> Result<String, Told> {
        let output = self.run(line, "").await?;
        let error = String::from_utf8_lossy(&output.stderr);
        must(output.status.success(), || format!("{line:?}: {}: {error}", output.status))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Writes a file of its state.
    pub(super) async fn write(&self, text: &str) -> Result<(), Told> {
        self.ask(&format!("printf %s '{text}' >data; sync data")).await.map(drop)
    }

    /// Reads it; empty if it is not there.
    pub(super) async fn read(&self) -> Result<String, Told> {
        self.ask("cat data 2>/dev/null || :").await
    }

    pub(super) async fn must_read(&self, text: &str) -> Result<(), Told> {
        let read = self.read().await?;
        must(read == text, || format!("{} holds {read:?}, and must {text:?}", self.name()))
    }

    /// A free port of its network, and a process inside that listens there and answers each who connects with `hello`.
    pub(super) async fn listener(
        &self,
        address: &str,
    ) -> Result<(u16, tokio::process::Child), Told> {
        use tokio::io::{AsyncBufReadExt, BufReader};
        let perl = "perl -MIO::Socket::INET -e '$|=1; \
            $s=IO::Socket::INET->new(Listen=>9,LocalAddr=>$ARGV[0],ReuseAddr=>1) or die $@; \
            print $s->sockport.\"\\n\"; while($c=$s->accept){print $c \"hello\";close $c}'";
        let mut command = self.shell(&format!("exec {perl} {address}:0")).await?;
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let Some(stdout) = child.stdout.take() else { return fail("no standard output") };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        match line.trim().parse() {
            Ok(port) => Ok((port, child)),
            Err(_) => fail(format!("nobody listens inside (it needs perl): {line:?}")),
        }
    }

    /// Those of the base that may be changed and are there.
    pub(super) async fn base_files(&self) -> Result<Vec<PathBuf>, Told> {
        let mut there = Vec::new();
        for path in self.bench.base_files(self.name()) {
            if self.run(&format!("test -f '{}'", path.display()), "").await?.status.success() {
                there.push(path);
            }
        }
        Ok(there)
    }
}

/// A journal that asks for an end at a step, counted from 0, and tells whether it came to it.
pub(super) struct Cut {
    left: AtomicUsize,
}

impl Cut {
    /// One, and its steps.
    pub(super) fn at(step: usize) -> (Arc<Self>, Steps) {
        let cut = Arc::new(Cut { left: AtomicUsize::new(step) });
        (cut.clone(), Steps::new(cut))
    }
}

impl Journal for Cut {
    fn step(&self, _: &str) {
        self.left.fetch_sub(1, Ordering::SeqCst);
    }
    fn note(&self, _: &str) {}
    fn progress(&self, _: u64, _: u64) {}
    fn cancelled(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

/// Work that was cut: whether it was done to its end, or ended because an end was asked for.
pub(super) fn came_to_its_end<T>(what: &str, result: Result<T, EngineError>) -> Result<bool, Told> {
    match result {
        Ok(_) => Ok(true),
        Err(EngineError::Cancelled) => Ok(false),
        Err(e) => fail(format!("{what} was cut short and says: {e}")),
    }
}

/// Destroys every machine of a bench, as far as that goes.
pub(super) async fn destroy_all(bench: &dyn Bench) {
    let engine = bench.engine();
    if !bench.makes_machines() {
        return;
    }
    for seen in engine.observe().await.unwrap_or_default() {
        let _ = engine.destroy(&seen.name, &Steps::none()).await;
    }
}
