//! The network between a person's own devices.

use super::expr::Set;
use super::host::Host;
use super::{Error, service};
use crate::secret_path;
use stead_file::declared::OverlayKind;

/// Ports at which the internet finds what Funnel shows, in the order they are given out.
const FUNNEL: [u16; 3] = [443, 8443, 10000];

pub(super) fn render(host: &mut Host<'_>) -> Result<(), Error> {
    let whole = host.whole;
    let overlay = &whole.system.overlay;
    match overlay.kind {
        OverlayKind::None => {}
        OverlayKind::Tailscale | OverlayKind::Headscale => {
            host.import("modules/tailscale.nix");
            let mut up = vec![format!("--accept-dns={}", overlay.dns)];
            up.extend(overlay.server.iter().map(|server| format!("--login-server={server}")));
            if !overlay.routes.is_empty() {
                up.push(format!("--advertise-routes={}", overlay.routes.join(",")));
            }
            let mut set = Set::new();
            if let Some(key) = &overlay.key {
                set = set.put("authKeyFile", secret_path(key));
            }
            set = set.put("extraUpFlags", up);
            if !overlay.routes.is_empty() {
                set = set
                    .say("It forwards what others send there.")
                    .put("useRoutingFeatures", "server");
            }
            host.gap("").put("services.tailscale", set);
            funnel(host)?;
        }
        OverlayKind::Netbird => {
            host.import("modules/netbird.nix");
            let mut set = Set::new();
            if let Some(key) = &overlay.key {
                let login = Set::new().put("enable", true).put("setupKeyFile", secret_path(key));
                set = set.put("login", login);
            }
            if let Some(server) = &overlay.server {
                set = set.put("environment.NB_MANAGEMENT_URL", server);
            }
            if !overlay.dns {
                set = set.put("config.DisableDNS", true);
            }
            if !set.is_empty() {
                host.gap("").put("services.netbird.clients.overlay", set);
            }
        }
        OverlayKind::Wireguard => wireguard(host),
    }
    Ok(())
}

fn wireguard(host: &mut Host<'_>) {
    let overlay = &host.whole.system.overlay;
    let peers: Vec<Set> = overlay
        .peers
        .iter()
        .map(|peer| {
            let (key, address) = peer.split_once(' ').unwrap_or((peer, ""));
            Set::new().put("publicKey", key).put("allowedIPs", vec![address])
        })
        .collect();
    let mut set = Set::new();
    set = set.put("ips", overlay.address.iter().collect::<Vec<_>>());
    set = set.put("listenPort", 51820u16);
    if let Some(key) = &overlay.key {
        set = set.put("privateKeyFile", secret_path(key));
    }
    if !peers.is_empty() {
        set = set.put("peers", peers);
    }
    host.gap("The overlay. Whoever is in it reaches everything here.")
        .put("networking.wireguard.interfaces.wg0", set);
}

fn funnel(host: &mut Host<'_>) -> Result<(), Error> {
    let ports = &host.whole.system.overlay.funnel;
    if ports.len() > FUNNEL.len() {
        return Err(Error::Funnel(host.whole.machine.clone(), ports.len()));
    }
    if ports.is_empty() {
        return Ok(());
    }
    let commands: Vec<String> = FUNNEL
        .iter()
        .zip(ports)
        .map(|(outside, port)| {
            let program = "/run/current-system/sw/bin/tailscale";
            service::line(&[
                program,
                "funnel",
                "--bg",
                &format!("--https={outside}"),
                &port.to_string(),
            ])
        })
        .collect();
    let unit = Set::new()
        .put("description", "Shows ports of the loopback to the internet")
        .put("wantedBy", vec!["multi-user.target"])
        .put("wants", vec!["tailscaled-autoconnect.service"])
        .put("after", vec!["tailscaled.service", "tailscaled-autoconnect.service"])
        .put(
            "serviceConfig",
            Set::new()
                .put("Type", "oneshot")
                .put("RemainAfterExit", true)
                .put("ExecStart", commands)
                .put(
                    "ExecStop",
                    vec![service::line(&[
                        "/run/current-system/sw/bin/tailscale",
                        "funnel",
                        "reset",
                    ])],
                ),
        );
    host.gap("").put("systemd.services.tailscale-funnel", unit);
    Ok(())
}
