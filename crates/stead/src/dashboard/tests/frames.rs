//! Frames of a fixed model, as a person sees them.

use super::super::model::{Event, Model};
use super::super::picture::Picture;
use super::fixture::{NOW, frame, machine, model, picture, press, session, text, with_machines};
use ratatui::style::{Color, Modifier};
use ratatui::text::{Line, Span};
use stead_machine::model::Phase;
use stead_wire::status::State;

/// The frame after these keys.
fn after(keys: &str, cols: u16, rows: u16) -> String {
    let mut model = model();
    press(&mut model, keys);
    text(&model, cols, rows)
}

/// Nothing but a note.
fn note(text: &str) -> Picture {
    Picture { note: Some(text.into()), ..Picture::default() }
}

/// One line of the frame after these keys.
fn line(keys: &str, cols: u16, rows: u16, at: usize) -> String {
    after(keys, cols, rows).lines().nth(at).unwrap_or_default().to_owned()
}

#[test]
fn a_screen_of_80x24() {
    let seen = after("", 80, 24);
    let expected = r"
stead  5 sessions, 1 waiting
host  4 sessions, 1 waiting
> ! waiting  fix-login claude     2m permission: Bash(npm test)
  ? unknown  top       htop       1h
  * running  refactor  codex     12s Moving the parser
  x exit 101 tests     htop       1d /usr/bin/htop
bench  1 session
  - idle     nightly   opencode   2h
 fix-login claude 80x24 ~/src ──────────────────────────────────────────────────
Bash command
  npm test

Do you want to proceed?
> 1. Yes
  2. No








enter attach  n new  x kill  d remove  r rename  / filter  ? help  q quit
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn machines_at_80x24() {
    let mut model = with_machines();
    let mut gone = machine("web", Phase::Unknown("engine sandbox does not answer".into()));
    gone.notes.push("its disk is full".into());
    let machines = model.machines.iter().cloned().chain([gone]).collect();
    model.update(Event::Machines(machines));
    press(&mut model, "pG<up>");
    let expected = r"
stead  5 sessions, 1 waiting
host  4 sessions, 1 waiting
  ! waiting  fix-login claude     2m permission: Bash(npm test)
  ? unknown  top       htop       1h
  * running  refactor  codex     12s Moving the parser
  x exit 101 tests     htop       1d /usr/bin/htop
  bench  sandbox running  1 session
  - idle     nightly   opencode   2h
> lab  sandbox stopped  0 sessions
  web  sandbox unknown  0 sessions  engine sandbox does not answer; its disk is
";
    let seen = text(&model, 80, 24);
    assert!(seen.starts_with(expected.trim_matches('\n')), "{seen}");
    let keys = "u start  d stop  n new session  / filter  ? help  q quit";
    assert_eq!(seen.lines().last(), Some(keys));
    press(&mut model, "kkd");
    let asked = "stop bench? its session ends; its state stays  y/n";
    assert_eq!(text(&model, 80, 24).lines().last(), Some(asked));
}

#[test]
fn a_wide_window() {
    let seen = after("", 120, 40);
    let expected = r"
stead  5 sessions, 1 waiting
host  4 sessions, 1 waiting                 ┌ fix-login claude 80x24 ~/src ─────────────────────────────────────────────
>! waiting  fix-login claude     2m permiss…│Bash command
 ? unknown  top       htop       1h         │  npm test
 * running  refactor  codex     12s Moving …│
 x exit 101 tests     htop       1d /usr/bi…│Do you want to proceed?
bench  1 session                            │> 1. Yes
 - idle     nightly   opencode   2h         │  2. No
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
                                            │
enter attach  n new  x kill  d remove  r rename  / filter  p preview  ? help  q quit
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn a_phone() {
    let seen = after("", 40, 15);
    let expected = r"
stead  5 sessions, 1 waiting
host  4 sessions, 1 waiting
>! waiting  fix-login claude     2m
 ? unknown  top       htop       1h
 * running  refactor  codex     12s
 x exit 101 tests     htop       1d   +2
 fix-login claude 80x24 ~/src ──────────
Bash command
  npm test

Do you want to proceed?
> 1. Yes
  2. No

enter attach  n new  ? help  q quit
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn the_smallest_window() {
    let seen = after("", 20, 5);
    let expected = r"
stead  5, 1 waiting
>! fix-login   2m
 ? top         1h
 * refactor   12s +2
enter attach  ? help
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn a_form() {
    let seen = after("n", 80, 24);
    let expected = r"
stead  5 sessions, 1 waiting
host  4 sessions, 1 waiting
> ! waiting  fix-login claude     2m permission: Bash(npm test)
  ? unknown  top       htop       1h
  * running  refactor  codex     12s Moving the parser
  x exit 101 tests     htop       1d /usr/bin/htop
bench ┌ new session ─────────────────────────────────────────────────────┐
  - id│ name    (made up)                                                │
 fix-l│ agent   [claude] codex  opencode  gemini  shell                  │──────
Bash c│ command (no arguments)                                           │
  npm │ machine host                                                     │
      │ folder  /home/ada/src                                            │
Do you│                                                                  │
> 1. Y│                                                                  │
  2. N│                                                                  │
      └──────────────────────────────────────────────────────────────────┘







enter starts it  esc cancels  tab next
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn a_form_on_a_phone() {
    let seen = after("n<tab><tab>htop", 40, 15);
    let expected = r"
new session
name    (made up)
agent   [claude]
command htop
machine host
folder  /home/ada/src








enter starts it  esc cancels  tab next
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn a_form_in_the_smallest_window() {
    let seen = after("n<tab><tab>htop<tab>", 20, 5);
    let expected = r"
agent   [claude]
command htop
machine host

enter starts it
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn help() {
    let seen = after("?", 80, 24);
    let expected = r"
stead  5 sessions, 1 waiting
host  4 sessi┌ keys ──────────────────────────────────────────────┐
> ! waiting  │ up down j k    choose a session, a machine         │
  ? unknown  │ enter          attach; leave it with ctrl-\ d      │
  * running  │ n              new session there                   │
  x exit 101 │ u              start the machine                   │
bench  1 sess│ x K            kill                                │
  - idle     │ d              remove it; stop the machine         │
 fix-login cl│ r              rename                              │─────────────
Bash command │ /              filter; esc clears it               │
  npm test   │ p              preview on or off                   │
             │ ctrl-l         draw everything anew                │
Do you want t│ ?              this help                           │
> 1. Yes     │ q ctrl-c       quit; sessions go on                │
  2. No      │                                                    │
             │ !              waiting for you                     │
             │ *              running                             │
             │ -              idle: its turn is over              │
             │ ?              unknown                             │
             │ . x            ended well, ended badly             │
             └────────────────────────────────────────────────────┘


any key closes this
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn help_on_a_phone() {
    let seen = after("?", 40, 15);
    let expected = r"
up down  choose a session, a machine
enter    attach; leave it with ctrl-\ d
n        new session there
u        start the machine
x K      kill
d        remove it; stop the machine
r        rename
/        filter; esc clears it
p        preview on or off
ctrl-l   draw everything anew
?        this help
q ctrl-c quit; sessions go on
!        waiting for you
*        running
any key closes this
";
    assert_eq!(seen.trim_end(), expected.trim_matches('\n'));
}

#[test]
fn what_is_asked_stands_in_the_last_line() {
    assert_eq!(line("x", 80, 24, 23), "kill fix-login? its command and all that it started  y/n");
    assert_eq!(line("x", 20, 5, 4), "kill fix-login?  y/n");
    assert_eq!(line("r", 80, 24, 23), "name: fix-login");
    assert_eq!(line("/re", 80, 24, 23), "/re");
    assert_eq!(line("d", 80, 24, 23), "fix-login has not ended: x kills it");
    assert_eq!(line("/re", 80, 24, 0), "stead  1 of 5  /re");
}

#[test]
fn what_is_wrong_with_a_form_stands_in_it() {
    let seen = after("nab cd<enter>", 80, 24);
    let lines: Vec<&str> = seen.lines().skip(13).take(2).collect();
    assert!(lines[0].contains("│ the name \"ab cd\" contains ' '; use letters, "), "{seen}");
    assert!(lines[1].contains("│ '.' "), "{seen}");
    assert_eq!(line("nab cd<enter>", 20, 5, 3), "the name \"ab cd\"");
}

#[test]
fn an_empty_list_says_what_to_do() {
    let mut model = Model::new(vec![], "/".into(), NOW);
    assert!(text(&model, 80, 24).contains("no sessions yet: n starts one"));
    model.sessions.push(session("a", "", State::Idle, 1));
    press(&mut model, "/zz");
    assert!(text(&model, 80, 24).contains("nothing matches \"zz\": esc clears the filter"));
}

#[test]
fn a_lost_steward_is_told_without_losing_the_list() {
    let mut model = model();
    model.update(Event::Lost("its event stream has ended".into()));
    let text = text(&model, 80, 24);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with(" no steward"), "{text}");
    assert!(lines[2].contains("fix-login"), "{text}");
    assert!(lines[23].starts_with("the steward is gone, trying again; sessions go on"), "{text}");
}

#[test]
fn lines_that_do_not_fit_are_counted() {
    let mut model = model();
    model.preview = false;
    let text = text(&model, 40, 6);
    assert!(text.lines().nth(4).unwrap().ends_with(" +3"), "{text}");
}

#[test]
fn the_cursor_stands_where_text_is_typed() {
    for (keys, at) in [("/ab", (3, 23)), ("r", (15, 23)), ("nab", (18, 7)), ("r<home>", (6, 23))] {
        let mut model = model();
        press(&mut model, keys);
        let mut terminal = frame(&model, &picture(), 80, 24, true);
        terminal.backend_mut().assert_cursor_position(at);
    }
}

#[test]
fn a_long_text_is_scrolled_to_its_cursor() {
    let mut model = model();
    press(&mut model, "/abcdefghijklmnopqrstuvwxyz");
    assert_eq!(text(&model, 20, 5).lines().last().unwrap(), "/ijklmnopqrstuvwxyz");
}

#[test]
fn without_colours_states_are_told_by_words_and_weight() {
    let mut picture = picture();
    picture.lines[0] = Line::from(Span::styled("red", Color::Red));
    let plain = frame(&model(), &picture, 80, 24, false);
    let cells = &plain.backend().buffer().content;
    assert!(cells.iter().all(|c| (c.fg, c.bg) == (Color::Reset, Color::Reset)));
    assert!(cells.iter().any(|c| c.modifier.contains(Modifier::BOLD)));
    let coloured = frame(&model(), &picture, 80, 24, true);
    let cells = &coloured.backend().buffer().content;
    assert!(
        cells.iter().any(|c| c.fg == Color::Yellow) && cells.iter().any(|c| c.fg == Color::Red)
    );
}

#[test]
fn control_characters_of_others_do_not_reach_the_terminal() {
    let mut model = model();
    model.sessions[2].title = "a\x1b[2Jb\nc\u{9b}d".into();
    model.sessions[2].command = vec!["\x1b]0;x\x07".into()];
    model.sessions[2].agent = None;
    let picture = note("\x1b[2J");
    let terminal = frame(&model, &picture, 120, 40, true);
    let cells = &terminal.backend().buffer().content;
    assert!(!cells.iter().any(|c| c.symbol().contains(char::is_control)));
}

#[test]
fn the_preview_shows_its_cursor_and_its_trouble() {
    let cursor = |picture: &Picture| {
        let terminal = frame(&model(), picture, 80, 24, true);
        let cell = &terminal.backend().buffer()[(0, 13)];
        cell.modifier.contains(Modifier::REVERSED)
    };
    let mut picture = picture();
    assert!(cursor(&picture));
    picture.cursor = None;
    assert!(!cursor(&picture));

    picture.note = Some("the hold has closed the connection".into());
    let seen = |picture: &Picture| {
        let terminal = frame(&model(), picture, 80, 24, true);
        terminal.backend().to_string()
    };
    assert!(seen(&picture).contains(" fix-login the hold has closed the connection "));
    assert!(seen(&note("no preview")).contains("\"no preview "));
    assert!(seen(&Picture::default()).contains("\"connecting "));
}
