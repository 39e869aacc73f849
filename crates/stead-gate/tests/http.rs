//! Requests over the unix socket, byte for byte as a client sends them.

#[path = "../../stead-steward/tests/common/mod.rs"]
mod common;

use common::{LONG, Rig};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use stead_gate::{bind, serve};
use stead_steward::Steward;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

async fn send(socket: &Path, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: stead\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A refused body is not read to its end.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("no answer");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
    (status, body)
}

fn start(rig: &Rig) -> (Steward, std::path::PathBuf, tokio::task::JoinHandle<()>) {
    let steward = rig.steward();
    let path = rig.places().steward_socket();
    let socket = bind(&path).unwrap();
    let served = steward.clone();
    let task = tokio::spawn(async move { serve(served, None, socket).await.unwrap() });
    (steward, path, task)
}

#[tokio::test]
async fn a_session_is_made_listed_shown_renamed_ended_and_removed() {
    let rig = Rig::new();
    let (_steward, socket, _task) = start(&rig);
    let (status, version) = send(&socket, "GET", "/v1/version", "").await;
    assert_eq!((status, version["pid"].as_u64()), (200, Some(u64::from(std::process::id()))));

    let ask = serde_json::to_string(&rig.ask("fix")).unwrap();
    let (status, made) = send(&socket, "POST", "/v1/sessions", &ask).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["name"], "fix");
    assert_eq!(made["life"], 1);

    let (status, again) = send(&socket, "POST", "/v1/sessions", &ask).await;
    assert_eq!((status, &again["code"]), (409, &json!("exists")));
    assert_eq!(again["help"], "stead attach fix, or another name");

    let (status, list) = send(&socket, "GET", "/v1/sessions", "").await;
    assert_eq!((status, list.as_array().unwrap().len()), (200, 1));
    let (status, one) = send(&socket, "GET", "/v1/sessions/fix", "").await;
    assert_eq!((status, &one["id"]), (200, &made["id"]));
    let id = format!("/v1/sessions/{}", made["id"].as_str().unwrap());
    assert_eq!(send(&socket, "GET", &id, "").await.0, 200);
    assert_eq!(send(&socket, "GET", "/v1/sessions/fix/explain", "").await.0, 200);

    let rename = r#"{"name":"other"}"#;
    let (status, renamed) = send(&socket, "POST", "/v1/sessions/fix/rename", rename).await;
    assert_eq!((status, &renamed["name"]), (200, &json!("other")));

    let (status, refused) = send(&socket, "DELETE", "/v1/sessions/other", "").await;
    assert_eq!((status, &refused["code"]), (400, &json!("invalid")));
    assert!(refused["help"].as_str().unwrap().contains("stead kill other"));

    let (status, ended) = send(&socket, "POST", "/v1/sessions/other/kill", "").await;
    assert_eq!((status, &ended["exit"]["by"]), (200, &json!("person")), "{ended}");
    let (status, twice) = send(&socket, "POST", "/v1/sessions/other/kill", "").await;
    assert_eq!((status, &twice["code"]), (409, &json!("ended")));

    let (status, restarted) = send(&socket, "POST", "/v1/sessions/other/restart", "").await;
    assert_eq!((status, &restarted["life"]), (200, &json!(2)), "{restarted}");
    assert_eq!(send(&socket, "POST", "/v1/sessions/other/kill", "{}").await.0, 200);

    assert_eq!(send(&socket, "DELETE", "/v1/sessions/other", "").await.0, 204);
    let (status, gone) = send(&socket, "GET", "/v1/sessions/other", "").await;
    assert_eq!((status, &gone["code"]), (404, &json!("not-found")));
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_as_a_problem() {
    let rig = Rig::new();
    let (_steward, socket, _task) = start(&rig);
    for (method, path, body, status, code) in [
        ("GET", "/v2/x", "", 404, "not-found"),
        ("PUT", "/v1/sessions", "", 405, "invalid"),
        ("POST", "/v1/sessions", "{", 400, "invalid"),
        ("POST", "/v1/sessions", r#"{"cwd":5}"#, 400, "invalid"),
        ("POST", "/v1/sessions/x/rename", "", 400, "invalid"),
        ("POST", "/v1/sessions/x/kill", r#"{"signal":"no"}"#, 400, "invalid"),
        ("GET", "/v1/sessions/%00%0a", "", 404, "not-found"),
    ] {
        let (got, problem) = send(&socket, method, path, body).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{method} {path}: {problem}");
        assert!(!problem["message"].as_str().unwrap().contains('\n'), "{problem}");
    }
    let huge = format!("\"{}\"", "x".repeat(9 * 1024 * 1024));
    assert_eq!(send(&socket, "POST", "/v1/sessions", &huge).await.0, 413);
}

#[tokio::test]
async fn events_come_as_lines_until_the_steward_stops() {
    let rig = Rig::new();
    let (_steward, socket, task) = start(&rig);
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.0\r\n\r\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    while !timeout(LONG, lines.next_line()).await.unwrap().unwrap().unwrap().is_empty() {}

    let ask = serde_json::to_string(&rig.ask("fix")).unwrap();
    let (_, made) = send(&socket, "POST", "/v1/sessions", &ask).await;
    let line = timeout(LONG, lines.next_line()).await.unwrap().unwrap().unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["event"], &event["session"]["id"]), (&json!("session"), &made["id"]));

    assert_eq!(send(&socket, "POST", "/v1/stop", "").await.0, 204);
    timeout(LONG, async { while lines.next_line().await.unwrap().is_some() {} }).await.unwrap();
    timeout(LONG, task).await.unwrap().unwrap();
    assert!(rig.holds.alive_id(made["id"].as_str().unwrap()));
}

#[tokio::test]
async fn the_socket_is_private_and_comes_back() {
    let rig = Rig::new();
    let (_steward, socket, _task) = start(&rig);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);

    let folder = stead_steward::inotify::Folders::new().unwrap();
    let seen = stead_steward::inotify::WatchFlags::MOVED_TO;
    folder.watch(socket.parent().unwrap(), seen).unwrap();
    std::fs::remove_file(&socket).unwrap();
    timeout(LONG, folder.next()).await.unwrap().unwrap();
    assert_eq!(send(&socket, "GET", "/v1/version", "").await.0, 200);
    assert_eq!(mode(&socket), 0o600);

    let runtime = socket.parent().unwrap();
    let changes = stead_steward::inotify::Folders::new().unwrap();
    let begun = stead_steward::inotify::WatchFlags::CREATE;
    changes.watch(runtime.parent().unwrap(), begun | seen).unwrap();
    std::fs::remove_dir_all(runtime).unwrap();
    let answered = timeout(LONG, async {
        // Watched before it is tried: what comes to be in between is an event.
        while changes.watch(runtime, seen).is_err() || UnixStream::connect(&socket).await.is_err() {
            changes.next().await.unwrap();
        }
        send(&socket, "GET", "/v1/version", "").await.0
    });
    assert_eq!(answered.await.unwrap(), 200);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_socket_that_a_dead_steward_left_is_replaced() {
    let rig = Rig::new();
    rig.places().create().unwrap();
    let path = rig.places().steward_socket();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let (_steward, socket, _task) = start(&rig);
    assert_eq!(send(&socket, "GET", "/v1/version", "").await.0, 200);
}
