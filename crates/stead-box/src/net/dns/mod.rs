//! DNS: what is asked for inside is answered here, by rule or by the host's name servers.

pub mod memory;
pub mod message;
pub mod servers;
