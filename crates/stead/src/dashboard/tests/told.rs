//! What the steward's words do.

use super::super::form::Form;
use super::super::list;
use super::super::model::{Action, Deed, Event, Mode, Subject, Trouble, Turn};
use super::fixture::{NOW, ended, lines, machine, model, names, press, session, with_machines};
use stead_machine::model::Phase;
use stead_wire::api;
use stead_wire::session::{EndedBy, Exit};
use stead_wire::status::{State, Status};

fn happened(event: api::Event) -> Event {
    Event::Happened(Box::new(event))
}

fn refused() -> Trouble {
    Trouble {
        message: "there is a session named api".into(),
        help: Some("choose another name".into()),
    }
}

#[test]
fn the_selection_follows_its_session() {
    let mut model = model();
    press(&mut model, "jj");
    assert_eq!(names(&model), "fix-login top [refactor] tests nightly");
    let before = model.current().unwrap().status.clone();
    let now = Status { state: State::Waiting, since: NOW - 600_000, ..before.clone() };
    model.update(happened(api::Event::Status { id: "id-refactor".into(), before, now }));
    assert_eq!(
        names(&model),
        "[refactor] fix-login top tests nightly",
        "the longest waiting is first"
    );
    model.update(happened(api::Event::Removed { id: "id-refactor".into() }));
    assert_eq!(names(&model), "[fix-login] top tests nightly", "its neighbour is next");
}

#[test]
fn sessions_come_change_and_go() {
    let mut model = model();
    model.update(happened(api::Event::Session {
        session: session("new", "gemini", State::Running, 0),
    }));
    assert_eq!(names(&model), "[fix-login] top refactor new tests nightly");
    model.update(happened(api::Event::Session { session: ended("new", 0, 0) }));
    assert_eq!(names(&model), "[fix-login] top refactor new tests nightly");
    let unknown = Status::unknown(NOW, "");
    let status = api::Event::Status { id: "none".into(), before: unknown.clone(), now: unknown };
    model.update(happened(status));
    model.update(Event::Listed(vec![session("only", "", State::Idle, 1)]));
    assert_eq!(names(&model), "[only]");
    model.update(Event::Listed(vec![]));
    assert_eq!((names(&model), model.selected.clone()), (String::new(), None));
}

#[test]
fn a_list_takes_the_steward_s_absence_back() {
    let mut model = model();
    model.update(Event::Lost("gone".into()));
    assert_eq!(model.lost.as_deref(), Some("gone"));
    assert_eq!(model.sessions.len(), 5);
    model.update(Event::Listed(model.sessions.clone()));
    assert_eq!(model.lost, None);
}

#[test]
fn a_question_about_a_session_that_goes_is_withdrawn() {
    for keys in ["x", "r"] {
        let mut model = model();
        press(&mut model, keys);
        model.update(happened(api::Event::Removed { id: "id-fix-login".into() }));
        assert_eq!(model.mode, Mode::List);
        assert_eq!(model.notice.as_ref().unwrap().text, "fix-login is gone");
    }
}

#[test]
fn machines_come_and_go_and_the_selection_stays_near() {
    let mut model = with_machines();
    press(&mut model, "G");
    model.update(Event::Machines(vec![
        machine("bench", Phase::Stopped),
        machine("attic", Phase::Running),
        machine("lab", Phase::Running),
    ]));
    assert_eq!(lines(&model), "host/ fix-login top refactor tests attic/ bench/ nightly [lab/]");
    press(&mut model, "d");
    assert!(matches!(model.mode, Mode::Stop(_)));
    model.update(Event::Machines(vec![]));
    assert_eq!(model.mode, Mode::List, "the question goes with its machine");
    assert_eq!(model.notice.as_ref().unwrap().text, "lab is gone");
    assert_eq!(lines(&model), "host/ fix-login top refactor tests bench/ [nightly]");
    let done = Event::Done(Action::Turn("lab".into(), Turn::Down), Ok(None));
    model.update(done);
    assert_eq!(model.notice.as_ref().unwrap().text, "lab is stopped");
    model.update(Event::Done(Action::Turn("lab".into(), Turn::Up), Err(refused())));
    assert!(model.notice.unwrap().bad);
}

#[test]
fn a_session_that_was_made_is_selected() {
    let mut model = model();
    press(&mut model, "/nightly<enter>n");
    let made = Box::new(session("api", "claude", State::Running, 0));
    model.update(Event::Done(Action::Create(Box::default()), Ok(Some(made))));
    assert_eq!(model.mode, Mode::List);
    assert_eq!(model.current().unwrap().name, "api");
    assert!(model.filter.is_empty(), "the filter does not hide it");
}

#[test]
fn a_session_that_was_refused_keeps_its_form() {
    let mut model = model();
    press(&mut model, "napi<enter>");
    let create = Action::Create(Box::default());
    model.update(Event::Done(create.clone(), Err(refused())));
    let Mode::New(form) = &model.mode else { panic!("{:?}", model.mode) };
    let Form { name, error, busy, .. } = form;
    assert_eq!((name.text().as_str(), *busy), ("api", false));
    assert_eq!(error.as_deref(), Some("there is a session named api (choose another name)"));
    // Without the form, the footer says it.
    press(&mut model, "<esc>");
    model.update(Event::Done(create, Err(refused())));
    assert!(model.notice.as_ref().is_some_and(|n| n.bad && n.text.contains("api (choose")));
}

#[test]
fn what_was_done_is_said() {
    let subject = Subject { id: "id-fix-login".into(), name: "fix-login".into() };
    for (deed, text) in [
        (Deed::Kill, "fix-login is told to end"),
        (Deed::Remove, "fix-login is removed"),
        (Deed::Restart, "fix-login runs again"),
        (Deed::Rename("b".into()), "fix-login is b now"),
    ] {
        let mut model = model();
        model.update(Event::Done(Action::To(subject.clone(), deed), Ok(None)));
        assert_eq!(model.notice.unwrap().text, text);
    }
    let mut model = model();
    model.update(Event::Done(Action::To(subject, Deed::Kill), Err(refused())));
    assert!(model.notice.unwrap().bad);
}

#[test]
fn the_preview_changes_with_the_life_of_its_session() {
    let mut model = model();
    let first = model.target().unwrap();
    let mut again = model.current().unwrap().clone();
    again.life = 2;
    model.update(happened(api::Event::Session { session: again.clone() }));
    let second = model.target().unwrap();
    assert_ne!(first, second);
    let by = EndedBy::Itself;
    again.exit = Some(Exit { code: Some(0), signal: None, at: NOW, by, failed: None });
    model.update(happened(api::Event::Session { session: again }));
    // It has gone to the ended ones, and the selection with it.
    assert_eq!(names(&model), "top refactor [fix-login] tests nightly");
    assert!(model.target().unwrap().ended);
}

#[test]
fn the_next_frame_is_due_when_an_age_changes() {
    let mut model = model();
    assert_eq!(model.next_tick(), Some(1000), "one began twelve seconds ago");
    press(&mut model, "/waiting");
    assert_eq!(model.next_tick(), Some(55_000), "two minutes and five seconds");
    press(&mut model, "<c-u>exit");
    assert_eq!(model.next_tick(), Some(82_800_000), "a day and an hour");
    press(&mut model, "<c-u>zzz");
    assert_eq!(model.next_tick(), None);
}

#[test]
fn states_are_short_words_and_symbols() {
    let exit = |code, signal, by, failed: Option<&str>| {
        let mut session = ended("a", 0, 1);
        session.exit = Some(Exit { code, signal, at: NOW, by, failed: failed.map(Into::into) });
        format!("{} {}", list::symbol(&session), list::state(&session))
    };
    assert_eq!(exit(Some(0), None, EndedBy::Itself, None), ". exit 0");
    assert_eq!(exit(Some(127), None, EndedBy::Itself, None), "x exit 127");
    assert_eq!(exit(None, Some(9), EndedBy::Person, None), ". killed");
    assert_eq!(exit(None, Some(11), EndedBy::Itself, None), "x sig 11");
    assert_eq!(exit(None, None, EndedBy::Lost, None), "x lost");
    assert_eq!(exit(None, None, EndedBy::Itself, Some("no such file")), "x failed");
    for state in [State::Running, State::Waiting, State::Idle, State::Unknown] {
        let session = session("a", "", state, 1);
        assert_eq!(list::state(&session), state.word());
        assert!("*!-?".contains(list::symbol(&session)));
    }
}
