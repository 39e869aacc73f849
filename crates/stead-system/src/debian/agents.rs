//! Agents, and what they work with.

use super::{Desired, Task, quote, vendor, words};
use crate::{File, Whole, packages};
use stead_file::declared::{Arch, GitIdentity};

/// Where npm puts agents; their programs are in `bin` there, and linked from `/usr/local/bin`.
const PREFIX: &str = "/opt/stead/agents";

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let agents = &whole.system.agents;
    let mut follow = Vec::new();
    for name in &agents.install {
        let Some(agent) = packages::agent(name) else { continue };
        vendor::add("node", whole, to);
        let version = agents.versions.get(name).map(|version| quote::plain(version));
        let asked = format!("{}@{}", agent.npm, version.as_deref().unwrap_or("latest"));
        let program = format!("{PREFIX}/bin/{}", agent.program);
        let task = format!("agent {}", quote::name(name));
        to.npm(task, PREFIX, &program, (agent.npm, &asked));
        link(agent.program, &program, agents.git.get(name), to);
        if version.is_none() {
            follow.push(asked);
        }
    }
    if !follow.is_empty() {
        updates(&follow, to);
    }
    home(whole, to);
    for name in agents.multiplexers.iter().chain(&agents.tools) {
        if let Some(set) = packages::tool(name) {
            take(set, whole, to);
        }
    }
    for name in &whole.system.toolchains {
        if let Some(set) = packages::toolchain(name) {
            take(set, whole, to);
        }
    }
    if to.repositories.contains_key("node") {
        // The maker's has it in itself, and does not go with Debian's.
        to.packages.remove("npm");
        to.packages.remove("nodejs");
    }
    if agents.multiplexers.iter().any(|name| name == "tmux") {
        to.file("/etc/profile.d/stead.sh", "# Programs of agents find a terminal that keeps colours.\n: \"${COLORTERM:=truecolor}\"\nexport COLORTERM\n");
    }
}

/// Where people and units find an agent. Who commits when it does is told by git's own variables.
fn link(name: &str, program: &str, who: Option<&GitIdentity>, to: &mut Desired) {
    let path = format!("/usr/local/bin/{name}");
    let Some(GitIdentity { name, email }) = who else {
        to.links.insert(path.into(), program.into());
        return;
    };
    let (name, email) = (quote::shell(&quote::line(name)), quote::shell(&quote::line(email)));
    let text = format!(
        "#!/bin/sh\n# What it commits is its own.\n\
         export GIT_AUTHOR_NAME={name} GIT_AUTHOR_EMAIL={email}\n\
         export GIT_COMMITTER_NAME={name} GIT_COMMITTER_EMAIL={email}\n\
         exec {program} \"$@\"\n"
    );
    to.files.insert(path.into(), File::program(text));
}

/// Those that follow their maker do so at night.
fn updates(follow: &[String], to: &mut Desired) {
    let mut install = words(&[
        "/usr/bin/npm",
        "install",
        "--global",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        "--prefix",
        PREFIX,
    ]);
    install.extend(follow.iter().cloned());
    to.unit(
        "stead-agents.service",
        format!(
            "[Unit]\nDescription=Agents follow their makers\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\nType=oneshot\nExecStart={}\nEnvironment=HOME=%C/stead-agents\nCacheDirectory=stead-agents\n\
             ReadWritePaths={PREFIX}\n{}UMask=0022\n",
            quote::command(&install),
            super::hardening::lines(super::hardening::Needs { network: true, jit: true, ..Default::default() })
        ),
    );
    to.unit(
        "stead-agents.timer",
        "[Unit]\nDescription=Agents follow their makers\n\n[Timer]\nOnCalendar=daily\nRandomizedDelaySec=2h\n\
         Persistent=yes\n\n[Install]\nWantedBy=timers.target\n",
    );
    to.started("stead-agents.timer", "timers.target", false);
}

/// `~/.claude` from a repository; that from a folder comes by [`Desired::with_claude_home`].
fn home(whole: &Whole, to: &mut Desired) {
    let agents = &whole.system.agents;
    let from = agents.claude_home.as_deref().unwrap_or_default();
    let repository = ["https://", "ssh://", "git@"].iter().any(|scheme| from.starts_with(scheme));
    let users: Vec<String> = to.users.keys().cloned().collect();
    if repository {
        to.remarks.push(
            "MCP servers in the repository of `claude_home` are not carried over: they may have credentials in them, which \
             only a folder here is looked through for"
                .into(),
        );
    }
    for user in &users {
        if repository {
            to.package(&["git"]);
            let folder = format!("/home/{user}/.local/share/stead/claude");
            // Credentials and histories are not taken even from somebody who has them in a repository.
            let script = format!(
                "{} && mkdir -p \"$HOME/.claude\" && cd \"$2\" && \
                 for each in CLAUDE.md settings.json keybindings.json commands skills agents hooks output-styles rules; do \
                 [ ! -e \"$each\" ] || cp -a -- \"$each\" \"$HOME/.claude/\" || exit 1; done",
                super::people::CLONE
            );
            to.tasks.push(Task {
                name: format!("~/.claude of {user}"),
                user: Some(user.clone()),
                after_units: false,
                creates: Some(folder.clone().into()),
                run: words(&["sh", "-c", &script, "claude", &quote::plain(from), &folder]),
                undo: Vec::new(),
            });
        }
    }
}

fn take(set: packages::Set, whole: &Whole, to: &mut Desired) {
    for package in set.debian {
        if *package == "gh" {
            vendor::add("github", whole, to);
        } else {
            to.package(&[package]);
        }
    }
    for missing in set.missing {
        elsewhere(missing, whole, to);
    }
}

/// What Debian 12 lacks, from its maker.
fn elsewhere(name: &str, whole: &Whole, to: &mut Desired) {
    let arch = match whole.system.arch {
        Arch::X86_64 => "x86_64",
        Arch::Aarch64 => "aarch64",
    };
    match name {
        "pnpm" | "typescript-language-server" | "pyright" => {
            vendor::add("node", whole, to);
            let program = format!("{PREFIX}/bin/{name}");
            to.npm(name, PREFIX, &program, (name, name));
            to.links.insert(format!("/usr/local/bin/{name}").into(), program.into());
        }
        "uv" | "ruff" => {
            to.package(&["python3-venv"]);
            let folder = format!("/opt/stead/{name}");
            let script = "python3 -m venv \"$1\" && \"$1/bin/pip\" install --quiet \"$2\"";
            let program = format!("{folder}/bin/{name}");
            to.task(
                name,
                Some(&program),
                &["sh", "-c", script, "pip", &folder, name],
                &["rm", "-rf", &folder],
            );
            to.links.insert(format!("/usr/local/bin/{name}").into(), program.into());
        }
        "zellij" | "starship" | "atuin" => {
            let (owner, libc) = match name {
                "zellij" => ("zellij-org/zellij", "musl"),
                "starship" => ("starship/starship", "musl"),
                _ => ("atuinsh/atuin", "musl"),
            };
            let address = format!(
                "https://github.com/{owner}/releases/latest/download/{name}-{arch}-unknown-linux-{libc}.tar.gz"
            );
            let folder = format!("/opt/stead/{name}");
            let program = format!("{folder}/{name}");
            // Its archive has the program alone, or in a folder of its own.
            let script = "mkdir -p \"$1\" && curl -fsSL --retry 3 -- \"$2\" | tar -xz -C \"$1\" && \
                          { [ -x \"$1/$3\" ] || mv \"$1\"/*/\"$3\" \"$1/$3\"; }";
            to.task(
                name,
                Some(&program),
                &["sh", "-c", script, "fetch", &folder, &address, name],
                &["rm", "-rf", &folder],
            );
            to.links.insert(format!("/usr/local/bin/{name}").into(), program.into());
        }
        other => to.remarks.push(format!(
            "{other} is in no package of Debian 12, and has to be installed by hand"
        )),
    }
}
