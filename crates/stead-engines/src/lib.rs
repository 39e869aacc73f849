//! What machines run on: one folder an engine, all behind [`stead_machine::Engine`].

pub mod host;
