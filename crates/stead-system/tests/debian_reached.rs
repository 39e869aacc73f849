//! By which ways a rendered Debian is reached, whatever state it is in.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use stead_file::declared::{Overlay, OverlayKind, Service, System};
use stead_system::debian::{Desired, render, render_first, user_data};
use stead_system::{Whole, nixos};

fn whole(system: System) -> Whole {
    Whole { machine: "box".into(), name: "dev".into(), system, outside: false }
}

fn with_overlay(key: Option<&str>) -> System {
    let overlay = Overlay {
        kind: OverlayKind::Tailscale,
        key: key.map(Into::into),
        routes: vec!["10.1.0.0/16".into()],
        ..Overlay::default()
    };
    System { overlay, ..System::default() }
}

fn with_role(role: &str) -> System {
    System { roles: vec![role.into()], ..System::default() }
}

fn text<'a>(desired: &'a Desired, path: &str) -> &'a str {
    let file = desired.files.get(Path::new(path));
    &file.unwrap_or_else(|| panic!("there is no {path}")).text
}

const NFT: &str = "/etc/nftables.d/stead.nft";

#[test]
fn ssh_stays_open_where_nobody_has_joined_the_overlay_yet() {
    let by_hand = render(&whole(with_overlay(None)));
    assert!(text(&by_hand, NFT).contains("tcp dport { 22 } accept"), "{}", text(&by_hand, NFT));
    assert!(
        by_hand.remarks.iter().any(|said| said
            .contains("tailscale up --reset --advertise-routes=10.1.0.0/16 --accept-dns=false")),
        "{:?}",
        by_hand.remarks
    );

    let joined = with_overlay(Some("key"));
    assert!(!text(&render(&whole(joined.clone())), NFT).contains("tcp dport {"));
    // Its key comes with the first switch, and until then nothing else leads in.
    let data = user_data(&render_first(&whole(joined.clone())));
    assert!(data.contains("add rule inet stead input tcp dport 22 accept"), "{data}");
    assert!(!user_data(&render(&whole(joined.clone()))).contains("dport 22 accept"));
    let wireguard = Overlay {
        kind: OverlayKind::Wireguard,
        key: Some("key".into()),
        address: Some("10.9.0.1/24".into()),
        ..Overlay::default()
    };
    let wireguard = System { overlay: wireguard, ..System::default() };
    for (system, path) in [
        (joined.clone(), "/etc/systemd/system/stead-overlay.service"),
        (wireguard, "/etc/wireguard/wg0.conf"),
    ] {
        let desired = render_first(&whole(system));
        assert!(text(&desired, path).contains("rm /etc/nftables.d/stead.d/00-until-joined.nft"));
        assert!(desired.remarks.iter().any(|said| said.contains("/secrets/key there")));
    }
    let mut closed = joined;
    closed.ssh.enable = false;
    assert!(!user_data(&render_first(&whole(closed))).contains("dport 22"));
}

#[test]
fn systems_manager_is_a_way_in_on_both_systems() {
    let mut system = System { ssm: true, ..System::default() };
    system.ssh.enable = false;
    let desired = render(&whole(system.clone()));
    let task = desired.tasks.iter().find(|task| task.name.contains("Systems Manager")).unwrap();
    assert!(task.run.iter().any(|word| word.ends_with("/debian_amd64/amazon-ssm-agent.deb")));
    assert_eq!(task.creates.as_deref(), Some(Path::new("/usr/bin/amazon-ssm-agent")));
    assert!(desired.units["amazon-ssm-agent.service"].packaged);
    let tree = nixos::render(&[whole(system)], &nixos::Options::default()).unwrap();
    let host = &tree[Path::new("hosts/box/default.nix")].text;
    assert!(host.contains("services.amazon-ssm-agent.enable = true;"), "{host}");
}

#[test]
fn the_firewall_comes_after_what_could_flush_it() {
    let desired = render(&whole(System::default()));
    let unit = text(&desired, "/etc/systemd/system/stead-firewall.service");
    assert!(unit.contains("After=local-fs.target nftables.service\n"), "{unit}");
}

#[test]
fn guests_reach_of_the_host_only_what_gives_them_an_address_and_no_private_network() {
    let desired = render(&whole(with_role("hypervisor")));
    assert!(!text(&desired, NFT).contains("vmbr0"), "{}", text(&desired, NFT));
    let guests = text(&desired, "/etc/nftables.d/stead.d/50-guests.nft");
    for rule in [
        "input iifname \"vmbr0\" udp dport { 53, 67 } accept",
        "forward iifname \"vmbr0\" ip daddr { 10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16 } drop",
        "forward iifname \"vmbr0\" ip6 daddr { fc00::/7, fe80::/10 } drop",
        "forward oifname \"vmbr0\" drop",
    ] {
        assert!(guests.contains(rule), "{rule} in\n{guests}");
    }
    // A sandbox has no firewall of its own for it to be part of.
    let outside = Whole { outside: true, ..whole(with_role("hypervisor")) };
    assert!(!render(&outside).files.keys().any(|path| path.starts_with("/etc/nftables.d")));
}

#[test]
fn a_machine_that_forwards_still_hears_its_own_router() {
    let desired = render(&whole(with_overlay(Some("key"))));
    let settings = text(&desired, "/etc/sysctl.d/61-stead-routes.conf");
    assert!(settings.contains("net.ipv6.conf.*.accept_ra = 2\n"), "{settings}");
}

#[test]
fn models_wait_where_all_three_say() {
    for (kind, address) in [(OverlayKind::None, "127.0.0.1"), (OverlayKind::Tailscale, "0.0.0.0")] {
        let mut system = with_role("llm");
        system.overlay.kind = kind;
        let whole = whole(system);
        assert_eq!(whole.models_at().to_string(), address);
        let unit = render(&whole);
        let unit = text(&unit, "/etc/systemd/system/stead-ollama.service");
        assert!(unit.contains(&format!("OLLAMA_HOST={address}:11434\n")), "{unit}");
        let tree = nixos::render(&[whole], &nixos::Options::default()).unwrap();
        let host = &tree[Path::new("hosts/box/default.nix")].text;
        assert_eq!(host.contains("host = \"0.0.0.0\""), address == "0.0.0.0", "{host}");
    }
    // What nothing filters is for the machine itself.
    let mut system = with_role("llm");
    system.overlay.kind = OverlayKind::Tailscale;
    let outside = Whole { outside: true, ..whole(system) };
    assert!(outside.models_at().is_loopback());
}

#[test]
fn oauth2_proxy_gets_its_cookie_secret_as_every_version_takes_it() {
    let mut system = with_role("reverse-proxy");
    system.reverse_proxy.client_secret = Some("client".into());
    system.reverse_proxy.cookie_secret = Some("cookie".into());
    let desired = render(&whole(system));
    let unit = text(&desired, "/etc/systemd/system/stead-oauth2-proxy.service");
    assert!(!unit.contains("--cookie-secret-file"), "{unit}");
    let exec = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    // As systemd takes it apart: `$$` is a `$`, and quotes are C's.
    let script = exec.strip_prefix("/bin/sh -c ").unwrap();
    let script: String = serde_json::from_str(script).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cookie"), "a secret of 32 bytes, as it is.\n").unwrap();
    let script = script.replace("$$", "$").replace(
        "exec /opt/stead/oauth2-proxy/oauth2-proxy",
        "printenv OAUTH2_PROXY_COOKIE_SECRET; echo",
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("CREDENTIALS_DIRECTORY", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("a secret of 32 bytes, as it is.\n"), "{script}\n{output:?}");
    let client = format!("--client-secret-file={}/client", dir.path().display());
    assert!(said.contains(&client), "{said}");
}

#[test]
fn one_configuration_of_alloy_is_for_both_systems() {
    let mut system = System::default();
    system.logs.loki = Some("https://loki.example.org/loki/api/v1/push".into());
    let labels = BTreeMap::from([("tier".to_owned(), "mail".to_owned())]);
    let command = vec!["/usr/bin/true".to_owned()];
    system.services.insert("sync".into(), Service { command, labels, ..Service::default() });
    let whole = whole(system);
    let desired = render(&whole);
    let tree = nixos::render(&[whole], &nixos::Options::default()).unwrap();
    let on_nixos = &tree[Path::new("hosts/box/config.alloy")].text;
    assert_eq!(text(&desired, "/etc/alloy/stead.alloy"), on_nixos);
    assert!(on_nixos.contains("(sync)\\\\.service"), "{on_nixos}");
}

#[test]
fn the_root_grows_by_what_its_disk_has_gained() {
    let desired = render(&whole(System::default()));
    assert!(desired.units.contains_key("stead-grow.service"));
    let script = text(&desired, "/usr/local/lib/stead/grow");
    for (source, kind, wanted) in [
        ("/dev/null", "ext4", "resize2fs /dev/null\n"),
        ("/dev/null", "btrfs", "btrfs filesystem resize max /\n"),
        ("overlay", "overlay", ""),
    ] {
        let stand_ins = format!(
            "findmnt() {{ case $* in *SOURCE*) echo {source} ;; *) echo {kind} ;; esac; }}\n\
             resize2fs() {{ echo \"resize2fs $*\"; }}\nbtrfs() {{ echo \"btrfs $*\"; }}\n\
             growpart() {{ echo \"growpart $*\"; return 1; }}\nlsblk() {{ echo disk; }}\n"
        );
        let output = Command::new("sh").args(["-c", &(stand_ins + script)]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{source} {kind}");
    }
    let mut system = System::default();
    system.disk.grow = false;
    assert!(!render(&whole(system)).units.contains_key("stead-grow.service"));
}
