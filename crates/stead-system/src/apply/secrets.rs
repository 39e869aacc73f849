//! Secrets: where units read them, and a copy that survives a restart.

use super::record::FOLDER;
use super::{Pass, files};
use crate::{File, secret_path};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn kept(name: &str) -> PathBuf {
    Path::new(FOLDER).join("secrets").join(name)
}

/// Brings secrets; the names of those that have changed.
pub(super) fn bring(pass: &mut Pass, given: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    for name in pass.desired.secrets.keys() {
        let copy = pass.machine.at(&kept(name));
        let text = given.get(name).cloned().or_else(|| std::fs::read_to_string(&copy).ok());
        let Some(text) = text else {
            let readers: Vec<_> = pass.desired.secrets[name].iter().map(String::as_str).collect();
            let readers = if readers.is_empty() {
                String::new()
            } else {
                format!(", and {} reads it", readers.join(", "))
            };
            pass.report.failed(&format!("secret {name}"), &format!("nobody has given it{readers}"));
            continue;
        };
        let file = File { text, mode: 0o400 };
        let live = pass.machine.at(Path::new(&secret_path(name)));
        if files::same(&copy, &file) && files::same(&live, &file) {
            continue;
        }
        if pass.may() {
            let put = [&copy, &live].into_iter().try_for_each(|path| {
                files::private_folder(path.parent().unwrap_or(Path::new("/")))?;
                files::write(path, &file)
            });
            if let Err(why) = put {
                pass.report.failed(&format!("secret {name}"), &why);
                continue;
            }
            pass.record.secrets.insert(name.clone());
        }
        pass.report.changed("secret", name, "written");
        changed.insert(name.clone());
    }
    let gone: Vec<String> = pass
        .record
        .secrets
        .iter()
        .filter(|name| !pass.desired.secrets.contains_key(*name))
        .cloned()
        .collect();
    for name in gone {
        if pass.may() {
            let paths = [kept(&name), secret_path(&name).into()];
            if let Err(why) =
                paths.iter().try_for_each(|path| files::remove(&pass.machine.at(path)))
            {
                pass.report.failed(&format!("secret {name}"), &why);
                continue;
            }
            pass.record.secrets.remove(&name);
        }
        pass.report.changed("secret", &name, "removed");
    }
    changed
}
