//! A request of HTTP/1: whom it asks for, and where it ends. One request a connection: what follows it on the same
//! connection could ask for somebody else.

use super::name::HostName;
use std::str;

/// Longest head that is read.
pub const LONGEST: usize = 64 * 1024;

/// A request's head, ready to be sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Whom it asks for.
    pub name: HostName,
    /// The head as it is sent on: it asks the server to close, and for no other protocol.
    pub sent: Vec<u8>,
    /// How many bytes it took.
    pub len: usize,
    /// What follows.
    pub body: Body,
}

/// What became of reading a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// All of the head is there.
    Whole(Box<Head>),
    /// It is not there yet.
    More,
    /// It is no request that can be let through; why.
    Not(&'static str),
}

const GARBAGE: &str = "not a plain HTTP/1 request";

/// Reads the head at the start of `bytes`.
pub fn read(bytes: &[u8]) -> Read {
    let searched = &bytes[..bytes.len().min(LONGEST)];
    let Some(end) = searched.windows(4).position(|four| four == b"\r\n\r\n") else {
        // A method is a token; anything else will never become a request.
        let start = bytes.iter().take(20).position(|c| *c == b' ').unwrap_or(bytes.len().min(20));
        return if bytes.len() >= LONGEST || !bytes[..start].iter().all(|c| is_token(*c)) {
            Read::Not(GARBAGE)
        } else {
            Read::More
        };
    };
    match head(&bytes[..end], end + 4) {
        Ok(head) => Read::Whole(Box::new(head)),
        Err(why) => Read::Not(why),
    }
}

fn head(bytes: &[u8], len: usize) -> Result<Head, &'static str> {
    let text = str::from_utf8(bytes).map_err(|_| GARBAGE)?;
    if text.contains('\0') || text.replace("\r\n", "").contains(['\r', '\n']) {
        return Err(GARBAGE);
    }
    let mut lines = text.split("\r\n");
    let request = lines.next().unwrap_or("");
    let [method, target, version] = *request.split(' ').collect::<Vec<_>>() else {
        return Err(GARBAGE);
    };
    if method.is_empty() || !method.bytes().all(is_token) || target.is_empty() {
        return Err(GARBAGE);
    }
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(GARBAGE);
    }
    if method.eq_ignore_ascii_case("CONNECT") {
        return Err("CONNECT asks for a tunnel");
    }
    let mut sent = format!("{request}\r\n").into_bytes();
    let mut host = None;
    let mut body = None;
    for line in lines {
        // A line that begins with a space goes on the one before: read differently by different servers.
        let (name, value) = line.split_once(':').ok_or(GARBAGE)?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(GARBAGE);
        }
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "host" => {
                if host.is_some() {
                    return Err("more than one Host header");
                }
                host = Some(authority(value).ok_or("the Host header has no name")?);
            }
            "content-length" => {
                if body.is_some() || value.is_empty() || !value.bytes().all(|c| c.is_ascii_digit())
                {
                    return Err("the length of the body is not clear");
                }
                body = Some(Body::Rest(
                    value.parse().map_err(|_| "the length of the body is not clear")?,
                ));
            }
            "transfer-encoding" => {
                if body.is_some() || !value.eq_ignore_ascii_case("chunked") || version != "HTTP/1.1"
                {
                    return Err("the length of the body is not clear");
                }
                body = Some(Body::Chunks(Chunk::Size { value: 0, digits: 0 }));
            }
            "connection" | "proxy-connection" | "keep-alive" | "upgrade" | "http2-settings" => {
                continue;
            }
            _ => {}
        }
        sent.extend(line.as_bytes());
        sent.extend(b"\r\n");
    }
    let name = host.ok_or("no Host header")?;
    if !target.starts_with('/') && target != "*" {
        let rest = target
            .split_once("://")
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http"))
            .map(|(_, rest)| rest)
            .ok_or(GARBAGE)?;
        let named = rest.split(['/', '?', '#']).next().unwrap_or("");
        if authority(named).as_ref() != Some(&name) {
            return Err("the request line and the Host header disagree");
        }
    }
    sent.extend(b"Connection: close\r\n\r\n");
    Ok(Head { name, sent, len, body: body.unwrap_or(Body::Rest(0)) })
}

/// The name in `name` or `name:port`.
fn authority(text: &str) -> Option<HostName> {
    let name = match text.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) && port.len() <= 5 => name,
        Some(_) => return None,
        None => text,
    };
    HostName::parse(name)
}

fn is_token(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c)
}

/// What is still to come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Rest(u64),
    /// Chunks.
    Chunks(Chunk),
}

/// Where in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// In the size of the next.
    Size {
        /// As far as it is known.
        value: u64,
        /// How many digits of it were there.
        digits: u8,
    },
    /// In the line of a size, after it.
    Extension(u64),
    /// After the return of that line.
    Line(u64),
    /// In a chunk: so many bytes to go.
    Data(u64),
    /// Behind a chunk.
    Return,
    /// Behind that return.
    Feed,
    /// In the lines after the last chunk; whether this one is empty so far, and whether a return was there.
    Trailer {
        /// Nothing in this line yet.
        empty: bool,
        /// Its return was there.
        returned: bool,
    },
    /// Over.
    Done,
}

impl Body {
    /// Whether nothing more belongs to the request.
    pub fn is_over(self) -> bool {
        matches!(self, Body::Rest(0) | Body::Chunks(Chunk::Done))
    }

    /// How many of `bytes` still belong to the request; moves on behind them. `None`: it is not a body.
    pub fn pass(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Body::Rest(left) => {
                let now = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= now as u64;
                Some(now)
            }
            Body::Chunks(chunk) => {
                let mut at = 0;
                while at < bytes.len() && *chunk != Chunk::Done {
                    if let Chunk::Data(left) = *chunk {
                        let now = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                        at += now;
                        let left = left - now as u64;
                        *chunk = if left == 0 { Chunk::Return } else { Chunk::Data(left) };
                    } else {
                        *chunk = chunk.next(bytes[at])?;
                        at += 1;
                    }
                }
                Some(at)
            }
        }
    }
}

impl Chunk {
    fn next(self, c: u8) -> Option<Chunk> {
        let line = |size| {
            if size == 0 {
                Chunk::Trailer { empty: true, returned: false }
            } else {
                Chunk::Data(size)
            }
        };
        Some(match (self, c) {
            (Chunk::Size { value, digits }, c) if c.is_ascii_hexdigit() => {
                if digits >= 15 {
                    return None;
                }
                let digit = char::from(c).to_digit(16)?;
                Chunk::Size { value: value * 16 + u64::from(digit), digits: digits + 1 }
            }
            (Chunk::Size { value, digits: 1.. } | Chunk::Extension(value), b'\r') => {
                Chunk::Line(value)
            }
            (Chunk::Size { value, digits: 1.. }, b';' | b' ' | b'\t') => Chunk::Extension(value),
            (Chunk::Extension(value), c) if c != b'\n' => Chunk::Extension(value),
            (Chunk::Line(value), b'\n') => line(value),
            (Chunk::Return, b'\r') => Chunk::Feed,
            (Chunk::Feed, b'\n') => Chunk::Size { value: 0, digits: 0 },
            (Chunk::Trailer { empty: true, returned: true }, b'\n') => Chunk::Done,
            (Chunk::Trailer { returned: true, .. }, b'\n') => {
                Chunk::Trailer { empty: true, returned: false }
            }
            (Chunk::Trailer { empty, returned: false }, b'\r') => {
                Chunk::Trailer { empty, returned: true }
            }
            (Chunk::Trailer { returned: false, .. }, c) if c != b'\n' => {
                Chunk::Trailer { empty: false, returned: false }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Head {
        match read(text.as_bytes()) {
            Read::Whole(head) => *head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_names_its_host_and_closes() {
        let head = whole(
            "GET /x HTTP/1.1\r\nHost: Example.ORG.:80\r\nConnection: keep-alive\r\nUpgrade: h2c\r\nA: b\r\n\r\nrest",
        );
        assert_eq!(head.name.as_str(), "example.org");
        assert_eq!(
            str::from_utf8(&head.sent),
            Ok("GET /x HTTP/1.1\r\nHost: Example.ORG.:80\r\nA: b\r\nConnection: close\r\n\r\n")
        );
        assert!(head.body.is_over());
        assert_eq!(
            whole("GET http://a.org/ HTTP/1.1\r\nHost: a.org\r\n\r\n").name.as_str(),
            "a.org"
        );
    }

    #[test]
    fn what_two_servers_could_read_in_two_ways_is_refused() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.org\r\nHost: b.org\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.org,b.org\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a.org\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n Host: a.org\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.org\nHost: b.org\r\n\r\n",
            "GET http://b.org/ HTTP/1.1\r\nHost: a.org\r\n\r\n",
            "GET http://a.org@b.org/ HTTP/1.1\r\nHost: a.org\r\n\r\n",
            "GET https://a.org/ HTTP/1.1\r\nHost: a.org\r\n\r\n",
            "GET b.org/ HTTP/1.1\r\nHost: a.org\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost: a.org\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a.org\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.org\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.org\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.org\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.org\r\nContent-Length: +1\r\n\r\n",
            "\x16\x03\x01",
        ] {
            assert!(matches!(read(text.as_bytes()), Read::Not(_)), "{text:?}");
        }
        assert_eq!(read(b"GET / HTT"), Read::More);
        assert!(matches!(read(&vec![b'a'; LONGEST]), Read::Not(_)));
    }

    #[test]
    fn a_body_ends_where_it_says() {
        let two = "4;x=y\r\nabcd\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.1\r\n";
        let end = two.find("GET").expect("the second");
        for step in 1..two.len() {
            let mut body = Body::Chunks(Chunk::Size { value: 0, digits: 0 });
            let passed: usize =
                two.as_bytes().chunks(step).map(|part| body.pass(part).expect("a body")).sum();
            assert_eq!((passed, body.is_over()), (end, true), "in steps of {step}");
        }
        let mut body = Body::Rest(3);
        assert_eq!(body.pass(b"ab"), Some(2));
        assert_eq!(body.pass(b"cGET"), Some(1));
        assert!(body.is_over());
        for bad in ["x", "\r\n", "1\r\nab\r\n", "1\nab", "ffffffffffffffff\r\n"] {
            let mut body = Body::Chunks(Chunk::Size { value: 0, digits: 0 });
            assert_eq!(body.pass(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let _ = read(&[&bytes[..], b"\r\n\r\n"].concat());
            let mut body = Body::Chunks(Chunk::Size { value: 0, digits: 0 });
            if let Some(passed) = body.pass(&bytes) {
                prop_assert!(passed <= bytes.len());
            }
        }

        #[test]
        fn a_head_never_has_a_line_of_another(lines in proptest::collection::vec("[a-zA-Z:\r\n ]{0,30}", 0..6)) {
            let text = format!("GET / HTTP/1.1\r\nHost: a.org\r\n{}\r\n\r\n", lines.join("\r\n"));
            if let Read::Whole(head) = read(text.as_bytes()) {
                let sent = String::from_utf8(head.sent).expect("text");
                prop_assert_eq!(sent.to_ascii_lowercase().matches("\r\nhost:").count(), 1);
                prop_assert!(sent.ends_with("\r\nConnection: close\r\n\r\n"));
            }
        }
    }
}
