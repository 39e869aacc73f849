//! What a client says to a hold, and what the hold says back.
//!
//! A client opens with [`Hello`]. An attaching client then gets [`ToClient::Welcome`] and either the output it
//! missed ([`ToClient::Output`] from the offset it named) or a [`ToClient::Repaint`], and from then on output as it
//! is printed. Offsets count the bytes that the session has printed over all its lives.
//!
//! Output is what the program wrote. The hold has already answered the questions in it (device
//! attributes, cursor reports, colours), so a client must not: it takes them out before its terminal
//! sees them.

use crate::WireError;
use crate::frame::{self, Frame};
use crate::handshake::Versions;
use crate::session::{Exit, Size};
use crate::status::Status;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// First words of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Protocol versions that the client speaks.
    pub speaks: Versions,
    /// The client's program and version, for logs.
    #[serde(default)]
    pub client: String,
    /// What it came for.
    pub purpose: Purpose,
}

/// What a client came for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "as")]
pub enum Purpose {
    /// To show the session and type into it.
    Attach(Attach),
    /// To ask with [`Ask`] frames, and no more.
    Control,
    /// To be told of every change of status, and of the end; may ask too.
    Watch,
}

/// How a client attaches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attach {
    /// The client's own terminal.
    pub size: Size,
    /// Whether it only looks.
    pub read_only: bool,
    /// Whether the session takes this client's size; ignored when it only looks.
    pub take_size: bool,
    /// Offset after the last byte of output that the client has seen.
    pub resume: Option<u64>,
    /// How many lines from before the screen it wants first.
    pub scrollback: u32,
    /// The terminal's own colours, so that programs that ask are told the truth.
    pub colors: Option<Colors>,
}

/// Colours of a client's terminal, as `[red, green, blue]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Colors {
    /// Text.
    pub foreground: Option<[u8; 3]>,
    /// Behind the text.
    pub background: Option<[u8; 3]>,
}

/// The hold's answer to a hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that both speak from here on.
    pub version: u32,
    /// The session's id.
    pub id: String,
    /// The session's name.
    pub name: String,
    /// The session's size now.
    pub size: Size,
    /// Whether this client owns the size.
    pub owner: bool,
    /// Bytes printed so far.
    pub output: u64,
}

/// The session's size, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeNote {
    /// The session's size.
    pub size: Size,
    /// Whether the receiver owns it.
    pub owner: bool,
}

/// Why the hold closes the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {
    /// One of `version`, `protocol`, `detached`, `replaced`, `ended`.
    pub reason: String,
    /// A sentence for a person.
    pub text: String,
}

/// A note for the person at an attached terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Title, a few words.
    pub title: String,
    /// One line.
    pub body: String,
}

/// A question or request to a hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    /// Everything known: answered with a [`crate::session::Session`].
    Info,
    /// The evidence behind the status: a list of [`crate::status::Evidence`].
    Explain,
    /// What is on the screen: answered with a [`Screen`].
    Screen {
        /// `text`, `ansi` or `json`.
        format: String,
    },
    /// Type into the session, answered once the terminal has taken it all.
    Type {
        /// Bytes; text is UTF-8.
        bytes: Vec<u8>,
    },
    /// Answered once everything that this client typed before has reached the terminal.
    Barrier,
    /// Send a signal to the foreground process group, or end the session.
    Kill {
        /// Signal number; 0 hangs up, and kills what is left after a while.
        signal: i32,
        /// Whether a person asked: such a session is never started again by itself.
        by_person: bool,
    },
    /// A hook of the agent has fired.
    Hook {
        /// The event's payload as the agent gave it.
        payload: Value,
    },
    /// Take the size over.
    TakeSize {
        /// The client's terminal.
        size: Size,
    },
    /// The session has another name now.
    Rename {
        /// The name.
        name: String,
    },
    /// Show a note at every attached terminal.
    Notify(Note),
    /// The exit status has been read: the hold may go.
    Ack,
    /// Write everything held back to disk now.
    Flush,
}

/// What is on a session's screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Screen {
    /// The size.
    pub size: Size,
    /// The screen in the format asked for: lines of text, or escape sequences that paint it.
    pub content: String,
    /// Cursor column, from 0.
    pub cursor_col: u16,
    /// Cursor row, from 0.
    pub cursor_row: u16,
    /// Whether the cursor shows.
    pub cursor_visible: bool,
    /// Whether the alternate screen is shown.
    pub alternate: bool,
    /// The title.
    pub title: String,
    /// Offset of the output that the screen reflects.
    pub offset: u64,
    /// Cells with attributes, for the `json` format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<Value>,
}

/// A question with the number that its answer will carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Chosen by the client.
    pub id: u32,
    /// The question.
    #[serde(flatten)]
    pub ask: Ask,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's number.
    pub id: u32,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Value>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// From a client to a hold.
#[derive(Debug, Clone, PartialEq)]
pub enum ToHold {
    /// First words.
    Hello(Hello),
    /// Typed bytes, passed on as one piece.
    Input(Vec<u8>),
    /// The client's terminal has another size.
    Resize(Size),
    /// The client leaves.
    Detach,
    /// A question.
    Ask(Asked),
}

/// From a hold to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ToClient {
    /// The answer to a hello.
    Welcome(Welcome),
    /// Output that begins at `offset`.
    Output {
        /// Offset of the first byte.
        offset: u64,
        /// What the program wrote.
        bytes: Vec<u8>,
    },
    /// Escape sequences that put the client's terminal into the state that the session had at `offset`.
    Repaint {
        /// Offset that the screen reflects.
        offset: u64,
        /// The escape sequences.
        bytes: Vec<u8>,
    },
    /// The size has changed, or its owner.
    Size(SizeNote),
    /// The status has changed.
    Status(Status),
    /// The session has ended.
    Exited(Exit),
    /// An answer.
    Answer(Answer),
    /// The hold closes the connection.
    Bye(Bye),
    /// A note for the person.
    Note(Note),
}

/// Frame kinds. Clients use 1 to 127, holds 128 to 255.
pub mod kind {
    #![allow(missing_docs)]
    pub const HELLO: u8 = 1;
    pub const INPUT: u8 = 2;
    pub const RESIZE: u8 = 3;
    pub const DETACH: u8 = 4;
    pub const ASK: u8 = 5;
    pub const WELCOME: u8 = 129;
    pub const OUTPUT: u8 = 130;
    pub const REPAINT: u8 = 131;
    pub const SIZE: u8 = 132;
    pub const STATUS: u8 = 133;
    pub const EXITED: u8 = 134;
    pub const ANSWER: u8 = 135;
    pub const BYE: u8 = 136;
    pub const NOTE: u8 = 137;
}

fn json<T: Serialize>(out: &mut Vec<u8>, kind: u8, value: &T) {
    let text = serde_json::to_vec(value).expect("messages hold nothing that JSON cannot");
    frame::put(out, kind, &[&text]);
}

fn read<T: DeserializeOwned>(kind: &'static str, payload: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(payload).map_err(|source| WireError::Json { kind, source })
}

fn split_offset<'a>(kind: &'static str, payload: &'a [u8]) -> Result<(u64, &'a [u8]), WireError> {
    let (offset, bytes) =
        payload.split_first_chunk::<8>().ok_or(WireError::Short { kind, len: payload.len() })?;
    Ok((u64::from_le_bytes(*offset), bytes))
}

impl ToHold {
    /// Appends the message to `out` as one frame.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            ToHold::Hello(hello) => json(out, kind::HELLO, hello),
            ToHold::Input(bytes) => frame::put(out, kind::INPUT, &[bytes]),
            ToHold::Resize(size) => json(out, kind::RESIZE, size),
            ToHold::Detach => frame::put(out, kind::DETACH, &[]),
            ToHold::Ask(asked) => json(out, kind::ASK, asked),
        }
    }

    /// Reads a frame. `None`: a kind from a later version, to be skipped.
    ///
    /// # Errors
    /// If the payload is not what its kind promises.
    pub fn read(frame: Frame<'_>) -> Result<Option<Self>, WireError> {
        Ok(Some(match frame.kind {
            kind::HELLO => ToHold::Hello(read("hello", frame.payload)?),
            kind::INPUT => ToHold::Input(frame.payload.to_vec()),
            kind::RESIZE => ToHold::Resize(read("resize", frame.payload)?),
            kind::DETACH => ToHold::Detach,
            kind::ASK => ToHold::Ask(read("ask", frame.payload)?),
            _ => return Ok(None),
        }))
    }
}

impl ToClient {
    /// Appends the message to `out` as one frame.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            ToClient::Welcome(welcome) => json(out, kind::WELCOME, welcome),
            ToClient::Output { offset, bytes } => put_output(out, *offset, bytes),
            ToClient::Repaint { offset, bytes } => {
                frame::put(out, kind::REPAINT, &[&offset.to_le_bytes(), bytes]);
            }
            ToClient::Size(note) => json(out, kind::SIZE, note),
            ToClient::Status(status) => json(out, kind::STATUS, status),
            ToClient::Exited(exit) => json(out, kind::EXITED, exit),
            ToClient::Answer(answer) => json(out, kind::ANSWER, answer),
            ToClient::Bye(bye) => json(out, kind::BYE, bye),
            ToClient::Note(note) => json(out, kind::NOTE, note),
        }
    }

    /// Reads a frame. `None`: a kind from a later version, to be skipped.
    ///
    /// # Errors
    /// If the payload is not what its kind promises.
    pub fn read(frame: Frame<'_>) -> Result<Option<Self>, WireError> {
        Ok(Some(match frame.kind {
            kind::WELCOME => ToClient::Welcome(read("welcome", frame.payload)?),
            kind::OUTPUT => {
                let (offset, bytes) = split_offset("output", frame.payload)?;
                ToClient::Output { offset, bytes: bytes.to_vec() }
            }
            kind::REPAINT => {
                let (offset, bytes) = split_offset("repaint", frame.payload)?;
                ToClient::Repaint { offset, bytes: bytes.to_vec() }
            }
            kind::SIZE => ToClient::Size(read("size", frame.payload)?),
            kind::STATUS => ToClient::Status(read("status", frame.payload)?),
            kind::EXITED => ToClient::Exited(read("exited", frame.payload)?),
            kind::ANSWER => ToClient::Answer(read("answer", frame.payload)?),
            kind::BYE => ToClient::Bye(read("bye", frame.payload)?),
            kind::NOTE => ToClient::Note(read("note", frame.payload)?),
            _ => return Ok(None),
        }))
    }
}

/// Appends an output frame without first owning the bytes.
pub fn put_output(out: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    frame::put(out, kind::OUTPUT, &[&offset.to_le_bytes(), bytes]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Decoder;
    use proptest::prelude::*;

    fn through(message: &ToHold) -> ToHold {
        let mut bytes = Vec::new();
        message.put(&mut bytes);
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        ToHold::read(decoder.next_frame().unwrap().unwrap()).unwrap().unwrap()
    }

    #[test]
    fn questions_come_back_as_they_went() {
        for ask in [
            Ask::Info,
            Ask::Screen { format: "text".into() },
            Ask::Type { bytes: vec![0, 255, 10] },
            Ask::Kill { signal: 15, by_person: true },
            Ask::Hook { payload: serde_json::json!({"hook_event_name": "Stop"}) },
            Ask::Notify(Note { title: "t".into(), body: "b".into() }),
        ] {
            let message = ToHold::Ask(Asked { id: 7, ask });
            assert_eq!(through(&message), message);
        }
    }

    #[test]
    fn a_kind_of_a_later_version_is_skipped() {
        assert_eq!(ToHold::read(Frame { kind: 99, payload: b"?" }).unwrap(), None);
        assert_eq!(ToClient::read(Frame { kind: 200, payload: b"?" }).unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_payload_panics(kind in any::<u8>(), payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ToHold::read(Frame { kind, payload: &payload });
            let _ = ToClient::read(Frame { kind, payload: &payload });
        }

        #[test]
        fn output_keeps_its_offset(offset in any::<u64>(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            put_output(&mut out, offset, &bytes);
            let mut decoder = Decoder::new();
            decoder.push(&out);
            let read = ToClient::read(decoder.next_frame().unwrap().unwrap()).unwrap().unwrap();
            prop_assert_eq!(read, ToClient::Output { offset, bytes });
        }
    }
}
