//! Who the machine is: its name, its id, where it asks for names, who may log in.

use crate::failure::{Result, Tried, VmError};
use crate::guest::config::Config;
use crate::guest::place;
use rustix::fd::BorrowedFd;
use std::ffi::OsStr;
use std::fmt::Write;

/// The longest name that the kernel takes.
const LONGEST: usize = 64;

/// Whether the root has been this machine's before: what tells machines apart in it is its own, and its name what somebody
/// inside may have made it.
pub fn is_own(root: BorrowedFd<'_>, config: &Config) -> bool {
    let id = &config.machine_id;
    !id.is_empty()
        && place::read(root, "/etc/machine-id", 64).is_some_and(|found| found.trim_end() == id)
}

/// Writes it into the root, and tells the kernel the name. The id comes after all that depends on whose the root was.
pub fn write(root: BorrowedFd<'_>, config: &Config) -> Result<()> {
    let own = is_own(root, config);
    if config.strip && !own {
        strip(root)?;
    }
    let given = if own { name_inside(root) } else { None };
    let name = given.as_ref().unwrap_or(&config.hostname);
    if !name.is_empty() {
        rustix::system::sethostname(name.as_bytes()).tried(|| format!("the host name {name}"))?;
        place::write(root, "/etc/hostname", &format!("{name}\n"), 0o644)?;
        place::write(root, "/etc/hosts", &hosts(name, config), 0o644)?;
    }
    if !config.machine_id.is_empty() {
        let id = &config.machine_id;
        if id.len() != 32 || !id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(VmError::refused(format!(
                "the machine's id {id:?} is not 32 hexadecimal digits"
            )));
        }
        place::write(root, "/etc/machine-id", &format!("{id}\n"), 0o444)?;
    }
    if let Some(net) = &config.net {
        let mut resolv = String::new();
        for server in &net.name_servers {
            let _ = writeln!(resolv, "nameserver {server}");
        }
        place::write(root, "/etc/resolv.conf", &resolv, 0o644)?;
    }
    if !config.authorized_keys.is_empty() {
        place::folder(root, "/root".as_ref(), 0o700, false)?;
        place::folder(root, "/root/.ssh".as_ref(), 0o700, false)?;
        let keys = config.authorized_keys.join("\n") + "\n";
        place::write(root, "/root/.ssh/authorized_keys", &keys, 0o600)?;
    }
    Ok(())
}

/// The name that the root has.
fn name_inside(root: BorrowedFd<'_>) -> Option<String> {
    let text = place::read(root, "/etc/hostname", 256)?;
    let name = text.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!name.is_empty() && name.len() <= LONGEST && name.bytes().all(plain)).then(|| name.to_owned())
}

fn hosts(name: &str, config: &Config) -> String {
    let mut hosts =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let _ = match &config.net {
        Some(net) => writeln!(hosts, "{}\t{name}", net.address),
        None => writeln!(hosts, "127.0.1.1\t{name}"),
    };
    hosts
}

/// Removes what tells machines apart, and what is of another machine's sessions.
fn strip(root: BorrowedFd<'_>) -> Result<()> {
    for name in place::names(root, "/etc/ssh") {
        if name.as_encoded_bytes().starts_with(b"ssh_host_") {
            place::remove(root, "/etc/ssh", &name)?;
        }
    }
    place::remove(root, "/var/lib/systemd", OsStr::new("random-seed"))?;
    place::remove(root, "/var/lib/dbus", OsStr::new("machine-id"))?;
    place::remove_folder(root, "/var/lib/stead")
}
