//! Secrets that this host keeps for machines: files that their owner alone reads.

use crate::failure::Failure;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

/// Most bytes of a secret.
const MOST: u64 = 1 << 20;

/// The folder with a file for each.
fn folder() -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let config = set("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config")));
    config
        .map(|config| config.join("stead/secrets"))
        .ok_or_else(|| Failure::failed("there is no home folder to keep secrets in"))
}

/// These secrets by name.
///
/// # Errors
/// If one is not there, or somebody else could read it.
pub fn read(names: &[&str]) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    for name in names {
        let path = folder()?.join(name);
        let shown = path.display();
        let about = path.metadata().map_err(|e| {
            Failure::failed(format!("secret \"{name}\" cannot be read from {shown}: {e}")).help(
                format!(
                    "write it there: umask 077; mkdir -p {}; cat > {shown}",
                    folder().map(|f| f.display().to_string()).unwrap_or_default()
                ),
            )
        })?;
        if about.permissions().mode() & 0o077 != 0 {
            return Err(Failure::failed(format!("others can read the secret {shown}"))
                .help(format!("chmod 600 {shown}, and think of it as known")));
        }
        if about.uid() != rustix::process::getuid().as_raw() {
            return Err(Failure::failed(format!("the secret {shown} is somebody else's")));
        }
        if !about.is_file() || about.len() > MOST {
            return Err(Failure::failed(format!("{shown} is no file of at most 1 MiB")));
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Failure::failed(format!("cannot read the secret {shown}: {e}")))?;
        all.insert((*name).to_owned(), text);
    }
    Ok(all)
}
