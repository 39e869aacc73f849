//! A command that outlived its hold.
//!
//! When a hold is killed its command usually gets a hangup and ends. One that does not would go on unseen beside its
//! own next life, both in the same folder and conversation: it is ended first.

use crate::waitable::waitable;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::time::Duration;
use stead_hold::folder::Folder;
use stead_hold::launch;
use tokio::time::timeout;

/// How long it may take to end after a hangup.
const PATIENCE: Duration = Duration::from_secs(3);

/// Ends what is left of the session's last life.
pub async fn end(folder: &Folder, id: &str) {
    let Ok(Some(run)) = folder.run() else { return };
    // After a reboot the number is somebody else's.
    if !launch::boot_id().is_ok_and(|boot| boot == run.boot) {
        return;
    }
    let Some(pid) = Pid::from_raw(run.pid) else { return };
    let Ok(process) = pidfd_open(pid, PidfdFlags::NONBLOCK) else { return };
    // Only now does the number stay with the process, so only now is it worth asking whose it is.
    if !is_of_session(run.pid, id) {
        return;
    }
    let _ = pidfd_send_signal(&process, Signal::HUP);
    let _ = pidfd_send_signal(&process, Signal::CONT);
    let Ok(ends) = process.try_clone().and_then(waitable) else { return };
    if timeout(PATIENCE, ends.readable()).await.is_err() {
        let _ = pidfd_send_signal(&process, Signal::KILL);
        let _ = timeout(PATIENCE, ends.readable()).await;
    }
}

/// Whether a process was started with the environment of this session.
fn is_of_session(pid: i32, id: &str) -> bool {
    let wanted = format!("STEAD_SESSION_ID={id}");
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};
    use stead_hold::folder::Places;
    use stead_wire::session::Run;

    fn folder(dir: &std::path::Path, pid: u32, boot: &str) -> Folder {
        let places = Places { data: dir.join("d"), runtime: dir.join("r"), config: dir.join("c") };
        let folder = places.session("s1");
        std::fs::create_dir_all(folder.path()).unwrap();
        let (pid, boot) = (pid as i32, boot.to_owned());
        let run = Run { hold: 1, hold_start: 1, boot, pid, started: 1, life: 1 };
        folder.write_run(&run).unwrap();
        folder
    }

    /// A process that ignores hangups, once it has said so.
    fn stubborn(id: &str) -> std::process::Child {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' HUP; echo; exec sleep 600"])
            .env("STEAD_SESSION_ID", id)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    #[tokio::test]
    async fn one_that_ignores_the_hangup_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = stubborn("s1");
        let boot = launch::boot_id().unwrap();
        end(&folder(dir.path(), child.id(), &boot), "s1").await;
        assert!(!child.wait().unwrap().success());
    }

    #[tokio::test]
    async fn a_process_that_only_has_the_number_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = stubborn("another");
        let boot = launch::boot_id().unwrap();
        end(&folder(dir.path(), child.id(), &boot), "s1").await;
        end(&folder(dir.path(), child.id(), "another boot"), "another").await;
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
