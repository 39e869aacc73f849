//! Against a stand-in that reads requests byte by byte and refuses what a strict server would.

use super::*;
use crate::record::from_spec;
use std::collections::BTreeMap;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

struct Got {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Serves one request with `answer`.
async fn stand_in(answer: &'static str) -> (String, tokio::task::JoinHandle<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/my-topic", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(bytes).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let mut headers = BTreeMap::new();
        for header in lines {
            assert!(!header.contains(['\r', '\n']), "a bare line end in {header:?}");
            let (name, value) = header.split_once(": ").expect("a header without a colon");
            let twice = headers.insert(name.to_ascii_lowercase(), value.to_owned());
            assert!(twice.is_none(), "{name} twice");
        }
        assert!(headers.contains_key("host"), "HTTP/1.1 without Host");
        let length: usize = headers["content-length"].parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        Got { line, headers, body: String::from_utf8(body).unwrap() }
    });
    (url, task)
}

fn notice() -> Notice {
    let spec =
        serde_json::json!({"id": "01", "name": "fix", "command": ["sh"], "cwd": "/", "created": 1});
    let session = from_spec(&serde_json::from_value(spec).unwrap(), None);
    Notice {
        occasion: Some(Occasion::Waiting),
        title: "fix waits for you".into(),
        body: "Allow \"rm -rf\\x\"? – ja".into(),
        session: Some(session),
    }
}

fn settings() -> Notify {
    Notify {
        click: Some("https://desk.example/s/{name}?id={id}".into()),
        ntfy_token: Some("tk_1".into()),
        ..Notify::default()
    }
}

#[tokio::test]
async fn a_topic_gets_title_priority_tags_and_click() {
    let (url, server) = stand_in("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    publish(&url, &settings(), &notice(), "curl").await.unwrap();
    let got = server.await.unwrap();
    assert_eq!(got.line, "POST /my-topic HTTP/1.1");
    assert_eq!(got.body, notice().body);
    for (name, value) in [
        ("title", "fix waits for you"),
        ("priority", "high"),
        ("tags", "raised_hand,stead"),
        ("click", "https://desk.example/s/fix?id=01"),
        ("authorization", "Bearer tk_1"),
    ] {
        assert_eq!(got.headers[name], value);
    }
    assert!(url.contains(&got.headers["host"]));
}

#[tokio::test]
async fn a_refusal_is_told_in_one_line() {
    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 22\r\n\r\n{\"error\":\n\"forbidden\"}";
    let (url, _server) = stand_in(answer).await;
    let error = publish(&url, &settings(), &notice(), "curl").await.unwrap_err();
    assert_eq!(error, "127.0.0.1 answers 403 Forbidden: {\"error\": \"forbidden\"}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/t", listener.local_addr().unwrap());
    drop(listener);
    let error = publish(&closed, &settings(), &notice(), "curl").await.unwrap_err();
    assert!(error.contains("cannot connect to 127.0.0.1"), "{error}");
}

#[tokio::test]
async fn https_goes_through_curl_with_nothing_in_its_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let (program, seen) = (dir.path().join("curl"), dir.path().join("seen"));
    // Written by another process: a descriptor that a test beside this one inherits would keep it from running.
    let script = format!("#!/bin/sh\n{{ echo \"$@\"; cat; }} > {}\n", seen.display());
    let write = "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"";
    let mut writer = std::process::Command::new("sh");
    assert!(writer.args(["-c", write, "sh", &script]).arg(&program).status().unwrap().success());
    let program = program.to_str().unwrap();
    publish("https://ntfy.example/t", &settings(), &notice(), program).await.unwrap();
    let seen = std::fs::read_to_string(seen).unwrap();
    let (arguments, config) = seen.split_once('\n').unwrap();
    assert_eq!(arguments, "--disable --config - --output /dev/null");
    assert!(config.contains("url = \"https://ntfy.example/t\"\n"), "{config}");
    assert!(config.contains("header = \"Authorization: Bearer tk_1\"\n"), "{config}");
    assert!(config.contains("data-raw = \"Allow \\\"rm -rf\\\\x\\\"? – ja\"\n"), "{config}");

    let error = publish("https://x/t", &settings(), &notice(), "/nowhere/curl").await.unwrap_err();
    assert!(error.contains("needs curl"), "{error}");
}
