//! An engine that answers late, wrongly or not at all: nothing is destroyed, no record is lost.

mod common;

use common::{World, declared, machine};
use stead_machine::hostile::Trick;
use stead_machine::model::Phase;
use stead_machine::operation::OperationStatus;
use stead_machine::plan::Action;

const NAMES: [&str; 3] = ["one", "two", "three"];

async fn world() -> World {
    let world = World::new();
    world.applied(&declared(&NAMES)).await;
    for name in NAMES {
        world.write(name, name);
    }
    world
}

#[tokio::test]
async fn looks_that_tell_nothing_plan_nothing() {
    let world = world().await;
    for (trick, expected) in [
        (Trick::Unreachable, "unknown"),
        (Trick::Unknown, "unknown"),
        (Trick::Stranger, "unknown"),
        // Both answers agree, so it is gone as far as anybody can tell; making it again harms nothing that is there.
        (Trick::Blind, "create"),
        (Trick::Strange, "unknown"),
        (Trick::Half, "finish"),
        (Trick::Late, "nothing"),
    ] {
        world.hostile.always(trick);
        for entry in world.plan(&declared(&NAMES)).await.machines {
            assert_eq!(entry.action.word(), expected, "{trick:?}");
        }
        for entry in world.plan(&declared(&[])).await.machines {
            let unknown = matches!(entry.action, Action::Unknown { .. });
            assert_eq!(unknown, expected == "unknown", "{trick:?} {entry:?}");
        }
        if expected == "unknown" {
            for name in NAMES {
                assert!(world.manager.destroy(name).await.is_err(), "{trick:?}");
                assert!(world.manager.up(name).await.is_err(), "{trick:?}");
                assert!(world.manager.snapshot(name, None, "", false).await.is_err(), "{trick:?}");
            }
        }
    }
    assert!(world.hostile.destroyed().is_empty());
    world.hostile.always(Trick::Honest);
    whole(&world).await;
}

async fn whole(world: &World) {
    let listing = world.manager.records().list().unwrap();
    assert!(listing.damaged.is_empty());
    let file = declared(&NAMES);
    world.applied(&file).await;
    for name in NAMES {
        assert!(listing.records.contains_key(name), "{name}");
        assert_eq!(world.read(name).as_deref(), Some(name));
        let id = listing.records[name].wanted.id.clone();
        assert_eq!(world.identity(name), (id, name.to_owned()));
    }
}

/// Whatever is asked of a hostile engine, the data of every machine is there afterwards, and apply finishes all.
#[tokio::test]
async fn nothing_is_destroyed_by_any_of_two_hundred_seeds() {
    let seeds = 0..std::env::var("STEAD_TEST_SEEDS").map_or(60, |n| n.parse().unwrap());
    for seed in seeds {
        let world = world().await;
        for name in NAMES {
            world.manager.snapshot(name, Some("kept"), "", false).await.unwrap();
        }
        let mut file = declared(&NAMES);
        file.machines.get_mut("two").unwrap().memory = Some(stead_file::size::Size(1 << 30));
        world.hostile.seeded(seed);
        let mut changing = file.clone();
        for round in 0..6 {
            changing.machines.get_mut("three").unwrap().running = round % 2 == 0;
            let _ = world.apply(&changing).await;
            let _ = world.manager.restart("one").await;
            let _ = world.manager.snapshot("one", None, "", false).await;
            let _ = world.manager.restore("two", "kept").await;
            let _ = world.manager.down("three").await;
            let _ = world.manager.clone_machine("three", None, "copy").await;
            let _ = world.manager.recover(common::PATIENCE).await;
        }
        world.hostile.always(Trick::Honest);
        for name in world.hostile.destroyed() {
            // A clone that failed is taken back.
            assert_eq!(name, "copy", "seed {seed}");
        }
        whole(&world).await;
        let _ = world.manager.up("copy").await;
        let copies = world.manager.records().get("copy").unwrap();
        if copies.is_some() {
            assert_eq!(world.read("copy").as_deref(), Some("three"), "seed {seed}");
            world.manager.destroy("copy").await.unwrap();
        }
        for name in NAMES {
            let kept = world.manager.snapshots(name).await.unwrap();
            assert!(kept.iter().any(|s| s.name == "kept"), "seed {seed}");
            world.manager.destroy(name).await.unwrap();
        }
        assert!(world.simple.residue().is_empty(), "seed {seed}: {:?}", world.simple.residue());
    }
}

#[tokio::test]
async fn a_destroy_that_did_not_destroy_keeps_the_record() {
    let world = World::new();
    world.manager.scratch("one", machine()).await.unwrap();
    for trick in [Trick::FailsAtOnce, Trick::FailsAfter(1), Trick::FailsAfter(2)] {
        world.hostile.always(trick);
        assert!(world.manager.destroy("one").await.is_err());
        assert!(world.manager.records().get("one").unwrap().is_some());
    }
    world.hostile.always(Trick::Honest);
    let ended = world.manager.operations().list();
    assert!(ended.iter().skip(1).all(|o| matches!(o.status, OperationStatus::Failed(_))));
    world.manager.destroy("one").await.unwrap();
    assert!(world.simple.residue().is_empty());
    assert_eq!(world.manager.look(common::PATIENCE).await.unwrap().phase("one"), None::<Phase>);
}
