//! The agent in a guest whose first process is systemd: a unit that is there for as long as the machine runs.

use crate::failure::{Result, Tried};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

const UNITS: &str = "/run/systemd/system";
const NAME: &str = "stead-agent.service";

/// What it starts stays when it is started again: sessions do not depend on it.
const UNIT: &str = "\
[Unit]
Description=Stead's agent in this machine
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service
Before=ssh.service sshd.service shutdown.target
Conflicts=shutdown.target

[Service]
ExecStart=/run/stead/bin/stead-vm agent
Restart=always
RestartSec=1
KillMode=process
OOMScoreAdjust=-900
TasksMax=infinity
LimitNOFILE=1048576
Delegate=yes

[Install]
WantedBy=sysinit.target
";

/// What an image does to have keys whatever starts it, RSA's among them: the agent has made those that are needed.
const KEYS: &str = "\
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/env sh -c 'until ls /etc/ssh/ssh_host_*_key.pub >/dev/null 2>&1; do sleep 0.1; done'
ExecStartPre=/usr/sbin/sshd -t
";

/// Puts it where systemd finds it at its start.
pub fn put_unit() -> Result<()> {
    let wants = format!("{UNITS}/sysinit.target.wants");
    std::fs::create_dir_all(&wants).tried(|| &wants)?;
    let unit = format!("{UNITS}/{NAME}");
    std::fs::write(&unit, UNIT).tried(|| &unit)?;
    symlink(&unit, format!("{wants}/{NAME}")).tried(|| &wants)?;
    let folder = format!("{UNITS}/ssh.service.d");
    std::fs::create_dir_all(&folder).tried(|| &folder)?;
    // By its name after the image's own.
    let file = format!("{folder}/stead.conf");
    std::fs::write(&file, KEYS).tried(|| &file)
}

/// Has those who read the machine's keys when they began read them again.
pub fn know_keys_again() {
    let asked = Command::new("systemctl")
        .args(["--no-block", "try-restart", "ssh.service"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !asked.is_ok_and(|status| status.success()) {
        super::say("ssh may have the keys of another machine until it is started again");
    }
}
