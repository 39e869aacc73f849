//! Whether limits hold on this host.

use super::files::{self, Sync};
use super::ground::Ground;
use super::store::Kind;
use std::sync::PoisonError;
use stead_box::cgroup::{self, Probe};
use stead_box::spec::Limits;
use stead_machine::engine::Result;

impl<K: Kind> Ground<K> {
    /// Whether limits hold here, tried once a boot; where they do not, by each steward, since it may have been an accident.
    ///
    /// # Errors
    /// If what was found cannot be put down.
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
    ///
    /// # Errors
    /// Why not.
    pub fn can_limit_these(&self, limits: &Limits) -> std::result::Result<(), String> {
        self.probe().map_err(|e| e.to_string())?.covers(limits)
    }

    /// Whether all kinds of limits hold here.
    ///
    /// # Errors
    /// Why not.
    pub fn can_limit(&self) -> std::result::Result<(), String> {
        let all = Limits { memory: Some(1), cpus: Some(1), processes: Some(1) };
        self.can_limit_these(&all)
    }
}
