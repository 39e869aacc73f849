//! A machine's life, from the start of QEMU to its end.

use super::console::{self, thread};
use super::disks::{self, Disks};
use super::notes::Notes;
use super::talk::{Asked, Starter, listen};
use super::{agent, pressure, screen, shares, sys};
use crate::args::{Inherited, arguments};
use crate::client::Held;
use crate::control::{Answer, Request, Told};
use crate::files;
use crate::qmp::{Event, Qmp, QmpError};
use crate::spec::{Accel, Boot, Ended, Vm};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a guest may take to shut down. The sandbox that this runs in has a little more patience.
pub const GRACE: Duration = Duration::from_secs(30);
/// How often it is tried whether a disk that was full has room.
const AGAIN: Duration = Duration::from_secs(5);
/// How long after this host was last short of memory a guest gets back what it gave.
const RELAX: Duration = Duration::from_mins(1);
/// How long QEMU may take to end once it was told to.
const QUIT: Duration = Duration::from_secs(3);

/// What a person is told while a guest stands still.
const NO_ROOM: &str =
    "the disk of this host is full, so it stands still: make room, and it goes on by itself";

/// Whether there is room on the disk of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// As far as anybody knows.
    Enough,
    /// None: the guest stands still.
    None,
    /// The guest goes on, to see whether there is.
    Tried,
}

/// What is known of the agent inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// It goes on from kept memory, or has an init of its own: it does not know who it is now.
    Stranger,
    /// It is told who it is when it boots.
    Expected,
    /// It was there.
    Met,
}

/// What this waits for.
enum Happened {
    /// It is to end the machine.
    Signal,
    /// QEMU has ended.
    Ended(ExitStatus),
    /// QEMU says something, or closes its monitor.
    Qmp(Option<Event>),
    /// The guest's kernel panicked.
    Panicked(String),
    /// The agent inside is there.
    Agent,
    /// A program that serves a share has ended.
    Unserved,
    /// This host is short of memory.
    Short,
    /// Somebody asks.
    Asked(Asked),
}

/// Keeps the machine that this file describes until it ends.
pub fn run(spec: &Path) -> ExitCode {
    let vm: Vm = match std::fs::read(spec)
        .map_err(io::Error::other)
        .and_then(|text| Ok(serde_json::from_slice(&text)?))
    {
        Ok(vm) => vm,
        Err(e) => {
            eprintln!("stead-vm: {}: {e}", spec.display());
            return ExitCode::FAILURE;
        }
    };
    let mut starter = Starter::at(&vm.folder.join(files::READY));
    for of_another_life in [&vm.ended, &vm.folder.join(files::MET)] {
        let _ = std::fs::remove_file(of_another_life);
    }
    let ended = match Keeper::start(&vm, &mut starter) {
        Ok(mut keeper) => keeper.live(&mut starter),
        Err(e) => Ended { orderly: false, why: e.to_string(), at: 0 },
    };
    let at =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let ended = Ended { at, ..ended };
    let orderly = ended.orderly;
    starter.done(&Told::Failed(ended.why.clone()));
    if let Ok(text) = serde_json::to_vec(&ended) {
        let _ = std::fs::write(&vm.ended, text);
    }
    eprintln!("stead-vm: {}", ended.why);
    if orderly { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Keeper<'a> {
    vm: &'a Vm,
    qmp: Qmp,
    disks: Disks,
    happened: Receiver<Happened>,
    /// What happened while something else was waited for.
    before: VecDeque<Happened>,
    /// Programs that serve shares; they end with QEMU.
    shares: Vec<shares::Serving>,
    /// What a person should know.
    notes: Notes,
    /// Since when the guest is to shut down.
    ending: Option<Instant>,
    /// Why it was ended in the midst of it all.
    panicked: Option<String>,
    /// When this host was last short of memory, and the guest gave back some.
    squeezed: Option<Instant>,
    /// Whether the guest stands still for want of room on a disk of the host.
    room: Room,
    /// Whether the guest shut itself down; `None` until QEMU begins to end.
    orderly: Option<bool>,
    /// QEMU's process.
    qemu: OwnedFd,
    /// Whether everything was on disk at the last snapshot.
    quiesced: bool,
    /// What is known of the agent inside.
    inside: Inside,
}

impl<'a> Keeper<'a> {
    fn start(vm: &'a Vm, starter: &mut Starter) -> io::Result<Self> {
        let (give, happened) = channel();
        let signals = sys::signals(&[libc::SIGTERM, libc::SIGINT])?;
        on(&give, "signals", move |give| {
            while sys::next_signal(signals.as_fd()).is_ok() {
                let _ = give.send(Happened::Signal);
            }
        })?;
        let agent_door = door(vm, files::AGENT)?;
        let console_door = door(vm, files::CONSOLE)?;
        let asked = give.clone();
        listen(door(vm, files::CONTROL)?, move |question| {
            let _ = asked.send(Happened::Asked(question));
        })?;

        starter.tell(&Told::Step("start QEMU".into()));
        let unserved = give.clone();
        let mut serving = shares::serve(vm, &move || {
            let _ = unserved.send(Happened::Unserved);
        })?;
        let (monitor, its_monitor) = UnixStream::pair()?;
        let (line, its_line) = UnixStream::pair()?;
        let (console, its_console) = UnixStream::pair()?;
        let tap = descriptor("STEAD_TAP_FD").map(sys::take).transpose()?;
        let kvm = descriptor("STEAD_DEVICE_FDS").filter(|_| vm.accel == Accel::Kvm);
        let kvm = kvm.map(sys::take).transpose()?;
        let inherited = Inherited {
            qmp: its_monitor.as_raw_fd(),
            line: its_line.as_raw_fd(),
            console: its_console.as_raw_fd(),
            tap: tap.as_ref().map(AsRawFd::as_raw_fd),
            kvm: kvm.as_ref().map(AsRawFd::as_raw_fd),
        };
        let mut fds = vec![inherited.qmp, inherited.line, inherited.console];
        fds.extend(inherited.tap.iter().chain(&inherited.kvm));
        let mut command = Command::new(&vm.qemu);
        command
            .args(arguments(vm, inherited))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(vm.folder.join(files::QEMU_LOG))?);
        sys::inherit(&mut command, &fds);
        let mut child = command
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("start {}: {e}", vm.qemu.display())))?;
        drop((its_monitor, its_line, its_console, tap, kvm));
        // Nobody has waited for it yet, so this is it.
        let pid = Pid::from_child(&child);
        let qemu = pidfd_open(pid, PidfdFlags::empty())?;
        on(&give, "qemu", move |give| {
            if let Ok(status) = child.wait() {
                let _ = give.send(Happened::Ended(status));
            }
        })?;

        let panics = give.clone();
        console::carry(console, console_door, &vm.console_log, move |why| {
            let _ = panics.send(Happened::Panicked(why));
        })?;
        if vm.screen.is_some() {
            screen::serve(door(vm, files::SCREEN)?, &vm.folder)?;
        }
        if vm.balloon.is_some() {
            let short = give.clone();
            pressure::listen(move || {
                let _ = short.send(Happened::Short);
            })?;
        }
        let there = give.clone();
        agent::carry(line, agent_door, vm.config.clone(), vm.resume.is_none(), move || {
            let _ = there.send(Happened::Agent);
        })?;
        let events = give;
        let qmp = Qmp::greet(monitor, move |event| {
            let _ = events.send(Happened::Qmp(event));
        });
        let mut keeper = match qmp {
            Ok(qmp) => Keeper {
                vm,
                qmp,
                disks: Disks::of(vm),
                happened,
                before: VecDeque::new(),
                shares: serving,
                notes: Notes::none(&vm.folder),
                ending: None,
                panicked: None,
                squeezed: None,
                room: Room::Enough,
                orderly: None,
                qemu,
                quiesced: false,
                inside: if vm.resume.is_some() || vm.boot == Boot::Firmware {
                    Inside::Stranger
                } else {
                    Inside::Expected
                },
            },
            Err(e) => {
                let why = shares::ended(&mut serving).or_else(|| said(vm));
                return Err(io::Error::other(why.unwrap_or_else(|| e.to_string())));
            }
        };
        if let Some(file) = &vm.resume {
            starter.tell(&Told::Step("read its memory".into()));
            let read = disks::load(&mut keeper.qmp, file).and_then(|()| keeper.migrated());
            let read = read.and_then(|()| keeper.qmp.ask("cont", &Value::Null).map(drop));
            read.map_err(|e| {
                let why = shares::said(&keeper.shares).unwrap_or_else(|| e.to_string());
                io::Error::other(format!("its memory {}: {why}", file.display()))
            })?;
        } else {
            starter.tell(&Told::Step("boot".into()));
        }
        Ok(keeper)
    }

    fn live(&mut self, starter: &mut Starter) -> Ended {
        if self.vm.config.is_none() || self.vm.doubtful {
            starter.done(&Told::Ready);
        }
        loop {
            let Some(happened) = self.next() else {
                self.on_time();
                continue;
            };
            match happened {
                Happened::Signal => self.end(),
                Happened::Ended(status) => return self.ended(status),
                Happened::Qmp(Some(event)) => self.event(&event),
                // Its end follows.
                Happened::Qmp(None) => {}
                Happened::Agent => self.agent(starter),
                Happened::Panicked(why) => self.panic(&why),
                Happened::Unserved => self.unserved(),
                Happened::Short => self.squeeze(),
                Happened::Asked(asked) => {
                    let answer = self.answer(&asked.request, &asked.files);
                    let _ = asked.answer.send(answer);
                }
            }
        }
    }

    /// What happens next; `None` if it is time for something.
    fn next(&mut self) -> Option<Happened> {
        if let Some(before) = self.before.pop_front() {
            return Some(before);
        }
        let end = self.ending.map(|since| GRACE.saturating_sub(since.elapsed()).max(QUIT));
        let again = (self.room != Room::Enough).then_some(AGAIN);
        let relaxed = self.squeezed.map(|since| RELAX.saturating_sub(since.elapsed()));
        match [end, again, relaxed].into_iter().flatten().min() {
            Some(left) => self.happened.recv_timeout(left).ok(),
            None => self.happened.recv().ok(),
        }
    }

    fn on_time(&mut self) {
        if self.squeezed.is_some_and(|since| since.elapsed() >= RELAX) {
            self.squeezed = None;
            let _ = self.balloon(self.vm.memory);
        }
        if self.ending.is_some_and(|since| since.elapsed() >= GRACE) {
            // It was asked and does not end.
            if let Err(QmpError::Silent(_)) = self.qmp.ask_within("quit", QUIT) {
                self.panicked = Some("QEMU hung, and was killed".into());
                let _ = pidfd_send_signal(&self.qemu, Signal::KILL);
            }
        } else if self.room == Room::None {
            self.room = Room::Tried;
            // If there is still no room, the guest stands still again, and an event says so.
            let _ = self.qmp.ask("cont", &Value::Null);
        } else {
            self.room = Room::Enough;
            self.notes.take_back(NO_ROOM);
        }
    }

    /// Asks the guest to shut down.
    fn end(&mut self) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(Instant::now());
        // One that hangs must not keep this from what it does then.
        let _ = self.qmp.ask_within("cont", QUIT);
        let by_agent = self.met() && agent::down(&self.vm.folder).is_ok();
        if !by_agent {
            // As if somebody pressed the button on the machine.
            let _ = self.qmp.ask_within("system_powerdown", QUIT);
        }
    }

    /// Has the guest give back what memory it can spare, for as long as this host is short of it.
    fn squeeze(&mut self) {
        if let Some(least) = self.vm.balloon
            && self.squeezed.replace(Instant::now()).is_none()
        {
            let _ = self.balloon(least);
        }
    }

    fn balloon(&mut self, bytes: u64) -> Result<(), QmpError> {
        self.qmp.ask("balloon", &json!({ "value": bytes })).map(drop)
    }

    fn event(&mut self, event: &Event) {
        match event.event.as_str() {
            "SHUTDOWN" => self.orderly = Some(event.data["reason"] == "guest-shutdown"),
            "BLOCK_IO_ERROR" if event.data["action"] == "stop" => {
                self.notes.add(NO_ROOM.into());
                self.room = Room::None;
            }
            _ => {}
        }
    }

    /// Says which shares are not served. At its end QEMU lets go of them all.
    fn unserved(&mut self) {
        if self.orderly.is_some() {
            return;
        }
        for note in shares::unserved(&mut self.shares) {
            self.notes.add(note);
        }
    }

    fn agent(&mut self, starter: &mut Starter) {
        if let (Some(config), true) = (&self.vm.config, self.inside == Inside::Stranger) {
            self.inside = Inside::Expected;
            if let Err(e) = agent::become_again(&self.vm.folder, config) {
                // With another's name and an old clock it is not what was asked for.
                self.panicked = Some(format!("it did not take its identity: {e}"));
                let _ = self.qmp.ask("quit", &Value::Null);
                return;
            }
        }
        self.inside = Inside::Met;
        let _ = File::create(self.vm.folder.join(files::MET));
        starter.done(&Told::Ready);
    }

    /// Whether the agent inside was ever there: nobody else is waited for.
    fn met(&self) -> bool {
        self.inside == Inside::Met
    }

    fn panic(&mut self, why: &str) {
        // Anybody inside can write such a line to the console; a kernel that panicked answers nothing.
        if self.met() && agent::answers(&self.vm.folder) {
            return;
        }
        self.panicked = Some(format!("its kernel panicked: {why}"));
        let _ = self.qmp.ask("quit", &Value::Null);
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        let orderly = self.orderly == Some(true);
        let why = if let Some(why) = &self.panicked {
            why.clone()
        } else if let Some(signal) = status.signal() {
            format!("QEMU was killed by signal {signal}")
        } else if !status.success() {
            let why = shares::ended(&mut self.shares).or_else(|| said(self.vm));
            why.unwrap_or_else(|| format!("QEMU ended with {status}"))
        } else if orderly {
            "the guest shut down".into()
        } else if self.ending.is_some() {
            format!("the guest did not shut down within {} s", GRACE.as_secs())
        } else {
            "QEMU was told to end".into()
        };
        Ended { orderly: orderly && self.panicked.is_none(), why, at: 0 }
    }

    fn answer(&mut self, request: &Request, files: &[OwnedFd]) -> Answer {
        let done = match request {
            Request::Status => Ok(()),
            Request::Snapshot { disks, memory }
                if files.len() == 2 * disks.len() + usize::from(*memory) =>
            {
                let each = files.chunks_exact(2).map(|file| [file[0].as_fd(), file[1].as_fd()]);
                let overlays: Vec<_> = disks.iter().map(String::as_str).zip(each).collect();
                let memory = memory.then(|| files.last().map(AsFd::as_fd)).flatten();
                self.snapshot(&overlays, memory)
            }
            Request::Snapshot { .. } => {
                Err(disks::refused("a snapshot", "not two files for each disk"))
            }
            Request::Balloon(bytes) => self.balloon(*bytes),
        };
        let mut answer = Answer { quiesced: self.quiesced, ..Answer::default() };
        let status = done.and_then(|()| self.qmp.ask("query-status", &Value::Null));
        match status {
            Ok(status) => {
                status["status"].as_str().unwrap_or_default().clone_into(&mut answer.status);
            }
            Err(e) => answer.error = Some(e.to_string()),
        }
        self.notes.all().clone_into(&mut answer.notes);
        answer
    }

    fn snapshot(
        &mut self,
        overlays: &[(&str, [BorrowedFd<'_>; 2])],
        memory: Option<BorrowedFd<'_>>,
    ) -> Result<(), QmpError> {
        let Some(memory) = memory else {
            // Everything in it on disk, and nobody writing, at that instant. One that cannot is as after a power cut.
            let frozen = self.freeze();
            let done = self.disks.overlay(&mut self.qmp, overlays);
            self.quiesced = frozen.is_some_and(|frozen| frozen.release().is_ok());
            return done;
        };
        if let Some(why) = shares::unserved(&mut self.shares).into_iter().next() {
            return Err(disks::refused("to write its memory", &why));
        }
        let (set, name) = self.qmp.give(memory)?;
        // So that little is lost where it cannot go on from its memory some day. Frozen it must not be there.
        drop(self.freeze().map(Held::release));
        let stopped = self.qmp.ask("stop", &Value::Null);
        // The overlays first: what is written after the memory was kept must not be in what belongs to it.
        let overlaid = stopped.and_then(|_| self.disks.overlay(&mut self.qmp, overlays));
        let done = overlaid.and_then(|()| disks::save(&mut self.qmp, &name));
        let done = done.and_then(|()| self.migrated());
        let goes_on = disks::go_on(&mut self.qmp, done.is_ok());
        self.qmp.take_back(set);
        done.and(goes_on)
    }

    /// Has the guest's disks stand still, where that is possible. Not with a share that nobody serves: who copies from it to a
    /// disk cannot be waited for.
    fn freeze(&mut self) -> Option<Held> {
        let can = self.met() && shares::unserved(&mut self.shares).is_empty();
        can.then(|| agent::freeze(&self.vm.folder).ok()).flatten()
    }

    /// Waits until memory is written or read.
    fn migrated(&mut self) -> Result<(), QmpError> {
        loop {
            let happened = self.happened.recv().map_err(|_| QmpError::Gone)?;
            match &happened {
                Happened::Qmp(Some(event)) if event.event == "MIGRATION" => {
                    match event.data["status"].as_str() {
                        Some("completed") => return Ok(()),
                        Some("failed" | "cancelled") => {
                            let about = self.qmp.ask("query-migrate", &Value::Null)?;
                            let why =
                                about["error-desc"].as_str().unwrap_or("it failed").to_owned();
                            return Err(QmpError::Refused { command: "memory".into(), why });
                        }
                        _ => {}
                    }
                }
                Happened::Ended(_) | Happened::Qmp(None) => {
                    self.before.push_back(happened);
                    return Err(QmpError::Gone);
                }
                _ => self.before.push_back(happened),
            }
        }
    }
}

fn door(vm: &Vm, name: &str) -> io::Result<UnixListener> {
    let path = vm.folder.join(name);
    let _ = std::fs::remove_file(&path);
    UnixListener::bind(&path)
        .map_err(|e| io::Error::new(e.kind(), format!("listen on {}: {e}", path.display())))
}

/// A descriptor that whoever started this program names in a variable.
fn descriptor(variable: &str) -> Option<i32> {
    std::env::var(variable).ok()?.split(',').next()?.parse().ok()
}

/// What QEMU wrote, if it did: why it did not start.
fn said(vm: &Vm) -> Option<String> {
    let text = std::fs::read_to_string(vm.folder.join(files::QEMU_LOG)).ok()?;
    let last = text.lines().rfind(|line| !line.trim().is_empty())?;
    Some(last.split_once(": ").map_or(last, |(_, why)| why).to_owned())
}

fn on(
    give: &Sender<Happened>,
    name: &str,
    work: impl FnOnce(&Sender<Happened>) + Send + 'static,
) -> io::Result<()> {
    let give = give.clone();
    thread(name, move || work(&give))
}
