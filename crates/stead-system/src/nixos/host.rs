//! `hosts/NAME`: what a host says of itself.

use super::expr::{Expr, Piece, Set, code, code_of};
use super::flake::platform;
use super::home::Homes;
use super::layout::Module;
use super::{Error, Needs, Options, agents, disk, overlay, roles, service, users};
use crate::alloy::alloy;
use crate::{File, Tree, Whole, packages, secret_path};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use stead_file::declared::{Metadata, Transport, Updates};

/// What every host imports.
const COMMON: [&str; 5] = [
    "modules/base.nix",
    "modules/firewall.nix",
    "modules/hardening.nix",
    "modules/hardware.nix",
    "modules/rebuild.nix",
];

/// What a host is rendered from.
pub(super) struct Context<'a> {
    pub whole: &'a Whole,
    /// Modules of the user's own: where in the flake each is.
    pub own: &'a BTreeMap<PathBuf, String>,
    /// What the input with Claude Code is called, by version.
    pub claude: &'a BTreeMap<Option<String>, String>,
    pub homes: &'a Homes,
    /// The input with its nixpkgs, if that is not just called so.
    pub nixpkgs: Option<&'a str>,
}

/// A host that is being put together.
pub(super) struct Host<'a> {
    pub whole: &'a Whole,
    pub context: &'a Context<'a>,
    needs: &'a mut Needs,
    imports: BTreeSet<String>,
    body: Set,
}

impl Host<'_> {
    /// Imports a part.
    pub fn import(&mut self, part: &'static str) {
        self.needs(part);
        self.imports.insert(format!("../../{part}"));
    }

    /// Wants a part to be there.
    pub fn needs(&mut self, part: &'static str) {
        self.needs.parts.insert(part);
    }

    /// Wants an input of the flake.
    pub fn input(&mut self, name: &str, input: super::flake::Input) {
        self.needs.inputs.insert(name.into(), input);
    }

    /// An empty line, and a comment unless that is empty.
    pub fn gap(&mut self, comment: &str) -> &mut Self {
        self.body = std::mem::take(&mut self.body).gap(comment);
        self
    }

    /// A comment above what follows.
    pub fn say(&mut self, comment: &str) -> &mut Self {
        self.body = std::mem::take(&mut self.body).say(comment);
        self
    }

    /// [`Set::put`].
    pub fn put(&mut self, path: &str, value: impl Into<Expr>) -> &mut Self {
        self.body = std::mem::take(&mut self.body).put(path, value);
        self
    }

    /// [`Set::at`].
    pub fn at(&mut self, names: &[&str], value: impl Into<Expr>) -> &mut Self {
        self.body = std::mem::take(&mut self.body).at(names, value);
        self
    }
}

/// The files of a host, by name.
pub(super) fn render(
    context: &Context<'_>,
    needs: &mut Needs,
) -> Result<Vec<(&'static str, String)>, Error> {
    let whole = context.whole;
    let system = &whole.system;
    let mut files = vec![("disk.nix", disk::render(whole, needs))];
    let (imports, body) = (BTreeSet::new(), Set::new());
    let mut host = Host { whole, context, needs, imports, body };
    for part in COMMON {
        host.import(part);
    }
    host.put("networking.hostName", whole.hostname());
    host.put("nixpkgs.hostPlatform", platform(system.arch));
    host.put("time.timeZone", &system.timezone);
    host.put("i18n.defaultLocale", &system.locale);
    if system.disk.grow {
        host.import("modules/grow.nix");
    }
    host.import(match system.firewall.metadata {
        Metadata::Root => "modules/metadata-root.nix",
        Metadata::None => "modules/metadata-none.nix",
    });
    match system.updates {
        Updates::Security => {
            host.import("modules/updates-security.nix");
            if let Some(own) = context.nixpkgs {
                host.gap("Its own release too.").put(
                    "systemd.services.nixos-upgrade.preStart",
                    format!("nix flake update {own} --flake /etc/nixos"),
                );
            }
        }
        Updates::All => host.import("modules/updates-all.nix"),
        Updates::Off => {}
    }
    if system.audit_log {
        host.import("modules/audit-log.nix");
    }
    users::render(&mut host);
    ssh(&mut host);
    if system.ssm {
        host.gap("The way in of AWS, which opens no port.")
            .put("services.amazon-ssm-agent.enable", true);
    }
    firewall(&mut host);
    overlay::render(&mut host)?;
    secrets(&mut host);
    alerts(&mut host);
    let agents = agents::render(&mut host);
    software(&mut host, agents);
    roles::render(&mut host)?;
    service::render(&mut host);
    if let Some(config) = alloy(whole) {
        host.import("modules/logs.nix");
        host.gap("")
            .at(&["environment", "etc", "alloy/config.alloy", "source"], code("./config.alloy"));
        files.push(("config.alloy", config));
    }
    host.gap("The release whose defaults for data this host began with. It stays when the release goes on.");
    host.put("system.stateVersion", "25.11");

    let mut imports: Vec<Expr> = vec![code("./disk.nix")];
    imports.extend(host.imports.iter().map(code));
    for path in &system.nixos.modules {
        let own = context.own.get(path);
        let own = own.ok_or_else(|| Error::Module(whole.machine.clone(), path.clone()))?;
        imports.push(code(format!("../../{own}")));
    }
    let body = Set::new().put("imports", imports).join(host.body);
    let mut names = Set::new();
    if !system.services.is_empty() {
        names = service::names();
    }
    let comment =
        format!("Machine {}, system {}.", one_line(&whole.machine), one_line(&whole.name));
    let mut used = Vec::new();
    let body = Expr::Set(body);
    code_of(&body, &mut used);
    let takes = ["config", "inputs", "lib", "pkgs"];
    let takes =
        takes.into_iter().filter(|name| used.iter().any(|code| mentions(code, name))).collect();
    let Expr::Set(body) = body else { unreachable!("it was made one above") };
    files.insert(0, ("default.nix", Module { comment, takes, names, body }.text()));
    Ok(files)
}

/// Whether code takes something from a set of this name.
fn mentions(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}.")).any(|(at, _)| {
        !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "-_./'".contains(c))
    })
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn ssh(host: &mut Host<'_>) {
    let whole = host.whole;
    let ssh = &whole.system.ssh;
    if !ssh.enable {
        return;
    }
    host.import("modules/ssh.nix");
    if ssh.fail2ban {
        host.import("modules/fail2ban.nix");
    }
    if ssh.mosh {
        host.import("modules/mosh.nix");
    }
    let mut set = Set::new();
    if ssh.port != 22 {
        set = set.put("ports", vec![ssh.port]);
    }
    let users = whole.ssh_users();
    let settings = if users.is_empty() {
        Set::new().say("Nobody has a key.").put("DenyUsers", vec!["*"])
    } else {
        Set::new().put("AllowUsers", users)
    };
    let settings = settings.put("MaxAuthTries", Expr::Int(ssh.max_auth_tries.into()));
    set = set.put("settings", settings);
    if let Some(persist) = disk::persist(whole) {
        let key = Set::new()
            .put("path", format!("{persist}/etc/ssh/ssh_host_ed25519_key"))
            .put("type", "ed25519");
        set = set.put("hostKeys", vec![key]);
    }
    host.gap("").put("services.openssh", set);
}

fn firewall(host: &mut Host<'_>) {
    let open = host.whole.open_ports();
    let trusted = host.whole.trusted();
    let mut set = Set::new().put_if(!trusted.is_empty(), "trustedInterfaces", trusted);
    for (udp, name) in [(false, "TCP"), (true, "UDP")] {
        let of: Vec<&Transport> = open.iter().filter(|port| port.udp == udp).collect();
        let single: Vec<u16> =
            of.iter().filter(|port| port.first == port.last).map(|port| port.first).collect();
        let ranges: Vec<Set> = of
            .iter()
            .filter(|port| port.first != port.last)
            .map(|port| Set::new().put("from", port.first).put("to", port.last))
            .collect();
        set = set.put_if(!single.is_empty(), &format!("allowed{name}Ports"), single).put_if(
            !ranges.is_empty(),
            &format!("allowed{name}PortRanges"),
            ranges,
        );
    }
    if !set.is_empty() {
        host.gap("").put("networking.firewall", set);
    }
}

/// Where the key is by which a host reads its secrets.
fn age(whole: &Whole) -> (&'static str, Expr) {
    let persist = disk::persist(whole).unwrap_or_default();
    if whole.system.ssh.enable {
        ("sshKeyPaths", vec![format!("{persist}/etc/ssh/ssh_host_ed25519_key")].into())
    } else {
        ("keyFile", format!("{persist}/var/lib/sops-nix/key.txt").into())
    }
}

fn secrets(host: &mut Host<'_>) {
    let whole = host.whole;
    let secrets = whole.secrets();
    if secrets.is_empty() {
        return;
    }
    host.import("modules/secrets.nix");
    let input = "github:Mic92/sops-nix";
    host.input("sops-nix", super::flake::Input::flake(input, "Secrets, encrypted in here."));
    let (key, value) = age(whole);
    let mut all = Set::new();
    for name in secrets {
        all = all.at(&[name], Set::new());
    }
    let set = Set::new()
        .put("defaultSopsFile", code(format!("../../secrets/{}.yaml", whole.hostname())))
        .put(&format!("age.{key}"), value)
        .put("secrets", all);
    let how = format!("`sops secrets/{}.yaml` opens them in an editor.", whole.hostname());
    host.gap(&how).put("sops", set);
}

/// `.sops.yaml`: who can read which file.
pub(super) fn sops(systems: &[Whole]) -> String {
    let mut text = String::from(
        "# Who can read which secrets. A host's key is what `ssh-keyscan HOST | ssh-to-age` says, or `ssh-to-age` of the public\n\
         # host key it is to be installed with, or, without ssh, what `age-keygen -y` says of that; yours, what `age-keygen` says.\n\
         creation_rules:\n",
    );
    for whole in systems.iter().filter(|whole| !whole.secrets().is_empty()) {
        let host = whole.hostname();
        let _ = write!(
            text,
            "  - path_regex: ^secrets/{}\\.yaml$\n    # Public keys, with commas between: yours and the host's.\n    age: \"\"\n",
            host.replace('.', "\\.")
        );
    }
    text
}

fn alerts(host: &mut Host<'_>) {
    let alerts = &host.whole.system.alerts;
    let Some(ntfy) = &alerts.ntfy else { return };
    host.import("modules/alerts.nix");
    let mut set = Set::new().put("environment.NTFY", ntfy.replace('%', "%%"));
    if let Some(token) = &alerts.token {
        set = set.put("serviceConfig.LoadCredential", format!("token:{}", secret_path(token)));
    }
    host.gap("").at(&["systemd", "services", "alert@"], set);
}

/// Agents, packages by name, toolchains, and tools unless homes have them.
fn software(host: &mut Host<'_>, agents: Vec<Expr>) {
    let system = &host.whole.system;
    let homes = host.context.homes.of(host.whole);
    let tools = system.agents.multiplexers.iter().chain(&system.agents.tools);
    let tools = tools.filter(|_| homes.is_empty()).filter_map(|name| packages::tool(name));
    let sets = system.toolchains.iter().filter_map(|name| packages::toolchain(name)).chain(tools);
    let mut names: BTreeSet<&str> = sets.flat_map(|set| set.nix).copied().collect();
    names.extend(system.packages.iter().map(|name| packages::nix(name)));
    names.extend(system.nixos.packages.iter().map(String::as_str));
    let mut all: Vec<String> = names.into_iter().map(attribute).collect();
    all.sort_unstable();
    let all: Vec<Expr> = agents.into_iter().chain(all.into_iter().map(Expr::Code)).collect();
    if !all.is_empty() {
        host.gap("").put("environment.systemPackages", all);
    }
}

/// An attribute of nixpkgs, every part of it quoted if it must be.
pub(super) fn attribute(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    format!("pkgs.{}", super::layout::path(&parts))
}

/// Puts modules of the user's own into the tree, and says where each is.
pub(super) fn own_modules(
    systems: &[Whole],
    options: &Options,
    tree: &mut Tree,
) -> Result<BTreeMap<PathBuf, String>, Error> {
    let mut places = BTreeMap::new();
    for whole in systems {
        for path in &whole.system.nixos.modules {
            if places.contains_key(path) {
                continue;
            }
            let text = options.modules.get(path);
            let text = text.ok_or_else(|| Error::Module(whole.machine.clone(), path.clone()))?;
            let place = free(path, tree);
            tree.insert(place.clone().into(), File::new(text.clone()));
            places.insert(path.clone(), place);
        }
    }
    Ok(places)
}

/// A place in `own/` that nothing has.
fn free(path: &Path, tree: &Tree) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let stem: String = stem.chars().map(plain).collect();
    let stem = if stem.is_empty() { "module".into() } else { stem };
    let name =
        |at: u32| if at == 1 { format!("own/{stem}.nix") } else { format!("own/{stem}-{at}.nix") };
    let taken = |place: &String| tree.contains_key(Path::new(place));
    // There is one among as many as there are files, and one more.
    (1..=tree.len() as u32 + 1).map(name).find(|place| !taken(place)).unwrap_or_default()
}

/// Lines of ours with values in them.
pub(super) fn lines(text: impl Into<String>) -> Expr {
    Expr::Lines(vec![Piece::Text(text.into())])
}
