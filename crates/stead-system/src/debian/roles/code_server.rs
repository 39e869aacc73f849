//! An editor in the browser, on the loopback.

use super::super::hardening::{self, Needs};
use super::super::{quote, vendor};
use super::Desired;
use crate::Whole;

pub(super) fn render(whole: &Whole, to: &mut Desired) -> &'static [&'static str] {
    let own = &whole.system.code_server;
    let Some(user) = own.user.as_deref().or(whole.first_user()).map(quote::name) else {
        to.remarks.push("the role code-server needs a user whose files it edits".into());
        return &[];
    };
    vendor::add("node", whole, to);
    to.package(&["build-essential", "python3"]);
    let prefix = "/opt/stead/code-server";
    to.npm(
        "code-server",
        prefix,
        &format!("{prefix}/bin/code-server"),
        ("code-server", "code-server"),
    );
    to.unit(
        "stead-code-server.service",
        format!(
            "[Unit]\nDescription=Editor in the browser\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\nType=exec\n\
             ExecStart={prefix}/bin/code-server --bind-addr 127.0.0.1:{} --auth none --disable-telemetry --disable-update-check\n\
             User={user}\nWorkingDirectory=/home/{user}\nReadWritePaths=/home/{user}\nRestart=on-failure\nRestartSec=5\n{}\n\
             [Install]\nWantedBy=multi-user.target\n",
            own.port,
            hardening::lines(Needs { network: true, home: true, jit: true, ..Needs::default() })
        ),
    );
    to.started("stead-code-server.service", "multi-user.target", false);
    &[]
}
