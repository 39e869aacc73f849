//! The network of a sandbox, attacked from inside and used from both sides. Each test has a host and an internet in
//! network namespaces of its own; every address of that internet answers, so that what must not be reached would.

mod attack;
mod guest;
mod guest_attack;
mod guest_service;
mod internet;
mod names;
mod service;
mod world;
