//! The user's settings: `settings.toml` in the configuration folder. Without the file everything has its
//! default; a key that is not known is an error, with the line it stands on.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Why the settings could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in it is not understood.
    #[error("{}:{line}: {why}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// All of the file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Who is told when a session needs a person.
    pub notify: Notify,
}

/// What a person may be told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A session waits for a person.
    Waiting,
    /// A session has worked for a while and its turn is over.
    Idle,
    /// A session has ended badly.
    Failed,
}

/// `[notify]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Notify {
    /// What a person is told about.
    pub on: Vec<Occasion>,
    /// Whether attached terminals show it (OSC 9 and 777).
    pub desktop: bool,
    /// A program to run for each: gets the event as JSON on its standard input and in `STEAD_*` variables.
    pub command: Vec<String>,
    /// How long that program may take, in seconds.
    pub command_timeout: u64,
    /// An ntfy topic, by its URL.
    pub ntfy: Option<String>,
    /// An access token for it.
    pub ntfy_token: Option<String>,
    /// The address that tapping an ntfy message opens; `{name}` and `{id}` are the session's.
    pub click: Option<String>,
    /// Work shorter than this, in seconds, ends without a word.
    pub idle_after: u64,
    /// A state must have lasted this long, in milliseconds, before anybody is told.
    pub settle: u64,
}

impl Default for Notify {
    fn default() -> Self {
        Notify {
            on: vec![Occasion::Waiting, Occasion::Idle, Occasion::Failed],
            desktop: true,
            command: Vec::new(),
            command_timeout: 10,
            ntfy: None,
            ntfy_token: None,
            click: None,
            idle_after: 10,
            settle: 2000,
        }
    }
}

impl Settings {
    /// Reads the file; the defaults if there is none.
    ///
    /// # Errors
    /// If it cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(SettingsError::Io { path: path.to_owned(), source }),
        }
    }

    /// Understands the text of the file; `path` is for messages.
    ///
    /// # Errors
    /// If something in it is not understood.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let settings: Settings = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| line_at(text, span.start));
            let why = e.message().lines().next().unwrap_or("is not TOML").to_owned();
            SettingsError::Text { path: path.to_owned(), line, why }
        })?;
        if let Err((key, why)) = settings.notify.check() {
            let found = text.lines().position(|l| l.trim_start().starts_with(key));
            let line = found.map_or(1, |at| at + 1);
            return Err(SettingsError::Text { path: path.to_owned(), line, why });
        }
        Ok(settings)
    }
}

impl Notify {
    /// What TOML cannot tell: the key that is wrong, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.command.first().is_some_and(String::is_empty) {
            return Err(("command", "the command is empty".into()));
        }
        for (key, value) in
            [("ntfy", &self.ntfy), ("click", &self.click), ("ntfy-token", &self.ntfy_token)]
        {
            if value.as_ref().is_some_and(|v| v.chars().any(char::is_control)) {
                return Err((key, format!("{key} contains a control character")));
            }
        }
        if let Some(url) = &self.ntfy {
            let uri: hyper::Uri = url
                .parse()
                .map_err(|e| ("ntfy", format!("{url:?} is no http:// or https:// URL: {e}")))?;
            if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
                return Err(("ntfy", format!("{url:?} is no http:// or https:// URL")));
            }
            if uri.path().len() < 2 {
                return Err(("ntfy", format!("{url:?} names no topic: write SERVER/TOPIC")));
            }
        }
        Ok(())
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, Path::new("/c/settings.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_whole_file_is_understood() {
        let settings = parse(
            "[notify]\non = [\"waiting\"]\ndesktop = false\ncommand = [\"say\", \"x\"]\ncommand-timeout = 3\n\
             ntfy = \"http://ntfy.example/stead\"\nclick = \"https://x/{name}\"\nidle-after = 60\nsettle = 0\n",
        )
        .unwrap();
        assert_eq!(settings.notify.on, [Occasion::Waiting]);
        assert_eq!(settings.notify.command, ["say", "x"]);
        assert_eq!(settings.notify.idle_after, 60);
        assert_eq!(parse("").unwrap(), Settings::default());
        let none = Settings::read(Path::new("/nowhere/settings.toml")).unwrap();
        assert_eq!(none, Settings::default());
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, line, says) in [
            ("[notify]\n\ndesktp = true\n", 3, "unknown field `desktp`"),
            ("[notify]\ndesktop = 3\n", 2, "invalid type"),
            ("[notify]\non = [\"sometimes\"]\n", 2, "unknown variant"),
            ("[notify\n", 1, ""),
            ("[notify]\n\n\nntfy = \"ntfy.sh/x\"\n", 4, "http"),
            ("[notify]\nntfy = \"http://ntfy.sh\"\n", 2, "names no topic"),
            ("[notify]\nntfy-token = \"a\\nb\"\n", 2, "control character"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("/c/settings.toml:{line}: ")), "{text}: {error}");
            assert!(error.contains(says) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
