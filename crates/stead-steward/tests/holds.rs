//! The steward among holds that come, go, fall silent and die, and its own deaths.

mod common;

use common::{LONG, Rig, until};
use stead_steward::inotify::{Folders, WatchFlags};
use stead_steward::{Options, Steward, StewardError};
use stead_wire::api::{Create, Event};
use stead_wire::session::{AgentReport, EndedBy, Exit, Restart, Session};
use stead_wire::status::State;
use tokio::time::timeout;

async fn make(rig: &Rig, steward: &Steward, name: &str, restart: Restart) -> Session {
    let session = steward.create(Create { restart, ..rig.ask(name) }).await.unwrap();
    until(steward, &session.id, |s| s.status.state == State::Idle).await
}

fn restarted(session: &Session) -> bool {
    session.life == 2 && session.status.state == State::Idle
}

#[tokio::test]
async fn a_status_that_a_hold_pushes_is_seen() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Never).await;
    let mut listener = steward.listen();
    rig.holds.set(&session.id, |s| s.title = "busy".into());
    rig.holds.say(&session.id, State::Waiting);
    let seen = until(&steward, &session.id, |s| s.title == "busy").await;
    assert_eq!(seen.status.state, State::Waiting);
    let moved = timeout(LONG, async {
        loop {
            if let Event::Status { before, now, .. } = &*listener.next().await.unwrap() {
                return (before.state, now.state);
            }
        }
    });
    assert_eq!(moved.await.unwrap(), (State::Idle, State::Waiting));
}

#[tokio::test]
async fn a_new_steward_finds_every_session_and_what_it_was_called() {
    let rig = Rig::new();
    let steward = rig.steward();
    let a = make(&rig, &steward, "a", Restart::Resume).await;
    let b = make(&rig, &steward, "b", Restart::Resume).await;
    steward.rename("b", "other").await.unwrap();
    rig.holds.exit(&b.id, 3);
    until(&steward, &b.id, |s| s.exit.is_some()).await;
    steward.end();
    rig.holds.say(&a.id, State::Waiting);

    let steward = settled(&rig).await;
    let list = steward.list().await;
    assert_eq!(list[0].status.state, State::Waiting, "the first list waits for the first words");
    let names: Vec<&str> = list.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a", "other"]);
    assert_eq!(list[1].exit.as_ref().unwrap().code, Some(3));
    assert_eq!(rig.holds.started(), 2);
    assert!(steward.version().messages.is_empty(), "{:?}", steward.version().messages);
}

/// A steward after another one in the same process: the lock goes with the last of the other's tasks.
async fn settled(rig: &Rig) -> Steward {
    let begun = std::time::Instant::now();
    loop {
        let options =
            Options { places: rig.places(), holds: rig.holds.clone(), hook_command: vec![] };
        match Steward::start(options) {
            Err(StewardError::Runs(_)) if begun.elapsed() < LONG => tokio::task::yield_now().await,
            result => return result.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_lost_session_is_resumed_by_its_policy() {
    let rig = Rig::new();
    let steward = rig.steward();
    let never = make(&rig, &steward, "never", Restart::Never).await;
    let resume = make(&rig, &steward, "resume", Restart::Resume).await;
    rig.holds.lose(&never.id);
    rig.holds.lose(&resume.id);
    let again = until(&steward, &resume.id, restarted).await;
    assert!(again.exit.is_none());
    let lost = until(&steward, &never.id, |s| s.exit.is_some()).await;
    assert_eq!(lost.exit.as_ref().unwrap().by, EndedBy::Lost);
    assert_eq!(rig.places().session(&never.id).exit().unwrap(), lost.exit);
    assert_eq!(rig.holds.started(), 3);
}

#[tokio::test]
async fn what_a_hold_wrote_down_and_could_not_say_is_known_at_its_end() {
    let rig = Rig::new();
    let steward = rig.steward();
    let a = make(&rig, &steward, "a", Restart::Never).await;
    let folder = rig.places().session(&a.id);
    let report = AgentReport { turns: 1, result: Some("Done.".into()), ..Default::default() };
    folder.write_report(&report).unwrap();
    let exit = Exit { code: Some(0), signal: None, at: 1, by: EndedBy::Itself, failed: None };
    folder.write_exit(&exit).unwrap();
    rig.holds.lose(&a.id);
    let ended = until(&steward, &a.id, |s| s.exit.is_some()).await;
    assert_eq!((ended.exit, ended.report), (Some(exit), Some(report)));
}

#[tokio::test]
async fn sessions_lost_while_no_steward_ran_are_resumed_when_one_starts() {
    let rig = Rig::new();
    let steward = rig.steward();
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(make(&rig, &steward, &format!("s{n}"), Restart::Resume).await.id);
    }
    steward.end();
    for id in &ids {
        rig.holds.lose(id);
    }
    let steward = settled(&rig).await;
    for id in &ids {
        until(&steward, id, restarted).await;
    }
    assert_eq!(rig.holds.started(), 40);
}

#[tokio::test]
async fn one_that_a_person_ended_stays_ended_after_every_death() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Always).await;
    let ended = steward.kill("a", 0).await.unwrap();
    assert_eq!(ended.exit.unwrap().by, EndedBy::Person);
    steward.end();
    let steward = settled(&rig).await;
    let other = make(&rig, &steward, "b", Restart::Never).await;
    assert_eq!(steward.get(&session.id).await.unwrap().status.state, State::Exited);
    assert_eq!((rig.holds.started(), other.life), (2, 1));
}

#[tokio::test]
async fn always_begins_again_also_under_a_hold_that_lingers() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Always).await;
    rig.holds.linger(&session.id);
    rig.holds.exit(&session.id, 1);
    let waits = until(&steward, &session.id, |s| s.status.detail.contains("starts again")).await;
    assert_eq!(waits.status.detail, "exited(1); starts again after 1 s");
    until(&steward, &session.id, restarted).await;
}

#[tokio::test]
async fn a_restart_that_fails_says_why_and_can_be_tried_again() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Resume).await;
    rig.holds.refuse(Some("no terminal\nleft"));
    rig.holds.lose(&session.id);
    let failed = |s: &Session| s.exit.as_ref().is_some_and(|e| e.failed.is_some());
    let stays = until(&steward, &session.id, failed).await;
    assert_eq!(stays.exit.unwrap().failed.as_deref(), Some("no terminal left"));
    let error = steward.restart("a").await.unwrap_err().to_string();
    assert_eq!(error, "no terminal left");
    rig.holds.refuse(None);
    let again = steward.restart("a").await.unwrap();
    assert_eq!((again.life, again.exit), (2, None));
    until(&steward, &session.id, restarted).await;
}

#[tokio::test]
async fn a_hold_that_lives_and_is_silent_is_unknown_not_idle() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Resume).await;
    rig.holds.freeze(&session.id, true);
    let silent = steward.get("a").await.unwrap();
    assert_eq!(silent.status.state, State::Unknown);
    assert_eq!(silent.status.detail, "its hold does not answer");
    assert!(steward.remove("a").await.is_err());
    steward.end();
    // A steward that begins while it is silent does not take it for dead either.
    let steward = settled(&rig).await;
    let silent =
        until(&steward, &session.id, |s| s.status.detail.contains("does not answer")).await;
    assert_eq!(silent.status.state, State::Unknown);
    rig.holds.freeze(&session.id, false);
    until(&steward, &session.id, |s| s.status.state == State::Idle).await;
    assert_eq!(rig.holds.started(), 1);
}

#[tokio::test]
async fn a_hold_without_its_socket_is_unknown_until_the_socket_is_back() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Resume).await;
    rig.holds.listen(&session.id, false);
    let alone = until(&steward, &session.id, |s| s.status.state == State::Unknown).await;
    assert!(alone.status.detail.contains("has no socket"), "{}", alone.status.detail);
    rig.holds.listen(&session.id, true);
    until(&steward, &session.id, |s| s.status.state == State::Idle).await;
    rig.holds.hang_up(&session.id);
    rig.holds.set(&session.id, |s| s.title = "after".into());
    until(&steward, &session.id, |s| s.title == "after").await;
    // And one that dies without its socket is still seen to die.
    rig.holds.listen(&session.id, false);
    until(&steward, &session.id, |s| s.status.state == State::Unknown).await;
    rig.holds.lose(&session.id);
    until(&steward, &session.id, restarted).await;
}

#[tokio::test]
async fn a_session_made_without_the_steward_is_found() {
    use stead_steward::holds::Holds;
    let rig = Rig::new();
    let steward = rig.steward();
    let spec = serde_json::from_value(serde_json::json!(
        {"id": "alone", "name": "alone", "command": ["sh"], "cwd": "/", "created": 1}
    ))
    .unwrap();
    rig.holds.start(&rig.places(), &spec).unwrap();
    until(&steward, "alone", |s| s.status.state == State::Idle).await;

    let mut listener = steward.listen();
    rig.holds.lose("alone");
    rig.places().session("alone").remove().unwrap();
    let removed = async {
        while !matches!(&*listener.next().await.unwrap(), Event::Removed { id } if id == "alone") {}
    };
    timeout(LONG, removed).await.unwrap();
}

#[tokio::test]
async fn the_index_is_only_an_index() {
    let rig = Rig::new();
    let steward = rig.steward();
    let a = make(&rig, &steward, "a", Restart::Never).await;
    let b = make(&rig, &steward, "b", Restart::Never).await;
    rig.holds.exit(&b.id, 0);
    until(&steward, &b.id, |s| s.exit.is_some()).await;
    let index = rig.places().data.join("index.sqlite");
    steward.end();
    for garbage in
        [None, Some("this is not a database, but long enough to look like a header........")]
    {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(rig.places().data.join(format!("index.sqlite{end}")));
        }
        if let Some(garbage) = garbage {
            std::fs::write(&index, garbage).unwrap();
        }
        let steward = settled(&rig).await;
        until(&steward, &a.id, |s| s.status.state == State::Idle).await;
        assert_eq!(steward.get("b").await.unwrap().exit.unwrap().code, Some(0));
        let messages = steward.version().messages;
        let says = if garbage.is_some() { "damaged" } else { "missing" };
        assert!(messages.len() == 1 && messages[0].contains(says), "{messages:?}");
        assert!(messages[0].contains("built again from 2 sessions"), "{messages:?}");
        steward.end();
    }
}

#[tokio::test]
async fn a_damaged_folder_loses_nothing_and_is_told() {
    let rig = Rig::new();
    let steward = rig.steward();
    let a = make(&rig, &steward, "a", Restart::Resume).await;
    let b = make(&rig, &steward, "b", Restart::Resume).await;
    steward.end();
    rig.holds.lose(&b.id);
    let folder = |id: &str| rig.places().session(id).path().to_owned();
    std::fs::write(folder(&b.id).join("exit.json"), "{").unwrap();
    std::fs::create_dir(rig.places().sessions().join("broken")).unwrap();
    std::fs::write(rig.places().sessions().join("broken/spec.json"), "no").unwrap();
    std::fs::write(folder(&a.id).join("run.json"), "[").unwrap();

    let steward = settled(&rig).await;
    // The hold answers, whatever its folder says.
    until(&steward, &a.id, |s| s.status.state == State::Idle).await;
    let odd = steward.get("b").await.unwrap();
    assert!(odd.warning.unwrap().contains("exit.json is damaged"));
    assert_eq!(odd.status.state, State::Unknown);
    assert!(odd.status.detail.contains("exit.json"), "{}", odd.status.detail);
    assert_eq!(rig.holds.started(), 2, "nothing is started on the strength of a failure to look");
    let messages = steward.version().messages;
    assert!(messages.iter().any(|m| m.contains("broken/spec.json is damaged")), "{messages:?}");
}

#[tokio::test]
async fn requests_that_cannot_be_right_leave_nothing_behind() {
    let rig = Rig::new();
    let steward = rig.steward();
    make(&rig, &steward, "taken", Restart::Never).await;
    let file = rig.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let good = || rig.ask("new");
    for (ask, says) in [
        (Create { name: Some("a/b".into()), ..good() }, "contains '/'"),
        (Create { name: Some("x".repeat(10_000)), ..good() }, "10000 bytes"),
        (Create { name: Some("taken".into()), ..good() }, "exists already"),
        (Create { command: vec!["no-such-command".into()], ..good() }, "no command"),
        (Create { command: vec![String::new()], ..good() }, "empty"),
        (Create { command: vec!["a\0b".into()], ..good() }, "NUL"),
        (Create { cwd: "/no/such/folder".into(), ..good() }, "there is no folder"),
        (Create { cwd: file.clone(), ..good() }, "is not a folder"),
        (Create { cwd: "relative".into(), ..good() }, "absolute"),
        (Create { machine: Some("moon".into()), ..good() }, "no machine \"moon\""),
        (Create { agent: Some("nobody".into()), ..good() }, "no agent"),
        (Create { worktree: Some(String::new()), ..good() }, "no worktree"),
    ] {
        let problem = steward.create(ask).await.unwrap_err().problem();
        assert!(problem.message.contains(says), "{says}: {problem:?}");
        assert!(problem.message.len() < 300 && !problem.message.contains('\n'), "{problem:?}");
    }
    rig.holds.refuse(Some("no"));
    assert!(steward.create(good()).await.is_err());
    rig.holds.refuse(None);
    assert_eq!(rig.holds.started(), 1);
    assert_eq!(steward.list().await.len(), 1);
    assert_eq!(steward.create(good()).await.unwrap().name, "new");
}

#[tokio::test]
async fn one_name_is_given_once_however_many_ask_at_once() {
    let rig = Rig::new();
    let steward = rig.steward();
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (steward, ask) = (steward.clone(), rig.ask("same"));
        asks.spawn(async move { steward.create(ask).await.is_ok() });
    }
    let made = asks.join_all().await.into_iter().filter(|ok| *ok).count();
    assert_eq!((made, rig.holds.started()), (1, 1));
    let unnamed = Create { name: None, ..rig.ask("") };
    assert_eq!(steward.create(unnamed.clone()).await.unwrap().name, "sh-1");
    assert_eq!(steward.create(unnamed).await.unwrap().name, "sh-2");
}

#[tokio::test]
async fn a_listener_that_lags_is_told_everything_again() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Never).await;
    let mut listener = steward.listen();
    for n in 0..400 {
        steward.rename(&session.id, &format!("n{n}")).await.unwrap();
    }
    let mut events = 0;
    let last = timeout(LONG, async {
        loop {
            events += 1;
            if let Event::Session { session } = &*listener.next().await.unwrap()
                && session.name == "n399"
            {
                return;
            }
        }
    });
    last.await.unwrap();
    assert!(events < 300, "{events} events");
}

#[tokio::test]
async fn the_end_of_a_session_is_explained_from_what_is_left() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Never).await;
    rig.holds.say(&session.id, State::Waiting);
    until(&steward, &session.id, |s| s.status.state == State::Waiting).await;
    rig.holds.exit(&session.id, 7);
    until(&steward, &session.id, |s| s.exit.is_some()).await;
    let evidence = steward.explain("a").await.unwrap();
    assert!(evidence[0].decides && evidence[0].detail == "exited(7)", "{evidence:?}");
    assert!(evidence.iter().any(|e| e.state == State::Waiting && !e.decides), "{evidence:?}");
}

#[tokio::test]
async fn a_session_whose_end_was_asked_for_is_not_resumed_when_its_hold_dies_on_the_way() {
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Always).await;
    rig.holds.freeze(&session.id, true);
    assert!(steward.kill("a", 0).await.is_err());
    rig.holds.lose(&session.id);
    let ended = until(&steward, &session.id, |s| s.exit.is_some()).await;
    let wanted = |exit: &Exit| exit.by == EndedBy::Person && exit.code.is_none();
    assert!(ended.exit.as_ref().is_some_and(wanted), "{ended:?}");
    assert_eq!(rig.holds.started(), 1);
}

#[tokio::test]
async fn people_are_told_at_their_terminals_and_by_their_program() {
    let rig = Rig::new();
    let told = rig.dir.path().join("told");
    std::fs::create_dir(&told).unwrap();
    let config = rig.places().config;
    std::fs::create_dir_all(&config).unwrap();
    let script = format!("cat > {0}/new && mv {0}/new {0}/$STEAD_EVENT", told.display());
    let settings = format!("[notify]\nsettle = 0\ncommand = [\"sh\", \"-c\", \"{script}\"]\n");
    std::fs::write(config.join("settings.toml"), settings).unwrap();
    let folder = Folders::new().unwrap();
    folder.watch(&told, WatchFlags::MOVED_TO).unwrap();

    let steward = rig.steward();
    let a = make(&rig, &steward, "a", Restart::Never).await;
    let b = make(&rig, &steward, "b", Restart::Never).await;
    rig.holds.say(&a.id, State::Waiting);
    until(&steward, &b.id, |s| s.title == "note: a waits for you").await;
    timeout(LONG, folder.next()).await.unwrap().unwrap();
    let event = std::fs::read(told.join("waiting")).unwrap();
    let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["session"]["id"], a.id);

    // A mistake in the settings is told, and what was in force stays in force.
    std::fs::write(config.join("settings.toml"), "[notify]\nsettel = 0 # and more\n").unwrap();
    rig.holds.exit(&b.id, 1);
    timeout(LONG, folder.next()).await.unwrap().unwrap();
    assert!(told.join("failed").exists());
    let messages = steward.version().messages;
    assert!(messages[0].contains("settings.toml:2: unknown field `settel`"), "{messages:?}");
}

#[tokio::test]
async fn folders_that_are_taken_away_are_made_and_watched_again() {
    use stead_steward::holds::Holds;
    let rig = Rig::new();
    let steward = rig.steward();
    let session = make(&rig, &steward, "a", Restart::Never).await;
    let holds = rig.places().holds();
    std::fs::rename(&holds, rig.dir.path().join("elsewhere")).unwrap();
    rig.holds.exit(&session.id, 0);
    until(&steward, &session.id, |s| s.exit.is_some()).await;
    let begun = std::time::Instant::now();
    while !holds.exists() {
        assert!(begun.elapsed() < LONG, "the folder is not made again");
        tokio::task::yield_now().await;
    }
    let spec = serde_json::from_value(serde_json::json!(
        {"id": "later", "name": "later", "command": ["sh"], "cwd": "/", "created": 1}
    ))
    .unwrap();
    rig.holds.start(&rig.places(), &spec).unwrap();
    until(&steward, "later", |s| s.status.state == State::Idle).await;
}
