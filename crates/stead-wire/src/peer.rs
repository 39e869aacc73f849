//! Who is at the other end of a unix socket.

use crate::WireError;
use std::os::fd::AsFd;

/// Checks that the process at the other end runs as the same user as this one, or as root.
///
/// # Errors
/// [`WireError::Stranger`] for anybody else, [`WireError::Peer`] if the kernel does not say.
pub fn check(socket: impl AsFd) -> Result<(), WireError> {
    let credentials =
        rustix::net::sockopt::socket_peercred(socket).map_err(|e| WireError::Peer(e.into()))?;
    let peer = credentials.uid.as_raw();
    let owner = rustix::process::geteuid().as_raw();
    if peer == owner || peer == 0 { Ok(()) } else { Err(WireError::Stranger { peer, owner }) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    #[test]
    fn oneself_is_no_stranger() {
        let (a, _b) = UnixStream::pair().unwrap();
        super::check(&a).unwrap();
    }
}
