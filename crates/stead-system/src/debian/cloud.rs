//! The same system as user-data of cloud-init, for a machine that makes itself so when it first starts.

use super::desired::{Act, Desired, Task};
use super::quote;
use super::yaml::Yaml;
use crate::File;
use std::path::Path;

/// Between the parts of user-data that has more than one.
const BOUNDARY: &str = "==stead-user-data==";

/// User-data of a system. Secrets are not in it, because a cloud shows user-data to everybody inside: it is rendered
/// by [`render_first`](super::render_first).
pub fn user_data(desired: &Desired) -> String {
    let mut out = String::from("#cloud-config\n");
    let mut document = vec![
        ("hostname", Yaml::Text(hostname(desired))),
        ("preserve_hostname", Yaml::Bool(false)),
        ("ssh_pwauth", Yaml::Bool(false)),
        ("disable_root", Yaml::Bool(true)),
    ];
    if desired.units.contains_key("stead-grow.service") {
        document.push((
            "growpart",
            Yaml::Map(vec![("mode", "auto".into()), ("devices", Yaml::list(["/"]))]),
        ));
        document.push(("resize_rootfs", Yaml::Bool(true)));
    }
    // Without a group that is there, no user could be in it.
    if !desired.groups.is_empty() {
        document.push(("groups", Yaml::list(desired.groups.iter().map(String::as_str))));
    }
    if !desired.users.is_empty() {
        document.push(("users", users(desired)));
    }
    document.push(("package_update", Yaml::Bool(true)));
    document.push(("packages", Yaml::list(desired.packages.iter().map(String::as_str))));
    document.push(("write_files", files(desired)));
    document.push(("runcmd", commands(desired)));
    out += &Yaml::Map(document).document();
    out
}

fn hostname(desired: &Desired) -> String {
    let file = desired.files.get(Path::new("/etc/hostname"));
    file.map(|file| quote::name(file.text.trim())).unwrap_or_default()
}

/// The same with fragments of a person's own, each as cloud-init takes it: `#cloud-config`, a script, and so on. What
/// lists and tables have there is added to ours.
pub fn user_data_with(desired: &Desired, fragments: &[String]) -> String {
    let own = user_data(desired);
    if fragments.is_empty() {
        return own;
    }
    let mut out =
        format!("Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\nMIME-Version: 1.0\n");
    for text in [&own].into_iter().chain(fragments) {
        let kind = match text.lines().next().unwrap_or_default() {
            first if first.starts_with("#!") => "text/x-shellscript",
            first if first.starts_with("#cloud-boothook") => "text/cloud-boothook",
            first if first.starts_with("#include") => "text/x-include-url",
            first if first.starts_with("## template: jinja") => "text/jinja2",
            _ => "text/cloud-config",
        };
        out += &format!("\n--{BOUNDARY}\nContent-Type: {kind}; charset=\"utf-8\"\n");
        out += "Content-Transfer-Encoding: 8bit\n";
        out += "Merge-Type: list(append)+dict(no_replace,recurse_list)+str()\n\n";
        // A line that looks like the boundary ends nothing.
        out += &text.replace(&format!("--{BOUNDARY}"), "");
        if !out.ends_with('\n') {
            out.push('\n');
        }
    }
    out + &format!("\n--{BOUNDARY}--\n")
}

/// Keys and what they may do as root are files, as `apply` writes them: a copy elsewhere would outlive its declaration.
fn users(desired: &Desired) -> Yaml {
    let one = |(name, user): (&String, &super::Login)| {
        let mut own = vec![
            ("name", Yaml::Text(name.clone())),
            // The package of another shell comes later; who logs in before has this one.
            ("shell", "/bin/bash".into()),
            ("lock_passwd", Yaml::Bool(true)),
        ];
        if !user.groups.is_empty() {
            own.push(("groups", Yaml::list(user.groups.iter().map(String::as_str))));
        }
        Yaml::Map(own)
    };
    Yaml::List(desired.users.iter().map(one).collect())
}

fn file(path: &Path, file: &File, owner: Option<&str>) -> Yaml {
    let mut own = vec![
        ("path", Yaml::Text(path.to_string_lossy().into_owned())),
        ("content", Yaml::Text(file.text.clone())),
        ("permissions", Yaml::Text(format!("0{:o}", file.mode))),
    ];
    if let Some(owner) = owner {
        own.push(("owner", Yaml::Text(format!("{owner}:{owner}"))));
        own.push(("defer", Yaml::Bool(true)));
    }
    Yaml::Map(own)
}

fn files(desired: &Desired) -> Yaml {
    // Those of units that need a package must not be started by it before all is there; they are not, for only
    // commands enable them. Keys and configurations are read when something starts.
    let mut all: Vec<Yaml> =
        desired.files.iter().map(|(path, own)| file(path, own, None)).collect();
    for (user, tree) in &desired.homes {
        let home = Path::new("/home").join(user);
        all.extend(tree.iter().map(|(path, own)| file(&home.join(path), own, Some(user))));
    }
    Yaml::List(all)
}

fn command(words: &[String]) -> Yaml {
    Yaml::list(words.iter().map(String::as_str))
}

fn run(words: &[&str]) -> Yaml {
    Yaml::list(words.iter().copied())
}

fn commands(desired: &Desired) -> Yaml {
    let mut all = Vec::new();
    for (name, repository) in &desired.repositories {
        let key = repository.key_path(name);
        let key = key.to_string_lossy();
        all.push(run(&["mkdir", "-p", "/etc/apt/keyrings"]));
        all.push(run(&["curl", "-fsSL", "--retry", "3", "-o", &key, "--", &repository.key]));
        let write = "printf '%s' \"$1\" > \"$2\"";
        let path = super::Repository::path(name);
        all.push(run(&[
            "sh",
            "-c",
            write,
            "write",
            &repository.text(name),
            &path.to_string_lossy(),
        ]));
    }
    if !desired.repositories.is_empty() {
        all.push(run(&["apt-get", "update"]));
        let mut install: Vec<&str> =
            vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"];
        install.extend(
            desired.repositories.values().flat_map(|from| &from.packages).map(String::as_str),
        );
        all.push(run(&install));
    }
    for (name, user) in &desired.users {
        all.push(run(&["usermod", "--shell", &user.shell, name]));
    }
    for user in desired.homes.keys() {
        // Folders that were made for files in a home are root's yet.
        all.push(run(&["chown", "-R", &format!("{user}:{user}"), &format!("/home/{user}")]));
    }
    for (path, target) in &desired.links {
        let folder = path.parent().unwrap_or(Path::new("/"));
        all.push(run(&["mkdir", "-p", &folder.to_string_lossy()]));
        all.push(run(&["ln", "-sfn", &target.to_string_lossy(), &path.to_string_lossy()]));
    }
    all.extend(desired.tasks.iter().map(task));
    all.push(run(&["systemctl", "daemon-reload"]));
    for unit in &desired.masked {
        all.push(run(&["systemctl", "mask", "--now", unit]));
    }
    for rule in &desired.rules {
        if let Act::Run(words) = &rule.act {
            all.push(command(words));
        }
    }
    for (name, unit) in &desired.units {
        if unit.packaged {
            all.push(run(&["systemctl", "enable", name]));
        }
        all.push(run(&["systemctl", "reload-or-restart", "--no-block", name]));
    }
    Yaml::List(all)
}

fn task(task: &Task) -> Yaml {
    match &task.user {
        None => command(&task.run),
        Some(user) => {
            let mut words = vec!["runuser".to_owned(), "-u".into(), user.clone(), "--".into()];
            words.push("env".into());
            words.push(format!("HOME=/home/{user}"));
            words.extend(task.run.iter().cloned());
            command(&words)
        }
    }
}
