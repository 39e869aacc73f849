//! `stead system`: declared systems, rendered, installed, and brought to machines.

mod bring;
mod claude_home;
mod device;
mod inside;
mod install;
mod many;
mod mark;
mod nixos;
mod render;
mod rendered;
mod switch;

pub use inside::Inside;
pub use many::bring_all;
pub use rendered::of_machines;

use crate::cli::System;
use crate::failure::{Failure, Outcome};
use crate::stead_file::SteadFile;
use stead_system::Whole;

pub fn run(args: &System) -> Outcome {
    match args {
        System::Render(args) => render::run(args),
        System::Switch(args) => switch::run(args),
        System::Install(args) => install::run(args),
        System::Device(args) => device::run(args),
    }
}

/// The system of a machine, or one by its own name, which is then called like the one machine that has it.
///
/// # Errors
/// If the file declares neither.
pub fn whole(file: &SteadFile, name: &str) -> Result<Whole, Failure> {
    let declared = &file.declaration;
    if let Some(machine) = declared.machines.get(name) {
        let Some(system) = &machine.system else {
            return Err(Failure::misused(format!("machine \"{name}\" has no declared system"))
                .help(format!("write `system = \"NAME\"` below [machines.{name}]")));
        };
        return Ok(of(file, system, name));
    }
    if declared.systems.contains_key(name) {
        let mut having =
            declared.machines.iter().filter(|(_, it)| it.system.as_deref() == Some(name));
        let machine = match (having.next(), having.next()) {
            (Some((only, _)), None) => only,
            _ => name,
        };
        return Ok(of(file, name, machine));
    }
    let all: Vec<&str> = declared.systems.keys().map(String::as_str).collect();
    let help = if all.is_empty() {
        "declare one with [systems.NAME]".to_owned()
    } else {
        format!("it declares: {}", all.join(", "))
    };
    Err(Failure::misused(format!("{} declares no system and no machine \"{name}\"", file.owner))
        .help(help))
}

/// Every machine's system, and those that no machine has.
pub fn all(file: &SteadFile) -> Vec<Whole> {
    let declared = &file.declaration;
    let mut all: Vec<Whole> = declared
        .machines
        .iter()
        .filter_map(|(machine, it)| Some(of(file, it.system.as_deref()?, machine)))
        .collect();
    for name in declared.systems.keys() {
        if !all.iter().any(|whole| whole.name == *name) {
            all.push(of(file, name, name));
        }
    }
    all
}

fn of(file: &SteadFile, system: &str, machine: &str) -> Whole {
    // The file was checked: a machine's system is declared.
    let declared = file.declaration.systems.get(system).cloned().unwrap_or_default();
    // A sandbox's network is one process of this host's, which knows what may connect.
    let outside = file.declaration.machines.get(machine).is_some_and(|it| it.engine == "sandbox");
    Whole { machine: machine.to_owned(), name: system.to_owned(), system: declared, outside }
}
