//! The dashboard: what `stead` without arguments opens.
//!
//! [`model`] is what is shown and what keys do to it, without any input or output; [`view`] draws it;
//! [`run`](mod@run) joins both to the terminal, to the steward ([`work`]) and to the hold of the
//! selected session ([`preview`]). Nothing here polls: a frame is drawn when a key, an event of the steward,
//! output of the selected session or the next change of a shown age asks for it.

mod form;
mod input;
mod keyboard;
mod keys;
mod layout;
mod list;
mod mailbox;
mod model;
mod picture;
mod preview;
mod run;
mod screen;
mod view;
mod work;

#[cfg(test)]
mod tests;

use crate::failure::{Failure, Outcome};
use std::io::IsTerminal;

/// Opens the dashboard and comes back when the person leaves it.
///
/// # Errors
/// If there is no terminal, or the steward can be neither reached nor started.
pub fn run() -> Outcome {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::misused("the dashboard needs a terminal")
            .help("stead ls lists the sessions without one"));
    }
    run::run()
}
