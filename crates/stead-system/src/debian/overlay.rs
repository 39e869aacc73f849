//! The network between a person's own devices.

use super::{Act, Desired, Unit, quote, vendor};
use crate::{File, Whole, secret_path};
use stead_file::declared::{Overlay, OverlayKind};

/// The unit that joins, where a key is declared.
const JOIN: &str = "stead-overlay.service";

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let overlay = &whole.system.overlay;
    if !overlay.routes.is_empty() {
        to.file(
            "/etc/sysctl.d/61-stead-routes.conf",
            "# Networks behind this machine are reached through it.\nnet.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\n",
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
    for port in &overlay.funnel {
        text += &format!("ExecStart=/usr/bin/tailscale funnel --bg {port}\n");
    }
    finish(text, overlay, to);
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
    finish(text, overlay, to);
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

/// Without a key a person joins by hand, and there is nothing to start.
fn finish(text: String, overlay: &Overlay, to: &mut Desired) {
    if overlay.key.is_some() {
        to.unit(JOIN, text + "\n[Install]\nWantedBy=multi-user.target\n");
        to.started(JOIN, "multi-user.target", false);
    }
}

fn wireguard(overlay: &Overlay, to: &mut Desired) {
    to.package(&["wireguard-tools"]);
    let Some((key, address)) = overlay.key.as_deref().zip(overlay.address.as_deref()) else {
        return;
    };
    let key = quote::name(key);
    let mut text = format!(
        "[Interface]\nAddress = {}\nListenPort = 51820\nPostUp = wg set %i private-key {}\n",
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
