//! The engine `sandbox`: machines made of this host's own kernel.

pub mod image;
