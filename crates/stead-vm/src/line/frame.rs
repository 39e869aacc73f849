//! What goes over the line: frames, and greetings that begin the line anew.
//!
//! The port keeps bytes of a life of either end that is over: half a frame here, a whole one there. So every life has a
//! number of its own, the epoch, which the host draws; each frame carries a part of it. A greeting is found by its mark
//! wherever it stands, after more zeroes than a frame that was cut short can swallow.

/// Bytes that a frame carries at most.
pub const LONGEST: usize = 16 * 1024;
/// Bytes before what a frame carries.
pub const HEADER: usize = 12;
/// Bytes of a greeting.
pub const GREETING: usize = 28;
/// Zeroes before a greeting that its reader may meet in the middle of a frame.
pub const PADDING: usize = LONGEST + 2 * HEADER;
/// The version that is spoken.
pub const VERSION: u8 = 1;

/// The mark that a greeting begins with.
pub const MARK: [u8; 16] = *b"\x00\x9d\xe5stead line\xf1\x8a\x0a";

/// What a frame does to its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Opens it.
    Open = 1,
    /// Carries bytes.
    Data = 2,
    /// Allows the other end to send so many bytes more (32 bits, big endian).
    Credit = 3,
    /// This end will send no more.
    End = 4,
    /// This end reads no more.
    Stop = 5,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Kind::Open, Kind::Data, Kind::Credit, Kind::End, Kind::Stop]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What is before the bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The channel.
    pub channel: u32,
    /// What it does.
    pub kind: Kind,
    /// Bytes that follow.
    pub length: usize,
}

/// The part of an epoch that frames carry; never zero, since zeroes stand before greetings.
pub fn tag(epoch: u64) -> u32 {
    (epoch as u32 ^ (epoch >> 32) as u32).max(1)
}

impl Header {
    /// Reads one. `None`: it is none of this epoch.
    pub fn read(bytes: [u8; HEADER], tag: u32) -> Option<Self> {
        let [t0, t1, t2, t3, c0, c1, c2, c3, kind, zero, l0, l1] = bytes;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let own = u32::from_be_bytes([t0, t1, t2, t3]) == tag && zero == 0 && length <= LONGEST;
        let kind = Kind::of(kind).filter(|_| own)?;
        Some(Header { channel: u32::from_be_bytes([c0, c1, c2, c3]), kind, length })
    }

    /// Appends one to `out`.
    pub fn write(self, tag: u32, out: &mut Vec<u8>) {
        debug_assert!(self.length <= LONGEST);
        out.extend_from_slice(&tag.to_be_bytes());
        out.extend_from_slice(&self.channel.to_be_bytes());
        out.extend_from_slice(&[self.kind as u8, 0]);
        out.extend_from_slice(&(self.length as u16).to_be_bytes());
    }
}

/// What begins the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// From the host: from here on it is this epoch.
    Begin(u64),
    /// From the guest: so it is.
    Begun(u64),
    /// From the guest: it is new here and wants to begin.
    Again,
}

impl Greeting {
    /// Reads what follows [`MARK`].
    pub fn read(bytes: [u8; GREETING]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MARK)?;
        let (head, epoch) = rest.split_first_chunk::<4>()?;
        let epoch = u64::from_be_bytes(*epoch.first_chunk()?);
        match *head {
            [1, VERSION, 0, 0] => Some(Greeting::Begin(epoch)),
            [2, VERSION, 0, 0] => Some(Greeting::Begun(epoch)),
            [3, VERSION, 0, 0] => Some(Greeting::Again),
            _ => None,
        }
    }

    /// Appends one to `out`, with zeroes before it where its reader may be in the middle of a frame.
    pub fn write(self, out: &mut Vec<u8>) {
        let (kind, epoch, padded) = match self {
            Greeting::Begin(epoch) => (1, epoch, true),
            Greeting::Begun(epoch) => (2, epoch, false),
            Greeting::Again => (3, 0, true),
        };
        if padded {
            out.resize(out.len() + PADDING, 0);
        }
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&[kind, VERSION, 0, 0]);
        out.extend_from_slice(&epoch.to_be_bytes());
    }
}
