//! Joins the model to the terminal, the steward and the hold of the selected session.

use super::keyboard::Keyboard;
use super::mailbox::{self, Mailbox, Message};
use super::model::{Action, Effect, Event, Model, Notice};
use super::picture::Picture;
use super::preview::Preview;
use super::screen::Screen;
use super::view::{self, Theme};
use super::work;
use crate::failure::Outcome;
use crate::steward::Steward;
use ratatui::layout::Position;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use stead_hold::clock::now_ms;
use stead_hold::folder::Places;
use stead_wire::session::Size;

/// Least time between two frames that only the preview asks for.
const FRAME: Duration = Duration::from_millis(40);

/// How long an escape waits for the rest of a sequence before it is a key.
const ESCAPE: Duration = Duration::from_millis(50);

/// Opens the dashboard.
///
/// # Errors
/// If the steward can be neither reached nor started, or the terminal cannot be used.
pub fn run() -> Outcome {
    // Asked before the terminal is taken: what fails here is said as by any other command.
    let steward = Steward::of_user()?;
    let sessions = steward.get("/v1/sessions")?;
    let places = steward.places().clone();
    drop(steward);

    let folder = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let mut model = Model::new(sessions, folder, now_ms());
    model.home = std::env::var_os("HOME").map(Into::into);
    Dashboard::new(model, places)?.live()?;
    Ok(0)
}

/// The dashboard while it is open.
struct Dashboard {
    model: Model,
    theme: Theme,
    screen: Screen,
    places: Places,
    preview: Option<Preview>,
    actions: mpsc::Sender<Action>,
    mailbox: Mailbox,
    keyboard: Keyboard,
    /// When an escape that waits for more is given up.
    escape: Option<Instant>,
    /// When the next frame is due, if one is.
    due: Option<Instant>,
    drawn: Instant,
}

impl Dashboard {
    fn new(model: Model, places: Places) -> io::Result<Self> {
        let mailbox = Mailbox::new()?;
        work::listen(places.clone(), mailbox.teller());
        work::listen_to_machines(places.clone(), mailbox.teller());
        let actions = work::worker(places.clone(), mailbox.teller());
        mailbox::signals(mailbox.teller())?;
        let color = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let drawn = Instant::now();
        Ok(Dashboard {
            model,
            theme: Theme { color },
            screen: Screen::take()?,
            places,
            preview: None,
            actions,
            mailbox,
            keyboard: Keyboard::default(),
            escape: None,
            due: Some(drawn),
            drawn,
        })
    }

    /// Until the person leaves.
    fn live(mut self) -> io::Result<()> {
        loop {
            self.follow();
            if passed(self.due) {
                self.draw()?;
            }
            // The model's time is that of the last frame.
            let age = self.model.next_tick().map(|ms| self.drawn + Duration::from_millis(ms));
            let next = [self.due, age, self.escape].into_iter().flatten().min();
            if self.wait(next)? && self.typed()? {
                return Ok(());
            }
            if passed(self.escape) {
                self.escape = None;
                if let Some(event) = self.keyboard.give_up()
                    && self.update(event)?
                {
                    return Ok(());
                }
            }
            while let Some(message) = self.mailbox.take() {
                if self.hear(message)? {
                    return Ok(());
                }
            }
            if passed(age) {
                self.due = Some(Instant::now());
            }
        }
    }

    /// Waits for a key, a message or the time. `true`: there are keys.
    fn wait(&self, until: Option<Instant>) -> io::Result<bool> {
        let timeout = until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let stdin = rustix::stdio::stdin();
        let mut fds =
            [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.mailbox, PollFlags::IN)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok(!fds[0].revents().is_empty()),
            // A signal: whoever handles it tells the mailbox.
            Err(Errno::INTR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes the keys that have come. `true`: the dashboard is to be left.
    fn typed(&mut self) -> io::Result<bool> {
        let mut buf = [0; 4096];
        let n = match rustix::io::read(rustix::stdio::stdin(), &mut buf) {
            // The terminal is gone.
            Ok(0) | Err(Errno::IO) => return Ok(true),
            Ok(n) => n,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        for event in self.keyboard.take(&buf[..n]) {
            if self.update(event)? {
                return Ok(true);
            }
        }
        self.escape = self.keyboard.waits().then(|| Instant::now() + ESCAPE);
        Ok(false)
    }

    fn hear(&mut self, message: Message) -> io::Result<bool> {
        match message {
            Message::Event(event) => {
                let news = matches!(event, Event::Listed(_) | Event::Happened(_));
                if news && self.preview.as_ref().is_some_and(Preview::unreachable) {
                    self.preview = None;
                }
                self.update(event)
            }
            Message::Preview => {
                // Keys are shown at once; a screen that changes all the time is not.
                self.due = Some(self.due.unwrap_or(self.drawn + FRAME));
                Ok(false)
            }
            Message::Resized => {
                self.due = Some(Instant::now());
                Ok(false)
            }
            Message::Ended => Ok(true),
        }
    }

    /// Changes the model and does what comes of it. `true`: the dashboard is to be left.
    fn update(&mut self, event: Event) -> io::Result<bool> {
        self.model.now = now_ms();
        self.due = Some(Instant::now());
        for effect in self.model.update(event) {
            match effect {
                Effect::Quit => return Ok(true),
                Effect::Redraw => self.screen.canvas.clear()?,
                Effect::Attach(name) => self.attach(&name)?,
                Effect::Do(action) => {
                    let action = self.complete(action)?;
                    // The worker lives as long as the dashboard.
                    let _ = self.actions.send(action);
                }
            }
        }
        Ok(false)
    }

    /// Adds what only the process knows.
    fn complete(&self, mut action: Action) -> io::Result<Action> {
        if let Action::Create(create) = &mut action {
            let size = self.screen.canvas.size()?;
            create.size = Size { cols: size.width, rows: size.height }.clamped();
            let text = |s: std::ffi::OsString| s.into_string().ok();
            create.env = std::env::vars_os()
                .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
                .collect();
        }
        Ok(action)
    }

    /// Lends the terminal to `stead attach` until the person comes back.
    fn attach(&mut self, name: &str) -> io::Result<()> {
        self.preview = None;
        let program = std::env::current_exe()?;
        let attached = self.screen.lend(|| {
            Command::new(program)
                .args(["attach", name])
                .stdin(Stdio::inherit())
                .stdout(Stdio::inherit())
                .stderr(Stdio::piped())
                .spawn()
                .and_then(std::process::Child::wait_with_output)
        })?;
        let why = match attached {
            Ok(output) if !output.status.success() => one_line(&output.stderr),
            Ok(_) => String::new(),
            Err(e) => format!("cannot attach: {e}"),
        };
        self.model.now = now_ms();
        if !why.is_empty() {
            self.model.update(Event::Told(Notice::bad(why)));
        }
        Ok(())
    }

    /// Has the preview follow the selected session, if there is room for one.
    fn follow(&mut self) {
        let pane = self.pane();
        let target = self.model.target().filter(|_| pane.is_some());
        let (Some(target), Some(pane)) = (target, pane) else {
            self.preview = None;
            return;
        };
        if self.preview.as_ref().is_some_and(|preview| preview.shows(&target)) {
            return;
        }
        // The old connection ends before the new one begins.
        self.preview = None;
        self.preview = Some(if target.ended {
            let screen = self.places.session(&target.id).last_screen();
            Preview::last(target, screen.as_deref())
        } else {
            let socket = self.places.hold_socket(&target.id);
            let tell = self.mailbox.teller();
            Preview::live(target, socket, pane, move || {
                tell(Message::Preview);
            })
        });
        self.due = Some(Instant::now());
    }

    /// The room that a session's screen has.
    fn pane(&self) -> Option<Size> {
        let window = self.screen.canvas.size().ok()?;
        let window = (Position::ORIGIN, window).into();
        let screen = view::layout(&self.model, window)?.screen()?;
        Some(Size { cols: screen.width, rows: screen.height })
    }

    fn draw(&mut self) -> io::Result<()> {
        self.model.now = now_ms();
        (self.drawn, self.due) = (Instant::now(), None);
        let picture = match (&self.preview, self.pane()) {
            (Some(preview), Some(pane)) => preview.picture(pane),
            _ => Picture::default(),
        };
        let Dashboard { model, theme, screen, .. } = self;
        screen.canvas.draw(|frame| view::draw(frame, model, &picture, *theme))?;
        Ok(())
    }
}

fn passed(time: Option<Instant>) -> bool {
    time.is_some_and(|time| time <= Instant::now())
}

/// A printed error as one line, without its ornaments.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            // A colour: it ends with its first letter.
            let _ = chars.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else if !matches!(c, '×' | '│' | '╰' | '─' | '▶') {
            plain.push(if c.is_control() { ' ' } else { c });
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_error_becomes_one_line() {
        let printed = "\x1b[31m  ×\x1b[0m no session\n\x1b[31m  │\x1b[0m \"x\"\n\x1b[36m  help: \x1b[0mstead ls\n";
        assert_eq!(one_line(printed.as_bytes()), "no session \"x\" help: stead ls");
    }
}
