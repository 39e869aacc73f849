//! Sockets of container engines: whoever has one is root there.

use super::{Check, Fix, Judgement, unless};
use crate::Whole;
use crate::audit::evidence::Evidence;
use crate::audit::report::{Action, Severity};

pub const CHECKS: &[Check] = &[
    Check {
        id: "containers.host-socket",
        title: "The socket of the host's container engine is not in the machine",
        severity: Severity::Critical,
        judge: host,
    },
    Check {
        id: "containers.socket",
        title: "Not everybody may use the socket of a container engine",
        severity: Severity::Critical,
        judge: open,
    },
];

fn host(_: &Whole, evidence: &Evidence) -> Judgement {
    let all = evidence.engine_sockets.as_ref()?;
    let wrong: Vec<String> = all
        .iter()
        .filter(|socket| socket.mounted)
        .map(|socket| format!("{} was put here from outside", socket.path.display()))
        .collect();
    unless(&wrong, "none was put here from outside", || {
        Fix::Do("remove the share from the machine's declaration; the role `container-host` has an engine of its own".into())
    })
}

fn open(_: &Whole, evidence: &Evidence) -> Judgement {
    let all = evidence.engine_sockets.as_ref()?;
    let open: Vec<_> = all.iter().filter(|socket| socket.mode & 0o002 > 0).collect();
    let wrong: Vec<String> = open
        .iter()
        .map(|socket| format!("{} has mode {:04o}", socket.path.display(), socket.mode & 0o7777))
        .collect();
    unless(&wrong, format!("{} sockets", all.len()), || {
        Fix::Mend(
            open.iter()
                .map(|socket| Action::Close { path: socket.path.clone(), without: 0o007 })
                .collect(),
        )
    })
}
