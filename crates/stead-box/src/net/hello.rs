//! The first message of a TLS connection: whom it asks for.

use super::name::HostName;

/// Longest handshake start that is read; a hello with post-quantum keys has about 2 KB.
pub const LONGEST: usize = 64 * 1024;

/// What a client says before anything is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The server it asks for.
    pub name: Option<HostName>,
    /// It carries an encrypted hello, which may name another server.
    pub encrypted: bool,
}

/// What became of reading a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// All of it is there.
    Whole(Hello),
    /// There must be at least so many bytes before it is worth trying again.
    More(usize),
    /// It is not TLS, or broken.
    Not,
}

/// Reads the hello at the start of `bytes`, over as many records as it takes.
pub fn read(bytes: &[u8]) -> Read {
    let mut handshake: Vec<u8> = Vec::new();
    let mut at = 0;
    loop {
        let Some(header) = bytes.get(at..at + 5) else {
            // What is there of a header must be right, so that garbage ends at once.
            let fine = bytes.get(at).is_none_or(|kind| *kind == 22)
                && bytes.get(at + 1).is_none_or(|major| *major == 3);
            return if fine { Read::More(at + 5) } else { Read::Not };
        };
        let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if header[0] != 22 || header[1] != 3 || len == 0 || len > 16384 {
            return Read::Not;
        }
        let Some(body) = bytes.get(at + 5..at + 5 + len) else {
            return match bytes.get(at + 5) {
                Some(kind) if at == 0 && *kind != 1 => Read::Not,
                _ if at + 5 + len > LONGEST => Read::Not,
                _ => Read::More(at + 5 + len),
            };
        };
        handshake.extend(body);
        at += 5 + len;
        if let Some([kind, a, b, c]) = handshake.first_chunk::<4>() {
            let needed = 4 + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
            if *kind != 1 || needed > LONGEST {
                return Read::Not;
            }
            if handshake.len() >= needed {
                return hello(&handshake[4..needed]).map_or(Read::Not, Read::Whole);
            }
        }
    }
}

fn hello(bytes: &[u8]) -> Option<Hello> {
    let mut rest = Bytes(bytes);
    rest.take(2 + 32)?;
    rest.short()?;
    rest.long()?;
    rest.short()?;
    let mut found = Hello { name: None, encrypted: false };
    if rest.0.is_empty() {
        return Some(found);
    }
    let mut extensions = Bytes(rest.long()?);
    let mut named = false;
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let data = extensions.long()?;
        match kind {
            0 => {
                // Two names in one hello, and two servers that disagree which counts: no.
                if named {
                    return None;
                }
                named = true;
                let mut list = Bytes(Bytes(data).whole_long()?);
                if list.take(1)? != [0] {
                    return None;
                }
                let name = list.long()?;
                if !list.0.is_empty() {
                    return None;
                }
                found.name = HostName::parse(std::str::from_utf8(name).ok()?);
            }
            0xfe0d | 0xffce => found.encrypted = true,
            _ => {}
        }
    }
    rest.0.is_empty().then_some(found)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// What a length of one byte counts.
    fn short(&mut self) -> Option<&'a [u8]> {
        let len = self.take(1)?[0];
        self.take(len.into())
    }

    /// What a length of two bytes counts.
    fn long(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(len.into())
    }

    /// The same, with nothing behind it.
    fn whole_long(&mut self) -> Option<&'a [u8]> {
        let found = self.long()?;
        self.0.is_empty().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A hello that asks for `name`, in records of at most `record` bytes, with `padding` bytes of another extension.
    fn make(name: Option<&str>, padding: usize, record: usize, encrypted: bool) -> Vec<u8> {
        let extension = |kind: u16, data: &[u8]| {
            let mut all = kind.to_be_bytes().to_vec();
            all.extend((data.len() as u16).to_be_bytes());
            all.extend(data);
            all
        };
        let mut extensions = extension(51, &vec![7; padding]);
        if let Some(name) = name {
            let len = name.len() as u16;
            let mut data = (len + 3).to_be_bytes().to_vec();
            data.push(0);
            data.extend(len.to_be_bytes());
            data.extend(name.as_bytes());
            extensions.extend(extension(0, &data));
        }
        if encrypted {
            extensions.extend(extension(0xfe0d, &[0; 40]));
        }
        let mut body = vec![3, 3];
        body.extend([9; 32]);
        body.push(32);
        body.extend([8; 32]);
        body.extend([0, 2, 0x13, 1, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut handshake = vec![1];
        handshake.extend(&(body.len() as u32).to_be_bytes()[1..]);
        handshake.extend(body);
        let mut all = Vec::new();
        for part in handshake.chunks(record) {
            all.extend([22, 3, 1]);
            all.extend((part.len() as u16).to_be_bytes());
            all.extend(part);
        }
        all
    }

    #[test]
    fn the_name_is_found_however_it_is_cut() {
        for (padding, record) in [(0, 16384), (1800, 16384), (40000, 16384), (3000, 7), (0, 1)] {
            let bytes = make(Some("Example.ORG"), padding, record, false);
            let Read::Whole(hello) = read(&bytes) else { panic!("{padding} {record}") };
            assert_eq!(hello.name.map(|n| n.to_string()).as_deref(), Some("example.org"));
            assert!(!hello.encrypted);
            for end in (0..bytes.len()).step_by(1 + bytes.len() / 300) {
                match read(&bytes[..end]) {
                    Read::More(needed) => assert!(needed > end && needed <= bytes.len()),
                    other => panic!("{end} of {}: {other:?}", bytes.len()),
                }
            }
        }
    }

    #[test]
    fn what_openssl_says_is_read() {
        let Read::Whole(hello) = read(include_bytes!("hello-openssl.bin")) else {
            panic!("not read")
        };
        assert_eq!(hello.name.map(|n| n.to_string()).as_deref(), Some("registry.example.org"));
        assert!(!hello.encrypted);
    }

    #[test]
    fn what_hides_its_name_is_seen() {
        let of = |bytes: &[u8]| match read(bytes) {
            Read::Whole(hello) => Some(hello),
            _ => None,
        };
        assert!(of(&make(Some("a.org"), 0, 16384, true)).is_some_and(|hello| hello.encrypted));
        assert!(of(&make(None, 0, 16384, false)).is_some_and(|hello| hello.name.is_none()));
        assert!(of(&make(Some("10.0.0.1"), 0, 16384, false)).is_some_and(|h| h.name.is_none()));
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), Read::Not);
        assert_eq!(read(&[22, 3, 1, 0xff, 0xff]), Read::Not);
        assert_eq!(read(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Read::Not);
        assert_eq!(read(&[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]), Read::Not);
    }

    #[test]
    fn two_names_are_none() {
        let name = |n: &str| {
            let len = n.len() as u16;
            let mut all = vec![0, 0];
            all.extend((len + 5).to_be_bytes());
            all.extend((len + 3).to_be_bytes());
            all.push(0);
            all.extend(len.to_be_bytes());
            all.extend(n.as_bytes());
            all
        };
        let mut body = vec![3, 3];
        body.extend([9; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        let extensions = [name("good.org"), name("evil.org")].concat();
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        assert_eq!(hello(&body), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), start in any::<bool>()) {
            if start && bytes.len() > 9 {
                bytes[..3].copy_from_slice(&[22, 3, 1]);
                bytes[5] = 1;
            }
            let _ = read(&bytes);
            let _ = hello(&bytes);
        }

        #[test]
        fn damage_is_survived(at in 0usize..300, to in any::<u8>(), cut in 0usize..400) {
            let mut bytes = make(Some("example.org"), 100, 64, true);
            let len = bytes.len();
            bytes[at % len] = to;
            bytes.truncate(cut.max(1));
            let _ = read(&bytes);
        }
    }
}
