//! No declaration renders to Nix that does not parse, and nothing declared becomes code.

mod nixos_support;

use nixos_support::{options, wholes};
use proptest::prelude::*;
use std::path::PathBuf;
use stead_file::declared::{
    Alerts, GitIdentity, Logs, OverlayKind, RootFs, Service, ServiceKind, Sudo, System, Transport,
    User,
};
use stead_system::nixos::{Error, render};
use stead_system::{Tree, Whole};

/// Texts that would like to be code.
fn hostile() -> impl Strategy<Value = String> {
    let bad = prop::sample::select(vec![
        "${",
        "}",
        "\"",
        "''",
        "''${",
        "\\",
        "$",
        "$$",
        "\n",
        "\r\n",
        "\t",
        ";",
        "*/",
        "/*",
        "#",
        "'",
        "\u{1}",
        "\u{2028}",
        "ü",
        "🦀",
        "../..",
        "%n",
        "%%",
        " ",
        "${builtins.abort \"x\"}",
        "'';x=1;y=''",
        "\"; a = \"",
        "inputs.",
        "pkgs.",
        "lib.",
        "\u{feff}",
        "{{",
        "\\${",
        "x",
        "0",
    ]);
    prop::collection::vec(bad, 0..7).prop_map(|parts| parts.concat())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z][a-z0-9-]{0,8}",
        1 => prop::sample::select(vec!["if", "let", "or", "inherit", "in", "1x", "a.b", "_"]).prop_map(String::from),
    ]
}

prop_compose! {
    fn user()(
        shell in prop::sample::select(vec!["", "bash", "zsh", "fish"]),
        groups in prop::collection::vec(hostile(), 0..3),
        keys in prop::collection::vec(hostile(), 0..3),
        sudo in prop::sample::select(vec![Sudo::None, Sudo::Password, Sudo::Passwordless]),
        dotfiles in prop::option::of(hostile()),
        git_name in prop::option::of(hostile()),
        git_email in prop::option::of(hostile()),
    ) -> User {
        User { shell: shell.into(), groups, keys, sudo, dotfiles, git_name, git_email }
    }
}

prop_compose! {
    fn service()(
        remote in any::<bool>(),
        description in hostile(),
        command in prop::collection::vec(hostile(), 0..4),
        user in prop::option::of(hostile()),
        cwd in prop::option::of(hostile()),
        env in prop::collection::btree_map(hostile(), hostile(), 0..3),
        secrets in prop::collection::vec(name(), 0..2),
        writes in prop::collection::vec(hostile(), 0..3),
        network in any::<bool>(),
        (calendar, after) in (prop::option::of(hostile()), prop::collection::vec(hostile(), 0..2)),
        relax in prop::collection::vec(hostile(), 0..3),
        labels in prop::collection::btree_map(hostile(), hostile(), 0..3),
    ) -> Service {
        Service {
            kind: if remote { ServiceKind::RemoteControl } else { ServiceKind::Command },
            description, command, user, env, secrets, network, calendar, after, relax, labels,
            cwd: cwd.map(PathBuf::from),
            writes: writes.into_iter().map(PathBuf::from).collect(),
            ..Service::default()
        }
    }
}

fn roles() -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(stead_file::ROLES.to_vec(), 0..=stead_file::ROLES.len())
        .prop_map(|roles| roles.into_iter().map(String::from).collect())
}

prop_compose! {
    fn system()(
        (timezone, locale, roles) in (hostile(), hostile(), roles()),
        users in prop::collection::btree_map(name(), user(), 0..3),
        services in prop::collection::btree_map(name(), service(), 0..3),
        packages in prop::collection::vec(hostile(), 0..4),
        own in prop::collection::vec(hostile(), 0..3),
        (ntfy, loki) in (prop::option::of(hostile()), prop::option::of(hostile())),
        labels in prop::collection::btree_map(hostile(), hostile(), 0..3),
        kind in prop::sample::select(vec![
            OverlayKind::None, OverlayKind::Tailscale, OverlayKind::Headscale, OverlayKind::Netbird, OverlayKind::Wireguard,
        ]),
        (server, routes, peers) in (prop::option::of(hostile()), prop::collection::vec(hostile(), 0..3), prop::collection::vec(hostile(), 0..3)),
        open in prop::collection::vec((1u16..2000, 0u16..2, any::<bool>()), 0..4),
        trust in prop::collection::vec(hostile(), 0..2),
        (root, impermanent, device) in (prop::sample::select(vec![RootFs::Ext4, RootFs::Btrfs, RootFs::Zfs]), any::<bool>(), hostile()),
        persist in prop::collection::vec(hostile(), 0..3),
        git in (hostile(), hostile()),
        (version, codex, source) in (prop::option::of(hostile()), prop::option::of(hostile()), prop::option::of(hostile())),
        (models, proxy) in (prop::collection::vec(hostile(), 0..3), prop::collection::vec(hostile(), 4)),
        secrets in prop::collection::vec(name(), 0..3),
    ) -> System {
        let mut system = System {
            timezone, locale, roles, users, services, packages, secrets,
            alerts: Alerts { ntfy, token: None },
            logs: Logs { loki, labels },
            ..System::default()
        };
        system.nixos.packages = own;
        system.overlay.kind = kind;
        system.overlay.server = server;
        system.overlay.routes = routes;
        system.overlay.peers = peers;
        system.firewall.open = open.into_iter().map(|(first, more, udp)| Transport { first, last: first + more, udp }).collect();
        system.firewall.trust = trust;
        system.disk.root = root;
        system.disk.impermanent = impermanent;
        system.disk.device = device.into();
        system.disk.persist = persist.into_iter().map(PathBuf::from).collect();
        system.agents.install = ["claude", "codex"].map(String::from).to_vec();
        system.agents.git = [("claude".into(), GitIdentity { name: git.0, email: git.1 })].into();
        system.agents.versions.extend(version.map(|version| ("claude".into(), version)));
        system.agents.versions.extend(codex.map(|version| ("codex".into(), version)));
        system.agents.claude_home = source.map(|source| format!("https://{source}"));
        system.llm.models = models;
        system.reverse_proxy.domain = Some(proxy[0].clone());
        system.reverse_proxy.upstream = Some(proxy[1].clone());
        system.reverse_proxy.client_id = Some(proxy[2].clone());
        system.reverse_proxy.emails = vec![proxy[3].clone()];
        system.reverse_proxy.client_secret = Some("oidc".into());
        system
    }
}

/// All code of a tree without its texts and comments: names, signs, keywords.
fn shape(tree: &Tree) -> String {
    let mut shape = String::new();
    for (path, file) in
        tree.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "nix"))
    {
        let parsed = rnix::Root::parse(&file.text);
        assert!(
            parsed.errors().is_empty(),
            "{}: {:?}\n{}",
            path.display(),
            parsed.errors(),
            file.text
        );
        for token in
            parsed.syntax().descendants_with_tokens().filter_map(rnix::NodeOrToken::into_token)
        {
            use rnix::SyntaxKind::{
                TOKEN_COMMENT, TOKEN_IDENT, TOKEN_STRING_CONTENT, TOKEN_WHITESPACE,
            };
            match token.kind() {
                TOKEN_WHITESPACE | TOKEN_COMMENT | TOKEN_STRING_CONTENT => {}
                TOKEN_IDENT => shape.extend([token.text(), " "]),
                _ => shape.push_str(token.text()),
            }
        }
    }
    shape
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_declared_parses(systems in prop::collection::vec(system(), 1..3), machine in hostile(), name in hostile()) {
        let wholes: Vec<Whole> = systems
            .into_iter()
            .enumerate()
            .map(|(at, mut system)| {
                system.hostname = Some(format!("host-{at}"));
                Whole { machine: machine.clone(), name: name.clone(), system, outside: false }
            })
            .collect();
        let options = stead_system::nixos::Options { name, ..options("x") };
        match render(&wholes, &options) {
            Ok(tree) => {
                let shape = shape(&tree);
                let at = shape.find("builtins .abort");
                prop_assert!(at.is_none(), "a text became code");
                for (path, file) in &tree {
                    let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
                    prop_assert!(plain, "{}", path.display());
                    if path.extension().is_some_and(|end| end == "nix") && !path.starts_with("own") {
                        let formatted = nixfmt_rs::format(&file.text).unwrap();
                        prop_assert_eq!(rnix::Root::parse(&formatted).errors().len(), 0);
                    }
                }
            }
            Err(Error::Model(_) | Error::Name(..) | Error::Reserved(..)) => {}
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn a_text_means_itself(text in hostile()) {
        use stead_system::nixos::expr::{Expr, Piece};
        use stead_system::nixos::layout::layout;
        // What a line holds: an indented string is of lines, which begin with something of ours.
        let line: String = text.chars().filter(|c| !c.is_control()).collect();
        for (expr, wanted) in [
            (Expr::Text(text.clone()), text.clone()),
            (Expr::Lines(vec![Piece::Text(format!("a{line}\nb"))]), format!("a{line}\nb\n")),
        ] {
            let code = layout(&expr, 0, 0);
            let parsed = rnix::Root::parse(&code).ok().unwrap().expr().unwrap();
            let rnix::ast::Expr::Str(found) = parsed else { panic!("{code} is no text") };
            let mut said = String::new();
            for part in found.normalized_parts() {
                match part {
                    rnix::ast::InterpolPart::Literal(text) => said.push_str(&text),
                    // The only code that a text may come to is a quote.
                    rnix::ast::InterpolPart::Interpolation(code) => {
                        prop_assert_eq!(code.to_string(), "${\"'\"}");
                        said.push('\'');
                    }
                }
            }
            prop_assert_eq!(said, wanted);
        }
    }

    #[test]
    fn a_text_changes_no_code(text in hostile()) {
        let with = |text: &str| {
            let mut whole = wholes("agents-lxc").remove(0);
            let service = whole.system.services.get_mut("review").unwrap();
            service.env.insert("X".into(), text.into());
            service.description = format!("x{text}");
            whole.system.timezone = text.into();
            shape(&render(&[whole], &options("agents-lxc")).unwrap())
        };
        prop_assert_eq!(with(&text), with("plain"));
    }
}
