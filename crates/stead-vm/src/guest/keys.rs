//! The keys by which a machine is known to those who log in. An image has none, nor has a clone.

use std::path::Path;
use std::process::{Command, Stdio};

/// Makes them where there are none and somebody can log in.
pub fn make() {
    let has = std::fs::read_dir("/etc/ssh").is_ok_and(|entries| {
        entries.filter_map(Result::ok).any(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(b"ssh_host_")
                && name.as_encoded_bytes().ends_with(b"_key")
        })
    });
    if has || !Path::new("/usr/sbin/sshd").exists() {
        return;
    }
    // Not RSA: its primes take an emulated processor longer than all the rest of a start, and every client knows these.
    for kind in ["ed25519", "ecdsa"] {
        let file = format!("/etc/ssh/ssh_host_{kind}_key");
        let mut command = Command::new("/usr/bin/ssh-keygen");
        command.args(["-q", "-N", "", "-t", kind, "-f", &file]);
        let made = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        if !made.is_ok_and(|status| status.success()) {
            super::say("the machine's ssh keys could not be made");
        }
    }
}
