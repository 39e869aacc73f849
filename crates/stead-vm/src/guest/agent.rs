//! The machine's end of the line: it does what the host asks, each request in a thread of its own.

use crate::failure::{Result, Tried, VmError};
use crate::guest::arrivals::Arrivals;
use crate::guest::config::{Config, Guest};
use crate::guest::freeze::{self, Frozen};
use crate::guest::port::Port;
use crate::guest::{
    CONFIG, clock, command, forward, full, identity, init, keys, light, net, place, say, sessions,
};
use crate::line::mux::Happened;
use crate::line::spoken::{Answer, Question, Request, read_line, write_line};
use crate::sys;
use rustix::fd::AsFd;
use rustix::system::RebootCommand;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, OnceLock};

/// What every request may need.
struct Machine {
    config: Mutex<Config>,
    frozen: Frozen,
}

static MACHINE: OnceLock<Machine> = OnceLock::new();

/// Runs the agent. Returns only if it cannot go on.
pub fn run() -> ExitCode {
    let Err(why) = serve();
    say(&format!("the agent: {why}"));
    ExitCode::FAILURE
}

fn serve() -> Result<std::convert::Infallible> {
    let text = std::fs::read(CONFIG).tried(|| CONFIG)?;
    let config: Config =
        serde_json::from_slice(&text).map_err(|e| VmError::refused(format!("{CONFIG}: {e}")))?;
    let machine = MACHINE
        .get_or_init(|| Machine { config: Mutex::new(config.clone()), frozen: Frozen::default() });
    // A former agent may have been killed while the disks stood still.
    freeze::thaw_others();
    if config.guest == Guest::Full {
        // Whoever logs in waits for this: the unit is before the one that lets them in.
        keys::make();
    }
    forward::listen_all(config.host_ports.iter(), config.net.as_ref());
    let arrivals = Arrivals::listen()?;
    let mut port = Port::open(&arrivals)?;
    let mut said = false;
    loop {
        for happened in port.turn()?.happened {
            match happened {
                Happened::Begun => {
                    // Its answer says nothing.
                    drop(port.ask(Question::Ready)?);
                    if !std::mem::replace(&mut said, true) {
                        say("ready");
                    }
                }
                Happened::Opened(stream) => {
                    let thread = std::thread::Builder::new().stack_size(256 * 1024);
                    // One that cannot be served is closed, which is seen.
                    drop(thread.spawn(move || answer(stream, machine)));
                }
                Happened::Lost => {}
            }
        }
    }
}

fn answer(mut stream: UnixStream, machine: &'static Machine) {
    let request: Request = match read_line(&stream) {
        Ok(request) => request,
        Err(e) => {
            let _ = write_line(&mut stream, &Answer::from(Err(e)));
            return;
        }
    };
    let config = || machine.config.lock().expect("nobody fails with it").clone();
    let done = match request {
        Request::Exec(exec) => return command::run(stream, &exec, &config()),
        Request::Connect { port } => {
            let own = config().net.map(|net| net.address);
            match forward::connect(port, own) {
                Ok(there) => {
                    if write_line(&mut stream, &Answer::default()).is_ok() {
                        forward::carry(stream.into(), there.into());
                    }
                    return;
                }
                Err(e) => Err(e),
            }
        }
        Request::Ping => Ok(()),
        Request::Clock { ms } => clock::set(ms),
        Request::Freeze => return machine.frozen.hold(&mut stream),
        Request::Identity { config } => become_other(machine, *config),
        Request::Down => {
            // Whoever asks has the answer, and closes, before the end begins.
            let _ = write_line(&mut stream, &Answer::default());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(1)));
            let _ = std::io::Read::read(&mut stream, &mut [0]);
            // Nobody ends who waits to write.
            machine.frozen.thaw();
            return down(config().guest);
        }
    };
    let _ = write_line(&mut stream, &Answer::from(done));
}

/// Takes another identity. What does not change while a machine runs (its disks, its shares) is as it was.
fn become_other(machine: &Machine, new: Config) -> Result<()> {
    let mut config = machine.config.lock().expect("nobody fails with it");
    if let Some(seed) = &new.seed {
        clock::stir(seed)?;
    }
    if let Some(ms) = new.clock_ms {
        clock::set(ms)?;
    }
    let root = place::root("/")?;
    let strip = new.strip && !identity::is_own(root.as_fd(), &new);
    if strip {
        // They go on for a machine that this one is not.
        sessions::end();
    }
    if !config.shares.is_empty() {
        // What the host's folders were like is remembered, and they may be otherwise by now.
        let _ = std::fs::write("/proc/sys/vm/drop_caches", "3");
    }
    identity::write(root.as_fd(), &new)?;
    net::change(config.net.as_ref(), new.net.as_ref(), &Arrivals::listen()?)?;
    let had: Vec<u16> = std::mem::take(&mut config.host_ports);
    forward::listen_all(new.host_ports.iter().filter(|port| !had.contains(port)), new.net.as_ref());
    keys::make();
    if strip {
        if config.guest == Guest::Full {
            full::know_keys_again();
        }
        // Should it be cut off now, it is nevertheless not the other when it boots.
        crate::guest::root::sync();
    }
    let kept = Config {
        root: config.root.clone(),
        guest: config.guest,
        persist: config.persist.clone(),
        shares: config.shares.clone(),
        strip: false,
        seed: None,
        ..new
    };
    init::keep(&kept)?;
    *config = kept;
    Ok(())
}

/// Shuts the machine down.
fn down(guest: Guest) {
    if guest == Guest::Light {
        let _ = sys::kill(1, false, light::TURN_OFF);
        return;
    }
    let asked = Command::new("systemctl")
        .args(["--no-block", "poweroff"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    if !asked.is_ok_and(|status| status.success()) {
        say("systemd does not turn the machine off; the agent does");
        crate::guest::root::leave();
        light::end(RebootCommand::PowerOff);
    }
}
