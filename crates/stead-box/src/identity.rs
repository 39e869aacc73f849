//! What a sandbox calls itself, and where it asks for names.

use crate::failure::Result;
use crate::inside;
use crate::spec::Spec;
use rustix::fd::BorrowedFd;
use std::fmt::Write;
use std::path::Path;

/// Whatever address a question is sent to reaches the process that serves the network, which answers it.
const NAME_SERVER: std::net::Ipv4Addr = crate::net::NAME_SERVER;

/// Writes `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`.
pub fn write(root: BorrowedFd<'_>, spec: &Spec) -> Result<()> {
    let name = &spec.hostname;
    let mut hosts =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let mut resolv = String::new();
    if let Some(net) = &spec.net {
        let _ = writeln!(hosts, "{}\t{name}", net.address);
        let _ = writeln!(resolv, "nameserver {NAME_SERVER}");
    } else {
        let _ = writeln!(hosts, "127.0.1.1\t{name}");
    }
    inside::write(root, Path::new("/etc/hostname"), &format!("{name}\n"))?;
    inside::write(root, Path::new("/etc/hosts"), &hosts)?;
    inside::write(root, Path::new("/etc/resolv.conf"), &resolv)
}
