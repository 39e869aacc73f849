//! A terminal that a test sits at: a program in it, what it shows, and keys.

use super::PATIENCE;
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{self, Winsize};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;
use stead_hold::term::Terminal as Model;
use stead_wire::session::Size;

struct Shown {
    model: Model,
    /// Every byte that came.
    raw: Vec<u8>,
    /// The program has closed the terminal.
    ended: bool,
}

pub struct Terminal {
    child: Child,
    master: std::fs::File,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

impl Terminal {
    /// Starts a command with a terminal of its own.
    pub fn start(command: &Command, cols: u16, rows: u16) -> Self {
        let master =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        set_size(&master, cols, rows);

        // setsid(1) makes the terminal its program's own; doing so here would need unsafe code.
        let mut with_terminal = Command::new("setsid");
        with_terminal.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        for (key, value) in command.get_envs() {
            with_terminal.env(key, value.unwrap());
        }
        if let Some(dir) = command.get_current_dir() {
            with_terminal.current_dir(dir);
        }
        let child = with_terminal
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave))
            .spawn()
            .unwrap();
        drop(with_terminal);
        let master = std::fs::File::from(master);
        let shown = Arc::new((
            Mutex::new(Shown {
                model: Model::new(Size { cols, rows }.clamped()),
                raw: Vec::new(),
                ended: false,
            }),
            Condvar::new(),
        ));
        let mut reader = master.try_clone().unwrap();
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buf = vec![0; 65536];
            loop {
                let n = reader.read(&mut buf).unwrap_or(0);
                let (shown, changed) = &*seen;
                let mut shown = shown.lock().unwrap();
                if n == 0 {
                    shown.ended = true;
                } else {
                    shown.model.feed(&buf[..n]);
                    shown.raw.extend_from_slice(&buf[..n]);
                }
                changed.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        Terminal { child, master, shown }
    }

    /// Types bytes as they are.
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        (&self.master).write_all(bytes.as_ref()).unwrap();
    }

    /// Types a line.
    pub fn line(&self, text: &str) {
        self.send(format!("{text}\r"));
    }

    /// Leaves the session that is shown, and waits for the program's end.
    pub fn detach(mut self) -> i32 {
        self.send(b"\x1cd");
        self.end()
    }

    /// Waits until `look` is content with what is shown.
    pub fn wait_until(&self, what: &str, mut look: impl FnMut(&Model) -> bool) {
        let (shown, changed) = &*self.shown;
        let end = Instant::now() + PATIENCE;
        let mut now = shown.lock().unwrap();
        while !look(&now.model) {
            assert!(
                !now.ended,
                "the program ended without {what}; shown:\n{}",
                now.model.text().join("\n")
            );
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for {what}; shown:\n{}",
                now.model.text().join("\n")
            );
            now = changed.wait_timeout(now, left).unwrap().0;
        }
    }

    /// Waits until a text is shown.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("{text:?}"), |model| {
            model.text().iter().any(|line| line.contains(text))
        });
    }

    /// Waits until `look` is content with every byte that has come.
    pub fn wait_for_bytes(&self, what: &str, mut look: impl FnMut(&[u8]) -> bool) {
        let (shown, changed) = &*self.shown;
        let end = Instant::now() + PATIENCE;
        let mut now = shown.lock().unwrap();
        while !look(&now.raw) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!now.ended && !left.is_zero(), "no {what}: {}", now.model.text().join("\n"));
            now = changed.wait_timeout(now, left).unwrap().0;
        }
    }

    /// What is shown, line by line.
    pub fn text(&self) -> Vec<String> {
        self.shown.0.lock().unwrap().model.text()
    }

    /// Looks at what is shown.
    pub fn look<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        look(&self.shown.0.lock().unwrap().model)
    }

    /// Everything that was ever written to the terminal.
    pub fn raw(&self) -> Vec<u8> {
        self.shown.0.lock().unwrap().raw.clone()
    }

    /// Gives the terminal another size.
    pub fn resize(&self, cols: u16, rows: u16) {
        self.shown.0.lock().unwrap().model.resize(Size { cols, rows }.clamped());
        set_size(&self.master, cols, rows);
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for the program's end: its exit status, or minus the signal.
    pub fn end(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let (shown, changed) = &*self.shown;
        let end = Instant::now() + PATIENCE;
        let mut now = shown.lock().unwrap();
        while !now.ended {
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "the program did not end; shown:\n{}",
                now.model.text().join("\n")
            );
            now = changed.wait_timeout(now, left).unwrap().0;
        }
        drop(now);
        let status = self.child.wait().unwrap();
        status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
    }

    /// Kills the program at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.kill();
    }
}

fn set_size(master: impl std::os::fd::AsFd, cols: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    termios::tcsetwinsize(master, size).unwrap();
}
