//! What an engine stands on.

use super::claim::Claim;
use super::files::{self, Sync};
use super::made::{self, Made};
use super::place::Place;
use super::state::{State, read_state};
use super::store::Kind;
use super::{running, still, stopping};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use stead_box::cgroup::Probe;
use stead_box::spec::Running;
use stead_machine::EngineError;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;

/// What an engine does whose machines run in sandboxes, whatever their states are made of. All of it blocks.
pub struct Ground<K> {
    /// Where its things lie.
    pub place: Place,
    /// Whether this user is root.
    pub root: bool,
    pub(super) probed: Mutex<Option<Probe>>,
    _kind: PhantomData<K>,
}

/// How a machine stands that is to be started.
pub enum Standing {
    /// It runs.
    Up,
    /// It runs, and has been told to end, and will.
    Ending,
    /// It has ended, and something of its sandbox is left.
    Left,
    /// It does not run.
    Down,
}

impl<K: Kind> Ground<K> {
    /// Below these two folders.
    pub fn new(data: &Path, runtime: &Path) -> Self {
        let root = rustix::process::geteuid().is_root();
        let place = Place::new(data, runtime, K::NAMES);
        Ground { place, root, probed: Mutex::new(None), _kind: PhantomData }
    }

    /// What a machine was made from.
    ///
    /// # Errors
    /// If there is no such machine, or it cannot be read.
    pub fn made(&self, name: &str) -> Result<Made> {
        made::read(&self.place, name)?
            .ok_or_else(|| EngineError::NotFound(format!("machine \"{name}\"")))
    }

    /// The state of a machine.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn state(&self, name: &str) -> Result<State<K::Base>> {
        read_state(&self.place, name)?
            .ok_or_else(|| EngineError::NotFound(format!("state of \"{name}\"")))
    }

    /// Whether a machine was made, all of it.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn is_made(&self, name: &str) -> Result<bool> {
        Ok(made::read(&self.place, name)?.is_some()
            && read_state::<K::Base>(&self.place, name)?.is_some())
    }

    /// How a machine stands that is to be started.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn standing(&self, name: &str) -> Result<Standing> {
        let told_to_end = stopping::was_begun(&self.run_folder(name)?);
        Ok(match (self.running(name)?.is_some(), told_to_end) {
            (true, false) => Standing::Up,
            (true, true) => Standing::Ending,
            (false, true) => Standing::Left,
            (false, false) => Standing::Down,
        })
    }

    /// The sandbox of a machine, if it runs.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn running(&self, name: &str) -> Result<Option<Running>> {
        Ok(running::find(&self.place, name)?.map(|(_, running)| running))
    }

    /// The run folder of a machine that runs; of another, the one that it would have.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn run_folder(&self, name: &str) -> Result<PathBuf> {
        let found = running::find(&self.place, name)?;
        Ok(found.map_or_else(|| self.place.run(name), |(run, _)| run))
    }

    /// Takes a machine to work on. If it was left standing still, it goes on.
    ///
    /// # Errors
    /// If somebody else works on it for too long.
    pub fn claim(&self, name: &str) -> Result<Claim> {
        let claim = Claim::take(&self.place, name)?;
        still::go_on(&self.place, name)?;
        Ok(claim)
    }

    /// Takes two machines, in order of their names, as everybody does.
    ///
    /// # Errors
    /// As [`Ground::claim`].
    pub fn claim_two(&self, one: &str, other: &str) -> Result<(Claim, Claim)> {
        if one < other {
            let first = self.claim(one)?;
            Ok((first, self.claim(other)?))
        } else {
            let second = self.claim(other)?;
            Ok((self.claim(one)?, second))
        }
    }

    /// Refuses what needs a machine to stand still.
    ///
    /// # Errors
    /// If it runs, or that cannot be told.
    pub fn stopped(&self, name: &str) -> Result<()> {
        match self.running(name)? {
            None => Ok(()),
            Some(_) => Err(EngineError::NotNow(format!("\"{name}\" runs: stop it first"))),
        }
    }

    /// The other engine whose machine this is, if it is one's, and none of this engine's.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn anothers(&self, name: &str) -> Result<Option<&'static str>> {
        if made::read(&self.place, name)?.is_some() {
            return Ok(None);
        }
        let engine = |place: Place| Some((made::read(&place, name).transpose()?, place.names()));
        match self.place.of_all().find_map(engine) {
            None => Ok(None),
            Some((made, names)) => made.map(|_| Some(names.engine)),
        }
    }

    /// Refuses what cannot be told apart from other machines, or not be reached.
    ///
    /// # Errors
    /// What to do.
    pub fn fits(&self, wanted: &Wanted) -> Result<()> {
        if let Some(engine) = self.anothers(&wanted.name)? {
            return Err(EngineError::NotNow(format!(
                "\"{}\" is a machine of engine {engine}: destroy it first",
                wanted.name
            )));
        }
        made::check_number(wanted.number)
            .and_then(|()| self.place.check_run(&wanted.name))
            .map_err(EngineError::NotNow)
    }

    /// Puts down what a machine is made from.
    ///
    /// # Errors
    /// If it cannot be written.
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

    /// Removes what says that a state is there.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn forget_state(&self, name: &str) -> Result<()> {
        files::remove(&self.place.snapshots(name))?;
        files::remove_file(&self.place.state(name))?;
        // What a write left that was cut short.
        files::remove_file(&files::beside(&self.place.state(name)))
    }

    /// Removes what says that a machine is there: last, so that a destruction that was cut short is seen as a machine that
    /// is still there.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn forget(&self, name: &str) -> Result<()> {
        files::remove_file(&files::beside(&self.place.made(name)))?;
        files::remove_file(&self.place.made(name))
    }
}
