//! Keeping states, putting them back, and giving them to other machines.

use super::core::Core;
use super::made::{self, disk_of};
use super::state::{Kept, Layer, State, Store, kept, layer_path};
use super::{files, identity};
use stead_box::cgroup;
use stead_machine::engine::Result;
use stead_machine::model::{Consistency, Snapshot, Wanted};
use stead_machine::{EngineError, Steps};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

impl Core {
    pub fn snapshot(
        &self,
        name: &str,
        snapshot: &str,
        note: &str,
        automatic: bool,
        steps: &Steps,
    ) -> Result<Snapshot> {
        let wanted = self.made(name)?.wanted;
        let path = self.snapshot_path(name, snapshot);
        if path.exists() {
            return Err(EngineError::NotNow(format!(
                "\"{name}\" has a snapshot \"{snapshot}\" already: choose another name"
            )));
        }
        self.ensure_disk(&wanted, steps)?;
        let store = Store::lock(&self.place)?;
        let (layers, consistency, how) = if wanted.declared.ephemeral {
            return Err(EngineError::Cannot {
                what: "snapshots",
                why: "what an ephemeral machine writes lies in memory only".into(),
            });
        } else if self.running(name)?.is_some() {
            let (layers, how) = self.copy_live(&store, &wanted, steps)?;
            (layers, Consistency::Crash, how)
        } else {
            steps.step("freeze its topmost layer")?;
            let disk = disk_of(name, &wanted.declared);
            let layers = store.freeze(&wanted.state, disk)?;
            (layers, Consistency::Quiesced, "layer frozen".to_owned())
        };
        let image = store.state(&wanted.state)?.image;
        let snapshot = Snapshot {
            name: snapshot.to_owned(),
            at: now(),
            note: note.to_owned(),
            consistency,
            automatic,
            how,
        };
        steps.step("write the snapshot down")?;
        files::write(&path, &Kept { snapshot: snapshot.clone(), image, layers })?;
        Ok(snapshot)
    }

    /// Copies the layer that a running machine writes to while its processes stand still.
    fn copy_live(
        &self,
        store: &Store,
        wanted: &Wanted,
        steps: &Steps,
    ) -> Result<(Vec<Layer>, String)> {
        let Some(running) = self.running(&wanted.name)? else {
            return Err(EngineError::NotNow("it has just stopped: ask again".into()));
        };
        if running.cgroups.is_empty() {
            return Err(EngineError::Cannot {
                what: "snapshots of a machine that runs",
                why: "its processes cannot be made to stand still without a control group: stop it first"
                    .into(),
            });
        }
        let state = store.state(&wanted.state)?;
        let copy = store.layer(state.top.disk.as_deref())?;
        steps.step("copy its topmost layer")?;
        let from = layer_path(&self.place, &state.top).join("fs");
        let to = layer_path(&self.place, &copy).join("fs");
        cgroup::freeze(&running.cgroups).map_err(|e| EngineError::Failed(e.to_string()))?;
        let copied = copy_all(&from, &to);
        cgroup::thaw(&running.cgroups).map_err(|e| EngineError::Failed(e.to_string()))?;
        copied?;
        let how = format!("{} copied", size_of(&to)?);
        steps.note(&how);
        let mut layers = vec![copy];
        layers.extend(state.frozen);
        Ok((layers, how))
    }

    pub fn restore(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        self.stopped(name)?;
        let wanted = self.made(name)?.wanted;
        self.ensure_disk(&wanted, steps)?;
        let store = Store::lock(&self.place)?;
        let kept = self.kept(name, snapshot)?;
        steps.step("put the kept layers in place")?;
        let state = store.over(&kept.image, kept.layers, disk_of(name, &wanted.declared))?;
        identity::seed(&self.place, &state.top, &wanted)?;
        store.write(&wanted.state, &state)?;
        steps.step("remove layers that nothing needs")?;
        store.collect()?;
        Ok(())
    }

    pub fn remove_snapshot(&self, name: &str, snapshot: &str, steps: &Steps) -> Result<()> {
        let store = Store::lock(&self.place)?;
        steps.step("remove the snapshot")?;
        files::remove_file(&self.snapshot_path(name, snapshot))?;
        store.collect()?;
        Ok(())
    }

    pub fn clone_machine(
        &self,
        from: &str,
        snapshot: Option<&str>,
        to: &Wanted,
        steps: &Steps,
    ) -> Result<()> {
        let source = self.made(from)?.wanted;
        if source.declared.ephemeral && snapshot.is_none() {
            return Err(EngineError::Cannot {
                what: "clone",
                why: "what an ephemeral machine writes lies in memory only".into(),
            });
        }
        if made::read(&self.place, &to.name)?.is_some() {
            return Ok(());
        }
        self.ensure_disk(&source, steps)?;
        self.ensure_disk(to, steps)?;
        let store = Store::lock(&self.place)?;
        let (image, mut layers) = match snapshot {
            Some(snapshot) => {
                let kept = self.kept(from, snapshot)?;
                (kept.image, kept.layers)
            }
            None if self.running(from)?.is_some() => {
                let (layers, _) = self.copy_live(&store, &source, steps)?;
                (store.state(&source.state)?.image, layers)
            }
            None => {
                steps.step("freeze the topmost layer")?;
                let layers = store.freeze(&source.state, disk_of(from, &source.declared))?;
                (store.state(&source.state)?.image, layers)
            }
        };
        let disk = disk_of(&to.name, &to.declared);
        if layers.iter().any(|layer| layer.disk.is_some() && layer.disk.as_deref() != disk)
            || disk.is_some()
        {
            steps.step("copy the layers to its disk")?;
            layers = self.copy_layers(&store, &layers, disk)?;
        }
        steps.step("give it an identity of its own")?;
        let state = store.over(&image, layers, disk)?;
        identity::seed(&self.place, &state.top, to)?;
        let keys = identity::strip(&self.place, &state.top, &state.frozen, self.root)?;
        store.write(&to.state, &state)?;
        steps.step("write down what it was made from")?;
        self.write_made(to, keys)
    }

    pub fn move_state(&self, from: &str, to: &str, token: &str, steps: &Steps) -> Result<()> {
        self.stopped(from)?;
        self.stopped(to)?;
        let (source, mut made) = (self.made(from)?.wanted, self.made(to)?);
        let target = made.wanted.clone();
        for wanted in [&source, &target] {
            if wanted.declared.ephemeral {
                return Err(EngineError::Cannot {
                    what: "move",
                    why: format!("\"{}\" is ephemeral and has no state that lasts", wanted.name),
                });
            }
            self.ensure_disk(wanted, steps)?;
        }
        if source.declared.image != target.declared.image {
            return Err(EngineError::NotNow(format!(
                "\"{from}\" is made on {}, \"{to}\" on {}: a state keeps its image",
                source.declared.image, target.declared.image
            )));
        }
        let store = Store::lock(&self.place)?;
        if made.moved.as_deref() == Some(token) {
            // The state has arrived; what may be missing is the empty one that it leaves behind.
            let moved = store.state(&target.state)?;
            let left = store.state(&source.state)?;
            let still_there = std::iter::once(&left.top).chain(&left.frozen).any(|l| moved.frozen.contains(l));
            if still_there {
                self.leave_empty(&store, &source, steps)?;
            }
            store.collect()?;
            return Ok(());
        }
        steps.step("freeze the state")?;
        let from_disk = disk_of(from, &source.declared);
        let to_disk = disk_of(to, &target.declared);
        let mut layers = store.freeze(&source.state, from_disk)?;
        if from_disk.is_some() || to_disk.is_some() {
            steps.step("copy the layers to the other disk")?;
            layers = self.copy_layers(&store, &layers, to_disk)?;
        }
        steps.step("put it into the other machine")?;
        let moved = store.over(&source.declared.image, layers, to_disk)?;
        identity::seed(&self.place, &moved.top, &target)?;
        store.write(&target.state, &moved)?;
        made.moved = Some(token.to_owned());
        files::write(&self.place.made(to), &made)?;
        self.leave_empty(&store, &source, steps)?;
        steps.step("remove layers that nothing needs")?;
        store.collect()?;
        Ok(())
    }

    fn leave_empty(&self, store: &Store, source: &Wanted, steps: &Steps) -> Result<()> {
        steps.step("leave an empty state behind")?;
        let disk = disk_of(&source.name, &source.declared);
        let empty: State = store.fresh(&source.declared.image, disk)?;
        identity::seed(&self.place, &empty.top, source)?;
        store.write(&source.state, &empty)
    }

    fn kept(&self, name: &str, snapshot: &str) -> Result<Kept> {
        files::read(&self.snapshot_path(name, snapshot))?
            .ok_or_else(|| EngineError::NotFound(format!("snapshot \"{snapshot}\" of \"{name}\"")))
    }

    pub fn all_kept(&self, name: &str) -> Result<Vec<Snapshot>> {
        Ok(kept(&self.place, name)?.into_iter().map(|kept| kept.snapshot).collect())
    }

    fn snapshot_path(&self, name: &str, snapshot: &str) -> PathBuf {
        self.place.snapshots(name).join(format!("{snapshot}.json"))
    }

    fn copy_layers(
        &self,
        store: &Store,
        layers: &[Layer],
        disk: Option<&str>,
    ) -> Result<Vec<Layer>> {
        let mut copies = Vec::new();
        for layer in layers {
            let copy = store.layer(disk)?;
            copy_all(
                &layer_path(&self.place, layer).join("fs"),
                &layer_path(&self.place, &copy).join("fs"),
            )?;
            copies.push(copy);
        }
        Ok(copies)
    }
}

/// Copies everything in a folder with owners, modes, times, links and attributes; blocks are shared where the file
/// system can.
fn copy_all(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    let output = Command::new("cp")
        .args(["-a", "--reflink=auto", "--"])
        .arg(from.join("."))
        .arg(to)
        .stdin(Stdio::null())
        .output()
        .map_err(files::failed("run cp"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(EngineError::Failed(format!("copy a layer: {}", said.lines().next().unwrap_or("cp failed"))))
}

/// How much is in a folder, for people.
fn size_of(folder: &std::path::Path) -> Result<String> {
    fn sum(folder: &std::path::Path) -> std::io::Result<u64> {
        use std::os::unix::fs::MetadataExt;
        let mut bytes = 0;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                bytes += sum(&entry.path())?;
            }
        }
        Ok(bytes)
    }
    let bytes = sum(folder).map_err(files::failed(folder.display()))?;
    Ok(stead_file::size::Size(bytes).to_string())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
