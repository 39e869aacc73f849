//! Removing what belongs to no machine, and putting right what a killed program left.

use super::claim::{self, Claim};
use super::ground::Ground;
use super::state::machines_and_hidden;
use super::store::Kind;
use super::{files, made, running, still};
use std::collections::BTreeMap;
use std::path::PathBuf;
use stead_box::{RUN_FILE, cgroup, hide};
use stead_machine::EngineError;
use stead_machine::engine::Result;

impl<K: Kind> Ground<K> {
    /// Removes what is left of sandboxes, of whatever engine. What was removed, a line each.
    ///
    /// # Errors
    /// Why not.
    pub fn sweep_sandboxes(&self) -> Result<Vec<String>> {
        // What there is first, and then what it may belong to: what is made meanwhile is not taken for a leftover.
        let groups = cgroup::leftovers(&self.place.groups());
        let runs = files::names(&self.place.runs())?;
        let names = machines_and_hidden(&self.place)?;
        let mut swept = Vec::new();
        let mut owners = BTreeMap::new();
        for name in &names {
            // A machine that cannot be read may be the owner of anything: nothing is swept then.
            for place in self.place.of_all() {
                if let Some(made) = made::read(&place, name)? {
                    owners.insert(made::cgroup(&place, &made.wanted), name);
                }
            }
            if still::was_left(&self.run_folder(name)?) {
                let claim = Claim::take(&self.place, name)?;
                if still::go_on(&self.place, name)? {
                    swept.push(format!("\"{name}\" stood still: it goes on"));
                }
                drop(claim);
            }
        }
        for folder in groups {
            let group = folder.file_name().map(|n| n.to_string_lossy().into_owned());
            let owner = group.and_then(|group| owners.get(&group));
            // Held until the group is gone: a start may begin at any time.
            let _claim = match owner {
                None => None,
                Some(name) => match Claim::attempt(&self.place, name)? {
                    Some(claim) if self.running(name)?.is_none() => Some(claim),
                    _ => continue,
                },
            };
            if cgroup::remove(std::slice::from_ref(&folder)).is_ok() {
                swept.push(format!("the control group {}", folder.display()));
            }
        }
        let known: Vec<PathBuf> = names.iter().map(|name| self.place.run(name)).collect();
        let mut covers = Vec::new();
        // A machine whose run folder was removed under it does not say which it uses.
        let mut all_told = true;
        for name in &names {
            if let Some((run, _)) = running::find(&self.place, name)? {
                all_told &= run.join(RUN_FILE).exists();
                covers.extend(files::read::<PathBuf>(&run.join(running::COVER))?);
            }
        }
        for run in runs.iter().map(|name| self.place.runs().join(name)) {
            if running::look(&run)?.is_some() {
                covers.extend(files::read::<PathBuf>(&run.join(running::COVER))?);
            } else if !known.contains(&run) {
                files::remove(&run)?;
                swept.push(format!("the folder {}", run.display()));
            }
        }
        if all_told {
            hide::sweep(&self.place.covers(), &covers)
                .map_err(|e| EngineError::Failed(e.to_string()))?;
        }
        Ok(swept)
    }

    /// Ends what a killed program ran, and removes its locks.
    ///
    /// # Errors
    /// If a lock cannot be had.
    pub fn end_orphans(&self) -> Result<()> {
        for name in files::names(&self.place.claims())? {
            match Claim::attempt(&self.place, &name)? {
                // Dropped, it is gone.
                Some(claim) => drop(claim),
                None => claim::end_orphan(&self.place.claim(&name)),
            }
        }
        Ok(())
    }
}
