//! What comes out of a machine is somebody else's word: here it is cut to what this host can bear.

use stead_wire::bridge::Note;
use stead_wire::session::{AgentReport, Conversation, Exit, Run, Session, check_name};
use stead_wire::status::Status;

/// Longest title, sentence or id taken over, in characters.
const LINE: usize = 1000;
/// Longest result of an agent taken over, in characters.
const RESULT: usize = 64 * 1024;

/// One line of at most `max` characters.
pub fn line(text: &str, max: usize) -> String {
    crate::error::one_line(&text.chars().take(max).collect::<String>())
}

fn cut(text: &mut String, max: usize) {
    if let Some((at, _)) = text.char_indices().nth(max) {
        text.truncate(at);
    }
}

/// A life inside, marked as one: its process numbers mean nothing on this host, and nobody must find them there.
pub fn run(machine: &str, mut run: Run) -> Run {
    let boot: String = run.boot.chars().filter(char::is_ascii_graphic).take(64).collect();
    run.boot = format!("{machine}/{boot}");
    run
}

fn exit(exit: &mut Exit) {
    if let Some(why) = &mut exit.failed {
        *why = line(why, LINE);
    }
}

fn conversation(conversation: Conversation) -> Option<Conversation> {
    let Conversation { id, source, learned } = conversation;
    // It becomes a word of a command line inside.
    let plain = (1..=200).contains(&id.len()) && id.chars().all(|c| !c.is_control());
    (plain && !id.starts_with('-')).then(|| Conversation { id, source: line(&source, 20), learned })
}

fn report(report: &mut AgentReport) {
    if let Some(result) = &mut report.result {
        cut(result, RESULT);
    }
    if let Some(model) = &mut report.model {
        *model = line(model, 100);
    }
}

/// What a bridge says of a session.
pub fn note(machine: &str, mut note: Note) -> Note {
    note.run = note.run.map(|it| run(machine, it));
    note.exit.as_mut().map(exit);
    note.conversation = note.conversation.and_then(conversation);
    note.report.as_mut().map(report);
    note
}

/// A status that a hold inside told.
pub fn status(status: &mut Status) {
    status.detail = line(&status.detail, LINE);
}

/// What a hold inside says of its session: what the steward knows itself stays as it is.
pub fn session(known: &Session, said: Session) -> Session {
    let mut session = Session {
        machine: known.machine.clone(),
        agent: known.agent.clone(),
        command: known.command.clone(),
        cwd: known.cwd.clone(),
        restart: known.restart,
        created: known.created,
        size: said.size.clamped(),
        title: line(&said.title, LINE),
        conversation: said
            .conversation
            .and_then(conversation)
            .or_else(|| known.conversation.clone()),
        warning: said.warning.map(|text| line(&text, LINE)),
        ..said
    };
    status(&mut session.status);
    session.exit.as_mut().map(exit);
    session.report.as_mut().map(report);
    session
}

/// A name for a session that was made inside.
pub fn name(name: &str, id: &str, taken: impl Fn(&str) -> bool) -> String {
    if check_name(name).is_ok() && !taken(name) {
        return name.to_owned();
    }
    format!("session-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_inside_is_no_process_of_this_host() {
        let hold = std::process::id() as i32;
        let own = Run {
            hold,
            hold_start: stead_hold::launch::start_time(hold).unwrap(),
            boot: stead_hold::launch::boot_id().unwrap(),
            pid: 1,
            started: 1,
            life: 1,
        };
        assert!(stead_hold::launch::alive(&own));
        assert!(!stead_hold::launch::alive(&run("box", own)));
    }

    #[test]
    fn long_and_odd_texts_are_cut() {
        let exit = Exit {
            code: None,
            signal: None,
            at: 1,
            by: stead_wire::session::EndedBy::Lost,
            failed: Some("x\n\u{1b}[2J".repeat(9999)),
        };
        let id = |id: &str| Conversation { id: id.into(), source: "hook".into(), learned: 1 };
        let note =
            note("box", Note { exit: Some(exit), conversation: Some(id("-x")), ..Note::default() });
        let failed = note.exit.unwrap().failed.unwrap();
        assert!(failed.len() <= LINE && !failed.contains(['\n', '\u{1b}']));
        assert_eq!(note.conversation, None);
        assert!(conversation(id("a-b")).is_some() && conversation(id("a\nb")).is_none());
        assert_eq!(name("../x", "01", |_| false), "session-01");
        assert_eq!(name("a", "01", |n| n == "a"), "session-01");
    }
}
