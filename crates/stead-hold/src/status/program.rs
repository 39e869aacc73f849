//! The Program Status Protocol (OSC 7501, revision 0.4): a program says itself whether it works, rests or is blocked on
//! a person.
//!
//! A report is `key=value` pairs between colons: `state=blocked:kind=permission:app=codex:msg=BASE64`. Reports with an `id`
//! are about parts of the program and do not decide the state of the whole.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stead_wire::status::State;

/// Longest report, in bytes.
const LONGEST: usize = 4096;

/// What a report says of the whole program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Its state, with words for a person.
    State {
        state: State,
        /// It ends with the program that sent it: `working` and `blocked` do, the others are results.
        transient: bool,
        detail: String,
    },
    /// It takes back what it said.
    Clear,
}

/// Reads what follows `7501;`. `None` for a report that the protocol would discard, and for one about a part.
pub(super) fn parse(body: &str) -> Option<Report> {
    if body.len() > LONGEST {
        return None;
    }
    let fields: Option<Vec<(&str, &str)>> =
        body.split(':').map(|pair| pair.split_once('=')).collect();
    let fields = fields?;
    let find = |key: &str| fields.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
    if find("id").is_some() {
        return None;
    }
    let word = find("state")?;
    let (state, transient) = match word {
        "working" => (State::Running, true),
        "blocked" => (State::Waiting, true),
        "idle" | "done" | "error" => (State::Idle, false),
        "clear" => return Some(Report::Clear),
        _ => return None,
    };
    let mut detail = format!("{} reports {word}", find("app").unwrap_or("the program"));
    if let Some(kind) = find("kind").filter(|_| word == "blocked") {
        detail.push_str(" on ");
        detail.push_str(kind);
    }
    let message = find("msg").and_then(|m| STANDARD.decode(m).ok());
    if let Some(text) = message.and_then(|bytes| String::from_utf8(bytes).ok()) {
        detail.push_str(": ");
        detail.push_str(&text);
    }
    Some(Report::State { state, transient, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(body: &str) -> (State, String) {
        match parse(body) {
            Some(Report::State { state, detail, .. }) => (state, detail),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn reports_of_real_programs() {
        let (state, text) = detail("state=blocked:app=codex:kind=permission");
        assert_eq!((state, text.as_str()), (State::Waiting, "codex reports blocked on permission"));
        let (state, text) = detail("state=working:app=codex:later=x");
        assert_eq!((state, text.as_str()), (State::Running, "codex reports working"));
        assert_eq!(detail("state=done").0, State::Idle);
        let (_, text) = detail("state=blocked:kind=question:app=t:msg=QXBwbHk/");
        assert_eq!(text, "t reports blocked on question: Apply?");
        assert_eq!(parse("state=clear"), Some(Report::Clear));
    }

    #[test]
    fn what_the_protocol_discards() {
        let long = format!("state=idle:msg={}", "A".repeat(5000));
        for body in [
            "",
            "?",
            "state=busy",
            "state",
            "app=x",
            "state=idle:oops",
            "state=working:id=a/b",
            &long,
        ] {
            assert_eq!(parse(body), None, "{body:.40}");
        }
    }
}
