//! Telling a program of the user's.

use super::policy::Notice;
use crate::error::one_line;
use crate::settings::Occasion;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// As much of its complaints as is worth repeating.
const COMPLAINT: u64 = 300;

/// Runs `argv` with the notice as JSON on its standard input and in `STEAD_*` variables. After `patience` it is
/// killed with all that it has started.
///
/// # Errors
/// One line that says why it failed.
pub async fn run(argv: &[String], patience: Duration, notice: &Notice) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let event = match notice.occasion {
        Some(Occasion::Waiting) => "waiting",
        Some(Occasion::Idle) => "idle",
        Some(Occasion::Failed) => "failed",
        None => "summary",
    };
    let (name, id) = notice.session.as_ref().map_or(("", ""), |s| (&s.name, &s.id));
    let mut child = Command::new(program)
        .args(arguments)
        .env("STEAD_EVENT", event)
        .env("STEAD_SESSION", name)
        .env("STEAD_SESSION_ID", id)
        .env("STEAD_TITLE", &notice.title)
        .env("STEAD_BODY", &notice.body)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("cannot run {program}: {e}"))?;
    let group = child.id().and_then(|pid| Pid::from_raw(pid as i32));
    let json = serde_json::json!({
        "event": event, "title": notice.title, "body": notice.body, "session": notice.session,
    });
    let (input, complaints) = (child.stdin.take(), child.stderr.take());
    let work = async {
        if let Some(mut input) = input {
            // A program that does not read it is none the worse.
            let _ = input.write_all(format!("{json}\n").as_bytes()).await;
        }
        let mut said = Vec::new();
        if let Some(complaints) = complaints {
            let _ = complaints.take(COMPLAINT).read_to_end(&mut said).await;
        }
        let status = child.wait().await.map_err(|e| e.to_string())?;
        if status.success() {
            return Ok(());
        }
        let said = one_line(&String::from_utf8_lossy(&said));
        Err(format!("{program}: {status}{}{said}", if said.is_empty() { "" } else { ": " }))
    };
    let result = tokio::time::timeout(patience, work).await;
    result.unwrap_or_else(|_| {
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        Err(format!("{program} took longer than {} s and was killed", patience.as_secs()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice { occasion: None, title: "a $title".into(), body: "b".into(), session: None }
    }

    fn sh(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn it_gets_the_event_as_variables_and_as_json() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let script = format!("echo \"$STEAD_EVENT:$STEAD_TITLE\" > {0}; cat >> {0}", out.display());
        run(&sh(&script), LONG, &notice()).await.unwrap();
        let text = std::fs::read_to_string(out).unwrap();
        let (first, json) = text.split_once('\n').unwrap();
        assert_eq!(first, "summary:a $title");
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["title"], "a $title");
    }

    #[tokio::test]
    async fn its_failures_are_told() {
        let error = run(&sh("echo no luck >&2; exit 3"), LONG, &notice()).await.unwrap_err();
        assert!(error.contains("exit status: 3: no luck"), "{error}");
        let error = run(&["/nowhere/x".to_owned()], LONG, &notice()).await.unwrap_err();
        assert!(error.contains("cannot run /nowhere/x"), "{error}");
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        // Both hold the writing end until they are gone.
        let script = format!("exec 9> {}; sleep 600 & sleep 600", fifo.display());
        let reader = std::thread::spawn(move || std::fs::read(fifo).unwrap());
        let error = run(&sh(&script), Duration::from_secs(1), &notice()).await.unwrap_err();
        assert!(error.contains("took longer than 1 s"), "{error}");
        assert!(reader.join().unwrap().is_empty());
    }
}
