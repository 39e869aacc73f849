use super::*;
use crate::EngineError;

fn operations() -> (tempfile::TempDir, Operations) {
    let folder = tempfile::tempdir().unwrap();
    let operations = Operations::open(folder.path()).unwrap();
    (folder, operations)
}

fn files_in(folder: &tempfile::TempDir) -> usize {
    std::fs::read_dir(folder.path().join("operations")).unwrap().count()
}

#[test]
fn steps_are_on_disk_before_they_are_done() {
    let (folder, operations) = operations();
    let recorder = operations.begin(Kind::Create, "box", Some("file")).unwrap();
    recorder.steps().step("mount the root").unwrap();
    recorder.steps().note("18 MiB copied");
    let other = Operations::open(folder.path()).unwrap();
    let seen = other.get(recorder.id()).unwrap();
    assert_eq!(seen.status, OperationStatus::Running, "its owner lives");
    assert_eq!(seen.steps.len(), 1);
    assert_eq!(seen.steps[0].what, "mount the root");
    assert_eq!(seen.steps[0].notes, ["18 MiB copied"]);
    let id = recorder.id().to_owned();
    recorder.end(OperationStatus::Failed("no room".into()));
    other.refresh().unwrap();
    assert_eq!(other.get(&id).unwrap().status, OperationStatus::Failed("no room".into()));
}

#[test]
fn one_without_an_owner_was_cut_short() {
    let (folder, operations) = operations();
    let recorder = operations.begin(Kind::Start, "box", None).unwrap();
    let id = recorder.id().to_owned();
    recorder.steps().step("first").unwrap();
    // As a kill leaves it: no end is written, the lock is gone with the process.
    let json = folder.path().join("operations").join(format!("{id}.json"));
    let running = std::fs::read(&json).unwrap();
    drop(recorder);
    std::fs::write(&json, running).unwrap();
    let log = json.with_extension("log");
    let mut torn = std::fs::read(&log).unwrap();
    torn.extend(b"{\"at\":1,\"st");
    std::fs::write(&log, torn).unwrap();
    let found = Operations::open(folder.path()).unwrap();
    assert_eq!(found.interrupted().len(), 1);
    let found = found.get(&id).unwrap();
    assert_eq!(found.status, OperationStatus::Interrupted);
    assert_eq!(found.steps.len(), 1);
}

#[test]
fn one_that_is_dropped_was_cut_short_and_is_settled() {
    let (folder, operations) = operations();
    drop(operations.begin(Kind::Start, "box", None).unwrap());
    let snapshot = operations.begin(Kind::Snapshot, "box", None).unwrap();
    let id = snapshot.id().to_owned();
    drop(snapshot);
    assert_eq!(operations.interrupted().len(), 2);
    operations.settle("box", None, &OperationStatus::Done);
    assert_eq!(operations.interrupted().len(), 1, "a snapshot is settled by name only");
    operations.settle("box", Some(&id), &OperationStatus::Undone);
    assert!(operations.interrupted().is_empty());
    assert!(Operations::open(folder.path()).unwrap().interrupted().is_empty());
}

#[test]
fn two_hundred_are_kept_and_those_cut_short() {
    let (folder, operations) = operations();
    drop(operations.begin(Kind::Start, "box", None).unwrap());
    for _ in 0..230 {
        operations.begin(Kind::Stop, "box", None).unwrap().end(OperationStatus::Done);
    }
    assert_eq!(operations.list().len(), 201);
    assert_eq!(files_in(&folder), 402);
    assert_eq!(operations.interrupted().len(), 1);
}

#[test]
fn a_log_without_its_operation_is_taken_away() {
    let (folder, operations) = operations();
    let path = folder.path().join("operations/0-0.log");
    std::fs::write(&path, "").unwrap();
    std::fs::write(folder.path().join("operations/1-1.json"), "{").unwrap();
    operations.refresh().unwrap();
    assert!(!path.exists());
    assert!(operations.list().is_empty());
}

#[tokio::test]
async fn listeners_hear_and_an_end_is_asked_for() {
    let (_folder, operations) = operations();
    let mut events = operations.listen();
    let recorder = operations.begin(Kind::Create, "box", None).unwrap();
    let steps = recorder.steps();
    steps.step("one").unwrap();
    steps.progress(1, 2);
    assert!(operations.cancel(recorder.id()));
    assert!(matches!(steps.step("two"), Err(EngineError::Cancelled)));
    recorder.cancelled().await;
    recorder.steps_to_the_end().step("back").unwrap();
    let id = recorder.id().to_owned();
    recorder.end(OperationStatus::Failed("cancelled".into()));
    assert!(!operations.cancel(&id));
    let mut heard = Vec::new();
    while let Ok(event) = events.try_recv() {
        heard
            .push(serde_json::to_value(&event.what).unwrap()["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(heard, ["begun", "step", "progress", "step", "ended"]);
}
