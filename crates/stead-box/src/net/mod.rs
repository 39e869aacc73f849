//! The network of a sandbox.
mod dns;
mod ground;
mod hello;
mod http;
pub mod log;
mod name;
mod netlink;
mod rules;
mod sys;
