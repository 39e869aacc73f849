//! Daemons and timers of people's own, and what tells of their failures.

use super::hardening::{self, Needs};
use super::{Desired, quote};
use crate::{File, Whole, secret_path};
use stead_file::declared::{Service, ServiceKind};

const ALERT: &str = "/usr/local/lib/stead/alert";

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let alerts = alerts(whole, to);
    for (name, service) in &whole.system.services {
        let name = quote::name(name);
        if !name.is_empty() {
            render_one(whole, &name, service, alerts, to);
        }
    }
}

fn render_one(whole: &Whole, name: &str, service: &Service, alerts: bool, to: &mut Desired) {
    let unit = format!("{name}.service");
    to.unit(&unit, text(whole, name, service, alerts));
    for secret in &service.secrets {
        to.reads(secret, Some(&unit));
    }
    let Some(calendar) = &service.calendar else {
        to.started(&unit, "multi-user.target", service.restart == "no");
        return;
    };
    let timer = format!("{name}.timer");
    to.unit(
        &timer,
        format!(
            "[Unit]\nDescription={}\n\n[Timer]\nOnCalendar={}\nPersistent=yes\nAccuracySec=1s\n\n\
             [Install]\nWantedBy=timers.target\n",
            description(name, service),
            quote::unit(calendar)
        ),
    );
    to.started(&timer, "timers.target", false);
}

fn description(name: &str, service: &Service) -> String {
    let text = quote::unit(&service.description);
    if text.trim().is_empty() { name.to_owned() } else { text }
}

fn text(whole: &Whole, name: &str, service: &Service, alerts: bool) -> String {
    let remote = service.kind == ServiceKind::RemoteControl;
    let user = service.user.as_deref().or(if remote { whole.first_user() } else { None });
    let user = user.map(quote::name).filter(|user| !user.is_empty());
    let mut text = format!("[Unit]\nDescription={}\n", description(name, service));
    let mut after = vec!["network-online.target".to_owned()];
    after.extend(service.after.iter().map(|unit| quote::name(unit)));
    text += &format!("Wants=network-online.target\nAfter={}\n", after.join(" "));
    if alerts && service.alert {
        text += "OnFailure=stead-alert@%n.service\n";
    }
    // What fails again and again has failed.
    text += "StartLimitIntervalSec=300\nStartLimitBurst=5\n\n[Service]\n";
    text += if service.calendar.is_some() { "Type=oneshot\n" } else { "Type=exec\n" };
    let home = user.as_ref().map(|user| format!("/home/{user}"));
    let command = if remote {
        vec!["/usr/local/bin/claude".to_owned(), "remote-control".to_owned()]
    } else {
        service.command.clone()
    };
    text += &format!("ExecStart={}\n", quote::command(&command));
    match &user {
        Some(user) => text += &format!("User={user}\n"),
        None => text += "DynamicUser=yes\n",
    }
    text += &format!("StateDirectory={name}\n");
    let folder = match (&service.cwd, &home) {
        (Some(cwd), _) => quote::unit(&cwd.to_string_lossy()),
        (None, Some(home)) if remote => home.clone(),
        _ => format!("/var/lib/{name}"),
    };
    text += &format!("WorkingDirectory={folder}\n");
    for (key, value) in &service.env {
        let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        text += &format!("Environment={}\n", quote::unit_word(&format!("{key}={value}")));
    }
    for secret in &service.secrets {
        let secret = quote::name(secret);
        text += &format!("LoadCredential={secret}:{}\n", secret_path(&secret));
    }
    // What runs at times is run again at the next: each failure of one that restarts would be told, five in a row.
    if service.calendar.is_none() {
        let restart = match service.restart.as_str() {
            restart @ ("always" | "no") => restart,
            _ => "on-failure",
        };
        text += &format!("Restart={restart}\nRestartSec=5\n");
    }
    for (key, value) in &service.labels {
        let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let field = format!("STEAD_{}={value}", key.to_uppercase());
        text += &format!("LogExtraFields={}\n", quote::unit_word(&field));
    }
    let mut writes: Vec<String> =
        service.writes.iter().map(|path| quote::unit_word(&path.to_string_lossy())).collect();
    if remote && let Some(home) = &home {
        writes.push(home.clone());
    }
    if !writes.is_empty() {
        text += &format!("ReadWritePaths={}\n", writes.join(" "));
    }
    text += &hardening::lines(Needs {
        network: service.network || remote,
        home: user.is_some(),
        jit: remote,
        relax: &service.relax,
    });
    if service.calendar.is_none() {
        text += "\n[Install]\nWantedBy=multi-user.target\n";
    }
    text
}

/// The unit that tells of others, and whether there is one.
fn alerts(whole: &Whole, to: &mut Desired) -> bool {
    let alerts = &whole.system.alerts;
    let Some(topic) = &alerts.ntfy else { return false };
    to.package(&["curl"]);
    let unit = "stead-alert@.service";
    let mut credential = String::new();
    if let Some(token) = &alerts.token {
        let token = quote::name(token);
        credential = format!("LoadCredential=token:{}\n", secret_path(&token));
        to.reads(&token, None);
    }
    to.files.insert(
        ALERT.into(),
        File::program(format!(
            "#!/bin/sh\n\
             # Tells of a unit that failed. The token is read by curl, so that it stands on no command line.\n\
             set -eu\n\
             header() {{\n    \
             if [ -r \"${{CREDENTIALS_DIRECTORY:-/none}}/token\" ]; then\n        \
             printf 'Authorization: Bearer %s\\n' \"$(cat \"$CREDENTIALS_DIRECTORY/token\")\"\n    \
             fi\n\
             }}\n\
             header | exec curl -fsS --retry 5 --retry-connrefused --max-time 60 -o /dev/null -H @- \\\n    \
             -H \"Title: $1 failed on $(uname -n)\" -H 'Priority: high' -H 'Tags: warning' \\\n    \
             -d \"$1 failed on $(uname -n). See: journalctl -u $1\" -- {}\n",
            quote::shell(&quote::plain(topic))
        )),
    );
    to.unit(
        unit,
        format!(
            "[Unit]\nDescription=Tells that %i failed\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\nType=oneshot\nExecStart={ALERT} %i\nDynamicUser=yes\n{credential}{}",
            hardening::lines(Needs { network: true, ..Needs::default() })
        ),
    );
    true
}
