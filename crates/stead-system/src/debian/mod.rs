//! A declared system as a Debian: by the means that Debian and systemd have themselves.

#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "texts of some lines, made once"
)]

mod agents;
mod base;
mod cloud;
mod desired;
mod firewall;
mod hardening;
mod logs;
mod overlay;
mod people;
mod quote;
mod roles;
mod services;
mod ssh;
mod vendor;
mod yaml;

pub use cloud::{user_data, user_data_with};
pub use desired::{Act, Desired, Login, Repository, Rule, Task, Unit};

use crate::mcp::{self, Servers};
use crate::{File, Tree, Whole};
use std::path::{Path, PathBuf};

/// Where units are.
const UNITS: &str = "/etc/systemd/system";

/// What a Debian is to be like that is this system.
pub fn render(whole: &Whole) -> Desired {
    let mut to = Desired::default();
    base::render(whole, &mut to);
    people::render(whole, &mut to);
    ssh::render(whole, &mut to);
    overlay::render(whole, &mut to);
    agents::render(whole, &mut to);
    services::render(whole, &mut to);
    logs::render(whole, &mut to);
    let inside = roles::render(whole, &mut to);
    if !whole.outside {
        firewall::render(whole, &inside, &mut to);
    }
    // A unit that systemd cannot read is none that it should have.
    to.rule("units", &["/etc/systemd/system/"], Act::Nothing).check =
        words(&["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]);
    if let Some(rule) = to.rules.last_mut() {
        rule.each = true;
    }
    to
}

/// The same for a machine that makes itself by user-data: no secrets are there yet.
pub fn render_first(whole: &Whole) -> Desired {
    let mut to = render(whole);
    overlay::first(whole, &mut to);
    to
}

impl Desired {
    /// Every user's `~/.claude` has these files: relative paths, as [`parity`] picks them.
    #[must_use]
    pub fn with_claude_home(mut self, files: &Tree) -> Self {
        for user in self.users.keys() {
            let home = self.homes.entry(user.clone()).or_default();
            for (path, file) in files {
                home.insert(Path::new(".claude").join(path), file.clone());
            }
        }
        self
    }

    /// Every user's Claude Code has these MCP servers, beside those of its own.
    #[must_use]
    pub fn with_servers(mut self, servers: &Servers) -> Self {
        if let Some(text) = servers.text() {
            for user in self.users.keys() {
                let home = self.homes.entry(user.clone()).or_default();
                home.insert(mcp::FILE.into(), File::private(text.clone()));
            }
        }
        self.remarks.extend(servers.remarks.iter().cloned());
        self
    }

    fn package(&mut self, names: &[&str]) {
        self.packages.extend(names.iter().map(|name| (*name).to_owned()));
    }

    fn file(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.files.insert(path.into(), File::new(text));
    }

    fn rule(&mut self, name: &str, files: &[&str], act: Act) -> &mut Rule {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        let rule = Rule { name: name.into(), files, act, ..Rule::default() };
        self.rules.push(rule);
        let last = self.rules.len() - 1;
        &mut self.rules[last]
    }

    /// A unit that came with a package runs.
    fn packaged(&mut self, name: &str) {
        self.units.insert(name.into(), Unit { packaged: true, once: false });
    }

    /// A unit of ours.
    fn unit(&mut self, name: &str, text: impl Into<String>) {
        self.file(format!("{UNITS}/{name}"), text);
    }

    /// A unit of ours, which this target wants.
    fn started(&mut self, name: &str, target: &str, once: bool) {
        self.links.insert(
            format!("{UNITS}/{target}.wants/{name}").into(),
            format!("{UNITS}/{name}").into(),
        );
        self.units.insert(name.into(), Unit { packaged: false, once });
    }

    /// A unit reads a secret.
    fn reads(&mut self, secret: &str, unit: Option<&str>) {
        let readers = self.secrets.entry(quote::name(secret)).or_default();
        readers.extend(unit.map(str::to_owned));
    }

    /// What is done once units run.
    fn task_after(
        &mut self,
        name: impl Into<String>,
        creates: Option<&str>,
        run: &[&str],
        undo: &[&str],
    ) {
        self.task(name, creates, run, undo);
        if let Some(task) = self.tasks.last_mut() {
            task.after_units = true;
        }
    }

    /// Has npm install a package below a folder: by its name, and as it is asked for, which may name a version.
    fn npm(
        &mut self,
        task: impl Into<String>,
        prefix: &str,
        program: &str,
        (package, asked): (&str, &str),
    ) {
        let npm =
            |verb: &'static str| ["npm", verb, "--global", "--loglevel=error", "--prefix", prefix];
        let install = [&npm("install")[..], &["--no-audit", "--no-fund", asked]].concat();
        let uninstall = [&npm("uninstall")[..], &[package]].concat();
        self.task(task, Some(program), &install, &uninstall);
    }

    fn task(
        &mut self,
        name: impl Into<String>,
        creates: Option<&str>,
        run: &[&str],
        undo: &[&str],
    ) {
        self.tasks.push(Task {
            name: name.into(),
            user: None,
            after_units: false,
            creates: creates.map(PathBuf::from),
            run: words(run),
            undo: words(undo),
        });
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What of `~/.claude` other machines have too, by its relative path: never credentials, never histories.
pub fn parity(path: &Path) -> bool {
    const FILES: [&str; 3] = ["CLAUDE.md", "settings.json", "keybindings.json"];
    const FOLDERS: [&str; 6] = ["commands", "skills", "agents", "hooks", "output-styles", "rules"];
    let mut parts = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let (Some(first), rest) = (parts.next(), parts.collect::<Vec<_>>()) else { return false };
    let hidden = |part: &String| part.starts_with('.');
    if rest.is_empty() {
        return FILES.contains(&&*first);
    }
    FOLDERS.contains(&&*first) && !rest.iter().any(hidden)
}
