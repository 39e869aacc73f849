//! What the steward says to the bridge inside a machine, and what the bridge says back.
//!
//! One stream carries everything: questions with their answers, events, and *channels*, each of them a connection
//! to one hold or the streams of one command. Both sides open with a hello. A frame of an unknown kind is skipped, a
//! question that is not known is answered with an error.
//!
//! Channels have credit: a side may send [`WINDOW`] bytes, and as many again as the other says it has passed on. So a
//! client that does not read holds up its own channel and nothing else.
//!
//! Whoever has the machine has the bridge: the steward believes nothing that comes from it without looking. What
//! may name a file or a session is checked by [`check_id`] and [`file_path`].

use crate::WireError;
use crate::frame::{self, Frame};
use crate::handshake::Versions;
use crate::session::{AgentReport, Conversation, Exit, Run, Size, Spec};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The versions of this protocol that this build speaks.
pub const SPOKEN: Versions = Versions { min: 1, max: 1 };

/// Bytes that may be sent on a channel before the other side has passed any on.
pub const WINDOW: usize = 256 * 1024;

/// Most bytes of a channel in one frame, so that channels take turns.
pub const MAX_DATA: usize = 32 * 1024;

/// Largest frame that a bridge sends, in bytes.
pub const MAX_MESSAGE: usize = 512 * 1024;

/// Most bytes of a file in one answer.
pub const MAX_READ: usize = 256 * 1024;

/// The steward's first words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Protocol versions that it speaks.
    pub speaks: Versions,
    /// Its program and version, for logs.
    #[serde(default)]
    pub program: String,
}

/// The bridge's first words: what the machine is like inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Protocol versions that it speaks.
    pub speaks: Versions,
    /// Its program and version, for logs.
    #[serde(default)]
    pub program: String,
    /// Where sessions lie.
    pub data: PathBuf,
    /// Where sockets lie.
    pub runtime: PathBuf,
    /// The program that hands an agent's hook to its hold, with its arguments.
    pub hook: Vec<String>,
    /// The user id that sessions run as.
    pub uid: u32,
    /// That user's home, or `/` if it is not there.
    pub home: PathBuf,
    /// The environment that the machine gives its sessions.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// A question or request to a bridge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    /// Every session: an [`Event::Session`] for each, then an empty answer.
    List,
    /// Begin a session's next life. Answered with a [`Run`] once its command runs.
    Start(Box<Start>),
    /// Connect a channel to a session's hold.
    Open {
        /// The session.
        id: String,
        /// The channel's number, chosen by the steward and never used twice.
        channel: u32,
    },
    /// The files of a session's folder: a list of [`FileStat`].
    Stat {
        /// The session.
        id: String,
    },
    /// A piece of a file: answered with bytes, fewer than asked for only at its end.
    Read {
        /// The session.
        id: String,
        /// The file, as [`file_path`] knows it.
        file: String,
        /// Where the piece begins.
        offset: u64,
        /// Its length, at most [`MAX_READ`].
        len: usize,
    },
    /// The CRC-32 of the first bytes of a file, to compare a copy with.
    Sum {
        /// The session.
        id: String,
        /// The file, as [`file_path`] knows it.
        file: String,
        /// How many bytes.
        len: u64,
    },
    /// Remove a session that does not live, with its history.
    Remove {
        /// The session.
        id: String,
    },
    /// Give a session another name.
    Rename {
        /// The session.
        id: String,
        /// The name.
        name: String,
    },
    /// Have a hold put its socket back.
    Mend {
        /// The session.
        id: String,
    },
    /// Send a signal to a session's hold itself.
    Signal {
        /// The session.
        id: String,
        /// The signal's number.
        signal: i32,
    },
    /// Whether one of these paths leads to something; `*` stands for any part of a name. Answered with true, false, or
    /// nothing where it could not be looked up.
    Exists {
        /// Absolute paths.
        patterns: Vec<String>,
    },
    /// Run a command with channels for its streams. Answered once it runs; [`Event::Ended`] tells of its end.
    Exec(Box<Exec>),
    /// The terminal of such a command has another size.
    Resize {
        /// The command's channel.
        channel: u32,
        /// The size.
        size: Size,
    },
}

/// A session's next life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The session, with paths as they are inside.
    pub spec: Spec,
    /// Files to write into its folder first.
    #[serde(default)]
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A command to run inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// The channel of its standard input and output.
    pub channel: u32,
    /// The channel of its standard error; not used with a terminal.
    pub errors: u32,
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// Environment beside what the machine gives.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Folder to start in; the home if absent.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// The size of its terminal, if it gets one.
    #[serde(default)]
    pub terminal: Option<Size>,
}

/// A question with the number that its answer will carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Chosen by the steward.
    pub id: u32,
    /// The question.
    pub ask: Ask,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's number.
    pub id: u32,
    /// What was asked for.
    #[serde(default)]
    pub ok: Value,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A file of a session's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Its name, as [`file_path`] knows it.
    pub file: String,
    /// Its length in bytes.
    pub len: u64,
}

/// A session as its folder inside describes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// The session.
    pub id: String,
    /// Whether its hold runs.
    pub alive: bool,
    /// Whether its hold's socket is there.
    pub listens: bool,
    /// Its present or last life.
    pub run: Option<Run>,
    /// How that ended.
    pub exit: Option<Exit>,
    /// The agent's conversation.
    pub conversation: Option<Conversation>,
    /// What the agent reported.
    pub report: Option<AgentReport>,
}

/// Something happened inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[allow(clippy::large_enum_variant)]
pub enum Event {
    /// A session is there, or is as described now.
    Session {
        /// All of it.
        session: Note,
    },
    /// A session's folder is gone.
    Gone {
        /// The session.
        id: String,
    },
    /// A command that [`Ask::Exec`] started has ended; what it printed has been sent.
    Ended {
        /// Its channel.
        channel: u32,
        /// Its exit status, if it ended by itself.
        #[serde(default)]
        code: Option<i32>,
        /// The signal that ended it.
        #[serde(default)]
        signal: Option<i32>,
    },
}

/// From the steward to a bridge.
#[derive(Debug, Clone, PartialEq)]
pub enum ToBridge<'a> {
    /// First words.
    Hello(Hello),
    /// A question.
    Ask(Asked),
    /// Bytes, credit or an end of a channel.
    Channel(u32, Move<'a>),
}

/// From a bridge to the steward.
#[derive(Debug, Clone, PartialEq)]
pub enum FromBridge<'a> {
    /// First words.
    Inside(Inside),
    /// An answer.
    Answer(Answer),
    /// An answer that is bytes.
    Bytes(u32, &'a [u8]),
    /// Something happened.
    Event(Event),
    /// Bytes, credit or an end of a channel.
    Channel(u32, Move<'a>),
}

/// What happens on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// So many bytes have been passed on.
    Credit(u32),
    /// No more bytes will come this way.
    End,
    /// The channel is closed, and why.
    Close(&'a str),
}

/// Frame kinds. The steward uses 1 to 63, the bridge 128 to 191, both use 64 to 127.
pub mod kind {
    #![allow(missing_docs)]
    pub const HELLO: u8 = 1;
    pub const ASK: u8 = 2;
    pub const DATA: u8 = 64;
    pub const CREDIT: u8 = 65;
    pub const END: u8 = 66;
    pub const CLOSE: u8 = 67;
    pub const INSIDE: u8 = 128;
    pub const ANSWER: u8 = 129;
    pub const BYTES: u8 = 130;
    pub const EVENT: u8 = 131;
}

fn json<T: Serialize>(out: &mut Vec<u8>, kind: u8, value: &T) {
    let text = serde_json::to_vec(value).expect("messages hold nothing that JSON cannot");
    frame::put(out, kind, &[&text]);
}

fn read<T: DeserializeOwned>(kind: &'static str, payload: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(payload).map_err(|source| WireError::Json { kind, source })
}

fn number<'a>(kind: &'static str, payload: &'a [u8]) -> Result<(u32, &'a [u8]), WireError> {
    let short = || WireError::Short { kind, len: payload.len() };
    let (word, rest) = payload.split_first_chunk::<4>().ok_or_else(short)?;
    Ok((u32::from_le_bytes(*word), rest))
}

impl<'a> Move<'a> {
    /// Appends the frame.
    pub fn put(&self, out: &mut Vec<u8>, channel: u32) {
        let channel = channel.to_le_bytes();
        match self {
            Move::Data(bytes) => frame::put(out, kind::DATA, &[&channel, bytes]),
            Move::Credit(n) => frame::put(out, kind::CREDIT, &[&channel, &n.to_le_bytes()]),
            Move::End => frame::put(out, kind::END, &[&channel]),
            Move::Close(why) => frame::put(out, kind::CLOSE, &[&channel, why.as_bytes()]),
        }
    }

    fn read(frame: Frame<'a>) -> Result<Option<(u32, Self)>, WireError> {
        if !(kind::DATA..=kind::CLOSE).contains(&frame.kind) {
            return Ok(None);
        }
        let (channel, rest) = number("channel", frame.payload)?;
        let what = match frame.kind {
            kind::DATA => Move::Data(rest),
            kind::CREDIT => Move::Credit(number("credit", rest)?.0),
            kind::END => Move::End,
            _ => Move::Close(std::str::from_utf8(rest).unwrap_or_default()),
        };
        Ok(Some((channel, what)))
    }
}

impl<'a> ToBridge<'a> {
    /// Appends the frame.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            ToBridge::Hello(hello) => json(out, kind::HELLO, hello),
            ToBridge::Ask(asked) => json(out, kind::ASK, asked),
            ToBridge::Channel(channel, what) => what.put(out, *channel),
        }
    }

    /// Reads a frame; `None` for a kind that is not known.
    ///
    /// # Errors
    /// If a known kind cannot be read. A question of a later version is not an error of the stream: see
    /// [`unknown_question`].
    pub fn read(frame: Frame<'a>) -> Result<Option<Self>, WireError> {
        Ok(Some(match frame.kind {
            kind::HELLO => ToBridge::Hello(read("hello", frame.payload)?),
            kind::ASK => ToBridge::Ask(read("ask", frame.payload)?),
            _ => return Ok(Move::read(frame)?.map(|(channel, what)| Self::Channel(channel, what))),
        }))
    }
}

/// The number of a question that this build does not know, so that it can be refused.
pub fn unknown_question(frame: Frame<'_>) -> Option<u32> {
    #[derive(Deserialize)]
    struct Number {
        id: u32,
    }
    (frame.kind == kind::ASK)
        .then(|| serde_json::from_slice::<Number>(frame.payload).ok())
        .flatten()
        .map(|number| number.id)
}

impl<'a> FromBridge<'a> {
    /// Appends the frame.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            FromBridge::Inside(inside) => json(out, kind::INSIDE, inside),
            FromBridge::Answer(answer) => json(out, kind::ANSWER, answer),
            FromBridge::Bytes(id, bytes) => {
                frame::put(out, kind::BYTES, &[&id.to_le_bytes(), bytes]);
            }
            FromBridge::Event(event) => json(out, kind::EVENT, event),
            FromBridge::Channel(channel, what) => what.put(out, *channel),
        }
    }

    /// Reads a frame; `None` for a kind, or an event, that is not known.
    ///
    /// # Errors
    /// If a known kind cannot be read.
    pub fn read(frame: Frame<'a>) -> Result<Option<Self>, WireError> {
        Ok(Some(match frame.kind {
            kind::INSIDE => FromBridge::Inside(read("inside", frame.payload)?),
            kind::ANSWER => FromBridge::Answer(read("answer", frame.payload)?),
            kind::BYTES => {
                let (id, bytes) = number("bytes", frame.payload)?;
                FromBridge::Bytes(id, bytes)
            }
            kind::EVENT => match read("event", frame.payload) {
                Ok(event) => FromBridge::Event(event),
                // An event of a later version is JSON all the same.
                Err(e) => {
                    return read::<Value>("event", frame.payload).map(|_| None).map_err(|_| e);
                }
            },
            _ => return Ok(Move::read(frame)?.map(|(channel, what)| Self::Channel(channel, what))),
        }))
    }
}

/// Whether `id` is formed as the id of a session: 14 lower-case letters and digits.
pub fn check_id(id: &str) -> bool {
    id.len() == 14 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Where a file that may be read from outside lies below its session's folder; `None` for any other name. A segment
/// of the history is known by its own name.
pub fn file_path(file: &str) -> Option<String> {
    const FILES: [&str; 8] = [
        "spec.json",
        "run.json",
        "conversation.json",
        "exit.json",
        "report.json",
        "screen.ansi",
        "name",
        "env.json",
    ];
    if FILES.contains(&file) {
        return Some(file.to_owned());
    }
    is_segment(file).then(|| format!("history/{file}"))
}

/// Whether a file is a segment of the history, by its name.
pub fn is_segment(file: &str) -> bool {
    file.strip_suffix(".seg")
        .is_some_and(|n| n.len() == 16 && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Decoder;

    #[test]
    fn what_is_put_is_read() {
        let mut bytes = Vec::new();
        let asked = Asked { id: 7, ask: Ask::Stat { id: "x".into() } };
        ToBridge::Ask(asked.clone()).put(&mut bytes);
        ToBridge::Channel(3, Move::Data(b"abc")).put(&mut bytes);
        ToBridge::Channel(3, Move::Close("why")).put(&mut bytes);
        FromBridge::Bytes(9, b"xyz").put(&mut bytes);
        let event = Event::Ended { channel: 1, code: Some(3), signal: None };
        FromBridge::Event(event.clone()).put(&mut bytes);
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        let mut next = || decoder.next_frame().unwrap().unwrap().payload.to_vec();
        let frame = |kind, payload| Frame { kind, payload };
        let ask = next();
        assert_eq!(ToBridge::read(frame(kind::ASK, &ask)).unwrap(), Some(ToBridge::Ask(asked)));
        let data = next();
        assert_eq!(
            ToBridge::read(frame(kind::DATA, &data)).unwrap(),
            Some(ToBridge::Channel(3, Move::Data(b"abc")))
        );
        let close = next();
        assert_eq!(
            FromBridge::read(frame(kind::CLOSE, &close)).unwrap(),
            Some(FromBridge::Channel(3, Move::Close("why")))
        );
        let data = next();
        assert_eq!(
            FromBridge::read(frame(kind::BYTES, &data)).unwrap(),
            Some(FromBridge::Bytes(9, b"xyz"))
        );
        let told = next();
        assert_eq!(
            FromBridge::read(frame(kind::EVENT, &told)).unwrap(),
            Some(FromBridge::Event(event))
        );
    }

    #[test]
    fn what_a_later_version_says_is_skipped_or_refused() {
        let frame = |kind, payload| Frame { kind, payload };
        assert_eq!(ToBridge::read(frame(50, b"?")).unwrap(), None);
        let event = frame(kind::EVENT, br#"{"event":"moon","phase":3}"#);
        assert_eq!(FromBridge::read(event).unwrap(), None);
        assert!(FromBridge::read(frame(kind::EVENT, b"{")).is_err());
        let ask = frame(kind::ASK, br#"{"id":4,"ask":{"ask":"dance"}}"#);
        assert!(ToBridge::read(ask).is_err());
        assert_eq!(unknown_question(ask), Some(4));
        assert!(FromBridge::read(frame(kind::DATA, b"abc")).is_err());
    }

    #[test]
    fn names_that_lead_elsewhere_are_no_names() {
        for good in ["spec.json", "screen.ansi", "0000000000000000.seg"] {
            assert!(file_path(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "..",
            "../spec.json",
            "/etc/passwd",
            "history/0000000000000000.seg",
            "lock",
            "000000000000000/.seg",
            "00000000000000000.seg",
            "spec.json/",
            "spec.json\0",
        ] {
            assert_eq!(file_path(bad), None, "{bad}");
        }
        assert!(check_id("01k8x2m3n4p5q6"));
        for bad in ["", "..", "01k8x2m3n4p5q/", "01K8X2M3N4P5Q6", "01k8x2m3n4p5q6a"] {
            assert!(!check_id(bad), "{bad}");
        }
    }
}
