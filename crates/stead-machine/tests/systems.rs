//! What is put down of systems follows the states that were brought to them.

mod common;

use common::{OWNER, PATIENCE, World, declared, machine};
use std::collections::BTreeMap;
use stead_file::declared::{Declaration, Machine};
use stead_machine::plan::SystemAction;
use stead_machine::system::{By, Rendered};
use stead_machine::{Engine, Error, Steps};

fn parts() -> BTreeMap<String, String> {
    BTreeMap::from([("files".to_owned(), "1".to_owned())])
}

/// What the plan says of a machine's system.
async fn planned(world: &World, file: &Declaration, name: &str) -> SystemAction {
    let rendered = Rendered { name: "dev".into(), parts: parts(), by: By::Apply };
    let systems = file.machines.keys().map(|name| (name.clone(), rendered.clone())).collect();
    let plan = world.manager.plan_with(file, &systems, OWNER, PATIENCE).await.unwrap();
    let entry = plan.machines.into_iter().find(|entry| entry.name == name).unwrap();
    entry.system.unwrap().action
}

async fn brought(world: &World, name: &str) {
    let switch = world.manager.system_begins(name, "dev", parts()).await.unwrap();
    assert!(world.manager.system_is_brought(name, &switch).await.unwrap());
}

fn is_there(action: &SystemAction) -> bool {
    matches!(action, SystemAction::Nothing { .. })
}

/// Two machines that run and were brought to their systems.
async fn world() -> (World, Declaration) {
    let world = World::new();
    let mut file = declared(&[]);
    for name in ["one", "two"] {
        file.machines.insert(name.into(), Machine { system: Some("dev".into()), ..machine() });
    }
    world.applied(&file).await;
    for name in ["one", "two"] {
        assert!(!is_there(&planned(&world, &file, name).await));
        brought(&world, name).await;
        assert!(is_there(&planned(&world, &file, name).await));
    }
    (world, file)
}

#[tokio::test]
async fn a_switch_that_never_ended_is_to_be_done_again() {
    let (world, file) = world().await;
    let first = world.manager.system_begins("one", "dev", parts()).await.unwrap();
    // As another program sees it: the one that switched was killed.
    let world = world.again();
    let action = planned(&world, &file, "one").await;
    assert!(
        matches!(&action, SystemAction::Switch { why, .. } if why.contains("cut short")),
        "{action:?}"
    );
    // The second of two is the one that counts.
    let second = world.manager.system_begins("one", "dev", parts()).await.unwrap();
    assert!(!world.manager.system_is_brought("one", &first).await.unwrap());
    assert!(!is_there(&planned(&world, &file, "one").await));
    assert!(world.manager.system_is_brought("one", &second).await.unwrap());
    assert!(is_there(&planned(&world, &file, "one").await));
    let gone = world.manager.system_begins("three", "dev", parts()).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_restart_changes_nothing_and_another_state_is_brought_again() {
    let (world, file) = world().await;
    world.manager.snapshot("one", Some("then"), "", false).await.unwrap();
    world.manager.restart("one").await.unwrap();
    assert!(is_there(&planned(&world, &file, "one").await));

    let switch = world.manager.system_begins("one", "dev", parts()).await.unwrap();
    world.manager.restore("one", "then").await.unwrap();
    assert!(!is_there(&planned(&world, &file, "one").await));
    let ended = world.manager.system_is_brought("one", &switch).await.unwrap();
    assert!(!ended, "it began on the state that was replaced");
    brought(&world, "one").await;

    world.manager.clone_machine("one", None, "copy").await.unwrap();
    assert!(world.manager.records().find("copy").unwrap().system.is_none());

    for name in ["one", "two"] {
        world.manager.down(name).await.unwrap();
    }
    world.manager.move_state("one", "two").await.unwrap();
    for name in ["one", "two"] {
        assert!(world.manager.records().find(name).unwrap().system.is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_machine_that_is_made_afresh_has_none() {
    let (world, file) = world().await;
    world.simple.destroy("one", &Steps::none()).await.unwrap();
    assert!(!is_there(&planned(&world, &file, "one").await));
    world.applied(&file).await;
    assert!(!is_there(&planned(&world, &file, "one").await));
}
