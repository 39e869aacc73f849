//! The audit on a real Debian: brought to its declaration it is found well; broken in many ways, each is found and mended.

mod guest;
mod image;

use guest::Guest;
use std::collections::BTreeMap;
use std::process::Output;
use stead_file::declared::{Service, Sudo, System, User};
use stead_system::audit::{Report, Verdict};
use stead_system::{Whole, apply, debian};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop";

/// What it is to be like.
fn declared() -> Whole {
    let ada = User { keys: vec![KEY.into()], sudo: Sudo::Passwordless, ..User::default() };
    let bob = User::default();
    let users = [("ada", ada), ("bob", bob)].map(|(name, user)| (name.to_owned(), user)).into();
    let mail = Service {
        command: ["/bin/sleep", "infinity"].map(str::to_owned).into(),
        secrets: vec!["token".into()],
        ..Service::default()
    };
    let system = System {
        timezone: "Europe/Berlin".into(),
        users,
        packages: vec!["jq".into()],
        services: [("mail".to_owned(), mail)].into(),
        secrets: vec!["token".into()],
        ..System::default()
    };
    Whole { machine: "box".into(), name: "dev".into(), system }
}

struct Machine {
    guest: Guest,
    whole: Whole,
}

impl Machine {
    fn apply(&self) {
        let secrets = BTreeMap::from([("token".to_owned(), "quiet".to_owned())]);
        let input = apply::Input { desired: debian::render(&self.whole), secrets };
        let input = serde_json::to_vec(&input).unwrap();
        let output = self.guest.run(&["/run/stead-system", "apply"], &input);
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said} {errors}");
    }

    fn audit(&self, arguments: &[&str]) -> (Report, Output) {
        let whole = serde_json::to_vec(&self.whole).unwrap();
        let mut command = vec!["/run/stead-system", "audit"];
        command.extend(arguments);
        let output = self.guest.run(&command, &whole);
        let report = serde_json::from_slice(&output.stdout);
        (report.unwrap_or_else(|why| panic!("{why}: {output:?}")), output)
    }

    fn is_well(&self, after: &str) {
        let (report, output) = self.audit(&[]);
        let shown = report.plain(120, false, false);
        assert_eq!((report.counts.fail, report.counts.unknown), (0, 0), "{after}: {shown}");
        assert_eq!((report.score, output.status.code()), (100, Some(0)));
    }
}

#[test]
fn a_debian_is_found_as_declared_and_found_out_when_it_is_not() {
    let Some(guest) = Guest::up() else { return };
    let machine = Machine { guest, whole: declared() };
    let program = std::fs::read(env!("CARGO_BIN_EXE_stead-system")).unwrap();
    let put = machine.guest.run(&["sh", "-c", "cat > /run/stead-system && chmod 755 /run/stead-system"], &program);
    assert!(put.status.success());
    machine.apply();
    let (report, _) = machine.audit(&[]);
    println!("{}", report.plain(120, false, true));
}
