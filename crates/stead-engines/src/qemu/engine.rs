//! The engine's trait: every call on a thread of its own, since all of it blocks.

use super::Qemu;
use super::core::Core;
use async_trait::async_trait;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use stead_machine::engine::{Console, Engine, Exec, Result};
use stead_machine::model::{
    Abilities, Ability, Change, NewSnapshot, Observed, Remark, Snapshot, Wanted,
};
use stead_machine::{EngineError, Steps, vm};

impl Qemu {
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Core>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let core = self.core.clone();
        tokio::task::spawn_blocking(move || work(core))
            .await
            .map_err(|e| EngineError::Failed(e.to_string()))?
    }
}

#[async_trait]
impl Engine for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            isolation: Ability::Yes,
            limits: match self.core.can_limit() {
                Ok(()) => Ability::Yes,
                Err(why) => Ability::No(why),
            },
            // A disk has a size.
            disk_limit: Ability::Yes,
            egress: Ability::Yes,
            ports: Ability::Yes,
            shares: Ability::Yes,
            snapshots: Ability::Yes,
            live_snapshots: Ability::Yes,
            memory_snapshots: Ability::Yes,
            clone: Ability::Yes,
            move_state: Ability::Yes,
            diff: Ability::No(super::NO_DIFF.into()),
            ephemeral: Ability::Yes,
            nested: Ability::Yes,
        }
    }

    async fn check(&self, wanted: &Wanted) -> Result<Vec<Remark>> {
        let wanted = wanted.clone();
        self.blocking(move |core| Ok(core.remarks(&wanted))).await
    }

    async fn observe(&self) -> Result<Vec<Observed>> {
        self.blocking(|core| core.observe()).await
    }

    async fn look(&self, name: &str) -> Result<Option<Observed>> {
        let name = name.to_owned();
        self.blocking(move |core| core.look(&name)).await
    }

    async fn create(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let (wanted, steps) = (wanted.clone(), steps.clone());
        self.blocking(move |core| core.create(&wanted, &steps)).await
    }

    async fn start(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let (wanted, steps) = (wanted.clone(), steps.clone());
        self.blocking(move |core| core.start(&wanted, &steps)).await
    }

    async fn stop(&self, name: &str, steps: &Steps) -> Result<()> {
        let (name, steps) = (name.to_owned(), steps.clone());
        self.blocking(move |core| core.stop(&name, &steps)).await
    }

    fn needs_restart(&self, before: &Wanted, after: &Wanted) -> Vec<&'static str> {
        vm::restart_keys(&before.declared, &after.declared)
    }

    async fn change(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()> {
        let (before, after, steps) = (before.clone(), after.clone(), steps.clone());
        self.blocking(move |core| core.change(&before, &after, &steps)).await
    }

    async fn destroy(&self, name: &str, steps: &Steps) -> Result<()> {
        let (name, steps) = (name.to_owned(), steps.clone());
        self.blocking(move |core| core.destroy(&name, &steps)).await
    }

    async fn exec(&self, name: &str, exec: &Exec) -> Result<std::process::Command> {
        let (name, exec) = (name.to_owned(), exec.clone());
        self.blocking(move |core| {
            core.runs(&name)?;
            core.command(&name, &exec)
        })
        .await
    }

    async fn connect(&self, name: &str, port: u16) -> Result<OwnedFd> {
        let name = name.to_owned();
        self.blocking(move |core| core.reach(&name, port)).await
    }

    async fn console(&self, name: &str) -> Result<Console> {
        let name = name.to_owned();
        self.blocking(move |core| core.console_of(&name)).await
    }

    async fn start_script(&self, name: &str) -> Result<String> {
        let name = name.to_owned();
        self.blocking(move |core| core.start_script(&name)).await
    }

    async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>> {
        let name = name.to_owned();
        self.blocking(move |core| core.all_kept(&name)).await
    }

    async fn snapshot(&self, name: &str, asked: &NewSnapshot, steps: &Steps) -> Result<Snapshot> {
        let (name, asked, steps) = (name.to_owned(), asked.clone(), steps.clone());
        self.blocking(move |core| core.snapshot(&name, &asked, &steps)).await
    }

    async fn restore(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let (name, snapshot, steps) = (name.to_owned(), snapshot.to_owned(), steps.clone());
        self.blocking(move |core| core.restore(&name, &snapshot, &steps)).await
    }

    async fn remove_snapshot(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let (name, snapshot, steps) = (name.to_owned(), snapshot.to_owned(), steps.clone());
        self.blocking(move |core| core.remove_snapshot(&name, &snapshot, &steps)).await
    }

    async fn clone_machine(
        &self,
        from: &str,
        snapshot: Option<&str>,
        to: &Wanted,
        steps: &Steps,
    ) -> Result<()> {
        let (from, snapshot) = (from.to_owned(), snapshot.map(ToOwned::to_owned));
        let (to, steps) = (to.clone(), steps.clone());
        self.blocking(move |core| core.clone_machine(&from, snapshot.as_deref(), &to, &steps)).await
    }

    async fn move_state(&self, from: &str, to: &str, token: &str, steps: &Steps) -> Result<()> {
        let (from, to, token) = (from.to_owned(), to.to_owned(), token.to_owned());
        let steps = steps.clone();
        self.blocking(move |core| core.move_state(&from, &to, &token, &steps)).await
    }

    async fn diff(&self, name: &str) -> Result<Vec<Change>> {
        let name = name.to_owned();
        self.blocking(move |core| {
            core.made(&name)?;
            Err(EngineError::Cannot { what: "diff", why: super::NO_DIFF.into() })
        })
        .await
    }

    async fn sweep(&self, steps: &Steps) -> Result<Vec<String>> {
        let steps = steps.clone();
        self.blocking(move |core| core.sweep(&steps)).await
    }
}
