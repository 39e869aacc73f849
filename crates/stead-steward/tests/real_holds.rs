//! The steward with the real `stead-hold`: built beforehand (`cargo build -p stead-hold`) or named by `STEAD_HOLD`.

mod common;

use common::until;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::sync::Arc;
use stead_steward::holds::RealHolds;
use stead_steward::{Options, Places, Steward, StewardError};
use stead_wire::api::Create;
use stead_wire::session::{EndedBy, Restart, Session};
use stead_wire::status::State;

fn program() -> PathBuf {
    let beside = || {
        let exe = std::env::current_exe().unwrap();
        exe.parent().unwrap().parent().unwrap().join("stead-hold")
    };
    let program = std::env::var_os("STEAD_HOLD").map_or_else(beside, PathBuf::from);
    let shown = program.display();
    assert!(program.exists(), "{shown} is missing: cargo build -p stead-hold, or set STEAD_HOLD");
    program
}

/// Private folders whose sessions end with the test.
struct Rig {
    dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        Rig { dir: tempfile::tempdir().unwrap() }
    }

    fn places(&self) -> Places {
        let dir = self.dir.path();
        Places {
            data: dir.join("data/stead"),
            runtime: dir.join("run/stead"),
            config: dir.join("config/stead"),
        }
    }

    async fn steward(&self) -> Steward {
        loop {
            let holds = Arc::new(RealHolds { program: program() });
            let hook_command = vec![program().to_str().unwrap().to_owned(), "hook".to_owned()];
            let options = Options { places: self.places(), holds, hook_command };
            match Steward::start(options) {
                Err(StewardError::Runs(_)) => tokio::task::yield_now().await,
                result => return result.unwrap(),
            }
        }
    }

    fn ask(&self, name: &str, command: &[&str]) -> Create {
        Create {
            name: Some(name.into()),
            command: command.iter().map(|&word| word.into()).collect(),
            cwd: self.dir.path().to_owned(),
            env: std::env::vars().collect(),
            ..Create::default()
        }
    }

    fn hold(&self, session: &Session) -> Pid {
        let run = self.places().session(&session.id).run().unwrap().unwrap();
        Pid::from_raw(run.hold).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for folder in self.places().all_sessions().unwrap_or_default() {
            if let Ok(Some(run)) = folder.run()
                && stead_hold::launch::alive(&run)
            {
                let _ = kill_process(Pid::from_raw(run.hold).unwrap(), Signal::KILL);
            }
        }
    }
}

#[tokio::test]
async fn a_command_runs_and_its_end_is_known() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let script = "test \"$STEAD_SESSION$TERM\" = axterm-256color && exit 3";
    let session = steward.create(rig.ask("a", &["sh", "-c", script])).await.unwrap();
    assert_eq!((session.life, session.name.as_str()), (1, "a"));
    let ended = until(&steward, &session.id, |s| s.exit.is_some()).await;
    let exit = ended.exit.unwrap();
    assert_eq!((exit.code, exit.by), (Some(3), EndedBy::Itself));
    steward.remove("a").await.unwrap();
    assert!(!rig.places().session(&session.id).path().exists());
    assert!(!rig.places().hold_socket(&session.id).exists());
}

#[tokio::test]
async fn a_session_outlives_its_steward_and_its_hold() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let ask = Create { restart: Restart::Resume, ..rig.ask("a", &["cat"]) };
    let session = steward.create(ask).await.unwrap();
    steward.end();

    let steward = rig.steward().await;
    let found = steward.get("a").await.unwrap();
    assert_eq!((found.life, found.pid, found.exit), (1, session.pid, None));
    until(&steward, &session.id, |s| s.status.state != State::Unknown).await;

    kill_process(rig.hold(&session), Signal::KILL).unwrap();
    let again = until(&steward, &session.id, |s| s.life == 2 && s.exit.is_none()).await;
    assert_ne!(again.pid, session.pid);
    steward.rename("a", "b").await.unwrap();

    let ended = steward.kill("b", 0).await.unwrap();
    assert_eq!(ended.exit.unwrap().by, EndedBy::Person);
    steward.end();
    let steward = rig.steward().await;
    let still = steward.get("b").await.unwrap();
    assert_eq!((still.status.state, still.life), (State::Exited, 2));
    let third = steward.restart("b").await.unwrap();
    assert_eq!(third.life, 3);
    steward.kill("b", 9).await.unwrap();
    let ended = until(&steward, &session.id, |s| s.exit.is_some()).await;
    assert_eq!(ended.exit.unwrap().by, EndedBy::Person);
}

#[tokio::test]
async fn a_session_that_the_hold_program_made_alone_is_found() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let made = std::process::Command::new(program())
        .args(["create", "-n", "alone", "--", "cat"])
        .env("XDG_DATA_HOME", rig.dir.path().join("data"))
        .env("XDG_RUNTIME_DIR", rig.dir.path().join("run"))
        .env("XDG_CONFIG_HOME", rig.dir.path().join("config"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut listener = steward.listen();
    while steward.get("alone").await.is_err() {
        listener.next().await;
    }
    steward.kill("alone", 0).await.unwrap();
}

#[tokio::test]
async fn a_frozen_hold_is_unknown_and_comes_back() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let session = steward.create(rig.ask("a", &["cat"])).await.unwrap();
    until(&steward, &session.id, |s| s.status.detail != "it has just been started").await;
    kill_process(rig.hold(&session), Signal::STOP).unwrap();
    assert_eq!(steward.get("a").await.unwrap().status.state, State::Unknown);
    kill_process(rig.hold(&session), Signal::CONT).unwrap();
    until(&steward, &session.id, |s| s.status.state != State::Unknown).await;
    let evidence = steward.explain("a").await.unwrap();
    assert!(evidence.iter().any(|e| e.decides), "{evidence:?}");
}

#[tokio::test]
async fn a_command_that_the_kernel_cannot_run_leaves_nothing() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let tool = rig.dir.path().join("tool");
    // Executable, so it passes the check, and yet the kernel cannot run it.
    std::fs::write(&tool, "#!/no/such/interpreter\n").unwrap();
    std::process::Command::new("chmod").arg("755").arg(&tool).status().unwrap();
    let error = steward.create(rig.ask("a", &["./tool"])).await.unwrap_err().problem();
    assert!(error.message.contains("did not start"), "{error:?}");
    assert!(rig.places().all_sessions().unwrap().is_empty());
    assert!(steward.list().await.is_empty());
}

#[tokio::test]
async fn an_agent_is_prepared_and_resumed_with_what_was_asked_for() {
    let rig = Rig::new();
    let agents = rig.places().config.join("agents");
    std::fs::create_dir_all(&agents).unwrap();
    // An agent that writes down how it was called, and waits.
    let tool = rig.dir.path().join("robot");
    let script = "#!/bin/sh\necho \"$@\" >> calls\nexec cat\n";
    std::fs::write(&tool, script).unwrap();
    std::process::Command::new("chmod").arg("755").arg(&tool).status().unwrap();
    let profile = format!(
        "name = \"robot\"\nabout = \"a test\"\ncommand = [\"{}\"]\n[conversation]\n\
         choose = [\"--id\", \"{{id}}\"]\nresume = [\"--resume\", \"{{id}}\"]\n",
        tool.display()
    );
    std::fs::write(agents.join("robot.toml"), profile).unwrap();
    let steward = rig.steward().await;
    let ask = Create { agent: Some("robot".into()), ..rig.ask("a", &["--fast"]) };
    let session = steward.create(ask).await.unwrap();
    let known = until(&steward, &session.id, |s| s.conversation.is_some()).await;
    let id = known.conversation.unwrap().id;
    kill_process(rig.hold(&session), Signal::KILL).unwrap();
    let again = until(&steward, &session.id, |s| s.life == 2 && s.exit.is_none()).await;
    let words = |session: &Session| session.command[1..].join(" ");
    assert_eq!(words(&session), format!("--id {id} --fast"));
    assert_eq!(words(&again), format!("--resume {id} --fast"));
    assert_eq!(again.agent.as_deref(), Some("robot"));
    steward.kill("a", 0).await.unwrap();
}
