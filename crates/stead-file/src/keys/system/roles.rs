//! What roles can be told.

use crate::declared::{CodeServer, Containers, Llm, ReverseProxy, SystemDesktop};
use crate::form::{Choice, Flag, Form, List, Name};
use crate::port::Single;
use crate::table::{Key, Table, rows};
use crate::text::{DOMAIN, LINE, LOGIN, MAIL, MODEL, UPSTREAM, URL};

/// The roles there are.
pub const ROLES: [&str; 9] = [
    "agent-host",
    "hypervisor",
    "desktop",
    "k3s",
    "incus-host",
    "container-host",
    "llm",
    "code-server",
    "reverse-proxy",
];

pub(crate) static ROLE_DESKTOP: Table<SystemDesktop> = Table {
    what: "`desktop`",
    header: "[systems.NAME.desktop]",
    doc: "The role `desktop`: a screen that is reached by RDP, and Firefox.",
    keys: rows!(SystemDesktop {
        /// What is on the screen.
        environment: Choice(&["xfce", "plasma"]), "\"xfce\"", "\"plasma\""
            => |desktop, environment| desktop.environment = environment;
        /// The port of RDP.
        rdp: Single, "3389", "33890" => |desktop, port| desktop.rdp = port;
    }),
};

pub(crate) static LLM: Table<Llm> = Table {
    what: "`llm`",
    header: "[systems.NAME.llm]",
    doc: "The role `llm`: models of your own.",
    keys: rows!(Llm {
        /// `ollama` at port 11434, or `vllm` at port 8000 with OpenAI's API.
        server: Choice(&["ollama", "vllm"]), "\"ollama\"", "\"vllm\"" => |llm, server| llm.server = server;
        /// Models that are there from the start; vLLM serves the first.
        models: List { of: MODEL, once: "model", same: String::clone }, "[]", "[\"qwen3:8b\"]" => |llm, models| llm.models = models;
        /// With the drivers of NVIDIA.
        cuda: Flag, "false", "true",
            elsewhere ["gpu", "nvidia"]
            => |llm, flag| llm.cuda = flag;
    }),
};

pub(crate) static CONTAINERS: Table<Containers> = Table {
    what: "`containers`",
    header: "[systems.NAME.containers]",
    doc: "The role `container-host`: containers within the machine, never with the socket of its host.",
    keys: rows!(Containers {
        /// What runs them.
        engine: Choice(&["podman", "docker"]), "\"podman\"", "\"docker\"" => |containers, engine| containers.engine = engine;
    }),
};

pub(crate) static CODE_SERVER: Table<CodeServer> = Table {
    what: "`code_server`",
    header: "[systems.NAME.code_server]",
    doc: "The role `code-server`: an editor in the browser, on the loopback.",
    keys: rows!(CodeServer {
        /// Its port.
        port: Single, "4444", "8443" => |code, port| code.port = port;
        /// Whose files it edits.
        user: LOGIN, "the first user", "\"ada\"" => |code, user| code.user = Some(user);
    }),
};

pub(crate) static REVERSE_PROXY: Table<ReverseProxy> = Table {
    what: "`reverse_proxy`",
    header: "[systems.NAME.reverse_proxy]",
    doc: "The role `reverse-proxy`: Caddy, which lets in whom oauth2-proxy knows.",
    keys: rows!(ReverseProxy {
        /// Its domain.
        domain: DOMAIN, "none", "\"box.example.org\"" => |proxy, domain| proxy.domain = Some(domain);
        /// Where requests go.
        upstream: UPSTREAM, "none", "\"127.0.0.1:4444\"" => |proxy, upstream| proxy.upstream = Some(upstream);
        /// Who signs people in: an OIDC issuer.
        issuer: URL, "none", "\"https://accounts.example.org\"" => |proxy, issuer| proxy.issuer = Some(issuer);
        /// What this system is called there.
        client_id: LINE, "none", "\"box\"" => |proxy, id| proxy.client_id = Some(id);
        /// The secret by which it is known there.
        client_secret: Name("a secret"), "none", "\"oidc-client\"" => |proxy, secret| proxy.client_secret = Some(secret);
        /// The secret that cookies are encrypted with: 32 bytes.
        cookie_secret: Name("a secret"), "none", "\"cookie\"" => |proxy, secret| proxy.cookie_secret = Some(secret);
        /// Who may come in.
        emails: List { of: MAIL, once: "address", same: String::clone }, "[]", "[\"ada@example.org\"]"
            => |proxy, emails| proxy.emails = emails;
    }),
};
