//! A block: some output, compressed, with its timeline and checksums.
//!
//! The header's checksum covers the block's position in its file as well, so the copy of a block that a
//! session prints (`cat` of a history) is never taken for a block of the file that it lands in.

/// What a block begins with. Its last byte is the version of the block's layout.
pub(crate) const MAGIC: [u8; 4] = [0x9e, b'S', b'B', 1];
/// Bytes of a block's header.
pub(crate) const HEADER: usize = 52;
/// Bytes after a block's body: its whole length again, so that a file can be read from its end.
pub(crate) const TRAILER: usize = 4;
/// Most output in one block.
pub(crate) const MAX_RAW: usize = 1 << 18;
/// Longest timeline of a block.
pub(crate) const MAX_TIMELINE: usize = 1 << 18;

const STORED: u8 = 0;
const LZ4: u8 = 1;

/// A block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    codec: u8,
    /// Bytes of output.
    pub raw_len: usize,
    /// Bytes of output as they are stored.
    pub stored_len: usize,
    /// Bytes of timeline.
    pub timeline_len: usize,
    /// Offset of the first byte of output.
    pub offset: u64,
    /// Time of the first entry; milliseconds since the Unix epoch.
    pub first_ms: u64,
    /// The latest time in the segment up to the end of this block.
    pub latest_ms: u64,
    body_crc: u32,
}

impl Header {
    /// Bytes of the whole block.
    pub(crate) fn block_len(&self) -> usize {
        HEADER + self.body_len() + TRAILER
    }

    /// Bytes between header and trailer.
    pub(crate) fn body_len(&self) -> usize {
        self.stored_len + self.timeline_len
    }

    /// Offset after the last byte of output.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.raw_len as u64
    }

    /// Reads the header of a block that begins at `position` of its file. `None` unless every bit is right.
    pub(crate) fn read(bytes: &[u8], position: u64) -> Option<Header> {
        let bytes = bytes.first_chunk::<HEADER>()?;
        if bytes[..4] != MAGIC || u32_at(bytes, 4) != header_crc(bytes, position) {
            return None;
        }
        let header = Header {
            codec: bytes[8],
            raw_len: u32_at(bytes, 12) as usize,
            stored_len: u32_at(bytes, 16) as usize,
            timeline_len: u32_at(bytes, 20) as usize,
            offset: u64_at(bytes, 24),
            first_ms: u64_at(bytes, 32),
            latest_ms: u64_at(bytes, 40),
            body_crc: u32_at(bytes, 48),
        };
        let sane = header.raw_len <= MAX_RAW
            && header.stored_len <= header.raw_len
            && header.timeline_len <= MAX_TIMELINE
            && header.offset.checked_add(MAX_RAW as u64).is_some()
            && match header.codec {
                STORED => header.stored_len == header.raw_len,
                LZ4 => true,
                _ => false,
            };
        sane.then_some(header)
    }

    fn write(&self, out: &mut [u8], position: u64) {
        out[..4].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&[self.codec, 0, 0, 0]);
        out[12..16].copy_from_slice(&(self.raw_len as u32).to_le_bytes());
        out[16..20].copy_from_slice(&(self.stored_len as u32).to_le_bytes());
        out[20..24].copy_from_slice(&(self.timeline_len as u32).to_le_bytes());
        out[24..32].copy_from_slice(&self.offset.to_le_bytes());
        out[32..40].copy_from_slice(&self.first_ms.to_le_bytes());
        out[40..48].copy_from_slice(&self.latest_ms.to_le_bytes());
        out[48..52].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = header_crc(out, position);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Whether `body` (stored output and timeline) is what was written.
    pub(crate) fn body_is_whole(&self, body: &[u8]) -> bool {
        body.len() == self.body_len() && crc32fast::hash(body) == self.body_crc
    }

    /// Appends the output to `raw`. `body` must be whole. `false`, with `raw` as it was, if it does not
    /// decompress to what the header says.
    pub(crate) fn unpack(&self, body: &[u8], raw: &mut Vec<u8>) -> bool {
        let stored = &body[..self.stored_len];
        if self.codec == STORED {
            raw.extend_from_slice(stored);
            return true;
        }
        let start = raw.len();
        raw.resize(start + self.raw_len, 0);
        let whole = lz4_flex::block::decompress_into(stored, &mut raw[start..])
            .is_ok_and(|n| n == self.raw_len);
        if !whole {
            raw.truncate(start);
        }
        whole
    }

    /// The timeline's part of the body.
    pub(crate) fn timeline<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        &body[self.stored_len..]
    }
}

/// What goes into a block, packed but not yet bound to a place in a file.
#[derive(Debug)]
pub(crate) struct Packed {
    codec: u8,
    raw_len: usize,
    /// Room for the header, then the stored output.
    bytes: Vec<u8>,
    pub timeline: Vec<u8>,
    pub offset: u64,
    pub first_ms: u64,
    pub last_ms: u64,
}

impl Packed {
    /// Compresses `raw`, in the memory of `scratch`.
    pub(crate) fn new(raw: &[u8], offset: u64, mut scratch: Vec<u8>) -> Packed {
        debug_assert!(raw.len() <= MAX_RAW);
        let room = HEADER + lz4_flex::block::get_maximum_output_size(raw.len());
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let packed = if raw.is_empty() {
            None
        } else {
            lz4_flex::block::compress_into(raw, &mut scratch[HEADER..]).ok()
        };
        let codec = match packed {
            // What hardly shrinks is not worth unpacking.
            Some(len) if len < raw.len() - raw.len() / 32 => {
                scratch.truncate(HEADER + len);
                LZ4
            }
            _ => {
                scratch.truncate(HEADER);
                scratch.extend_from_slice(raw);
                STORED
            }
        };
        Packed {
            codec,
            raw_len: raw.len(),
            bytes: scratch,
            timeline: Vec::new(),
            offset,
            first_ms: 0,
            last_ms: 0,
        }
    }

    /// Bytes of output in it.
    pub(crate) fn raw_len(&self) -> usize {
        self.raw_len
    }

    /// Memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.timeline.capacity() + size_of::<Packed>()
    }

    /// Gives back memory that it does not need.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.timeline.shrink_to_fit();
    }

    /// The whole block for a place in a file; [`Packed::unbind`] takes it back.
    pub(crate) fn bind(&mut self, position: u64, latest_ms: u64) -> &[u8] {
        let stored_len = self.bytes.len() - HEADER;
        self.bytes.extend_from_slice(&self.timeline);
        let header = Header {
            codec: self.codec,
            raw_len: self.raw_len,
            stored_len,
            timeline_len: self.timeline.len(),
            offset: self.offset,
            first_ms: self.first_ms,
            latest_ms,
            body_crc: crc32fast::hash(&self.bytes[HEADER..]),
        };
        header.write(&mut self.bytes[..HEADER], position);
        self.bytes.extend_from_slice(&(header.block_len() as u32).to_le_bytes());
        &self.bytes
    }

    /// Undoes [`Packed::bind`].
    pub(crate) fn unbind(&mut self) {
        self.bytes.truncate(self.bytes.len() - TRAILER - self.timeline.len());
    }

    /// The memory, for the next one.
    pub(crate) fn into_scratch(self) -> Vec<u8> {
        self.bytes
    }
}

fn header_crc(header: &[u8], position: u64) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&position.to_le_bytes());
    crc.update(&header[8..HEADER]);
    crc.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(raw: &[u8], position: u64) -> Vec<u8> {
        let mut packed = Packed::new(raw, 40, Vec::new());
        packed.timeline = b"timeline".to_vec();
        packed.bind(position, 9).to_vec()
    }

    #[test]
    fn output_comes_back() {
        let noise: Vec<u8> =
            (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for raw in [&b""[..], b"x", &b"line\r\n".repeat(1000), &noise] {
            let bytes = block(raw, 16);
            let header = Header::read(&bytes, 16).unwrap();
            assert_eq!(header.block_len(), bytes.len());
            assert!(header.stored_len <= raw.len());
            let body = &bytes[HEADER..bytes.len() - TRAILER];
            assert!(header.body_is_whole(body));
            let mut out = b"before".to_vec();
            assert!(header.unpack(body, &mut out));
            assert_eq!(out, [b"before", raw].concat());
            assert_eq!(header.timeline(body), b"timeline");
        }
    }

    #[test]
    fn a_header_at_another_place_is_none() {
        let bytes = block(b"abc", 16);
        assert!(Header::read(&bytes, 16).is_some());
        assert!(Header::read(&bytes, 17).is_none());
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let bytes = block(&b"line\r\n".repeat(9), 16);
        let end = bytes.len() - TRAILER;
        for bit in 0..end * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let whole = Header::read(&bad, 16).is_some_and(|h| h.body_is_whole(&bad[HEADER..end]));
            assert!(!whole, "bit {bit}");
        }
    }

    #[test]
    fn a_failed_write_can_be_tried_elsewhere() {
        let mut packed = Packed::new(b"abcabcabcabcabcabcabcabc", 1, Vec::new());
        packed.timeline = vec![1, 2, 3];
        let first = packed.bind(16, 5).to_vec();
        packed.unbind();
        packed.bind(99, 6);
        packed.unbind();
        assert_eq!(packed.bind(16, 5), first);
    }
}
