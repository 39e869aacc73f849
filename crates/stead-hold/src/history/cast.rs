//! Export as an asciicast, version 2: a header line, then an event a line, all JSON.

use super::{Cursor, Event, HistoryError, Item, Reader};
use serde_json::json;
use std::io::{self, Write};
use stead_wire::session::Size;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The history could not be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The recording could not be written.
    #[error("cannot write the recording: {0}")]
    Write(#[from] io::Error),
}

/// Writes a history as an asciicast. Sizes become `r` events; a new life, the end of one and output that is
/// missing become markers. Bytes that are no UTF-8 are replaced.
///
/// # Errors
/// If the history cannot be read or the recording not written.
pub fn export(
    reader: &Reader,
    title: Option<&str>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut cursor = reader.from(0);
    let mut cast = Cast { out, begun_ms: None, size: None, partial: Vec::new(), at_ms: 0 };
    cast.begin(reader, title)?;
    cast.items(&mut cursor)?;
    cast.end_partial()?;
    cast.out.flush()?;
    Ok(())
}

struct Cast<'a, W> {
    out: &'a mut W,
    begun_ms: Option<u64>,
    size: Option<Size>,
    /// The beginning of a character whose end has not been printed yet.
    partial: Vec<u8>,
    /// Time of the last event written: a recording's time does not go back.
    at_ms: u64,
}

impl<W: Write> Cast<'_, W> {
    fn begin(&mut self, reader: &Reader, title: Option<&str>) -> Result<(), ExportError> {
        let (mut size, mut at_ms) = (None, None);
        let mut cursor = reader.from(0);
        while let Some(item) = cursor.next_item()? {
            match item {
                Item::Chunk { at_ms: at, .. } => {
                    at_ms.get_or_insert(at);
                    break;
                }
                Item::Event { at_ms: at, event, .. } => {
                    at_ms.get_or_insert(at);
                    if let Event::Started { size: s, .. } | Event::Resized(s) = event {
                        size = Some(s);
                        break;
                    }
                }
                Item::Missing { .. } => {}
            }
        }
        let Size { cols, rows } = size.unwrap_or_default();
        let mut header = json!({ "version": 2, "width": cols, "height": rows });
        if let Some(at_ms) = at_ms {
            header["timestamp"] = json!(at_ms / 1000);
        }
        if let Some(title) = title {
            header["title"] = json!(title);
        }
        self.begun_ms = at_ms;
        self.size = Some(Size { cols, rows });
        writeln!(self.out, "{header}")?;
        Ok(())
    }

    fn items(&mut self, cursor: &mut Cursor) -> Result<(), ExportError> {
        while let Some(item) = cursor.next_item()? {
            match item {
                Item::Chunk { at_ms, bytes, .. } => self.output(at_ms, bytes)?,
                Item::Missing { from, to } => {
                    self.end_partial()?;
                    self.line(self.at_ms, "m", &format!("{} bytes are missing", to - from))?;
                }
                Item::Event { at_ms, event, .. } => self.event(at_ms, &event)?,
            }
        }
        Ok(())
    }

    fn event(&mut self, at_ms: u64, event: &Event) -> Result<(), ExportError> {
        match event {
            Event::Started { life, size } => {
                self.end_partial()?;
                if *life > 1 {
                    self.line(at_ms, "m", &format!("life {life}"))?;
                }
                self.resize(at_ms, *size)
            }
            Event::Resized(size) => self.resize(at_ms, *size),
            Event::Exited { code, signal } => {
                self.end_partial()?;
                let how = match (code, signal) {
                    (Some(code), _) => format!("exited({code})"),
                    (None, Some(signal)) => format!("killed by signal {signal}"),
                    (None, None) => "ended".to_owned(),
                };
                self.line(at_ms, "m", &how)
            }
            // What is missing has been marked already.
            Event::Gap { .. } => Ok(()),
        }
    }

    fn resize(&mut self, at_ms: u64, size: Size) -> Result<(), ExportError> {
        if self.size == Some(size) {
            return Ok(());
        }
        self.size = Some(size);
        self.line(at_ms, "r", &size.to_string())
    }

    fn output(&mut self, at_ms: u64, bytes: &[u8]) -> Result<(), ExportError> {
        let mut joined = std::mem::take(&mut self.partial);
        let bytes = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        let whole = bytes.len() - open_character(bytes);
        self.partial = bytes[whole..].to_vec();
        if whole > 0 {
            self.line(at_ms, "o", &String::from_utf8_lossy(&bytes[..whole]))?;
        }
        Ok(())
    }

    /// The rest of a begun character will not come.
    fn end_partial(&mut self) -> Result<(), ExportError> {
        let partial = std::mem::take(&mut self.partial);
        if partial.is_empty() {
            return Ok(());
        }
        self.line(self.at_ms, "o", &String::from_utf8_lossy(&partial))
    }

    fn line(&mut self, at_ms: u64, kind: &str, data: &str) -> Result<(), ExportError> {
        self.at_ms = self.at_ms.max(at_ms);
        let after = self.at_ms.saturating_sub(*self.begun_ms.get_or_insert(at_ms));
        let data = serde_json::to_string(data).expect("a string is JSON");
        writeln!(self.out, "[{}.{:03},\"{kind}\",{data}]", after / 1000, after % 1000)?;
        Ok(())
    }
}

/// How many bytes at the end begin a character that may go on.
fn open_character(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        if byte & 0xc0 == 0x80 {
            continue;
        }
        let len = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if len > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Writer;
    use serde_json::Value;

    fn lines(fill: impl FnOnce(&mut Writer)) -> Vec<Value> {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        fill(&mut writer);
        drop(writer);
        let mut out = Vec::new();
        export(&Reader::open(dir.path()).unwrap(), Some("a \"title\""), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_recording_of_two_lives() {
        let size = Size { cols: 100, rows: 30 };
        let lines = lines(|w| {
            w.event(5000, &Event::Started { life: 1, size });
            w.output(5250, b"\x1b[1mhi\"\r\n");
            w.event(6000, &Event::Resized(Size { cols: 80, rows: 24 }));
            w.event(7000, &Event::Exited { code: Some(3), signal: None });
            w.flush();
            // The clock was set back in between.
            w.event(4000, &Event::Started { life: 2, size });
            w.output(4001, b"again");
        });
        assert_eq!(
            Value::from(lines),
            json!([
                { "version": 2, "width": 100, "height": 30, "timestamp": 5, "title": "a \"title\"" },
                [0.25, "o", "\u{1b}[1mhi\"\r\n"],
                [1.0, "r", "80x24"],
                [2.0, "m", "exited(3)"],
                [2.0, "m", "life 2"],
                [2.0, "r", "100x30"],
                [2.0, "o", "again"],
            ])
        );
    }

    #[test]
    fn characters_cut_in_two_are_joined_and_broken_ones_replaced() {
        let text = "aé€🦀".as_bytes();
        let lines = lines(|w| {
            for (i, byte) in text.iter().enumerate() {
                w.output(i as u64, &[*byte]);
            }
            w.output(100, b"\xff\xe2\x82");
            w.output(101, b"x\xf0\x9f");
        });
        let all: String = lines[1..].iter().map(|l| l[2].as_str().unwrap()).collect();
        assert_eq!(all, "aé€🦀\u{fffd}\u{fffd}x\u{fffd}");
        assert_eq!(lines.len(), 1 + 4 + 3);
    }

    #[test]
    fn an_empty_history_is_a_header() {
        assert_eq!(lines(|_| {}).len(), 1);
    }
}
