//! Ports and addresses as people write them.

use crate::declared::{Port, Transport};
use crate::form::{Form, integer};
use crate::reader::{Reader, Spot};
use serde_json::{Value as Json, json};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use toml::de::DeValue;

/// Reads a port's number.
fn number(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(number) if number > 0 => Ok(number),
        _ if text.is_empty() => Err("a port is missing".into()),
        _ if text.contains('-') => {
            Err(format!("`{text}` is a range of ports: write each port by itself"))
        }
        _ if text.ends_with("/tcp") => Err("only TCP is forwarded: leave `/tcp` out".into()),
        _ if text.contains('/') => Err(format!("`{text}` will not do: only TCP is forwarded")),
        _ => Err(format!("`{text}` is no port: ports are numbers from 1 to 65535")),
    }
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, ports) = if let Some(rest) = text.strip_prefix('[') {
            let closed = rest.split_once("]:");
            closed.ok_or_else(|| format!("`{text}` lacks `]:` behind its address"))?
        } else if text.matches(':').count() > 2 {
            return Err(format!(
                "`{text}` has an address of IPv6, which is put in brackets: [::1]:8080:80"
            ));
        } else if text.matches(':').count() > 1 {
            text.split_once(':').unwrap_or_default()
        } else {
            ("127.0.0.1", text)
        };
        let address = address
            .parse::<IpAddr>()
            .map_err(|_| format!("`{address}` in `{text}` is no address: write numbers"))?;
        let (host, inside) = ports.split_once(':').unwrap_or((ports, ports));
        Ok(Port { address, host: number(host)?, inside: number(inside)?, optional: false })
    }
}

/// As it is written in a stead file.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            address if address == Port::default().address => {}
            IpAddr::V6(address) => write!(f, "[{address}]:")?,
            IpAddr::V4(address) => write!(f, "{address}:")?,
        }
        write!(f, "{}:{}", self.host, self.inside)
    }
}

impl Port {
    /// Whether both want the same port of this host. An address that stands for all of them takes it everywhere.
    pub fn clashes(&self, other: &Port) -> bool {
        self.host == other.host
            && (self.address == other.address
                || self.address.is_unspecified()
                || other.address.is_unspecified())
    }
}

/// A port of this host that leads into a machine.
pub(crate) struct Forward;

impl Form for Forward {
    type Out = Port;

    fn expects(&self) -> String {
        "a port such as \"8080:80\"".into()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [
            { "type": "string", "pattern": "^((\\[[0-9a-fA-F:.]+\\]|[0-9.]+):)?[0-9]{1,5}(:[0-9]{1,5})?$" },
            { "type": "integer", "minimum": 1, "maximum": 65535 },
        ] })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Port> {
        let text = match spot.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            _ => reader.text(spot, &self.expects())?.to_owned(),
        };
        text.parse()
            .map_err(|message: String| {
                reader.problem(spot.span(), message).help(
                    "write \"HOST:INSIDE\" as in \"8080:80\", \"ADDRESS:HOST:INSIDE\" as in \"127.0.0.1:8080:80\", or one port as in \"3000\"",
                );
            })
            .ok()
    }
}

/// A port alone.
pub(crate) struct Single;

impl Form for Single {
    type Out = u16;

    fn expects(&self) -> String {
        "a port: a whole number from 1 to 65535".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": 65535 })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<u16> {
        let DeValue::Integer(number) = spot.get_ref() else {
            reader.wrong(spot, &self.expects());
            return None;
        };
        let port = integer(number).and_then(|number| u16::try_from(number).ok());
        let port = port.filter(|port| *port > 0);
        if port.is_none() {
            let message = format!("{number} is no port: ports are numbers from 1 to 65535");
            reader.refuse(spot, message);
        }
        port
    }
}

/// Ports of TCP or UDP.
pub(crate) struct Protocol;

impl Form for Protocol {
    type Out = Transport;

    fn expects(&self) -> String {
        "ports such as \"443\" or \"60000-61000/udp\"".into()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?(/(tcp|udp))?$" },
        ] })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Transport> {
        let text = match spot.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            _ => reader.text(spot, &self.expects())?.to_owned(),
        };
        text.parse()
            .map_err(|message: String| {
                reader.refuse(spot, message);
            })
            .ok()
    }
}

/// A port of this host to listen at, with its address if that is not the loopback.
pub(crate) struct At;

impl Form for At {
    type Out = SocketAddr;

    fn expects(&self) -> String {
        "a port, alone or with an address such as \"0.0.0.0:5900\"".into()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [
            { "type": "string", "pattern": "^((\\[[0-9a-fA-F:.]+\\]|[0-9.]+):)?[0-9]{1,5}$" },
            { "type": "integer", "minimum": 1, "maximum": 65535 },
        ] })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<SocketAddr> {
        let text = match spot.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            _ => reader.text(spot, &self.expects())?.to_owned(),
        };
        let (address, port) = match text.parse::<SocketAddr>() {
            Ok(at) => (at.ip(), at.port().to_string()),
            Err(_) => (Port::default().address, text.clone()),
        };
        let port = match port.split_once(':') {
            Some(_) => Err(format!("`{text}` is no address with a port: write numbers")),
            None => number(&port),
        };
        port.map(|port| (address, port).into())
            .map_err(|message: String| {
                reader.refuse(spot, message);
            })
            .ok()
    }
}

/// An address of a name server.
pub(crate) struct Address;

impl Form for Address {
    type Out = IpAddr;

    fn expects(&self) -> String {
        "an address such as \"1.1.1.1\"".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F:.]+$" })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<IpAddr> {
        let text = reader.text(spot, &self.expects())?;
        let address = text.parse().ok();
        if address.is_none() {
            reader.refuse(spot, format!("{text:?} is no address: write numbers, without a port"));
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_all_their_spellings() {
        for (text, address, host, inside) in [
            ("8080:80", "127.0.0.1", 8080, 80),
            ("3000", "127.0.0.1", 3000, 3000),
            ("127.0.0.1:8080:80", "127.0.0.1", 8080, 80),
            ("0.0.0.0:1:65535", "0.0.0.0", 1, 65535),
            ("[::1]:8080:80", "::1", 8080, 80),
            ("[::]:22", "::", 22, 22),
        ] {
            let port: Port = text.parse().unwrap();
            let address = address.parse().unwrap();
            assert_eq!(port, Port { address, host, inside, optional: false }, "{text}");
            assert_eq!(port.to_string().parse::<Port>().unwrap(), port);
        }
        for text in [
            "",
            "0",
            "0:80",
            "80:0",
            "65536",
            "a:80",
            "1:2:3",
            "::1:80:80",
            "[::1]80",
            "80/udp",
            "1-9",
            "80:",
        ] {
            assert!(text.parse::<Port>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_for_all_clashes_with_each() {
        let port = |text: &str| text.parse::<Port>().unwrap();
        assert!(port("8080:80").clashes(&port("8080:81")));
        assert!(port("0.0.0.0:8080:80").clashes(&port("8080:81")));
        assert!(!port("127.0.0.2:8080:80").clashes(&port("8080:80")));
        assert!(!port("8080:80").clashes(&port("8081:80")));
    }
}
