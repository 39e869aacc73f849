//! A machine that lies: whoever has it has its bridge. Nothing of this host may be touched, whatever it says.

mod common;
mod machine;

use common::{LONG, until};
use machine::Rig;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use stead_steward::Steward;
use stead_wire::api::Create;
use stead_wire::bridge::{Answer, Ask, Event, FromBridge, Inside, Move, Note, SPOKEN, ToBridge};
use stead_wire::frame::Decoder;
use stead_wire::session::{Conversation, EndedBy, Exit, Restart, Run, Session};
use stead_wire::status::State;

/// The bridge's end of a stream, in the test's hands.
struct Fake {
    stream: UnixStream,
}

impl Fake {
    fn raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    fn say(&mut self, message: &FromBridge<'_>) -> bool {
        let mut bytes = Vec::new();
        message.put(&mut bytes);
        self.raw(&bytes)
    }

    fn tell(&mut self, session: Note) -> bool {
        self.say(&FromBridge::Event(Event::Session { session }))
    }
}

/// What a fake bridge does when it is asked; `None` says nothing.
type Script = dyn Fn(&mut Fake, &Ask) -> Option<Result<Value, String>> + Send + Sync;

/// Plays a bridge that greets, and leaves the rest to the script.
fn play(
    rig: &Rig,
    script: impl Fn(&mut Fake, &Ask) -> Option<Result<Value, String>> + Send + Sync + 'static,
) {
    let script: Arc<Script> = Arc::new(script);
    rig.play(move |stream| {
        let script = script.clone();
        std::thread::spawn(move || serve(stream, &*script));
    });
}

fn serve(mut stream: UnixStream, script: &Script) {
    let mut fake = Fake { stream: stream.try_clone().unwrap() };
    let (mut decoder, mut buf) = (Decoder::new(), [0; 4096]);
    loop {
        match stream.read(&mut buf) {
            Ok(0) | Err(_) => return,
            Ok(n) => decoder.push(&buf[..n]),
        }
        while let Ok(Some(frame)) = decoder.next_frame() {
            match ToBridge::read(frame) {
                Ok(Some(ToBridge::Hello(_))) => {
                    fake.say(&FromBridge::Inside(Inside {
                        speaks: SPOKEN,
                        program: "fake".into(),
                        data: "/d".into(),
                        runtime: "/r".into(),
                        hook: vec!["/h".into()],
                        uid: 0,
                        home: "/".into(),
                        env: BTreeMap::new(),
                    }));
                }
                Ok(Some(ToBridge::Ask(asked))) => {
                    if let Some(result) = script(&mut fake, &asked.ask) {
                        let (ok, error) = match result {
                            Ok(ok) => (ok, None),
                            Err(why) => (Value::Null, Some(why)),
                        };
                        fake.say(&FromBridge::Answer(Answer { id: asked.id, ok, error }));
                    }
                }
                _ => {}
            }
        }
    }
}

/// A session of this host that must not be touched, with all that describes it.
struct Victim {
    session: Session,
    run: Run,
    files: BTreeMap<String, Vec<u8>>,
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = ["spec.json", "run.json", "exit.json", "conversation.json", "name"];
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    names.iter().filter_map(|name| Some(((*name).to_owned(), read(name)?))).collect()
}

impl Victim {
    async fn new(rig: &Rig, steward: &Steward) -> Self {
        let ask = Create {
            machine: None,
            cwd: "/".into(),
            env: std::env::vars().collect(),
            ..rig.ask("victim", &["cat"])
        };
        let session = steward.create(ask).await.unwrap();
        until(steward, &session.id, |s| s.status.detail != "it has just been started").await;
        let folder = rig.places().session(&session.id);
        let run = folder.run().unwrap().unwrap();
        Victim { session, run, files: files(folder.path()) }
    }

    async fn check(&self, rig: &Rig, steward: &Steward) {
        let now = steward.get("victim").await.unwrap();
        assert_eq!((now.life, now.pid, &now.exit), (1, self.session.pid, &None));
        assert_ne!(now.status.state, State::Exited);
        assert_eq!(files(rig.places().session(&self.session.id).path()), self.files);
        assert!(stead_hold::launch::alive(&self.run));
        machine::type_into(&rig.places().hold_socket(&self.session.id), "still\n").await;
        let cgroup = format!("/proc/{}/stat", self.session.pid.unwrap());
        assert!(Path::new(&cgroup).exists());
        // Nothing but sessions lies where sessions lie.
        let mut odd = walk(&rig.places().data);
        odd.retain(|path| !path.starts_with("sessions/") && !path.starts_with("index.sqlite"));
        odd.retain(|path| !["lock", "steward.lock", "sessions"].contains(&path.as_str()));
        assert!(odd.is_empty(), "{odd:?}");
    }
}

fn walk(root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            all.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            if path.is_dir() {
                todo.push(path);
            }
        }
    }
    all
}

fn life(n: i32) -> Run {
    Run { hold: n, hold_start: 1, boot: "b".into(), pid: n, started: 1, life: 1 }
}

fn id_of(ask: &Ask) -> String {
    match ask {
        Ask::Start(start) => start.spec.id.clone(),
        _ => unreachable!(),
    }
}

async fn fails(rig: &Rig, steward: &Steward) -> String {
    steward.create(rig.ask("a", &["cat"])).await.unwrap_err().problem().message
}

#[tokio::test]
async fn streams_that_are_no_bridge_are_given_up() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let victim = Victim::new(&rig, &steward).await;
    let with = |say: &'static [u8]| {
        move |mut stream: UnixStream| {
            std::thread::spawn(move || {
                // Endless, until it is given up.
                while stream.write_all(say).is_ok() {}
            });
        }
    };
    rig.play(with(b"SSH-2.0-OpenSSH\r\n"));
    let why = fails(&rig, &steward).await;
    assert!(why.contains("does not speak the hold protocol"), "{why}");
    // A frame that is announced, and grows and grows.
    rig.play(|mut stream| {
        std::thread::spawn(move || {
            let _ = stream.write_all(&(31u32 << 20).to_le_bytes());
            while stream.write_all(&[128; 4096]).is_ok() {}
        });
    });
    let why = fails(&rig, &steward).await;
    assert!(why.contains("frames that are too large"), "{why}");
    rig.play(with(b"\x02\0\0\0\x80{"));
    assert!(fails(&rig, &steward).await.contains("inside frame"));
    rig.play(drop);
    assert!(fails(&rig, &steward).await.contains("its bridge"));
    play(&rig, |fake, _| {
        while fake.raw(b"\x03\0\0\0\x81{}") {}
        None
    });
    let why = fails(&rig, &steward).await;
    assert!(why.contains("makes no sense"), "{why}");
    assert_eq!(steward.list().await.len(), 1);
    victim.check(&rig, &steward).await;
}

#[tokio::test]
async fn a_silent_bridge_is_not_waited_for_for_ever() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    rig.play(move |stream| kept.lock().unwrap().push(stream));
    assert!(fails(&rig, &steward).await.contains("does not greet"));
    play(&rig, |_, _| None);
    assert!(fails(&rig, &steward).await.contains("does not answer"));
}

#[tokio::test]
async fn what_it_says_of_sessions_that_are_not_its_own_is_not_heard() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let victim = Victim::new(&rig, &steward).await;
    let (other, run) = (victim.session.id.clone(), victim.run.clone());
    play(&rig, move |fake, ask| match ask {
        Ask::List => {
            let exit =
                Exit { code: Some(0), signal: None, at: 9, by: EndedBy::Person, failed: None };
            let conversation =
                Conversation { id: "evil".into(), source: "hook".into(), learned: 1 };
            for id in
                [&other, "../../x", "..", "", "/etc/passwd", "UPPERCASE12345", "a\0bcdefghijklm"]
            {
                fake.tell(Note {
                    id: id.into(),
                    run: Some(life(1)),
                    exit: Some(exit.clone()),
                    conversation: Some(conversation.clone()),
                    ..Note::default()
                });
                fake.say(&FromBridge::Event(Event::Gone { id: id.into() }));
            }
            Some(Ok(Value::Null))
        }
        // A life whose processes are those of the victim.
        Ask::Start(_) => {
            let id = id_of(ask);
            let run = Some(run.clone());
            fake.tell(Note { id, alive: true, listens: true, run: run.clone(), ..Note::default() });
            Some(Ok(serde_json::to_value(run).unwrap()))
        }
        Ask::Open { .. } => Some(Err("no".into())),
        _ => Some(Ok(Value::Null)),
    });
    let session = steward.create(rig.ask("a", &["cat"])).await.unwrap();
    victim.check(&rig, &steward).await;
    let mirrored = rig.places().session(&session.id).run().unwrap().unwrap();
    assert!(!stead_hold::launch::alive(&mirrored), "{mirrored:?}");
    // Whatever is done to the one is not done to the other.
    assert!(steward.kill("a", 9).await.is_err());
    assert!(steward.restart("a").await.is_err());
    steward.machine_down("box");
    until(&steward, &session.id, |s| s.exit.is_some()).await;
    steward.machine_up("box");
    until(&steward, &session.id, |s| s.exit.is_none()).await;
    rig.set("box", machine::Mode::Gone);
    steward.machine_gone("box");
    until(&steward, &session.id, |s| s.exit.is_some()).await;
    victim.check(&rig, &steward).await;
    steward.remove("a").await.unwrap();
    std::fs::remove_dir_all(rig.places().data.join("removed")).unwrap();
    victim.check(&rig, &steward).await;
}

#[tokio::test]
async fn files_with_odd_names_and_sizes_are_not_written() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let victim = Victim::new(&rig, &steward).await;
    let target = victim.session.id.clone();
    play(&rig, move |fake, ask| match ask {
        Ask::Start(_) => {
            let run = Some(life(7));
            fake.tell(Note { id: id_of(ask), run: run.clone(), ..Note::default() });
            Some(Ok(serde_json::to_value(run).unwrap()))
        }
        Ask::Stat { .. } => {
            let names = [
                &format!("../{target}/spec.json"),
                "../../../../../../tmp/stead-evil",
                "/tmp/stead-evil",
                "spec.json",
                "run.json",
                "history/0000000000000000.seg",
                "..seg",
                "0000000000000000.seg",
            ];
            let list: Vec<Value> =
                names.iter().map(|name| json!({"file": name, "len": 5})).collect();
            Some(Ok(Value::from(list)))
        }
        Ask::Read { file, offset, .. } => {
            assert!(file == "0000000000000000.seg", "it was asked for {file}");
            if *offset > 5 {
                return Some(Err("end".into()));
            }
            // More than there is, and more than was announced.
            let mut bytes = Vec::new();
            FromBridge::Bytes(0, &[b'x'; 100]).put(&mut bytes);
            None
        }
        _ => Some(Ok(Value::Null)),
    });
    let never = Create { restart: Restart::Never, ..rig.ask("a", &["cat"]) };
    let session = steward.create(never).await.unwrap();
    until(&steward, &session.id, |s| s.exit.is_some()).await;
    assert!(!Path::new("/tmp/stead-evil").exists());
    let folder = rig.places().session(&session.id);
    let spec = folder.spec().unwrap();
    assert_eq!((spec.name.as_str(), spec.machine.as_str()), ("a", "box"));
    victim.check(&rig, &steward).await;

    // A history that would fill this host's disk.
    play(&rig, |fake, ask| match ask {
        Ask::Start(_) => {
            let run = Some(life(7));
            fake.tell(Note { id: id_of(ask), run: run.clone(), ..Note::default() });
            Some(Ok(serde_json::to_value(run).unwrap()))
        }
        Ask::Stat { .. } => Some(Ok(json!([
            {"file": "0000000000000000.seg", "len": u64::MAX},
            {"file": "0000000000000001.seg", "len": u64::MAX},
        ]))),
        Ask::Read { .. } => panic!("it was asked for"),
        _ => Some(Ok(Value::Null)),
    });
    steward.machine_down("box");
    let never = Create { restart: Restart::Never, ..rig.ask("b", &["cat"]) };
    let session = steward.create(never).await.unwrap();
    until(&steward, &session.id, |s| s.exit.is_some()).await;
    let behind = steward.sync("b").await.unwrap().unwrap();
    assert!(behind.contains("larger than a history can be"), "{behind}");
}

#[tokio::test]
async fn a_stranger_gets_no_more_than_a_folder_of_its_own() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let victim = Victim::new(&rig, &steward).await;
    let id = "01k8x2m3n4p5q6";
    play(&rig, move |fake, ask| match ask {
        Ask::List => {
            for id in [id, "01k8x2m3n4p5q7"] {
                let run = Some(life(1));
                fake.tell(Note { id: id.into(), alive: true, run, ..Note::default() });
            }
            Some(Ok(Value::Null))
        }
        Ask::Start(_) => {
            let run = Some(life(7));
            fake.tell(Note { id: id_of(ask), alive: true, run: run.clone(), ..Note::default() });
            Some(Ok(serde_json::to_value(run).unwrap()))
        }
        Ask::Open { .. } => Some(Err("no".into())),
        _ => Some(Ok(Value::Null)),
    });
    // Read answers are bytes with the question's number: played on the raw stream.
    rig.play({
        let spec = json!({
            "id": id, "name": "victim", "machine": "host", "command": ["x"], "cwd": "/", "created": 1,
            "restart": "always",
        })
        .to_string();
        move |stream| {
            let spec = spec.clone();
            std::thread::spawn(move || strangers(stream, id, &spec));
        }
    });
    let mut listener = steward.listen();
    let _ = steward.create(rig.ask("a", &["cat"])).await;
    while steward.get(&format!("session-{id}")).await.is_err() {
        listener.next().await;
    }
    let found = steward.get(&format!("session-{id}")).await.unwrap();
    assert_eq!((found.machine.as_str(), found.id.as_str()), ("box", id));
    victim.check(&rig, &steward).await;
}

fn strangers(mut stream: UnixStream, id: &str, spec: &str) {
    let mut fake = Fake { stream: stream.try_clone().unwrap() };
    let (mut decoder, mut buf) = (Decoder::new(), [0; 4096]);
    loop {
        match stream.read(&mut buf) {
            Ok(0) | Err(_) => return,
            Ok(n) => decoder.push(&buf[..n]),
        }
        while let Ok(Some(frame)) = decoder.next_frame() {
            let Ok(Some(ToBridge::Ask(asked))) = ToBridge::read(frame) else {
                let inside = json!({"speaks": {"min": 1, "max": 1}, "data": "/d", "runtime": "/r",
                    "hook": [], "uid": 0, "home": "/"});
                fake.say(&FromBridge::Inside(serde_json::from_value(inside).unwrap()));
                continue;
            };
            match &asked.ask {
                Ask::Read { .. } => {
                    fake.say(&FromBridge::Bytes(asked.id, spec.as_bytes()));
                    continue;
                }
                Ask::List => {
                    for id in [id, "01k8x2m3n4p5q7"] {
                        let run = Some(life(1));
                        fake.tell(Note { id: id.into(), alive: true, run, ..Note::default() });
                    }
                }
                _ => {}
            }
            let answer = Answer { id: asked.id, ok: Value::Null, error: None };
            fake.say(&FromBridge::Answer(answer));
        }
    }
}

fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_flood_neither_stops_the_steward_nor_fills_its_memory() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let victim = Victim::new(&rig, &steward).await;
    play(&rig, |fake, ask| match ask {
        Ask::Start(_) => {
            let id = id_of(ask);
            let run = Some(life(7));
            fake.tell(Note { id: id.clone(), alive: true, run: run.clone(), ..Note::default() });
            let mut flood = Fake { stream: fake.stream.try_clone().unwrap() };
            std::thread::spawn(move || {
                let mut n = 0;
                loop {
                    n += 1;
                    let result = Some("r".repeat(100_000));
                    let report =
                        stead_wire::session::AgentReport { turns: n, result, ..Default::default() };
                    let note = Note {
                        id: id.clone(),
                        alive: true,
                        run: Some(life(7)),
                        report: Some(report),
                        ..Note::default()
                    };
                    let other = format!("{n:014}");
                    if !flood.tell(note)
                        || !flood.tell(Note { id: other, alive: true, ..Note::default() })
                        || !flood.say(&FromBridge::Channel(99_999, Move::Data(&vec![0; 30_000])))
                        || !flood.say(&FromBridge::Bytes(12345, &vec![0; 100_000]))
                    {
                        return;
                    }
                }
            });
            Some(Ok(serde_json::to_value(run).unwrap()))
        }
        Ask::Open { .. } | Ask::Read { .. } => Some(Err("no".into())),
        _ => Some(Ok(Value::Null)),
    });
    let session = steward.create(rig.ask("a", &["cat"])).await.unwrap();
    let before = memory();
    for _ in 0..20 {
        victim.check(&rig, &steward).await;
        let _ = steward.get(&session.id).await;
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    rig.set("box", machine::Mode::Gone);
    steward.machine_gone("box");
    until(&steward, &session.id, |s| s.exit.is_some()).await;
}

#[tokio::test]
async fn bytes_without_credit_end_the_stream() {
    let rig = Rig::new();
    let steward = rig.steward().await;
    let victim = Victim::new(&rig, &steward).await;
    play(&rig, |fake, ask| match ask {
        Ask::Start(_) => {
            let run = Some(life(7));
            fake.tell(Note { id: id_of(ask), alive: true, run: run.clone(), ..Note::default() });
            Some(Ok(serde_json::to_value(run).unwrap()))
        }
        Ask::Open { channel, .. } => {
            // A frame that is never whole, so that nothing is wrong but the amount.
            let mut first = (20u32 << 20).to_le_bytes().to_vec();
            first.resize(32 * 1024, 0);
            fake.say(&FromBridge::Channel(*channel, Move::Data(&first)));
            while fake.say(&FromBridge::Channel(*channel, Move::Data(&vec![0; 32 * 1024]))) {}
            None
        }
        _ => Some(Ok(Value::Null)),
    });
    let session = steward.create(rig.ask("a", &["cat"])).await.unwrap();
    // A client that does not read what is sent to it without end.
    let socket = rig.places().hold_socket(&session.id);
    let _client = UnixStream::connect(socket).unwrap();
    let said = tokio::time::timeout(LONG, async {
        until(&steward, &session.id, |s| s.status.detail.contains("more than it has credit for"))
            .await
    });
    assert_eq!(said.await.unwrap().status.state, State::Unknown);
    victim.check(&rig, &steward).await;
}
