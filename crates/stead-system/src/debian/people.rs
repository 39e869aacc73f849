//! Logins, what they may, and what is in their homes.

use super::{Act, Desired, Login, Task, quote, words};
use crate::{File, Whole};
use std::path::PathBuf;
use stead_file::declared::{Sudo, User};

/// Clones `$1` to `$2`, whatever is there. What cannot be had takes nothing away.
pub(super) const CLONE: &str = "rm -rf -- \"$2.new\" && git clone --quiet --depth 1 -- \"$1\" \"$2.new\" && \
                                rm -rf -- \"$2\" && mv -- \"$2.new\" \"$2\"";

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let mut sudoers = String::new();
    for (name, user) in &whole.system.users {
        let name = quote::name(name);
        if name.is_empty() {
            continue;
        }
        let sudo = match user.sudo {
            Sudo::None => None,
            Sudo::Password => Some("ALL=(ALL:ALL) ALL"),
            Sudo::Passwordless => Some("ALL=(ALL:ALL) NOPASSWD: ALL"),
        };
        if let Some(rule) = sudo {
            sudoers += &format!("{} {rule}\n", name.replace([':', '@', '+'], ""));
        }
        let keys: Vec<String> = user.keys.iter().map(|key| quote::line(key)).collect();
        if !keys.is_empty() {
            to.file(format!("/etc/ssh/authorized_keys.d/{name}"), keys.join("\n") + "\n");
        }
        let shell = shell(user, to);
        let groups: std::collections::BTreeSet<String> = user
            .groups
            .iter()
            .map(|group| quote::name(group))
            .filter(|group| !group.is_empty())
            .collect();
        to.groups.extend(groups.iter().cloned());
        to.users.insert(name.clone(), Login { shell, groups });
        git(&name, user, to);
        if let Some(repository) = &user.dotfiles {
            dotfiles(&name, repository, to);
        }
    }
    if !sudoers.is_empty() {
        to.files.insert("/etc/sudoers.d/10-stead".into(), File { text: sudoers, mode: 0o440 });
    }
    let rule = to.rule("sudo", &["/etc/sudoers.d/"], Act::Nothing);
    rule.check = words(&["visudo", "-c", "-q", "-f"]);
    rule.each = true;
}

fn shell(user: &User, to: &mut Desired) -> String {
    match user.shell.as_str() {
        shell @ ("zsh" | "fish") => {
            to.package(&[shell]);
            format!("/usr/bin/{shell}")
        }
        _ => "/bin/bash".into(),
    }
}

fn git(name: &str, user: &User, to: &mut Desired) {
    let mut text = String::new();
    for (key, value) in [("name", &user.git_name), ("email", &user.git_email)] {
        if let Some(value) = value {
            text += &format!("\t{key} = {}\n", quote::c(&quote::line(value)));
        }
    }
    if !text.is_empty() {
        to.package(&["git"]);
        let home = to.homes.entry(name.into()).or_default();
        home.insert(".config/git/config".into(), File::new(format!("[user]\n{text}")));
    }
}

/// A clone beside the home, whose files are put where nothing is yet: what a person has stays.
fn dotfiles(name: &str, repository: &str, to: &mut Desired) {
    to.package(&["git"]);
    let folder = format!("/home/{name}/.local/share/stead/dotfiles");
    let script =
        format!("{CLONE} && cd \"$2\" && git archive HEAD | tar -x --skip-old-files -C \"$HOME\"");
    to.tasks.push(Task {
        name: format!("dotfiles of {name}"),
        user: Some(name.into()),
        after_units: false,
        creates: Some(PathBuf::from(&folder)),
        run: words(&["sh", "-c", &script, "dotfiles", &quote::plain(repository), &folder]),
        undo: Vec::new(),
    });
}
