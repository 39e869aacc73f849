//! Sessions inside "machines": real holds behind a real bridge, in folders of their own. `stead-hold` is built beforehand
//! (`cargo build -p stead-hold`) or named by `STEAD_HOLD`.

mod common;
mod machine;

use common::until;
use machine::{Mode, Rig, screen, until_screen};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;
use stead_hold::client::Connection;
use stead_hold::history::{Item, Reader};
use stead_steward::remote::Exec;
use stead_wire::api::Create;
use stead_wire::message::{Ask, Attach, Purpose, ToClient, ToHold};
use stead_wire::session::{EndedBy, Restart, Session, Size};
use stead_wire::status::State;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn printed(rig: &Rig, id: &str) -> String {
    let mut text = Vec::new();
    let reader = Reader::open(&rig.places().session(id).history()).unwrap();
    let mut items = reader.from(0);
    while let Some(item) = items.next_item().unwrap() {
        if let Item::Chunk { bytes, .. } = item {
            text.extend_from_slice(bytes);
        }
    }
    String::from_utf8(text).unwrap()
}

/// The files of a folder with what is in them.
fn files(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
        .collect()
}

#[tokio::test]
async fn a_command_runs_inside_with_the_environment_of_the_machine() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let mut ask = rig.ask("a", &["sh", "-c", "env; exit 3"]);
    ask.env.insert("OF_THE_HOST".into(), "secret".into());
    ask.env.insert("LANG".into(), "xx_YY".into());
    ask.set_env.insert("ASKED_FOR".into(), "yes".into());
    let session = steward.create(ask).await.unwrap();
    assert_eq!((session.machine.as_str(), session.life), ("box", 1));
    let ended = until(&steward, &session.id, |s| s.exit.is_some()).await;
    assert_eq!(ended.exit.as_ref().unwrap().code, Some(3));
    assert_eq!(steward.sync("a").await.unwrap(), None);
    let text = printed(&rig, &session.id);
    let inside = rig.inside("box");
    let socket = inside.hold_socket(&session.id);
    for line in [
        "ASKED_FOR=yes".to_owned(),
        "LANG=".to_owned(),
        "TERM=xterm-256color".to_owned(),
        "STEAD_SESSION=a".to_owned(),
        format!("STEAD_HOLD_SOCKET={}", socket.display()),
    ] {
        assert!(text.contains(&line), "{line} in\n{text}");
    }
    assert!(!text.contains("OF_THE_HOST"), "{text}");
    let (here, there) = (rig.places().session(&session.id), inside.session(&session.id));
    assert_eq!(files(&here.history()), files(&there.history()));
    assert_eq!(here.last_screen(), there.last_screen());
    assert_eq!(here.exit().unwrap(), ended.exit);
    steward.remove("a").await.unwrap();
    assert!(!here.path().exists() && !there.path().exists());
    assert!(!rig.places().hold_socket(&session.id).exists());
}

#[tokio::test]
async fn what_cannot_start_inside_says_why_and_leaves_nothing() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let fails = async |ask: Create| steward.create(ask).await.unwrap_err().problem();
    let no = fails(rig.ask("a", &["no-such-program"])).await;
    assert!(
        no.message.contains("no command \"no-such-program\" in the PATH of the machine"),
        "{no:?}"
    );
    let no = fails(Create { cwd: "/no/such".into(), ..rig.ask("a", &["cat"]) }).await;
    assert!(no.message.contains("no folder \"/no/such\" in the machine"), "{no:?}");
    let no = fails(Create { machine: Some("moon".into()), ..rig.ask("a", &["cat"]) }).await;
    assert_eq!(no.message, "there is no machine \"moon\"");
    let no = fails(Create { worktree: Some("x".into()), ..rig.ask("a", &["cat"]) }).await;
    assert!(no.message.contains("worktree") && no.help.is_some(), "{no:?}");
    rig.set("box", Mode::Stopped);
    steward.machine_down("box");
    let no = fails(rig.ask("a", &["cat"])).await;
    assert_eq!(no.message, "the machine \"box\" does not run");
    assert_eq!(no.help.as_deref(), Some("stead up box"));
    rig.set("box", Mode::Unreachable("the engine is on holiday"));
    let no = fails(rig.ask("a", &["cat"])).await;
    assert_eq!(no.message, "the machine \"box\" cannot be reached: the engine is on holiday");
    assert!(rig.places().all_sessions().unwrap().is_empty());
    assert!(rig.inside("box").all_sessions().unwrap().is_empty());
    assert!(steward.list().await.is_empty());
}

#[tokio::test]
async fn a_client_sees_the_same_screen_through_every_death_of_the_bridge() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let script = "i=0; while read line; do i=$((i+1)); echo \"got $i $line\"; done";
    let session = steward.create(rig.ask("a", &["sh", "-c", script])).await.unwrap();
    let here = rig.places().hold_socket(&session.id);
    let there = rig.inside("box").hold_socket(&session.id);
    let mut seen = None;
    let mut all = Vec::new();
    for n in 1..=3 {
        let attach = Attach { resume: seen, size: Size::default(), ..Attach::default() };
        let path = here.clone();
        // A client that was there before goes on from what it has seen.
        let (bytes, offset) = tokio::task::spawn_blocking(move || {
            let (mut hold, _) = Connection::open(&path, Purpose::Attach(attach)).unwrap();
            hold.set_timeout(Duration::from_secs(20)).unwrap();
            hold.send(&ToHold::Input(format!("line{n}\n").into_bytes())).unwrap();
            let (mut all, mut end) = (Vec::new(), 0);
            loop {
                match hold.next_message().unwrap() {
                    ToClient::Output { offset, bytes } => {
                        end = offset + bytes.len() as u64;
                        all.extend(bytes);
                    }
                    ToClient::Repaint { offset, bytes } => {
                        assert!(seen.is_none(), "what was missed is little");
                        (end, all) = (offset, bytes);
                    }
                    _ => {}
                }
                if String::from_utf8_lossy(&all).contains(&format!("got {n} line{n}")) {
                    return (all, end);
                }
            }
        })
        .await
        .unwrap();
        seen = Some(offset);
        all.extend(bytes);
        rig.kill_bridge("box");
        until(&steward, &session.id, |s| s.status.state == State::Unknown).await;
        until(&steward, &session.id, |s| s.status.state != State::Unknown).await;
    }
    let shown = until_screen(&here, "got 3 line3").await;
    assert_eq!(shown, screen(&there).await);
    assert_eq!(steward.get("a").await.unwrap().life, 1);
    assert!(rig.bridges("box") >= 4, "each death had another bridge");
}

#[tokio::test]
async fn another_steward_finds_every_session() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let a = steward.create(rig.ask("a", &["cat"])).await.unwrap();
    let b = steward.create(rig.ask("b", &["sh", "-c", "read x; exit 4"])).await.unwrap();
    steward.rename("a", "other").await.unwrap();
    steward.end();
    // While nobody looks, one of them ends.
    machine::type_into(&rig.inside("box").hold_socket(&b.id), "x\n").await;
    let steward = rig.steward().await;
    let found = steward.get("other").await.unwrap();
    assert_eq!((found.life, found.pid, found.exit), (1, a.pid, None));
    until(&steward, &a.id, |s| s.status.state != State::Unknown).await;
    until(&steward, &b.id, |s| s.exit.as_ref().is_some_and(|e| e.code == Some(4))).await;
    machine::type_into(&rig.places().hold_socket(&a.id), "still here\n").await;
    until_screen(&rig.places().hold_socket(&a.id), "still here").await;
    let ended = steward.kill("other", 0).await.unwrap();
    assert_eq!(ended.exit.unwrap().by, EndedBy::Person);
    let again = steward.restart("other").await.unwrap();
    assert_eq!((again.life, again.name.as_str()), (2, "other"));
    steward.kill("other", 9).await.unwrap();
    until(&steward, &a.id, |s| s.exit.is_some()).await;
}

#[tokio::test]
async fn a_machine_that_goes_down_loses_sessions_and_brings_them_back() {
    let rig = Rig::new();
    rig.robot();
    let steward = rig.steward().await;
    let never = Create { restart: Restart::Never, ..rig.ask("never", &["cat"]) };
    let never = steward.create(never).await.unwrap();
    let agent = Create { agent: Some("robot".into()), ..rig.ask("agent", &["--fast"]) };
    let agent = steward.create(agent).await.unwrap();
    let known = until(&steward, &agent.id, |s| s.conversation.is_some()).await;
    let conversation = known.conversation.unwrap().id;
    until_screen(&rig.places().hold_socket(&agent.id), "ready").await;

    let stopping = steward.machine_stopping("box").await;
    rig.stop("box");
    steward.machine_down("box");
    drop(stopping);
    for session in [&never, &agent] {
        let lost = until(&steward, &session.id, |s| s.exit.is_some()).await;
        assert_eq!(lost.exit.unwrap().by, EndedBy::Lost);
    }
    assert!(!rig.places().hold_socket(&agent.id).exists());
    // Readable while the machine is down; and nobody begins anything.
    assert!(printed(&rig, &agent.id).contains("ready"));
    assert!(steward.sync("agent").await.unwrap().unwrap().contains("does not run"));
    let no = steward.restart("agent").await.unwrap_err().problem();
    assert_eq!(no.help.as_deref(), Some("stead up box"));
    assert_eq!(steward.get("agent").await.unwrap().life, 1);

    rig.set("box", Mode::Up);
    steward.machine_up("box");
    let again = until(&steward, &agent.id, |s| s.life == 2 && s.exit.is_none()).await;
    assert_eq!(again.command[1..].join(" "), format!("--resume {conversation} --fast"));
    assert_eq!(steward.get("never").await.unwrap().status.state, State::Exited);
    // And when it happens while no steward looks.
    until_screen(&rig.places().hold_socket(&agent.id), "ready").await;
    steward.end();
    rig.stop("box");
    let steward = rig.steward().await;
    until(&steward, &agent.id, |s| s.exit.is_some()).await;
    rig.set("box", Mode::Up);
    steward.machine_up("box");
    until(&steward, &agent.id, |s| s.life == 3 && s.exit.is_none()).await;
    steward.kill("agent", 0).await.unwrap();
}

#[tokio::test]
async fn a_machine_that_cannot_be_told_makes_sessions_unknown_and_nothing_begins() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let always = Create { restart: Restart::Always, ..rig.ask("a", &["cat"]) };
    let session = steward.create(always).await.unwrap();
    rig.set("box", Mode::Unreachable("no route"));
    rig.kill_bridge("box");
    steward.machine_unknown("box", "no route");
    let said = "its machine cannot be reached: no route";
    until(&steward, &session.id, |s| s.status.detail == said).await;
    let unknown = steward.get("a").await.unwrap();
    assert_eq!((unknown.status.state, unknown.exit), (State::Unknown, None));
    let no = steward.remove("a").await.unwrap_err().to_string();
    assert!(no.contains("has not ended: it is unknown"), "{no}");
    assert!(steward.kill("a", 0).await.is_err());
    assert!(steward.restart("a").await.is_err());
    // Another steward knows no better.
    steward.end();
    let steward = rig.steward().await;
    until(&steward, &session.id, |s| s.status.detail == said).await;
    rig.set("box", Mode::Up);
    steward.machine_up("box");
    let back = until(&steward, &session.id, |s| s.status.state != State::Unknown).await;
    assert_eq!((back.life, back.pid), (1, session.pid));
    steward.machine_unknown("box", "the engine does not answer");
    assert_ne!(steward.get("a").await.unwrap().status.state, State::Unknown, "its bridge does");
    steward.kill("a", 0).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_fails_is_tried_again_by_itself() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let session = steward.create(rig.ask("a", &["cat"])).await.unwrap();
    rig.set("box", Mode::Unreachable("no route"));
    rig.kill_bridge("box");
    let said = "its machine cannot be reached: no route";
    until(&steward, &session.id, |s| s.status.detail == said).await;
    // Nobody says so.
    rig.set("box", Mode::Up);
    let back = until(&steward, &session.id, |s| s.status.state != State::Unknown).await;
    assert_eq!((back.life, back.pid), (1, session.pid));
    steward.kill("a", 0).await.unwrap();
}

#[tokio::test]
async fn no_stream_is_made_into_a_machine_that_is_being_stopped() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let session = steward.create(rig.ask("a", &["cat"])).await.unwrap();
    let (one, other) =
        (steward.machine_stopping("box").await, steward.machine_stopping("box").await);
    rig.kill_bridge("box");
    let said = "its machine is being stopped";
    until(&steward, &session.id, |s| s.status.detail == said).await;
    assert!(steward.kill("a", 0).await.is_err(), "nothing is known of it");
    drop(one);
    assert_eq!(rig.bridges("box"), 1);
    assert_eq!(steward.get("a").await.unwrap().status.detail, said);
    // It was not stopped after all.
    drop(other);
    let back = until(&steward, &session.id, |s| s.status.state != State::Unknown).await;
    assert_eq!((back.life, back.pid, rig.bridges("box")), (1, session.pid, 2));
    steward.kill("a", 0).await.unwrap();
}

#[tokio::test]
async fn a_machine_that_is_gone_leaves_what_was_copied() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let session = steward.create(rig.ask("a", &["sh", "-c", "echo kept; cat"])).await.unwrap();
    until_screen(&rig.places().hold_socket(&session.id), "kept").await;
    assert_eq!(steward.sync("a").await.unwrap(), None);
    rig.stop("box");
    rig.set("box", Mode::Gone);
    steward.machine_gone("box");
    until(&steward, &session.id, |s| s.exit.is_some()).await;
    assert!(printed(&rig, &session.id).contains("kept"));
    steward.remove("a").await.unwrap();
    // The machine comes back with it: removed is removed.
    rig.set("box", Mode::Up);
    let other = steward.create(rig.ask("b", &["cat"])).await.unwrap();
    let there = rig.inside("box").session(&session.id);
    machine::until_gone(there.path()).await;
    assert_eq!(steward.list().await.len(), 1);
    assert_eq!(steward.kill("b", 0).await.unwrap().id, other.id);
}

#[tokio::test]
async fn a_lost_hold_inside_is_resumed_and_one_made_inside_is_found() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let session = steward.create(rig.ask("a", &["cat"])).await.unwrap();
    let hold = rig.inside("box").session(&session.id).run().unwrap().unwrap().hold;
    kill_process(Pid::from_raw(hold).unwrap(), Signal::KILL).unwrap();
    let again = until(&steward, &session.id, |s| s.life == 2 && s.exit.is_none()).await;
    assert_ne!(again.pid, session.pid);
    rig.made_inside("box", "alone", &["cat"]);
    let mut listener = steward.listen();
    while steward.get("alone").await.is_err() {
        listener.next().await;
    }
    let alone = steward.get("alone").await.unwrap();
    assert_eq!(alone.machine, "box");
    steward.kill("alone", 0).await.unwrap();
    steward.kill("a", 0).await.unwrap();
}

#[tokio::test]
async fn twenty_sessions_over_one_bridge_and_one_client_that_does_not_read() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let script = "read x; i=0; while [ $i -lt 4000 ]; do echo \"$x $i 0123456789012345678901234567890\"; i=$((i+1)); done; \
                  echo done; read y";
    let made = (0..20).map(|n| steward.create(rig.ask(&format!("s{n}"), &["sh", "-c", script])));
    let mut sessions: Vec<Session> = Vec::new();
    for session in futures(made).await {
        sessions.push(session.unwrap());
    }
    // It asks for everything, and reads nothing of it.
    let stalled = rig.places().hold_socket(&sessions[0].id);
    let mut stalled = std::os::unix::net::UnixStream::connect(stalled).unwrap();
    let mut hello = Vec::new();
    ToHold::Hello(stead_wire::message::Hello {
        speaks: stead_wire::handshake::SPOKEN,
        client: "stalled".into(),
        purpose: Purpose::Control,
    })
    .put(&mut hello);
    for id in 0..400 {
        let ask = Ask::Screen { format: "json".into() };
        ToHold::Ask(stead_wire::message::Asked { id, ask }).put(&mut hello);
    }
    std::io::Write::write_all(&mut stalled, &hello).unwrap();
    for session in &sessions {
        machine::type_into(&rig.places().hold_socket(&session.id), "go\n").await;
    }
    for session in &sessions {
        until_screen(&rig.places().hold_socket(&session.id), "done").await;
    }
    for session in &sessions {
        machine::type_into(&rig.places().hold_socket(&session.id), "end\n").await;
        until(&steward, &session.id, |s| s.exit.is_some()).await;
        assert_eq!(steward.sync(&session.id).await.unwrap(), None);
        let here = rig.places().session(&session.id);
        let there = rig.inside("box").session(&session.id);
        assert_eq!(files(&here.history()), files(&there.history()));
        assert!(printed(&rig, &session.id).contains("go 3999 "));
    }
    assert_eq!(rig.bridges("box"), 1);
    let mut first = [0; 5];
    stalled.read_exact(&mut first).unwrap();
}

async fn futures<T>(all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in &mut all {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *done = Some(value);
            }
        }
        if all.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().map(|(_, done)| done.unwrap()).collect()
}

#[tokio::test]
async fn the_copy_follows_a_history_that_was_cut() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let session = steward.create(rig.ask("a", &["sh", "-c", "echo one; cat"])).await.unwrap();
    until_screen(&rig.places().hold_socket(&session.id), "one").await;
    steward.sync("a").await.unwrap();
    // As after a torn write: what was copied is not what is there now.
    let copy = rig.places().session(&session.id).history().join("0000000000000000.seg");
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes.extend_from_slice(b"torn");
    std::fs::write(&copy, &bytes).unwrap();
    machine::type_into(&rig.places().hold_socket(&session.id), "two\n").await;
    until_screen(&rig.places().hold_socket(&session.id), "two").await;
    steward.kill("a", 0).await.unwrap();
    assert_eq!(steward.sync("a").await.unwrap(), None);
    let there = rig.inside("box").session(&session.id);
    assert_eq!(files(&rig.places().session(&session.id).history()), files(&there.history()));
}

#[tokio::test]
async fn what_a_machine_that_was_put_back_does_not_know_any_more_is_kept_and_told() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let session = steward.create(rig.ask("a", &["sh", "-c", "echo one; cat"])).await.unwrap();
    let socket = rig.places().hold_socket(&session.id);
    let (here, there) = (rig.places().session(&session.id), rig.inside("box").session(&session.id));
    until_screen(&socket, "one").await;
    steward.sync("a").await.unwrap();
    let segment = "0000000000000000.seg";
    let then = std::fs::read(there.history().join(segment)).unwrap();
    let printed = Reader::open(&there.history()).unwrap().end().unwrap();
    machine::type_into(&socket, "two\n").await;
    until_screen(&socket, "two").await;
    steward.kill("a", 0).await.unwrap();
    assert_eq!(steward.sync("a").await.unwrap(), None);
    assert_eq!(here.went_back().unwrap(), []);
    let before = files(&here.history());

    std::fs::write(there.history().join(segment), &then).unwrap();
    assert_eq!(steward.sync("a").await.unwrap(), None);
    assert_eq!(files(&here.history()), files(&there.history()));
    let told = here.went_back().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].offset, printed);
    assert!(told[0].to > printed);
    let kept = here.earlier().join(told[0].at.to_string());
    assert_eq!(files(&kept), before);
    assert!(!here.path().join("history.new").exists());
    // Once.
    assert_eq!(steward.sync("a").await.unwrap(), None);
    assert_eq!(here.went_back().unwrap(), told);

    // To a time at which there was nothing of it.
    std::fs::remove_file(there.history().join(segment)).unwrap();
    assert_eq!(steward.sync("a").await.unwrap(), None);
    let told = here.went_back().unwrap();
    assert_eq!(told.iter().map(|back| (back.offset, back.to)).collect::<Vec<_>>(), [(0, printed)]);
}

#[tokio::test]
async fn a_command_without_a_session_has_its_streams_and_status() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let exec = |script: &str, terminal| Exec {
        command: vec!["sh".into(), "-c".into(), script.into()],
        env: [("A".to_owned(), "b".to_owned())].into(),
        cwd: Some("/".into()),
        terminal,
    };
    let mut running =
        steward.exec("box", exec("pwd; cat; echo $A >&2; exit 7", None)).await.unwrap();
    let big = vec![b'x'; 1_000_000];
    let (mut reader, mut writer) = running.stream.split();
    let mut out = Vec::new();
    let write = async {
        writer.write_all(&big).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let ((), read) = tokio::join!(write, reader.read_to_end(&mut out));
    read.unwrap();
    assert_eq!(out, [b"/\n", &big[..]].concat());
    let mut errors = String::new();
    running.errors.read_to_string(&mut errors).await.unwrap();
    assert_eq!(errors, "b\n");
    assert_eq!(running.ended.await.unwrap().code, Some(7));

    let size = Size { cols: 91, rows: 17 };
    let mut running = steward.exec("box", exec("stty size; kill -9 $$", Some(size))).await.unwrap();
    let mut out = String::new();
    running.stream.read_to_string(&mut out).await.unwrap();
    assert_eq!(out, "17 91\r\n");
    assert_eq!(running.ended.await.unwrap().signal, Some(9));
    let no = steward.exec("box", Exec { command: vec!["no-such".into()], ..Exec::default() }).await;
    assert!(no.unwrap_err().to_string().contains("cannot run \"no-such\""));
}
