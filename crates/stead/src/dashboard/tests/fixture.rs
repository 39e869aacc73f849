//! A model to look at, and ways to press keys.

use super::super::list::{Pick, Row};
use super::super::model::{Effect, Event, Model};
use super::super::picture::Picture;
use super::super::view::{self, Theme};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::text::Line;
use stead_machine::model::Phase;
use stead_steward::machines::api::Shown;
use stead_wire::session::{EndedBy, Exit, Restart, Session, Size};
use stead_wire::status::{Source, State, Status};

/// The time at which the model is looked at.
pub const NOW: u64 = 1_700_000_000_000;

/// A session that has been in its state for `age` seconds.
pub fn session(name: &str, agent: &str, state: State, age: u64) -> Session {
    let since = NOW - age * 1000;
    Session {
        id: format!("id-{name}"),
        name: name.into(),
        machine: "host".into(),
        agent: (!agent.is_empty()).then(|| agent.into()),
        command: vec![if agent.is_empty() { "/usr/bin/htop" } else { agent }.into()],
        cwd: "/home/ada/src".into(),
        status: Status { state, source: Source::Hook, since, detail: String::new() },
        exit: None,
        restart: Restart::Resume,
        size: Size { cols: 80, rows: 24 },
        title: String::new(),
        created: since,
        started: since,
        active: since,
        life: 1,
        pid: Some(7),
        output: 0,
        attached: 0,
        conversation: None,
        report: None,
        warning: None,
    }
}

/// The same, ended.
pub fn ended(name: &str, code: i32, age: u64) -> Session {
    let mut session = session(name, "", State::Exited, age);
    let at = NOW - age * 1000;
    session.exit =
        Some(Exit { code: Some(code), signal: None, at, by: EndedBy::Itself, failed: None });
    session
}

/// Five sessions on two machines, one of each kind.
pub fn model() -> Model {
    let mut waiting = session("fix-login", "claude", State::Waiting, 125);
    waiting.status.detail = "permission: Bash(npm test)".into();
    let mut running = session("refactor", "codex", State::Running, 12);
    running.title = "Moving the parser".into();
    let mut remote = session("nightly", "opencode", State::Idle, 7_300);
    remote.machine = "bench".into();
    let sessions = vec![
        remote,
        ended("tests", 101, 90_000),
        running,
        waiting,
        session("top", "", State::Unknown, 3_700),
    ];
    let mut model = Model::new(sessions, "/home/ada/src".into(), NOW);
    model.home = Some("/home/ada".into());
    model
}

/// A machine on the engine `sandbox`.
pub fn machine(name: &str, phase: Phase) -> Shown {
    Shown {
        name: name.into(),
        id: String::new(),
        engine: if name == "host" { "host" } else { "sandbox" }.into(),
        phase,
        since: None,
        address: None,
        owner: None,
        declared: None,
        created: 0,
        notes: Vec::new(),
    }
}

/// The same sessions, with what the steward knows of machines: `bench` runs, `lab` is stopped and has none.
pub fn with_machines() -> Model {
    let mut model = model();
    model.update(Event::Machines(vec![
        machine("host", Phase::Running),
        machine("bench", Phase::Running),
        machine("lab", Phase::Stopped),
    ]));
    model
}

/// The lines of the list: machines with a slash behind them, the selected one in brackets.
pub fn lines(model: &Model) -> String {
    let rows = model.rows();
    let lines = rows.iter().map(|row| {
        let text = match row {
            Row::Machine { name, .. } => format!("{name}/"),
            Row::Session(session) => session.name.clone(),
        };
        let selected = model.selected.is_some() && row.pick() == model.selected;
        if selected { format!("[{text}]") } else { text }
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// A picture of a session that asks.
pub fn picture() -> Picture {
    let lines =
        ["Bash command", "  npm test", "", "Do you want to proceed?", "> 1. Yes", "  2. No"];
    Picture { lines: lines.map(Line::raw).to_vec(), cursor: Some((0, 4)), note: None }
}

/// Presses keys: `<enter>`, `<c-c>` and the like, everything else is typed.
pub fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut rest = keys;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|r| r.split_once('>'));
        let (code, modifiers) = if let Some((name, after)) = named {
            rest = after;
            key(name)
        } else {
            rest = &rest[c.len_utf8()..];
            (KeyCode::Char(c), KeyModifiers::NONE)
        };
        effects.extend(model.update(Event::Key(KeyEvent::new(code, modifiers))));
    }
    effects
}

fn key(name: &str) -> (KeyCode, KeyModifiers) {
    let code = match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pgdn" => KeyCode::PageDown,
        "pgup" => KeyCode::PageUp,
        "bs" => KeyCode::Backspace,
        _ => {
            let c = name.strip_prefix("c-").expect("a known key").chars().next().expect("a letter");
            return (KeyCode::Char(c), KeyModifiers::CONTROL);
        }
    };
    (code, KeyModifiers::NONE)
}

/// The names of the shown sessions, in order; the selected one in brackets.
pub fn names(model: &Model) -> String {
    let shown = model.shown().into_iter().map(|s| {
        if Some(Pick::Session(s.id.clone())) == model.selected {
            format!("[{}]", s.name)
        } else {
            s.name.clone()
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// A terminal with one frame of the model on it.
pub fn frame(
    model: &Model,
    picture: &Picture,
    cols: u16,
    rows: u16,
    color: bool,
) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(cols, rows)).unwrap();
    terminal.draw(|frame| view::draw(frame, model, picture, Theme { color })).unwrap();
    terminal
}

/// The text of a frame, without the blanks at the ends of lines.
pub fn text(model: &Model, cols: u16, rows: u16) -> String {
    let terminal = frame(model, &picture(), cols, rows, true);
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(cols.max(1)));
    let lines = lines.map(|cells| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
