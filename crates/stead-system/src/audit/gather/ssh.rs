//! What the ssh server goes by.

use super::files::Place;
use super::program;
use crate::Whole;
use crate::audit::evidence::{Account, Seen, Sshd};
use std::collections::BTreeMap;
use std::thread;

/// How deep files may include others.
const DEEP: usize = 4;
/// The file that it begins with.
const CONFIG: &str = "/etc/ssh/sshd_config";

/// How many people it is asked about.
const MANY: usize = 32;

/// The settings for root and for everybody who can log in, from far away, and all that a `Match` changes.
pub fn effective(
    place: &Place,
    whole: &Whole,
    accounts: &Seen<BTreeMap<String, Account>>,
) -> Seen<Sshd> {
    if !whole.system.ssh.enable {
        return Err("no ssh server is declared".into());
    }
    let ask = |name: &str| {
        let who = format!("user={name},host=far.invalid,addr=198.51.100.7");
        let out = program::run(place, "sshd", &["-T", "-C", &who])?;
        Ok(settings(&String::from_utf8_lossy(&out)))
    };
    let matches = matches(place, CONFIG, 0)?;
    let of_root = match ask("root") {
        Ok(sshd) => sshd.settings,
        Err(why) => {
            let settings = written(place, CONFIG, 0)?;
            return Ok(Sshd { settings, matches, unasked: Some(why), ..Sshd::default() });
        }
    };
    let accounts = accounts.as_ref().map_err(Clone::clone)?;
    let people = accounts
        .iter()
        .filter(|(name, account)| account.is_person() || whole.system.users.contains_key(*name));
    let names: Vec<&String> = people.map(|(name, _)| name).collect();
    if names.len() > MANY {
        return Err(format!("{} people are more than it is asked about", names.len()));
    }
    let people = thread::scope(|scope| {
        let asked: Vec<_> = names.iter().map(|name| (*name, scope.spawn(|| ask(name)))).collect();
        asked
            .into_iter()
            .map(|(name, asked)| Ok((name.clone(), super::joined(asked.join())?.settings)))
            .collect::<Seen<BTreeMap<_, _>>>()
    })?;
    Ok(Sshd { settings: of_root, people, matches, unasked: None })
}

/// What files say outside of `Match`, where the first word counts.
pub fn written(place: &Place, path: &str, deep: usize) -> Seen<BTreeMap<String, Vec<String>>> {
    let text = place.read_or_none(path)?;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        let Some((key, value)) = said(line) else { continue };
        match key.as_str() {
            // It goes to the end of the file.
            "match" => break,
            "include" if deep < DEEP => {
                for name in included(place, &value)? {
                    for (key, values) in written(place, &name, deep + 1)? {
                        found.entry(key).or_insert(values);
                    }
                }
            }
            _ => {
                found.entry(key).or_insert_with(|| vec![value]);
            }
        }
    }
    Ok(found)
}

/// Keyword, in small letters, and value of a line; none of an empty one or a comment.
fn said(line: &str) -> Option<(String, String)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (key, value) =
        line.split_once(|c: char| c.is_whitespace() || c == '=').unwrap_or((line, ""));
    let value = value.trim_matches(|c: char| c.is_whitespace() || c == '=' || c == '"').to_owned();
    Some((key.to_lowercase(), value))
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
    for line in text.lines().map(str::trim) {
        let Some((key, value)) = said(line) else { continue };
        match key.as_str() {
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
