//! The engine's trait: every call on a thread of its own, since all of it blocks.

use super::core::Core;
use super::layers::Image;
use super::{Sandbox, diff, disk, image, made};
use crate::common::state::read_state;
use crate::common::{self, running, still};
use async_trait::async_trait;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use stead_box::cgroup;
use stead_machine::engine::{Engine, Exec, Result};
use stead_machine::model::{
    Abilities, Ability, Change, NewSnapshot, Observed, Remark, Snapshot, Wanted,
};
use stead_machine::{EngineError, Steps};

/// Why memory is not kept.
const NO_MEMORY: &str = "the memory of processes that share this host's kernel cannot be kept";

impl Sandbox {
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
impl Engine for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn abilities(&self) -> Abilities {
        let root = self.core.root;
        let as_root = |why: &str| if root { Ability::Yes } else { Ability::No(why.to_owned()) };
        Abilities {
            isolation: Ability::Yes,
            limits: match self.core.can_limit() {
                Ok(()) => Ability::Yes,
                Err(why) => Ability::No(why),
            },
            disk_limit: as_root("only root can mount a file system of its own for it"),
            egress: Ability::Yes,
            ports: Ability::Yes,
            shares: Ability::Yes,
            snapshots: Ability::Yes,
            live_snapshots: match cgroup::can_freeze() {
                Ok(()) => Ability::Yes,
                Err(why) => Ability::No(still::cannot(&why)),
            },
            memory_snapshots: Ability::No(NO_MEMORY.into()),
            clone: Ability::Yes,
            move_state: Ability::Yes,
            diff: Ability::Yes,
            ephemeral: Ability::Yes,
            nested: Ability::Yes,
        }
    }

    async fn check(&self, wanted: &Wanted) -> Result<Vec<Remark>> {
        let wanted = wanted.clone();
        self.blocking(move |core| Ok(remarks(&core, &wanted))).await
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
        made::restart_keys(before, after)
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
            core.made(&name)?;
            let Some((run, _)) = running::find(&core.place, &name)? else {
                return Err(EngineError::NotNow(format!("\"{name}\" does not run")));
            };
            let mut command = core.command(&run);
            if let Some(cwd) = &exec.cwd {
                command.arg("--cwd").arg(cwd);
            }
            for (key, value) in &exec.env {
                command.arg("--env").arg(format!("{key}={value}"));
            }
            command.arg("--").args(&exec.command);
            Ok(command)
        })
        .await
    }

    async fn connect(&self, name: &str, port: u16) -> Result<OwnedFd> {
        let name = name.to_owned();
        self.blocking(move |core| core.connect(&name, port)).await
    }

    async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>> {
        let name = name.to_owned();
        self.blocking(move |core| core.all_kept(&name)).await
    }

    async fn snapshot(&self, name: &str, asked: &NewSnapshot, steps: &Steps) -> Result<Snapshot> {
        if asked.memory {
            return Err(EngineError::Cannot { what: "memory snapshot", why: NO_MEMORY.into() });
        }
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
            let wanted = core.made(&name)?.wanted;
            if wanted.declared.ephemeral {
                return Err(EngineError::Cannot {
                    what: "diff",
                    why: "what an ephemeral machine writes lies in memory only".into(),
                });
            }
            let claim = core.claim(&name)?;
            let disk = core.ensure_disk(&wanted, &Steps::none(), &claim)?;
            let root = core.state(&name)?.root;
            let layers: Vec<_> =
                root.layers().map(|layer| core.place.layer(layer).join("fs")).collect();
            let changes = diff::diff(&layers, &core.base_folders(&root.base.image)?)?;
            disk.end()?;
            let shares = wanted.declared.shares.iter().map(|share| share.inside.as_path());
            Ok(diff::without_mount_points(changes, &shares.collect::<Vec<_>>()))
        })
        .await
    }

    async fn sweep(&self, steps: &Steps) -> Result<Vec<String>> {
        let steps = steps.clone();
        self.blocking(move |core| core.sweep(&steps)).await
    }
}

fn remarks(core: &Core, wanted: &Wanted) -> Vec<Remark> {
    let declared = &wanted.declared;
    let mut remarks = Vec::new();
    let mut refuse = |text: String| remarks.push(Remark { refused: true, text });
    for fits in [common::made::check_number(wanted.number), core.place.check_run(&wanted.name)] {
        fits.unwrap_or_else(&mut refuse);
    }
    if let Some(size) = declared.disk.filter(|_| !declared.ephemeral) {
        if !core.root {
            refuse(
                "disk: only root can limit what a sandbox writes; leave it out, or make it ephemeral \
                 (what it writes lies in memory then)"
                    .into(),
            );
        } else if size.bytes() < disk::LEAST {
            refuse(format!("disk: {size} is less than a file system needs (16 MiB)"));
        }
    }
    if declared.image != "host"
        && let Err(why) = image::check(&core.place.images(), &declared.image)
    {
        refuse(format!("image: {why}"));
    }
    if let Ok(Some(state)) = read_state::<Image>(&core.place, &wanted.name)
        && state.root.base.image != declared.image
    {
        refuse(format!(
            "image: its state is made on {}: move the state elsewhere, or destroy it first",
            state.root.base.image
        ));
    }
    let limits = common::made::limits(declared);
    if limits != stead_box::spec::Limits::default()
        && let Err(why) = core.can_limit_these(&limits)
    {
        refuse(format!("memory, cpus, processes: {why}"));
    }
    for share in &declared.shares {
        if let Err(why) = common::made::check_share(&core.place, share) {
            refuse(format!("shares: {why}"));
        }
    }
    for path in &declared.show {
        if !path.exists() {
            refuse(format!("show: {} is not there", path.display()));
        }
    }
    let warnings = declared.shares.iter().filter_map(common::made::share_warning);
    remarks.extend(warnings.map(|text| Remark { refused: false, text }));
    remarks
}
