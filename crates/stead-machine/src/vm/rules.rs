//! Which folders of this host a virtual machine may see.

use std::path::{Component, Path, PathBuf};

/// What is said of a folder by its path alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be shared.
    Fine,
    /// Only if a person says so; what it is.
    Sensitive(&'static str),
    /// Never; what it is.
    Refused(&'static str),
}

/// The kernel's and the boot loader's: with all below.
const NEVER: [&str; 4] = ["/boot", "/sys", "/proc", "/dev"];

/// The system's: with all below.
const SYSTEM: [&str; 8] = ["/etc", "/var", "/usr", "/bin", "/sbin", "/opt", "/srv", "/run"];

/// Anybody's: what is below is fine.
const COMMON: [&str; 3] = ["/home", "/tmp", "/var/tmp"];

/// Keys and logins, wherever they are.
const SECRETS: [&str; 10] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".password-store",
    ".claude",
    ".codex",
    ".gemini",
];

/// What may be done with a folder. `path` is absolute and without `..` and links; `homes` are those of people beside
/// `/root` and what is in `/home`.
pub fn judge(path: &Path, homes: &[PathBuf]) -> Verdict {
    if path.parent().is_none() {
        return Verdict::Refused("the whole of this computer");
    }
    if NEVER.iter().any(|never| path.starts_with(never)) {
        return Verdict::Refused("the kernel's or the boot loader's");
    }
    let secret = |part: Component<'_>| SECRETS.iter().any(|secret| part.as_os_str() == *secret);
    if path.components().any(secret) {
        return Verdict::Sensitive("keys or logins");
    }
    if COMMON.iter().any(|common| path == Path::new(common)) {
        return Verdict::Sensitive("a folder of everybody");
    }
    if let Some(below) = below_home(path, homes) {
        return match below.components().next() {
            None => Verdict::Sensitive("a whole home"),
            Some(first) if first.as_os_str().as_encoded_bytes().starts_with(b".") => {
                Verdict::Sensitive("settings, keys or logins of a home")
            }
            Some(_) => Verdict::Fine,
        };
    }
    if homes.iter().any(|home| home.starts_with(path)) {
        return Verdict::Sensitive("a folder of homes");
    }
    let system = SYSTEM.iter().any(|system| path.starts_with(system)) || is_library(path);
    if system && !path.starts_with("/var/tmp") {
        return Verdict::Sensitive("the system's");
    }
    Verdict::Fine
}

/// What is behind the home that a path is in.
fn below_home<'a>(path: &'a Path, homes: &[PathBuf]) -> Option<&'a Path> {
    let known = homes.iter().filter(|home| home.parent().is_some());
    let own = known.filter_map(|home| path.strip_prefix(home).ok());
    let in_home = path.strip_prefix("/home").ok().and_then(|rest| {
        let mut parts = rest.components();
        parts.next().map(|_| parts.as_path())
    });
    // The innermost home is whose folder it is.
    own.chain(in_home)
        .chain(path.strip_prefix("/root").ok())
        .min_by_key(|rest| rest.as_os_str().len())
}

/// `/lib`, `/lib64`, ...
fn is_library(path: &Path) -> bool {
    let first = path.components().nth(1);
    first.is_some_and(|first| first.as_os_str().as_encoded_bytes().starts_with(b"lib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_by_what_they_are() {
        let homes = [PathBuf::from("/home/ana"), PathBuf::from("/data/people/ben"), "/".into()];
        let (fine, asks, never) = ("fine", "asks", "never");
        for (path, verdict) in [
            ("/", never),
            ("/boot", never),
            ("/boot/efi", never),
            ("/sys/fs/cgroup", never),
            ("/proc", never),
            ("/proc/1/root", never),
            ("/dev", never),
            ("/dev/shm", never),
            ("/devices", fine),
            ("/bootstrap", fine),
            ("/etc", asks),
            ("/etc/nginx", asks),
            ("/var", asks),
            ("/var/lib/docker", asks),
            ("/var/tmp", asks),
            ("/var/tmp/x", fine),
            ("/usr", asks),
            ("/usr/local/src", asks),
            ("/bin", asks),
            ("/sbin", asks),
            ("/lib", asks),
            ("/lib64", asks),
            ("/opt/x", asks),
            ("/srv", asks),
            ("/run/user/1000", asks),
            ("/home", asks),
            ("/home/ana", asks),
            ("/home/ana/src", fine),
            ("/home/ana/src/.git", fine),
            ("/home/ana/src/.ssh", asks),
            ("/home/ana/.ssh", asks),
            ("/home/ana/.config/gh", asks),
            ("/home/ana/.claude", asks),
            ("/home/ana/.cargo", asks),
            ("/home/eve", asks),
            ("/home/eve/src", fine),
            ("/root", asks),
            ("/root/src", fine),
            ("/root/.aws", asks),
            ("/data", asks),
            ("/data/people", asks),
            ("/data/people/ben", asks),
            ("/data/people/ben/src", fine),
            ("/data/models", fine),
            ("/tmp", asks),
            ("/tmp/x", fine),
            ("/mnt/disk", fine),
        ] {
            let found = match judge(Path::new(path), &homes) {
                Verdict::Fine => fine,
                Verdict::Sensitive(_) => asks,
                Verdict::Refused(_) => never,
            };
            assert_eq!(found, verdict, "{path}");
        }
    }
}
