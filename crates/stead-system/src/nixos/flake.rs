//! `flake.nix`: what is taken in, and what comes out.

use super::expr::{Expr, Set, code};
use super::home::Homes;
use super::layout::{body, layout};
use super::{Needs, Options};
use crate::{Whole, packages};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use stead_file::declared::{Arch, OverlayKind};

/// Where something comes from that the flake takes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// Its address.
    pub url: String,
    /// Why it is there.
    pub why: &'static str,
    /// The inputs of its own that are ours instead.
    pub follows: &'static [&'static str],
    /// Whether it is no flake but files.
    pub files: bool,
}

impl Input {
    /// A flake that takes our nixpkgs.
    pub fn flake(url: impl Into<String>, why: &'static str) -> Self {
        Input { url: url.into(), why, follows: &["nixpkgs"], files: false }
    }
}

/// Which releases of nixpkgs the hosts take.
#[derive(Debug)]
pub(super) struct Channels {
    all: BTreeSet<String>,
}

impl Channels {
    pub fn of(systems: &[Whole]) -> Self {
        Channels { all: systems.iter().map(|whole| whole.system.nixos.channel.clone()).collect() }
    }

    /// The one that is called `nixpkgs`: the oldest.
    fn main(&self) -> &str {
        self.all.first().map_or("25.11", String::as_str)
    }

    /// The input with a release's nixpkgs, if it is not just `nixpkgs`.
    pub fn input(&self, channel: &str) -> Option<String> {
        (channel != self.main()).then(|| format!("nixpkgs-{channel}"))
    }

    /// Those besides.
    fn others(&self) -> impl Iterator<Item = &str> {
        self.all.iter().skip(1).map(String::as_str)
    }
}

/// What the input with Claude Code in a version is called, by version.
pub(super) fn claude_versions(systems: &[Whole]) -> BTreeMap<Option<String>, String> {
    let installed = systems.iter().map(|whole| &whole.system.agents);
    let versions: BTreeSet<Option<String>> = installed
        .filter(|agents| agents.install.iter().any(|agent| agent == "claude"))
        .map(|agents| agents.versions.get("claude").cloned())
        .collect();
    let one = versions.len() == 1;
    let name = |version: &Option<String>| match version {
        Some(version) if !one => {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
            format!("claude-code-{}", version.chars().map(plain).collect::<String>())
        }
        _ => "claude-code".into(),
    };
    versions.into_iter().map(|version| (version.clone(), name(&version))).collect()
}

fn nixpkgs(channel: &str) -> String {
    match channel {
        "unstable" => "github:NixOS/nixpkgs/nixos-unstable".into(),
        release => format!("github:NixOS/nixpkgs/nixos-{release}"),
    }
}

fn home_manager(channel: &str) -> String {
    match channel {
        "unstable" => "github:nix-community/home-manager".into(),
        release => format!("github:nix-community/home-manager/release-{release}"),
    }
}

fn inputs(channels: &Channels, needs: &Needs) -> Set {
    let mut set = Set::new().put("nixpkgs.url", nixpkgs(channels.main()));
    for channel in channels.others() {
        set = set.at(&[&format!("nixpkgs-{channel}"), "url"], nixpkgs(channel));
    }
    let manages_homes = needs.parts.contains("modules/home.nix");
    let mut all: Vec<(String, Input)> = Vec::new();
    if manages_homes {
        let why = "What people have in their homes.";
        all.push(("home-manager".into(), Input::flake(home_manager(channels.main()), why)));
        for channel in channels.others() {
            let input = Input::flake(home_manager(channel), "");
            all.push((format!("home-manager-{channel}"), input));
        }
    }
    all.extend(needs.inputs.iter().map(|(name, input)| (name.clone(), input.clone())));
    for (name, input) in all {
        let mut value = Set::new().put("url", input.url);
        if input.files {
            value = value.put("flake", false);
        }
        for follows in input.follows {
            // Home-manager of a channel goes with nixpkgs of that.
            let channel = name.strip_prefix("home-manager").unwrap_or_default();
            value = value.at(&["inputs", follows, "follows"], format!("{follows}{channel}"));
        }
        set = set.gap(input.why).at(&[&name], value);
    }
    set
}

/// The names of processors as Nix has them.
pub(super) fn platform(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64-linux",
        Arch::Aarch64 => "aarch64-linux",
    }
}

/// The text of `flake.nix`.
pub(super) fn render(
    systems: &[Whole],
    options: &Options,
    channels: &Channels,
    needs: &Needs,
    homes: &Homes,
) -> String {
    let mixed = channels.all.len() > 1;
    let manages_homes = needs.parts.contains("modules/home.nix");
    let mut text = String::from("{\n");
    let name = if options.name.is_empty() { "stead" } else { &options.name };
    let description = Expr::from(format!("The machines of {name}"));
    let _ = write!(text, "  description = {};\n\n", layout(&description, 2, 20));
    let _ = write!(text, "  inputs = {{\n{}  }};\n\n", body(&inputs(channels, needs), 4));
    text.push_str("  outputs =\n    { self, nixpkgs, ... }@inputs:\n    let\n");
    text.push_str("      inherit (nixpkgs) lib;\n\n");
    text.push_str(if mixed { MIXED } else { HOST });
    text.push_str(EACH);
    if manages_homes && !homes.shared.is_empty() {
        text.push_str(HOME);
    }
    text.push_str("    in\n    {\n");

    let mut hosts = Set::new();
    for whole in systems {
        let host = whole.hostname();
        let channel = &whole.system.nixos.channel;
        let of = if !mixed {
            String::new()
        } else if channel == channels.main() {
            " \"\"".into()
        } else {
            format!(" \"-{channel}\"")
        };
        hosts = hosts.at(&[&host], code(format!("host{of} \"{host}\"")));
    }
    let _ = writeln!(text, "      nixosConfigurations = {};", layout(&hosts.into(), 6, 0));
    if manages_homes && !homes.shared.is_empty() {
        let mut set = Set::new();
        for name in &homes.shared {
            set = set.at(&[name], code(format!("home \"x86_64-linux\" \"{name}\"")));
            let mac = format!("{name}@mac");
            set = set.at(&[&mac], code(format!("home \"aarch64-darwin\" \"{name}\"")));
        }
        text.push_str(
            "\n      # The same homes on a computer that is none of these, with Linux or macOS:\n",
        );
        text.push_str("      # `home-manager switch --flake .#NAME@mac`.\n");
        let _ = writeln!(text, "      homeConfigurations = {};", layout(&set.into(), 6, 0));
    }
    text.push_str(OUTPUTS);
    let tools = tools(systems);
    let list = Expr::List(tools.iter().map(|tool| code(format!("pkgs.{tool}"))).collect());
    let packages = layout(&list, 10, 21);
    let _ = write!(
        text,
        "      devShells = each (pkgs: {{\n        default = pkgs.mkShell {{\n          packages = {packages};\n        }};\n      }});\n"
    );
    text + "    };\n}\n"
}

/// What one works with on this flake.
fn tools(systems: &[Whole]) -> Vec<&'static str> {
    let mut tools = vec!["deadnix", "nixfmt-tree", "nixos-anywhere", "nixos-rebuild-ng", "statix"];
    if systems.iter().any(|whole| !whole.secrets().is_empty()) {
        tools.extend(["age", "sops", "ssh-to-age"]);
    }
    if systems.iter().any(|whole| whole.system.overlay.kind == OverlayKind::Wireguard) {
        tools.extend([packages::nix("qrencode"), packages::nix("wireguard")]);
    }
    tools.sort_unstable();
    tools
}

const HOST: &str = "      # A host is what hosts/NAME says; it may import from the inputs.
      host =
        name:
        lib.nixosSystem {
          specialArgs = { inherit inputs; };
          modules = [ ./hosts/${name} ];
        };
";

const MIXED: &str = "      # A host is what hosts/NAME says; it may import from the inputs. Modules find its own channel by the plain names.
      host =
        channel: name:
        let
          own = lib.filterAttrs (_: input: input != null) {
            nixpkgs = inputs.\"nixpkgs${channel}\";
            home-manager = inputs.\"home-manager${channel}\" or null;
          };
        in
        own.nixpkgs.lib.nixosSystem {
          specialArgs.inputs = inputs // own;
          modules = [ ./hosts/${name} ];
        };
";

const EACH: &str = "
      each =
        make:
        lib.genAttrs [
          \"aarch64-darwin\"
          \"aarch64-linux\"
          \"x86_64-linux\"
        ] (system: make nixpkgs.legacyPackages.${system});
";

const HOME: &str = "
      home =
        system: name:
        inputs.home-manager.lib.homeManagerConfiguration {
          pkgs = nixpkgs.legacyPackages.${system};
          extraSpecialArgs = { inherit inputs; };
          modules = [
            ./users/${name}.nix
            {
              home = {
                username = name;
                homeDirectory = if lib.hasSuffix \"darwin\" system then \"/Users/${name}\" else \"/home/${name}\";
                stateVersion = \"25.11\";
              };
            }
          ];
        };
";

const OUTPUTS: &str = "
      # Every host is built where `nix flake check` runs on its processor.
      checks = each (
        pkgs:
        lib.mapAttrs (_: host: host.config.system.build.toplevel) (
          lib.filterAttrs (
            _: host: host.pkgs.stdenv.hostPlatform.system == pkgs.stdenv.hostPlatform.system
          ) self.nixosConfigurations
        )
      );

      formatter = each (pkgs: pkgs.nixfmt-tree);

";
