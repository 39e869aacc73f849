//! The sockets of a hold and of the steward, spoken to as nobody should, and as versions of another age do.

#![allow(clippy::similar_names)]

mod common;

use common::raw::{Noise, Raw, connect};
use common::{NOBODY, PATIENCE, World, as_nobody, until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use stead_hold::client::{ClientError, Connection};
use stead_wire::frame;
use stead_wire::handshake::{SPOKEN, Versions};
use stead_wire::message::{Ask, Asked, Attach, Bye, Hello, Purpose, ToClient, ToHold, kind};
use stead_wire::session::Session;

/// Memory that a hold may have at any time, in kilobytes.
const MAX_MEMORY: u64 = 16 * 1024;

fn start(world: &World, script: &str) -> PathBuf {
    world.ok(&["run", "-d", "-n", "s", "--", "sh", "-c", script]);
    world.ok(&["wait", "s", "--for", "ready", "--timeout", "60s"]);
    world.places().hold_socket(&world.session("s").id)
}

/// The hold answers, runs its first life, and has not grown.
#[track_caller]
fn unharmed(world: &World) {
    let session = world.session("s");
    assert_eq!((session.life, &session.exit), (1, &None));
    world.ok(&["screen", "s"]);
    let memory = memory(world);
    assert!(memory < MAX_MEMORY, "the hold has {memory} kB");
}

/// The hold's resident memory in kilobytes.
fn memory(world: &World) -> u64 {
    let hold = world.folder("s").run().unwrap().unwrap().hold;
    let status = std::fs::read_to_string(format!("/proc/{hold}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn attach(socket: &Path, attach: Attach) -> Connection {
    let (connection, _) = Connection::open(socket, Purpose::Attach(attach)).unwrap();
    connection.set_timeout(PATIENCE).unwrap();
    connection
}

fn control(socket: &Path) -> Connection {
    Connection::open(socket, Purpose::Control).unwrap().0
}

#[test]
fn garbage_harms_nobody_else() {
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    let steward = world.places().steward_socket();
    let pid = world.steward_pid().unwrap();
    let mut beside = attach(&hold, Attach::default());
    let mut noise = Noise(0x5eed_1234_5678_9abc);
    for round in 0..200 {
        for socket in [&hold, &steward] {
            let mut stream = connect(socket);
            // The other end may close before it has read all.
            let _ = stream.write_all(&noise.bytes(4000));
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        // Whole frames of any kind but the one that leaves, full of anything, after a good beginning.
        let mut raw = Raw::greeted(&hold);
        for _ in 0..5 {
            let kind = (noise.next() as u8).max(kind::DETACH + 1);
            let mut bytes = Vec::new();
            frame::put(&mut bytes, kind, &[&noise.bytes(300)]);
            let _ = raw.stream.write_all(&bytes);
        }
        if round % 2 == 0 {
            let _ = raw.stream.shutdown(Shutdown::Write);
            while raw.next().is_some() {}
        }
    }
    let _: Value = beside.ask(Ask::Barrier).unwrap();
    assert_eq!(world.steward_pid(), Some(pid));
    unharmed(&world);
}

#[test]
fn those_who_speak_something_else_are_told() {
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    for (said, reason, text) in [
        (
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            "protocol",
            "a frame of 542393671 bytes was announced, more than the 33554432 allowed: the other end does not speak \
             the hold protocol",
        ),
        (
            &b"\xff\xff\xff\xff\x01"[..],
            "protocol",
            "a frame of 4294967295 bytes was announced, more than the 33554432 allowed: the other end does not speak \
             the hold protocol",
        ),
        (&b"\0\0\0\0"[..], "protocol", "a frame frame is cut short (0 bytes)"),
        (
            &b"\x01\0\0\0\x05"[..],
            "protocol",
            "the first frame was of kind 5, not a hello: the other end does not speak the hold protocol",
        ),
    ] {
        let mut raw = Raw::open(&hold);
        raw.stream.write_all(said).unwrap();
        let bye = raw.bye();
        assert_eq!((bye.reason.as_str(), bye.text.as_str()), (reason, text));
    }
    unharmed(&world);
}

#[test]
fn the_silent_and_the_half_said_keep_nobody_waiting() {
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    let steward = world.places().steward_socket();
    let mut kept = Vec::new();
    for _ in 0..20 {
        // Nothing at all; half a header; a header and half of what it announces; the largest frame announced.
        for said in [&b""[..], b"\x10\0", b"\x10\0\0\0\x01{", b"\0\0\0\x02\x01"] {
            let mut stream = connect(&hold);
            stream.write_all(said).unwrap();
            kept.push(stream);
        }
        for said in
            [&b""[..], b"GET /v1/ver", b"POST /v1/sessions HTTP/1.1\r\nContent-Length: 99\r\n\r\n{"]
        {
            let mut stream = connect(&steward);
            stream.write_all(said).unwrap();
            kept.push(stream);
        }
    }
    unharmed(&world);
    world.ok(&["run", "-d", "-n", "another", "--", "true"]);
}

#[test]
fn two_hundred_at_once() {
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    let mut clients: Vec<Connection> = (0..200).map(|_| attach(&hold, Attach::default())).collect();
    let session: Session = clients[0].ask(Ask::Info).unwrap();
    assert_eq!(session.attached, 200);
    clients[0].send(&ToHold::Input(b"hello to all\n".into())).unwrap();
    for client in &mut clients {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("hello to all") {
            if let ToClient::Output { bytes, .. } | ToClient::Repaint { bytes, .. } =
                client.next_message().unwrap()
            {
                seen.extend(bytes);
            }
        }
    }
    drop(clients);
    until("all have left", || (world.session("s").attached == 0).then_some(()));
    unharmed(&world);
}

/// Processor time that a process has used, in clock ticks.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split_ascii_whitespace().collect();
    fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
}

#[test]
fn more_clients_than_descriptors() {
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    let mut beside = attach(&hold, Attach::default());
    let pid = world.folder("s").run().unwrap().unwrap().hold;
    let limit = "--nofile=40:40";
    let limited = Command::new("prlimit").args(["--pid", &pid.to_string(), limit]).status();
    assert!(limited.unwrap().success());
    let clients: Vec<_> = (0..100).map(|_| connect(&hold)).collect();
    until("no descriptor is left", || {
        (std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() >= 40).then_some(())
    });
    // While another process works hard, the hold, which can let nobody in, does nothing.
    let before = ticks(pid);
    let work = "i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done";
    let mut worker = Command::new("bash").args(["-c", work]).spawn().unwrap();
    let mut worked = 0;
    while worker.try_wait().unwrap().is_none() {
        worked = worked.max(ticks(worker.id() as i32));
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let used = ticks(pid) - before;
    assert!(used < worked / 4 + 2, "{used} ticks of the hold in {worked} of work");
    let _: Value = beside.ask(Ask::Barrier).unwrap();
    // Once they leave, others come in.
    drop(clients);
    let session: Session = control(&hold).ask(Ask::Info).unwrap();
    assert_eq!(session.attached, 1);
    unharmed(&world);
}

#[test]
fn a_client_that_never_reads_slows_nobody() {
    const PRINTED: u64 = 50_000_000;
    let world = World::new();
    let script = format!(
        "stty -echo; echo ready; read go; yes \"$(seq -s ' ' 20)\" | head -c {PRINTED}; echo at the end; exec cat"
    );
    let hold = start(&world, &script);
    let mut frozen = attach(&hold, Attach::default());
    world.ok(&["send", "s", "--key", "enter"]);
    world.ok(&["wait", "s", "--for", "at the end", "--timeout", "60s"]);
    unharmed(&world);
    // When it reads again it is shown the present, not all it has missed.
    let (mut got, mut last) = (0, String::new());
    while !last.contains("at the end") {
        if let ToClient::Repaint { bytes, .. } | ToClient::Output { bytes, .. } =
            frozen.next_message().unwrap()
        {
            got += bytes.len() as u64;
            last = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    assert!(got < PRINTED / 10, "{got} bytes came late");
}

#[test]
fn clients_of_another_age_are_told_which_is_too_old() {
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    for (min, max, text) in [
        (
            0,
            0,
            "no common protocol version: this hold speaks 1 to 1, the client 0 to 0; the client is too old: use a \
             newer stead",
        ),
        (
            2,
            9,
            "no common protocol version: this hold speaks 1 to 1, the client 2 to 9; the hold is too old: use the \
             stead that started this session, or restart the session",
        ),
    ] {
        let mut raw = Raw::open(&hold);
        let hello = Hello {
            speaks: Versions { min, max },
            client: "test".into(),
            purpose: Purpose::Attach(Attach::default()),
        };
        let mut bytes = Vec::new();
        ToHold::Hello(hello).put(&mut bytes);
        raw.stream.write_all(&bytes).unwrap();
        assert_eq!(raw.bye(), Bye { reason: "version".into(), text: text.into() });
    }
    // One that speaks more than the hold does speaks what both know.
    let mut raw = Raw::open(&hold);
    let hello = json!({"speaks": {"min": 0, "max": 9}, "purpose": {"as": "control"}});
    raw.send_json(kind::HELLO, &hello);
    assert!(matches!(raw.next(), Some(ToClient::Welcome(welcome)) if welcome.version == 1));
    unharmed(&world);
}

#[test]
fn what_later_versions_add_is_passed_over() {
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    let mut raw = Raw::open(&hold);
    raw.send_json(
        kind::HELLO,
        &json!({"speaks": SPOKEN, "later": [1], "purpose": {"as": "watch", "later": true}}),
    );
    assert!(matches!(raw.next(), Some(ToClient::Welcome(_))));
    assert!(matches!(raw.next(), Some(ToClient::Status(_))));
    for kind in [6, 99, 127, 200] {
        raw.send(kind, b"of a later version");
    }
    raw.send_json(kind::ASK, &json!({"id": 1, "ask": "info", "later": {"a": 1}}));
    let answer = raw.answer();
    assert_eq!((answer.id, answer.error), (1, None));
    assert_eq!(answer.ok.unwrap()["name"], "s");
    // A question that it does not know, or not so, is answered, and so is the next one.
    for (id, ask) in [
        (2, json!({"id": 2, "ask": "frobnicate", "hard": true})),
        (3, json!({"id": 3, "ask": "kill", "signal": "some"})),
        (4, json!({"id": 4})),
    ] {
        raw.send_json(kind::ASK, &ask);
        let answer = raw.answer();
        assert_eq!((answer.id, answer.ok), (id, None));
        assert_eq!(answer.error.unwrap(), "this hold does not understand the question");
    }
    raw.send_json(kind::ASK, &json!({"id": 5, "ask": "barrier"}));
    assert_eq!(raw.answer().id, 5);
    // Without a number there is nobody to answer.
    raw.send_json(kind::ASK, &json!({"ask": "info"}));
    assert_eq!(raw.bye().reason, "protocol");
    unharmed(&world);
}

/// Reads output until it contains a text; returns it and the offset after it.
fn output_until(client: &mut Connection, text: &str) -> (String, u64) {
    let (mut seen, mut end) = (String::new(), 0);
    while !seen.contains(text) {
        if let ToClient::Output { offset, bytes } = client.next_message().unwrap() {
            seen.push_str(&String::from_utf8_lossy(&bytes));
            end = offset + bytes.len() as u64;
        }
    }
    (seen, end)
}

#[test]
fn who_comes_back_gets_exactly_what_was_missed() {
    let world = World::new();
    let script =
        "stty -echo; echo ready; while read n; do seq -f 'line %.0f' $n; echo \"so $n\"; done";
    let hold = start(&world, script);
    let mut first = attach(&hold, Attach::default());
    first.send(&ToHold::Input(b"3\n".into())).unwrap();
    let (_, seen) = output_until(&mut first, "so 3\r\n");
    first.send(&ToHold::Detach).unwrap();
    world.ok(&["send", "s", "2", "--key", "enter"]);
    world.ok(&["wait", "s", "--for", "so 2", "--timeout", "60s"]);

    let mut back = attach(&hold, Attach { resume: Some(seen), ..Attach::default() });
    match back.next_message().unwrap() {
        ToClient::Output { offset, bytes } => {
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!((offset, text.as_str()), (seen, "line 1\r\nline 2\r\nso 2\r\n"));
        }
        other => panic!("{other:?}"),
    }
    // In the middle of a line, and with nothing missed.
    for (resume, expected) in [(seen + 3, "e 1\r\nline 2\r\nso 2\r\n"), (seen + 22, "")] {
        let mut back = attach(&hold, Attach { resume: Some(resume), ..Attach::default() });
        match back.next_message().unwrap() {
            ToClient::Output { offset, bytes } => {
                assert_eq!((offset, bytes.as_slice()), (resume, expected.as_bytes()));
            }
            other => panic!("{other:?}"),
        }
    }
    // More than is worth sending, and an offset that was never reached: the screen instead.
    world.ok(&["send", "s", "20000", "--key", "enter"]);
    world.ok(&["wait", "s", "--for", "so 20000", "--timeout", "60s"]);
    for resume in [seen, 0, u64::MAX] {
        let mut back = attach(&hold, Attach { resume: Some(resume), ..Attach::default() });
        match back.next_message().unwrap() {
            ToClient::Repaint { offset, bytes } => {
                let session: Session = control(&hold).ask(Ask::Info).unwrap();
                assert_eq!(offset, session.output);
                assert!(String::from_utf8_lossy(&bytes).contains("so 20000"));
            }
            other => panic!("{other:?}"),
        }
    }
    unharmed(&world);
}

#[test]
fn messages_of_several_writers_stay_whole() {
    const WRITERS: usize = 4;
    const MESSAGES: usize = 5;
    const LEN: usize = 100_000;
    let world = World::new();
    let total = WRITERS * MESSAGES * LEN;
    let script = format!("stty raw -echo; echo ready; head -c {total} > typed");
    let hold = start(&world, &script);
    let ready = std::sync::Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (hold, ready) = (&hold, &ready);
            scope.spawn(move || {
                let mut client = attach(hold, Attach::default());
                ready.wait();
                for message in 0..MESSAGES {
                    let letter = b'a' + (writer * MESSAGES + message) as u8;
                    client.send(&ToHold::Input(vec![letter; LEN])).unwrap();
                }
                // The session may end with the last byte.
                let _ = client.ask::<Value>(Ask::Barrier);
            });
        }
    });
    assert_eq!(world.stead(&["wait", "s", "--timeout", "60s"]).status, 0);
    let typed = std::fs::read(world.home().join("typed")).unwrap();
    assert_eq!(typed.len(), total);
    let mut letters: Vec<u8> = Vec::new();
    for message in typed.chunk_by(|a, b| a == b) {
        assert_eq!(message.len(), LEN, "a message was torn apart");
        letters.push(message[0]);
    }
    // All arrived, and those of one writer in its order.
    for writer in letters.iter().map(|letter| usize::from(letter - b'a') / MESSAGES) {
        let of: Vec<u8> = letters
            .iter()
            .copied()
            .filter(|letter| usize::from(letter - b'a') / MESSAGES == writer)
            .collect();
        assert!(of.len() == MESSAGES && of.is_sorted(), "writer {writer}: {of:?}");
    }
}

#[test]
fn who_only_looks_changes_nothing() {
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    let mut looking =
        attach(&hold, Attach { read_only: true, take_size: true, ..Attach::default() });
    let size = world.session("s").size;
    looking.send(&ToHold::Input(b"never typed\n".into())).unwrap();
    let other = stead_wire::session::Size { cols: 33, rows: 11 };
    looking.send(&ToHold::Resize(other)).unwrap();
    for ask in [
        Ask::Type { bytes: b"never typed\n".into() },
        Ask::TakeSize { size: other },
        Ask::Kill { signal: 9, by_person: true },
        Ask::Rename { name: "renamed".into() },
        Ask::Hook { payload: json!({"hook_event_name": "Stop"}) },
    ] {
        match looking.ask::<Value>(ask) {
            Err(ClientError::Refused(why)) => {
                assert_eq!(why, "a client that only looks cannot do that");
            }
            other => panic!("{other:?}"),
        }
    }
    // It may ask.
    let session: Session = looking.ask(Ask::Info).unwrap();
    assert_eq!((session.name.as_str(), session.size), ("s", size));
    let _: Value = control(&hold).ask(Ask::Type { bytes: b"typed\n".into() }).unwrap();
    world.ok(&["wait", "s", "--for", "typed", "--timeout", "60s"]);
    let screen = world.ok(&["screen", "s"]);
    assert!(!screen.contains("never"), "{screen}");
    unharmed(&world);
}

/// Connects to a unix socket, says what standard input holds, and prints what comes first.
const SPEAK: &str = r"use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;
connect($s, sockaddr_un($ARGV[0])) or die qq(connect: $!\n);
local $/; my $said = <STDIN>; local $SIG{PIPE} = 'IGNORE'; syswrite($s, $said);
my $got; sysread($s, $got, 4096) and syswrite(STDOUT, $got)";

#[test]
fn other_users_are_not_let_in() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("only root can become somebody else: not tested");
    }
    let world = World::new();
    let hold = start(&world, "echo ready; exec cat");
    let steward = world.places().steward_socket();
    // As if somebody had opened every door.
    let runtime = world.places().runtime;
    for dir in [world.path(), &world.path().join("run"), &runtime, &runtime.join("holds")] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut hello = Vec::new();
    ToHold::Hello(Hello { speaks: SPOKEN, client: String::new(), purpose: Purpose::Control })
        .put(&mut hello);
    ToHold::Ask(Asked { id: 1, ask: Ask::Info }).put(&mut hello);
    let get = b"GET /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec();
    for (socket, said) in [(&hold, hello), (&steward, get)] {
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        let file = world.path().join("said");
        std::fs::write(&file, said).unwrap();
        let speak = |within: &[String]| {
            let words: Vec<String> =
                within.iter().cloned().chain(["perl", "-e", SPEAK].map(String::from)).collect();
            let output = Command::new(&words[0])
                .args(&words[1..])
                .arg(socket)
                .stdin(std::fs::File::open(&file).unwrap())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            output.stdout
        };
        assert!(!speak(&[]).is_empty(), "its own user is not answered");
        let got = speak(&as_nobody());
        assert!(got.is_empty(), "user {NOBODY} was told {:?}", String::from_utf8_lossy(&got));
    }
    unharmed(&world);
}

/// One request to the steward: the status and the JSON of the answer.
fn http(world: &World, request: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = connect(&world.places().steward_socket());
    let head = format!(
        "{request} HTTP/1.1\r\nHost: stead\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // What is too large is not read to its end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}")))
}

#[test]
fn requests_that_cannot_be_are_problems() {
    let world = World::new();
    start(&world, "echo ready; exec cat");
    let huge = vec![b'x'; 9 * 1024 * 1024];
    for (request, body, status, code, message) in [
        ("GET /", &b""[..], 404, "not-found", "there is nothing at /"),
        ("GET /v9/sessions", b"", 404, "not-found", "there is nothing at /v9/sessions"),
        ("GET /v1/sessions/none", b"", 404, "not-found", "there is no session \"none\""),
        ("PUT /v1/sessions", b"", 405, "invalid", "PUT means nothing at /v1/sessions"),
        ("GET /v1/stop", b"", 405, "invalid", "GET means nothing at /v1/stop"),
        ("DELETE /v1/sessions", b"", 405, "invalid", "DELETE means nothing at /v1/sessions"),
        ("POST /v1/sessions", b"{\"cwd\":", 400, "invalid", "the body cannot be read: "),
        ("POST /v1/sessions", b"5", 400, "invalid", "the body cannot be read: "),
        ("POST /v1/sessions", b"\xff\xfe", 400, "invalid", "the body cannot be read: "),
        (
            "POST /v1/sessions",
            b"{\"cwd\":\"/nowhere\"}",
            400,
            "invalid",
            "there is no folder \"/nowhere\"",
        ),
        (
            "POST /v1/sessions/s/kill",
            b"{\"signal\":\"x\"}",
            400,
            "invalid",
            "the body cannot be read: ",
        ),
        ("POST /v1/sessions/s/kill", b"{\"signal\":-5}", 400, "invalid", "there is no signal -5"),
        (
            "POST /v1/sessions/s/rename",
            b"{\"name\":\"a/b\"}",
            400,
            "invalid",
            "the name \"a/b\" contains '/'",
        ),
        ("POST /v1/sessions", &huge, 413, "invalid", "the body is larger than 8388608 bytes"),
    ] {
        let (got, problem) = http(&world, request, body);
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{request}: {problem}");
        let said = problem["message"].as_str().unwrap();
        assert!(said.starts_with(message) && !said.contains('\n'), "{request}: {said}");
    }
    unharmed(&world);
}
