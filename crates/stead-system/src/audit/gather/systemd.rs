//! Units, and what watches for attempts.

use super::files::Place;
use super::program;
use crate::Whole;
use crate::audit::evidence::{Seen, Unit};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// What is asked of units.
const PROPERTIES: &str = "--property=Id,Names,LoadState,ActiveState,UnitFileState,Result,User,DynamicUser,NoNewPrivileges,\
    OnFailure,Environment,ExecMainStartTimestampMonotonic";
/// Where fail2ban is asked.
const FAIL2BAN: &str = "/run/fail2ban/fail2ban.sock";
/// `["status"]` as Python writes it, and the end of a question.
const STATUS: &[u8] = b"(lp0\nS'status'\np1\na.<F2B_END_COMMAND>";

fn runs(place: &Place) -> Seen<()> {
    if place.path("/run/systemd/system").is_dir() {
        return Ok(());
    }
    Err("systemd does not run here".into())
}

/// Units by every name that they were asked for.
pub fn units(place: &Place, names: &[String]) -> Seen<BTreeMap<String, Unit>> {
    runs(place)?;
    let mut arguments = vec!["show", PROPERTIES, "--"];
    arguments.extend(names.iter().map(String::as_str));
    Ok(shown(&String::from_utf8_lossy(&program::run(place, "systemctl", &arguments)?)))
}

/// What `systemctl show` prints.
pub fn shown(text: &str) -> BTreeMap<String, Unit> {
    let mut units = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let mut unit = Unit::default();
        for (key, value) in paragraph.lines().filter_map(|line| line.split_once('=')) {
            unit.properties.insert(key.to_owned(), value.to_owned());
        }
        let names = format!("{} {}", unit.get("Id"), unit.get("Names"));
        for name in names.split_whitespace() {
            units.insert(name.to_owned(), unit.clone());
        }
    }
    units
}

/// Units that failed.
pub fn failed(place: &Place) -> Seen<Vec<String>> {
    runs(place)?;
    let out = program::run(
        place,
        "systemctl",
        &["list-units", "--state=failed", "--plain", "--no-legend", "--full"],
    )?;
    let text = String::from_utf8_lossy(&out);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// How exposed services are.
pub fn exposure(place: &Place, services: &[String]) -> Seen<BTreeMap<String, f64>> {
    runs(place)?;
    if services.is_empty() {
        return Err("no service is declared".into());
    }
    let mut found = BTreeMap::new();
    // One at a time: asked for all, it looks at every unit of the machine.
    for service in services {
        let out = program::run(place, "systemd-analyze", &["security", "--no-pager", service]);
        let text = match out {
            Ok(out) => String::from_utf8_lossy(&out).into_owned(),
            // A unit that is not there is another check's.
            Err(why) if why.contains("not found") || why.contains("not-found") => continue,
            Err(why) => return Err(why),
        };
        if let Some(level) = level(&text) {
            found.insert(service.clone(), level);
        }
    }
    Ok(found)
}

/// The level in what `systemd-analyze security UNIT` prints at its end.
pub fn level(text: &str) -> Option<f64> {
    let (_, rest) = text.rsplit_once("Overall exposure level for")?;
    rest.split_once(": ")?.1.split_whitespace().next()?.parse().ok()
}

/// What fail2ban watches. It is asked on its socket: its own client takes a second to start.
pub fn jails(place: &Place, whole: &Whole) -> Seen<Vec<String>> {
    if !(whole.system.ssh.enable && whole.system.ssh.fail2ban) {
        return Err("fail2ban is not declared".into());
    }
    let told = |why: std::io::Error| format!("fail2ban cannot be asked: {why}");
    let mut socket = UnixStream::connect(place.path(FAIL2BAN)).map_err(told)?;
    let bound = Some(place.patience);
    socket.set_read_timeout(bound).map_err(told)?;
    socket.set_write_timeout(bound).map_err(told)?;
    socket.write_all(STATUS).map_err(told)?;
    let mut answer = Vec::new();
    let mut some = [0; 4096];
    while answer.len() < 64 << 10 && !answer.ends_with(b"<F2B_END_COMMAND>") {
        match socket.read(&mut some).map_err(told)? {
            0 => break,
            count => answer.extend_from_slice(&some[..count]),
        }
    }
    jail_list(&answer).ok_or_else(|| "what fail2ban answers is not understood".to_owned())
}

/// The jails in an answer, a text after the words `Jail list`.
pub fn jail_list(answer: &[u8]) -> Option<Vec<String>> {
    let words = b"Jail list";
    let at = answer.windows(words.len()).position(|window| window == words)? + words.len();
    let name =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b',' | b' ');
    // The longest text that could be a list; what is around it are single letters and lengths.
    let texts = answer[at..].split(|byte| !name(byte));
    let list =
        texts.filter(|text| text.len() > 2 && *text != b"F2B_END_COMMAND").max_by_key(|t| t.len());
    let list = String::from_utf8_lossy(list.unwrap_or_default()).into_owned();
    Some(
        list.split(',')
            .map(|jail| jail.trim().to_owned())
            .filter(|jail| !jail.is_empty())
            .collect(),
    )
}
