//! The line between a machine's agent and its host: one virtio-serial port that carries many connections.
//!
//! [`frame`] and [`decoder`] are what goes over it, [`mux`] carries the channels of either end, [`host`] is the end that the
//! keeper has; the other is [`crate::guest::agent`]. [`spoken`] is what is asked on a channel, [`piece`] what a command's
//! channel carries then.

pub mod channel;
pub mod decoder;
pub mod frame;
pub mod host;
pub mod mux;
pub mod piece;
pub mod spoken;
