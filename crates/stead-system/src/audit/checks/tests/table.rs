//! How every check is made to fail, what it then says, and what it is blind without.

use super::healthy::{file, listener, rules, unit};
use crate::Whole;
use crate::audit::evidence::*;

pub struct Row {
    pub id: &'static str,
    pub broken: fn(&mut Whole, &mut Evidence),
    pub says: &'static str,
    pub blind: fn(&mut Evidence),
}

fn none<T>() -> Seen<T> {
    Err("blind".into())
}

fn set(evidence: &mut Evidence, key: &str, value: &str) {
    let sshd = evidence.sshd.as_mut().unwrap();
    for settings in sshd.people.values_mut().chain([&mut sshd.settings]) {
        settings.insert(key.into(), vec![value.into()]);
    }
}

fn state(evidence: &mut Evidence, name: &str, state: &str) {
    evidence.units.as_mut().unwrap().insert(name.into(), unit(state, &[]));
}

fn with(evidence: &mut Evidence, name: &str, key: &str, value: &str) {
    let unit = evidence.units.as_mut().unwrap().get_mut(name).unwrap();
    unit.properties.insert(key.into(), value.into());
}

fn person(evidence: &mut Evidence, name: &str, uid: u32) {
    let home = "/home/x".into();
    let account = Account { uid, gid: uid, home, shell: "/bin/sh".into() };
    evidence.accounts.as_mut().unwrap().insert(name.into(), account);
}

fn password(evidence: &mut Evidence, name: &str, password: Password) {
    evidence.passwords.as_mut().unwrap().insert(name.into(), password);
}

fn socket(evidence: &mut Evidence, mode: u32, mounted: bool) {
    let path = "/run/docker.sock".into();
    evidence.engine_sockets = Ok(vec![EngineSocket { path, mode, mounted }]);
}

const ALL_OPEN: &str = r#"{"rule":{"family":"inet","table":"s","chain":"i","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":{"set":[22,8080]}}},{"accept":null}]}},"#;
const ALL_SHUT: &str =
    r#"{"rule":{"family":"inet","table":"s","chain":"i","expr":[{"drop":null}]}},"#;
const SPOKEN: &str =
    r#"{"rule":{"family":"inet","table":"s","chain":"o","expr":[{"accept":null}]}},"#;

macro_rules! row {
    ($id:literal, $says:literal, $broken:expr, $blind:expr) => {
        Row { id: $id, says: $says, broken: $broken, blind: $blind }
    };
}

pub const TABLE: &[Row] = &[
    row!(
        "ssh.running",
        "ssh.service is not active",
        |_, e| state(e, "ssh.service", "inactive"),
        |e| e.units = none()
    ),
    row!(
        "ssh.password",
        "passwordauthentication yes",
        |_, e| set(e, "passwordauthentication", "yes"),
        |e| e.sshd = none()
    ),
    row!(
        "ssh.root",
        "permitrootlogin prohibit",
        |_, e| set(e, "permitrootlogin", "prohibit-password"),
        |e| e.sshd = none()
    ),
    row!("ssh.keys", "pubkeyauthentication no", |_, e| set(e, "pubkeyauthentication", "no"), |e| {
        e.sshd = none();
    }),
    row!("ssh.empty-password", "yes", |_, e| set(e, "permitemptypasswords", "yes"), |e| e.sshd =
        none()),
    row!("ssh.x11", "x11forwarding yes", |_, e| set(e, "x11forwarding", "yes"), |e| e.sshd =
        none()),
    row!(
        "ssh.users",
        "has eve, not declared; AllowUsers lacks ada",
        |_, e| set(e, "allowusers", "eve"),
        |e| e.sshd = none()
    ),
    row!("ssh.tries", "MaxAuthTries 6, declared are 3", |_, e| set(e, "maxauthtries", "6"), |e| {
        e.sshd = none();
    }),
    row!("ssh.idle", "ClientAliveInterval 0", |_, e| set(e, "clientaliveinterval", "0"), |e| e
        .sshd =
        none()),
    row!("ssh.port", "port 2222, declared is 22", |_, e| set(e, "port", "2222"), |e| e.sshd =
        none()),
    row!(
        "ssh.match",
        "Match Address 10.0.0.0/8: passwordauthentication yes",
        |_, e| {
            let matches = [("Address 10.0.0.0/8", "passwordauthentication", "yes")];
            e.sshd.as_mut().unwrap().matches =
                matches.map(|(a, b, c)| (a.into(), b.into(), c.into())).into();
        },
        |e| e.sshd = none()
    ),
    row!(
        "ssh.fail2ban",
        "fail2ban does not watch ssh",
        |_, e| e.jails = Ok(vec!["nginx".into()]),
        |e| e.jails = none()
    ),
    row!(
        "keys.there",
        "ada lacks ssh-ed25519 ...",
        |_, e| {
            e.keys.insert("ada".into(), Ok(Vec::new()));
        },
        |e| {
            e.keys.insert("ada".into(), none());
        }
    ),
    row!(
        "keys.undeclared",
        "bob has ssh-rsa ...AAAA in /home/bob",
        |_, e| {
            let file = KeyFile {
                path: "/home/bob/.ssh/authorized_keys".into(),
                keys: vec!["ssh-rsa AAAA".into()],
                open: None,
            };
            e.keys.insert("bob".into(), Ok(vec![file]));
        },
        |e| {
            e.keys.insert("bob".into(), none());
        }
    ),
    row!(
        "keys.modes",
        "others can write to /home/ada/.ssh",
        |_, e| {
            e.keys.get_mut("ada").unwrap().as_mut().unwrap()[0].open =
                Some("/home/ada/.ssh".into());
        },
        |e| {
            e.keys.insert("bob".into(), none());
        }
    ),
    row!("firewall.closed", "22/tcp; 8080/tcp", |_, e| e.ruleset = Ok(rules(ALL_OPEN)), |e| e
        .ruleset =
        none()),
    row!("firewall.open", "41641/udp is closed", |_, e| e.ruleset = Ok(rules(ALL_SHUT)), |e| e
        .ruleset =
        none()),
    row!(
        "firewall.trusted",
        "tailscale0 is stopped",
        |_, e| e.ruleset = Ok(rules(ALL_SHUT)),
        |e| e.ruleset = none()
    ),
    row!(
        "firewall.metadata",
        "ada reaches 169.254.169.254",
        |_, e| e.ruleset = Ok(rules(SPOKEN)),
        |e| e.ruleset = none()
    ),
    row!(
        "network.listeners",
        "0.0.0.0 22/tcp (thing)",
        |_, e| e.ruleset = Ok(rules(ALL_OPEN)),
        |e| e.listeners = none()
    ),
    row!(
        "network.private",
        "code-server waits on 0.0.0.0 4444/tcp",
        |_, e| e.listeners = Ok(vec![listener([0, 0, 0, 0], 4444)]),
        |e| e.listeners = none()
    ),
    row!(
        "users.there",
        "there is no user bob",
        |_, e| {
            e.accounts.as_mut().unwrap().remove("bob");
        },
        |e| e.accounts = none()
    ),
    row!("users.undeclared", "eve is not declared", |_, e| person(e, "eve", 1002), |e| e
        .accounts =
        none()),
    row!("users.root-number", "toor is number 0", |_, e| person(e, "toor", 0), |e| e.accounts =
        none()),
    row!(
        "users.empty-password",
        "bob has an empty password",
        |_, e| password(e, "bob", Password::Empty),
        |e| e.passwords = none()
    ),
    row!("users.password", "root has a password", |_, e| password(e, "root", Password::Set), |e| {
        e.passwords = none();
    }),
    row!(
        "users.strong-groups",
        "bob is in docker",
        |_, e| {
            e.groups.as_mut().unwrap().get_mut("docker").unwrap().members.push("bob".into());
        },
        |e| e.groups = none()
    ),
    row!(
        "sudo.declared",
        "bob may, by the rule of bob",
        |_, e| {
            e.sudo.as_mut().unwrap().push(SudoRule { who: "bob".into(), free: true, all: true });
        },
        |e| e.sudo = none()
    ),
    row!(
        "sudo.others",
        "sudo has a rule for eve",
        |_, e| {
            e.sudo.as_mut().unwrap().push(SudoRule { who: "eve".into(), free: true, all: false });
        },
        |e| e.sudo = none()
    ),
    row!(
        "credentials.private",
        "/home/ada/.ssh/id_rsa has mode 0644",
        |_, e| {
            e.credentials = Ok(vec![file("/home/ada/.ssh/id_rsa", 0o644)]);
        },
        |e| e.credentials = none()
    ),
    row!(
        "credentials.plain",
        "an access key of AWS",
        |_, e| {
            e.plain_keys = Ok(vec![("/etc/environment".into(), "an access key of AWS")]);
        },
        |e| e.plain_keys = none()
    ),
    row!(
        "secrets.there",
        "there is no /run/secrets/ts",
        |_, e| e.secrets.as_mut().unwrap().clear(),
        |e| e.secrets = none()
    ),
    row!(
        "secrets.private",
        "mode 0444",
        |_, e| {
            e.secrets.as_mut().unwrap().insert("ts".into(), file("/run/secrets/ts", 0o444));
        },
        |e| e.secrets = none()
    ),
    row!(
        "agents.installed",
        "claude is not installed",
        |_, e| {
            e.agents.insert("claude".into(), None);
        },
        |e| e.accounts = none()
    ),
    row!(
        "agents.version",
        "claude has 2.0.9, declared is 2.1.0",
        |_, e| {
            e.agents.get_mut("claude").unwrap().as_mut().unwrap().version = Ok("2.0.9".into());
        },
        |e| e.agents.get_mut("claude").unwrap().as_mut().unwrap().version = none()
    ),
    row!(
        "agents.environment",
        "process 7 has ANTHROPIC_API_KEY",
        |_, e| {
            e.remote_controls.as_mut().unwrap()[0].variables = Ok(vec!["ANTHROPIC_API_KEY".into()]);
        },
        |e| e.remote_controls.as_mut().unwrap()[0].variables = none()
    ),
    row!(
        "containers.host-socket",
        "was put here from outside",
        |_, e| socket(e, 0o660, true),
        |e| e.engine_sockets = none()
    ),
    row!(
        "containers.socket",
        "/run/docker.sock has mode 0666",
        |_, e| socket(e, 0o666, false),
        |e| e.engine_sockets = none()
    ),
    row!(
        "services.running",
        "mail.service is failed",
        |_, e| state(e, "mail.service", "failed"),
        |e| e.units = none()
    ),
    row!(
        "services.user",
        "mail runs as root",
        |_, e| with(e, "mail.service", "DynamicUser", "no"),
        |e| e.units = none()
    ),
    row!(
        "services.privileges",
        "mail may gain privileges",
        |_, e| with(e, "mail.service", "NoNewPrivileges", "no"),
        |e| e.units = none()
    ),
    row!(
        "services.exposure",
        "mail is exposed by 9.2",
        |_, e| {
            e.exposure.as_mut().unwrap().insert("mail.service".into(), 9.2);
        },
        |e| e.exposure = none()
    ),
    row!(
        "services.alert",
        "mail has no OnFailure",
        |_, e| with(e, "mail.service", "OnFailure", ""),
        |e| e.units = none()
    ),
    row!(
        "roles.running",
        "Ollama does not run",
        |_, e| state(e, "ollama.service", "inactive"),
        |e| e.units = none()
    ),
    row!(
        "overlay.up",
        "there is no tailscale0",
        |_, e| {
            e.interfaces.as_mut().unwrap().remove("tailscale0");
        },
        |e| e.interfaces = none()
    ),
    row!(
        "packages.installed",
        "jq is not installed",
        |_, e| {
            e.packages.as_mut().unwrap().remove("jq");
        },
        |e| e.packages = none()
    ),
    row!(
        "updates.automatic",
        "apt-daily-upgrade.timer is inactive",
        |_, e| state(e, "apt-daily-upgrade.timer", "inactive"),
        |e| e.apt = none()
    ),
    row!(
        "updates.pending",
        "1 waiting: bash 6",
        |_, e| e.updates = Ok(vec!["bash 6".into()]),
        |e| e.updates = none()
    ),
    row!("updates.looked", "30 days old", |_, e| e.lists_age = Ok(30), |e| e.lists_age = none()),
    row!(
        "updates.restart",
        "another kernel",
        |_, e| e.restart = Ok(Some(Old::Restart("another kernel".into()))),
        |e| e.restart = none()
    ),
    row!("machine.system", "nixos, declared is debian", |_, e| e.os = Ok("nixos".into()), |e| e
        .os =
        none()),
    row!(
        "machine.hostname",
        "other, declared is box",
        |_, e| e.hostname = Ok("other".into()),
        |e| e.hostname = none()
    ),
    row!(
        "machine.timezone",
        "Asia/Tokyo, declared is UTC",
        |_, e| e.timezone = Ok("Asia/Tokyo".into()),
        |e| e.timezone = none()
    ),
    row!("machine.locale", "declared is c.utf-8", |_, e| e.locale = Ok("POSIX".into()), |e| e
        .locale =
        none()),
    row!("machine.clock", "goes by no other", |_, e| e.clock = Ok(false), |e| e.clock = none()),
    row!("machine.disk", "/ is full to 95 %", |_, e| e.disks.as_mut().unwrap()[0].used = 95, |e| {
        e.disks = none();
    }),
    row!(
        "machine.audit-log",
        "auditd.service is inactive",
        |_, e| state(e, "auditd.service", "inactive"),
        |e| e.units = none()
    ),
    row!(
        "machine.failed",
        "cron.service",
        |_, e| e.failed = Ok(vec!["cron.service".into()]),
        |e| e.failed = none()
    ),
];
