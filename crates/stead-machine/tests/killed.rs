//! A process that works on machines is killed at every instant of its work: asked again, everything is finished or
//! undone, nothing is lost and nothing is left.
#![allow(
    clippy::zombie_processes,
    reason = "what the child starts outlives it; stopping its machine ends it"
)]

mod common;

use common::{World, declared};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use stead_file::declared::Declaration;
use stead_file::size::Size;
use stead_machine::KILL_AT_STEP;
use stead_machine::engine::{Engine, Exec};
use stead_machine::manager::Selection;

const DATA: &str = "STEAD_TEST_DATA";

fn first() -> Declaration {
    declared(&["one", "two"])
}

fn second() -> Declaration {
    let mut file = declared(&["one", "two", "three"]);
    file.machines.get_mut("one").unwrap().memory = Some(Size(1 << 30));
    file
}

fn third() -> Declaration {
    declared(&["two"])
}

/// What the process that is killed does; nothing when it is run as a test.
#[tokio::test]
async fn child() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let data = Path::new(&data);
    let (simple, _, manager) = common::manager(data);
    let write = |name: &str, text: &str| {
        std::fs::write(simple.files(name).join("root/data"), text).unwrap();
    };
    let mut stages = std::fs::File::create(data.join("stages")).unwrap();
    let mut stage = |name: &str| writeln!(stages, "{name}").unwrap();
    let apply = async |file: Declaration| {
        let plan = manager.plan(&file, common::OWNER, common::PATIENCE).await.unwrap();
        let (_, failed) = manager.apply(plan, Selection::All, 1).wait().await;
        assert!(failed.is_empty(), "{failed:?}");
    };
    apply(first()).await;
    write("one", "v1");
    write("two", "t");
    stage("v1");
    let sleep = Exec { command: vec!["sleep".into(), "1000".into()], ..Exec::default() };
    let mut sleeps = simple.exec("one", &sleep).await.unwrap();
    // None of the pipes that its parent waits for.
    let nowhere = Stdio::null;
    sleeps.stdin(nowhere()).stdout(nowhere()).stderr(nowhere()).spawn().unwrap();
    manager.snapshot("one", Some("s1"), "", false).await.unwrap();
    stage("s1");
    write("one", "v2");
    stage("v2");
    manager.restore("one", "s1").await.unwrap();
    stage("restored");
    manager.clone_machine("one", None, "copy").await.unwrap();
    stage("cloned");
    apply(second()).await;
    stage("changed");
    manager.down("one").await.unwrap();
    manager.down("two").await.unwrap();
    stage("down");
    manager.move_state("one", "two").await.unwrap();
    stage("moved");
    manager.remove_snapshot("one", "s1").await.unwrap();
    manager.up("two").await.unwrap();
    manager.restart("two").await.unwrap();
    stage("up");
    apply(third()).await;
    stage("third");
    manager.destroy("copy").await.unwrap();
    stage("all");
}

/// Runs the child and kills it at this instant. What it had done; `None` if it ended before.
fn killed(data: &Path, instant: usize) -> Option<Vec<String>> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DATA, data)
        .env(KILL_AT_STEP, instant.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let status = child.status;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    let stderr = String::from_utf8_lossy(&child.stderr);
    assert!(status.success() || signal == Some(9), "instant {instant}: {status}\n{stderr}");
    let stages = std::fs::read_to_string(data.join("stages")).unwrap_or_default();
    signal.map(|_| stages.lines().map(String::from).collect())
}

#[tokio::test]
async fn killed_at_any_instant_it_converges_and_nothing_is_left() {
    let mut instants = 0;
    // Every fifth, from another one each time; with STEAD_TEST_STRIDE=1 all.
    let stride = std::env::var("STEAD_TEST_STRIDE").map_or(5, |n| n.parse().unwrap());
    let first_one = 1 + std::process::id() as usize % stride;
    for instant in (first_one..).step_by(stride) {
        let world = World::new();
        let Some(stages) = killed(world.folder.path(), instant) else { break };
        instants = instant;
        let what = format!("killed at instant {instant} after {:?}", stages.last());
        let world = world.again();
        let had = |stage: &str| stages.iter().any(|s| s == stage);
        let listing = world.manager.records().list().unwrap();
        assert!(listing.damaged.is_empty(), "{what}");
        world.manager.recover(common::PATIENCE).await.unwrap();

        let file = if had("up") {
            third()
        } else if had("cloned") {
            second()
        } else {
            first()
        };
        // What is listed is there, and stays.
        let listed = listed(&world).await;
        world.applied(&file).await;
        if let Some(listed) = listed {
            let after = self::listed(&world).await.unwrap_or_default();
            assert!(listed.iter().all(|one| after.contains(one)), "{what}: {listed:?} {after:?}");
        }
        if had("v1") && !had("up") {
            nothing_lost(&world, &stages, &what).await;
        }
        if listing.records.contains_key("copy") && !had("third") {
            // A clone that is not whole is taken back by whatever is done to it next.
            let _ = world.manager.up("copy").await;
            let there = world.manager.records().get("copy").unwrap().is_some();
            assert!(there || !had("cloned"), "{what}");
            if there {
                assert_eq!(world.read("copy").as_deref(), Some("v1"), "{what}");
            }
        }
        for name in world.manager.records().list().unwrap().records.keys() {
            world.manager.destroy(name).await.unwrap();
        }
        let again = world.manager.recover(common::PATIENCE).await.unwrap();
        assert!(again.cut_short.is_empty() && again.unknown.is_empty(), "{what}: {again:?}");
        assert!(world.manager.operations().interrupted().is_empty(), "{what}");
        assert!(world.simple.residue().is_empty(), "{what}: {:?}", world.simple.residue());
        let machines = std::fs::read_dir(world.folder.path().join("machines")).unwrap();
        assert_eq!(machines.count(), 2, "{what}: .locks and .numbers");
        let numbers = world.folder.path().join("machines/.numbers");
        assert_eq!(std::fs::read_dir(numbers).unwrap().count(), 0, "{what}");
    }
    println!("killed at instants up to {instants}, each {stride}th");
    assert!(instants > 100, "{instants}");
}

/// The snapshots of a machine that somebody asked for.
async fn listed(world: &World) -> Option<Vec<String>> {
    let all = world.manager.snapshots("one").await.ok()?;
    Some(all.into_iter().filter(|one| !one.automatic).map(|one| one.name).collect())
}

/// Every state that was there is where it was, or where it was to go.
async fn nothing_lost(world: &World, stages: &[String], what: &str) {
    let had = |stage: &str| stages.iter().any(|s| s == stage);
    let (one, two) = (world.read("one"), world.read("two"));
    let one = one.as_deref();
    let kept = async |name: &str, text: &str| {
        let snapshots = world.manager.snapshots(name).await.unwrap();
        let mut folders = snapshots.iter().map(|s| {
            let machine = world.simple.files(name);
            machine.parent().unwrap().join("snapshots").join(&s.name)
        });
        folders.any(|f| std::fs::read_to_string(f.join("fs/root/data")).is_ok_and(|t| t == text))
    };
    if two.as_deref() == Some("t") {
        assert!(!had("moved"), "{what}");
        match one {
            // The text is written by the child itself, between two stages.
            Some("v1") if had("v2") => assert!(kept("one", "v2").await, "{what}"),
            Some("v1") => {}
            Some("v2") => assert!(!had("restored"), "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    } else {
        assert!(had("down"), "{what}");
        assert_eq!((one, two.as_deref()), (None, Some("v1")), "{what}");
        assert!(kept("two", "t").await, "{what}");
    }
    if had("s1") && !had("moved") {
        assert!(kept("one", "v1").await, "{what}: the snapshot is there");
    }
}
