//! Mends what needs no apply.

use super::report::{Action, Mended, Report};
use rustix::fs::{Mode, OFlags, fchmod, open};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Does what the report's failures ask for. What has come of it.
pub fn mend(report: &Report) -> Vec<Mended> {
    let mut mended = Vec::new();
    for finding in &report.findings {
        for action in &finding.mends {
            let failed = perform(action).err();
            mended.push(Mended { id: finding.id.clone(), action: action.clone(), failed });
        }
    }
    mended
}

fn perform(action: &Action) -> Result<(), String> {
    match action {
        Action::Close { path, without } => close(path, *without),
        Action::Leave { user, group } => run("gpasswd", &["-d", user, group]),
        Action::Lock { user } if user == "root" => run("usermod", &["-p", "*", user]),
        // The hash goes too: what is empty but for a mark is empty again once the mark is removed.
        Action::Lock { user } => run("usermod", &["-p", "!", user]),
        Action::Start { unit } => run("systemctl", &["enable", "--now", "--", unit]),
    }
}

/// Takes permissions away. Whoever owns a folder on the way could put a link there: what is not a file, a folder or a
/// socket of the same owner as before is left alone, and nothing is ever added.
fn close(path: &Path, without: u32) -> Result<(), String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let before = path.symlink_metadata().map_err(|why| told(&why))?;
    if before.is_symlink() {
        return Err(told(&"it is a link"));
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let set = |now: u32| Mode::from_raw_mode((now & 0o7777) & !without);
    if before.is_file() || before.is_dir() {
        let file = open(path, flags | OFlags::RDONLY, Mode::empty())
            .map_err(|why| told(&std::io::Error::from(why)))?;
        let file = File::from(file);
        let now = file.metadata().map_err(|why| told(&why))?;
        if (now.ino(), now.dev(), now.uid()) != (before.ino(), before.dev(), before.uid()) {
            return Err(told(&"it was changed meanwhile"));
        }
        return fchmod(&file, set(now.mode())).map_err(|why| told(&std::io::Error::from(why)));
    }
    // A socket cannot be opened; it is changed by its path, which is root's.
    let file = open(path, flags | OFlags::PATH, Mode::empty())
        .map_err(|why| told(&std::io::Error::from(why)))?;
    let by = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    rustix::fs::chmod(by, set(before.mode())).map_err(|why| told(&std::io::Error::from(why)))
}

fn run(name: &str, arguments: &[&str]) -> Result<(), String> {
    let path = super::gather::find(name).ok_or_else(|| format!("there is no {name}"))?;
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    super::gather::run_within(&mut command, name, arguments).map(drop)
}

#[cfg(test)]
mod tests {
    use super::close;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn permissions_are_taken_and_never_given_and_links_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("open"), "").unwrap();
        fs::write(path("strict"), "").unwrap();
        let set =
            |name: &str, mode| fs::set_permissions(path(name), fs::Permissions::from_mode(mode));
        set("open", 0o664).unwrap();
        set("strict", 0o400).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        set("socket", 0o666).unwrap();
        symlink(path("open"), path("link")).unwrap();
        assert!(close(&path("link"), 0o077).unwrap_err().contains("a link"));
        assert_eq!(mode(&path("open")), 0o664);
        for name in ["open", "strict", "socket"] {
            close(&path(name), 0o077).unwrap();
        }
        let modes = ["open", "strict", "socket"].map(|name| mode(&path(name)));
        assert_eq!(modes, [0o600, 0o400, 0o600]);
        assert!(close(&path("none"), 0o077).is_err());
    }
}
