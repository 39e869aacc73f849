//! The JSON bodies about machines on the steward's HTTP interface.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `GET /v1/machines` | | list of [`Shown`] |
//! | `GET /v1/machines/NAME` | | [`Shown`] |
//! | `POST /v1/machines` | [`Make`] | [`Line`]s; the result is [`Shown`] |
//! | `DELETE /v1/machines/NAME` | | [`Line`]s |
//! | `GET /v1/machines/NAME/goes` | | list of texts: what a destruction takes with it |
//! | `POST /v1/machines/NAME/up`, `/down`, `/restart` | | [`Line`]s |
//! | `POST /v1/machines/NAME/exec` | [`Exec`] | [`Door`] |
//! | `POST /v1/machines/NAME/logins` | [`ShareLogins`] | list of [`SharedLogin`] |
//! | `POST /v1/machines/NAME/agents/AGENT` | | null; what starts the agent without questions is in the machine |
//! | `POST /v1/machines/NAME/system` | [`Switch`] | what the switch is known by; null of what has no record |
//! | `POST /v1/machines/NAME/system/SWITCH` | | whether it is the machine that the switch began on |
//! | `GET /v1/machines/NAME/way` | | [`Way`] |
//! | `GET /v1/machines/NAME/console` | | [`Console`] |
//! | `GET /v1/machines/NAME/script` | | a text: the shell script that starts it without Stead |
//! | `GET /v1/machines/NAME/diff` | | list of [`stead_machine::model::Change`] |
//! | `GET /v1/machines/NAME/snapshots` | | list of [`stead_machine::model::Snapshot`] |
//! | `POST /v1/machines/NAME/snapshots` | [`Keep`] | [`Line`]s; the result is the snapshot |
//! | `POST /v1/machines/NAME/snapshots/SNAPSHOT/restore` | | [`Line`]s |
//! | `DELETE /v1/machines/NAME/snapshots/SNAPSHOT` | | [`Line`]s |
//! | `POST /v1/machines/NAME/clone` | [`CloneInto`] | [`Line`]s |
//! | `POST /v1/machines/NAME/move` | [`MoveTo`] | [`Line`]s |
//! | `POST /v1/plan` | [`Declared`] | [`stead_machine::Plan`] |
//! | `POST /v1/apply` | [`Apply`] | [`Line`]s |
//! | `GET /v1/operations` | | list of [`stead_machine::Operation`], without their steps |
//! | `GET /v1/operations/events` | | [`Event`]s of all machines, one a line, from now on |
//! | `GET /v1/operations/ID` | | [`stead_machine::Operation`] |
//!
//! [`Line`]s are JSON objects, one a line, while the work goes on; the last is its result or a problem. The work is
//! finished even if nobody reads them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use stead_file::Declaration;
use stead_file::declared::Machine;
use stead_machine::Plan;
use stead_machine::model::Phase;
use stead_machine::operation::Event;
use stead_machine::system::Rendered;
use stead_wire::api::Problem;

/// One line of an answer to something that takes time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// Something happened.
    Event(Event),
    /// It is done.
    Done {
        /// The result; null where there is none.
        done: Value,
    },
    /// It was not done.
    Problem {
        /// Why.
        problem: Problem,
    },
}

/// A machine as `stead ls` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its identity; empty for this host.
    #[serde(default)]
    pub id: String,
    /// Its engine.
    pub engine: String,
    /// What it does.
    #[serde(flatten)]
    pub phase: Phase,
    /// Since when it runs; milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Its address on Stead's networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<std::net::Ipv4Addr>,
    /// The stead file that it is from; `None` if it was made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Machine>,
    /// When it was first asked for; milliseconds since the Unix epoch.
    #[serde(default)]
    pub created: u64,
    /// What a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A machine to be made without a stead file, or as one declares it, and started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Make {
    /// Its name.
    pub name: String,
    /// The stead file that declares it; `None`: it is a scratch machine, from defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Declared>,
}

/// What a stead file declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    /// All of it.
    pub declaration: Declaration,
    /// The file: whose machines they are.
    pub owner: String,
    /// Only these machines; empty is all.
    #[serde(default)]
    pub only: Vec<String>,
    /// The systems of its machines as they were rendered, by machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub systems: BTreeMap<String, Rendered>,
}

/// A plan to be carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apply {
    /// What it was made from.
    pub declared: Declared,
    /// What was shown to the person: nothing else is done.
    pub plan: Plan,
    /// Machines that are worked on at once.
    pub parallel: usize,
    /// Machines whose sessions are not started yet: their systems are brought first, and another request starts them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<String>,
}

/// A switch of a machine's system that begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// What the stead file calls the system.
    pub name: String,
    /// As in [`Rendered::parts`].
    pub parts: BTreeMap<String, String>,
}

/// A state to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Keep {
    /// The snapshot's name; made from the time when absent.
    pub name: Option<String>,
    /// Something to remember it by.
    pub note: String,
    /// Whether its memory is kept, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub memory: bool,
}

/// A machine to be made from another's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneInto {
    /// Its name.
    pub to: String,
    /// From this snapshot instead of the present state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// Where a state goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveTo {
    /// The machine that gets it.
    pub to: String,
}

/// A command to run inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Folder inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Environment beside the machine's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// What a client on this host runs to have a command run inside: it has the same rights as the steward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables to set.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Folder to start in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
}

/// How a client on this host reaches a machine's ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "way")]
pub enum Way {
    /// They are this host's own.
    Loopback,
    /// A socket that hands out connections.
    Socket {
        /// Where it is.
        path: PathBuf,
    },
}

/// A machine's serial console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    /// Where its bytes come and go while the machine runs.
    pub socket: PathBuf,
    /// Everything that it ever printed.
    pub log: PathBuf,
}

/// Agents whose login on this host is to be in a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareLogins {
    /// The agents.
    pub agents: Vec<String>,
}

/// What became of an agent's login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedLogin {
    /// The agent.
    pub agent: String,
    /// It was copied; otherwise the machine had one.
    pub copied: bool,
}
