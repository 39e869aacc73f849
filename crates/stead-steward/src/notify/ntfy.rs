//! Telling an ntfy topic.
//!
//! `http://` is spoken here. `https://` goes through `curl`: a TLS stack and its trust store would be the
//! largest part of a steward that must be small, and the system's own is kept up to date by others.

use super::policy::Notice;
use crate::error::one_line;
use crate::settings::{Notify, Occasion};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;

/// Longest time for all of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// As much of an answer as is worth repeating.
const ANSWER: usize = 300;

/// Publishes a notice to the topic at `url`.
///
/// # Errors
/// One line that says why it was not published.
pub async fn publish(
    url: &str,
    settings: &Notify,
    notice: &Notice,
    curl: &str,
) -> Result<(), String> {
    let headers = headers(settings, notice);
    let sent = async {
        if url.starts_with("https:") {
            by_curl(curl, url, &headers, &notice.body).await
        } else {
            by_http(url, &headers, &notice.body).await
        }
    };
    let result = tokio::time::timeout(PATIENCE, sent).await;
    result.unwrap_or_else(|_| Err(format!("no answer in {} s", PATIENCE.as_secs())))
}

fn headers(settings: &Notify, notice: &Notice) -> Vec<(&'static str, String)> {
    let (priority, tag) = match notice.occasion {
        Some(Occasion::Waiting) => ("high", "raised_hand"),
        Some(Occasion::Failed) => ("high", "x"),
        Some(Occasion::Idle) => ("default", "white_check_mark"),
        None => ("default", "bell"),
    };
    let mut headers = vec![
        ("Title", notice.title.clone()),
        ("Priority", priority.to_owned()),
        ("Tags", format!("{tag},stead")),
    ];
    if let (Some(click), Some(session)) = (&settings.click, &notice.session) {
        headers
            .push(("Click", click.replace("{name}", &session.name).replace("{id}", &session.id)));
    }
    if let Some(token) = &settings.ntfy_token {
        headers.push(("Authorization", format!("Bearer {token}")));
    }
    headers
}

async fn by_http(url: &str, headers: &[(&'static str, String)], body: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|e| format!("{url:?} is no URL: {e}"))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|e| format!("cannot connect to {host}:{port}: {e}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let connection = tokio::spawn(connection);
    let authority = uri.authority().map_or(host.as_str(), |a| a.as_str());
    let mut request = Request::post(uri.path_and_query().map_or("/", |p| p.as_str()))
        .header("Host", authority)
        .header("Connection", "close");
    for (name, value) in headers {
        let value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|e| format!("{name}: {e}"))?;
        request = request.header(*name, value);
    }
    let request =
        request.body(Full::new(Bytes::from(body.to_owned()))).map_err(|e| e.to_string())?;
    let answer = sender.send_request(request).await.map_err(|e| format!("{host}:{port}: {e}"))?;
    let status = answer.status();
    if status.is_success() {
        connection.abort();
        return Ok(());
    }
    let mut said = Vec::new();
    let mut answer = answer.into_body();
    while let Some(Ok(frame)) = answer.frame().await {
        said.extend_from_slice(frame.data_ref().map_or(&[][..], |data| &data[..]));
        if said.len() >= ANSWER {
            break;
        }
    }
    connection.abort();
    said.truncate(ANSWER);
    Err(format!("{host} answers {status}: {}", one_line(&String::from_utf8_lossy(&said))))
}

async fn by_curl(
    curl: &str,
    url: &str,
    headers: &[(&'static str, String)],
    body: &str,
) -> Result<(), String> {
    // On its standard input, so that no other user reads topic and token in the list of processes.
    let mut config = String::from("silent\nshow-error\nfail\nmax-time = 10\n");
    let mut line = |key: &str, value: &str| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        for part in [key, " = \"", &value, "\"\n"] {
            config.push_str(part);
        }
    };
    line("url", url);
    for (name, value) in headers {
        line("header", &format!("{name}: {value}"));
    }
    line("data-raw", body);
    let mut child = Command::new(curl)
        .args(["--disable", "--config", "-", "--output", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                "an https:// topic needs curl: install it, or name an http:// relay".to_owned()
            }
            _ => format!("cannot run {curl}: {e}"),
        })?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(config.as_bytes()).await.map_err(|e| format!("curl: {e}"))?;
    }
    let output = child.wait_with_output().await.map_err(|e| format!("curl: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(one_line(&String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
#[path = "ntfy_tests.rs"]
mod tests;
