//! People's own daemons and timers, as units that may do little but their work.

use super::expr::{Expr, Set, before, code};
use super::host::Host;
use crate::{Whole, secret_path};
use std::fmt::Write;
use stead_file::declared::{Service, ServiceKind};

/// Variables that remote control must not see, wherever they come from.
const TRAPS: [&str; 3] =
    ["ANTHROPIC_API_KEY", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY"];

pub(super) fn render(host: &mut Host<'_>) {
    let whole = host.whole;
    if whole.system.services.is_empty() {
        return;
    }
    host.needs("modules/hardened.nix");
    for (name, service) in &whole.system.services {
        let unit = unit(whole, name, service);
        host.gap("").at(&["systemd", "services", name], unit);
        if service.calendar.is_some() {
            host.say("What was missed while the host was off is made up for.");
            host.at(&["systemd", "timers", name, "timerConfig", "Persistent"], true);
        }
    }
}

fn unit(whole: &Whole, name: &str, service: &Service) -> Set {
    let description = if service.description.is_empty() { name } else { &service.description };
    let mut unit = Set::new().put("description", description);
    if service.calendar.is_none() {
        unit = unit.put("wantedBy", vec!["multi-user.target"]);
    }
    let network = "network-online.target".to_owned();
    let mut after: Vec<String> = service.after.clone();
    if service.network || service.kind == ServiceKind::RemoteControl {
        unit = unit.put("wants", vec![network.clone()]);
        after.insert(0, network);
    }
    after.dedup();
    unit = unit.put_if(!after.is_empty(), "after", after);
    if service.alert && whole.system.alerts.ntfy.is_some() {
        unit = unit.put("onFailure", vec!["alert@%n.service"]);
    }
    if service.calendar.is_none() && service.restart != "no" {
        unit = unit
            .say("What fails again and again has failed.")
            .put("startLimitIntervalSec", 300u16)
            .put("startLimitBurst", 5u16);
    }
    if let Some(calendar) = &service.calendar {
        unit = unit.put("startAt", calendar);
    }
    if !service.env.is_empty() {
        let mut env = Set::new();
        for (variable, value) in &service.env {
            env = env.at(&[variable], value.replace('%', "%%"));
        }
        unit = unit.put("environment", env);
    }
    unit = unit
        .say("What is installed here, as in a shell.")
        .put("path", vec!["/run/current-system/sw"]);
    let config = config(whole, name, service);
    let removed: Vec<String> = removed(service).into_iter().map(String::from).collect();
    unit.put(
        "serviceConfig",
        if removed.is_empty() {
            before("hardened //", config)
        } else {
            Expr::Without("hardened".into(), removed, config)
        },
    )
}

/// What it does without, in order.
fn removed(service: &Service) -> Vec<&str> {
    let mut all: Vec<&str> = service.relax.iter().map(String::as_str).collect();
    // JavaScript is compiled as it runs.
    if service.kind == ServiceKind::RemoteControl {
        all.push("MemoryDenyWriteExecute");
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn config(whole: &Whole, name: &str, service: &Service) -> Set {
    let remote = service.kind == ServiceKind::RemoteControl;
    let relaxed = removed(service);
    let mut set = Set::new();
    set = set.put("Type", if service.calendar.is_some() { "oneshot" } else { "exec" });
    let command = if remote {
        line(&["/run/current-system/sw/bin/claude", "remote-control"])
    } else {
        line_of(&service.command)
    };
    set = set.put("ExecStart", command);
    let user = service.user.as_deref().or_else(|| if remote { whole.first_user() } else { None });
    set = match user {
        Some(user) => set.put("User", user),
        None => set.put("DynamicUser", true),
    };
    set = set.put("StateDirectory", name);
    let home =
        user.map(|user| if user == "root" { "/root".into() } else { format!("/home/{user}") });
    let cwd = match (&service.cwd, &home) {
        (Some(cwd), _) => cwd.to_string_lossy().into_owned(),
        (None, Some(home)) if remote => home.clone(),
        (None, _) => format!("/var/lib/{name}"),
    };
    set = set.put("WorkingDirectory", cwd.replace('%', "%%"));
    let mut writes: Vec<String> =
        service.writes.iter().map(|path| quoted(&path.to_string_lossy())).collect();
    if let Some(home) = &home {
        if !relaxed.contains(&"ProtectHome") {
            set = set.put("ProtectHome", "read-only");
        }
        if remote {
            set = set.say("An agent works in the home of whom it works for.");
            writes.push(home.clone());
        }
    }
    writes.sort_unstable();
    writes.dedup();
    set = set.put_if(!writes.is_empty(), "ReadWritePaths", writes);
    if !service.secrets.is_empty() {
        let load = service.secrets.iter().map(|name| format!("{name}:{}", secret_path(name)));
        set = set.put("LoadCredential", load.collect::<Vec<_>>());
    }
    if remote {
        set = set
            .say("With any of these remote control is off, or somebody else pays.")
            .put("UnsetEnvironment", TRAPS.to_vec());
    }
    if !service.network && !remote {
        if !relaxed.contains(&"PrivateNetwork") {
            set = set.put("PrivateNetwork", true);
        }
        if !relaxed.contains(&"RestrictAddressFamilies") {
            set = set.put("RestrictAddressFamilies", vec!["AF_UNIX"]);
        }
        if !relaxed.contains(&"IPAddressDeny") {
            set = set.put("IPAddressDeny", "any");
        }
    }
    // What runs at times is run again at the next.
    if service.calendar.is_none() && service.restart != "no" {
        set = set.put("Restart", &service.restart).put("RestartSec", 5u16);
    }
    set
}

/// A command of ours as systemd takes it.
pub(super) fn line(words: &[&str]) -> String {
    line_of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
}

fn line_of(words: &[String]) -> String {
    let mut line = String::new();
    for (at, word) in words.iter().enumerate() {
        let word = if at == 0 { place(word) } else { word.replace('$', "$$") };
        if at > 0 {
            line.push(' ');
        }
        line.push_str(&quoted(&word));
    }
    line
}

/// Where a program is that is elsewhere in Debian.
fn place(program: &str) -> String {
    const FOLDERS: [&str; 4] = ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"];
    if program == "/bin/sh" || program == "/usr/bin/env" {
        return program.into();
    }
    let name = FOLDERS.iter().find_map(|folder| program.strip_prefix(folder));
    name.map_or_else(|| program.into(), |name| format!("/run/current-system/sw/bin/{name}"))
}

/// A word that systemd takes for one, and nothing in it for anything else.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_=.,:@+$".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' => out.push_str("%%"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// The name that units use for what no unit may do.
pub(super) fn names() -> Set {
    Set::new().put("hardened", code("import ../../modules/hardened.nix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_for_systemd() {
        let words = ["/usr/bin/a", "b c", "$x", "50%", "\"", "", "\u{1}\n"].map(String::from);
        let line = line_of(&words);
        assert_eq!(line, r#"/run/current-system/sw/bin/a "b c" $$x "50%%" "\"" "" "\x01\n""#);
        assert_eq!(place("/bin/sh"), "/bin/sh");
        assert_eq!(place("/opt/x"), "/opt/x");
    }
}
