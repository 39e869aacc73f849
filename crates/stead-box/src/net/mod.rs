//! The network of a sandbox. Its namespace has no interface but a loopback on which every address is local, so
//! nothing can leave it; all connections arrive at this process, which decides and makes those of its own that lead out.
//!
//! The main thread lives in the sandbox's network namespace, a second one in the host's; how it all hangs together is
//! in `docs/network.md`.

pub mod client;
mod dns;
mod ground;
mod hello;
mod http;
mod inside;
pub mod log;
mod name;
mod netlink;
mod outside;
mod privileges;
mod rules;
mod serve;
mod sys;

pub(crate) use sys::take_fd;

use crate::spec;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

/// The name server for `/etc/resolv.conf` inside. Any address would do: whoever asks, we answer.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 90, 255, 253);

/// The socket in a run folder that is asked for connections; see [`client`].
pub const SOCKET: &str = "net.sock";

/// The note on a kernel without Landlock.
const OPEN_FILES: &str = "the process that serves the network could open the files of its user: this kernel has no \
                          Landlock (since 5.13; it must be in `lsm=`)";

/// What `stead-box net` reads from its standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetSetup {
    /// The network.
    pub net: spec::Net,
    /// The run folder: `net.sock` and `egress.log` are made there.
    pub run: PathBuf,
    /// Make a user namespace first, for an ordinary user.
    pub rootless: bool,
    /// The machine's name.
    pub name: String,
}

/// Why the network of a sandbox cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be read.
    #[error("the network's setup cannot be read: {0}")]
    Setup(String),
    /// A rule, or a name, is not one.
    #[error("{0}")]
    Rules(String),
    /// A port of this host cannot be taken.
    #[error("port {at} of this host cannot lead to port {inside}: {what}")]
    Port {
        /// Where.
        at: SocketAddr,
        /// To which port inside.
        inside: u16,
        /// Why, and what to do.
        what: String,
    },
    /// The kernel refused a step.
    #[error("the network of the sandbox could not be made, {what}: {error}")]
    Start {
        /// Which.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
    /// Nobody holds the lifeline.
    #[error("descriptor 3, which keeps the network alive, is not open")]
    Lifeline,
}

impl Error {
    fn start<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Error {
        move |error| Error::Start { what, error: error.into() }
    }
}

/// The program `stead-box net`: reads a [`NetSetup`] from its standard input, serves until descriptor 3 ends.
///
/// Prints `{"ready":true,"notes":[…]}`, the notes being what does not hold here, or `{"error":"…"}`, and closes its standard output.
pub fn run() -> ExitCode {
    let lifeline = !std::env::args().any(|argument| argument == "--no-lifeline");
    match start(lifeline) {
        Ok((maker, notes)) => {
            say(&serde_json::json!({ "ready": true, "notes": notes }));
            maker.serve();
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&serde_json::json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &serde_json::Value) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
    // Whoever reads sees the end; the number stays taken, so that no socket gets it.
    if let Ok((_, nowhere)) = rustix::pipe::pipe() {
        let _ = rustix::stdio::dup2_stdout(&nowhere);
    }
}

fn start(with_lifeline: bool) -> Result<(inside::Maker, Vec<&'static str>), Error> {
    sys::one_heap();
    let lifeline = if with_lifeline { Some(take_fd(3).ok_or(Error::Lifeline)?) } else { None };
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| Error::Setup(error.to_string()))?;
    let setup: NetSetup =
        serde_json::from_str(&text).map_err(|error| Error::Setup(error.to_string()))?;
    let rules = rules::Rules::read(&setup.name, &setup.net).map_err(Error::Rules)?;
    drop(text);
    if setup.rootless {
        privileges::own_users().map_err(Error::start("make a user namespace"))?;
    }
    let outside = outside::prepare(&setup, lifeline)?;
    privileges::be_spared();
    let closed =
        privileges::close_files(&setup.run).map_err(Error::start("close the file system"))?;
    let notes = if closed { vec![] } else { vec![OPEN_FILES] };

    let (inside, maker) = inside::pair();
    let (give, doors) = std::sync::mpsc::channel();
    let (done, begun) = std::sync::mpsc::channel();
    let (own, host_ports) = (setup.net.address, setup.net.host_ports.clone());
    // This one stays in the host's network namespace: it is made before we leave it.
    let server = move || {
        let result = privileges::drop_capabilities().map_err(Error::start("give up capabilities"));
        let Ok(doors) = doors.recv() else { return };
        match result.and_then(|()| serve::Server::new(setup, rules, outside, inside, doors)) {
            Ok(server) => {
                let _ = done.send(Ok(()));
                server.run();
            }
            Err(error) => {
                let _ = done.send(Err(error));
            }
        }
    };
    std::thread::Builder::new()
        .name("net".into())
        .stack_size(256 * 1024)
        .spawn(server)
        .map_err(Error::start("start a thread"))?;
    let doors = inside::enter(own, &host_ports)?;
    privileges::drop_capabilities().map_err(Error::start("give up capabilities"))?;
    let _ = give.send(doors);
    begun.recv().unwrap_or(Err(Error::Lifeline))?;
    sys::trim_memory();
    Ok((maker, notes))
}
