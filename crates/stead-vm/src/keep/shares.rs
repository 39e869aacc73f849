//! The programs that serve shares.
//!
//! One that ends is not started again: which files a guest has open is known to nobody else, and QEMU takes no other in its place.

use super::console::thread;
use super::sys;
use crate::args::share_socket;
use crate::spec::{ShareBy, Vm};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A program that serves a share.
pub struct Serving {
    child: Child,
    /// What it is, for a person.
    what: String,
    /// Where the guest has what it serves.
    at: String,
    /// What it said.
    log: PathBuf,
}

impl Serving {
    /// The last of what it said: errors only.
    fn said(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.log).ok()?;
        let last = text.lines().rfind(|line| !line.trim().is_empty())?;
        Some(format!("{}: {last}", self.what))
    }

    /// Why it has ended, if it has.
    fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        self.said().or_else(|| Some(format!("{}: {status}", self.what)))
    }

    /// Waits for its end in a thread. Whoever started it asks how it ended.
    fn await_end(&self, told: impl FnOnce() + Send + 'static) -> io::Result<()> {
        // Nobody has asked yet, so this is it.
        let process: OwnedFd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        thread("share", move || {
            while poll(&mut [PollFd::new(&process, PollFlags::IN)], None).is_err() {}
            told();
        })
    }
}

/// What a person is told of each share that is not served any more.
pub fn unserved(all: &mut [Serving]) -> Vec<String> {
    let mut told = Vec::new();
    for serving in all {
        if let Some(why) = serving.ended() {
            told.push(format!(
                "the share {} is not served any more, and what uses it waits ({why}): a restart of the machine brings it back",
                serving.at
            ));
        }
    }
    told
}

/// What one of them has to complain of, if one has.
pub fn said(all: &[Serving]) -> Option<String> {
    all.iter().find_map(Serving::said)
}

/// Why a share is not served, if one is not: what QEMU says of it is that nobody listens.
pub fn ended(all: &mut [Serving]) -> Option<String> {
    all.iter_mut().find_map(Serving::ended)
}

/// Starts the program of each share that has one. Each ends when QEMU lets go of it, or with this program; `over` is told.
///
/// # Errors
/// Which could not be started.
pub fn serve(vm: &Vm, over: &(impl Fn() + Clone + Send + 'static)) -> io::Result<Vec<Serving>> {
    let mut serving = Vec::new();
    for (n, share) in vm.shares.iter().enumerate() {
        let ShareBy::Virtiofs(program) = &share.by else { continue };
        let socket = share_socket(&vm.folder, n);
        let _ = std::fs::remove_file(&socket);
        // It listens before the program runs, so QEMU need not wait for it.
        let listener = UnixListener::bind(&socket)?;
        let log = vm.folder.join(format!("fs{n}.log"));
        let mut command = Command::new(program);
        command
            .arg(format!("--fd={}", listener.as_raw_fd()))
            .arg("--shared-dir")
            .arg(&share.path)
            // The sandbox that this runs in sees no more than it is to see.
            .args([
                "--sandbox",
                "none",
                "--cache",
                "auto",
                "--xattr",
                "--killpriv-v2",
                "--log-level",
                "error",
            ])
            // By handles it would open files only with a capability that reaches all of this host's.
            .arg("--inode-file-handles=never")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        if !share.writable {
            command.arg("--readonly");
        }
        // It insists on what it would use, and a sandbox has not all of it: no devices are made there, for one.
        let without: Vec<String> = lacking().map(|name| format!("-{name}")).collect();
        if !without.is_empty() {
            command.arg(format!("--modcaps={}", without.join(":")));
        }
        sys::inherit(&mut command, &[listener.as_raw_fd()]);
        let what = format!("{} for the share {}", program.display(), share.tag);
        let child = command.spawn().map_err(|e| io::Error::other(format!("{what}: {e}")))?;
        let this = Serving { child, what, at: seen_at(vm, &share.tag), log };
        this.await_end(over.clone())?;
        serving.push(this);
    }
    Ok(serving)
}

/// Where the guest has the share with this tag.
fn seen_at(vm: &Vm, tag: &str) -> String {
    let shares = vm.config.iter().flat_map(|config| &config.shares);
    let found = shares.into_iter().find(|share| share.tag == tag);
    found.map_or_else(|| tag.to_owned(), |share| share.at.display().to_string())
}

/// Capabilities that the program of a share takes up unless it is told not to, by the kernel's numbers.
const TAKEN: [(u32, &str); 8] = [
    (0, "chown"),
    (1, "dac_override"),
    (3, "fowner"),
    (4, "fsetid"),
    (6, "setgid"),
    (7, "setuid"),
    (27, "mknod"),
    (31, "setfcap"),
];

/// Those of them that this program has not, and so cannot give.
fn lacking() -> impl Iterator<Item = &'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let has = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapPrm:")?.trim(), 16).ok())
        .unwrap_or(u64::MAX);
    TAKEN.into_iter().filter(move |(number, _)| has & (1 << number) == 0).map(|(_, name)| name)
}
