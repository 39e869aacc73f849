//! How this host itself is.

use super::{Finding, has};
use std::path::Path;
use std::process::{Command, Stdio};
use stead_file::Size;
use stead_hold::folder::Places;

/// Less than this is little for machines that write.
const LITTLE: Size = Size::gib(2);

/// Its disk and clock, and whether it can install NixOS elsewhere. None of it is needed.
pub fn findings(places: &Places) -> Vec<Finding> {
    vec![
        Finding::of("there is room for what machines write", room(&places.data)),
        Finding::of("its clock is right", clock()),
        Finding::of(
            "NixOS can be installed elsewhere (stead system install)",
            has(&["nixos-anywhere", "nix"], "nix-bin"),
        ),
    ]
}

fn room(data: &Path) -> Result<(), String> {
    let stat = rustix::fs::statvfs(data).map_err(|e| e.to_string())?;
    let left = Size(stat.f_bavail.saturating_mul(stat.f_frsize));
    if left >= LITTLE {
        return Ok(());
    }
    Err(format!(
        "{} left below {}: `stead snapshot rm` and `stead destroy` give some back",
        left.about(),
        data.display()
    ))
}

/// What systemd says of it; without systemd nobody here knows.
fn clock() -> Result<(), String> {
    let mut asked = Command::new("timedatectl");
    asked.args(["show", "-p", "NTPSynchronized", "--value"]).stdin(Stdio::null());
    match asked.output() {
        Ok(output) if output.status.success() && output.stdout.starts_with(b"yes") => Ok(()),
        Ok(output) if output.status.success() => {
            Err("nobody sets it: `sudo timedatectl set-ntp true`".into())
        }
        _ => Err("it cannot be told: timedatectl does not answer".into()),
    }
}
