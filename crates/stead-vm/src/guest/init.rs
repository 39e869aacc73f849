//! What the kernel starts: it makes the machine what its keeper says, and becomes what stays.

use crate::failure::{Result, Tried, VmError};
use crate::guest::arrivals::Arrivals;
use crate::guest::config::{Config, Guest, ShareKind};
use crate::guest::kernel::Needed;
use crate::guest::port::Port;
use crate::guest::{
    CONFIG, ENCLOSED, FIRST, PROGRAMS, SELF, clock, full, identity, kernel, net, place, power,
    root, say, shares, shell,
};
use rustix::fd::AsFd;
use std::convert::Infallible;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Runs as the first process of a guest. If that fails, it says why on the console, and the kernel, which has no first process
/// then, ends the machine: whoever waits for it sees that.
pub fn run() -> ! {
    let Err(why) = boot();
    say(&why.to_string());
    std::process::exit(1)
}

fn boot() -> Result<Infallible> {
    kernel::first()?;
    let arrivals = Arrivals::listen()?;
    kernel::load_first_modules()?;
    let config = match enclosed()? {
        Some(config) => config,
        None => Port::open(&arrivals)?.config()?,
    };
    if let Some(ms) = config.clock_ms {
        clock::set(ms)?;
    }
    if let Some(seed) = &config.seed {
        clock::stir(seed)?;
    }
    put_programs(&config)?;
    if config.root.memory.is_some() {
        kernel::load_modules(Needed::Overlay)?;
    }
    for (kind, needed) in
        [(ShareKind::Virtiofs, Needed::Virtiofs), (ShareKind::NineP, Needed::NineP)]
    {
        if config.shares.iter().any(|share| share.kind == kind) {
            kernel::load_modules(needed)?;
        }
    }
    root::put(&config.root, &arrivals)?;
    let new = place::root(root::NEW)?;
    if let Some(persist) = &config.persist {
        root::put_persist(persist, new.as_fd(), &arrivals)?;
    }
    identity::write(new.as_fd(), &config)?;
    if config.guest == Guest::Light {
        power::put(new.as_fd());
    }
    shares::put(&config.shares, new.as_fd())?;
    net::put(config.net.as_ref(), &arrivals)?;
    root::enter(new.as_fd())?;
    drop((new, arrivals));
    let mut next = match config.guest {
        Guest::Light => {
            kernel::rest()?;
            let mut next = Command::new(SELF);
            next.arg(FIRST);
            next
        }
        Guest::Full => {
            full::put_unit()?;
            if config.shell {
                shell::put_getty()?;
            }
            Command::new("/sbin/init")
        }
    };
    let program = next.get_program().to_owned();
    Err(next.env_clear().exec()).tried(|| format!("starting {} in the machine", program.display()))
}

/// What the machine is, if that came with the first root.
fn enclosed() -> Result<Option<Config>> {
    match std::fs::read(ENCLOSED) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => serde_json::from_slice(&read.tried(|| ENCLOSED)?)
            .map(Some)
            .map_err(|e| VmError::refused(format!("{ENCLOSED}: {e}"))),
    }
}

/// Puts the programs where they are in every guest, and what this one is beside them.
fn put_programs(config: &Config) -> Result<()> {
    std::fs::create_dir_all(PROGRAMS).tried(|| PROGRAMS)?;
    for (from, name) in [("/init", "stead-vm"), ("/stead-hold", "stead-hold")] {
        if from == "/stead-hold" && !std::fs::exists(from).unwrap_or(false) {
            continue;
        }
        let to = format!("{PROGRAMS}/{name}");
        let tried = || format!("putting {to} into the machine");
        match config.guest {
            // They are in memory already, and nobody takes a light guest's mounts away. The files that are mounted stay where
            // they are, or the programs would take themselves for deleted.
            Guest::Light => {
                std::fs::File::create(&to).tried(tried)?;
                rustix::mount::mount_bind(from, &to).tried(tried)?;
            }
            Guest::Full => {
                std::fs::copy(from, &to)
                    .and_then(|_| std::fs::set_permissions(&to, PermissionsExt::from_mode(0o755)))
                    .and_then(|()| std::fs::remove_file(from))
                    .tried(tried)?;
            }
        }
    }
    keep(config)
}

/// Writes what the machine is, for its agent.
pub fn keep(config: &Config) -> Result<()> {
    let new = format!("{CONFIG}.new");
    let text = serde_json::to_vec(config).map_err(|e| VmError::refused(e.to_string()))?;
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create(true).truncate(true).mode(0o600);
    file.open(&new)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &text))
        .and_then(|()| std::fs::rename(&new, CONFIG))
        .tried(|| CONFIG)
}
