//! An engine that answers late, wrongly or not at all, around one that does. For tests: whatever it says, nothing may be
//! destroyed and no record lost.

use crate::engine::{Engine, EngineError, Exec, Result};
use crate::model::{Abilities, Change, NewSnapshot, Observed, Phase, Remark, Snapshot, Wanted};
use crate::steps::{Journal, Steps};
use async_trait::async_trait;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What it does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// Nothing: the engine within answers.
    Honest,
    /// It says that it cannot be asked.
    Unreachable,
    /// It sees nothing: an empty list, no such machine.
    Blind,
    /// It lists names that nobody gave, and everything twice.
    Strange,
    /// It says that everything is half there.
    Half,
    /// It says that what runs is stopped, and the other way round.
    Inverted,
    /// It says that it could not look.
    Unknown,
    /// It says that machines have other identities.
    Stranger,
    /// It answers, after others had their turn.
    Late,
    /// It never answers.
    Silent,
    /// Looks are answered; work never ends.
    Stuck,
    /// Work fails before it begins.
    FailsAtOnce,
    /// Work fails after this many steps.
    FailsAfter(usize),
    /// Work is done, and is said to have failed.
    FailsDone,
}

/// The engine around another.
pub struct Hostile {
    within: Arc<dyn Engine>,
    next: Mutex<Next>,
    destroyed: Mutex<Vec<String>>,
}

enum Next {
    Always(Trick),
    Seeded(u64),
}

impl Hostile {
    /// Around this engine, honest at first.
    pub fn around(within: Arc<dyn Engine>) -> Self {
        Hostile {
            within,
            next: Mutex::new(Next::Always(Trick::Honest)),
            destroyed: Mutex::default(),
        }
    }

    /// From now on always this.
    pub fn always(&self, trick: Trick) {
        *self.next() = Next::Always(trick);
    }

    /// From now on any of all but [`Trick::Silent`], by this seed.
    pub fn seeded(&self, seed: u64) {
        *self.next() = Next::Seeded(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    }

    /// Machines that it was asked to destroy.
    pub fn destroyed(&self) -> Vec<String> {
        self.destroyed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next(&self) -> std::sync::MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trick(&self) -> Trick {
        const TRICKS: [Trick; 16] = [
            Trick::Honest,
            Trick::Honest,
            Trick::Honest,
            Trick::Unreachable,
            Trick::Blind,
            Trick::Strange,
            Trick::Half,
            Trick::Inverted,
            Trick::Unknown,
            Trick::Stranger,
            Trick::Late,
            Trick::FailsAtOnce,
            Trick::FailsAfter(0),
            Trick::FailsAfter(1),
            Trick::FailsAfter(2),
            Trick::FailsDone,
        ];
        match &mut *self.next() {
            Next::Always(trick) => *trick,
            Next::Seeded(state) => {
                // xorshift64: enough to be different each time, and the same for the same seed.
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                TRICKS[(*state >> 32) as usize % TRICKS.len()]
            }
        }
    }

    async fn late(trick: Trick) {
        match trick {
            Trick::Silent => std::future::pending().await,
            Trick::Late => {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            }
            _ => {}
        }
    }

    /// Work, with a trick played on it.
    async fn work<T>(
        &self,
        steps: &Steps,
        work: impl AsyncFnOnce(Steps) -> Result<T>,
    ) -> Result<T> {
        let trick = self.trick();
        Self::late(trick).await;
        match trick {
            Trick::Unreachable | Trick::FailsAtOnce => {
                Err(EngineError::Failed("hostile: it does not begin".into()))
            }
            Trick::Stuck => std::future::pending().await,
            Trick::FailsAfter(left) => {
                let cut = Cut { steps: steps.clone(), left: AtomicUsize::new(left) };
                match work(Steps::new(Arc::new(cut))).await {
                    Err(EngineError::Cancelled) => {
                        Err(EngineError::Failed("hostile: it failed in the middle".into()))
                    }
                    done => done,
                }
            }
            Trick::FailsDone => {
                work(steps.clone()).await?;
                Err(EngineError::Failed("hostile: it says it failed".into()))
            }
            _ => work(steps.clone()).await,
        }
    }
}

/// A journal that ends the work after some steps.
struct Cut {
    steps: Steps,
    left: AtomicUsize,
}

impl Journal for Cut {
    fn step(&self, what: &str) {
        // That an end was asked for is seen at the next step.
        let _ = self.steps.step(what);
        self.left.fetch_sub(1, Ordering::SeqCst);
    }
    fn note(&self, text: &str) {
        self.steps.note(text);
    }
    fn progress(&self, done: u64, total: u64) {
        self.steps.progress(done, total);
    }
    fn cancelled(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

fn twist(trick: Trick, seen: &mut Observed) {
    match trick {
        Trick::Half => seen.phase = Phase::Partial("hostile: half".into()),
        Trick::Unknown => seen.phase = Phase::Unknown("hostile: could not look".into()),
        Trick::Inverted => {
            seen.phase = match seen.phase {
                Phase::Running => Phase::Stopped,
                _ => Phase::Running,
            };
        }
        Trick::Stranger => seen.id = Some("f".repeat(32)),
        _ => {}
    }
}

#[async_trait]
impl Engine for Hostile {
    fn name(&self) -> &'static str {
        self.within.name()
    }

    fn abilities(&self) -> Abilities {
        self.within.abilities()
    }

    async fn check(&self, wanted: &Wanted) -> Result<Vec<Remark>> {
        let trick = self.trick();
        Self::late(trick).await;
        match trick {
            Trick::Unreachable => Err(EngineError::Unreachable("hostile".into())),
            _ => self.within.check(wanted).await,
        }
    }

    async fn observe(&self) -> Result<Vec<Observed>> {
        let trick = self.trick();
        Self::late(trick).await;
        let mut seen = self.within.observe().await?;
        match trick {
            Trick::Unreachable => return Err(EngineError::Unreachable("hostile".into())),
            Trick::Blind => return Ok(Vec::new()),
            Trick::Strange => {
                let Some(first) = seen.first().cloned() else { return Ok(seen) };
                let strange = ["", "..", "../../etc", "a b", "\u{1b}[31m", ".locks", "never-made"];
                let named = |name: &&str| Observed { name: (*name).into(), ..first.clone() };
                seen.extend(seen.clone());
                seen.extend(strange.iter().map(named));
            }
            _ => seen.iter_mut().for_each(|seen| twist(trick, seen)),
        }
        Ok(seen)
    }

    async fn look(&self, name: &str) -> Result<Option<Observed>> {
        let trick = self.trick();
        Self::late(trick).await;
        let mut seen = self.within.look(name).await?;
        match trick {
            Trick::Unreachable => return Err(EngineError::Unreachable("hostile".into())),
            Trick::Blind => return Ok(None),
            Trick::Strange => {
                return Ok(seen.map(|seen| Observed { name: "../other".into(), ..seen }));
            }
            _ => seen.iter_mut().for_each(|seen| twist(trick, seen)),
        }
        Ok(seen)
    }

    async fn create(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        self.work(steps, async |steps| self.within.create(wanted, &steps).await).await
    }

    async fn start(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        self.work(steps, async |steps| self.within.start(wanted, &steps).await).await
    }

    async fn stop(&self, name: &str, steps: &Steps) -> Result<()> {
        self.work(steps, async |steps| self.within.stop(name, &steps).await).await
    }

    fn needs_restart(&self, before: &Wanted, after: &Wanted) -> Vec<&'static str> {
        self.within.needs_restart(before, after)
    }

    async fn change(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()> {
        self.work(steps, async |steps| self.within.change(before, after, &steps).await).await
    }

    async fn destroy(&self, name: &str, steps: &Steps) -> Result<()> {
        self.destroyed.lock().unwrap_or_else(PoisonError::into_inner).push(name.into());
        self.work(steps, async |steps| self.within.destroy(name, &steps).await).await
    }

    async fn exec(&self, name: &str, exec: &Exec) -> Result<std::process::Command> {
        self.within.exec(name, exec).await
    }

    async fn connect(&self, name: &str, port: u16) -> Result<OwnedFd> {
        self.within.connect(name, port).await
    }

    async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>> {
        let trick = self.trick();
        Self::late(trick).await;
        match trick {
            Trick::Unreachable => Err(EngineError::Unreachable("hostile".into())),
            _ => self.within.snapshots(name).await,
        }
    }

    async fn snapshot(&self, name: &str, asked: &NewSnapshot, steps: &Steps) -> Result<Snapshot> {
        let work = async |steps: Steps| self.within.snapshot(name, asked, &steps).await;
        self.work(steps, work).await
    }

    async fn restore(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        self.work(steps, async |steps| self.within.restore(name, snapshot, &steps).await).await
    }

    async fn remove_snapshot(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let work = async |steps: Steps| self.within.remove_snapshot(name, snapshot, &steps).await;
        self.work(steps, work).await
    }

    async fn clone_machine(
        &self,
        from: &str,
        snapshot: Option<&str>,
        to: &Wanted,
        steps: &Steps,
    ) -> Result<()> {
        let work = async |steps: Steps| self.within.clone_machine(from, snapshot, to, &steps).await;
        self.work(steps, work).await
    }

    async fn move_state(&self, from: &str, to: &str, token: &str, steps: &Steps) -> Result<()> {
        let work = async |steps: Steps| self.within.move_state(from, to, token, &steps).await;
        self.work(steps, work).await
    }

    async fn diff(&self, name: &str) -> Result<Vec<Change>> {
        self.within.diff(name).await
    }

    async fn sweep(&self, steps: &Steps) -> Result<Vec<String>> {
        self.work(steps, async |steps| self.within.sweep(&steps).await).await
    }
}
