//! Holds that do as the test says: they serve the real protocol on real sockets, from threads of the test.
#![allow(dead_code, missing_docs)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use stead_hold::clock::now_ms;
use stead_hold::folder::Places;
use stead_steward::holds::Holds;
use stead_steward::{Options, Steward};
use stead_wire::api::{Create, Event};
use stead_wire::frame::Decoder;
use stead_wire::message::{Answer, Ask, ToClient, ToHold, Welcome};
use stead_wire::session::{EndedBy, Exit, Run, Session, Spec};
use stead_wire::status::{Source, State, Status};

/// Longest wait for anything; only a failing test reaches it.
pub const LONG: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct FakeHolds {
    lives: Mutex<HashMap<String, Arc<Life>>>,
    started: Mutex<u32>,
    refusal: Mutex<Option<String>>,
}

struct Life {
    id: String,
    places: Places,
    run: Run,
    inner: Mutex<Inner>,
    moved: Condvar,
}

struct Inner {
    session: Session,
    alive: bool,
    frozen: bool,
    /// Whether the hold stays after its command's end until the exit status has been read.
    lingers: bool,
    listener: Option<UnixListener>,
    streams: Vec<UnixStream>,
    end: Option<OwnedFd>,
    watch: OwnedFd,
}

impl FakeHolds {
    fn life(&self, id: &str) -> Arc<Life> {
        self.lives.lock().unwrap()[id].clone()
    }

    /// How many lives have begun.
    pub fn started(&self) -> u32 {
        *self.started.lock().unwrap()
    }

    /// Lets no session start from now on, or again.
    pub fn refuse(&self, why: Option<&str>) {
        *self.refusal.lock().unwrap() = why.map(str::to_owned);
    }

    pub fn say(&self, id: &str, state: State) {
        let status = Status { state, source: Source::Hook, since: now_ms(), detail: "said".into() };
        let life = self.life(id);
        life.inner.lock().unwrap().session.status = status.clone();
        life.push(&ToClient::Status(status));
    }

    pub fn set(&self, id: &str, how: impl FnOnce(&mut Session)) {
        how(&mut self.life(id).inner.lock().unwrap().session);
    }

    /// The command ends; the hold goes, unless it lingers.
    pub fn exit(&self, id: &str, code: i32) {
        self.life(id).end(Some(code), None, EndedBy::Itself);
    }

    pub fn linger(&self, id: &str) {
        self.life(id).inner.lock().unwrap().lingers = true;
    }

    /// The hold is gone at once, without a word.
    pub fn lose(&self, id: &str) {
        self.life(id).go();
    }

    pub fn freeze(&self, id: &str, frozen: bool) {
        let life = self.life(id);
        life.inner.lock().unwrap().frozen = frozen;
        life.moved.notify_all();
    }

    /// Closes every connection, but the hold lives on.
    pub fn hang_up(&self, id: &str) {
        for stream in self.life(id).inner.lock().unwrap().streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Removes the socket, closes what is connected and listens no more; or listens again.
    pub fn listen(&self, id: &str, on: bool) {
        let life = self.life(id);
        if on {
            serve(&life, bind(&life.places.hold_socket(id)));
        } else {
            stop_listening(&life);
            self.hang_up(id);
        }
    }

    pub fn alive_id(&self, id: &str) -> bool {
        self.lives.lock().unwrap().get(id).is_some_and(|l| l.inner.lock().unwrap().alive)
    }
}

fn bind(path: &Path) -> UnixListener {
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).unwrap()
}

fn stop_listening(life: &Life) {
    let path = life.places.hold_socket(&life.id);
    let listener = life.inner.lock().unwrap().listener.take();
    if listener.is_some() {
        // Wakes the accepting thread, which then sees that it is not wanted any more.
        let _ = UnixStream::connect(&path);
        let _ = std::fs::remove_file(&path);
    }
}

fn serve(life: &Arc<Life>, listener: UnixListener) {
    life.inner.lock().unwrap().listener = Some(listener.try_clone().unwrap());
    let life = life.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut inner = life.inner.lock().unwrap();
            if !inner.alive || inner.listener.is_none() {
                return;
            }
            inner.streams.push(stream.try_clone().unwrap());
            drop(inner);
            let life = life.clone();
            std::thread::spawn(move || life.talk(stream));
        }
    });
}

impl Life {
    fn push(&self, message: &ToClient) {
        let mut bytes = Vec::new();
        message.put(&mut bytes);
        let mut inner = self.inner.lock().unwrap();
        inner.streams.retain_mut(|stream| stream.write_all(&bytes).is_ok());
    }

    fn end(self: &Arc<Self>, code: Option<i32>, signal: Option<i32>, by: EndedBy) {
        let exit = Exit { code, signal, at: now_ms(), by, failed: None };
        self.places.session(&self.id).write_exit(&exit).unwrap();
        let lingers = {
            let mut inner = self.inner.lock().unwrap();
            inner.session.exit = Some(exit.clone());
            inner.session.status = Status {
                state: State::Exited,
                source: Source::Exit,
                since: exit.at,
                detail: exit.to_string(),
            };
            inner.lingers
        };
        self.push(&ToClient::Exited(exit));
        if !lingers {
            self.go();
        }
    }

    fn go(&self) {
        stop_listening(self);
        let mut inner = self.inner.lock().unwrap();
        inner.alive = false;
        for stream in inner.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        inner.end = None;
        self.moved.notify_all();
    }

    fn talk(self: Arc<Self>, mut stream: UnixStream) {
        let mut decoder = Decoder::new();
        let mut buf = [0; 4096];
        loop {
            let n = match stream.read(&mut buf) {
                Ok(0) | Err(_) => return,
                Ok(n) => n,
            };
            decoder.push(&buf[..n]);
            while let Ok(Some(frame)) = decoder.next_frame() {
                let Ok(Some(message)) = ToHold::read(frame) else { return };
                let mut inner = self.inner.lock().unwrap();
                while inner.frozen && inner.alive {
                    inner = self.moved.wait(inner).unwrap();
                }
                let session = inner.session.clone();
                drop(inner);
                let reply = match message {
                    ToHold::Hello(_) => ToClient::Welcome(Welcome {
                        version: 1,
                        id: self.id.clone(),
                        name: session.name.clone(),
                        size: session.size,
                        owner: false,
                        output: 0,
                    }),
                    ToHold::Ask(asked) => {
                        let ok = self.answer(&asked.ask, &session);
                        ToClient::Answer(Answer { id: asked.id, ok: Some(ok), error: None })
                    }
                    _ => continue,
                };
                let mut bytes = Vec::new();
                reply.put(&mut bytes);
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
        }
    }

    fn answer(self: &Arc<Self>, ask: &Ask, session: &Session) -> serde_json::Value {
        match ask {
            Ask::Info => serde_json::to_value(session).unwrap(),
            Ask::Explain => serde_json::json!([]),
            Ask::Kill { signal: 0, .. } => {
                let life = self.clone();
                std::thread::spawn(move || life.end(None, Some(1), EndedBy::Person));
                serde_json::Value::Null
            }
            Ask::Rename { name } => {
                self.inner.lock().unwrap().session.name.clone_from(name);
                serde_json::Value::Null
            }
            Ask::Notify(note) => {
                let status = session.status.clone();
                self.inner.lock().unwrap().session.title = format!("note: {}", note.title);
                // Lets the steward ask, so that a test sees the note in the title.
                self.push(&ToClient::Status(status));
                serde_json::Value::Null
            }
            Ask::Ack => {
                if session.exit.is_some() {
                    let life = self.clone();
                    std::thread::spawn(move || life.go());
                }
                serde_json::Value::Null
            }
            _ => serde_json::Value::Null,
        }
    }
}

impl Holds for FakeHolds {
    fn start(&self, places: &Places, spec: &Spec) -> Result<Run, String> {
        if let Some(why) = &*self.refusal.lock().unwrap() {
            return Err(why.clone());
        }
        assert!(!self.alive_id(&spec.id), "two lives of one session");
        let folder = places.session(&spec.id);
        let life = folder.run().unwrap().map_or(0, |run| run.life) + 1;
        let number = {
            let mut started = self.started.lock().unwrap();
            *started += 1;
            *started as i32
        };
        folder.create(spec).unwrap();
        folder.clear_exit().unwrap();
        let run = Run {
            hold: number,
            hold_start: u64::from(life),
            boot: "fake".into(),
            pid: 10_000 + number,
            started: now_ms(),
            life,
        };
        folder.write_run(&run).unwrap();
        let session: Session = serde_json::from_value(serde_json::json!({
            "id": spec.id, "name": spec.name, "machine": "host", "command": spec.command,
            "cwd": spec.cwd, "restart": spec.restart, "size": spec.size, "created": spec.created,
            "started": run.started, "life": life, "pid": run.pid,
            "status": {"state": "idle", "source": "process", "since": run.started, "detail": "at its prompt"},
        }))
        .unwrap();
        let (watch, end) = std::io::pipe().unwrap();
        let life = Arc::new(Life {
            id: spec.id.clone(),
            places: places.clone(),
            run: run.clone(),
            inner: Mutex::new(Inner {
                session,
                alive: true,
                frozen: false,
                lingers: false,
                listener: None,
                streams: Vec::new(),
                end: Some(end.into()),
                watch: watch.into(),
            }),
            moved: Condvar::new(),
        });
        serve(&life, bind(&places.hold_socket(&spec.id)));
        self.lives.lock().unwrap().insert(spec.id.clone(), life);
        Ok(run)
    }

    fn alive(&self, run: &Run) -> bool {
        let lives = self.lives.lock().unwrap();
        lives.values().any(|life| life.run == *run && life.inner.lock().unwrap().alive)
    }

    fn watch(&self, run: &Run) -> Option<OwnedFd> {
        let lives = self.lives.lock().unwrap();
        let life = lives.values().find(|life| life.run == *run)?;
        let inner = life.inner.lock().unwrap();
        inner.alive.then(|| inner.watch.try_clone().unwrap())
    }

    fn mend(&self, _: &Run) {}
}

/// A private set of folders with a steward in it that can be ended and started again.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub holds: Arc<FakeHolds>,
}

impl Rig {
    pub fn new() -> Self {
        Rig { dir: tempfile::tempdir().unwrap(), holds: Arc::default() }
    }

    pub fn places(&self) -> Places {
        let dir = self.dir.path();
        Places { data: dir.join("data"), runtime: dir.join("run"), config: dir.join("config") }
    }

    pub fn steward(&self) -> Steward {
        let options = Options {
            places: self.places(),
            holds: self.holds.clone(),
            hook_command: vec!["hook".into()],
        };
        Steward::start(options).unwrap()
    }

    pub fn ask(&self, name: &str) -> Create {
        Create {
            name: Some(name.into()),
            command: vec!["sh".into()],
            cwd: self.dir.path().to_owned(),
            env: std::env::vars().collect(),
            ..Create::default()
        }
    }
}

/// Waits until a session is as wanted.
pub async fn until(steward: &Steward, id: &str, what: impl Fn(&Session) -> bool) -> Session {
    let mut listener = steward.listen();
    let mut last = None;
    let found = tokio::time::timeout(LONG, async {
        loop {
            let event = listener.next().await.expect("the steward ended");
            if let Event::Session { session } = &*event
                && session.id == id
            {
                if what(session) {
                    return session.clone();
                }
                last = Some(session.clone());
            }
        }
    });
    let found = found.await.ok();
    found.unwrap_or_else(|| panic!("never as wanted; last: {last:#?}"))
}
