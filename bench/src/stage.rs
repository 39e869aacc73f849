//! A private place for one metric: home, XDG folders, programs and pipes below one temporary folder.
//!
//! Everything that runs in it carries the folder's path in its arguments or its environment, which
//! is how the end is checked.

use crate::client::ready;
use crate::error::{Context, Error, Result};
use crate::payload;
use crate::sys;
use rustix::fs::{FileType, Mode, OFlags};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Stays for ever. `$1` is `repaint` for programs that keep no screen: then the session's own
/// program paints again when it is told that the window changed, as editors do.
const REST: &str = r#"rest() {
  if [ "$1" = repaint ]; then
    trap 'cat "$SCREEN"' WINCH
    "$BIN/sleep" 1000000 & while :; do wait $!; done
  fi
  exec "$BIN/sleep" 1000000
}
"#;

/// The programs that run inside sessions: name and shell text.
const PROGRAMS: [(&str, &str); 4] = [
    // (nothing)
    ("idle", "exec \"$BIN/sleep\" 1000000\n"),
    // REST GATE
    ("paint", "stty raw -echo; read x <\"$2\"; cat \"$SCREEN\"; rest \"$1\"\n"),
    // DONE
    ("echo", "stty raw -echo; echo ready >\"$1\"; exec \"$BIN/cat\"\n"),
    // REST GATE DONE TIMES FILE END; END is `marker` or `screen`
    (
        "print",
        r#"stty -echo; read x <"$2"
i=0; while [ $i -lt "$4" ]; do cat "$5"; i=$((i+1)); done
if [ "$6" = screen ]; then cat "$SCREEN"; else printf '\033[0m\033[H\033[2J\r\n%s\r\n' "$MARKER"; fi
echo done >"$3"
rest "$1"
"#,
    ),
];

/// A private place.
pub struct Stage {
    dir: tempfile::TempDir,
    serial: AtomicU32,
}

impl Stage {
    /// Makes one.
    ///
    /// # Errors
    /// If its files cannot be made.
    pub fn new() -> Result<Self> {
        // A short path: sockets below it may have 107 bytes.
        let dir = tempfile::Builder::new()
            .prefix("sb-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let stage = Stage { dir, serial: AtomicU32::new(0) };
        for name in ["home", "home/.config", "data", "cache", "state", "run", "tmp", "bin", "pipes"]
        {
            fs::DirBuilder::new().mode(0o700).create(stage.path(name))?;
        }
        for tool in ["sleep", "cat"] {
            let found = which(tool).ok_or_else(|| Error::new(format!("there is no {tool}")))?;
            symlink(found, stage.path("bin").join(tool))?;
        }
        fs::write(stage.path("screen"), payload::screen())?;
        for (name, text) in PROGRAMS {
            let path = stage.path("bin").join(name);
            let preamble = format!(
                "#!/bin/sh\nBIN={} SCREEN={} MARKER={}\n{REST}",
                stage.path("bin").display(),
                stage.path("screen").display(),
                payload::MARKER,
            );
            fs::write(&path, preamble + text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(stage)
    }

    /// The folder that all of it lies in.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path of one of the programs for sessions, as an argument.
    pub fn program(&self, name: &str) -> String {
        self.path("bin").join(name).display().to_string()
    }

    /// A command that sees only this place.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        sys::with_all_signals(&mut command);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("TMUX_TMPDIR", self.path("run"))
            .env("TMPDIR", self.path("tmp"))
            .env("SHELL", "/bin/sh")
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .current_dir(self.path("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// A name that was not given before.
    pub fn fresh(&self, stem: &str) -> String {
        format!("{stem}{}", self.serial.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A new pipe with a name.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn pipe(&self) -> Result<Pipe> {
        let path = self.path("pipes").join(self.fresh("p"));
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .context("cannot make a pipe")?;
        // Open for both, so that neither side ever waits for the other to open.
        let fd = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .context("cannot open a pipe")?;
        Ok(Pipe { path, fd })
    }
}

/// A named pipe between this program and one inside a session.
pub struct Pipe {
    path: PathBuf,
    fd: OwnedFd,
}

impl Pipe {
    /// Its path, as an argument.
    pub fn arg(&self) -> String {
        self.path.display().to_string()
    }

    /// Lets the one reader go on.
    ///
    /// # Errors
    /// If the pipe cannot be written.
    pub fn open_gate(&self) -> Result<()> {
        rustix::io::write(&self.fd, b"go\n").context("cannot write to a pipe")?;
        Ok(())
    }

    /// Waits until somebody writes a line to it.
    ///
    /// # Errors
    /// If nobody does by the deadline.
    pub fn wait(&self, deadline: Instant) -> Result<Instant> {
        if !ready(&self.fd, deadline)? {
            return Err(Error::new("the session's program did not end in time"));
        }
        let at = Instant::now();
        rustix::io::read(&self.fd, &mut [0; 64]).context("cannot read a pipe")?;
        Ok(at)
    }
}

/// Finds a program in `PATH`.
pub fn which(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| fs::metadata(path).is_ok_and(|m| m.is_file() && m.mode_executable()))
}

trait Executable {
    fn mode_executable(&self) -> bool;
}

impl Executable for fs::Metadata {
    fn mode_executable(&self) -> bool {
        self.permissions().mode() & 0o111 != 0
    }
}
