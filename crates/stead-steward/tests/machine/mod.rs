//! "Machines": folders with a real bridge that is started and killed as the test says.
#![allow(dead_code, missing_docs, clippy::unused_self)]

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stead_hold::client;
use stead_steward::holds::RealHolds;
use stead_steward::inotify::{Folders, WatchFlags};
use stead_steward::remote::{BridgeError, Machines};
use stead_steward::{Options, Places, Steward, StewardError};
use stead_wire::api::Create;
use stead_wire::message::{Ask, Screen};

pub fn program() -> PathBuf {
    let beside = || {
        let exe = std::env::current_exe().unwrap();
        exe.parent().unwrap().parent().unwrap().join("stead-hold")
    };
    let program = std::env::var_os("STEAD_HOLD").map_or_else(beside, PathBuf::from);
    let shown = program.display();
    assert!(program.exists(), "{shown} is missing: cargo build -p stead-hold, or set STEAD_HOLD");
    program
}

/// What a machine answers when a stream is asked for.
#[derive(Debug, Clone)]
pub enum Mode {
    Up,
    Stopped,
    Gone,
    Unreachable(&'static str),
}

/// The other end of a stream, for a test that plays the bridge itself.
type Player = Box<dyn Fn(UnixStream) + Send + Sync>;

pub struct Boxes {
    root: PathBuf,
    modes: Mutex<HashMap<String, Mode>>,
    bridges: Mutex<HashMap<String, Vec<Child>>>,
    player: Mutex<Option<Player>>,
}

impl Boxes {
    fn inside(&self, machine: &str) -> Places {
        let dir = self.root.join(machine);
        Places { data: dir.join("data"), runtime: dir.join("run"), config: dir.join("config") }
    }
}

#[async_trait]
impl Machines for Boxes {
    async fn bridge(&self, machine: &str) -> Result<UnixStream, BridgeError> {
        match self.modes.lock().unwrap().get(machine) {
            None | Some(Mode::Gone) => return Err(BridgeError::NoSuchMachine),
            Some(Mode::Stopped) => return Err(BridgeError::NotRunning),
            Some(Mode::Unreachable(why)) => return Err(BridgeError::Unreachable((*why).into())),
            Some(Mode::Up) => {}
        }
        let (ours, theirs) = UnixStream::pair().unwrap();
        if let Some(player) = &*self.player.lock().unwrap() {
            player(theirs);
            return Ok(ours);
        }
        let places = self.inside(machine);
        let theirs = OwnedFd::from(theirs);
        let child = Command::new(program())
            .arg("bridge")
            .arg("--data")
            .arg(&places.data)
            .arg("--runtime")
            .arg(&places.runtime)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .stdin(Stdio::from(theirs.try_clone().unwrap()))
            .stdout(Stdio::from(theirs))
            .spawn()
            .unwrap();
        self.bridges.lock().unwrap().entry(machine.to_owned()).or_default().push(child);
        Ok(ours)
    }

    fn exists(&self, machine: &str) -> bool {
        !matches!(self.modes.lock().unwrap().get(machine), None | Some(Mode::Gone))
    }

    fn default_cwd(&self, _: &str) -> Option<PathBuf> {
        Some(self.root.clone())
    }
}

/// A host with a machine called "box"; sessions end with the test.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub boxes: Arc<Boxes>,
}

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("m");
        std::fs::create_dir(&root).unwrap();
        let boxes = Boxes {
            root,
            modes: Mutex::new([("box".to_owned(), Mode::Up)].into()),
            bridges: Mutex::default(),
            player: Mutex::default(),
        };
        Rig { dir, boxes: Arc::new(boxes) }
    }

    pub fn places(&self) -> Places {
        let dir = self.dir.path().join("h");
        Places { data: dir.join("data"), runtime: dir.join("run"), config: dir.join("config") }
    }

    pub fn inside(&self, machine: &str) -> Places {
        self.boxes.inside(machine)
    }

    pub async fn steward(&self) -> Steward {
        loop {
            let holds = Arc::new(RealHolds { program: program() });
            let options = Options { places: self.places(), holds, hook_command: vec!["x".into()] };
            match Steward::start_with(options, self.boxes.clone()) {
                Err(StewardError::Runs(_)) => tokio::task::yield_now().await,
                result => return result.unwrap(),
            }
        }
    }

    pub fn ask(&self, name: &str, command: &[&str]) -> Create {
        Create {
            name: Some(name.into()),
            machine: Some("box".into()),
            command: command.iter().map(|&word| word.into()).collect(),
            ..Create::default()
        }
    }

    pub fn set(&self, machine: &str, mode: Mode) {
        self.boxes.modes.lock().unwrap().insert(machine.into(), mode);
    }

    /// From now on the test plays the bridge.
    pub fn play(&self, player: impl Fn(UnixStream) + Send + Sync + 'static) {
        *self.boxes.player.lock().unwrap() = Some(Box::new(player));
    }

    /// How many bridges have been started.
    pub fn bridges(&self, machine: &str) -> usize {
        self.boxes.bridges.lock().unwrap().get(machine).map_or(0, Vec::len)
    }

    pub fn kill_bridge(&self, machine: &str) {
        let mut bridges = self.boxes.bridges.lock().unwrap();
        for bridge in bridges.get_mut(machine).into_iter().flatten() {
            let _ = bridge.kill();
            let _ = bridge.wait();
        }
    }

    /// Everything inside ends at once, as when a machine is stopped.
    pub fn stop(&self, machine: &str) {
        self.set(machine, Mode::Stopped);
        self.kill_bridge(machine);
        kill_holds(&self.inside(machine));
    }

    /// An agent that chooses and resumes conversations, and says what it was called with.
    pub fn robot(&self) {
        let tool = self.dir.path().join("robot");
        std::fs::write(&tool, "#!/bin/sh\necho ready \"$@\"\nexec cat\n").unwrap();
        Command::new("chmod").arg("755").arg(&tool).status().unwrap();
        let agents = self.places().config.join("agents");
        std::fs::create_dir_all(&agents).unwrap();
        let profile = format!(
            "name = \"robot\"\nabout = \"a test\"\ncommand = [\"{}\"]\n[conversation]\n\
             choose = [\"--id\", \"{{id}}\"]\nresume = [\"--resume\", \"{{id}}\"]\n",
            tool.display()
        );
        std::fs::write(agents.join("robot.toml"), profile).unwrap();
    }

    /// A session made inside without the steward.
    pub fn made_inside(&self, machine: &str, name: &str, command: &[&str]) {
        let places = self.inside(machine);
        let spec = stead_wire::session::Spec {
            id: stead_hold::id::new(),
            name: name.into(),
            machine: "host".into(),
            command: command.iter().map(|&word| word.into()).collect(),
            cwd: "/".into(),
            env: std::env::vars().collect(),
            size: stead_wire::session::Size::default(),
            restart: stead_wire::session::Restart::Never,
            linger: stead_wire::session::Linger::default(),
            agent: None,
            created: 1,
            asked: Vec::new(),
        };
        stead_hold::launch::start(&places, &spec, &program()).unwrap();
    }
}

fn kill_holds(places: &Places) {
    for folder in places.all_sessions().unwrap_or_default() {
        if let Ok(Some(run)) = folder.run()
            && stead_hold::launch::alive(&run)
        {
            let ends = stead_hold::launch::watch(&run);
            let _ = kill_process(Pid::from_raw(run.hold).unwrap(), Signal::KILL);
            if let Some(ends) = ends {
                let mut fds = [rustix::event::PollFd::new(&ends, rustix::event::PollFlags::IN)];
                let _ = rustix::event::poll(&mut fds, None);
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill_bridge("box");
        kill_holds(&self.inside("box"));
        kill_holds(&self.places());
    }
}

async fn ask<T: serde::de::DeserializeOwned + Send + 'static>(
    socket: &Path,
    ask: Ask,
) -> Result<T, client::ClientError> {
    let socket = socket.to_owned();
    tokio::task::spawn_blocking(move || client::ask(&socket, ask, Duration::from_secs(20)))
        .await
        .unwrap()
}

/// What is on a session's screen.
pub async fn screen(socket: &Path) -> Screen {
    ask(socket, Ask::Screen { format: "ansi".into() }).await.unwrap()
}

/// The screen once a text is on it.
pub async fn until_screen(socket: &Path, text: &str) -> Screen {
    let begun = std::time::Instant::now();
    loop {
        let shown: Screen = match ask(socket, Ask::Screen { format: "ansi".into() }).await {
            Ok(shown) => shown,
            Err(e) => panic!("{e}"),
        };
        if shown.content.contains(text) {
            return shown;
        }
        assert!(begun.elapsed() < super::common::LONG, "no {text:?} in {}", shown.content);
    }
}

pub async fn type_into(socket: &Path, text: &str) {
    let bytes = text.as_bytes().to_vec();
    let _: serde_json::Value = ask(socket, Ask::Type { bytes }).await.unwrap();
}

/// Waits until a folder is gone.
pub async fn until_gone(path: &Path) {
    let above = Folders::new().unwrap();
    above.watch(path.parent().unwrap(), WatchFlags::DELETE | WatchFlags::MOVED_FROM).unwrap();
    let gone = async {
        while path.exists() {
            above.next().await.unwrap();
        }
    };
    let shown = path.display();
    tokio::time::timeout(super::common::LONG, gone).await.unwrap_or_else(|_| panic!("{shown}"));
}
