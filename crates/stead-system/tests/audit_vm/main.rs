//! The audit on a real Debian: brought to its declaration it is found well; broken in many ways, each is found and mended.

mod breaks;
mod guest;
mod image;

use breaks::{BREAKS, By};
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

    fn well(&self) -> Result<(), String> {
        let (report, output) = self.audit(&[]);
        let well = report.score == 100 && output.status.code() == Some(0);
        if well { Ok(()) } else { Err(report.plain(120, false, false)) }
    }

    fn is_well(&self, when: &str) {
        if let Err(why) = self.well() {
            panic!("{when}: {why}");
        }
    }
}

/// What holds the kernel's clock to another's in a machine without a network: nothing, so that the test says it is held.
const CLOCK: &str = "systemctl stop systemd-timesyncd; python3 -c \
    'import ctypes; b=(ctypes.c_int*64)(); b[0]=0x14; ctypes.CDLL(None).adjtimex(b)'";

#[test]
fn a_debian_is_found_as_declared_and_found_out_when_it_is_not() {
    let Some(guest) = Guest::up() else { return };
    let machine = Machine { guest, whole: declared() };
    let program = std::fs::read(env!("CARGO_BIN_EXE_stead-system")).unwrap();
    let put = "cat > /run/stead-system && chmod 755 /run/stead-system";
    assert!(machine.guest.run(&["sh", "-c", put], &program).status.success());
    machine.apply();
    machine.guest.sh(CLOCK);
    machine.is_well("at first");
    let mut wrong = Vec::new();
    for broken in BREAKS {
        println!("{}: {}", broken.id, broken.done);
        machine.guest.sh(broken.done);
        let (report, output) = machine.audit(&[]);
        let finding = report.findings.iter().find(|finding| finding.id == broken.id).unwrap();
        let told = finding.verdict == Verdict::Fail && finding.evidence.contains(broken.says);
        if !told || output.status.code() != Some(3) || finding.fix.is_none() {
            wrong.push(format!("{}: {finding:?}", broken.id));
        }
        let mut mended = Vec::new();
        match broken.by {
            By::Fix => mended = machine.audit(&["--fix"]).0.mended,
            By::Apply => machine.apply(),
            By::Hand(line) => drop(machine.guest.sh(line)),
        }
        if broken.by == By::Fix && !mended.iter().any(|mended| mended.id == broken.id) {
            wrong.push(format!("{}: mended {mended:?}", broken.id));
        }
        if let Err(why) = machine.well() {
            wrong.push(format!("after {}: {why} {mended:?}", broken.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
