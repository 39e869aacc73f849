//! What tests of terminals share: real programs in a pseudo-terminal, and another terminal to compare with.

pub mod oracle;
pub mod record;
