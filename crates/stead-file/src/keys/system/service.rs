//! Daemons and timers of people's own.

use crate::command::Command;
use crate::declared::{Alerts, Logs, Service, ServiceKind};
use crate::env::Environment;
use crate::form::{Choice, Flag, Form, List, Name, Word};
use crate::named::Texts;
use crate::path::Inside;
use crate::table::{Key, Table, rows};
use crate::text::{CALENDAR, DIRECTIVE, LABEL, LINE, LOGIN, UNIT, URL};
use std::path::PathBuf;

pub(crate) static SERVICE: Table<Service> = Table {
    what: "a service",
    header: "[systems.NAME.services.NAME]",
    doc: "A daemon of your own, or with `calendar` what runs at times: a systemd unit that may do little but its work.",
    keys: rows!(Service {
        /// `remote-control` is Claude Code, steered from elsewhere: it needs no `command`.
        kind: Word(&[("command", ServiceKind::Command), ("remote-control", ServiceKind::RemoteControl)]),
            "\"command\"", "\"remote-control\""
            => |service, kind| service.kind = kind;
        /// What it is for.
        description: LINE, "its name", "\"Fetches the mail\"" => |service, text| service.description = text;
        /// Program and arguments, as a list or as one text that is split as a shell splits it. The program by its whole path.
        command: Command, "none", "[\"/usr/bin/mbsync\", \"-a\"]",
            elsewhere ["exec", "exec_start", "ExecStart", "cmd", "run"]
            => |service, command| service.command = command;
        /// Who it runs as.
        user: LOGIN, "a user of its own that is there while it runs", "\"ada\"" => |service, user| service.user = Some(user);
        /// The folder it starts in.
        cwd: Inside, "its own, `/var/lib/NAME`", "\"/srv/app\"",
            elsewhere ["working_directory", "dir", "workdir", "WorkingDirectory"]
            => |service, cwd| service.cwd = Some(cwd);
        /// Environment variables.
        env: Environment, "{}", "{ TZ = \"UTC\" }",
            elsewhere ["environment", "variables"]
            => |service, env| service.env = env;
        /// Secrets it reads, each a file `$CREDENTIALS_DIRECTORY/NAME`.
        secrets: List { of: Name("a secret"), once: "secret", same: String::clone }, "[]", "[\"api-token\"]",
            elsewhere ["credentials"]
            => |service, secrets| service.secrets = secrets;
        /// Folders it writes to, besides its own.
        writes: List { of: Inside, once: "folder", same: PathBuf::clone }, "[]", "[\"/srv/app/cache\"]",
            elsewhere ["read_write_paths", "ReadWritePaths", "writable"]
            => |service, writes| service.writes = writes;
        /// Whether it connects to anything.
        network: Flag, "true", "false" => |service, flag| service.network = flag;
        /// When it is started again.
        restart: Choice(&["always", "on-failure", "no"]), "\"on-failure\"", "\"always\""
            => |service, restart| service.restart = restart;
        /// When it runs, as systemd writes times.
        calendar: CALENDAR, "all the time", "\"*-*-* 03:30\"",
            elsewhere ["timer", "schedule", "cron", "OnCalendar", "on_calendar"]
            => |service, calendar| service.calendar = Some(calendar);
        /// Units it comes after, besides `network-online.target`.
        after: List { of: UNIT, once: "unit", same: String::clone }, "[]", "[\"postgresql.service\"]"
            => |service, after| service.after = after;
        /// Directives of hardening it does without.
        relax: List { of: DIRECTIVE, once: "directive", same: String::clone }, "[]", "[\"MemoryDenyWriteExecute\"]"
            => |service, relax| service.relax = relax;
        /// Whether its failure is told.
        alert: Flag, "true", "false" => |service, flag| service.alert = flag;
        /// Labels of its lines in Loki.
        labels: Texts { name: LABEL, value: LINE }, "{}", "{ tier = \"mail\" }"
            => |service, labels| service.labels = labels;
    }),
};

pub(crate) static ALERTS: Table<Alerts> = Table {
    what: "`alerts`",
    header: "[systems.NAME.alerts]",
    doc: "Where a unit that failed is told.",
    keys: rows!(Alerts {
        /// A topic of an ntfy server.
        ntfy: URL, "none", "\"https://ntfy.example.org/box\"",
            elsewhere ["url", "topic"]
            => |alerts, url| alerts.ntfy = Some(url);
        /// The secret with the token for it.
        token: Name("a secret"), "none", "\"ntfy-token\"" => |alerts, token| alerts.token = Some(token);
    }),
};

pub(crate) static LOGS: Table<Logs> = Table {
    what: "`logs`",
    header: "[systems.NAME.logs]",
    doc: "Where the journal goes, by Grafana Alloy.",
    keys: rows!(Logs {
        /// Where Loki takes lines.
        loki: URL, "none", "\"https://loki.example.org/loki/api/v1/push\"",
            elsewhere ["url", "endpoint"]
            => |logs, url| logs.loki = Some(url);
        /// Labels of every line.
        labels: Texts { name: LABEL, value: LINE }, "{}", "{ site = \"home\" }"
            => |logs, labels| logs.labels = labels;
    }),
};
