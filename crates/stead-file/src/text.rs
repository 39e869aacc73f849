//! Texts of a certain kind: a user's name, a public key, an address.

use crate::form::Form;
use crate::reader::{Reader, Spot};
use serde_json::{Value as Json, json};

/// A text that a rule holds for.
pub(crate) struct Like {
    /// Completes "must be ...": `a login name such as "ada"`.
    pub what: &'static str,
    /// The rule.
    pub is: fn(&str) -> bool,
}

impl Form for Like {
    type Out = String;

    fn expects(&self) -> String {
        self.what.into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<String> {
        let text = reader.text(spot, self.what)?;
        if !(self.is)(text) {
            let key = reader.key.0;
            let shown: String = text.chars().take(80).collect();
            reader.refuse(spot, format!("`{key}` must be {}, not {shown:?}", self.what));
            return None;
        }
        Some(text.into())
    }
}

/// One line of any text.
pub(crate) const LINE: Like = Like {
    what: "one line of text",
    is: |text| !text.trim().is_empty() && !text.contains(char::is_control),
};

/// What a host may be called.
pub(crate) const HOSTNAME: Like = Like { what: "a host's name such as \"box\"", is: is_hostname };

/// What a service may be called.
pub(crate) const DAEMON: Like =
    Like { what: "a service's name such as \"fetch-mail\"", is: is_hostname };

/// A time zone.
pub(crate) const TIMEZONE: Like = Like {
    what: "a time zone such as \"Europe/Berlin\"",
    is: |text| {
        made_of(text, "+-_/")
            && !text.starts_with('/')
            && !text.ends_with('/')
            && !text.contains("//")
    },
};

/// A locale.
pub(crate) const LOCALE: Like =
    Like { what: "a locale such as \"en_US.UTF-8\"", is: |text| made_of(text, "_.-@") };

/// A login name; also a group's.
pub(crate) const LOGIN: Like = Like { what: "a login name such as \"ada\"", is: is_login };

/// A line of `authorized_keys`.
pub(crate) const SSH_KEY: Like =
    Like { what: "a public key such as \"ssh-ed25519 AAAA... ada@laptop\"", is: is_ssh_key };

/// The name of a package.
pub(crate) const PACKAGE: Like = Like {
    what: "the name of a package",
    is: |text| made_of(text, "+-._@") && !text.starts_with('-'),
};

/// An attribute of nixpkgs.
pub(crate) const ATTRIBUTE: Like = Like {
    what: "an attribute of nixpkgs such as \"python3Packages.black\"",
    is: |text| text.split('.').all(|part| made_of(part, "+-_'") && !part.starts_with(['-', '\''])),
};

/// A git repository.
pub(crate) const REPOSITORY: Like = Like {
    what: "a git repository such as \"https://example.org/ada/dotfiles\"",
    is: is_repository,
};

/// An address of the web.
pub(crate) const URL: Like = Like {
    what: "an address such as \"https://ntfy.example.org/box\"",
    is: |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty() && is_plain(rest))
    },
};

/// Where requests are passed on to.
pub(crate) const UPSTREAM: Like = Like {
    what: "a host and a port such as \"127.0.0.1:4444\"",
    is: |text| {
        text.rsplit_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok_and(|port| port > 0) && made_of(host, ".-[]:")
        })
    },
};

/// An address of mail.
pub(crate) const MAIL: Like = Like {
    what: "an address such as \"ada@example.org\"",
    is: |text| {
        text.split_once('@').is_some_and(|(who, host)| {
            made_of(who, ".+-_") && made_of(host, ".-") && host.contains('.')
        })
    },
};

/// A network.
pub(crate) const NETWORK: Like = Like {
    what: "a network such as \"10.1.0.0/16\"",
    is: |text| matches!(text.parse::<crate::rule::Rule>(), Ok(rule) if rule.port.is_none() && text.contains('/')),
};

/// An address with its bits.
pub(crate) const ADDRESS: Like =
    Like { what: "an address such as \"10.9.0.1/24\"", is: is_address };

/// A device of WireGuard's.
pub(crate) const PEER: Like = Like {
    what: "a public key and an address such as \"AAAA...= 10.9.0.2/32\"",
    is: |text| {
        text.split_once(' ').is_some_and(|(key, address)| {
            key.len() == 44
                && key.ends_with('=')
                && made_of(&key[..43], "+/")
                && is_address(address)
        })
    },
};

/// A network interface.
pub(crate) const INTERFACE: Like = Like {
    what: "an interface such as \"wg0\"",
    is: |text| text.len() <= 15 && made_of(text, "-_."),
};

/// The name of a unit.
pub(crate) const UNIT: Like = Like {
    what: "a unit such as \"network-online.target\"",
    is: |text| {
        made_of(text, "-_.@:\\")
            && text.rsplit_once('.').is_some_and(|(name, kind)| {
                const KINDS: [&str; 6] = ["service", "target", "timer", "socket", "mount", "path"];
                !name.is_empty() && KINDS.contains(&kind)
            })
    },
};

/// A time of systemd's.
pub(crate) const CALENDAR: Like = Like {
    what: "a time as systemd writes it, such as \"daily\" or \"*-*-* 03:30\"",
    is: |text| made_of(text, "*-:,./~ +"),
};

/// A version.
pub(crate) const VERSION: Like =
    Like { what: "a version such as \"2.1.0\"", is: |text| made_of(text, ".-+") };

/// An agent's name.
pub(crate) const AGENT: Like = Like {
    what: "an agent: \"claude\", \"codex\", \"opencode\" or \"gemini\"",
    is: |text| ["claude", "codex", "opencode", "gemini"].contains(&text),
};

/// The name of a label in Loki.
pub(crate) const LABEL: Like = Like {
    what: "a label such as \"tier\"",
    is: |text| made_of(text, "_") && !text.starts_with(|c: char| c.is_ascii_digit()),
};

/// A domain.
pub(crate) const DOMAIN: Like = Like {
    what: "a domain such as \"box.example.org\"",
    is: |text| {
        matches!(
            text.parse::<crate::rule::Rule>(),
            Ok(crate::rule::Rule { target: crate::rule::Target::Domain(_), port: None })
        )
    },
};

/// A directive of systemd's.
pub(crate) const DIRECTIVE: Like = Like {
    what: "a directive such as \"MemoryDenyWriteExecute\"",
    is: |text| made_of(text, "") && text.starts_with(|c: char| c.is_ascii_uppercase()),
};

/// The name of a model.
pub(crate) const MODEL: Like = Like {
    what: "a model such as \"qwen3:8b\"",
    is: |text| made_of(text, ":-._/") && !text.starts_with('-'),
};

/// A device of a computer.
pub(crate) const DEVICE: Like = Like {
    what: "a device such as \"/dev/vda\"",
    is: |text| {
        text.strip_prefix("/dev/")
            .is_some_and(|rest| made_of(rest, "/-_.:") && !rest.contains(".."))
    },
};

/// Letters, digits and these, at least one.
fn made_of(text: &str, these: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || these.contains(c))
}

/// Visible characters without quotes and what else a shell, a unit or a web address would take apart.
fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | '\\' | '<' | '>' | '$'))
}

fn is_hostname(text: &str) -> bool {
    text.len() <= 63 && made_of(text, "-") && !text.starts_with('-') && !text.ends_with('-')
}

/// What useradd of Debian and NixOS both take.
fn is_login(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    first && text.len() <= 31 && text.chars().all(rest)
}

fn is_ssh_key(text: &str) -> bool {
    const KINDS: [&str; 6] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let mut words = text.split(' ');
    let kind = words.next().is_some_and(|kind| KINDS.contains(&kind));
    let body = words
        .next()
        .is_some_and(|body| body.len() >= 32 && body.starts_with("AAAA") && made_of(body, "+/="));
    kind && body && !text.contains(char::is_control)
}

fn is_repository(text: &str) -> bool {
    let scheme = ["https://", "ssh://", "git@"].iter().any(|scheme| text.starts_with(scheme));
    scheme && is_plain(text) && text.len() > 8
}

fn is_address(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        let most = match address.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_takes_and_what_not() {
        let key = format!("ssh-ed25519 AAAA{} ada@laptop", "x".repeat(64));
        let peer = format!("{}= 10.9.0.2/32", "k".repeat(43));
        for (like, good, bad) in [
            (&LINE, "Ada Lovelace", "two\nlines"),
            (&HOSTNAME, "box-1", "-box"),
            (&HOSTNAME, "a", "a.b"),
            (&TIMEZONE, "Europe/Berlin", "/etc/passwd"),
            (&LOCALE, "de_DE.UTF-8", "C; rm"),
            (&LOGIN, "ada", "Ada"),
            (&LOGIN, "_svc-1", "1ada"),
            (&SSH_KEY, key.as_str(), "ssh-ed25519 AAAA"),
            (&SSH_KEY, key.as_str(), "command=\"x\" ssh-ed25519 AAAA"),
            (&PACKAGE, "g++", "-o=x"),
            (&ATTRIBUTE, "python3Packages.black", "a..b"),
            (&REPOSITORY, "git@github.com:ada/dotfiles", "file:///etc"),
            (&REPOSITORY, "https://example.org/x", "https://example.org/$(x)"),
            (&URL, "https://ntfy.sh/a", "ntfy.sh/a"),
            (&UPSTREAM, "127.0.0.1:80", "127.0.0.1"),
            (&MAIL, "ada@example.org", "ada"),
            (&NETWORK, "10.1.0.0/16", "10.1.2.3/16"),
            (&ADDRESS, "10.9.0.1/24", "10.9.0.1"),
            (&PEER, peer.as_str(), "k= 10.9.0.2/32"),
            (&INTERFACE, "tailscale0", "an-interface-name"),
            (&UNIT, "network-online.target", "network-online"),
            (&CALENDAR, "Mon..Fri 03:30", "daily;"),
            (&VERSION, "2.1.0", "2.1.0 x"),
            (&DIRECTIVE, "PrivateTmp", "private"),
            (&MODEL, "qwen3:8b", "--x"),
            (&DEVICE, "/dev/disk/by-id/x", "/dev/../etc"),
        ] {
            assert!((like.is)(good), "{good} is {}", like.what);
            assert!(!(like.is)(bad), "{bad} is not {}", like.what);
            assert!(!(like.is)(""), "nothing is not {}", like.what);
        }
    }
}
