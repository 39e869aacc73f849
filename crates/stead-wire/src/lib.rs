//! What holds, the steward and clients say to each other, and how it is framed.
//!
//! This crate does no input or output of its own except to ask the kernel who is at the other end
//! of a socket ([`peer`]). Everything else is plain data:
//!
//! * [`frame`]: length-prefixed frames, decoded from a buffer that grows as bytes arrive.
//! * [`message`]: what a client says to a hold and what the hold says back.
//! * [`handshake`]: which protocol version two programs of different age have in common.
//! * [`session`]: a session as it was asked for, as it runs and as it ended.
//! * [`status`]: what a session is doing, who says so and since when.
//! * [`bridge`]: what the steward and the bridge inside a machine say to each other.
//! * [`api`]: the JSON bodies of the steward's HTTP interface.

pub mod api;
pub mod bridge;
pub mod frame;
pub mod handshake;
pub mod message;
pub mod peer;
pub mod session;
pub mod status;

mod error;

pub use error::WireError;
