//! What was refused, so that a person sees why: one line of JSON each, in `egress.log` of the run folder.

use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const NAME: &str = "egress.log";
const OLD: &str = "egress.log.1";
/// Bytes of one file; there are two at most.
const MOST: u64 = 256 * 1024;

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When; milliseconds since the Unix epoch.
    pub time: u64,
    /// `tcp`, `udp`, `dns`.
    pub proto: String,
    /// Where to: `1.2.3.4:443`; empty for DNS.
    pub to: String,
    /// The name that was asked for, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why, as a sentence.
    pub rule: String,
}

/// The log while it is written.
pub struct Log {
    run: PathBuf,
    file: Option<File>,
    len: u64,
}

impl Log {
    /// Opens the log of a run folder, after what is in it.
    pub fn open(run: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(run.join(NAME))?;
        let len = file.metadata()?.len();
        Ok(Log { run: run.to_owned(), file: Some(file), len })
    }

    /// Adds a line. What cannot be written is lost: the network goes on.
    pub fn add(&mut self, proto: &str, to: String, name: Option<String>, rule: &str) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64);
        let line = Refused { time, proto: proto.into(), to, name, rule: rule.into() };
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        text.push('\n');
        if self.len + text.len() as u64 > MOST {
            self.file = None;
            let _ = fs::rename(self.run.join(NAME), self.run.join(OLD));
            self.file = OpenOptions::new().create(true).append(true).open(self.run.join(NAME)).ok();
            self.len = 0;
        }
        if let Some(file) = &mut self.file
            && file.write_all(text.as_bytes()).is_ok()
        {
            self.len += text.len() as u64;
        }
    }
}

/// What was refused, oldest first, as far back as it is kept.
///
/// # Errors
/// If a file is there and cannot be read. No file is no refusal.
pub fn read(run: &Path) -> io::Result<Vec<Refused>> {
    let mut all = Vec::new();
    for name in [OLD, NAME] {
        match fs::read_to_string(run.join(name)) {
            // A line that is being written is left out.
            Ok(text) => all.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_and_keeps_the_latest() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = Log::open(folder.path()).expect("a log");
        for n in 0..10_000 {
            log.add("tcp", format!("1.2.3.4:{n}"), Some("evil.org".into()), "not in allow");
        }
        let all = read(folder.path()).expect("the log");
        assert_eq!(all.last().map(|line| line.to.as_str()), Some("1.2.3.4:9999"));
        assert!(all.len() > 2000);
        let size: u64 = fs::read_dir(folder.path())
            .expect("the folder")
            .map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |meta| meta.len()))
            .sum();
        assert!(size <= 2 * MOST, "{size}");
        assert_eq!(read(&folder.path().join("none")).expect("nothing"), []);
    }
}
