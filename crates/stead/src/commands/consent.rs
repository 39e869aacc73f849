//! What a person is asked before a virtual machine is given something sensitive.

use super::{ask, login};
use crate::failure::Failure;
use crate::present;
use std::path::PathBuf;
use stead_file::Declaration;
use stead_machine::Plan;
use stead_machine::plan::{Action, Entry};
use stead_machine::vm::share;

/// A sensitive folder that a machine is to share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sensitive {
    machine: String,
    folder: PathBuf,
    what: &'static str,
}

/// Those for which nobody has said yes, of machines that wait for it.
pub fn sensitive(plan: &Plan) -> Vec<Sensitive> {
    let waiting = |entry: &&Entry| entry.engine == "qemu" && entry.action != Action::Nothing;
    let mut all = Vec::new();
    for entry in plan.machines.iter().filter(waiting) {
        let Some(becomes) = &entry.becomes else { continue };
        all.extend(share::to_ask(&becomes.declared).into_iter().map(|(folder, what)| Sensitive {
            machine: entry.name.clone(),
            folder,
            what,
        }));
    }
    all
}

/// Asks for a yes, and writes it into what is declared.
///
/// # Errors
/// If the answer is another, or there is nobody to ask.
pub fn ask_for(sensitive: &[Sensitive], declared: &mut Declaration) -> Result<(), Failure> {
    let lines = sensitive.iter().map(|one| {
        let folder = present::clean(&one.folder.display().to_string());
        format!("{} would see {folder}: {}", one.machine, one.what)
    });
    let lines: Vec<String> = lines.collect();
    ask::for_a_word(
        &lines,
        "yes",
        "share these sensitive folders?",
        "name them in `allow_sensitive` of [machines.NAME.qemu]; --yes does not cover them",
    )?;
    for one in sensitive {
        if let Some(machine) = declared.machines.get_mut(&one.machine) {
            machine.qemu.allow_sensitive.push(one.folder.clone());
        }
    }
    Ok(())
}

/// Tells of logins that are copied into machines which are made or begin to have it.
pub fn tell_of_logins(plan: &Plan) {
    let begins = |entry: &&Entry| match &entry.action {
        Action::Create => {
            entry.becomes.as_ref().is_some_and(|it| !it.declared.share_agent_auth.is_empty())
        }
        Action::Change { keys, .. } => {
            keys.iter().any(|key| key.key == "share_agent_auth" && key.after != "none")
        }
        _ => false,
    };
    let machines: Vec<String> =
        plan.machines.iter().filter(begins).map(|entry| entry.name.clone()).collect();
    login::warn(&machines);
}

#[cfg(test)]
mod tests {
    use super::*;
    use stead_file::declared::{Machine, Share};
    use stead_machine::plan::{Becomes, Counts};

    fn entry(name: &str, engine: &str, action: Action) -> Entry {
        let share = Share { host: "/etc".into(), inside: "/x".into(), writable: false };
        let declared = Machine { engine: engine.into(), shares: vec![share], ..Machine::default() };
        Entry {
            name: name.into(),
            engine: engine.into(),
            action,
            system: None,
            drift: Vec::new(),
            remarks: Vec::new(),
            notes: Vec::new(),
            becomes: Some(Becomes { declared, network: None }),
        }
    }

    #[test]
    fn only_virtual_machines_that_wait_for_it_are_asked_for() {
        let blocked = || Action::Blocked { why: "it is sensitive".into() };
        let plan = Plan {
            owner: String::new(),
            counts: Counts::default(),
            machines: vec![
                entry("vm", "qemu", blocked()),
                entry("box", "sandbox", Action::Create),
                entry("old", "qemu", Action::Nothing),
            ],
            sessions: Vec::new(),
        };
        let found = sensitive(&plan);
        let expected =
            Sensitive { machine: "vm".into(), folder: "/etc".into(), what: "the system's" };
        assert_eq!(found, [expected]);
        // Nobody sits at the terminal of a test.
        let mut declared = Declaration::default();
        let refused = ask_for(&found, &mut declared).unwrap_err();
        assert_eq!(refused.status, 2);
    }
}
