//! What a program tells its terminal to tell the person.

/// A mark that a shell with integration puts into its output (OSC 133).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptMark {
    /// A: the prompt begins.
    Prompt,
    /// B: the prompt is over, the person types.
    Input,
    /// C: a command runs.
    Output,
    /// D: the command is over, with its exit status where the shell says.
    Done(Option<i32>),
}

/// What a program told its terminal, other than what to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The title changed.
    Title(String),
    /// The bell rang.
    Bell,
    /// A notification: OSC 9, OSC 99 or OSC 777.
    Notify {
        /// Empty if there is none.
        title: String,
        /// The text.
        body: String,
    },
    /// Progress: OSC 9;4.
    Progress {
        /// 0 none, 1 normal, 2 error, 3 without end, 4 paused.
        state: u8,
        /// 0 to 100.
        percent: u8,
    },
    /// A mark of the shell.
    Prompt(PromptMark),
    /// A report of the Program Status Protocol (OSC 7501): what follows the number. Its query `?` is answered
    /// by the terminal and is no signal.
    ProgramStatus(String),
    /// The folder that the program says it is in (OSC 7), a path or a `file:` URL as it was sent.
    Cwd(String),
}

/// Longest text of a signal, in characters.
const MAX_TEXT: usize = 2048;

/// The signal in an operating system command, if there is one.
pub fn of_command(number: &[u8], rest: &[&[u8]]) -> Option<Signal> {
    match number {
        b"7" => Some(Signal::Cwd(text(&rest.join(&b';')))),
        b"9" => match rest {
            [b"4", state, percent @ ..] => {
                let percent = percent.first().map_or(0, |p| number_in(p).unwrap_or(0)).min(100);
                let state = number_in(state).filter(|state| *state <= 4)?;
                Some(Signal::Progress { state: state as u8, percent: percent as u8 })
            }
            // ConEmu's other commands: a small number, then parameters.
            [command, _, ..] if command.len() <= 2 && number_in(command).is_some() => None,
            _ => Some(Signal::Notify { title: String::new(), body: text(&rest.join(&b';')) }),
        },
        b"99" => kitty(rest),
        b"7501" if rest != [b"?"] => Some(Signal::ProgramStatus(text(&rest.join(&b';')))),
        b"133" => prompt(rest).map(Signal::Prompt),
        b"777" => match rest {
            [b"notify", title, body @ ..] => {
                Some(Signal::Notify { title: text(title), body: text(&body.join(&b';')) })
            }
            _ => None,
        },
        _ => None,
    }
}

/// kitty's notification: metadata as `key=value` separated by colons, then the payload.
fn kitty(rest: &[&[u8]]) -> Option<Signal> {
    let (metadata, payload) = rest.split_first()?;
    let value = |key: u8| {
        metadata.split(|b| *b == b':').find_map(|part| part.strip_prefix(&[key, b'='][..]))
    };
    if payload.is_empty() || value(b'e') == Some(b"1") {
        return None;
    }
    let payload = text(&payload.join(&b';'));
    match value(b'p').unwrap_or(b"title") {
        b"title" | b"body" => Some(Signal::Notify { title: String::new(), body: payload }),
        _ => None,
    }
}

fn prompt(rest: &[&[u8]]) -> Option<PromptMark> {
    match rest {
        [b"A", ..] => Some(PromptMark::Prompt),
        [b"B", ..] => Some(PromptMark::Input),
        [b"C", ..] => Some(PromptMark::Output),
        [b"D", parameters @ ..] => {
            let code = parameters.first().and_then(|code| text(code).parse().ok());
            Some(PromptMark::Done(code))
        }
        _ => None,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

fn number_in(bytes: &[u8]) -> Option<u32> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(command: &str) -> Option<Signal> {
        let params: Vec<&[u8]> = command.split(';').map(str::as_bytes).collect();
        of_command(params[0], &params[1..])
    }

    #[test]
    fn commands_that_are_signals() {
        let notify = |title: &str, body: &str| {
            Some(Signal::Notify { title: title.into(), body: body.into() })
        };
        let progress = |state, percent| Some(Signal::Progress { state, percent });
        for (command, expected) in [
            ("9;done; all of it", notify("", "done; all of it")),
            ("9;4;1;42", progress(1, 42)),
            ("9;4;0", progress(0, 0)),
            ("9;4;3", progress(3, 0)),
            ("9;4;9;1", None),
            ("9;1;100", None),
            ("99;i=1:d=0;hello", notify("", "hello")),
            ("99;i=1:p=body;there", notify("", "there")),
            ("99;i=1:p=?;", None),
            ("777;notify;build;ok;really", notify("build", "ok;really")),
            ("777;other;x", None),
            ("133;A", Some(Signal::Prompt(PromptMark::Prompt))),
            ("133;B", Some(Signal::Prompt(PromptMark::Input))),
            ("133;C;cmd", Some(Signal::Prompt(PromptMark::Output))),
            ("133;D", Some(Signal::Prompt(PromptMark::Done(None)))),
            ("133;D;130;x=1", Some(Signal::Prompt(PromptMark::Done(Some(130))))),
            ("7;file://host/tmp", Some(Signal::Cwd("file://host/tmp".into()))),
            ("1337;x", None),
        ] {
            assert_eq!(signal(command), expected, "{command}");
        }
    }
}
