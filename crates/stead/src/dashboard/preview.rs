//! The screen of the selected session, kept up to date by a thread that ends when the preview is dropped.

use super::model::Target;
use super::picture::Picture;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stead_hold::term::Terminal;
use stead_wire::frame::Decoder;
use stead_wire::handshake::SPOKEN;
use stead_wire::message::{Attach, Hello, Purpose, ToClient, ToHold};
use stead_wire::session::Size;

/// A session's screen as it changes.
pub struct Preview {
    target: Target,
    shared: Arc<Mutex<Shared>>,
}

/// What the thread and the frame share.
struct Shared {
    terminal: Option<Terminal>,
    note: Option<String>,
    /// The connection, to end it.
    socket: Option<UnixStream>,
    /// Whether the thread has said that there is something to draw, and nobody has drawn it yet.
    announced: bool,
    /// Whether nobody looks any more.
    dropped: bool,
    /// Whether the hold could not be reached at all.
    unreachable: bool,
}

impl Preview {
    /// Follows the session whose hold listens on `socket`. `wake` is called from another thread when there is
    /// something to draw, and not again before it is drawn.
    pub fn live(
        target: Target,
        socket: PathBuf,
        pane: Size,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let preview = Preview::with(target, None, None);
        let shared = preview.shared.clone();
        let followed = std::thread::Builder::new().name("preview".into()).spawn(move || {
            let why = follow(&shared, &socket, pane, &wake).err();
            let mut shared = lock(&shared);
            if let Some(why) = why {
                shared.note = Some(why);
            }
            shared.socket = None;
            announce(&mut shared, &wake);
        });
        if let Err(why) = followed {
            lock(&preview.shared).note = Some(format!("no preview: {why}"));
        }
        preview
    }

    /// Shows the last screen of an ended session.
    pub fn last(target: Target, screen: Option<&[u8]>) -> Self {
        let terminal = screen.map(|bytes| {
            let mut terminal = Terminal::new(target.size.clamped());
            feed(&mut terminal, bytes);
            terminal
        });
        let note = terminal.is_none().then(|| "its last screen was not kept".to_owned());
        Preview::with(target, terminal, note)
    }

    fn with(target: Target, terminal: Option<Terminal>, note: Option<String>) -> Self {
        let shared = Shared {
            terminal,
            note,
            socket: None,
            announced: false,
            dropped: false,
            unreachable: false,
        };
        Preview { target, shared: Arc::new(Mutex::new(shared)) }
    }

    /// Whether it shows this one. The size may change under it.
    pub fn shows(&self, target: &Target) -> bool {
        let ours = &self.target;
        (&ours.id, ours.life, ours.ended) == (&target.id, target.life, target.ended)
    }

    /// Whether the hold was not there, so that trying again makes sense when there is news of it.
    pub fn unreachable(&self) -> bool {
        lock(&self.shared).unreachable
    }

    /// What is to be drawn in a pane of this size.
    pub fn picture(&self, pane: Size) -> Picture {
        let mut shared = lock(&self.shared);
        shared.announced = false;
        let mut picture = match &shared.terminal {
            Some(terminal) => Picture::of(terminal, pane),
            None => Picture::default(),
        };
        picture.note.clone_from(&shared.note);
        picture
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.dropped = true;
        if let Some(socket) = shared.socket.take() {
            // The thread's read ends with this; it has nothing else to wait for.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn announce(shared: &mut Shared, wake: &impl Fn()) {
    if !shared.dropped && !std::mem::replace(&mut shared.announced, true) {
        wake();
    }
}

/// Attaches as one who only looks, and takes in what comes until the connection ends. The socket is ours, not
/// [`stead_hold::client`]'s, so that [`Preview`]'s drop can end it while the hold has yet to say its first
/// word: a hold that is stopped never does.
fn follow(shared: &Mutex<Shared>, path: &Path, pane: Size, wake: &impl Fn()) -> Result<(), String> {
    let broke = |e: io::Error| format!("the connection to the hold broke: {e}");
    let mut socket = UnixStream::connect(path).map_err(|e| {
        lock(shared).unreachable = true;
        format!("the hold cannot be reached: {e}")
    })?;
    stead_wire::peer::check(&socket).map_err(|e| e.to_string())?;
    {
        let mut shared = lock(shared);
        if shared.dropped {
            return Ok(());
        }
        shared.socket = Some(socket.try_clone().map_err(broke)?);
    }
    let mut hello = Vec::new();
    ToHold::Hello(Hello {
        speaks: SPOKEN,
        client: concat!("stead dashboard ", env!("CARGO_PKG_VERSION")).into(),
        purpose: Purpose::Attach(Attach { size: pane, read_only: true, ..Attach::default() }),
    })
    .put(&mut hello);
    socket.write_all(&hello).map_err(broke)?;

    let mut decoder = Decoder::new();
    let mut buf = vec![0; 64 * 1024];
    loop {
        let n = match socket.read(&mut buf) {
            Ok(0) => return Err("the hold has closed the connection".into()),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(broke(e)),
        };
        decoder.push(&buf[..n]);
        let mut shared = lock(shared);
        while let Some(frame) = decoder.next_frame().map_err(|e| e.to_string())? {
            let Some(message) = ToClient::read(frame).map_err(|e| e.to_string())? else { continue };
            if take(&mut shared, message)? {
                return Ok(());
            }
        }
        decoder.trim();
        announce(&mut shared, wake);
    }
}

/// Takes in a message. `true`: it was the last.
fn take(shared: &mut Shared, message: ToClient) -> Result<bool, String> {
    match message {
        ToClient::Welcome(welcome) => shared.terminal = Some(Terminal::new(welcome.size.clamped())),
        ToClient::Output { bytes, .. } | ToClient::Repaint { bytes, .. } => {
            if let Some(terminal) = &mut shared.terminal {
                feed(terminal, &bytes);
            }
        }
        ToClient::Size(note) => {
            if let Some(terminal) = &mut shared.terminal {
                terminal.resize(note.size.clamped());
            }
        }
        ToClient::Exited(_) => return Ok(true),
        ToClient::Bye(bye) => return Err(bye.text),
        _ => {}
    }
    Ok(false)
}

/// Feeds output. The hold has answered whatever it asks.
fn feed(terminal: &mut Terminal, bytes: &[u8]) {
    terminal.feed(bytes);
    let _ = terminal.take_replies();
    let _ = terminal.take_signals();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;
    use std::time::Duration;
    use stead_wire::message::Welcome;

    const PANE: Size = Size { cols: 20, rows: 4 };

    /// How long a test waits for what never takes long, so that it fails instead of hanging.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Whether the thread has ended, and its `wake` with it.
    fn ended(wakes: &mpsc::Receiver<()>) -> bool {
        wakes.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Disconnected)
    }

    fn target() -> Target {
        Target { id: "x".into(), life: 1, ended: false, size: Size { cols: 30, rows: 5 } }
    }

    fn say(socket: &mut UnixStream, messages: &[ToClient]) {
        let mut bytes = Vec::new();
        for message in messages {
            message.put(&mut bytes);
        }
        socket.write_all(&bytes).unwrap();
    }

    fn text(picture: &Picture) -> Vec<String> {
        picture.lines.iter().map(|l| l.to_string().trim_end().to_owned()).collect()
    }

    #[test]
    fn it_looks_follows_and_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hold.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (woken, wakes) = mpsc::channel();
        let preview = Preview::live(target(), path, PANE, move || {
            let _ = woken.send(());
        });
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();

        let mut decoder = Decoder::new();
        let mut buf = [0; 4096];
        let hello = loop {
            let n = socket.read(&mut buf).unwrap();
            decoder.push(&buf[..n]);
            if let Some(frame) = decoder.next_frame().unwrap() {
                break ToHold::read(frame).unwrap().unwrap();
            }
        };
        let ToHold::Hello(Hello { purpose: Purpose::Attach(attach), .. }) = hello else {
            panic!("{hello:?}")
        };
        assert!(attach.read_only && !attach.take_size);
        assert_eq!(attach.size, PANE);

        let welcome = Welcome {
            version: 1,
            id: "x".into(),
            name: "x".into(),
            size: Size { cols: 30, rows: 5 },
            owner: false,
            output: 0,
        };
        let repaint = ToClient::Repaint { offset: 0, bytes: b"\x1b[31mone".to_vec() };
        say(&mut socket, &[ToClient::Welcome(welcome), repaint]);
        wakes.recv_timeout(PATIENCE).unwrap();
        assert_eq!(text(&preview.picture(PANE))[0], "one");

        say(&mut socket, &[ToClient::Output { offset: 3, bytes: b" two".to_vec() }]);
        wakes.recv_timeout(PATIENCE).unwrap();
        assert_eq!(text(&preview.picture(PANE))[0], "one two");

        drop(preview);
        assert_eq!(socket.read(&mut buf).unwrap(), 0);
        assert!(ended(&wakes));
    }

    #[test]
    fn a_hold_that_says_nothing_is_let_go_of_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hold.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (woken, wakes) = mpsc::channel::<()>();
        let preview = Preview::live(target(), path, PANE, move || {
            let _ = woken.send(());
        });
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // The greeting comes once the connection is known to the preview.
        assert!(socket.read(&mut [0; 4096]).unwrap() > 0);
        drop(preview);
        socket.read_to_end(&mut Vec::new()).unwrap();
        assert!(ended(&wakes));
    }

    #[test]
    fn what_went_wrong_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let (woken, wakes) = mpsc::channel();
        let preview = Preview::live(target(), dir.path().join("none.sock"), PANE, move || {
            let _ = woken.send(());
        });
        wakes.recv_timeout(PATIENCE).unwrap();
        assert!(preview.unreachable());
        let note = preview.picture(PANE).note.unwrap();
        assert!(note.starts_with("the hold cannot be reached: "), "{note}");
    }

    #[test]
    fn an_ended_session_shows_its_last_screen() {
        let mut ended = target();
        ended.ended = true;
        let preview = Preview::last(ended.clone(), Some(b"\x1b[2J\x1b[Hbye"));
        assert_eq!(text(&preview.picture(PANE))[0], "bye");
        assert!(preview.shows(&ended) && !preview.shows(&target()));
        let preview = Preview::last(ended, None);
        assert_eq!(preview.picture(PANE).note.as_deref(), Some("its last screen was not kept"));
    }
}
