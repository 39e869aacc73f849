//! Root file systems made of Debian's packages: what the images of several engines are made with.
//!
//! A [`Job`] runs the programs that make them so that they end with us, and hold the image's lock for as long as they
//! run: after a kill -9 the next call waits until they have died, and removes what they left.

mod error;
mod job;
mod mirrors;
mod tools;
mod unfinished;

pub use error::ImageError;
pub use job::Job;
pub use mirrors::Mirrors;
pub use tools::Tools;
pub use unfinished::{discard, in_place, lock};

/// What an image has besides the packages that a Debian cannot be without: what agents reach for first.
pub const PACKAGES: &str = "ca-certificates,curl,git,procps,python3-minimal";
/// The releases by number and name.
const RELEASES: [(&str, &str); 4] =
    [("11", "bullseye"), ("12", "bookworm"), ("13", "trixie"), ("sid", "sid")];

/// Number and name of the release that the image `name` (`debian/12`) is made of.
pub fn release(name: &str) -> Option<(&'static str, &'static str)> {
    let release = name.strip_prefix("debian/");
    let known =
        RELEASES.iter().find(|(number, suite)| [Some(*number), Some(suite)].contains(&release));
    known.copied()
}
