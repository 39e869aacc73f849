//! What every key does.

use super::super::list::{Pick, Row};
use super::super::model::{Action, Deed, Effect, Event, Mode, Subject, Turn};
use super::super::view::{self, Theme};
use super::fixture::{ended, frame, lines, machine, model, names, picture, press, with_machines};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use stead_machine::model::Phase;
use stead_wire::api;

fn to(name: &str, deed: Deed) -> Effect {
    let subject = Subject { id: format!("id-{name}"), name: name.into() };
    Effect::Do(Action::To(subject, deed))
}

#[test]
fn waiting_ones_come_first_and_ended_ones_last() {
    assert_eq!(names(&model()), "[fix-login] top refactor tests nightly");
}

#[test]
fn the_selection_moves() {
    for (keys, at) in [
        ("j", 1),
        ("<down>", 1),
        ("<c-n>", 1),
        ("jjk", 1),
        ("jj<up>", 1),
        ("jj<c-p>", 1),
        ("k", 0),
        ("G", 4),
        ("<end>", 4),
        ("Gg", 0),
        ("G<home>", 0),
        ("<pgdn>", 4),
        ("G<pgup>", 0),
        ("jjjjjjj", 4),
    ] {
        let mut model = model();
        assert!(press(&mut model, keys).is_empty());
        let shown = model.shown();
        assert_eq!(model.selected, Some(Pick::Session(shown[at].id.clone())), "{keys}");
    }
}

#[test]
fn keys_that_leave() {
    for keys in ["q", "<c-c>", "n<c-c>", "/<c-c>", "r<c-c>", "x<c-c>", "?<c-c>"] {
        assert_eq!(press(&mut model(), keys), [Effect::Quit], "{keys}");
    }
    assert_eq!(press(&mut model(), "<c-l>"), [Effect::Redraw]);
}

#[test]
fn enter_attaches_or_offers_to_start_again() {
    assert_eq!(press(&mut model(), "<enter>"), [Effect::Attach("fix-login".into())]);
    let mut model = model();
    assert!(press(&mut model, "jjj<enter>").is_empty());
    assert_eq!(press(&mut model, "y"), [to("tests", Deed::Restart)]);
}

#[test]
fn killing_asks() {
    for key in ["x", "K"] {
        assert_eq!(press(&mut model(), &format!("{key}y")), [to("fix-login", Deed::Kill)]);
        for no in ["n", "<esc>", "<enter>", "q", " "] {
            let mut model = model();
            assert!(press(&mut model, &format!("{key}{no}")).is_empty(), "{no}");
            assert_eq!(model.mode, Mode::List);
        }
    }
    let mut model = model();
    assert!(press(&mut model, "jjjxy").is_empty(), "it has ended");
    press(&mut model, "x");
    assert_eq!(model.notice.unwrap().text, "tests has ended: d removes it");
}

#[test]
fn removing_asks_and_is_for_ended_ones() {
    assert_eq!(press(&mut model(), "jjjdy"), [to("tests", Deed::Remove)]);
    assert!(press(&mut model(), "jjjdn").is_empty());
    let mut model = model();
    assert!(press(&mut model, "dy").is_empty());
    press(&mut model, "d");
    assert_eq!(model.notice.as_ref().unwrap().text, "fix-login has not ended: x kills it");
    press(&mut model, "j");
    assert_eq!(model.notice, None, "a notice stays until the next key");
}

#[test]
fn renaming_takes_a_name() {
    assert_eq!(
        press(&mut model(), "r-2<enter>"),
        [to("fix-login", Deed::Rename("fix-login-2".into()))]
    );
    assert!(press(&mut model(), "r<enter>").is_empty(), "the same name is no change");
    let mut model = model();
    assert!(press(&mut model, "r/x<enter>").is_empty());
    assert!(model.notice.as_ref().unwrap().bad);
    assert!(matches!(model.mode, Mode::Rename(..)), "what was typed is kept");
    assert!(press(&mut model, "<esc>").is_empty());
    assert_eq!(model.mode, Mode::List);
}

#[test]
fn the_filter_narrows_while_it_is_typed() {
    let mut model = model();
    for (keys, shown) in [
        ("/", "[fix-login] top refactor tests nightly"),
        ("t", "[fix-login] top refactor tests nightly"),
        ("op", "[top] tests"),
        ("<bs>", "[top] refactor tests"),
        ("<c-u>REFACTOR", "[refactor]"),
        ("<c-u>waiting", "[fix-login]"),
        ("<c-u>bench", "[nightly]"),
        ("<c-u>exit 101", "[tests]"),
        ("<c-u>claude host", "[fix-login]"),
        ("<c-u>claude bench", ""),
        ("<c-u>htop<down>", "top [tests]"),
        ("<enter>k", "[top] tests"),
        ("<esc>", "fix-login [top] refactor tests nightly"),
        ("/top<esc>", "fix-login [top] refactor tests nightly"),
    ] {
        press(&mut model, keys);
        assert_eq!(names(&model), shown, "{keys}");
    }
    assert_eq!(model.mode, Mode::List);
}

#[test]
fn preview_and_help_come_and_go() {
    let mut model = model();
    assert_eq!(model.target().unwrap().id, "id-fix-login");
    press(&mut model, "p");
    assert_eq!(model.target(), None);
    press(&mut model, "p?");
    assert_eq!(model.mode, Mode::Help);
    assert!(press(&mut model, "q").is_empty(), "any key closes the help, and does nothing else");
    assert_eq!(model.mode, Mode::List);
}

#[test]
fn a_new_session_is_filled_in_and_asked_for() {
    let mut model = model();
    let effects = press(&mut model, "napi<tab>c<tab>exec --json<enter>");
    let [Effect::Do(Action::Create(create))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(create.name.as_deref(), Some("api"));
    assert_eq!(create.agent.as_deref(), Some("codex"));
    assert_eq!(create.command, ["exec", "--json"]);
    assert_eq!(create.cwd.to_str(), Some("/home/ada/src"));
    assert!(press(&mut model, "<enter>x").is_empty(), "one at a time");
    press(&mut model, "<esc>n");
    let Mode::New(form) = &model.mode else { panic!("{:?}", model.mode) };
    assert_eq!(form.agent, 1, "the last agent is offered again");
}

fn turned(name: &str, turn: Turn) -> Effect {
    Effect::Do(Action::Turn(name.into(), turn))
}

#[test]
fn machines_are_selected_but_for_this_host() {
    let mut model = with_machines();
    assert_eq!(lines(&model), "host/ [fix-login] top refactor tests bench/ nightly lab/");
    for (keys, seen) in [
        ("k", "host/ [fix-login] top refactor tests bench/ nightly lab/"),
        ("jjjj", "host/ fix-login top refactor tests [bench/] nightly lab/"),
        ("j", "host/ fix-login top refactor tests bench/ [nightly] lab/"),
        ("jj", "host/ fix-login top refactor tests bench/ nightly [lab/]"),
        ("/lab", "[lab/]"),
        ("<c-u>sandbox running", "[bench/]"),
        ("<c-u>nightly", "[bench/] nightly"),
        ("<c-u>zzz", ""),
    ] {
        press(&mut model, keys);
        assert_eq!(lines(&model), seen, "{keys}");
    }
}

#[test]
fn a_machine_is_started_at_once_and_stopped_after_asking() {
    let mut model = with_machines();
    assert_eq!(press(&mut model, "Gu"), [turned("lab", Turn::Up)]);
    assert_eq!(model.notice.as_ref().unwrap().text, "starting lab");
    assert!(press(&mut model, "dy").is_empty(), "it is stopped");
    press(&mut model, "kk");
    assert!(press(&mut model, "u").is_empty(), "it runs");
    assert_eq!(model.notice.as_ref().unwrap().text, "bench runs already");
    for no in ["n", "<esc>", "<enter>", "q", " "] {
        assert!(press(&mut model, &format!("d{no}")).is_empty(), "{no}");
        assert_eq!(model.mode, Mode::List);
    }
    assert_eq!(press(&mut model, "dy"), [turned("bench", Turn::Down)]);
    for key in ["x", "K", "r"] {
        assert!(press(&mut model, key).is_empty(), "{key}");
        assert_eq!(model.mode, Mode::List, "{key} is for sessions");
    }
    assert!(press(&mut model, "ju").is_empty(), "a session is not started by it");
}

#[test]
fn a_new_session_is_for_the_machine_that_is_selected() {
    for (keys, machine) in
        [("n<enter>", None), ("Gn<enter>", Some("lab")), ("Gkn<enter>", Some("bench"))]
    {
        let effects = press(&mut with_machines(), keys);
        let [Effect::Do(Action::Create(create))] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(create.machine.as_deref(), machine, "{keys}");
        assert_eq!(create.cwd.as_os_str().is_empty(), machine.is_some(), "{keys}");
    }
    // Enter on a machine's line is the same; a machine that is gone has no more sessions.
    let mut model = with_machines();
    press(&mut model, "G<enter>");
    assert!(matches!(model.mode, Mode::New(_)));
    let mut model = with_machines();
    model.update(Event::Machines(vec![]));
    let effects = press(&mut model, "Gn<enter>");
    let [Effect::Do(Action::Create(create))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(create.machine, None);
}

#[test]
fn keys_for_a_session_do_nothing_without_one() {
    let mut model = model();
    model.sessions.clear();
    for key in ["<enter>", "x", "K", "d", "r", "u", "p", "j", "G"] {
        assert!(press(&mut model, key).is_empty(), "{key}");
        assert_eq!(model.mode, Mode::List);
    }
}

#[test]
fn letters_with_modifiers_are_no_commands() {
    let mut model = model();
    for modifiers in [KeyModifiers::ALT, KeyModifiers::CONTROL] {
        for c in ['q', 'x', 'd', 'r', '/'] {
            let key = KeyEvent::new(KeyCode::Char(c), modifiers);
            assert!(model.update(Event::Key(key)).is_empty());
            assert_eq!(model.mode, Mode::List);
        }
    }
    let released =
        KeyEvent::new_with_kind(KeyCode::Char('q'), KeyModifiers::NONE, KeyEventKind::Release);
    assert!(model.update(Event::Key(released)).is_empty());
}

#[test]
fn pasted_text_is_typed_and_never_obeyed() {
    let mut model = model();
    assert!(model.update(Event::Paste("xyq".into())).is_empty());
    assert_eq!(model.mode, Mode::List);
    press(&mut model, "/");
    model.update(Event::Paste("ref\nactor".into()));
    assert_eq!(names(&model), "[refactor]");
    press(&mut model, "<esc>n<tab><tab>");
    model.update(Event::Paste("make\r".into()));
    let Mode::New(form) = &model.mode else { panic!("{:?}", model.mode) };
    assert_eq!(form.command.text(), "make");
}

fn any_event() -> impl Strategy<Value = Event> {
    let code = prop_oneof![
        4 => prop::sample::select("jkgGnxKdrupq/?y cé日".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        1 => any::<char>().prop_map(KeyCode::Char),
        3 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Backspace, KeyCode::Delete,
            KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End,
            KeyCode::PageUp, KeyCode::PageDown, KeyCode::F(1),
        ]),
    ];
    let modifiers = prop_oneof![
        6 => Just(KeyModifiers::NONE),
        1 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::ALT),
    ];
    let key = (code, modifiers).prop_map(|(c, m)| Event::Key(KeyEvent::new(c, m)));
    prop_oneof![
        20 => key,
        1 => ".{0,30}".prop_map(Event::Paste),
        1 => ".{0,60}".prop_map(Event::Lost),
        1 => Just(Event::Listed(model().sessions)),
        1 => Just(Event::Listed(vec![])),
        1 => Just(Event::Machines(with_machines().machines)),
        1 => Just(Event::Machines(vec![])),
        1 => "[a-z]{1,70}".prop_map(|name| {
            Event::Machines(vec![machine(&name, Phase::Unknown("no answer".into()))])
        }),
        1 => "[a-z]{1,70}".prop_map(|name| {
            Event::Happened(Box::new(api::Event::Session { session: ended(&name, 1, 5) }))
        }),
        1 => Just(Event::Happened(Box::new(api::Event::Removed { id: "id-fix-login".into() }))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_keys_and_no_size_panic(
        steps in proptest::collection::vec((any_event(), 1u16..130, 1u16..50), 1..40),
        color: bool,
    ) {
        let mut model = model();
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        for (event, cols, rows) in steps {
            model.update(event);
            let selected = model.selected.clone();
            let picks: Vec<_> = model.rows().iter().filter_map(Row::pick).collect();
            prop_assert_eq!(selected.is_some(), !picks.is_empty());
            prop_assert!(selected.is_none_or(|pick| picks.contains(&pick)));
            terminal.backend_mut().resize(cols, rows);
            terminal.draw(|f| view::draw(f, &model, &picture(), Theme { color })).unwrap();
        }
        frame(&model, &picture(), 20, 5, color);
    }
}
