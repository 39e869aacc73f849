//! Declared systems as a plan is told of them.

use super::{claude_home, of, render};
use crate::failure::Failure;
use crate::secrets;
use crate::stead_file::SteadFile;
use ::stead_file::declared::Os;
use std::collections::BTreeMap;
use stead_machine::system::{By, Rendered};
use stead_system::debian::Desired;
use stead_system::{Whole, debian, parts};

/// What a Debian machine is to be like, with what of this person's goes there.
///
/// # Errors
/// If something of the person's that belongs in it cannot be read.
pub fn desired(whole: &Whole) -> Result<Desired, Failure> {
    let desired = debian::render(whole).with_claude_home(&claude_home::files(whole)?);
    Ok(desired.with_servers(&claude_home::servers(whole)?))
}

/// A digest of each part of what a system is rendered to. `file` is what the stead file is called.
///
/// # Errors
/// If it cannot be rendered.
pub fn digests(file: &str, whole: &Whole) -> Result<BTreeMap<String, String>, Failure> {
    Ok(match whole.system.os {
        Os::Debian => parts::of_debian(&desired(whole)?),
        Os::Nixos => parts::of_flake(&render::flake(file, std::slice::from_ref(whole))?),
    })
}

/// The systems of these machines, or of all: rendered, and who brings them.
pub fn of_machines(file: &SteadFile, only: &[String]) -> BTreeMap<String, Rendered> {
    let declared = &file.declaration;
    let mut all = BTreeMap::new();
    for (machine, is) in &declared.machines {
        let Some(system) = is.system.as_ref().filter(|_| only.is_empty() || only.contains(machine))
        else {
            continue;
        };
        let whole = of(file, system, machine);
        let (parts, by) = match digests(&declared.name, &whole) {
            Ok(parts) => (parts, by(&is.engine, &whole)),
            Err(failure) => (BTreeMap::new(), By::Nobody { why: failure.in_a_line() }),
        };
        all.insert(machine.clone(), Rendered { name: system.clone(), parts, by });
    }
    all
}

/// Who brings a system to its machine.
fn by(engine: &str, whole: &Whole) -> By {
    let hand = |why: &str| By::Hand { why: format!("for `stead system switch`: {why}") };
    if engine == "host" {
        return hand("it is this computer");
    }
    if whole.system.os == Os::Nixos {
        // A build takes minutes to hours, and what it says of a person's own configuration has to be read first.
        return hand("a NixOS is built first, and says what somebody has to read");
    }
    match secrets::read(&whole.secrets()) {
        Ok(_) => By::Apply,
        Err(failure) => By::Nobody { why: failure.in_a_line() },
    }
}
