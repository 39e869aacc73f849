//! What the machine is for: a part each, and what the host says to it.

use super::Error;
use super::expr::{Expr, Piece, Set, code};
use super::flake::Input;
use super::host::{Host, lines};

pub(super) fn render(host: &mut Host<'_>) -> Result<(), Error> {
    let mut roles: Vec<&str> = host.whole.system.roles.iter().map(String::as_str).collect();
    roles.sort_unstable();
    roles.dedup();
    for role in roles {
        match role {
            "agent-host" => host.import("roles/agent-host.nix"),
            "hypervisor" => {
                host.import("roles/hypervisor.nix");
                let url = "github:microvm-nix/microvm.nix";
                host.input(
                    "microvm",
                    Input::flake(url, "Virtual machines that are NixOS themselves."),
                );
            }
            "desktop" => desktop(host),
            "k3s" => host.import("roles/k3s.nix"),
            "incus-host" => host.import("roles/incus-host.nix"),
            "container-host" => host.import(match host.whole.system.containers.engine.as_str() {
                "docker" => "roles/docker.nix",
                _ => "roles/podman.nix",
            }),
            "llm" => llm(host)?,
            "code-server" => code_server(host),
            "reverse-proxy" => reverse_proxy(host),
            _ => {}
        }
    }
    Ok(())
}

fn desktop(host: &mut Host<'_>) {
    let desktop = &host.whole.system.desktop;
    host.import(match desktop.environment.as_str() {
        "plasma" => "roles/desktop-plasma.nix",
        _ => "roles/desktop-xfce.nix",
    });
    if desktop.rdp != 3389 {
        host.gap("").put("services.xrdp.port", desktop.rdp);
    }
}

fn llm(host: &mut Host<'_>) -> Result<(), Error> {
    let whole = host.whole;
    let llm = &whole.system.llm;
    if llm.cuda {
        host.import("roles/cuda.nix");
    }
    let address = whole.models_at();
    if llm.server == "vllm" {
        host.import("roles/vllm.nix");
        let model = llm.models.first().ok_or_else(|| Error::Model(whole.machine.clone()))?;
        let environment =
            Set::new().put("HOST", address.to_string()).put("MODEL", model.replace('%', "%%"));
        host.gap("").put("systemd.services.vllm.environment", environment);
        return Ok(());
    }
    host.import("roles/ollama.nix");
    let mut set = Set::new();
    if llm.cuda {
        set = set.put("package", code("pkgs.ollama-cuda"));
    }
    if !address.is_loopback() {
        let host = address.to_string();
        set = set.say("For the overlay: nobody else gets by the firewall.").put("host", host);
    }
    set = set.put_if(!llm.models.is_empty(), "loadModels", llm.models.iter().collect::<Vec<_>>());
    if !set.is_empty() {
        host.gap("").put("services.ollama", set);
    }
    Ok(())
}

fn code_server(host: &mut Host<'_>) {
    let whole = host.whole;
    host.import("roles/code-server.nix");
    let editor = &whole.system.code_server;
    let mut set = Set::new();
    if let Some(user) = editor.user.as_deref().or_else(|| whole.first_user()) {
        set = set.put("user", user).put("group", "users");
    }
    set = set.put("port", editor.port);
    host.gap("").put("services.code-server", set);
}

fn reverse_proxy(host: &mut Host<'_>) {
    let proxy = &host.whole.system.reverse_proxy;
    host.import("roles/reverse-proxy.nix");
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let domain = text(&proxy.domain);

    let caddy = format!(
        "handle /oauth2/* {{
  reverse_proxy 127.0.0.1:4180
}}
handle {{
  forward_auth 127.0.0.1:4180 {{
    uri /oauth2/auth
    header_up X-Real-IP {{remote_host}}
    copy_headers X-Auth-Request-User X-Auth-Request-Email
    @stranger status 401
    handle_response @stranger {{
      redir * /oauth2/sign_in?rd={{scheme}}://{{host}}{{uri}}
    }}
  }}
  reverse_proxy {}
}}
",
        text(&proxy.upstream)
    );
    host.gap("").at(&["services", "caddy", "virtualHosts", &domain, "extraConfig"], lines(caddy));

    let mut set = Set::new()
        .put("clientID", text(&proxy.client_id))
        .put("oidcIssuerUrl", text(&proxy.issuer))
        .put("redirectURL", format!("https://{domain}/oauth2/callback"));
    if !proxy.emails.is_empty() {
        let mut emails = proxy.emails.join("\n");
        emails.push('\n');
        set = set.put("email.addresses", lines(emails));
    }
    set = set.put("keyFile", code("config.sops.templates.\"oauth2-proxy.env\".path"));
    host.put("services.oauth2-proxy", set);

    let mut pieces = Vec::new();
    for (variable, secret) in [
        ("OAUTH2_PROXY_CLIENT_SECRET", &proxy.client_secret),
        ("OAUTH2_PROXY_COOKIE_SECRET", &proxy.cookie_secret),
    ] {
        if let Some(secret) = secret {
            pieces.push(Piece::Text(format!("{variable}=")));
            let place = super::layout::path(&["config", "sops", "placeholder", secret]);
            pieces.push(Piece::Code(place));
            pieces.push(Piece::Text("\n".into()));
        }
    }
    if !pieces.is_empty() {
        host.at(&["sops", "templates", "oauth2-proxy.env", "content"], Expr::Lines(pieces));
    }
}
