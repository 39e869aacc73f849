//! Every check passes, fails and does not know.

mod healthy;
mod table;

use super::all;
use crate::audit::judge;
use crate::audit::report::{Finding, Verdict};
use healthy::healthy;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use table::TABLE;

fn finding(report: &crate::audit::Report, id: &str) -> Finding {
    report
        .findings
        .iter()
        .find(|finding| finding.id == id)
        .unwrap_or_else(|| panic!("no {id}"))
        .clone()
}

#[test]
fn a_machine_that_is_as_declared_passes_every_check() {
    let (whole, evidence) = healthy();
    let report = judge(&whole, &evidence);
    let ids: BTreeSet<&str> = report.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, all().map(|check| check.id).collect());
    assert_eq!(report.counts.pass, report.findings.len(), "{}", report.plain(120, false, false));
    assert_eq!((report.score, report.status()), (100, 0));
}

#[test]
fn every_check_is_in_the_table() {
    let listed: BTreeSet<&str> = TABLE.iter().map(|row| row.id).collect();
    assert_eq!(listed, all().map(|check| check.id).collect());
    assert_eq!(all().count(), listed.len());
}

#[test]
fn every_check_fails_with_the_evidence_and_the_fix() {
    for row in TABLE {
        let (mut whole, mut evidence) = healthy();
        (row.broken)(&mut whole, &mut evidence);
        let report = judge(&whole, &evidence);
        let finding = finding(&report, row.id);
        assert_eq!(finding.verdict, Verdict::Fail, "{}: {}", row.id, finding.evidence);
        assert!(finding.evidence.contains(row.says), "{}: {}", row.id, finding.evidence);
        assert!(finding.fix.is_some_and(|fix| !fix.is_empty()), "{}", row.id);
        assert_eq!(report.status(), 3);
        assert!(report.score < 100);
    }
}

#[test]
fn what_could_not_be_looked_at_is_unknown_and_never_passes() {
    for row in TABLE {
        let (whole, mut evidence) = healthy();
        (row.blind)(&mut evidence);
        let report = judge(&whole, &evidence);
        let finding = finding(&report, row.id);
        assert_eq!(finding.verdict, Verdict::Unknown, "{}: {}", row.id, finding.evidence);
        assert!(finding.evidence.contains("blind"), "{}: {}", row.id, finding.evidence);
        assert!(report.score < 100 && report.status() == 0, "{}", row.id);
    }
}

#[test]
fn what_is_not_declared_is_not_judged() {
    let (mut whole, evidence) = healthy();
    whole.system = stead_file::declared::System { audit_log: false, ..Default::default() };
    whole.system.ssh.enable = false;
    whole.system.updates = stead_file::declared::Updates::Off;
    let report = judge(&whole, &evidence);
    for id in [
        "ssh.password",
        "services.running",
        "machine.audit-log",
        "updates.automatic",
        "overlay.up",
        "ssh.fail2ban",
    ] {
        assert!(report.findings.iter().all(|finding| finding.id != id), "{id}");
    }
    assert_eq!(finding(&report, "ssh.running").verdict, Verdict::Fail);
}

#[test]
fn the_manual_lists_every_check() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/audit.md");
    let (begin, end) = ("<!-- checks -->\n", "<!-- end of checks -->");
    let text = std::fs::read_to_string(page).unwrap();
    let (head, rest) = text.split_once(begin).unwrap();
    let (_, tail) = rest.split_once(end).unwrap();
    let mut table = String::from("\n| check | what is to be so | if not |\n| --- | --- | --- |\n");
    for check in all() {
        let _ =
            writeln!(table, "| `{}` | {}. | {} |", check.id, check.title, check.severity.word());
    }
    let wanted = format!("{head}{begin}{table}\n{end}{tail}");
    if std::env::var_os("STEAD_UPDATE").is_some() {
        std::fs::write(page, &wanted).unwrap();
    }
    assert!(
        text == wanted || std::env::var_os("STEAD_UPDATE").is_some(),
        "STEAD_UPDATE=1 writes it anew"
    );
}

/// What a check says of a machine that is well but for this.
fn judged(id: &str, broken: impl FnOnce(&mut crate::audit::evidence::Evidence)) -> Finding {
    let (whole, mut evidence) = healthy();
    broken(&mut evidence);
    finding(&judge(&whole, &evidence), id)
}

#[test]
fn what_holds_for_one_person_only_is_found_and_named() {
    let found = judged("ssh.password", |e| {
        let bob = e.sshd.as_mut().unwrap().people.get_mut("bob").unwrap();
        bob.insert("passwordauthentication".into(), vec!["yes".into()]);
    });
    assert_eq!(found.verdict, Verdict::Fail);
    assert_eq!(found.evidence, "passwordauthentication yes for bob");
    let found = judged("ssh.users", |e| {
        let bob = e.sshd.as_mut().unwrap().people.get_mut("bob").unwrap();
        bob.insert("allowusers".into(), vec!["bob".into()]);
    });
    assert_eq!(
        (found.verdict, &*found.evidence),
        (Verdict::Fail, "AllowUsers has bob, not declared")
    );
}

#[test]
fn what_only_files_say_of_ssh_is_no_evidence() {
    for id in ["ssh.password", "ssh.root", "ssh.users", "ssh.tries", "ssh.idle", "ssh.port"] {
        let found = judged(id, |e| {
            e.sshd.as_mut().unwrap().unasked = Some("there is no sshd".into());
        });
        assert_eq!(found.verdict, Verdict::Unknown, "{id}: {}", found.evidence);
        assert!(
            found.evidence.starts_with("there is no sshd; its files say "),
            "{}",
            found.evidence
        );
        assert!(!found.evidence.ends_with("nothing of it"), "{}", found.evidence);
    }
}

#[test]
fn the_metadata_address_passes_by_rules_and_by_an_attempt() {
    use crate::audit::evidence::Reached;
    let found = judged("firewall.metadata", |_| ());
    assert_eq!(found.evidence, "the rules stop it; as nobody: Connection refused");
    let found = judged("firewall.metadata", |e| {
        e.metadata = Ok(Reached::Yes);
        e.ruleset = Err("blind".into());
    });
    assert_eq!(found.verdict, Verdict::Fail, "{}", found.evidence);
    let found = judged("firewall.metadata", |e| e.metadata = Ok(Reached::Yes));
    assert_eq!(found.evidence, "user nobody was connected with 169.254.169.254");
    let found = judged("firewall.metadata", |e| e.metadata = Err("blind".into()));
    assert_eq!((found.verdict, &*found.evidence), (Verdict::Unknown, "blind"));
}

#[test]
fn a_group_with_others_in_it_is_not_private() {
    let of = |path: &str| crate::audit::evidence::Credential {
        group: Some(("devs".into(), vec!["bob".into()])),
        ..healthy::file(path, 0o640)
    };
    let found = judged("credentials.private", |e| e.credentials = Ok(vec![of("/home/ada/.env")]));
    assert_eq!(found.verdict, Verdict::Fail);
    assert_eq!(found.evidence, "/home/ada/.env has mode 0640, and group devs has bob");
    assert_eq!(found.mends.len(), 1);
    let found = judged("credentials.private", |e| e.credentials = Ok(vec![of("/etc/shadow")]));
    assert_eq!(found.fix.as_deref(), Some("gpasswd -d bob devs"));
    assert!(found.mends.is_empty());
}
