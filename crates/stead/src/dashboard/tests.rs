//! The dashboard as a whole, without a terminal, a steward or a hold.

mod fixture;
mod frames;
mod pressed;
mod told;
