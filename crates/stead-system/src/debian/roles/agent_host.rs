//! Where agents live: what a steward and its machines are made with, and what agents reach for.

use super::Desired;
use crate::Whole;

pub(super) fn render(_: &Whole, to: &mut Desired) -> &'static [&'static str] {
    to.package(&[
        "git",
        "tmux",
        "jq",
        "ripgrep",
        "fd-find",
        "less",
        "unzip",
        "zip",
        "rsync",
        "procps",
        "iproute2",
        "nftables",
        "e2fsprogs",
        "mmdebstrap",
        "xz-utils",
        "zstd",
        "uidmap",
        "dbus-user-session",
        "python3",
        "build-essential",
    ]);
    // Sessions outlive their last connection.
    for user in to.users.keys().cloned().collect::<Vec<_>>() {
        to.file(format!("/var/lib/systemd/linger/{user}"), "");
    }
    to.file("/etc/systemd/logind.conf.d/10-stead.conf", "[Login]\nKillUserProcesses=no\n");
    // A thousand idle sessions watch files, and none may be refused.
    to.file(
        "/etc/sysctl.d/62-stead-agents.conf",
        "fs.inotify.max_user_instances = 8192\nfs.inotify.max_user_watches = 1048576\n",
    );
    &[]
}
