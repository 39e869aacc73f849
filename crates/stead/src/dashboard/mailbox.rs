//! Where threads leave messages, in a form that can be waited for together with keys.

use super::model::Event;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use tokio::signal::unix::{SignalKind, signal};

/// What threads say.
#[derive(Debug)]
pub enum Message {
    /// Something for the model.
    Event(Event),
    /// The selected session's screen has changed.
    Preview,
    /// The window has another size.
    Resized,
    /// The process is told to end.
    Ended,
}

/// Messages, and a file descriptor that is readable when there may be some.
pub struct Mailbox {
    messages: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    bell: UnixStream,
    rope: Arc<UnixStream>,
}

impl Mailbox {
    /// An empty one.
    ///
    /// # Errors
    /// If the process can open no more sockets.
    pub fn new() -> io::Result<Self> {
        let (sender, messages) = mpsc::channel();
        let (bell, rope) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rope.set_nonblocking(true)?;
        Ok(Mailbox { messages, sender, bell, rope: Arc::new(rope) })
    }

    /// A way for a thread to leave messages. `false`: nobody reads them any more.
    pub fn teller(&self) -> impl Fn(Message) -> bool + Clone + Send + 'static {
        let (sender, rope) = (self.sender.clone(), self.rope.clone());
        move |message| {
            let heard = sender.send(message).is_ok();
            // A full socket rings already.
            let _ = (&*rope).write(&[1]);
            heard
        }
    }

    /// The next message, if there is one.
    pub fn take(&self) -> Option<Message> {
        if let Ok(message) = self.messages.try_recv() {
            return Some(message);
        }
        // The bell is silenced before the last look: a message left after that rings again.
        while matches!((&self.bell).read(&mut [0; 256]), Ok(n) if n > 0) {}
        self.messages.try_recv().ok()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// Tells of changes of the window's size and of the order to end, as messages.
///
/// # Errors
/// If the process cannot wait for signals.
pub fn signals(tell: impl Fn(Message) -> bool + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut resized, mut ended) = {
        let _inside = runtime.enter();
        (signal(SignalKind::window_change())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let message = tokio::select! {
                    _ = resized.recv() => Message::Resized,
                    _ = ended.recv() => Message::Ended,
                };
                if !tell(message) {
                    return;
                }
            }
        });
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec};

    fn rings(mailbox: &Mailbox) -> bool {
        let mut fds = [PollFd::new(mailbox, PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
    }

    #[test]
    fn it_rings_until_it_is_empty() {
        let mailbox = Mailbox::new().unwrap();
        let tell = mailbox.teller();
        assert!(!rings(&mailbox));
        // More than the socket holds.
        for _ in 0..100_000 {
            assert!(tell(Message::Preview));
        }
        assert!(rings(&mailbox));
        let taken = std::iter::from_fn(|| mailbox.take()).count();
        assert_eq!(taken, 100_000);
        assert!(!rings(&mailbox));
        assert!(tell(Message::Resized) && rings(&mailbox));
        drop(mailbox);
        assert!(!tell(Message::Ended));
    }
}
