//! The simplest engine: a machine is a folder, and its processes are processes of this host without any isolation. For
//! tests of whoever uses a manager.

mod disk;
mod processes;

use crate::engine::{Engine, EngineError, Exec, Result};
use crate::model::{
    Abilities, Ability, Change, Consistency, NewSnapshot, Observed, Phase, Remark, Snapshot, Wanted,
};
use crate::{Steps, time};
use async_trait::async_trait;
use disk::Folder;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why memory is not kept.
const FILES: &str = "it copies files only";

/// Machines in a folder. Opened twice, it is the same engine.
#[derive(Debug, Clone)]
pub struct Simple {
    root: PathBuf,
}

impl Simple {
    /// Machines below this folder; made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(root)?;
        Ok(Simple { root: root.to_owned() })
    }

    /// The files of a machine: what is its root to others.
    pub fn files(&self, name: &str) -> PathBuf {
        self.folder(name).fs()
    }

    /// What is left of machines: folders and processes, a line each.
    pub fn residue(&self) -> Vec<String> {
        let mut left: Vec<String> = std::fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| format!("folder {}", entry.path().display()))
            .collect();
        left.extend(processes::all(&self.root).into_iter().map(|pid| format!("process {pid}")));
        left.sort();
        left
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::new(&self.root, name)
    }

    fn there(&self, name: &str) -> Result<Folder> {
        let folder = self.folder(name);
        if folder.is_there() {
            Ok(folder)
        } else {
            Err(EngineError::NotFound(format!("machine {name}")))
        }
    }

    fn running(&self, name: &str) -> Result<Folder> {
        let folder = self.there(name)?;
        if folder.since().is_some() {
            Ok(folder)
        } else {
            Err(EngineError::NotNow(format!("{name} does not run")))
        }
    }
}

#[async_trait]
impl Engine for Simple {
    fn name(&self) -> &'static str {
        "simple"
    }

    fn abilities(&self) -> Abilities {
        let not = |why: &str| Ability::No(why.into());
        let bare = "its processes are processes of this host";
        Abilities {
            isolation: not(bare),
            limits: not(bare),
            disk_limit: not(bare),
            egress: not(bare),
            ports: not(bare),
            shares: not(bare),
            snapshots: Ability::Yes,
            live_snapshots: Ability::Yes,
            memory_snapshots: not(FILES),
            clone: Ability::Yes,
            move_state: Ability::Yes,
            diff: Ability::Yes,
            ephemeral: Ability::Yes,
            nested: not(bare),
        }
    }

    async fn check(&self, wanted: &Wanted) -> Result<Vec<Remark>> {
        let refused = wanted.declared.nested;
        let text = "nested: it has no isolation to nest in".to_owned();
        Ok(if refused { vec![Remark { refused, text }] } else { Vec::new() })
    }

    async fn observe(&self) -> Result<Vec<Observed>> {
        let entries = std::fs::read_dir(&self.root)
            .map_err(|e| EngineError::Unreachable(format!("{}: {e}", self.root.display())))?;
        let mut seen = Vec::new();
        for entry in entries.flatten() {
            if let Some(name) = entry.file_name().to_str().filter(|n| !n.starts_with('.')) {
                seen.extend(self.look(name).await?);
            }
        }
        Ok(seen)
    }

    async fn look(&self, name: &str) -> Result<Option<Observed>> {
        let folder = self.folder(name);
        if !folder.exists()? {
            return Ok(None);
        }
        let wanted = folder.wanted();
        let phase = match &wanted {
            None => Phase::Partial("it was begun and not finished".into()),
            Some(_) if !folder.fs().exists() => Phase::Partial("its files are not there".into()),
            Some(_) if folder.since().is_some() => Phase::Running,
            Some(_) => Phase::Stopped,
        };
        Ok(Some(Observed {
            name: name.into(),
            phase,
            id: wanted.as_ref().map(|w| w.id.clone()),
            made_from: wanted.map(|w| w.declared),
            since: folder.since(),
            notes: Vec::new(),
        }))
    }

    async fn create(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let folder = self.folder(&wanted.name);
        if folder.wanted().is_none() || !folder.fs().exists() {
            steps.step("copy the base")?;
            folder.make_fresh()?;
            steps.step("give it its identity")?;
            folder.identify(wanted)?;
        }
        steps.step("write what it is made from")?;
        folder.write_wanted(wanted)
    }

    async fn start(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let folder = self.there(&wanted.name)?;
        if folder.since().is_some() {
            return Ok(());
        }
        if wanted.declared.ephemeral {
            steps.step("make its files afresh")?;
            folder.make_fresh()?;
            folder.identify(wanted)?;
        }
        steps.step("start")?;
        folder.write_since(time::now_ms())
    }

    async fn stop(&self, name: &str, steps: &Steps) -> Result<()> {
        let folder = self.folder(name);
        if !folder.exists()? {
            return Err(EngineError::NotFound(format!("machine {name}")));
        }
        steps.step("end its processes")?;
        processes::kill(folder.path())?;
        steps.step("stop")?;
        folder.remove_since()
    }

    fn needs_restart(&self, before: &Wanted, after: &Wanted) -> Vec<&'static str> {
        let changed = before.declared.memory != after.declared.memory;
        if changed { vec!["memory"] } else { Vec::new() }
    }

    async fn change(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()> {
        let folder = self.there(&after.name)?;
        let restart = folder.since().is_some() && !self.needs_restart(before, after).is_empty();
        if restart {
            self.stop(&after.name, steps).await?;
        }
        steps.step("write what it is made from")?;
        folder.write_wanted(after)?;
        if restart { self.start(after, steps).await } else { Ok(()) }
    }

    async fn destroy(&self, name: &str, steps: &Steps) -> Result<()> {
        let folder = self.folder(name);
        if folder.exists()? {
            self.stop(name, steps).await?;
            steps.step("set it aside")?;
            folder.set_aside()?;
        }
        steps.step("remove it")?;
        folder.remove_aside()
    }

    async fn exec(&self, name: &str, exec: &Exec) -> Result<Command> {
        let folder = self.running(name)?;
        let Some((program, arguments)) = exec.command.split_first() else {
            return Err(EngineError::Failed("there is no command".into()));
        };
        let home = folder.fs().join("root");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &home)
            .envs(folder.wanted().map(|wanted| wanted.declared.env).unwrap_or_default())
            .envs(&exec.env)
            .env(processes::MARK, folder.path())
            .current_dir(exec.cwd.as_ref().unwrap_or(&home));
        Ok(command)
    }

    async fn connect(&self, name: &str, port: u16) -> Result<OwnedFd> {
        self.running(name)?;
        std::net::TcpStream::connect(("127.0.0.1", port))
            .map(OwnedFd::from)
            .map_err(|e| EngineError::Failed(format!("port {port}: {e}")))
    }

    async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>> {
        self.there(name)?.snapshots()
    }

    async fn snapshot(&self, name: &str, asked: &NewSnapshot, steps: &Steps) -> Result<Snapshot> {
        let folder = self.there(name)?;
        if asked.memory {
            return Err(EngineError::Cannot { what: "memory snapshot", why: FILES.into() });
        }
        let made = Snapshot {
            name: asked.name.clone(),
            at: folder.free_time(time::now_ms())?,
            note: asked.note.clone(),
            consistency: match folder.since() {
                Some(_) => Consistency::Crash,
                None => Consistency::Quiesced,
            },
            automatic: asked.automatic,
            how: "files copied".into(),
        };
        folder.snapshot(&made, steps)?;
        Ok(made)
    }

    async fn restore(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let folder = self.there(name)?;
        if folder.since().is_some() {
            return Err(EngineError::NotNow(format!("{name} runs; stop it first")));
        }
        folder.restore(snapshot, steps)
    }

    async fn remove_snapshot(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        steps.step("remove the snapshot")?;
        self.there(name)?.remove_snapshot(snapshot)
    }

    async fn clone_machine(
        &self,
        from: &str,
        snapshot: Option<&str>,
        to: &Wanted,
        steps: &Steps,
    ) -> Result<()> {
        let source = self.there(from)?.files_of(snapshot)?;
        let folder = self.folder(&to.name);
        steps.step("copy the state")?;
        folder.make_from(&source)?;
        steps.step("give it its identity")?;
        folder.identify(to)?;
        steps.step("write what it is made from")?;
        folder.write_wanted(to)
    }

    async fn move_state(&self, from: &str, to: &str, token: &str, steps: &Steps) -> Result<()> {
        let (source, target) = (self.there(from)?, self.there(to)?);
        if source.since().is_some() || target.since().is_some() {
            return Err(EngineError::NotNow("both must be stopped".into()));
        }
        target.take_from(&source, token, steps)
    }

    async fn diff(&self, name: &str) -> Result<Vec<Change>> {
        self.there(name)?.diff()
    }

    async fn sweep(&self, steps: &Steps) -> Result<Vec<String>> {
        steps.step("look for leftovers")?;
        disk::remove_all_aside(&self.root)
    }
}
