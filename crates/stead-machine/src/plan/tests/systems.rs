//! What a plan says of systems.

use super::*;
use crate::system::{Brought, By};

/// A system with these parts.
fn rendered(parts: &[(&str, &str)], by: By) -> Rendered {
    Rendered { name: "dev".into(), parts: digests(parts), by }
}

fn digests(parts: &[(&str, &str)]) -> BTreeMap<String, String> {
    parts.iter().map(|(part, digest)| ((*part).to_owned(), (*digest).to_owned())).collect()
}

const PARTS: [(&str, &str); 2] = [("files", "f1"), ("packages", "p1")];

/// When it was brought.
const AT: u64 = 1000;

fn brought(parts: &[(&str, &str)]) -> Brought {
    Brought { name: "dev".into(), parts: digests(parts), switch: "1".into(), at: Some(AT) }
}

/// A machine that runs and was brought to the system that is declared.
fn given() -> Given {
    let mut given = Given::as_declared(&["m"]);
    given.declared("m").system = Some("dev".into());
    given.systems.insert("m".into(), rendered(&PARTS, By::Apply));
    given.record("m").system = Some(brought(&PARTS));
    given
}

fn system(plan: &Plan) -> Option<&SystemAction> {
    plan.machines[0].system.as_ref().map(|system| &system.action)
}

fn switch(why: &str, parts: &[&str]) -> SystemAction {
    let parts = parts.iter().map(|part| (*part).to_owned()).collect();
    SystemAction::Switch { why: why.into(), parts }
}

#[test]
fn what_was_brought_is_as_declared() {
    let plan = given().plan();
    assert_eq!(system(&plan), Some(&SystemAction::Nothing { at: AT }));
    assert_eq!((plan.exit_status(), plan.has_changes()), (0, false));
    assert_eq!(plan.to_string(), "nothing to do; 1 as declared");
    // What it is called is no part of it.
    let mut renamed = given();
    renamed.systems.get_mut("m").unwrap().name = "other".into();
    assert_eq!(renamed.plan().exit_status(), 0);
}

#[test]
fn what_was_never_brought_or_is_otherwise_or_doubtful_is_switched() {
    let cases: [(&str, Tamper, SystemAction); 6] = [
        ("never", Box::new(|g| g.record("m").system = None), switch("it was never brought", &[])),
        (
            "otherwise",
            Box::new(|g| g.record("m").system = Some(brought(&[("files", "f0"), PARTS[1]]))),
            switch("otherwise than brought: files", &["files"]),
        ),
        (
            "a part more and a part less",
            Box::new(|g| g.record("m").system = Some(brought(&[PARTS[0], ("units", "u1")]))),
            switch("otherwise than brought: packages, units", &["packages", "units"]),
        ),
        (
            "cut short",
            Box::new(|g| g.record("m").system.as_mut().unwrap().at = None),
            switch("the last switch failed or was cut short", &[]),
        ),
        (
            "forgotten",
            Box::new(|g| {
                let ephemeral = Machine { ephemeral: true, ..g.declared("m").clone() };
                *g.declared("m") = ephemeral.clone();
                let made = Machine { system: None, ..ephemeral };
                g.record("m").wanted.declared = made.clone();
                g.record("m").applied.as_mut().unwrap().declared = made.clone();
                let since = Some(AT + 1);
                let seen = Observed { made_from: Some(made), since, ..seen("m", Phase::Running) };
                g.sees(vec![seen]);
            }),
            switch("an ephemeral machine forgets it when it stops", &[]),
        ),
        (
            "a state that is gone",
            Box::new(|g| g.sees(Vec::new())),
            switch("it was never brought", &[]),
        ),
    ];
    for (case, tamper, expected) in cases {
        let mut given = given();
        tamper(&mut given);
        let plan = given.plan();
        assert_eq!(system(&plan), Some(&expected), "{case}: {plan}");
        assert_eq!((plan.exit_status(), plan.counts.switch), (3, 1), "{case}");
        assert!(plan.to_string().contains("1 system to switch"), "{case}: {plan}");
        assert!(!plan.to_string().contains("1 as declared"), "{case}: {plan}");
    }
}

#[test]
fn an_ephemeral_machine_that_runs_since_has_it_still() {
    let mut given = given();
    given.declared("m").ephemeral = true;
    let made = given.declared("m").clone();
    given.record("m").wanted.declared = made.clone();
    given.record("m").applied.as_mut().unwrap().declared = made.clone();
    let seen = Observed { made_from: Some(made), since: Some(AT - 1), ..seen("m", Phase::Running) };
    given.sees(vec![seen]);
    assert_eq!(system(&given.plan()), Some(&SystemAction::Nothing { at: AT }));
}

#[test]
fn it_is_shown_below_what_else_is_done() {
    let mut given = given();
    given.record("m").system = None;
    assert_eq!(
        given.plan().to_string(),
        "~ m  switch   system dev: it was never brought\n1 system to switch"
    );
    given.sees(vec![seen("m", Phase::Stopped)]);
    given.record("m").applied.as_mut().unwrap().declared.running = false;
    assert_eq!(
        given.plan().to_string(),
        "> m  start\n     then switch system dev: it was never brought\n1 to start, 1 system to switch"
    );
}

#[test]
fn a_machine_that_is_to_be_stopped_is_not_started_for_it() {
    let mut given = given();
    given.record("m").system = None;
    given.declared("m").running = false;
    let plan = given.plan();
    assert_eq!(plan.machines[0].action, Action::Stop);
    assert!(matches!(system(&plan), Some(SystemAction::Waits { .. })), "{plan}");
    given.sees(vec![seen("m", Phase::Stopped)]);
    given.record("m").applied.as_mut().unwrap().declared.running = false;
    let plan = given.plan();
    assert_eq!(
        plan.to_string(),
        "  m  as declared but for its system\n     system dev waits until the machine runs: it is declared stopped\n\
         nothing to do; 1 system waits"
    );
    assert_eq!((plan.exit_status(), plan.counts.nothing), (0, 0));
}

#[test]
fn what_a_person_brings_and_what_nobody_can_is_told_and_not_done() {
    let mut given = given();
    given.systems.insert("m".into(), rendered(&[], By::Hand { why: "for a person".into() }));
    let plan = given.plan();
    assert_eq!((plan.exit_status(), plan.has_changes()), (0, false));
    assert!(plan.to_string().contains("system dev waits for a person"), "{plan}");
    given.systems.insert("m".into(), rendered(&[], By::Nobody { why: "no secret".into() }));
    let plan = given.plan();
    assert_eq!((plan.exit_status(), plan.counts.blocked, plan.counts.nothing), (1, 1, 0));
    assert!(plan.to_string().starts_with("x m"), "{plan}");
    assert!(plan.to_string().contains("system dev is blocked: no secret"), "{plan}");
    // As long as what was brought is what is declared, nobody has to.
    given.systems.insert("m".into(), rendered(&PARTS, By::Nobody { why: "no secret".into() }));
    assert_eq!(given.plan().exit_status(), 0);
}

#[test]
fn nothing_is_said_of_a_machine_to_which_nothing_is_done() {
    let mut unknown = given();
    unknown.record("m").system = None;
    unknown.sees(vec![seen("m", Phase::Unknown("it is silent".into()))]);
    let mut blocked = given();
    blocked.record("m").system = None;
    blocked.record("m").owner = Some("another".into());
    let mut none = given();
    none.declared("m").system = None;
    let mut unasked = given();
    unasked.systems.clear();
    for given in [unknown, blocked, none, unasked] {
        let plan = given.plan();
        assert_eq!((system(&plan), plan.counts.switch), (None, 0), "{plan}");
    }
}
