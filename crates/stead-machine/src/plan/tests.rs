mod systems;

use super::*;
use crate::model::Phase;
use crate::operation::{Kind, OperationStatus};
use crate::records::{Applied, Damaged, Pending, Record, Status};
use std::net::Ipv4Addr;
use stead_file::declared::{Egress, Machine, Network};
use stead_file::size::Size;

const OWNER: &str = "site (/site/stead.toml)";

/// Something done to what a plan is made from.
type Tamper = Box<dyn Fn(&mut Given)>;

/// What a plan is made from, in the hands of a test.
struct Given {
    declared: Declaration,
    records: Listing,
    observed: BTreeMap<String, Result<Vec<Observed>, EngineError>>,
    remarks: BTreeMap<String, Vec<Remark>>,
    systems: BTreeMap<String, Rendered>,
    interrupted: Vec<Operation>,
}

fn machine() -> Machine {
    Machine { memory: Some(Size(4 << 30)), cpus: Some(2000), ..Machine::default() }
}

fn record(name: &str) -> Record {
    Record {
        wanted: Wanted {
            name: name.into(),
            id: "0".repeat(32),
            number: 1,
            address: Ipv4Addr::LOCALHOST,
            declared: machine(),
            network: None,
            state: name.into(),
            created: 0,
        },
        owner: Some(OWNER.into()),
        applied: Some(Applied { declared: machine(), network: None }),
        status: Status::There,
        pending: None,
        system: None,
    }
}

fn seen(name: &str, phase: Phase) -> Observed {
    let (made_from, since, id, notes) = (Some(machine()), None, None, Vec::new());
    Observed { name: name.into(), phase, made_from, since, id, notes }
}

impl Given {
    /// Machines that are declared, recorded and run.
    fn as_declared(names: &[&str]) -> Self {
        let all = |name: &&str| (*name).to_owned();
        Given {
            declared: Declaration {
                machines: names.iter().map(|n| (all(n), machine())).collect(),
                ..Declaration::default()
            },
            records: Listing {
                records: names.iter().map(|n| (all(n), record(n))).collect(),
                damaged: BTreeMap::new(),
            },
            observed: BTreeMap::from([(
                "sandbox".into(),
                Ok(names.iter().map(|n| seen(n, Phase::Running)).collect()),
            )]),
            remarks: BTreeMap::new(),
            systems: BTreeMap::new(),
            interrupted: Vec::new(),
        }
    }

    fn plan(&self) -> Plan {
        let plan = plan(&Input {
            declared: &self.declared,
            owner: OWNER,
            records: &self.records,
            observed: &self.observed,
            remarks: &self.remarks,
            systems: &self.systems,
            interrupted: &self.interrupted,
            needs_restart: &|_, before, after| {
                if before.declared.memory == after.declared.memory {
                    vec![]
                } else {
                    vec!["memory"]
                }
            },
        });
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
        plan
    }

    fn declared(&mut self, name: &str) -> &mut Machine {
        self.declared.machines.get_mut(name).unwrap()
    }

    fn record(&mut self, name: &str) -> &mut Record {
        self.records.records.get_mut(name).unwrap()
    }

    fn sees(&mut self, seen: Vec<Observed>) {
        self.observed.insert("sandbox".into(), Ok(seen));
    }

    /// The action of machine `m`.
    fn action(&self) -> Action {
        self.plan().machines.into_iter().find(|entry| entry.name == "m").unwrap().action
    }
}

fn m() -> Given {
    Given::as_declared(&["m"])
}

#[test]
fn as_declared_there_is_nothing_to_do() {
    let plan = Given::as_declared(&["a", "b"]).plan();
    assert_eq!(
        (plan.exit_status(), plan.to_string().as_str()),
        (0, "nothing to do; 2 as declared")
    );
}

#[test]
fn a_plan_reads_well() {
    let mut given = Given::as_declared(&["box", "down", "gone", "old", "up"]);
    given.declared.machines.insert("new".into(), Machine { egress: Egress::None, ..machine() });
    given.declared.machines.remove("old");
    *given.declared("box") = Machine { memory: Some(Size(8 << 30)), cpus: None, ..machine() };
    given.declared("down").running = false;
    given.sees(vec![
        seen("box", Phase::Running),
        seen("down", Phase::Running),
        seen("old", Phase::Running),
        seen("up", Phase::Stopped),
    ]);
    given.declared.machines.insert("far".into(), Machine { engine: "qemu".into(), ..machine() });
    given.observed.insert("qemu".into(), Err(EngineError::Unreachable("no socket".into())));
    let plan = given.plan();
    let text = "\
~ box   change   cpus 2 → none
                 memory 4 GiB → 8 GiB  (restart)
. down  stop
? far   unknown  engine qemu cannot be asked: no socket
+ gone  create   sandbox, 4 GiB, 2 cpus
        drift: phase was applied as there, is not there
        note: what was in it is gone; it is made afresh
+ new   create   sandbox, 4 GiB, 2 cpus, egress none
- old   destroy  state old, what runs in it
> up    start
        drift: phase was applied as running, is stopped
2 to create, 1 to change, 1 to start, 1 to stop, 1 to destroy; 1 unknown";
    assert_eq!(plan.to_string(), text);
    assert_eq!(plan.exit_status(), 3);
}

#[test]
fn what_stands_in_the_way_is_said_once_and_what_is_alike_for_several_below_them() {
    let mut given = Given::as_declared(&["a", "b", "c", "d"]);
    let remark = |refused, text: &str| Remark { refused, text: text.into() };
    let no_limits = || remark(true, "memory: no limits here");
    given.remarks = BTreeMap::from([
        ("a".into(), vec![remark(true, "image: there is none"), remark(false, "open to all")]),
        ("b".into(), vec![no_limits(), remark(true, "disk: full")]),
        ("c".into(), vec![no_limits(), remark(false, "open to all")]),
    ]);
    given.sees(vec![
        seen("a", Phase::Stopped),
        seen("b", Phase::Stopped),
        seen("c", Phase::Stopped),
        seen("d", Phase::Running),
    ]);
    let text = "\
x a  blocked  image: there is none
x b  blocked
     refused: disk: full
x c  blocked
  a, b, c: drift: phase was applied as running, is stopped
  a, c: warning: open to all
  b, c: blocked: memory: no limits here
nothing to do; 1 as declared, 3 blocked";
    assert_eq!(given.plan().to_string(), text);

    // A machine of which nothing else is to be said has no line.
    let mut given = Given::as_declared(&["a", "b", "c", "d", "e"]);
    let same = || vec![remark(false, "open to all")];
    given.remarks = ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), same())).into();
    assert_eq!(
        given.plan().to_string(),
        "  all 5 machines: warning: open to all\nnothing to do; 5 as declared"
    );
}

#[test]
fn an_engine_that_is_not_there_is_told_with_those_that_are() {
    let mut given = m();
    given.records = Listing::default();
    given.declared("m").engine = "qemu".into();
    let why = "there is no engine \"qemu\" here; there are: sandbox".into();
    assert_eq!(given.action(), Action::Unknown { why });
}

#[test]
fn what_cannot_be_seen_is_never_touched() {
    let blind: [Tamper; 6] = [
        Box::new(|g| {
            g.observed.insert("sandbox".into(), Err(EngineError::Unreachable("gone".into())));
        }),
        Box::new(|g| g.observed.clear()),
        Box::new(|g| g.sees(vec![seen("m", Phase::Unknown("busy".into()))])),
        Box::new(|g| g.sees(vec![seen("m", Phase::Running), seen("m", Phase::Stopped)])),
        Box::new(|g| {
            g.sees(vec![Observed { id: Some("f".repeat(32)), ..seen("m", Phase::Running) }]);
        }),
        Box::new(|g| {
            let damaged = Damaged { path: "/m".into(), why: "torn".into() };
            g.records.records.clear();
            g.records.damaged.insert("m".into(), damaged);
        }),
    ];
    let worlds: [fn(&mut Given); 5] = [
        |_| {},
        |g| g.declared.machines.clear(),
        |g| g.declared("m").memory = None,
        |g| g.record("m").status = Status::Going,
        |g| g.record("m").status = Status::Making,
    ];
    for world in worlds {
        for blind in &blind {
            let mut given = m();
            world(&mut given);
            blind(&mut given);
            let action = given.action();
            assert!(matches!(action, Action::Unknown { .. }), "{action:?}");
            assert_eq!(given.plan().exit_status(), 1);
        }
    }
}

#[test]
fn a_machine_that_was_never_made_and_cannot_be_seen_is_not_made() {
    let mut given = m();
    given.records = Listing::default();
    given.observed.insert("sandbox".into(), Err(EngineError::Unreachable("gone".into())));
    assert!(matches!(given.action(), Action::Unknown { .. }));
}

#[test]
fn what_was_cut_short_is_finished() {
    let pending = |operation: &str| Pending::Restore {
        snapshot: "s".into(),
        kept: "k".into(),
        kept_whole: false,
        start: true,
        operation: operation.into(),
    };
    let worlds: [fn(&mut Given, Pending); 5] = [
        |g, _| g.record("m").status = Status::Making,
        |g, _| g.record("m").status = Status::Going,
        |g, pending| g.record("m").pending = Some(pending),
        |g, _| g.sees(vec![seen("m", Phase::Partial("half".into()))]),
        |g, _| {
            g.interrupted = vec![Operation {
                id: "1".into(),
                kind: Kind::Start,
                machine: "m".into(),
                owner: None,
                started: 0,
                ended: None,
                status: OperationStatus::Interrupted,
                steps: Vec::new(),
            }];
        },
    ];
    for world in worlds {
        let mut given = m();
        world(&mut given, pending("1"));
        assert!(matches!(given.action(), Action::Finish { .. }), "{:?}", given.action());
        given.declared.machines.clear();
        assert!(matches!(given.action(), Action::Destroy { .. }), "{:?}", given.action());
    }
}

#[test]
fn what_is_not_this_files_is_left_alone() {
    let mut given = m();
    given.record("m").owner = None;
    assert!(matches!(given.action(), Action::Change { .. }), "declared, it is taken over");
    given.declared.machines.clear();
    assert!(given.plan().machines.is_empty());
    let mut given = m();
    given.record("m").owner = Some("other".into());
    assert!(matches!(given.action(), Action::Blocked { .. }));
    given.declared.machines.clear();
    assert!(given.plan().machines.is_empty());
    let mut given = m();
    given.records = Listing::default();
    assert!(matches!(given.action(), Action::Blocked { .. }), "nobody knows where it came from");
}

#[test]
fn what_no_engine_can_change_is_blocked() {
    let changes: [fn(&mut Machine); 3] = [
        |m| m.engine = "qemu".into(),
        |m| m.image = "debian/12".into(),
        |m| m.state = Some("other".into()),
    ];
    for change in changes {
        let mut given = m();
        given.observed.insert("qemu".into(), Ok(Vec::new()));
        change(given.declared("m"));
        assert!(matches!(given.action(), Action::Blocked { .. }), "{:?}", given.action());
    }
}

#[test]
fn a_remark_stands_in_the_way_of_changes_only() {
    let mut given = m();
    let remark = Remark { refused: true, text: "disk: full".into() };
    given.remarks.insert("m".into(), vec![remark]);
    assert_eq!(given.action(), Action::Nothing);
    given.declared("m").memory = None;
    assert_eq!(given.action(), Action::Blocked { why: "disk: full".into() });
    given.declared("m").memory = machine().memory;
    given.declared("m").running = false;
    assert_eq!(given.action(), Action::Stop, "stopping needs no room");
    given.declared.machines.clear();
    assert!(matches!(given.action(), Action::Destroy { .. }));
}

#[test]
fn a_network_is_part_of_its_machines() {
    let mut given = m();
    let network = Network { egress: Egress::WebOnly, peers: true };
    given.declared.networks.insert("net".into(), network.clone());
    given.declared("m").network = Some("net".into());
    given.record("m").applied = Some(Applied {
        declared: given.declared.machines["m"].clone(),
        network: Some(Network { peers: false, ..network }),
    });
    let made_from = given.declared.machines.get("m").cloned();
    given.sees(vec![Observed { made_from, ..seen("m", Phase::Running) }]);
    let Action::Change { keys, .. } = given.action() else { panic!("{:?}", given.action()) };
    let keys: Vec<String> =
        keys.iter().map(|k| format!("{} {} {}", k.key, k.before, k.after)).collect();
    assert_eq!(keys, ["network.peers no yes"]);
}

#[test]
fn secrets_of_the_environment_are_not_shown() {
    let mut given = m();
    given.declared("m").env.insert("TOKEN".into(), "hunter2".into());
    let plan = given.plan();
    assert!(plan.to_string().contains("env none → TOKEN"), "{plan}");
    assert!(!plan.to_string().contains("hunter2"));
}

/// How much is done for a thousand machines: each is decided once, by lookups, and nothing is asked twice.
#[test]
fn a_thousand_machines_are_planned() {
    let names: Vec<String> = (0..1000).map(|n| format!("machine-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut given = Given::as_declared(&names);
    for name in &names[..500] {
        given.declared(name).memory = Some(Size(8 << 30));
    }
    let asked = std::cell::Cell::new(0);
    let input = Input {
        declared: &given.declared,
        owner: OWNER,
        records: &given.records,
        observed: &given.observed,
        remarks: &given.remarks,
        systems: &given.systems,
        interrupted: &[],
        needs_restart: &|_, _, _| {
            asked.set(asked.get() + 1);
            Vec::new()
        },
    };
    let plan = plan(&input);
    assert_eq!((plan.counts.change, plan.counts.nothing, asked.get()), (500, 500, 500));
    let started = std::time::Instant::now();
    for _ in 0..10 {
        std::hint::black_box(super::plan(&input));
    }
    println!("a plan of 1000 machines: {:?}", started.elapsed() / 10);
}
