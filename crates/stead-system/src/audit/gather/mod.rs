//! Looks at a machine once.
//!
//! Every program that is asked has a time of its own, and all are asked at once, so that one that hangs makes unknown what it
//! would have told and nothing else. Files in homes are their owners': nothing of them is followed, waited for or read
//! without a bound.

mod agents;
mod apt;
mod credentials;
mod files;
mod keys;
mod machine;
mod metadata;
mod packages;
mod people;
mod processes;
mod program;
mod sockets;
mod ssh;
mod systemd;
#[cfg(test)]
mod tests;
mod version;

pub use files::Place;
pub use metadata::attempt;
pub(super) use program::{find, run_within};

use super::checks;
use super::evidence::{Evidence, Seen};
use super::rules::Ruleset;
use crate::Whole;
use std::thread;

/// Looks at everything that the checks of a system judge.
pub fn gather(place: &Place, whole: &Whole) -> Evidence {
    let services = checks::services(whole);
    let accounts = people::accounts(place);
    thread::scope(|scope| {
        let sshd = scope.spawn(|| ssh::effective(place, whole, &accounts));
        let metadata = scope.spawn(|| metadata::reached(place, whole));
        let rules = scope.spawn(|| ruleset(place));
        let units = scope.spawn(|| systemd::units(place, &checks::units(whole)));
        let failed = scope.spawn(|| systemd::failed(place));
        let exposure = scope.spawn(|| systemd::exposure(place, &services));
        let apt = scope.spawn(|| apt::settings(place, whole));
        let jails = scope.spawn(|| systemd::jails(place, whole));
        let updates = scope.spawn(|| packages::updates(place));
        let sshd = joined(sshd.join());
        Evidence {
            os: machine::os(place),
            container: place.path("/run/systemd/container").exists(),
            ruleset: joined(rules.join()),
            listeners: sockets::listeners(place),
            metadata: joined(metadata.join()),
            ipv6: machine::ipv6(place),
            passwords: people::passwords(place),
            groups: people::groups(place),
            sudo: people::sudo(place),
            keys: keys::all(place, whole, &accounts, &sshd),
            credentials: credentials::all(place, &accounts, &people::groups(place)),
            secrets: credentials::secrets(place),
            plain_keys: credentials::plain(place),
            units: joined(units.join()),
            failed: joined(failed.join()),
            exposure: joined(exposure.join()),
            apt: joined(apt.join()),
            updates: joined(updates.join()),
            lists_age: packages::lists_age(place),
            restart: machine::restart(place),
            packages: packages::installed(place),
            agents: agents::all(place, whole, &accounts),
            jails: joined(jails.join()),
            hostname: machine::hostname(place),
            timezone: machine::timezone(place),
            locale: machine::locale(place),
            interfaces: machine::interfaces(place),
            remote_controls: processes::remote_controls(place),
            environments: processes::environments(place, &accounts),
            engine_sockets: sockets::engines(place),
            clock: machine::clock(),
            disks: Ok(machine::disks(place)),
            accounts: accounts.clone(),
            sshd,
        }
    })
}

/// What a thread found; one that broke down found nothing.
fn joined<T>(found: thread::Result<Seen<T>>) -> Seen<T> {
    found.unwrap_or_else(|_| Err("looking at it broke down".into()))
}

fn ruleset(place: &Place) -> Seen<Ruleset> {
    Ruleset::parse(&program::run(place, "nft", &["-j", "list", "ruleset"])?)
}
