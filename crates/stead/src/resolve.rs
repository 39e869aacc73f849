//! From a session's name to the session.

use crate::failure::Failure;
use crate::present;
use crate::steward::Steward;
use std::fmt::Write as _;
use std::path::PathBuf;
use stead_hold::folder::{Folder, Places};
use stead_wire::session::Session;

/// A session that somebody named.
pub struct Found {
    /// What the steward knows of it.
    pub session: Session,
    /// Its folder.
    pub folder: Folder,
    /// Its hold's socket.
    pub socket: PathBuf,
}

/// Asks the steward for the session of this name or id.
///
/// # Errors
/// If there is none; the error names one that is spelled nearly so.
pub fn session(steward: &Steward, name: &str) -> Result<Found, Failure> {
    let session: Session = steward
        .get(&format!("/v1/sessions/{}", path_part(name)))
        .map_err(|failure| with_nearest(failure, steward, name))?;
    Ok(found(steward.places(), session))
}

fn found(places: &Places, session: Session) -> Found {
    Found { folder: places.session(&session.id), socket: places.hold_socket(&session.id), session }
}

/// A name as part of a URL's path.
pub fn path_part(name: &str) -> String {
    let mut part = String::new();
    for byte in name.bytes().take(256) {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            part.push(char::from(byte));
        } else {
            let _ = write!(part, "%{byte:02X}");
        }
    }
    // A dot alone would be taken for a folder.
    if part.chars().all(|c| c == '.') { "%2E".into() } else { part }
}

fn with_nearest(failure: Failure, steward: &Steward, name: &str) -> Failure {
    if failure.code() != Some("not-found") {
        return failure;
    }
    // As it was typed: in a path it may have been cut or changed.
    let shown: String = present::cut(name, 40).chars().flat_map(char::escape_debug).collect();
    let failure = failure.saying(format!("there is no session \"{shown}\""));
    let sessions: Vec<Session> = steward.get("/v1/sessions").unwrap_or_default();
    let nearest = sessions
        .iter()
        .map(|s| (distance(&s.name, name), &s.name))
        .filter(|(distance, _)| *distance <= 2)
        .min();
    match nearest {
        Some((_, near)) => failure.help(format!("did you mean \"{near}\"?")),
        None => failure.help("stead ls shows the sessions there are"),
    }
}

/// Edits between two names.
fn distance(a: &str, b: &str) -> usize {
    if b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        assert_eq!(distance("claude-1", "claude-1"), 0);
        assert_eq!(distance("claude-1", "cluade-1"), 2);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn any_name_makes_one_part_of_a_path() {
        assert_eq!(path_part("a/b c"), "a%2Fb%20c");
        assert_eq!(path_part(".."), "%2E");
    }
}
