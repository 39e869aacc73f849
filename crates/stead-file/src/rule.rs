//! The rules of an allow-list.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// One entry of an allow-list, taken apart: `github.com`, `*.example.org:22`, `10.1.0.0/16`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// What may be reached.
    pub target: Target,
    /// At this port; `None`: 80 and 443.
    pub port: Option<u16>,
}

/// What an entry of an allow-list names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Exactly this name, in lower case.
    Domain(String),
    /// Every name below this one (`*.example.org` holds `example.org` here), but not itself.
    Below(String),
    /// Addresses: those that begin with so many bits of this one.
    Net(IpAddr, u8),
}

/// Why an entry of an allow-list will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleError {
    message: String,
    /// What to write instead, if that can be told.
    pub instead: Option<String>,
}

fn refuse<T>(message: impl Into<String>, instead: Option<String>) -> Result<T, RuleError> {
    Err(RuleError { message: message.into(), instead })
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            return refuse(
                format!(
                    "`{text}` is an address of the web: only the name of the server is allowed here, without `{scheme}://`"
                ),
                host.parse::<Rule>().ok().map(|rule| rule.to_string()),
            );
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Rule { target: Target::Net(address.into(), 128), port: None });
        }
        // Colons separate a port, but for those within an IPv6 address.
        let after = text.rfind([']', '/']).unwrap_or(0);
        let (place, port) = match text.rfind(':') {
            Some(colon) if colon >= after && (after > 0 || text.matches(':').count() == 1) => {
                (&text[..colon], Some(&text[colon + 1..]))
            }
            _ => (text, None),
        };
        let port = match port {
            None => None,
            Some(port) => match port.parse::<u16>() {
                Ok(number) if number > 0 => Some(number),
                _ => {
                    return refuse(
                        format!("`{port}` in `{text}` is no port from 1 to 65535"),
                        None,
                    );
                }
            },
        };
        Ok(Rule { target: target(place)?, port })
    }
}

fn target(place: &str) -> Result<Target, RuleError> {
    if let Some(bracketed) = place.strip_prefix('[') {
        return match bracketed.strip_suffix(']').and_then(|address| address.parse().ok()) {
            Some(address) => Ok(Target::Net(IpAddr::V6(address), 128)),
            None => refuse(
                format!(
                    "`{place}` is no address: brackets go around one of IPv6, as in `[fd00::1]:22`"
                ),
                None,
            ),
        };
    }
    if let Ok(address) = place.parse::<IpAddr>() {
        return Ok(Target::Net(address, if address.is_ipv4() { 32 } else { 128 }));
    }
    if let Some((address, bits)) = place.split_once('/') {
        return match address.parse::<IpAddr>() {
            Ok(address) => net(place, address, bits),
            Err(_) => refuse(
                format!(
                    "`{place}` has a path: only names of servers and networks are allowed here"
                ),
                address.parse::<Rule>().ok().map(|rule| rule.to_string()),
            ),
        };
    }
    domain(place)
}

fn net(place: &str, address: IpAddr, bits: &str) -> Result<Target, RuleError> {
    let most = if address.is_ipv4() { 32 } else { 128 };
    let Some(bits) = bits.parse::<u8>().ok().filter(|bits| *bits <= most) else {
        return refuse(
            format!("`{place}` is no network: behind `/` is a number up to {most}"),
            None,
        );
    };
    let first = masked(address, bits);
    if first != address {
        return refuse(
            format!("`{place}` is an address within a network, not the network"),
            Some(format!("{first}/{bits}")),
        );
    }
    Ok(Target::Net(address, bits))
}

/// The address with everything behind the first bits zero.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

fn domain(place: &str) -> Result<Target, RuleError> {
    if place == "*" {
        return refuse("`*` would allow everything", None);
    }
    let lower = place.to_ascii_lowercase();
    let (name, below) = match lower.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (lower.as_str(), false),
    };
    if place.is_empty() {
        return refuse("the name of a server is missing", None);
    }
    let fault = |what: &str| refuse(format!("`{place}` is no domain: {what}"), None);
    if name.is_empty() {
        return fault("it is empty");
    }
    if name.contains('*') {
        return fault("`*` stands only at its beginning, as in `*.example.org`");
    }
    if let Some(odd) =
        name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_'))
    {
        return if odd == ' ' {
            fault("it contains a blank")
        } else if odd.is_ascii() {
            fault(&format!("`{}` must not be in one", odd.escape_debug()))
        } else {
            fault("letters beyond a to z are written in punycode, as in `xn--bcher-kva.example`")
        };
    }
    if let Some(name) = name.strip_suffix('.') {
        return refuse(format!("`{place}` ends with a dot"), Some(name.into()));
    }
    if name.len() > 253 || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return fault("between two dots stand 1 to 63 characters, and all are at most 253");
    }
    if name.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
        return fault("`-` must not stand beside a dot or at an end");
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return refuse(format!("`{place}` is neither a domain nor an address"), None);
    }
    Ok(if below { Target::Below(name.into()) } else { Target::Domain(name.into()) })
}

/// As it is written in a stead file.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Domain(name) => f.write_str(name)?,
            Target::Below(name) => write!(f, "*.{name}")?,
            Target::Net(address, bits) => {
                let single = *bits == if address.is_ipv4() { 32 } else { 128 };
                match (address, self.port, single) {
                    (IpAddr::V6(address), Some(_), true) => write!(f, "[{address}]")?,
                    (address, _, true) => write!(f, "{address}")?,
                    (address, _, false) => write!(f, "{address}/{bits}")?,
                }
            }
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str, bits: u8) -> Target {
        Target::Net(text.parse().unwrap(), bits)
    }

    #[test]
    fn rules_are_taken_apart() {
        for (text, target, port) in [
            ("github.com", Target::Domain("github.com".into()), None),
            ("GitHub.com:22", Target::Domain("github.com".into()), Some(22)),
            ("*.githubusercontent.com", Target::Below("githubusercontent.com".into()), None),
            ("git", Target::Domain("git".into()), None),
            ("_a.b-c.d", Target::Domain("_a.b-c.d".into()), None),
            ("10.1.0.0/16", net("10.1.0.0", 16), None),
            ("10.1.0.0/16:5432", net("10.1.0.0", 16), Some(5432)),
            ("10.1.2.3", net("10.1.2.3", 32), None),
            ("10.1.2.3:80", net("10.1.2.3", 32), Some(80)),
            ("0.0.0.0/0", net("0.0.0.0", 0), None),
            ("::1", net("::1", 128), None),
            ("[::1]:8080", net("::1", 128), Some(8080)),
            ("fd00::/8", net("fd00::", 8), None),
            ("fd00::/8:443", net("fd00::", 8), Some(443)),
        ] {
            let rule: Rule = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(rule, Rule { target, port }, "{text}");
            assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule, "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_says_what_to_write() {
        for (text, instead) in [
            ("https://github.com/x", "github.com"),
            ("ssh://git.example.org:22", "git.example.org:22"),
            ("github.com/rust-lang", "github.com"),
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("fd00::1/8", "fd00::/8"),
            ("github.com.", "github.com"),
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert_eq!(error.instead.as_deref(), Some(instead), "{text}: {error}");
        }
        for text in [
            "",
            "*",
            "*.",
            "a.*.b",
            "a..b",
            ".a",
            "-a.b",
            "a-.b",
            "a b",
            "bücher.de",
            "1.2.3",
            "300.1.1.1",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "a:0",
            "a:65536",
            "a:",
            ":80",
            "a:b:80",
            "[::1",
            "[10.0.0.1]:80",
            "[fd00::]/8",
            "[]",
            "[::1]x",
            "a/8:80",
        ] {
            let result = text.parse::<Rule>();
            assert!(result.is_err(), "{text}: {result:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9.:/\\[\\]*-]{0,20}|.*") {
            if let Ok(rule) = text.parse::<Rule>() {
                prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule));
            }
        }
    }
}
