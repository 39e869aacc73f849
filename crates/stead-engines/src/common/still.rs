//! Machines whose processes stand still while their files are copied, and go on whatever happens.

use super::place::Place;
use super::{files, running};
use std::path::{Path, PathBuf};
use stead_box::cgroup::{self, CgroupError};
use stead_box::spec::Running;
use stead_machine::EngineError;

/// A machine that stands still until this is dropped. Its mark is there before it does and goes after it goes on, so that
/// whoever works on the machine next, after this program was killed, lets it go on.
pub struct Still {
    groups: Vec<PathBuf>,
    mark: PathBuf,
}

impl Still {
    /// Makes every process of a machine stand still.
    ///
    /// # Errors
    /// If they cannot be made to; they go on then.
    pub fn hold(run: &Path, running: &Running) -> Result<Self, EngineError> {
        let mark = mark(run);
        std::fs::write(&mark, "").map_err(files::failed(format!("write {}", mark.display())))?;
        let still = Still { groups: running.cgroups.clone(), mark };
        // Dropped on the way out: what stands still already goes on.
        cgroup::freeze(&still.groups).map_err(failed)?;
        Ok(still)
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn end(mut self) -> Result<(), EngineError> {
        self.thaw()
    }

    fn thaw(&mut self) -> Result<(), EngineError> {
        if !self.groups.is_empty() {
            cgroup::thaw(&self.groups).map_err(failed)?;
            self.groups.clear();
            files::remove_file(&self.mark)?;
        }
        Ok(())
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let _ = self.thaw();
    }
}

/// Why a machine that runs cannot be copied, and what to do.
pub fn cannot(why: &str) -> String {
    format!(
        "its processes cannot be made to stand still ({why}): stop it first, or have Stead run as root, or in a control \
         group that is its user's own (`systemd-run --user --scope -p Delegate=yes …`)"
    )
}

/// Lets a machine go on that was left standing still. Nobody else works on it. Whether it was.
///
/// # Errors
/// If that cannot be told, or the kernel refuses.
pub fn go_on(place: &Place, name: &str) -> Result<bool, EngineError> {
    let found = running::find(place, name)?;
    let run = found.as_ref().map_or_else(|| place.run(name), |(run, _)| run.clone());
    if !was_left(&run) {
        return Ok(false);
    }
    if let Some((_, running)) = found {
        match cgroup::thaw(&running.cgroups) {
            Ok(()) | Err(CgroupError::NoFreezer) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    files::remove_file(&mark(&run))?;
    Ok(true)
}

/// Whether a machine may have been left standing still.
pub fn was_left(run: &Path) -> bool {
    mark(run).exists()
}

fn mark(run: &Path) -> PathBuf {
    run.join("still")
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(e: CgroupError) -> EngineError {
    EngineError::Failed(e.to_string())
}
