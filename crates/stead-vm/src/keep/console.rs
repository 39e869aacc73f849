//! The serial console: kept in a log, shown to whoever connects, and listened to for a panic.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of the log; as much again lies in the one before it.
const LOG: u64 = 1 << 20;
/// Bytes that somebody who connects is shown of what was.
const SHOWN: u64 = 64 << 10;
/// What a kernel says at its end.
const PANIC: &[u8] = b"Kernel panic - not syncing: ";
/// The longest line that is looked at.
const LINE: usize = 400;

/// Everybody who looks at the console.
type Lookers = Arc<Mutex<Vec<UnixStream>>>;

/// Carries the console until QEMU closes it. `panicked` is told what the kernel says when it panics.
///
/// # Errors
/// If the log cannot be made.
pub fn carry(
    guest: UnixStream,
    listener: UnixListener,
    log: &Path,
    panicked: impl Fn(String) + Send + 'static,
) -> io::Result<()> {
    let lookers: Lookers = Lookers::default();
    let mut log = Log::open(log)?;
    let typed = guest.try_clone()?;
    let (shown, path) = (lookers.clone(), log.path.clone());
    thread("console-door", move || {
        for looker in listener.incoming().flatten() {
            let _ = welcome(looker, &typed, &shown, &path);
        }
    })?;
    thread("console", move || {
        let mut guest = guest;
        let mut bytes = [0; 4096];
        let mut ear = Ear::default();
        while let Ok(count @ 1..) = guest.read(&mut bytes) {
            let said = &bytes[..count];
            log.write(said);
            // One that does not read is not waited for, and sees its end: it would take a gap for silence.
            lock(&lookers).retain_mut(|looker| {
                let takes = looker.write_all(said).is_ok();
                if !takes {
                    let _ = looker.shutdown(std::net::Shutdown::Both);
                }
                takes
            });
            if let Some(why) = ear.hear(said) {
                panicked(why);
            }
        }
        for looker in lock(&lookers).drain(..) {
            let _ = looker.shutdown(std::net::Shutdown::Both);
        }
    })
}

fn welcome(
    looker: UnixStream,
    typed: &UnixStream,
    lookers: &Lookers,
    log: &Path,
) -> io::Result<()> {
    let mut of_looker = looker.try_clone()?;
    let mut to_guest = typed.try_clone()?;
    {
        let mut lookers = lock(lookers);
        let mut file = File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(end.saturating_sub(SHOWN)))?;
        let mut before = Vec::new();
        file.read_to_end(&mut before)?;
        (&looker).write_all(&before)?;
        looker.set_nonblocking(true)?;
        lookers.push(looker);
    }
    thread("console-keys", move || {
        // The other half is not to block; this one shares its flags, so it waits by itself.
        let mut bytes = [0; 256];
        loop {
            match of_looker.read(&mut bytes) {
                Ok(count @ 1..) => {
                    if to_guest.write_all(&bytes[..count]).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let mut fds =
                        [rustix::event::PollFd::new(&of_looker, rustix::event::PollFlags::IN)];
                    let _ = rustix::event::poll(&mut fds, None);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    })
}

fn lock(lookers: &Lookers) -> std::sync::MutexGuard<'_, Vec<UnixStream>> {
    lookers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread with a small stack.
pub fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).stack_size(256 << 10).spawn(work).map(drop)
}

/// A file of bounded size: when it is full, it takes the place of the one before.
struct Log {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let size = file.metadata()?.len();
        Ok(Log { path: path.to_owned(), file, size })
    }

    /// That the disk is full is no reason to stop.
    fn write(&mut self, bytes: &[u8]) {
        if self.size > LOG {
            let before = self.path.with_extension("log.1");
            if std::fs::rename(&self.path, before).is_ok()
                && let Ok(next) = Log::open(&self.path)
            {
                *self = next;
            }
        }
        if self.file.write_all(bytes).is_ok() {
            self.size += bytes.len() as u64;
        }
    }
}

/// Listens for a panic.
#[derive(Default)]
struct Ear {
    line: Vec<u8>,
}

impl Ear {
    fn hear(&mut self, bytes: &[u8]) -> Option<String> {
        let mut heard = None;
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() < LINE {
                    self.line.push(*byte);
                }
                continue;
            }
            let found = self.line.windows(PANIC.len()).position(|part| part == PANIC);
            if let Some(at) = found {
                let why = String::from_utf8_lossy(&self.line[at + PANIC.len()..]);
                heard = Some(why.trim().replace(char::is_control, ""));
            }
            self.line.clear();
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_heard_in_pieces() {
        let mut ear = Ear::default();
        assert_eq!(ear.hear(b"[    0.4] Kernel panic - not "), None);
        let heard = ear.hear(b"syncing: Attempted to kill init! exitcode=0x100\r\nmore\n");
        assert_eq!(heard.as_deref(), Some("Attempted to kill init! exitcode=0x100"));
        assert_eq!(ear.hear(b"all is well\n"), None);
    }

    #[test]
    fn one_that_does_not_read_sees_its_end_and_another_sees_all() {
        let folder = tempfile::tempdir().unwrap();
        let door = folder.path().join("console.sock");
        let (keeper, mut guest) = UnixStream::pair().unwrap();
        let listener = UnixListener::bind(&door).unwrap();
        carry(keeper, listener, &folder.path().join("console.log"), |_| {}).unwrap();
        let mut slow = UnixStream::connect(&door).unwrap();
        let mut quick = UnixStream::connect(&door).unwrap();
        let mut seen = vec![0; 1];
        for looker in [&mut slow, &mut quick] {
            // It is one of those who look once what it types comes through.
            looker.write_all(b"k").unwrap();
            guest.read_exact(&mut seen).unwrap();
        }
        let (piece, pieces) = ([b'x'; 4096], 256);
        for _ in 0..pieces {
            guest.write_all(&piece).unwrap();
            let mut came = [0; 4096];
            quick.read_exact(&mut came).unwrap();
            assert!(came == piece);
        }
        let mut some = Vec::new();
        slow.set_read_timeout(Some(std::time::Duration::from_mins(1))).unwrap();
        slow.read_to_end(&mut some).unwrap();
        assert!(some.len() < piece.len() * pieces);
    }

    #[test]
    fn the_log_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.log");
        let mut log = Log::open(&path).unwrap();
        let block = vec![b'x'; 64 << 10];
        for _ in 0..100 {
            log.write(&block);
        }
        let sizes = ["console.log", "console.log.1"]
            .map(|name| folder.path().join(name).metadata().unwrap().len());
        assert!(sizes.iter().all(|size| *size <= LOG + block.len() as u64), "{sizes:?}");
    }
}
