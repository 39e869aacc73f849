//! What a machine's keeper has left to be known.

use super::super::core::Core;
use super::vm::ENDED;
use stead_machine::engine::Result;
use stead_machine::model::{Observed, Phase};
use stead_vm::doubted;
use stead_vm::files::NOTES;
use stead_vm::spec::Ended;

/// No word of a keeper is longer.
const LONGEST: u64 = 4096;
/// Notes that are shown of one machine.
const MOST: usize = 8;

impl Core {
    /// Every machine of this engine.
    pub fn observe(&self) -> Result<Vec<Observed>> {
        let mut all = self.ground().observe()?;
        for seen in &mut all {
            self.add_notes(seen);
        }
        Ok(all)
    }

    /// One machine.
    pub fn look(&self, name: &str) -> Result<Option<Observed>> {
        let mut seen = self.ground().look(name)?;
        if let Some(seen) = &mut seen {
            self.add_notes(seen);
        }
        Ok(seen)
    }

    /// How a machine ended, unless it was shut down in order.
    pub fn ended(&self, name: &str) -> Option<String> {
        let text = doubted::read(&self.console(name).join(ENDED), LONGEST).ok()?;
        let ended: Ended = serde_json::from_slice(&text).ok()?;
        (!ended.orderly).then(|| plain(&ended.why))
    }

    /// How it ended, and why one that runs stands still. The keeper writes both where QEMU can, too, so they are text to
    /// be shown and nothing else; nobody is asked, since whoever does not answer must not keep anybody from looking.
    fn add_notes(&self, seen: &mut Observed) {
        let name = &seen.name;
        match seen.phase {
            Phase::Stopped => {
                let ended = self.ended(name);
                seen.notes.extend(ended);
            }
            Phase::Running => {
                let notes =
                    self.keeper(name).map(|folder| doubted::read(&folder.join(NOTES), LONGEST));
                if let Ok(Ok(notes)) = notes {
                    let notes = String::from_utf8_lossy(&notes);
                    seen.notes.extend(notes.lines().take(MOST).map(plain));
                }
            }
            _ => {}
        }
    }
}

fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}
