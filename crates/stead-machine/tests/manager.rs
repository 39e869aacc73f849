//! The manager on the simple engine.

mod common;

use common::{World, declared, machine};
use stead_file::declared::{Desktop, Keep, Machine, Port};
use stead_file::size::Size;
use stead_machine::engine::Engine;
use stead_machine::hostile::Trick;
use stead_machine::manager::{ApplyEvent, Selection};
use stead_machine::model::Phase;
use stead_machine::operation::{EventKind, Kind, OperationStatus};
use stead_machine::plan::Action;
use stead_machine::records::Status;
use stead_machine::{Error, Steps};

async fn phase(world: &World, name: &str) -> Option<Phase> {
    world.simple.look(name).await.unwrap().map(|seen| seen.phase)
}

#[tokio::test]
async fn declared_planned_applied() {
    let world = World::new();
    let mut file = declared(&["one", "two"]);
    let plan = world.plan(&file).await;
    assert_eq!(plan.exit_status(), 3);
    assert_eq!(plan.to_string(), "+ one  create   simple\n+ two  create   simple\n2 to create");
    assert!(world.simple.residue().is_empty(), "a plan touches nothing");
    world.applied(&file).await;
    assert_eq!(phase(&world, "one").await, Some(Phase::Running));

    world.write("one", "kept");
    file.machines.get_mut("one").unwrap().memory = Some(Size(8 << 30));
    file.machines.get_mut("two").unwrap().running = false;
    let plan = world.plan(&file).await;
    assert_eq!(
        plan.to_string(),
        "~ one  change   memory none → 8 GiB  (restart)\n. two  stop\n1 to change, 1 to stop"
    );
    world.applied(&file).await;
    assert_eq!(world.read("one").as_deref(), Some("kept"));
    assert_eq!(phase(&world, "one").await, Some(Phase::Running));
    assert_eq!(phase(&world, "two").await, Some(Phase::Stopped));

    world.manager.snapshot("one", Some("first"), "", false).await.unwrap();
    file.machines.remove("one");
    let plan = world.plan(&file).await;
    assert_eq!(
        plan.to_string(),
        "- one  destroy  state one, what runs in it, 1 snapshot (first)\n1 to destroy; 1 as declared"
    );
    world.applied(&file).await;
    assert_eq!(phase(&world, "one").await, None);
    file.machines.clear();
    world.applied(&file).await;
    assert!(world.simple.residue().is_empty());
    assert!(world.manager.records().list().unwrap().records.is_empty());
}

#[tokio::test]
async fn applying_tells_each_step_in_order() {
    let world = World::new();
    let plan = world.plan(&declared(&["one"])).await;
    let mut applying = world.manager.apply(plan, Selection::All, 1);
    let mut told = Vec::new();
    while let Some(event) = applying.next().await {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<ApplyEvent>(&line).unwrap(), event);
        told.push(match event {
            ApplyEvent::Operation { event } => match event.what {
                EventKind::Step { what } => what,
                EventKind::Begun { kind } => kind.word().into(),
                EventKind::Ended { status } => format!("{status:?}"),
                other => format!("{other:?}"),
            },
            ApplyEvent::Begun { action, .. } => format!("begun {action}"),
            ApplyEvent::Ended { error, .. } => format!("ended {error:?}"),
            ApplyEvent::Finished { summary } => format!("{} done", summary.done),
            ApplyEvent::Skipped { .. } => "skipped".into(),
        });
    }
    assert_eq!(
        told,
        [
            "begun create",
            "create",
            "copy the base",
            "give it its identity",
            "write what it is made from",
            "start",
            "Done",
            "ended None",
            "1 done"
        ]
    );
    let operations = world.manager.operations().list();
    let one = world.manager.operations().get(&operations[0].id).unwrap();
    assert_eq!((one.kind, one.steps.len()), (Kind::Create, 4));
    assert_eq!(one.owner.as_deref(), Some(common::OWNER));
}

#[tokio::test]
async fn drift_is_shown_with_both_sides_and_repaired_by_apply() {
    let world = World::new();
    let file = declared(&["one"]);
    world.applied(&file).await;
    world.write("one", "kept");
    world.simple.stop("one", &Steps::none()).await.unwrap();
    let plan = world.plan(&file).await;
    assert_eq!(plan.machines[0].action, Action::Start);
    assert!(plan.to_string().contains("drift: phase was applied as running, is stopped"), "{plan}");
    world.applied(&file).await;

    let record = world.manager.records().find("one").unwrap();
    let mut other = record.wanted.clone();
    other.declared.memory = Some(Size(1 << 30));
    world.simple.change(&record.wanted, &other, &Steps::none()).await.unwrap();
    let plan = world.plan(&file).await;
    assert!(plan.to_string().contains("drift: memory was applied as none, is 1 GiB"), "{plan}");
    assert!(plan.to_string().contains("~ one  change   memory 1 GiB → none"), "{plan}");
    world.applied(&file).await;

    world.simple.destroy("one", &Steps::none()).await.unwrap();
    let plan = world.plan(&file).await;
    assert!(plan.to_string().contains("drift: phase was applied as there, is not there"), "{plan}");
    let up = world.manager.up("one").await.unwrap_err();
    assert!(up.to_string().contains("no longer has it"), "{up}");
    world.applied(&file).await;
    assert_eq!(world.read("one"), None);
    let again = world.manager.records().find("one").unwrap();
    assert_eq!(again.wanted.id, record.wanted.id);
}

#[tokio::test]
async fn what_changed_since_the_plan_is_not_done() {
    let world = World::new();
    let file = declared(&["one"]);
    world.applied(&file).await;
    let mut other = file.clone();
    other.machines.get_mut("one").unwrap().running = false;
    let plan = world.plan(&other).await;
    // Somebody destroys it before the plan is applied.
    world.manager.destroy("one").await.unwrap();
    let (summary, failed) = world.manager.apply(plan, Selection::All, 1).wait().await;
    assert_eq!(summary.failed, 1);
    assert_eq!(failed, ["one: stop was planned, it is create now; plan again"]);
    assert!(world.simple.residue().is_empty());
}

#[tokio::test]
async fn scratch_machines_are_no_business_of_a_plan() {
    let world = World::new();
    world.manager.scratch("scratch", machine()).await.unwrap();
    world.manager.scratch("scratch", machine()).await.unwrap();
    let plan = world.plan(&declared(&[])).await;
    assert!(plan.machines.is_empty());
    let mut goes = world.manager.what_goes("scratch").await.unwrap();
    assert_eq!(goes, ["machine scratch on simple", "what runs in it", "state scratch"]);
    world.manager.snapshot("scratch", Some("a"), "", false).await.unwrap();
    goes = world.manager.what_goes("scratch").await.unwrap();
    assert_eq!(goes[3], "1 snapshot (a)");
    // Declared, it is taken over, and that is shown.
    let plan = world.plan(&declared(&["scratch"])).await;
    assert!(plan.to_string().contains("owner none → test (/stead.toml)"), "{plan}");
    world.applied(&declared(&["scratch"])).await;
    let other = world.manager.plan(&declared(&["scratch"]), "other (/b)", common::PATIENCE).await;
    assert!(
        other.unwrap().to_string().contains("belongs to another stead file: test (/stead.toml)")
    );
}

#[tokio::test]
async fn a_stranger_is_left_alone() {
    let world = World::new();
    let mut wanted = World::new_wanted("one");
    wanted.id = "a".repeat(32);
    world.simple.create(&wanted, &Steps::none()).await.unwrap();
    let plan = world.plan(&declared(&["one"])).await;
    assert_eq!((plan.exit_status(), plan.counts.blocked), (1, 1));
    let error = world.manager.scratch("one", machine()).await.unwrap_err();
    assert!(error.to_string().contains("no record of"), "{error}");
    assert!(world.manager.records().get("one").unwrap().is_none());
    assert_eq!(phase(&world, "one").await, Some(Phase::Stopped));
}

impl World {
    fn new_wanted(name: &str) -> stead_machine::model::Wanted {
        stead_machine::model::Wanted {
            name: name.into(),
            id: "0".repeat(32),
            number: 1,
            address: std::net::Ipv4Addr::LOCALHOST,
            declared: machine(),
            network: None,
            state: name.into(),
            created: 0,
        }
    }
}

#[tokio::test]
async fn a_damaged_record_stops_everything_but_looking() {
    let world = World::new();
    world.applied(&declared(&["one"])).await;
    let path = world.manager.records().folder("one").join("machine.json");
    std::fs::write(&path, "{").unwrap();
    for file in [declared(&["one"]), declared(&[])] {
        let plan = world.plan(&file).await;
        assert_eq!(plan.counts.unknown, 1, "{plan}");
        let (summary, _) = world.manager.apply(plan, Selection::All, 1).wait().await;
        assert_eq!(summary.skipped, 1);
    }
    assert!(matches!(world.manager.destroy("one").await, Err(Error::Damaged { .. })));
    assert!(matches!(world.manager.scratch("one", machine()).await, Err(Error::Damaged { .. })));
    assert_eq!(phase(&world, "one").await, Some(Phase::Running));
}

#[tokio::test]
async fn snapshot_damage_restore() {
    let world = World::new();
    world.applied(&declared(&["one"])).await;
    world.write("one", "good");
    let made = world.manager.snapshot("one", Some("good"), "before", false).await.unwrap();
    assert_eq!((made.note.as_str(), made.automatic), ("before", false));
    let taken = world.manager.snapshot("one", Some("good"), "", false).await.unwrap_err();
    assert_eq!(taken.to_string(), "one: there is a snapshot good already");
    world.write("one", "damaged");
    let wrong = world.manager.restore("one", "god").await.unwrap_err();
    assert_eq!(wrong.to_string(), "one: there is no snapshot god; there are: good");
    world.manager.restore("one", "good").await.unwrap();
    assert_eq!(world.read("one").as_deref(), Some("good"));
    assert_eq!(phase(&world, "one").await, Some(Phase::Running), "it ran before");
    let kept = world.manager.snapshots("one").await.unwrap();
    let automatic = kept.iter().find(|s| s.automatic).unwrap().name.clone();
    assert!(automatic.starts_with("before-restore-"));
    world.manager.restore("one", &automatic).await.unwrap();
    assert_eq!(world.read("one").as_deref(), Some("damaged"));
    world.manager.remove_snapshot("one", "good").await.unwrap();
    assert!(world.manager.remove_snapshot("one", "good").await.is_err());
    assert_eq!(world.plan(&declared(&["one"])).await.exit_status(), 0);
}

#[tokio::test]
async fn a_restore_that_fails_leaves_the_state_from_before() {
    for trick in
        [Trick::FailsAtOnce, Trick::FailsAfter(0), Trick::FailsAfter(1), Trick::FailsAfter(2)]
    {
        let world = World::new();
        world.applied(&declared(&["one"])).await;
        world.write("one", "good");
        world.manager.snapshot("one", Some("good"), "", false).await.unwrap();
        world.write("one", "now");
        world.hostile.always(trick);
        assert!(world.manager.restore("one", "good").await.is_err());
        world.hostile.always(Trick::Honest);
        let world = world.again();
        world.applied(&declared(&["one"])).await;
        // Nothing was replaced, or the next thing done to it has put it right.
        let read = world.read("one");
        assert!(matches!(read.as_deref(), Some("now")), "{trick:?}: {read:?}");
    }
}

#[tokio::test]
async fn retention_by_count() {
    let world = World::new();
    let mut file = declared(&["one"]);
    file.machines.get_mut("one").unwrap().keep = Keep { count: Some(2), age: None };
    world.applied(&file).await;
    for name in ["a", "b", "c", "d"] {
        world.manager.snapshot("one", Some(name), "", false).await.unwrap();
    }
    let kept = world.manager.snapshots("one").await.unwrap();
    assert_eq!(kept.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["c", "d"]);
    for _ in 0..7 {
        world.manager.restore("one", "d").await.unwrap();
    }
    let kept = world.manager.snapshots("one").await.unwrap();
    assert_eq!(kept.iter().filter(|s| s.automatic).count(), 5);
    assert_eq!(kept.iter().filter(|s| !s.automatic).count(), 2);
}

#[tokio::test]
async fn a_clone_is_another_with_the_same_data() {
    let world = World::new();
    world.applied(&declared(&["one"])).await;
    world.write("one", "data");
    world.manager.snapshot("one", Some("then"), "", false).await.unwrap();
    world.write("one", "later");
    world.manager.clone_machine("one", None, "two").await.unwrap();
    world.manager.clone_machine("one", Some("then"), "three").await.unwrap();
    assert_eq!(world.read("two").as_deref(), Some("later"));
    assert_eq!(world.read("three").as_deref(), Some("data"));
    let [one, two, three] = ["one", "two", "three"].map(|name| world.identity(name));
    assert!(one.0 != two.0 && one.0 != three.0 && two.0 != three.0);
    assert_eq!(two.1, "two");
    assert!(world.manager.clone_machine("one", None, "two").await.is_err(), "taken");
    assert_eq!(world.read("two").as_deref(), Some("later"));
    world.hostile.always(Trick::FailsDone);
    assert!(world.manager.clone_machine("one", None, "four").await.is_err());
    world.hostile.always(Trick::Honest);
    world.applied(&declared(&["one"])).await;
    // The next thing done to it settles what is left of it.
    let _ = world.manager.up("four").await;
    assert_eq!(phase(&world, "four").await, None);
    assert!(world.manager.records().get("four").unwrap().is_none());
}

#[tokio::test]
async fn a_clone_takes_no_port_of_this_host_from_its_original() {
    let world = World::new();
    let mut file = declared(&["one"]);
    let at = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let one = file.machines.get_mut("one").unwrap();
    one.ports = vec![Port { address: at(0).ip(), host: 8080, inside: 80, optional: false }];
    one.qemu.desktop =
        Some(Desktop { resolution: "1280x720".into(), vnc: Some(at(5999)), rdp: Some(at(3389)) });
    world.applied(&file).await;
    world.manager.clone_machine("one", None, "two").await.unwrap();
    let two = world.manager.records().find("two").unwrap().wanted.declared;
    assert!(two.ports.is_empty());
    let desktop = two.qemu.desktop.as_ref().unwrap();
    assert_eq!((desktop.vnc, desktop.rdp), (None, None));
    assert_eq!(desktop.resolution, "1280x720");
}

#[tokio::test]
async fn a_state_moves_and_what_it_replaces_is_kept() {
    let world = World::new();
    let mut file = declared(&["one", "two"]);
    world.applied(&file).await;
    world.write("one", "of one");
    world.write("two", "of two");
    let runs = world.manager.move_state("one", "two").await.unwrap_err();
    assert_eq!(runs.to_string(), "one: it runs; `stead down one` first");
    world.manager.down("one").await.unwrap();
    world.manager.down("two").await.unwrap();
    let identity = world.identity("two");
    world.manager.move_state("one", "two").await.unwrap();
    assert_eq!(world.read("two").as_deref(), Some("of one"));
    assert_eq!(world.read("one"), None);
    assert_eq!(world.identity("two"), identity, "a state has no identity");
    let states = ["one", "two"].map(|n| world.manager.records().find(n).unwrap().wanted.state);
    assert_eq!(states, ["one-2", "one"]);
    let kept = world.manager.snapshots("two").await.unwrap();
    world.manager.restore("two", &kept[0].name).await.unwrap();
    assert_eq!(world.read("two").as_deref(), Some("of two"));
    world.applied(&file).await;
    file.machines.get_mut("two").unwrap().state = Some("elsewhere".into());
    let plan = world.plan(&file).await;
    assert!(plan.to_string().contains("stead move"), "{plan}");
}

#[tokio::test]
async fn one_machine_at_a_time_for_everybody() {
    let world = World::new();
    world.manager.scratch("one", machine()).await.unwrap();
    let other = common::manager(world.folder.path()).2;
    let mut all = tokio::task::JoinSet::new();
    for n in 0..20 {
        let manager = if n % 2 == 0 { world.manager.clone() } else { other.clone() };
        all.spawn(async move {
            match n % 4 {
                0 => manager.up("one").await.map(drop),
                1 => manager.down("one").await.map(drop),
                2 => manager.restart("one").await.map(drop),
                _ => manager.snapshot("one", Some(&format!("s{n}")), "", false).await.map(drop),
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(world.manager.snapshots("one").await.unwrap().len(), 5);
    let locks = world.folder.path().join("machines/.locks");
    assert_eq!(std::fs::read_dir(locks).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_ended_and_can_be_asked_again() {
    let world = World::new();
    world.applied(&declared(&["one"])).await;
    let mut events = world.manager.operations().listen();
    world.hostile.always(Trick::Stuck);
    let manager = world.manager.clone();
    let stop = tokio::spawn(async move { manager.down("one").await });
    let begun = events.recv().await.unwrap();
    assert!(world.manager.operations().cancel(&begun.operation));
    let error = stop.await.unwrap().unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    let ended = world.manager.operations().get(&begun.operation).unwrap();
    assert_eq!(ended.status, OperationStatus::Failed("one: cancelled".into()));
    world.hostile.always(Trick::Honest);
    world.manager.down("one").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_answers_keeps_nobody_waiting() {
    let world = World::new();
    world.applied(&declared(&["one"])).await;
    world.hostile.always(Trick::Silent);
    for file in [declared(&["one"]), declared(&[])] {
        let plan = world.plan(&file).await;
        assert_eq!(plan.counts.unknown, 1, "{plan}");
        assert!(plan.to_string().contains("did not answer within 30000 ms"), "{plan}");
    }
    let seen = world.manager.look(common::PATIENCE).await.unwrap();
    assert!(matches!(seen.phase("one"), Some(Phase::Unknown(_))));
    assert!(matches!(world.manager.destroy("one").await, Err(Error::Unknown { .. })));
    let found = world.manager.recover(common::PATIENCE).await.unwrap();
    assert_eq!(found.unknown.len(), 1, "{found:?}");
    assert!(world.hostile.destroyed().is_empty());
}

#[tokio::test]
async fn a_sweep_that_finds_nothing_is_no_operation() {
    let world = World::new();
    world.applied(&declared(&["one"])).await;
    let sweeps = || {
        world.manager.operations().refresh().unwrap();
        let all = world.manager.operations().list();
        all.into_iter().filter(|operation| operation.kind == Kind::Sweep).collect::<Vec<_>>()
    };
    world.manager.recover(common::PATIENCE).await.unwrap();
    assert!(sweeps().is_empty(), "{:?}", sweeps());
    std::fs::create_dir(world.folder.path().join("simple/.going-two")).unwrap();
    let found = world.manager.recover(common::PATIENCE).await.unwrap();
    assert_eq!(found.swept.len(), 1, "{found:?}");
    assert_eq!(sweeps().len(), 1);
    assert_eq!(sweeps()[0].status, OperationStatus::Done);
    let files = std::fs::read_dir(world.folder.path().join("operations")).unwrap().count();
    assert_eq!(files, world.manager.operations().list().len() * 2);
}

#[tokio::test]
async fn an_engine_that_is_not_here_is_unknown() {
    let world = World::new();
    world.applied(&declared(&["one"])).await;
    let bare = stead_machine::Manager::open(world.folder.path(), []).unwrap();
    let plan = bare.plan(&declared(&["one"]), common::OWNER, common::PATIENCE).await.unwrap();
    assert_eq!(plan.counts.unknown, 1, "{plan}");
    let plan = bare.plan(&declared(&[]), common::OWNER, common::PATIENCE).await.unwrap();
    assert_eq!(plan.counts.unknown, 1, "{plan}");
    assert!(bare.destroy("one").await.is_err());
    assert_eq!(world.manager.records().find("one").unwrap().status, Status::There);
    let other = Machine { engine: "qemu".into(), ..machine() };
    let error = world.manager.scratch("two", other).await.unwrap_err();
    assert_eq!(error.to_string(), "two: there is no engine \"qemu\" here; there are: simple");
}
