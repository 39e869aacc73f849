//! Caddy, which asks oauth2-proxy who somebody is.

use super::super::hardening::{self, Needs};
use super::super::{Act, Desired, quote, vendor, words};
use crate::{File, Whole, secret_path};
use stead_file::declared::Arch;

const UNIT: &str = "stead-oauth2-proxy.service";
const VERSION: &str = "v7.8.1";
const FOLDER: &str = "/opt/stead/oauth2-proxy";

pub(super) fn render(whole: &Whole, to: &mut Desired) -> &'static [&'static str] {
    let own = &whole.system.reverse_proxy;
    let text = |value: &Option<String>| quote::plain(value.as_deref().unwrap_or_default());
    vendor::add("caddy", whole, to);
    to.file(
        "/etc/caddy/stead.caddy",
        format!(
            "{} {{\n\thandle /oauth2/* {{\n\t\treverse_proxy 127.0.0.1:4180\n\t}}\n\thandle {{\n\t\t\
             forward_auth 127.0.0.1:4180 {{\n\t\t\turi /oauth2/auth\n\t\t\tcopy_headers X-Auth-Request-User X-Auth-Request-Email\n\t\t\t\
             @refused status 401\n\t\t\thandle_response @refused {{\n\t\t\t\tredir * /oauth2/sign_in?rd={{scheme}}://{{host}}{{uri}}\n\t\t\t}}\n\t\t\
             }}\n\t\treverse_proxy {}\n\t}}\n}}\n",
            text(&own.domain),
            text(&own.upstream)
        ),
    );
    to.file(
        "/etc/systemd/system/caddy.service.d/10-stead.conf",
        "[Service]\nExecStart=\nExecStart=/usr/bin/caddy run --environ --config /etc/caddy/stead.caddy --adapter caddyfile\n\
         ExecReload=\nExecReload=/usr/bin/caddy reload --config /etc/caddy/stead.caddy --adapter caddyfile --force\n",
    );
    to.packaged("caddy.service");
    to.rule("proxy", &["/etc/caddy/"], Act::Reload("caddy.service".into())).check = words(&[
        "caddy",
        "validate",
        "--config",
        "/etc/caddy/stead.caddy",
        "--adapter",
        "caddyfile",
    ]);

    let emails: Vec<String> = own.emails.iter().map(|mail| quote::plain(mail)).collect();
    to.file("/etc/stead/oauth2-emails", emails.join("\n") + "\n");
    let mut config = format!(
        "http_address = \"127.0.0.1:4180\"\nreverse_proxy = true\nset_xauthrequest = true\nprovider = \"oidc\"\n\
         oidc_issuer_url = {}\nclient_id = {}\nredirect_url = {}\nauthenticated_emails_file = \"/etc/stead/oauth2-emails\"\n\
         cookie_secure = true\nupstreams = [ \"static://202\" ]\n",
        quote::c(&text(&own.issuer)),
        quote::c(&text(&own.client_id)),
        quote::c(&format!("https://{}/oauth2/callback", text(&own.domain)))
    );
    let mut credentials = String::new();
    let mut exec = format!("exec {FOLDER}/oauth2-proxy --config=/etc/stead/oauth2-proxy.cfg");
    if let Some(secret) = &own.client_secret {
        let secret = quote::name(secret);
        credentials += &format!("LoadCredential=client:{}\n", secret_path(&secret));
        exec += " --client-secret-file=\"$CREDENTIALS_DIRECTORY/client\"";
        to.reads(&secret, Some(UNIT));
    }
    if let Some(secret) = &own.cookie_secret {
        let secret = quote::name(secret);
        credentials += &format!("LoadCredential=cookie:{}\n", secret_path(&secret));
        // This version reads it from no file, and a command line is for all to see.
        exec = format!(
            "OAUTH2_PROXY_COOKIE_SECRET=$(cat \"$CREDENTIALS_DIRECTORY/cookie\") && export OAUTH2_PROXY_COOKIE_SECRET && {exec}"
        );
        to.reads(&secret, Some(UNIT));
    }
    config.push_str("skip_provider_button = true\n");
    to.files.insert("/etc/stead/oauth2-proxy.cfg".into(), File::new(config));
    let arch = if whole.system.arch == Arch::Aarch64 { "arm64" } else { "amd64" };
    let address = format!(
        "https://github.com/oauth2-proxy/oauth2-proxy/releases/download/{VERSION}/oauth2-proxy-{VERSION}.linux-{arch}.tar.gz"
    );
    to.task(
        "oauth2-proxy",
        Some(&format!("{FOLDER}/oauth2-proxy")),
        &["sh", "-c", "mkdir -p \"$1\" && curl -fsSL --retry 3 -- \"$2\" | tar -xz --strip-components=1 -C \"$1\"", "fetch", FOLDER, &address],
        &["rm", "-rf", FOLDER],
    );
    to.unit(
        UNIT,
        format!(
            "[Unit]\nDescription=Who may use the reverse proxy\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\nType=exec\nExecStart={}\n\
             DynamicUser=yes\n{credentials}Restart=on-failure\nRestartSec=5\n{}\n[Install]\nWantedBy=multi-user.target\n",
            quote::command(&["/bin/sh".into(), "-c".into(), exec]),
            hardening::lines(Needs { network: true, ..Needs::default() })
        ),
    );
    to.started(UNIT, "multi-user.target", false);
    to.rule(
        "sign-in",
        &["/etc/stead/oauth2-proxy.cfg", "/etc/stead/oauth2-emails"],
        Act::Restart(UNIT.into()),
    );
    &[]
}
