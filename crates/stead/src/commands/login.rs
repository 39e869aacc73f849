//! `stead login`, and the copy of this host's login.

use super::machine::{self, path};
use super::{attach, door, print, print_json};
use crate::cli::Login;
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::steward::Steward;
use std::collections::BTreeMap;
use stead_hold::folder::Places;
use stead_steward::agents::Profiles;
use stead_steward::machines::api;

/// The agents whose login can be copied.
const COPIED: &str = "claude";

pub fn run(args: &Login) -> Outcome {
    let (machine, agent) = (&args.machine, &args.agent);
    if !attach::has_terminal() {
        return Err(Failure::misused("there is no terminal to log in at"));
    }
    let profiles = Profiles::load(&Places::from_env()?.config);
    let Some(profile) = profiles.get(agent) else {
        return Err(Failure::misused(format!("there is no agent \"{agent}\""))
            .help("stead agents lists those there are"));
    };
    if profile.login.is_empty() {
        return Err(Failure::misused(format!("the profile of {agent} names no login")).help(format!(
            "stead shell {machine}, and log in there; or add `login = [...]` to a profile of yours"
        )));
    }
    let steward = Steward::of_user()?;
    let shown = machine::ready(&steward, machine, false)?;
    steward.post::<()>(&format!("{}/agents/{agent}", path(machine)), &())?;
    let mut env: BTreeMap<String, String> =
        shown.declared.map(|declared| declared.env).unwrap_or_default();
    let term = std::env::var("TERM").unwrap_or_else(|_| "xterm-256color".into());
    env.insert("TERM".into(), term);
    let env: Vec<_> = env.into_iter().collect();
    let words = command(machine, profile.login.iter().chain(&args.args));
    door::become_it(door::command(&steward, machine, None, &env, &words)?)
}

/// The agent's login as it is run inside: where its installers put it, and with a word where it is not.
fn command<'a>(machine: &str, login: impl Iterator<Item = &'a String>) -> Vec<String> {
    const SCRIPT: &str = r#"PATH=$PATH:${HOME:-/root}/.local/bin:/usr/local/bin
command -v "$1" >/dev/null || { echo "$1 is not installed in $0" >&2; exit 127; }
exec "$@""#;
    let words = ["/bin/sh", "-c", SCRIPT, machine].map(String::from);
    words.into_iter().chain(login.cloned()).collect()
}

/// What whoever has a login copied should know before.
pub fn warn(machines: &[String]) {
    let Some(first) = machines.first() else { return };
    let first = present::clean(first);
    eprintln!(
        "warning: two copies of one login can log each other out when one of them is refreshed; \
         `stead login {first} -a {COPIED}` makes one of the machine's own"
    );
}

/// Copies this host's login into each machine that runs; one that fails does not keep the rest from it.
pub fn share(steward: &Steward, machines: &[String], json: bool) -> Result<u8, Failure> {
    let mut worst = 0;
    for machine in machines {
        let ask = api::ShareLogins { agents: vec![COPIED.into()] };
        let path = format!("{}/logins", path(machine));
        match steward.post::<Vec<api::SharedLogin>>(&path, &ask) {
            Ok(shared) if json => print_json(&shared)?,
            Ok(shared) => {
                for login in shared {
                    let what = if login.copied { "was copied" } else { "was left as it is there" };
                    print(format!("{machine}: the login of {} {what}\n", login.agent).as_bytes())?;
                }
            }
            Err(failure) => {
                crate::failure::report(&failure);
                worst = worst.max(failure.status);
            }
        }
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn an_agent_that_is_not_there_is_told_of() {
        let run = |login: &[&str]| {
            let login: Vec<String> = login.iter().map(ToString::to_string).collect();
            let words = command("box", login.iter());
            Command::new(&words[0]).args(&words[1..]).output().unwrap()
        };
        let missing = run(&["no-such-agent", "login"]);
        assert_eq!(missing.status.code(), Some(127));
        assert_eq!(missing.stderr, b"no-such-agent is not installed in box\n");
        let there = run(&["echo", "auth", "login  x"]);
        assert_eq!(there.stdout, b"auth login  x\n");
    }
}
