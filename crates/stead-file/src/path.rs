//! Folders: of this host, inside a machine, and shared between both.

use crate::context::tidy;
use crate::declared::Share;
use crate::form::Form;
use crate::reader::{Reader, Spot};
use serde_json::{Value as Json, json};
use std::path::{Component, Path, PathBuf};

/// Folders inside that the machine itself makes.
const RESERVED: [&str; 3] = ["/proc", "/sys", "/dev"];

/// A path inside a machine, checked: absolute, without `..`, and a place where something can be put.
fn inside(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if text.starts_with('~') {
        return Err(format!(
            "`{text}` is to be a path inside the machine, where `~` is not known: write it in full"
        ));
    }
    if !path.is_absolute() {
        return Err(format!(
            "`{text}` is to be a path inside the machine, and such begin with `/`"
        ));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("`{text}` must not contain `..`"));
    }
    let path = tidy(path);
    if path == Path::new("/") {
        return Err("`/` is the whole machine: name a folder in it".into());
    }
    match RESERVED.iter().find(|reserved| path.starts_with(reserved)) {
        Some(reserved) => {
            Err(format!("`{text}` cannot be used: `{reserved}` is the machine's own"))
        }
        None => Ok(path),
    }
}

/// A folder inside a machine.
pub(crate) struct Inside;

impl Form for Inside {
    type Out = PathBuf;

    fn expects(&self) -> String {
        "a path inside".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^/." })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<PathBuf> {
        let text = reader.text(spot, &self.expects())?;
        inside(text)
            .map_err(|message| {
                reader.refuse(spot, message);
            })
            .ok()
    }
}

/// A path of this host, made absolute.
pub(crate) struct OfHost;

impl Form for OfHost {
    type Out = PathBuf;

    fn expects(&self) -> String {
        "a path of this host".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<PathBuf> {
        let text = reader.text(spot, &self.expects())?;
        of_host(spot, reader, text)
    }
}

fn of_host(spot: Spot<'_>, reader: &mut Reader<'_>, text: &str) -> Option<PathBuf> {
    let path = match text {
        "" => Err("a path must not be empty".into()),
        text => reader.context.host_path(text),
    };
    path.map_err(|message| {
        reader.refuse(spot, message);
    })
    .ok()
}

/// The folder that a session starts in.
pub(crate) struct StartIn;

impl Form for StartIn {
    type Out = PathBuf;

    fn expects(&self) -> String {
        "a path".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<PathBuf> {
        let text = reader.text(spot, &self.expects())?;
        of_host(spot, reader, text)
    }
}

/// A folder of this host, made absolute, or a git repository.
pub(crate) struct Source;

impl Form for Source {
    type Out = String;

    fn expects(&self) -> String {
        "a folder of this host or a git repository".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<String> {
        let text = reader.text(spot, &self.expects())?;
        if (crate::text::REPOSITORY.is)(text) {
            return Some(text.into());
        }
        of_host(spot, reader, text).map(|path| path.to_string_lossy().into_owned())
    }
}

/// A folder that a machine shares with this host.
pub(crate) struct Shared;

impl Form for Shared {
    type Out = Share;

    fn expects(&self) -> String {
        "a folder such as \"~/src:/src\"".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[^:]+(:/[^:]+)?(:(ro|rw))?$" })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Share> {
        const HELP: &str =
            "write \"FOLDER\", \"FOLDER:INSIDE\" or \"FOLDER:INSIDE:ro\", as in \"~/src:/src\"";
        let text = reader.text(spot, &self.expects())?;
        let mut parts: Vec<&str> = text.split(':').collect();
        let writable = match parts.last() {
            Some(&"ro") if parts.len() > 1 => false,
            Some(&"rw") if parts.len() > 1 => true,
            Some(mode) if parts.len() == 3 => {
                let message = format!("`{mode}` in `{text}` must be `ro` (only to read) or `rw`");
                reader.problem(spot.span(), message).help(HELP);
                return None;
            }
            _ => {
                parts.push("rw");
                true
            }
        };
        parts.pop();
        let (folder, place) = match parts[..] {
            [folder] => (folder, None),
            [folder, place] => (folder, Some(place)),
            _ => {
                reader.problem(spot.span(), format!("`{text}` has too many parts")).help(HELP);
                return None;
            }
        };
        let host = of_host(spot, reader, folder)?;
        let place = match place {
            Some(place) => inside(place),
            // The engine decides, which is not known yet; but it must be a folder that can be somewhere inside.
            None => inside(&host.to_string_lossy()).map(|_| PathBuf::new()),
        };
        place
            .map_err(|message| {
                reader.problem(spot.span(), message).help(HELP);
            })
            .ok()
            .map(|inside| Share { host, inside, writable })
    }
}

/// What a machine's root is made of: `host`, a system and its version, or the path of an image.
pub(crate) struct Image;

impl Form for Image {
    type Out = String;

    fn expects(&self) -> String {
        "\"host\", a system such as \"debian/12\" or the path of an image".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^(host|[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*|(/|~/|\\./|\\.\\./).+)$" })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<String> {
        let text = reader.text(spot, &self.expects())?;
        let word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        };
        if text == "host"
            || text.split_once('/').is_some_and(|(name, version)| word(name) && word(version))
        {
            return Some(text.into());
        }
        // What is neither is relative to the file only where it says so: `a/b` is a system.
        if ["/", "~/", "./", "../"].iter().any(|start| text.starts_with(start)) {
            let path = of_host(spot, reader, text)?;
            return Some(path.to_string_lossy().into_owned());
        }
        let problem =
            reader.refuse(spot, format!("`image` must be {}, not {text:?}", self.expects()));
        if let Some((name, version)) = text.split_once([':', ' ', '-'])
            && word(name)
            && word(version)
        {
            problem.help(format!("did you mean `image = \"{name}/{version}\"`?"));
        }
        None
    }
}
