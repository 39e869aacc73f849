//! The systemd unit that keeps a steward running, for one user or for the system.
//!
//! Holds stay in the unit's cgroup. They survive because systemd is told to end the steward's process alone
//! (`KillMode=process`), and not to take the unit down when the kernel kills one of them for want of memory
//! (`OOMPolicy=continue`).

use crate::error::one_line;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::Command;
use stead_hold::folder::replace;

/// The unit's name.
pub const NAME: &str = "stead.service";

/// Whose steward it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The calling user's.
    User,
    /// The system's: `/var/lib/stead`, `/run/stead`, `/etc/stead`.
    System,
}

/// Why the unit could not be installed or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// The unit file could not be written or removed.
    #[error("cannot change {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A path that a unit file cannot contain.
    #[error("a unit file cannot name {0:?}")]
    Path(PathBuf),
    /// `systemctl` failed.
    #[error("{command} failed: {why}")]
    Systemctl {
        /// What was run.
        command: String,
        /// What it said.
        why: String,
    },
    /// Neither the environment nor the user's home says where user units lie.
    #[error("neither XDG_CONFIG_HOME nor HOME is set: set one of them")]
    NoHome,
}

/// The unit file's text; `program` is the `stead` program, by absolute path.
///
/// # Errors
/// If the path cannot be written into a unit file.
pub fn render(scope: Scope, program: &Path) -> Result<String, UnitError> {
    let word = quote(program)?;
    let system = scope == Scope::System;
    let folders = if system {
        "Environment=XDG_DATA_HOME=/var/lib XDG_CONFIG_HOME=/etc XDG_RUNTIME_DIR=/run\n\
         StateDirectory=stead\nStateDirectoryMode=0700\n\
         RuntimeDirectory=stead\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=yes\n"
    } else {
        ""
    };
    let target = if system { "multi-user.target" } else { "default.target" };
    Ok(format!(
        "[Unit]\n\
         Description=Stead: sessions that outlive their connections\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStart={word} steward run\n\
         # Stopping or upgrading the steward ends no session.\n\
         KillMode=process\n\
         OOMPolicy=continue\n\
         # \"stead steward stop\" ends it with status 0, and it stays ended; after anything else it comes back.\n\
         Restart=always\n\
         RestartPreventExitStatus=0\n\
         RestartSec=1\n\
         # Sessions count towards these, too.\n\
         TasksMax=infinity\n\
         {folders}\
         \n\
         [Install]\n\
         WantedBy={target}\n"
    ))
}

/// A path as one word of `ExecStart=`.
fn quote(path: &Path) -> Result<String, UnitError> {
    let bad = || UnitError::Path(path.to_owned());
    let text = path.to_str().ok_or_else(bad)?;
    if !path.is_absolute() || text.chars().any(char::is_control) {
        return Err(bad());
    }
    let escaped =
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    Ok(if escaped.contains([' ', '"', '\'', '\\', ';']) {
        format!("\"{escaped}\"")
    } else {
        escaped
    })
}

/// Where the unit file lies.
///
/// # Errors
/// If the user's configuration folder is not known.
pub fn path(scope: Scope) -> Result<PathBuf, UnitError> {
    if scope == Scope::System {
        return Ok(Path::new("/etc/systemd/system").join(NAME));
    }
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let config = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .ok_or(UnitError::NoHome)?;
    Ok(config.join("systemd/user").join(NAME))
}

/// Writes the unit file, and has systemd start the steward now and at every boot (for a user: at every login;
/// with lingering, at boot). Returns what was done, one line each.
///
/// # Errors
/// If the file cannot be written or systemd cannot be told.
pub fn install(scope: Scope, program: &Path) -> Result<Vec<String>, UnitError> {
    let path = path(scope)?;
    let text = render(scope, program)?;
    let file = |why: String| UnitError::File { path: path.clone(), why };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| file(e.to_string()))?;
    }
    replace(&path, text.as_bytes()).map_err(|e| file(e.to_string()))?;
    let mut done = vec![format!("wrote {}", path.display())];
    done.push(systemctl(scope, &["daemon-reload"])?);
    done.push(systemctl(scope, &["enable", "--now", NAME])?);
    if scope == Scope::User {
        done.push("to have it from boot on, without a login: loginctl enable-linger".into());
    }
    Ok(done)
}

/// Stops the steward (no session ends), and removes the unit. Returns what was done, one line each.
///
/// # Errors
/// If the file cannot be removed or systemd cannot be told.
pub fn uninstall(scope: Scope) -> Result<Vec<String>, UnitError> {
    let path = path(scope)?;
    if !path.exists() {
        return Ok(vec![format!("{} is not there", path.display())]);
    }
    let mut done = vec![systemctl(scope, &["disable", "--now", NAME])?];
    std::fs::remove_file(&path)
        .map_err(|e| UnitError::File { path: path.clone(), why: e.to_string() })?;
    done.push(format!("removed {}", path.display()));
    done.push(systemctl(scope, &["daemon-reload"])?);
    Ok(done)
}

fn systemctl(scope: Scope, args: &[&str]) -> Result<String, UnitError> {
    let mut all: Vec<&str> = if scope == Scope::User { vec!["--user"] } else { vec![] };
    all.extend(args);
    let command = format!("systemctl {}", all.join(" "));
    let failed = |why: String| UnitError::Systemctl { command: command.clone(), why };
    let output =
        Command::new("systemctl").args(&all).output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        Ok(format!("ran {command}"))
    } else {
        Err(failed(one_line(&String::from_utf8_lossy(&output.stderr))))
    }
}

/// Tells systemd, if it started this process, that clients can connect now.
pub fn notify_ready() {
    if let Some(name) = std::env::var_os("NOTIFY_SOCKET") {
        // If nobody hears it, systemd's own timeout deals with that.
        let _ = notify(name.as_encoded_bytes(), b"READY=1\n");
    }
}

fn notify(name: &[u8], text: &[u8]) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let address = match name.strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(name)))?,
    };
    UnixDatagram::unbound()?.send_to_addr(text, &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_the_unit_leaves_the_holds() {
        for scope in [Scope::User, Scope::System] {
            let text = render(scope, Path::new("/usr/bin/stead")).unwrap();
            for line in [
                "KillMode=process",
                "OOMPolicy=continue",
                "ExecStart=/usr/bin/stead steward run",
                "Type=notify",
            ] {
                assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
            }
        }
    }

    #[test]
    fn odd_paths_are_quoted_or_refused() {
        let text = render(Scope::User, Path::new("/opt/my stead/100%/$x")).unwrap();
        assert!(text.contains("ExecStart=\"/opt/my stead/100%%/$$x\" steward run"), "{text}");
        assert!(render(Scope::User, Path::new("stead")).is_err());
        assert!(render(Scope::User, Path::new("/a\nExecStart=/evil")).is_err());
    }

    #[test]
    fn systemd_finds_no_fault_with_the_units() {
        let dir = tempfile::tempdir().unwrap();
        for (scope, flag) in [(Scope::User, "--user"), (Scope::System, "--system")] {
            let file = dir.path().join(NAME);
            std::fs::write(&file, render(scope, Path::new("/bin/true")).unwrap()).unwrap();
            let output = Command::new("systemd-analyze")
                .args([flag, "verify", "--man=no"])
                .arg(&file)
                .output();
            let output = match output {
                Ok(output) => output,
                Err(e) => {
                    eprintln!("not checked, systemd-analyze is not here: {e}");
                    return;
                }
            };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("stead.service"), "{flag}: {said}");
        }
    }

    #[test]
    fn systemd_hears_that_it_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        notify(path.as_os_str().as_encoded_bytes(), b"READY=1\n").unwrap();
        let mut buf = [0; 64];
        let n = socket.recv(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"READY=1\n");

        let name = format!("stead-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        notify(format!("@{name}").as_bytes(), b"x").unwrap();
        assert_eq!(socket.recv(&mut buf).unwrap(), 1);
    }
}
