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
    Whole { machine: "box".into(), name: "dev".into(), system, outside: false }
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
        let mut command = vec!["/run/stead-system", "audit", "--patience", "100"];
        command.extend(arguments);
        let output = self.guest.run(&command, &whole);
        let report = serde_json::from_slice(&output.stdout);
        (report.unwrap_or_else(|why| panic!("{why}: {output:?}")), output)
    }
}

/// Until fail2ban watches ssh.
const WATCHES: &str =
    "timeout 200 sh -c 'until fail2ban-client status sshd > /dev/null 2>&1; do :; done'";

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
    machine.guest.sh(WATCHES);
    let (report, output) = machine.audit(&[]);
    assert_eq!(report.score, 100, "at first: {}", report.plain(120, false, false));
    assert_eq!(output.status.code(), Some(0));
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
        let after = match broken.by {
            By::Fix => {
                let (report, _) = machine.audit(&["--fix"]);
                if !report.mended.iter().any(|mended| mended.id == broken.id) {
                    wrong.push(format!("{}: mended {:?}", broken.id, report.mended));
                }
                report
            }
            By::Apply => {
                machine.apply();
                machine.audit(&[]).0
            }
            By::Hand(line) => {
                machine.guest.sh(line);
                machine.audit(&[]).0
            }
        };
        // It takes its time to start, and what it watches cannot be told before.
        let after = if after.score < 100 && after.counts.fail == 0 {
            machine.guest.sh(WATCHES);
            machine.audit(&[]).0
        } else {
            after
        };
        if after.score < 100 {
            wrong.push(format!("after {}: {}", broken.id, after.plain(120, false, false)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
