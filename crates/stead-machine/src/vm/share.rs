//! Folders of this host that a virtual machine shares: whether they may be, and what they are called on the way.

pub use super::rules::{Verdict, judge};

use crate::model::Remark;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use stead_file::declared::{Machine, Share};

/// Longest tag, in bytes: 9p takes no longer one.
pub const MAX_TAG: usize = 31;

/// Most characters of a folder's name in a tag.
const MAX_NAME: usize = 19;

/// Why a folder is not shared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// It cannot be looked at.
    #[error("shares: {}: {why}", .folder.display())]
    Missing {
        /// As declared.
        folder: PathBuf,
        /// What the system says.
        why: String,
    },
    /// It never is.
    #[error("shares: {} is {what}, which no virtual machine is given: share a folder of your own", .real.display())]
    Refused {
        /// The folder, without links.
        real: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Only after a yes.
    #[error(
        "shares: {real} is sensitive ({what}): stead apply asks for a yes, or write `allow_sensitive = [\"{real}\"]` in \
         [machines.NAME.qemu]",
        real = .real.display()
    )]
    Sensitive {
        /// The folder, without links.
        real: PathBuf,
        /// What it is.
        what: &'static str,
    },
}

/// The folder that is shared really, if it may be. To be asked again just before it is shared: a link may lead elsewhere by
/// then, and what this answers is the path to use.
///
/// # Errors
/// Why it may not be.
pub fn may_share(share: &Share, allowed: &[PathBuf]) -> Result<PathBuf, Objection> {
    let homes: Vec<PathBuf> = std::env::home_dir().into_iter().collect();
    let folder = &share.host;
    // What is never shared is told so even where it is not there.
    object(folder, &homes, folder, allowed).or_else(|objection| match objection {
        Objection::Refused { .. } => Err(objection),
        _ => Ok(()),
    })?;
    let real = folder
        .canonicalize()
        .map_err(|e| Objection::Missing { folder: folder.clone(), why: e.to_string() })?;
    if !real.is_dir() {
        return Err(Objection::Missing { folder: folder.clone(), why: "it is no folder".into() });
    }
    object(&real, &homes, &real, allowed)?;
    Ok(real)
}

/// A folder is allowed by its real path: a link that somebody made leads to nothing that was not named.
fn object(
    path: &Path,
    homes: &[PathBuf],
    real: &Path,
    allowed: &[PathBuf],
) -> Result<(), Objection> {
    match judge(path, homes) {
        Verdict::Refused(what) => Err(Objection::Refused { real: real.into(), what }),
        Verdict::Sensitive(what) if !allowed.iter().any(|allowed| real.starts_with(allowed)) => {
            Err(Objection::Sensitive { real: real.into(), what })
        }
        _ => Ok(()),
    }
}

/// What stands in the way of a machine's shares, for [`crate::Engine::check`].
pub fn remarks(machine: &Machine) -> Vec<Remark> {
    let objections =
        machine.shares.iter().filter_map(|s| may_share(s, &machine.qemu.allow_sensitive).err());
    objections.map(|why| Remark { refused: true, text: why.to_string() }).collect()
}

/// The sensitive folders for which a person has to say yes, each with what it is.
pub fn to_ask(machine: &Machine) -> Vec<(PathBuf, &'static str)> {
    let objections =
        machine.shares.iter().filter_map(|s| may_share(s, &machine.qemu.allow_sensitive).err());
    let sensitive = objections.filter_map(|objection| match objection {
        Objection::Sensitive { real, what } => Some((real, what)),
        _ => None,
    });
    let mut asked = HashSet::new();
    sensitive.filter(|(real, _)| asked.insert(real.clone())).collect()
}

/// A tag for each share, no two the same: the mode, 8 characters of a hash of the path, and of the folder's name what fits.
/// A share keeps its tag as long as none before it has the same folder and mode.
pub fn tags(shares: &[Share]) -> Vec<String> {
    let most = u32::try_from(shares.len()).unwrap_or(u32::MAX);
    let mut taken = HashSet::new();
    let free = |share: &Share| {
        // No more can be taken than there are shares.
        let mut tries = (0..=most).map(|again| tag(share, again));
        let tag = tries.find(|tag| !taken.contains(tag)).unwrap_or_default();
        taken.insert(tag.clone());
        tag
    };
    shares.iter().map(free).collect()
}

fn tag(share: &Share, again: u32) -> String {
    let mode = if share.writable { "rw" } else { "ro" };
    let mut hash = Sha256::new();
    hash.update(mode);
    hash.update(again.to_le_bytes());
    hash.update(share.host.as_os_str().as_encoded_bytes());
    let hash = hash.finalize();
    let name = share.host.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).take(MAX_NAME).collect();
    let [a, b, c, d] = [hash[0], hash[1], hash[2], hash[3]];
    format!("{mode}-{a:02x}{b:02x}{c:02x}{d:02x}-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn share(host: impl Into<PathBuf>, writable: bool) -> Share {
        Share { host: host.into(), inside: "/x".into(), writable }
    }

    proptest! {
        #[test]
        fn tags_are_short_plain_and_distinct(
            paths in proptest::collection::vec(("(/[^/\0]{1,40}){1,4}", any::<bool>()), 1..40),
        ) {
            let mut shares: Vec<Share> =
                paths.iter().map(|(path, writable)| share(path, *writable)).collect();
            // The same folder at another place inside is another share.
            shares.push(shares[0].clone());
            let tags = tags(&shares);
            for tag in &tags {
                prop_assert!(tag.len() <= MAX_TAG, "{}", tag);
                prop_assert!(tag.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c)));
            }
            prop_assert_eq!(tags.iter().collect::<HashSet<_>>().len(), shares.len());
        }
    }

    #[test]
    fn a_tag_says_what_it_is_and_depends_on_nothing_else() {
        let one = share("/home/ana/a project with a very long name", true);
        let tag = &tags(std::slice::from_ref(&one))[0];
        assert_eq!(tag.len(), MAX_TAG);
        assert!(tag.starts_with("rw-") && tag.ends_with("-a_project_with_a_ve"), "{tag}");
        let others = [share("/srv/x", false), share("/home/ana/src", true), one.clone()];
        assert_eq!(tags(&others)[2], *tag);
        assert!(tags(&[Share { writable: false, ..one }])[0].starts_with("ro-"));
    }

    #[test]
    fn a_link_does_not_lead_around_the_rules() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().canonicalize().unwrap();
        fs::create_dir(work.join("src")).unwrap();
        fs::write(work.join("file"), "").unwrap();
        for (name, to) in [("etc", "/etc"), ("kernel", "/proc/self"), ("all", "/")] {
            std::os::unix::fs::symlink(to, work.join(name)).unwrap();
        }
        let ask = |path: &str, allowed: &[&str]| {
            let allowed: Vec<PathBuf> = allowed.iter().map(PathBuf::from).collect();
            may_share(&share(work.join(path), false), &allowed)
        };
        assert_eq!(ask("src", &[]), Ok(work.join("src")));
        assert!(matches!(ask("gone", &[]), Err(Objection::Missing { .. })));
        assert!(matches!(ask("file", &[]), Err(Objection::Missing { .. })));
        assert!(matches!(ask("kernel", &["/"]), Err(Objection::Refused { .. })));
        assert!(matches!(ask("all", &["/"]), Err(Objection::Refused { .. })));
        let through = ask("etc", &[work.join("etc").to_str().unwrap()]);
        assert!(
            matches!(&through, Err(Objection::Sensitive { real, .. }) if real == Path::new("/etc"))
        );
        assert_eq!(ask("etc", &["/etc"]), Ok("/etc".into()));
        assert!(matches!(ask("etc", &["/etc/ssl"]), Err(Objection::Sensitive { .. })));
        let never = may_share(&share("/dev/not/there", false), &[]);
        assert!(matches!(never, Err(Objection::Refused { .. })));
    }

    #[test]
    fn what_is_to_be_asked_is_asked_once() {
        let mut machine = Machine {
            shares: vec![share("/etc", false), share("/etc", true), share("/usr", false)],
            ..Machine::default()
        };
        let asked: Vec<PathBuf> = to_ask(&machine).into_iter().map(|(path, _)| path).collect();
        assert_eq!(asked, [PathBuf::from("/etc"), "/usr".into()]);
        assert_eq!(remarks(&machine).len(), 3);
        machine.qemu.allow_sensitive = asked;
        assert_eq!((to_ask(&machine), remarks(&machine)), (vec![], vec![]));
    }
}
