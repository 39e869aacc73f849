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
mod table;
mod tap;

pub(crate) use sys::take_fd;

use crate::{descriptors, spec};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name server for `/etc/resolv.conf` inside. Any address would do: whoever asks, we answer.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 90, 255, 253);

/// The address of the gateway of every virtual machine: the one next to it that answers, and that connections into it
/// come from.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 90, 255, 254);

/// The gateway's hardware address: always the same, so that a machine whose memory was kept finds it again.
pub const GATEWAY_MAC: [u8; 6] = [0x02, 0x00, 10, 90, 255, 254];

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
/// Prints `{"ready":true,"notes":[…]}`, the notes being what does not hold here, or `{"error":"…"}`, and closes its standard
/// output. Where there is to be a tap device, its descriptor goes with the line: standard output must be a socket then.
pub fn run() -> ExitCode {
    let lifeline = !std::env::args().any(|argument| argument == "--no-lifeline");
    match start(lifeline) {
        Ok(Served { maker, notes, tap }) => {
            say(&serde_json::json!({ "ready": true, "notes": notes }), tap.as_ref());
            drop(tap);
            maker.serve();
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&serde_json::json!({ "error": error.to_string() }), None);
            ExitCode::FAILURE
        }
    }
}

fn say(line: &serde_json::Value, tap: Option<&OwnedFd>) {
    let mut out = io::stdout();
    if let Some(tap) = tap {
        let _ = descriptors::send(&out, format!("{line}\n").as_bytes(), &[tap.as_fd()]);
    } else {
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
    }
    // Whoever reads sees the end; the number stays taken, so that no socket gets it.
    if let Ok((_, nowhere)) = rustix::pipe::pipe() {
        let _ = rustix::stdio::dup2_stdout(&nowhere);
    }
}

/// A network that is served.
struct Served {
    maker: inside::Maker,
    notes: Vec<&'static str>,
    tap: Option<OwnedFd>,
}

fn start(with_lifeline: bool) -> Result<Served, Error> {
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

    let (inside, maker) = inside::pair();
    let (give, doors) = std::sync::mpsc::channel();
    let (done, begun) = std::sync::mpsc::channel();
    let (own, host_ports) = (setup.net.address, setup.net.host_ports.clone());
    let (guest, run) = (setup.net.tap.is_some(), setup.run.clone());
    // This one stays in the host's network namespace: it is made before we leave it.
    let server = move || {
        let result = confine(&setup.run);
        let Ok(doors) = doors.recv() else { return };
        match result.and_then(|_| serve::Server::new(setup, rules, outside, inside, doors)) {
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
    let (doors, tap) = inside::enter(&inside::For { own, host_ports: &host_ports, guest })?;
    let notes = if confine(&run)? { vec![] } else { vec![OPEN_FILES] };
    let _ = give.send(doors);
    begun.recv().unwrap_or(Err(Error::Lifeline))?;
    sys::trim_memory();
    Ok(Served { maker, notes, tap })
}

/// Gives up what this thread needs no more. Whether the kernel can close files.
fn confine(run: &Path) -> Result<bool, Error> {
    let closed = privileges::close_files(run).map_err(Error::start("close the file system"))?;
    privileges::drop_capabilities().map_err(Error::start("give up capabilities"))?;
    Ok(closed)
}
