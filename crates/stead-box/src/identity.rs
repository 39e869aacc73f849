//! What a sandbox calls itself, and where it asks for names.

use crate::failure::Result;
use crate::spec::Spec;
use crate::{inside, net};
use rustix::fd::BorrowedFd;
use std::fmt::Write;
use std::path::Path;

/// Writes `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`.
pub fn write(root: BorrowedFd<'_>, spec: &Spec) -> Result<()> {
    let name = &spec.hostname;
    let mut hosts =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let mut resolv = String::new();
    if let Some(network) = &spec.net {
        let _ = writeln!(hosts, "{}\t{name}", network.address);
        let _ = writeln!(resolv, "nameserver {}", net::NAME_SERVER);
    } else {
        let _ = writeln!(hosts, "127.0.1.1\t{name}");
    }
    inside::write(root, Path::new("/etc/hostname"), &format!("{name}\n"))?;
    inside::write(root, Path::new("/etc/hosts"), &hosts)?;
    inside::write(root, Path::new("/etc/resolv.conf"), &resolv)
}
