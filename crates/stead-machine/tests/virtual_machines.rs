//! Plans of virtual machines, and of the example files.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use stead_file::declared::{Declaration, Machine};
use stead_file::{Context, read};
use stead_machine::model::{Observed, Phase, Wanted};
use stead_machine::plan::{Action, Input, KeyChange, plan};
use stead_machine::records::{Applied, Listing, Record, Status};
use stead_machine::{Plan, vm};

const OWNER: &str = "site (/site/stead.toml)";

fn declared(text: &str) -> Declaration {
    let context = Context {
        path: "stead.toml".into(),
        folder: "/site".into(),
        home: Some("/home/ana".into()),
        engines: vec!["host", "sandbox", "qemu"],
        host: None,
    };
    read(text, &context).unwrap_or_else(|report| panic!("{}", report.plain())).declaration
}

fn record(name: &str, machine: &Machine) -> Record {
    Record {
        wanted: Wanted {
            name: name.into(),
            id: "0".repeat(32),
            number: 1,
            address: Ipv4Addr::LOCALHOST,
            declared: machine.clone(),
            network: None,
            state: name.into(),
            created: 0,
        },
        owner: Some(OWNER.into()),
        applied: Some(Applied { declared: machine.clone(), network: None }),
        status: Status::There,
        pending: None,
        system: None,
    }
}

/// The plan from the machines of one file, all of which run, to another file.
fn planned(before: &Declaration, after: &Declaration) -> Plan {
    let records =
        before.machines.iter().map(|(name, machine)| (name.clone(), record(name, machine)));
    let mut observed: BTreeMap<_, _> =
        ["host", "sandbox", "qemu"].map(|engine| (engine.to_owned(), Ok(Vec::new()))).into();
    for (name, machine) in &before.machines {
        let seen = Observed {
            name: name.clone(),
            phase: Phase::Running,
            made_from: Some(machine.clone()),
            since: None,
            id: None,
            notes: Vec::new(),
        };
        let of: &mut Result<Vec<Observed>, _> = observed.get_mut(&machine.engine).unwrap();
        of.as_mut().unwrap().push(seen);
    }
    plan(&Input {
        declared: after,
        owner: OWNER,
        records: &Listing { records: records.collect(), damaged: BTreeMap::new() },
        observed: &observed,
        remarks: &BTreeMap::new(),
        systems: &BTreeMap::new(),
        interrupted: &[],
        needs_restart: &|_, before, after| vm::restart_keys(&before.declared, &after.declared),
    })
}

#[test]
fn every_example_plans_what_it_declares() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut machines = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let folder = path.is_dir();
        let file = if folder { path.join("stead.toml") } else { path.clone() };
        let declaration = declared(&fs::read_to_string(&file).unwrap());
        let plan = planned(&Declaration::default(), &declaration);
        assert_eq!(plan.counts.create, declaration.machines.len(), "{}: {plan}", file.display());
        assert!(!folder || path.join("README.md").is_file(), "{} has no README", path.display());
        machines.insert(path.file_name().unwrap().to_owned(), plan.to_string());
        // And once that is done, nothing is to be done.
        let runs = |mut declaration: Declaration| {
            declaration.machines.values_mut().for_each(|machine| machine.running = true);
            declaration
        };
        let declaration = runs(declaration);
        assert!(!planned(&declaration, &declaration).has_changes());
    }
    let five = &machines[std::ffi::OsStr::new("microvm-host")];
    assert!(five.contains("+ k3s            create   qemu, debian/12, 4 GiB, 2 cpus"), "{five}");
    assert!(five.contains("5 to create"), "{five}");
    let ai = &machines[std::ffi::OsStr::new("ai-vm")];
    assert!(ai.contains("+ quick       create   qemu, light, debian/12, 512 MiB, 1 cpu"), "{ai}");
}

#[test]
fn each_key_of_a_virtual_machine_shows_as_a_change_and_most_need_a_restart() {
    let before = "[machines.vm]\nengine = \"qemu\"\nephemeral = true\nmemory = \"1GiB\"\n\
                  qemu = { machine = \"q35\", audio = true }\n";
    let after = "[machines.vm]\nengine = \"qemu\"\nephemeral = true\nmemory = \"1GiB\"\nports = [80]\n\
                 [machines.vm.qemu]\nguest = \"light\"\nmachine = \"q35\"\naccel = \"tcg\"\nwarm = true\n\
                 balloon = \"256MiB\"\nroot_memory = \"4GiB\"\n\
                 desktop = { vnc = 5901 }\nallow_sensitive = [\"/etc\"]\n";
    let changes = |from: &str, to: &str| -> (Vec<KeyChange>, Vec<String>) {
        match planned(&declared(from), &declared(to)).machines.remove(0).action {
            Action::Change { keys, restart, .. } => (keys, restart),
            other => panic!("{other:?}"),
        }
    };
    let (keys, restart) = changes(before, after);
    let words: Vec<String> =
        keys.iter().map(|key| format!("{} {} → {}", key.key, key.before, key.after)).collect();
    assert_eq!(
        words,
        [
            "ports 127.0.0.1:2222:22 127.0.0.1:3001:3001 127.0.0.1:9080:9080 → 127.0.0.1:80:80",
            "qemu.accel default → tcg",
            "qemu.allow_sensitive none → /etc",
            "qemu.audio yes → no",
            "qemu.balloon none → 256 MiB",
            "qemu.desktop none → 1920x1080 vnc 127.0.0.1:5901",
            "qemu.guest full → light",
            "qemu.root_memory default → 4 GiB",
            "qemu.warm no → yes",
        ]
    );
    assert!(restart.iter().all(|key| keys.iter().any(|change| change.key == *key)), "{restart:?}");
    let without: Vec<&str> =
        keys.iter().map(|key| &*key.key).filter(|key| !restart.contains(&(*key).into())).collect();
    assert_eq!(without, ["qemu.allow_sensitive", "qemu.warm"]);
    // The other way round, what is no longer written is seen as well.
    let (back, _) = changes(after, before);
    assert_eq!(back.len(), keys.len());
    assert!(back.iter().any(|key| key.key == "qemu.desktop" && key.after == "none"), "{back:?}");
}

#[test]
fn a_disk_grows_and_does_not_shrink() {
    let with = |disk: &str| declared(&format!("[machines.vm]\nengine = \"qemu\"\n{disk}\n"));
    let action = |from: &str, to: &str| planned(&with(from), &with(to)).machines.remove(0).action;
    assert!(matches!(action("disk = 20", "disk = 21"), Action::Change { .. }));
    assert!(matches!(action("disk = 20", ""), Action::Change { .. }));
    let Action::Blocked { why } = action("", "disk = 20") else { panic!("it may shrink") };
    assert!(why.contains("64 GiB cannot become 20 GiB"), "{why}");
}

#[test]
fn a_yes_holds_as_long_as_the_machine_shares_the_folder() {
    let text = "[machines.vm]\nengine = \"qemu\"\nshares = [\"/etc:/x\"]\n";
    let allowed = "[machines.vm.qemu]\nallow_sensitive = [\"/etc\"]\n";
    let plain = declared(text).machines["vm"].clone();
    let agreed = record("vm", &declared(&format!("{text}{allowed}")).machines["vm"]);
    let carried = |mut machine: Machine, record: &Record| {
        vm::carry_consent(&mut machine, record);
        machine.qemu.allow_sensitive
    };
    assert_eq!(carried(plain.clone(), &agreed), [PathBuf::from("/etc")]);
    assert_eq!(carried(plain.clone(), &record("vm", &plain)), Vec::<PathBuf>::new());
    let other = declared(&text.replace("/etc", "/usr")).machines["vm"].clone();
    assert_eq!(carried(other, &agreed), Vec::<PathBuf>::new());
    let mut sandbox = agreed.clone();
    sandbox.applied.as_mut().unwrap().declared.engine = "sandbox".into();
    assert_eq!(carried(plain, &sandbox), Vec::<PathBuf>::new());
}
