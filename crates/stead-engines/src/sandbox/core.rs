//! Making, starting, stopping and removing machines. All of it blocks.

use super::made::{self, Made, disk_of};
use super::place::Place;
use super::state::{Store, read_state};
use super::{Programs, disk, files, identity, image, running, state};
use stead_box::cgroup::Probe;
use stead_box::spec::{Base, Limits, Peer, Running};
use stead_box::{cgroup, enter, hide, net};
use stead_machine::engine::Result;
use stead_machine::model::{Observed, Phase, Wanted};
use stead_machine::{EngineError, Steps};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Seconds that processes inside have to end.
const GRACE: u32 = 5;

/// The engine, without its trait.
pub struct Core {
    pub place: Place,
    pub programs: Programs,
    pub root: bool,
    /// What was found of limits; whoever looks is the only one who does.
    probed: Mutex<Option<Probe>>,
}

impl Core {
    pub fn new(data: &std::path::Path, runtime: &std::path::Path, programs: Programs) -> Self {
        let root = rustix::process::geteuid().is_root();
        Core { place: Place::new(data, runtime), programs, root, probed: Mutex::new(None) }
    }

    pub fn made(&self, name: &str) -> Result<Made> {
        made::read(&self.place, name)?.ok_or_else(|| EngineError::NotFound(format!("machine \"{name}\"")))
    }

    pub fn running(&self, name: &str) -> Result<Option<Running>> {
        running::look(&self.place.run(name))
    }

    /// Refuses what needs a machine to stand still.
    pub fn stopped(&self, name: &str) -> Result<()> {
        match self.running(name)? {
            None => Ok(()),
            Some(_) => Err(EngineError::NotNow(format!("\"{name}\" runs: stop it first"))),
        }
    }

    pub fn observe(&self) -> Result<Vec<Observed>> {
        let mut all = Vec::new();
        for name in files::names(&self.place.machines())? {
            match self.look(&name) {
                Ok(seen) => all.extend(seen),
                Err(e) => all.push(Observed {
                    name,
                    phase: Phase::Unknown(e.to_string()),
                    made_from: None,
                    since: None,
                    id: None,
                    notes: Vec::new(),
                }),
            }
        }
        Ok(all)
    }

    pub fn look(&self, name: &str) -> Result<Option<Observed>> {
        let Some(made) = made::read(&self.place, name)? else {
            // What was begun and has no record of what it was made from is nothing yet; its layers are swept.
            return Ok(None);
        };
        let wanted = made.wanted;
        let mut seen = Observed {
            name: name.to_owned(),
            phase: Phase::Stopped,
            made_from: Some(wanted.declared),
            since: None,
            id: Some(wanted.id),
            notes: Vec::new(),
        };
        if read_state(&self.place, &wanted.state)?.is_none() {
            seen.phase = Phase::Partial(format!("its state \"{}\" is not there", wanted.state));
        }
        if let Some(running) = self.running(name)? {
            seen.phase = Phase::Running;
            seen.since = Some(running.started);
            if !running::has_net(&running) {
                seen.notes.push("the process that serves its network has died: restart it".into());
            }
            seen.notes.extend(running.notes);
        }
        Ok(Some(seen))
    }

    pub fn create(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        if let Some(made) = made::read(&self.place, &wanted.name)?
            && read_state(&self.place, &made.wanted.state)?.is_some()
        {
            return Ok(());
        }
        self.ensure_image(wanted, steps)?;
        self.ensure_disk(wanted, steps)?;
        steps.step("make its state")?;
        let store = Store::lock(&self.place)?;
        self.ensure_state(&store, wanted)?;
        drop(store);
        steps.step("write down what it was made from")?;
        self.write_made(wanted, false)
    }

    /// A state of this name, made if it is not there.
    pub fn ensure_state(&self, store: &Store, wanted: &Wanted) -> Result<()> {
        match read_state(&self.place, &wanted.state)? {
            Some(state) if state.image != wanted.declared.image => Err(EngineError::NotNow(format!(
                "its state \"{}\" is made on the image {}, not on {}: give it another state, or destroy it",
                wanted.state, state.image, wanted.declared.image
            ))),
            Some(_) => Ok(()),
            None => {
                let disk = disk_of(&wanted.name, &wanted.declared);
                let state = store.fresh(&wanted.declared.image, disk)?;
                identity::seed(&self.place, &state.top, wanted)?;
                store.write(&wanted.state, &state)
            }
        }
    }

    pub fn ensure_image(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        if wanted.declared.image != "host" {
            steps.step("make its image")?;
            self.image(&wanted.declared.image, steps)?;
        }
        Ok(())
    }

    pub fn ensure_disk(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        if let (Some(_), Some(size)) = (disk_of(&wanted.name, &wanted.declared), wanted.declared.disk) {
            steps.step("mount its disk")?;
            disk::ensure(&self.place, &wanted.name, size.bytes())?;
        }
        Ok(())
    }

    pub fn write_made(&self, wanted: &Wanted, reseed: bool) -> Result<()> {
        let moved = made::read(&self.place, &wanted.name)?.and_then(|made| made.moved);
        let made = Made { wanted: wanted.clone(), moved, reseed };
        files::write(&self.place.made(&wanted.name), &made)
    }

    /// Whether limits hold here, tried once a boot; where they do not, by each steward, since it may have been an accident.
    pub fn probe(&self) -> Result<Probe> {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(probe) = &*probed {
            return Ok(probe.clone());
        }
        let all = Limits { memory: Some(1), cpus: Some(1), processes: Some(1) };
        let path = self.place.probe();
        let probe = match files::read::<Probe>(&path) {
            Ok(Some(probe)) if probe.covers(&all).is_ok() => probe,
            _ => {
                let probe = cgroup::probe();
                files::write(&path, &probe)?;
                probe
            }
        };
        *probed = Some(probe.clone());
        Ok(probe)
    }

    /// Whether these limits hold here.
    pub fn can_limit_these(&self, limits: &Limits) -> std::result::Result<(), String> {
        self.probe().map_err(|e| e.to_string())?.covers(limits)
    }

    /// Whether all kinds of limits hold here.
    pub fn can_limit(&self) -> std::result::Result<(), String> {
        let all = Limits { memory: Some(1), cpus: Some(1), processes: Some(1) };
        self.can_limit_these(&all)
    }

    fn image(&self, name: &str, steps: &Steps) -> Result<std::path::PathBuf> {
        image::ensure(&self.place.images(), name, &|text| steps.note(text))
            .map_err(|e| EngineError::Failed(e.to_string()))
    }

    pub fn start(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let name = &wanted.name;
        let made = self.made(name)?;
        if self.running(name)?.is_some() {
            return Ok(());
        }
        self.ensure_disk(wanted, steps)?;
        let state = read_state(&self.place, &wanted.state)?
            .ok_or_else(|| EngineError::NotFound(format!("state \"{}\"", wanted.state)))?;
        steps.step("hide what is secret")?;
        let base = self.base(wanted, steps)?;
        for path in wanted.declared.persist.iter().filter(|_| wanted.declared.ephemeral) {
            files::make(&self.place.persist(name).join(made::folder_name(path)))?;
        }
        let mut spec = made::spec(
            &self.place,
            &self.programs,
            wanted,
            &state,
            base,
            self.peers(wanted)?,
            self.root,
        );
        if wanted.declared.ephemeral {
            // The identity lies in the topmost layer, to which nothing is written then.
            spec.layers.insert(0, state::layer_path(&self.place, &state.top));
        }
        steps.step("start it")?;
        let running = running::start(&self.programs, &spec)?;
        for note in &running.notes {
            steps.note(note);
        }
        if made.reseed {
            steps.step("make host keys of its own")?;
            self.make_host_keys(name);
            self.write_made(&made.wanted, false)?;
        }
        self.tell_peers(wanted);
        Ok(())
    }

    /// Makes ssh host keys inside, where there is a program for it. A machine without an ssh server needs none.
    fn make_host_keys(&self, name: &str) {
        let mut command = self.command(name);
        command.args(["--", "/bin/sh", "-c", "command -v ssh-keygen >/dev/null && ssh-keygen -A"]);
        let _ = command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
    }

    /// `stead-box exec` for a machine, without options.
    pub fn command(&self, name: &str) -> std::process::Command {
        let mut command = std::process::Command::new(&self.programs.sandbox);
        command.arg("exec").arg(self.place.run(name));
        command
    }

    fn base(&self, wanted: &Wanted, steps: &Steps) -> Result<Base> {
        if wanted.declared.image != "host" {
            return Ok(Base::Folder(self.image(&wanted.declared.image, steps)?));
        }
        let host = hide::Host { root: "/".into(), userxattr: !self.root };
        let cover = hide::cover(&self.place.covers(), &host)
            .map_err(|e| EngineError::Failed(e.to_string()))?;
        Ok(Base::Host { cover: cover.path, show: wanted.declared.show.clone() })
    }

    /// What a state of this image is compared with, topmost first.
    pub fn base_folders(&self, image: &str) -> Result<Vec<std::path::PathBuf>> {
        if image != "host" {
            return Ok(vec![self.image(image, &Steps::none())?]);
        }
        let host = hide::Host { root: "/".into(), userxattr: !self.root };
        let cover = hide::cover(&self.place.covers(), &host)
            .map_err(|e| EngineError::Failed(e.to_string()))?;
        Ok(vec![cover.path, "/".into()])
    }

    /// The machines that this one reaches by name.
    fn peers(&self, wanted: &Wanted) -> Result<BTreeMap<String, Peer>> {
        let mut peers = BTreeMap::new();
        if wanted.network.as_ref().is_some_and(|network| network.peers) {
            for name in files::names(&self.place.machines())? {
                // A neighbour that cannot be read is one that cannot be reached.
                if let Ok(Some(other)) = made::read(&self.place, &name)
                    && made::are_peers(wanted, &other.wanted)
                {
                    let socket = self.place.run(&name).join("net.sock");
                    peers.insert(name, Peer { address: other.wanted.address, socket });
                }
            }
        }
        Ok(peers)
    }

    /// Tells the machines on the same network who is on it now. One that cannot be told learns it at its next start.
    fn tell_peers(&self, wanted: &Wanted) {
        for name in self.peers(wanted).into_iter().flatten().map(|(name, _)| name) {
            if let Ok(Some(other)) = made::read(&self.place, &name) {
                let _ = self.put_rules(&other.wanted);
            }
        }
    }

    /// Puts a running machine's network rules in force.
    pub fn put_rules(&self, wanted: &Wanted) -> Result<()> {
        if self.running(&wanted.name)?.is_none() {
            return Ok(());
        }
        let rules = made::net(wanted, self.peers(wanted)?);
        let socket = self.place.run(&wanted.name).join("net.sock");
        net::client::set_rules(&socket, &rules).map_err(files::failed("change its network rules"))
    }

    pub fn stop(&self, name: &str, steps: &Steps) -> Result<()> {
        let Some(made) = made::read(&self.place, name)? else { return Ok(()) };
        steps.step("stop it")?;
        running::stop(&self.programs, &self.place.run(name), GRACE)?;
        files::remove(&self.place.run(name))?;
        if disk_of(name, &made.wanted.declared).is_some() {
            steps.step("unmount its disk")?;
            disk::release(&self.place, name)?;
        }
        Ok(())
    }

    pub fn change(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()> {
        let runs = self.running(&after.name)?.is_some();
        let restart = runs && !made::restart_keys(before, after).is_empty();
        if restart {
            self.stop(&after.name, steps)?;
        }
        self.ensure_image(after, steps)?;
        self.ensure_disk(after, steps)?;
        steps.step("attach its state")?;
        let store = Store::lock(&self.place)?;
        self.ensure_state(&store, after)?;
        drop(store);
        steps.step("write down what it was made from")?;
        let reseed = made::read(&self.place, &after.name)?.is_some_and(|made| made.reseed);
        self.write_made(after, reseed)?;
        if restart {
            self.start(after, steps)?;
        } else if runs {
            if made::rules_differ(before, after) {
                steps.step("change its network rules")?;
                self.put_rules(after)?;
            }
            if before.declared.env != after.declared.env {
                steps.step("change its environment")?;
                enter::set_environment(&self.place.run(&after.name), &after.declared.env)
                    .map_err(|e| EngineError::Failed(e.to_string()))?;
            }
        }
        Ok(())
    }

    pub fn destroy(&self, name: &str, steps: &Steps) -> Result<()> {
        let made = made::read(&self.place, name)?;
        self.stop(name, steps)?;
        steps.step("remove its state and snapshots")?;
        disk::release(&self.place, name)?;
        let store = Store::lock(&self.place)?;
        files::remove(&self.place.snapshots(name))?;
        if let Some(made) = &made {
            files::remove_file(&self.place.state(&made.wanted.state))?;
        }
        for path in [self.place.persist(name), self.place.disk(name)] {
            files::remove(&path)?;
        }
        files::remove_file(&self.place.disk_image(name))?;
        // Last, so that a destruction that was cut short is seen as a machine that is still there.
        files::remove_file(&self.place.made(name))?;
        store.collect()?;
        Ok(())
    }

    pub fn sweep(&self, steps: &Steps) -> Result<Vec<String>> {
        steps.step("look for leftovers")?;
        let mut swept = Vec::new();
        let mut alive = Vec::new();
        for name in files::names(&self.place.machines())? {
            // A machine that cannot be read may be the owner of anything: nothing is swept then.
            match made::read(&self.place, &name)? {
                Some(made) => alive.push(made::cgroup(&made.wanted)),
                None => {
                    if disk::is_mounted(&self.place, &name)? {
                        disk::release(&self.place, &name)?;
                        swept.push(format!("the disk of \"{name}\" was still mounted"));
                    }
                }
            }
        }
        for folder in cgroup::leftovers("") {
            let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
            let owned = name.is_some_and(|name| alive.contains(&name));
            if !owned && cgroup::remove(std::slice::from_ref(&folder)).is_ok() {
                swept.push(format!("the control group {}", folder.display()));
            }
        }
        swept.extend(Store::lock(&self.place)?.collect()?);
        Ok(swept)
    }
}
