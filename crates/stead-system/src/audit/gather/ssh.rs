//! What the ssh server goes by.

use super::files::Place;
use super::program;
use crate::Whole;
use crate::audit::evidence::{Seen, Sshd};

/// How deep files may include others.
const DEEP: usize = 4;

/// The settings for root from far away, and all that a `Match` changes.
pub fn effective(place: &Place, whole: &Whole) -> Seen<Sshd> {
    if !whole.system.ssh.enable {
        return Err("no ssh server is declared".into());
    }
    let out =
        program::run(place, "sshd", &["-T", "-C", "user=root,host=far.invalid,addr=198.51.100.7"])?;
    let mut sshd = settings(&String::from_utf8_lossy(&out));
    sshd.matches = matches(place, "/etc/ssh/sshd_config", 0)?;
    Ok(sshd)
}

/// What `sshd -T` prints.
pub fn settings(text: &str) -> Sshd {
    let mut sshd = Sshd::default();
    for line in text.lines() {
        let (key, value) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let all = sshd.settings.entry(key.to_lowercase()).or_default();
        // Users are one a line or several, by release.
        if key.eq_ignore_ascii_case("allowusers") {
            all.extend(value.split_whitespace().map(str::to_owned));
        } else {
            all.push(value.to_owned());
        }
    }
    sshd
}

/// Settings within `Match` in a file and those that it includes.
pub fn matches(place: &Place, path: &str, deep: usize) -> Seen<Vec<(String, String, String)>> {
    let text = place.read_or_none(path)?;
    let mut found = Vec::new();
    let mut of: Option<String> = None;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) =
            line.split_once(|c: char| c.is_whitespace() || c == '=').unwrap_or((line, ""));
        let value =
            value.trim_matches(|c: char| c.is_whitespace() || c == '=' || c == '"').to_owned();
        match key.to_lowercase().as_str() {
            "match" => of = (!value.eq_ignore_ascii_case("all")).then_some(value),
            "include" if deep < DEEP => {
                for name in included(place, &value)? {
                    found.extend(matches(place, &name, deep + 1)?);
                }
            }
            key => {
                if let Some(of) = &of {
                    found.push((of.clone(), key.to_owned(), value));
                }
            }
        }
    }
    Ok(found)
}

/// The files that a pattern with a `*` in its last part is about.
fn included(place: &Place, patterns: &str) -> Seen<Vec<String>> {
    let mut names = Vec::new();
    for pattern in patterns.split_whitespace() {
        let pattern =
            if pattern.starts_with('/') { pattern.into() } else { format!("/etc/ssh/{pattern}") };
        let (folder, last) = pattern.rsplit_once('/').unwrap_or(("/etc/ssh", &pattern));
        let Some((begin, end)) = last.split_once('*') else {
            names.push(pattern.clone());
            continue;
        };
        for path in place.list(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(begin) && name.ends_with(end) {
                names.push(path.display().to_string());
            }
        }
    }
    Ok(names)
}
