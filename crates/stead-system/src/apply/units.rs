//! Units: enabled, started, stopped. One question to systemd for all of them.

use super::Pass;
use super::rules::{self, Changed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// What systemd says of a unit.
#[derive(Default, Clone)]
struct State {
    load: String,
    active: String,
    file: String,
    stale: bool,
}

/// Brings units to run; `secrets` are those that have changed.
pub(super) fn bring(pass: &mut Pass, changed: &Changed, secrets: &BTreeSet<String>) {
    let touched: BTreeSet<String> = changed.files.keys().filter_map(|path| unit_of(path)).collect();
    if !pass.machine.live {
        return;
    }
    if !pass.machine.systemd {
        offline(pass);
        return;
    }
    let gone: Vec<String> = pass
        .record
        .units
        .iter()
        .filter(|name| !pass.desired.units.contains_key(*name))
        .cloned()
        .collect();
    let names: BTreeSet<&String> =
        pass.desired.units.keys().chain(&pass.desired.masked).chain(&gone).collect();
    let mut states = match states(pass, &names) {
        Ok(states) => states,
        Err(why) => return pass.report.failed("units", &why),
    };
    // Before the reload, because what has no file any more cannot be asked to stop properly after it.
    for name in &gone {
        stop(pass, name, states.get(name));
    }
    for name in &pass.desired.masked {
        let runs = states.get(name).is_some_and(|state| is_up(&state.active));
        if runs {
            do_it(pass, name, "stopped", &["systemctl", "stop", name]);
        }
    }
    if !pass.may() {
        for name in pass.desired.units.keys() {
            let up = states.get(name).is_some_and(|state| is_up(&state.active));
            if touched.contains(name) || !up && !masked(states.get(name)) {
                pass.report.changed("unit", name, if up { "restarted" } else { "started" });
            }
        }
        return;
    }
    if !touched.is_empty() || states.values().any(|state| state.stale) {
        if let Err(why) = pass.machine.run(&["systemctl", "daemon-reload"]) {
            return pass.report.failed("units", &why);
        }
        states = self::states(pass, &names).unwrap_or(states);
    }
    rules::act(pass, changed);
    let acted: BTreeSet<String> = changed
        .rules
        .iter()
        .filter_map(|rule| match &rule.act {
            crate::debian::Act::Reload(unit) | crate::debian::Act::Restart(unit) => {
                Some(unit.clone())
            }
            _ => None,
        })
        .collect();
    if !acted.is_empty() {
        states = self::states(pass, &names).unwrap_or(states);
    }
    let mut again: BTreeSet<String> = touched;
    for secret in secrets {
        again.extend(pass.desired.secrets.get(secret).into_iter().flatten().cloned());
    }
    let wanted = pass.desired.units.clone();
    for (name, unit) in &wanted {
        let state = states.get(name).cloned().unwrap_or_default();
        if masked(Some(&state)) {
            pass.report.remark(&format!("{name} is masked by somebody else, and stays so"));
            continue;
        }
        if state.load == "not-found" {
            pass.report.failed(name, "there is no such unit on this machine");
            continue;
        }
        let fresh = pass.record.units.insert(name.clone());
        if unit.packaged && state.file == "disabled" {
            do_it(pass, name, "enabled", &["systemctl", "enable", "--quiet", name]);
            pass.record.enabled.insert(name.clone());
        }
        let up = is_up(&state.active);
        if up && again.contains(name) && !acted.contains(name) {
            do_it(pass, name, "restarted", &["systemctl", "restart", name]);
        } else if !up && (!unit.once || fresh || again.contains(name)) {
            do_it(pass, name, "started", &["systemctl", "start", name]);
        }
    }
    pass.record.masked.clone_from(&pass.desired.masked);
}

fn is_up(active: &str) -> bool {
    matches!(active, "active" | "activating" | "reloading")
}

fn masked(state: Option<&State>) -> bool {
    state.is_some_and(|state| state.load == "masked")
}

fn do_it(pass: &mut Pass, name: &str, how: &str, words: &[&str]) {
    if !pass.may() {
        return pass.report.changed("unit", name, how);
    }
    match pass.machine.run(words) {
        Ok(_) => pass.report.changed("unit", name, how),
        Err(why) => pass.report.failed(name, &why),
    }
}

/// Ends a unit that is declared no more.
fn stop(pass: &mut Pass, name: &str, state: Option<&State>) {
    let enabled = pass.record.enabled.contains(name);
    // One that came with a package and ran without Stead goes on.
    let own = state.is_none_or(|state| state.load == "not-found" || state.file.is_empty())
        || !Path::new("/lib/systemd/system").join(template(name)).exists();
    if state.is_some_and(|state| is_up(&state.active)) && (own || enabled) {
        do_it(pass, name, "stopped", &["systemctl", "stop", name]);
    }
    if enabled {
        do_it(pass, name, "disabled", &["systemctl", "disable", "--quiet", name]);
    }
    if pass.may() {
        pass.record.units.remove(name);
        pass.record.enabled.remove(name);
        // One that failed is not to be seen as such for ever.
        let _ = pass.machine.run(&["systemctl", "reset-failed", name]);
    }
}

/// The file of an instance is its template's.
fn template(name: &str) -> String {
    match (name.split_once('@'), name.rsplit_once('.')) {
        (Some((begin, _)), Some((_, kind))) => format!("{begin}@.{kind}"),
        _ => name.into(),
    }
}

/// Where nothing runs, units are enabled for when something does.
fn offline(pass: &mut Pass) {
    let links = enabled_by_links(pass);
    let wanted = pass.desired.units.clone();
    for (name, unit) in &wanted {
        let new = pass.record.units.insert(name.clone());
        if !unit.packaged || links.contains(name) || !new || !pass.machine.has("systemctl") {
            continue;
        }
        do_it(pass, name, "enabled", &["systemctl", "enable", "--quiet", name]);
        pass.record.enabled.insert(name.clone());
    }
    let gone: Vec<String> =
        pass.record.units.iter().filter(|name| !wanted.contains_key(*name)).cloned().collect();
    for name in gone {
        if pass.record.enabled.remove(&name) {
            do_it(pass, &name, "disabled", &["systemctl", "disable", "--quiet", &name]);
        }
        pass.record.units.remove(&name);
    }
}

fn enabled_by_links(pass: &Pass) -> BTreeSet<String> {
    let folder = pass.machine.at(Path::new("/etc/systemd/system"));
    let wants = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "wants"));
    let links =
        wants.flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten());
    links.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The unit that a file below the folder of units is about.
fn unit_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix("/etc/systemd/system").ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    if first.rsplit_once('.').is_some_and(|(_, kind)| kind == "wants") {
        // That it is wanted is no reason to start it again, but systemd has to read it.
        return Some(String::new());
    }
    Some(first.strip_suffix(".d").unwrap_or(first).to_owned())
}

fn states(pass: &Pass, names: &BTreeSet<&String>) -> Result<BTreeMap<String, State>, String> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut words = vec![
        "systemctl",
        "show",
        "--property=Id,Names,LoadState,ActiveState,UnitFileState,NeedDaemonReload",
        "--",
    ];
    words.extend(names.iter().map(|name| name.as_str()));
    let said = pass.machine.run(&words)?;
    let mut states = BTreeMap::new();
    for (block, name) in said.split("\n\n").zip(names) {
        let mut state = State::default();
        for line in block.lines() {
            match line.split_once('=') {
                Some(("LoadState", value)) => state.load = value.into(),
                Some(("ActiveState", value)) => state.active = value.into(),
                Some(("UnitFileState", value)) => state.file = value.into(),
                Some(("NeedDaemonReload", value)) => state.stale = value == "yes",
                _ => {}
            }
        }
        states.insert((*name).clone(), state);
    }
    Ok(states)
}

/// Waits until something listens on a port of TCP.
pub(super) fn listens(port: u16) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
            .map(|path| std::fs::read_to_string(path).unwrap_or_default());
        if tables.iter().any(|table| listening(table, port)) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("nothing listens on port {port} afterwards"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn listening(table: &str, port: u16) -> bool {
    let port = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some("0A")
    })
}
