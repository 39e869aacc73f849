//! What there is.

use super::ground::Ground;
use super::made;
use super::running;
use super::state::{machines, read_state};
use super::stopping;
use super::store::Kind;
use stead_box::RUN_FILE;
use stead_machine::engine::Result;
use stead_machine::model::{Observed, Phase};

impl<K: Kind> Ground<K> {
    /// Every machine of this engine; one that cannot be looked at is told so.
    ///
    /// # Errors
    /// If it cannot be told which there are.
    pub fn observe(&self) -> Result<Vec<Observed>> {
        let mut all = Vec::new();
        for name in machines(&self.place)? {
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

    /// One machine.
    ///
    /// # Errors
    /// If it cannot be looked at.
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
        if read_state::<K::Base>(&self.place, name)?.is_none() {
            seen.phase = Phase::Partial("its state is not there".into());
        }
        let mut at = self.place.run(name);
        if let Some((run, running)) = running::find(&self.place, name)? {
            if !run.join(RUN_FILE).exists() {
                let gone = running.run.display();
                seen.notes.push(format!("its run folder {gone} was removed: restart it"));
            }
            seen.phase = Phase::Running;
            seen.since = Some(running.started);
            if !running::has_net(&running) {
                seen.notes.push("the process that serves its network has died: restart it".into());
            }
            seen.notes.extend(running.notes);
            at = run;
        }
        // Whether or not it has come to its end by now.
        if stopping::was_cut_short(&at)? {
            seen.phase = Phase::Partial("it was being stopped".into());
        }
        Ok(Some(seen))
    }
}
