//! The share that a machine of an ordinary user has of what the kernel counts by user.
//!
//! What is used in a user namespace also counts for whoever made the namespace, so a machine could use up all that its
//! maker has. A quarter is left to it. A machine with a range of ids needs none of this: its namespace is made by the
//! first of its own ids ([`crate::userns::make`]), and what it uses counts for that id.

use std::fs;
use std::io;

/// Where the limits of the present user namespace are.
const HERE: &str = "/proc/sys/user";

/// What every machine can use up, and where this host has the same limit under another name.
const WATCHES: [(&str, &str); 4] = [
    ("max_inotify_instances", "/proc/sys/fs/inotify/max_user_instances"),
    ("max_inotify_watches", "/proc/sys/fs/inotify/max_user_watches"),
    ("max_fanotify_groups", "/proc/sys/fs/fanotify/max_user_groups"),
    ("max_fanotify_marks", "/proc/sys/fs/fanotify/max_user_marks"),
];

/// What a machine in which containers may be made can use up besides.
const NAMESPACES: [&str; 8] = [
    "max_cgroup_namespaces",
    "max_ipc_namespaces",
    "max_mnt_namespaces",
    "max_net_namespaces",
    "max_pid_namespaces",
    "max_time_namespaces",
    "max_user_namespaces",
    "max_uts_namespaces",
];

/// Limits for a user namespace that is to be made.
#[derive(Default)]
pub struct Share(Vec<(&'static str, u64)>);

impl Share {
    /// A quarter of what the present user namespace may have; to be asked before another one is entered, whose own
    /// limits say nothing of those above it.
    pub fn of_here(nested: bool) -> Self {
        let watches = WATCHES.iter().map(|(name, host)| (*name, number(host)));
        let namespaces = NAMESPACES.iter().filter(|_| nested).map(|name| (*name, None));
        let limits = watches.chain(namespaces).filter_map(|(name, host)| {
            let here = number(&format!("{HERE}/{name}"))?;
            Some((name, (here.min(host.unwrap_or(here)) / 4).max(1)))
        });
        Share(limits.collect())
    }

    /// Limits the present user namespace to it. Needs the rights of its root.
    pub fn take(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|(name, limit)| {
            fs::OpenOptions::new()
                .write(true)
                .open(format!("{HERE}/{name}"))
                .and_then(|mut file| io::Write::write_all(&mut file, limit.to_string().as_bytes()))
        })
    }
}

/// What a file of the kernel says, if it is there.
fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
