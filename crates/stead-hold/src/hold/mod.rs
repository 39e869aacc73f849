//! A running hold: one thread, one poll loop.
//!
//! ```text
//! terminal ──> chunk ──> history, screen, judge ──> clients
//! clients  ──> typed ──> terminal
//! ```
//!
//! Output is taken in at once while it is little. A flood is gathered for a few milliseconds first: the
//! screen then skips what has scrolled away, history compresses larger pieces, and clients are shown
//! pictures at [`client::FRAME_MS`] instead of every byte.

mod answer;
mod client;
mod end;
mod listen;
mod output;
mod typed;
mod visit;

use crate::clock::{now_ms, steady_ms};
use crate::folder::Folder;
use crate::history;
use crate::launch;
use crate::pty::Pty;
use crate::status::{Judge, probe};
use crate::sys::Signals;
use crate::term::Terminal;
use client::{Client, FRAME_MS, MAX_TYPED, Role, View};
use end::Ending;
use listen::Listener;
use output::MAX_CHUNK;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::Path;
use stead_wire::message::ToClient;
use stead_wire::session::{AgentReport, Conversation, Exit, Run, Spec};
use typed::Typed;

/// Time between two attempts to put a lost socket back, in milliseconds.
const MEND_MS: u64 = 1000;

/// Time from the start until the session's files are made to survive a power cut, in milliseconds. Nobody waits
/// for the disk when a session starts.
const SYNC_MS: u64 = 500;

/// Why a hold did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// The session's folder cannot be read or written.
    #[error(transparent)]
    Folder(#[from] crate::folder::FolderError),
    /// The history cannot be opened.
    #[error("cannot open the history: {0}")]
    History(String),
    /// The command cannot be started.
    #[error("cannot start {command}: {source}")]
    Command {
        /// The program.
        command: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The command is there; the kernel misses what it needs to run.
    #[error("the interpreter that {0} names (after \"#!\", or as an ELF loader) does not exist")]
    Interpreter(String),
    /// The socket cannot be bound.
    #[error("cannot listen on {path}: {source}")]
    Socket {
        /// The socket's path.
        path: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// Another hold has this session.
    #[error("another hold has this session already")]
    Held,
    /// Something else that the kernel refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A session with its terminal, screen, history and clients.
pub struct Hold {
    /// Held for as long as this hold lives: no two may write one history.
    _lock: File,
    folder: Folder,
    spec: Spec,
    run: Run,
    pty: Pty,
    /// Whether the terminal may still bring output.
    open: bool,
    term: Terminal,
    history: history::Writer,
    judge: Judge,
    /// When the judge wants to look at the screen and the processes; steady milliseconds.
    probe_at: Option<u64>,
    /// The conversation as it is on disk.
    conversation: Option<Conversation>,
    /// The report as it is on disk.
    report: Option<AgentReport>,
    listener: Listener,
    signals: Signals,
    clients: Vec<Client>,
    next_client: u32,
    /// The client whose size the terminal has.
    owner: Option<u32>,
    typed: Typed,
    /// Output that has been read and not taken in.
    chunk: Vec<u8>,
    window: u64,
    window_bytes: usize,
    /// When the chunk is taken in at the latest; steady milliseconds.
    take_in_at: Option<u64>,
    /// The last output, for clients that come back.
    recent: Vec<u8>,
    /// When the session last printed; milliseconds since the epoch.
    active: u64,
    ending: Ending,
    mend_at: Option<u64>,
    /// When a hold that may go does not wait for clients any longer; steady milliseconds.
    leave_at: Option<u64>,
    /// When a person last sent a signal that ends programs; steady milliseconds.
    signalled: Option<u64>,
    /// When the session's files are made to survive a power cut; steady milliseconds.
    sync_at: Option<u64>,
    /// Until when clients wait at the door because no descriptor is left; steady milliseconds.
    accept_at: Option<u64>,
    /// When the end is written down again after the disk refused; steady milliseconds.
    write_end_at: Option<u64>,
    told_problem: Option<String>,
}

/// Ends the command unless its start was finished.
struct Unfinished<'a>(Option<&'a Pty>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(pty) = self.0 {
            pty.signal_all(libc::SIGKILL);
        }
    }
}

impl Hold {
    /// Starts the session that the folder describes, and listens.
    ///
    /// # Errors
    /// If the command cannot be started or the socket cannot be bound; nothing is left running then.
    pub fn start(folder: Folder, socket: &Path) -> Result<Self, HoldError> {
        let lock = folder.lock()?.ok_or(HoldError::Held)?;
        let spec = folder.spec()?;
        let life = folder.run()?.map_or(1, |run| run.life + 1);
        let size = spec.size.clamped();
        let mut history = history::Writer::open(&folder.history())
            .map_err(|e| HoldError::History(e.to_string()))?;
        let mut listener = Listener::bind(socket)
            .map_err(|source| HoldError::Socket { path: socket.display().to_string(), source })?;
        let signals = Signals::take(&[
            libc::SIGTERM,
            libc::SIGHUP,
            libc::SIGINT,
            libc::SIGPIPE,
            libc::SIGUSR1,
        ])?;
        let pty = Pty::spawn(&Spec { size, ..spec.clone() }).map_err(|source| {
            let command = spec.command[0].clone();
            let there = command.contains('/') && spec.cwd.join(&command).exists();
            if there && source.kind() == io::ErrorKind::NotFound {
                return HoldError::Interpreter(command);
            }
            HoldError::Command { command, source }
        })?;
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let now = now_ms();
        let run = Run {
            hold: pid,
            hold_start: launch::start_time(pid).unwrap_or_default(),
            boot: launch::boot_id()?,
            pid: pty.pid(),
            started: now,
            life,
        };
        // Nothing is left running if the rest fails.
        let mut guard = Unfinished(Some(&pty));
        folder.write_run(&run)?;
        folder.clear_exit()?;
        // Whoever sees the socket finds everything else in place.
        listener
            .publish()
            .map_err(|source| HoldError::Socket { path: socket.display().to_string(), source })?;
        guard.0 = None;
        drop(guard);
        history.event(now, &history::Event::Started { life, size });
        let conversation = folder.conversation()?;
        let agent = spec.agent.clone().map(|mut agent| {
            agent.conversation = agent.conversation.or(conversation.as_ref().map(|c| c.id.clone()));
            agent
        });
        let mut hold = Hold {
            _lock: lock,
            term: Terminal::new(size),
            open: true,
            history,
            judge: Judge::new(agent.as_ref(), now),
            probe_at: None,
            conversation,
            report: None,
            listener,
            signals,
            clients: Vec::new(),
            next_client: 1,
            owner: None,
            typed: Typed::default(),
            chunk: Vec::new(),
            window: 0,
            window_bytes: 0,
            take_in_at: None,
            recent: Vec::new(),
            active: now,
            ending: Ending::Not,
            mend_at: None,
            accept_at: None,
            write_end_at: None,
            leave_at: None,
            signalled: None,
            sync_at: Some(steady_ms() + SYNC_MS),
            told_problem: None,
            folder,
            spec,
            run,
            pty,
        };
        // A conversation that was chosen beforehand is known from the start.
        hold.publish_status();
        Ok(hold)
    }

    /// This life of the session.
    pub fn run_record(&self) -> &Run {
        &self.run
    }

    /// Serves until the session has ended and nobody needs the hold any more.
    ///
    /// # Errors
    /// If the kernel refuses to wait for events.
    pub fn serve(mut self) -> io::Result<()> {
        loop {
            self.timers();
            for client in &mut self.clients {
                client.flush();
            }
            self.drop_clients();
            if self.done() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// Waits for the next event and handles what has come.
    fn wait(&mut self) -> io::Result<()> {
        let mut fds = Vec::with_capacity(6 + self.clients.len());
        fds.push(PollFd::new(&self.signals, PollFlags::IN));
        let child = self.ending.awaits_child().then(|| {
            fds.push(PollFd::from_borrowed_fd(self.pty.child(), PollFlags::IN));
            fds.len() - 1
        });
        let master = self.open.then(|| {
            let mut flags = PollFlags::empty();
            if self.chunk.len() < MAX_CHUNK {
                flags |= PollFlags::IN;
            }
            if self.typed.waiting() {
                flags |= PollFlags::OUT;
            }
            fds.push(PollFd::from_borrowed_fd(self.pty.master(), flags));
            fds.len() - 1
        });
        let open = self.listener.socket().filter(|_| self.accept_at.is_none());
        let socket = open.map(|fd| {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            fds.len() - 1
        });
        let first_client = fds.len();
        for client in &self.clients {
            let mut flags = PollFlags::empty();
            if !client.closing() && client.typed < MAX_TYPED {
                flags |= PollFlags::IN;
            }
            if client.backlog() > 0 {
                flags |= PollFlags::OUT;
            }
            fds.push(PollFd::new(client, flags));
        }
        let timeout = self.next_timer().map(|at| {
            let ms = at.saturating_sub(steady_ms());
            rustix::event::Timespec {
                tv_sec: (ms / 1000) as i64,
                tv_nsec: ((ms % 1000) * 1_000_000) as i64,
            }
        });
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let came: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        let any = |at: Option<usize>| at.is_some_and(|at| !came[at].is_empty());

        if !came[0].is_empty() {
            self.on_signals();
        }
        if let Some(at) = master {
            if came[at].intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.read_output();
            }
            if came[at].contains(PollFlags::OUT) {
                self.write_typed();
            }
        }
        if any(child) {
            self.on_child();
        }
        for (at, came) in came[first_client..].iter().enumerate() {
            if came.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.read_client(at);
            }
        }
        if any(socket) {
            self.let_in();
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<u64> {
        let behind = self
            .clients
            .iter()
            .filter_map(|client| match &client.role {
                Role::Attached(a) if a.view == View::Behind && client.backlog() == 0 => {
                    Some(a.frame + FRAME_MS)
                }
                _ => None,
            })
            .min();
        [
            self.take_in_at,
            self.history.due(),
            self.probe_at,
            self.ending.timer(),
            self.mend_at,
            self.accept_at,
            self.write_end_at.or(self.leave_at),
            self.sync_at,
            behind,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn timers(&mut self) {
        let now = steady_ms();
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now);
        if due(self.take_in_at) {
            self.take_in();
        }
        if due(self.history.due()) {
            self.history.flush();
            self.tell_problem();
        }
        let wall = now_ms();
        self.probe_at = self.judge.wants_probe(wall).map(|at| now + at.saturating_sub(wall));
        if due(self.probe_at) {
            self.probe();
        }
        if due(self.ending.timer()) {
            self.end_timer();
        }
        if due(self.sync_at) {
            self.sync_at = None;
            self.folder.sync();
        }
        if due(self.write_end_at) {
            self.write_end_again();
        }
        if due(self.accept_at) {
            self.accept_at = None;
        }
        if due(self.mend_at) {
            self.mend_socket();
        }
        self.repaint_behind(now);
    }

    fn mend_socket(&mut self) {
        self.mend_at = (!self.listener.mend()).then(|| steady_ms() + MEND_MS);
    }

    pub(super) fn probe(&mut self) {
        self.take_in();
        let (canonical, echo) = self.pty.line_mode();
        let result = probe::look(probe::Target {
            first: self.pty.pid(),
            foreground: self.pty.foreground(),
            tty: self.pty.device,
            modes: probe::TtyModes { canonical, echo },
        });
        let now = now_ms();
        self.judge.probe(result, now);
        let text = self.term.text();
        self.judge.screen(&text, now);
        self.publish_status();
    }

    /// Tells watchers and attached clients of a change of status, and writes down what was learned.
    pub(super) fn publish_status(&mut self) {
        while let Some((_, status)) = self.judge.take_change() {
            for client in &mut self.clients {
                if matches!(client.role, Role::Watch | Role::Attached(_)) {
                    client.send(&ToClient::Status(status.clone()));
                }
            }
        }
        let conversation = self.judge.conversation();
        let known = self.conversation.as_ref().map(|c| &c.id);
        if conversation.is_some() && conversation.as_ref().map(|c| &c.id) != known {
            if let Some(conversation) = &conversation {
                let _ = self.folder.write_conversation(conversation);
            }
            self.conversation = conversation;
        }
        let report = self.judge.report();
        if report.is_some() && report != self.report {
            if let Some(report) = &report {
                let _ = self.folder.write_report(report);
            }
            self.report = report;
        }
    }

    /// Tells attached clients once that history cannot be written, and once that it can again.
    pub(super) fn tell_problem(&mut self) {
        let problem = self.history.problem();
        if problem == self.told_problem {
            return;
        }
        let body = problem.clone().unwrap_or_else(|| "the history is written again".into());
        self.note(&stead_wire::message::Note { title: format!("stead: {}", self.spec.name), body });
        self.told_problem = problem;
    }

    pub(super) fn note(&mut self, note: &stead_wire::message::Note) {
        for client in &mut self.clients {
            if client.is_attached() {
                client.send(&ToClient::Note(note.clone()));
            }
        }
    }

    pub(super) fn exit(&self) -> Option<&Exit> {
        match &self.ending {
            Ending::Over(exit) | Ending::Read(exit) => Some(exit),
            _ => None,
        }
    }
}
