//! Making, changing and removing machines. All of it blocks.

use super::claim::Claim;
use super::files::{self, Sync};
use super::in_use::InUse;
use super::made::{self, Made, disk_of};
use super::place::Place;
use super::state::{Store, read_state};
use super::{Programs, disk, identity, image, running, still, stopping};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use stead_box::RUN_FILE;
use stead_box::cgroup;
use stead_box::cgroup::Probe;
use stead_box::enter;
use stead_box::spec::{Limits, Running};
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};

/// The engine, without its trait.
pub struct Core {
    pub place: Place,
    pub programs: Programs,
    pub root: bool,
    probed: Mutex<Option<Probe>>,
}

impl Core {
    pub fn new(data: &std::path::Path, runtime: &std::path::Path, programs: Programs) -> Self {
        let root = rustix::process::geteuid().is_root();
        Core { place: Place::new(data, runtime), programs, root, probed: Mutex::new(None) }
    }

    pub fn made(&self, name: &str) -> Result<Made> {
        made::read(&self.place, name)?
            .ok_or_else(|| EngineError::NotFound(format!("machine \"{name}\"")))
    }

    pub fn running(&self, name: &str) -> Result<Option<Running>> {
        Ok(running::find(&self.place, name)?.map(|(_, running)| running))
    }

    /// The run folder of a machine that runs; of another, the one that it would have.
    pub fn run_folder(&self, name: &str) -> Result<PathBuf> {
        let found = running::find(&self.place, name)?;
        Ok(found.map_or_else(|| self.place.run(name), |(run, _)| run))
    }

    /// Takes a machine to work on. If it was left standing still, it goes on.
    pub fn claim(&self, name: &str) -> Result<Claim> {
        let claim = Claim::take(&self.place, name)?;
        still::go_on(&self.place, name)?;
        Ok(claim)
    }

    /// Refuses what needs a machine to stand still.
    pub fn stopped(&self, name: &str) -> Result<()> {
        match self.running(name)? {
            None => Ok(()),
            Some(_) => Err(EngineError::NotNow(format!("\"{name}\" runs: stop it first"))),
        }
    }

    pub fn create(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let claim = self.claim(&wanted.name)?;
        if made::read(&self.place, &wanted.name)?.is_some()
            && read_state(&self.place, &wanted.name)?.is_some()
        {
            return Ok(());
        }
        self.fits(wanted)?;
        self.ensure_image(wanted, steps)?;
        let disk = self.ensure_disk(wanted, steps, &claim)?;
        steps.step("make its state")?;
        let store = Store::lock(&self.place)?;
        self.ensure_state(&store, wanted)?;
        drop(store);
        steps.step("write down what it was made from")?;
        self.write_made(wanted, false)?;
        if wanted.declared.running {
            disk.keep();
            return Ok(());
        }
        disk.end()
    }

    /// Refuses what cannot be told apart from other machines, or not be reached.
    pub fn fits(&self, wanted: &Wanted) -> Result<()> {
        made::check_number(wanted.number)
            .and_then(|()| self.place.check_run(&wanted.name))
            .map_err(EngineError::NotNow)
    }

    /// A state for a machine, made if it is not there, and written to where the machine's disk is.
    pub fn ensure_state(&self, store: &Store, wanted: &Wanted) -> Result<()> {
        let disk = disk_of(&wanted.name, &wanted.declared);
        match read_state(&self.place, &wanted.name)? {
            Some(state) if state.image != wanted.declared.image => {
                Err(EngineError::NotNow(format!(
                    "its state is made on the image {}, not on {}: move the state elsewhere, or destroy it",
                    state.image, wanted.declared.image
                )))
            }
            Some(_) => store.put_on(&wanted.name, disk),
            None => {
                let state = store.fresh(&wanted.declared.image, disk)?;
                identity::seed(&self.place, &state.top, wanted)?;
                store.write(&wanted.name, &state)
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

    /// The disk of a machine as it is wanted; one that it does not want any more is mounted, since layers lie on it.
    pub fn ensure_disk<'a>(
        &'a self,
        wanted: &'a Wanted,
        steps: &Steps,
        claim: &'a Claim,
    ) -> Result<InUse<'a>> {
        let name = &wanted.name;
        let used = InUse::of(self, name, claim);
        let size = wanted.declared.disk.filter(|_| disk_of(name, &wanted.declared).is_some());
        match size {
            Some(size) if self.running(name)?.is_none() => {
                steps.step("mount its disk")?;
                disk::ensure(&self.place, name, size.bytes(), claim)?;
            }
            _ => disk::mount(&self.place, name, claim)?,
        }
        Ok(used)
    }

    pub fn write_made(&self, wanted: &Wanted, reseed: bool) -> Result<()> {
        let before = made::read(&self.place, &wanted.name)?;
        let (moved, gave) = before.map_or((None, None), |made| (made.moved, made.gave));
        let made = Made { wanted: wanted.clone(), moved, gave, reseed };
        let path = self.place.made(&wanted.name);
        let sync = if path.exists() { Sync::Now } else { Sync::Later };
        files::write(&path, &made, sync)?;
        if sync == Sync::Later {
            files::sync_soon(self.place.state(&wanted.name));
            files::sync_soon(path);
        }
        Ok(())
    }

    /// Whether limits hold here, tried once a boot; where they do not, by each steward, since it may have been an accident.
    pub fn probe(&self) -> Result<Probe> {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(probe) = &*probed {
            return Ok(probe.clone());
        }
        let path = self.place.probe();
        let all = Limits { memory: Some(1), cpus: Some(1), processes: Some(1) };
        let probe = match files::read::<Probe>(&path) {
            Ok(Some(probe)) if probe.covers(&all).is_ok() => probe,
            _ => {
                let probe = cgroup::probe();
                // What went wrong may have been a moment's: the next steward tries again.
                if probe.memory.is_ok() && probe.cpus.is_ok() && probe.processes.is_ok() {
                    files::write(&path, &probe, Sync::Later)?;
                }
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

    pub fn image(&self, name: &str, steps: &Steps) -> Result<PathBuf> {
        image::ensure(&self.place.images(), name, &|text| steps.note(text))
            .map_err(|e| EngineError::Failed(e.to_string()))
    }

    pub fn change(&self, before: &Wanted, after: &Wanted, steps: &Steps) -> Result<()> {
        let claim = self.claim(&after.name)?;
        let runs = self.running(&after.name)?.is_some();
        // One that has been told to end will, whatever is changed.
        let ends = stopping::was_begun(&self.run_folder(&after.name)?);
        let restart = runs && (ends || !made::restart_keys(before, after).is_empty());
        let run = self.run_folder(&after.name)?;
        if runs && !restart && !run.join(RUN_FILE).exists() {
            // There is nothing by which it could be told of a change.
            let gone = format!("its run folder {} was removed: restart it", run.display());
            return Err(EngineError::NotNow(gone));
        }
        if restart {
            self.stop_claimed(&after.name, steps, &claim)?;
        }
        self.ensure_image(after, steps)?;
        let disk = self.ensure_disk(after, steps, &claim)?;
        if restart || !runs {
            steps.step("see to its state")?;
            let store = Store::lock(&self.place)?;
            self.ensure_state(&store, after)?;
        }
        steps.step("write down what it was made from")?;
        let reseed = made::read(&self.place, &after.name)?.is_some_and(|made| made.reseed);
        self.write_made(after, reseed)?;
        if restart {
            self.start_claimed(after, steps, &claim)?;
        } else if runs {
            if made::rules_differ(before, after) {
                steps.step("change its network rules")?;
                self.put_rules(after)?;
            }
            if before.declared.env != after.declared.env {
                steps.step("change its environment")?;
                enter::set_environment(&self.run_folder(&after.name)?, &after.declared.env)
                    .map_err(|e| EngineError::Failed(e.to_string()))?;
            }
        }
        // Those who are its neighbours no more.
        self.tell_peers(before);
        disk.end()
    }

    pub fn destroy(&self, name: &str, steps: &Steps) -> Result<()> {
        let claim = self.claim(name)?;
        let made = made::read(&self.place, name)?;
        self.stop_claimed(name, steps, &claim)?;
        steps.step("remove its state and snapshots")?;
        disk::release(&self.place, name, &claim)?;
        let store = Store::lock(&self.place)?;
        files::remove(&self.place.snapshots(name))?;
        files::remove_file(&self.place.state(name))?;
        files::remove(&self.place.persist(name))?;
        disk::remove(&self.place, name)?;
        // What a write left that was cut short.
        for path in [self.place.state(name), self.place.made(name)] {
            files::remove_file(&files::beside(&path))?;
        }
        // Last, so that a destruction that was cut short is seen as a machine that is still there.
        files::remove_file(&self.place.made(name))?;
        store.collect()?;
        drop(store);
        if let Some(made) = made {
            self.tell_peers(&made.wanted);
        }
        Ok(())
    }
}
