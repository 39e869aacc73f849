//! The network between a person's own devices.

use super::{Act, Desired, Unit, quote, vendor};
use crate::{File, Whole, secret_path};
use stead_file::declared::{Overlay, OverlayKind, Transport};

/// The unit that joins, where a key is declared.
const JOIN: &str = "stead-overlay.service";

/// Has ssh open on a machine that made itself by user-data, which has no secrets, until it has joined.
const UNTIL: &str = "/etc/nftables.d/stead.d/00-until-joined.nft";

/// Closes what was open until then.
const JOINED: &str = "[ ! -e /etc/nftables.d/stead.d/00-until-joined.nft ] || { rm /etc/nftables.d/stead.d/00-until-joined.nft; systemctl --no-block reload stead-firewall.service; }";

/// What a machine has until it has joined by a key that it has not yet.
pub(super) fn first(whole: &Whole, to: &mut Desired) {
    if !whole.joins() || !whole.system.ssh.enable || whole.outside {
        return;
    }
    let mut text = String::from("# Gone once this machine has joined its overlay.\n");
    for ports in whole.ssh_ports() {
        let Transport { first, last, udp } = ports;
        let protocol = if udp { "udp" } else { "tcp" };
        let all = if first == last { first.to_string() } else { format!("{first}-{last}") };
        text += &format!("add rule inet stead input {protocol} dport {all} accept\n");
    }
    to.file(UNTIL, text);
    let key = quote::name(whole.system.overlay.key.as_deref().unwrap_or_default());
    to.remarks.push(format!(
        "user-data has no secrets: ssh is open to all until the machine has joined its overlay; put the key into \
         /var/lib/stead-system/secrets/{key} there, and restart it"
    ));
}

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let overlay = &whole.system.overlay;
    if !overlay.routes.is_empty() {
        to.file(
            "/etc/sysctl.d/61-stead-routes.conf",
            "# Networks behind this machine are reached through it.\nnet.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\n\
             # One that forwards hears routers only when told to, and they may be its own way out.\nnet.ipv6.conf.*.accept_ra = 2\n",
        );
    }
    match overlay.kind {
        OverlayKind::None => {}
        OverlayKind::Tailscale | OverlayKind::Headscale => {
            vendor::add("tailscale", whole, to);
            to.packaged("tailscaled.service");
            tailscale(overlay, to);
        }
        OverlayKind::Netbird => {
            vendor::add("netbird", whole, to);
            to.packaged("netbird.service");
            netbird(overlay, to);
        }
        OverlayKind::Wireguard => wireguard(overlay, to),
    }
}

fn routes(overlay: &Overlay) -> String {
    let all: Vec<String> = overlay.routes.iter().map(|route| quote::plain(route)).collect();
    all.join(",")
}

fn tailscale(overlay: &Overlay, to: &mut Desired) {
    let mut up = vec!["/usr/bin/tailscale".to_owned(), "up".into(), "--reset".into()];
    if let Some(server) = &overlay.server {
        up.push(format!("--login-server={}", quote::plain(server)));
    }
    if !overlay.routes.is_empty() {
        up.push(format!("--advertise-routes={}", routes(overlay)));
    }
    up.push(format!("--accept-dns={}", overlay.dns));
    let mut text = join("tailscaled.service", overlay.key.as_deref(), to);
    let mut exec = quote::command(&up);
    if overlay.key.is_some() {
        // Read from a file: a command line is for all to see.
        exec += " --auth-key=file:${CREDENTIALS_DIRECTORY}/key";
    }
    text += &format!("ExecStart={exec}\n");
    let mut by_hand = vec![up];
    for port in &overlay.funnel {
        let funnel = ["/usr/bin/tailscale", "funnel", "--bg", &port.to_string()];
        text += &format!("ExecStart={}\n", funnel.join(" "));
        by_hand.push(super::words(&funnel));
    }
    finish(&text, overlay, &by_hand, to);
}

fn netbird(overlay: &Overlay, to: &mut Desired) {
    let mut up = vec!["/usr/bin/netbird".to_owned(), "up".into()];
    if let Some(server) = &overlay.server {
        up.push(format!("--management-url={}", quote::plain(server)));
    }
    if !overlay.dns {
        up.push("--disable-dns".into());
    }
    if !overlay.routes.is_empty() {
        to.remarks.push(
            "routes through NetBird are given at its control server, not on this machine".into(),
        );
    }
    let mut text = join("netbird.service", overlay.key.as_deref(), to);
    let mut exec = quote::command(&up);
    if overlay.key.is_some() {
        exec += " --setup-key-file=${CREDENTIALS_DIRECTORY}/key";
    }
    text += &format!("ExecStart={exec}\n");
    finish(&text, overlay, &[up], to);
}

fn join(daemon: &str, key: Option<&str>, to: &mut Desired) -> String {
    let mut text = format!(
        "[Unit]\nDescription=Joins the overlay\nWants=network-online.target\nRequires={daemon}\n\
         After={daemon} network-online.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nTimeoutStartSec=60\nRestart=on-failure\nRestartSec=30\n"
    );
    if let Some(key) = key {
        let key = quote::name(key);
        text += &format!("LoadCredential=key:{}\n", secret_path(&key));
        to.reads(&key, Some(JOIN));
    }
    text
}

/// Without a key a person joins by hand: there is nothing to start, and that person is told what to say.
fn finish(text: &str, overlay: &Overlay, by_hand: &[Vec<String>], to: &mut Desired) {
    if overlay.key.is_some() {
        let joined = quote::command(&["/bin/sh".into(), "-c".into(), JOINED.into()]);
        let text = format!("{text}ExecStartPost=-{joined}\n");
        to.unit(JOIN, text + "\n[Install]\nWantedBy=multi-user.target\n");
        to.started(JOIN, "multi-user.target", false);
        return;
    }
    let said: Vec<String> = by_hand.iter().map(|words| words.join(" ")).collect();
    to.remarks.push(format!(
        "the overlay has no `key`: join by hand with `{}`; until one is declared ssh stays open",
        said.join(" && ").replace("/usr/bin/", "")
    ));
}

fn wireguard(overlay: &Overlay, to: &mut Desired) {
    to.package(&["wireguard-tools"]);
    let Some((key, address)) = overlay.key.as_deref().zip(overlay.address.as_deref()) else {
        return;
    };
    let key = quote::name(key);
    let mut text = format!(
        "[Interface]\nAddress = {}\nListenPort = 51820\nPostUp = wg set %i private-key {}\nPostUp = {JOINED}\n",
        quote::plain(address),
        secret_path(&key)
    );
    for peer in &overlay.peers {
        let (public, address) = peer.split_once(' ').unwrap_or((peer, ""));
        text += &format!(
            "\n[Peer]\nPublicKey = {}\nAllowedIPs = {}\n",
            quote::plain(public),
            quote::plain(address)
        );
    }
    to.files.insert("/etc/wireguard/wg0.conf".into(), File::private(text));
    to.reads(&key, Some("wg-quick@wg0.service"));
    to.units.insert("wg-quick@wg0.service".into(), Unit { packaged: true, once: false });
    to.rule("overlay", &["/etc/wireguard/"], Act::Restart("wg-quick@wg0.service".into()));
}
