//! `stead logs`, `replay`, `export`: what a session has printed, from its folder.

use super::print;
use crate::cli::{Export, ExportFormat, Logs, Replay};
use crate::failure::{Failure, Outcome};
use crate::present;
use crate::resolve::{self, Found, path_part};
use crate::steward::Steward;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify;
use serde_json::Value;
use std::io::{self, Write};
use std::time::Duration;
use stead_hold::attach;
use stead_hold::client;
use stead_hold::clock::now_ms;
use stead_hold::folder::WentBack;
use stead_hold::history::{Item, Reader, cast};
use stead_hold::launch;
use stead_hold::term::Plain;
use stead_wire::message::{Ask, Attach, Purpose, ToClient};
use stead_wire::session::Session;

/// How long a hold has to write what it has not written yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// The session with all its history on disk.
fn written(steward: &Steward, name: &str) -> Result<Found, Failure> {
    let found = resolve::session(steward, name)?;
    bring(steward, &found.session)?;
    Ok(found)
}

/// Sees to it that all of a session's history is on this host's disk. What cannot be brought from its machine is told.
pub fn bring(steward: &Steward, session: &Session) -> Result<(), Failure> {
    if session.exit.is_none() {
        let socket = steward.places().hold_socket(&session.id);
        let _ = client::ask::<Value>(&socket, Ask::Flush, PATIENCE);
    }
    if session.machine != "host" {
        let path = format!("/v1/sessions/{}/sync", path_part(&session.id));
        if let Some(why) = steward.post::<Option<String>>(&path, &())? {
            let why = present::clean(&why);
            eprintln!("[what is shown of {} may be old: {why}]", session.name);
        }
    }
    Ok(())
}

pub fn logs(args: &Logs) -> Outcome {
    let steward = Steward::of_user()?;
    let found = written(&steward, &args.name)?;
    let mut plain = (!args.raw).then(Plain::default);
    let (mut text, mut shown) = (Vec::new(), Vec::new());
    let mut no_c1 = present::NoC1::default();
    let mut show = |bytes: &[u8]| match &mut plain {
        None => print(bytes),
        Some(plain) => {
            text.clear();
            shown.clear();
            plain.strip(bytes, &mut text);
            no_c1.filter(&text, &mut shown);
            print(&shown)
        }
    };
    let since = args.since.map(|ago| now_ms().saturating_sub(ago.as_millis() as u64));
    // Watched before reading, so that nothing is written in between unseen.
    let mut watch = args.follow.then(|| Watch::new(&found)).transpose()?;
    let mut backs = found.folder.went_back()?.into_iter().peekable();
    let reader = Reader::open(&found.folder.history())?;
    let mut items = match since {
        Some(since) => reader.since(since),
        None => reader.from(0),
    };
    loop {
        let over = watch.as_ref().map_or(Ok(true), |watch| watch.over(&found))?;
        while let Some(item) = items.next_item()? {
            match item {
                Item::Chunk { offset, mut bytes, .. } => {
                    let mut at = offset;
                    while let Some(back) =
                        backs.next_if(|back| back.offset < at + bytes.len() as u64)
                    {
                        // What lies before what is shown is not told.
                        if let Some(before) = back.offset.checked_sub(at) {
                            let (first, rest) = bytes.split_at(before as usize);
                            show(first)?;
                            went_back(&found, &back);
                            (bytes, at) = (rest, back.offset);
                        }
                    }
                    show(bytes)?;
                }
                Item::Missing { from, to } => eprintln!("[{} bytes are missing here]", to - from),
                Item::Event { .. } => {}
            }
        }
        match &mut watch {
            Some(watch) if !over => watch.wait(&steward, &found)?,
            _ => {
                backs.for_each(|back| went_back(&found, &back));
                return Ok(0);
            }
        }
    }
}

/// Says that what follows was printed after the machine had been put back.
fn went_back(found: &Found, back: &WentBack) {
    let earlier = found.folder.earlier().join(back.at.to_string());
    let kept = if earlier.exists() {
        format!("are in {}", present::clean(&earlier.display().to_string()))
    } else {
        "are not kept any more".to_owned()
    };
    let bytes = back.to - back.offset;
    eprintln!(
        "[here its machine was put back to an earlier state; {bytes} bytes that it had printed since {kept}]"
    );
}

/// Waits for more history.
enum Watch {
    Near(Near),
    /// In a machine: the hold's own words, and then its history is brought.
    Far(Option<Box<client::Connection>>),
}

impl Watch {
    fn new(found: &Found) -> Result<Self, Failure> {
        if found.session.machine == "host" {
            return Near::new(found).map(Watch::Near);
        }
        let look = Attach { read_only: true, ..Attach::default() };
        let opened = client::Connection::open(&found.socket, Purpose::Attach(look));
        Ok(Watch::Far(opened.ok().map(|(connection, _)| Box::new(connection))))
    }

    /// Whether all there will ever be has been written.
    fn over(&self, found: &Found) -> Result<bool, Failure> {
        match self {
            Watch::Near(near) => near.over(found),
            // The end is told here before the last of the history is brought: only what the hold said counts.
            Watch::Far(connection) => Ok(connection.is_none()),
        }
    }

    fn wait(&mut self, steward: &Steward, found: &Found) -> Result<(), Failure> {
        let connection = match self {
            Watch::Near(near) => return near.wait(found),
            Watch::Far(connection) => connection,
        };
        if let Some(hold) = connection {
            let ends = |message: &ToClient| matches!(message, ToClient::Exited(_));
            let mut over = hold.next_message().map_or(true, |message| ends(&message));
            // What has come meanwhile is brought with the same.
            while let Ok(Some(message)) = hold.buffered() {
                over |= ends(&message);
            }
            if over {
                *connection = None;
            }
        }
        bring(steward, &found.session)
    }
}

/// On this host: its folder.
struct Near {
    folder: rustix::fd::OwnedFd,
    hold: Option<std::os::fd::OwnedFd>,
}

impl Near {
    fn new(found: &Found) -> Result<Self, Failure> {
        let folder = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map_err(io::Error::from)?;
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
        inotify::add_watch(&folder, found.folder.history(), flags).map_err(io::Error::from)?;
        // The end is written beside the history, after the last of it.
        inotify::add_watch(&folder, found.folder.path(), inotify::WatchFlags::MOVED_TO)
            .map_err(io::Error::from)?;
        let hold = found.folder.run()?.and_then(|run| launch::watch(&run));
        Ok(Near { folder, hold })
    }

    /// Whether all there will ever be has been written.
    fn over(&self, found: &Found) -> Result<bool, Failure> {
        Ok(self.hold.is_none() || found.folder.exit()?.is_some())
    }

    fn wait(&mut self, found: &Found) -> Result<(), Failure> {
        let Some(hold) = &self.hold else { return Ok(()) };
        let mut fds = [PollFd::new(&self.folder, PollFlags::IN), PollFd::new(hold, PollFlags::IN)];
        rustix::event::poll(&mut fds, None).map_err(io::Error::from)?;
        let gone = !fds[1].revents().is_empty();
        let mut buf = [std::mem::MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.folder, &mut buf);
        while events.next().is_ok() {}
        if gone {
            // Another life may have begun; if none has, there is no more to come.
            self.hold = found.folder.run()?.and_then(|run| launch::watch(&run));
        }
        Ok(())
    }
}

pub fn replay(args: &Replay) -> Outcome {
    if !(args.speed.is_finite() && args.speed > 0.0) {
        return Err(Failure::misused(
            "--speed takes a number above 0, such as 2 for twice as fast",
        ));
    }
    let steward = Steward::of_user()?;
    let found = written(&steward, &args.name)?;
    let mut items = Reader::open(&found.folder.history())?.from(0);
    let mut filter = stead_hold::term::QueryFilter::default();
    let mut last: Option<u64> = None;
    let mut shown = Vec::new();
    while let Some(item) = items.next_item()? {
        let Item::Chunk { at_ms, bytes, .. } = item else { continue };
        let pause = Duration::from_millis(at_ms.saturating_sub(last.unwrap_or(at_ms)));
        last = Some(at_ms);
        let pause = args.idle.map_or(pause, |most| pause.min(most));
        let pause =
            Duration::try_from_secs_f64(pause.as_secs_f64() / args.speed).unwrap_or(Duration::MAX);
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        shown.clear();
        filter.filter(bytes, &mut shown);
        print(&shown)?;
    }
    print(attach::RESET)?;
    print(b"\n")?;
    Ok(0)
}

pub fn export(args: &Export) -> Outcome {
    let steward = Steward::of_user()?;
    let found = written(&steward, &args.name)?;
    let history = found.folder.history();
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(io::BufWriter::new(std::fs::File::create(path).map_err(|e| {
            Failure::failed(format!("cannot write {}: {e}", path.display()))
                .help("-o names a file in a folder that is there and that you may write to")
        })?)),
        None => Box::new(io::BufWriter::new(io::stdout().lock())),
    };
    match args.format {
        ExportFormat::Asciicast => {
            cast::export(&Reader::open(&history)?, Some(&found.session.name), &mut out)?;
        }
        ExportFormat::Text | ExportFormat::Raw => {
            let mut plain = Plain::default();
            let (mut text, mut shown) = (Vec::new(), Vec::new());
            let mut no_c1 = present::NoC1::default();
            let mut items = Reader::open(&history)?.from(0);
            while let Some(item) = items.next_item()? {
                let Item::Chunk { bytes, .. } = item else { continue };
                if matches!(args.format, ExportFormat::Raw) {
                    out.write_all(bytes)?;
                } else {
                    text.clear();
                    shown.clear();
                    plain.strip(bytes, &mut text);
                    no_c1.filter(&text, &mut shown);
                    out.write_all(&shown)?;
                }
            }
        }
    }
    out.flush()?;
    Ok(0)
}
