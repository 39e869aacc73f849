//! Messages of DNS (RFC 1035): strictly read, plainly written.

use super::super::name::HostName;
use super::super::rules::kind;
use std::net::Ipv4Addr;

/// Most bytes over TCP.
pub const LONGEST: usize = 65535;
const OPT: u16 = 41;
const CNAME: u16 = 5;
const CLASS_IN: u16 = 1;

/// What is said about a question that is not just answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// All is well.
    Fine = 0,
    /// The question cannot be read.
    Form = 1,
    /// The name servers did not answer.
    Failed = 2,
    /// There is no such name.
    NoName = 3,
    /// Such a question is not answered.
    NotDone = 4,
}

/// A question of a client, or of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The number that the answer must carry.
    pub id: u16,
    /// The name; `None` is the root, or one that no host has (answered as it is asked for).
    pub name: Option<HostName>,
    /// The kind of record.
    pub kind: u16,
    /// The client's flags that are passed on: recursion desired, checking disabled, authentic data.
    flags: u16,
    /// Name, kind and class as they were sent.
    wire: Vec<u8>,
    /// The longest answer by datagram, if the client speaks EDNS, and whether it wants signatures.
    edns: Option<(u16, bool)>,
}

impl Question {
    /// A question of ours for the addresses of `name`.
    pub fn ours(name: &HostName) -> Self {
        let mut wire = Vec::with_capacity(name.as_str().len() + 6);
        for label in name.as_str().split('.') {
            wire.push(label.len() as u8);
            wire.extend(label.as_bytes());
        }
        wire.extend([0, 0, kind::A as u8, 0, 1]);
        Question {
            id: 0,
            name: Some(name.clone()),
            kind: kind::A,
            flags: 0x0100,
            wire,
            edns: Some((1232, false)),
        }
    }

    /// Reads a client's question. If it cannot be answered: with what, as a whole message; or not at all.
    pub fn read(bytes: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        let mut reader = Reader { bytes, at: 0 };
        let header: Vec<u16> = (0..6).map_while(|_| reader.number()).collect();
        let [id, flags, questions, answers, authorities, additional] = header[..] else {
            return Err(None);
        };
        if flags & 0x8000 != 0 {
            return Err(None);
        }
        let bare = |code| {
            let mut all = id.to_be_bytes().to_vec();
            all.extend((0x8080 | (flags & 0x7900) | code as u16).to_be_bytes());
            all.extend([0; 8]);
            Err(Some(all))
        };
        if flags & 0x7800 != 0 {
            return bare(Code::NotDone);
        }
        if questions != 1 || answers != 0 || authorities != 0 || additional > 2 {
            return bare(Code::Form);
        }
        let start = reader.at;
        let Some((name, kind, class)) = reader.question() else { return bare(Code::Form) };
        if class != CLASS_IN {
            return bare(Code::NotDone);
        }
        let wire = bytes[start..reader.at].to_vec();
        let mut edns = None;
        for _ in 0..additional {
            let Some(record) = reader.record() else { return bare(Code::Form) };
            if record.kind == OPT {
                edns = Some((record.class.clamp(512, 4096), record.ttl & 0x8000 != 0));
            }
        }
        Ok(Question { id, name: HostName::parse(&name), kind, flags: flags & 0x0130, wire, edns })
    }

    /// The question as it is sent on, with an id of its own.
    pub fn to_server(&self, id: u16) -> Vec<u8> {
        let mut all = self.start(id, self.flags | 0x0100, 0);
        if let Some((_, signatures)) = self.edns {
            edns(&mut all, 1232, signatures, None);
        }
        all
    }

    fn start(&self, id: u16, flags: u16, answers: u16) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.wire.len() + 64);
        for number in [id, flags, 1, answers, 0, self.edns.is_some().into()] {
            all.extend(number.to_be_bytes());
        }
        all.extend(&self.wire);
        all
    }

    /// An answer of ours: with an address, or without any. `why` is told to clients that can hear it.
    pub fn answer(&self, code: Code, address: Option<Ipv4Addr>, why: Option<&str>) -> Vec<u8> {
        let mut all =
            self.start(self.id, 0x8080 | self.flags | code as u16, address.is_some().into());
        if let Some(address) = address {
            // The name: where it stands in the question.
            all.extend([0xc0, 12, 0, kind::A as u8, 0, 1, 0, 0, 0, 5, 0, 4]);
            all.extend(address.octets());
        }
        if self.edns.is_some() {
            edns(&mut all, 1232, false, why);
        }
        all
    }

    /// A server's answer as the client gets it: with its own id, and cut if it is too long for a datagram.
    pub fn hand_on(&self, answer: &[u8], datagram: bool) -> Vec<u8> {
        let longest = if datagram { self.edns.map_or(512, |(len, _)| len.into()) } else { LONGEST };
        let mut all = answer.to_vec();
        if all.len() > longest {
            all = self.start(self.id, 0x8280 | self.flags, 0);
            if self.edns.is_some() {
                edns(&mut all, 1232, false, None);
            }
        }
        all[..2].copy_from_slice(&self.id.to_be_bytes());
        all
    }

    /// Reads a server's answer; `None` if it is not one to this question.
    pub fn check(&self, id: u16, bytes: &[u8]) -> Option<Reply> {
        let mut reader = Reader { bytes, at: 0 };
        let header: Vec<u16> = (0..6).map_while(|_| reader.number()).collect();
        let [their_id, flags, 1, answers, _, _] = header[..] else { return None };
        if their_id != id || flags & 0xf800 != 0x8000 {
            return None;
        }
        let start = reader.at;
        let (name, ..) = reader.question()?;
        if !bytes[start..reader.at].eq_ignore_ascii_case(&self.wire) {
            return None;
        }
        let code = flags & 15;
        let mut reply = Reply {
            cut: flags & 0x0200 != 0,
            failed: !matches!(code, 0 | 3),
            addresses: Vec::new(),
            ttl: u32::MAX,
        };
        // Only addresses of the name itself, or of what it is another name for, in the order servers give them.
        let mut current = name;
        for _ in 0..answers {
            let Some(record) = reader.record() else { return reply.cut.then_some(reply) };
            if record.class != CLASS_IN || !record.name.eq_ignore_ascii_case(&current) {
                continue;
            }
            if record.kind == CNAME {
                let mut target = Reader { bytes, at: record.data };
                current = target.name()?;
                reply.ttl = reply.ttl.min(record.ttl);
            } else if record.kind == kind::A && record.len == 4 {
                let data: [u8; 4] = bytes[record.data..record.data + 4].try_into().ok()?;
                reply.addresses.push(data.into());
                reply.ttl = reply.ttl.min(record.ttl);
            }
        }
        Some(reply)
    }
}

fn edns(all: &mut Vec<u8>, size: u16, signatures: bool, why: Option<&str>) {
    all.push(0);
    all.extend(OPT.to_be_bytes());
    all.extend(size.to_be_bytes());
    all.extend((u32::from(signatures) << 15).to_be_bytes());
    match why {
        // RFC 8914: an extended error, "blocked", and why.
        Some(why) => {
            let len = why.len() as u16 + 2;
            all.extend((len + 4).to_be_bytes());
            all.extend([0, 15]);
            all.extend(len.to_be_bytes());
            all.extend([0, 15]);
            all.extend(why.as_bytes());
        }
        None => all.extend([0, 0]),
    }
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// It is longer than a datagram: ask again by TCP.
    pub cut: bool,
    /// It could not, or would not: ask another.
    pub failed: bool,
    /// Addresses of the name.
    pub addresses: Vec<Ipv4Addr>,
    /// How long they hold, in seconds.
    pub ttl: u32,
}

struct Record {
    name: String,
    kind: u16,
    class: u16,
    ttl: u32,
    data: usize,
    len: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// A name, labels joined by dots; bytes that no host name has become `?`.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut end = None;
        let mut before = self.at;
        loop {
            let len = usize::from(self.byte()?);
            match len {
                0 => break,
                1..64 => {
                    let label = self.bytes.get(self.at..self.at + len)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    let plain = |c: &u8| {
                        if c.is_ascii_graphic() && *c != b'.' { char::from(*c) } else { '?' }
                    };
                    name.extend(label.iter().map(plain));
                    self.at += len;
                    if name.len() > 254 {
                        return None;
                    }
                }
                192.. => {
                    let to = (len & 63) << 8 | usize::from(self.byte()?);
                    end.get_or_insert(self.at);
                    // Only backwards, so that it ends.
                    if to >= before {
                        return None;
                    }
                    before = to;
                    self.at = to;
                }
                _ => return None,
            }
        }
        if let Some(end) = end {
            self.at = end;
        }
        Some(name)
    }

    fn question(&mut self) -> Option<(String, u16, u16)> {
        let start = self.at;
        let name = self.name()?;
        // A question has nothing before it to point at.
        if self.bytes[start..self.at].len() != if name.is_empty() { 1 } else { name.len() + 2 } {
            return None;
        }
        Some((name, self.number()?, self.number()?))
    }

    fn record(&mut self) -> Option<Record> {
        let name = self.name()?;
        let kind = self.number()?;
        let class = self.number()?;
        let ttl = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let len = usize::from(self.number()?);
        let data = self.at;
        self.bytes.get(data..data + len)?;
        self.at += len;
        Some(Record { name, kind, class, ttl, data, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> HostName {
        HostName::parse(text).expect("a name")
    }

    /// An answer with these records: a pointer or name, kind, data.
    fn answer(question: &Question, id: u16, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut all = question.start(id, 0x8180, records.len() as u16);
        all[11] = 0;
        for (name, kind, data) in records {
            all.extend(*name);
            all.extend(kind.to_be_bytes());
            all.extend([0, 1, 0, 0, 0, 60]);
            all.extend((data.len() as u16).to_be_bytes());
            all.extend(*data);
        }
        all
    }

    #[test]
    fn a_question_is_read_as_it_was_written() {
        let question = Question::ours(&name("Example.org"));
        let read = Question::read(&question.to_server(77)).expect("a question");
        assert_eq!((read.id, read.kind, read.name), (77, kind::A, Some(name("example.org"))));
        assert_eq!(read.edns, Some((1232, false)));
    }

    #[test]
    fn only_addresses_of_the_name_count() {
        let question = Question::ours(&name("a.org"));
        let cname = [1, b'c', 1, b'd', 0];
        let bytes = answer(
            &question,
            5,
            &[
                (&[1, b'x', 0], 1, &[6, 6, 6, 6]),
                (&[0xc0, 12], CNAME, &cname),
                (&[0xc0, 12], 1, &[7, 7, 7, 7]),
                (&cname, 1, &[1, 2, 3, 4]),
            ],
        );
        let reply = question.check(5, &bytes).expect("an answer");
        assert_eq!(reply.addresses, [Ipv4Addr::new(1, 2, 3, 4)]);
        assert_eq!(reply.ttl, 60);
        assert_eq!(question.check(6, &bytes), None);
        assert_eq!(Question::ours(&name("b.org")).check(5, &bytes), None);
    }

    #[test]
    fn our_answers_are_answers() {
        let question = Question::ours(&name("db.stead"));
        let bytes = question.answer(Code::Fine, Some(Ipv4Addr::new(10, 90, 0, 3)), None);
        let reply = question.check(0, &bytes).expect("an answer");
        assert_eq!(reply.addresses, [Ipv4Addr::new(10, 90, 0, 3)]);
        let bytes = question.answer(Code::NoName, None, Some("not in allow"));
        assert_eq!(bytes[3] & 15, 3);
        assert!(bytes.windows(12).any(|part| part == b"not in allow"));
        let long = question.hand_on(&vec![0; 3000], true);
        assert!(question.check(0, &long).is_some_and(|reply| reply.cut));
    }

    #[test]
    fn a_pointer_that_goes_round_ends() {
        let mut bytes = Question::ours(&name("a.org")).to_server(1);
        bytes[12..14].copy_from_slice(&[0xc0, 12]);
        assert!(matches!(Question::read(&bytes), Err(Some(_))));
        assert_eq!(Question::read(&[0; 11]), Err(None));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..80, to in any::<u8>()) {
            let _ = Question::read(&bytes);
            let question = Question::ours(&name("a.org"));
            let _ = question.check(0, &bytes);
            let mut bytes = answer(&question, 5, &[(&[0xc0, 12], CNAME, &[0xc0, 12]), (&[0xc0, 12], 1, &[1, 2, 3, 4])]);
            let len = bytes.len();
            bytes[at % len] = to;
            let _ = question.check(5, &bytes);
            let _ = Question::read(&bytes);
        }
    }
}
