/// What can be wrong with bytes that came from a socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A frame announces more than [`crate::frame::MAX_FRAME`] bytes; the sender does not speak this protocol.
    #[error("a frame of {0} bytes was announced, more than the {max} allowed: the other end does not speak the hold protocol", max = crate::frame::MAX_FRAME)]
    TooLarge(usize),
    /// A frame is shorter than its kind needs.
    #[error("a {kind} frame is cut short ({len} bytes)")]
    Short {
        /// The frame's kind, by name.
        kind: &'static str,
        /// How many bytes it had.
        len: usize,
    },
    /// A frame's JSON could not be read.
    #[error("a {kind} frame cannot be read: {source}")]
    Json {
        /// The frame's kind, by name.
        kind: &'static str,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
    /// The first frame was not a hello.
    #[error(
        "the first frame was of kind {0}, not a hello: the other end does not speak the hold protocol"
    )]
    NotHello(u8),
    /// The two programs have no protocol version in common.
    #[error("no common protocol version: {0}")]
    Version(String),
    /// The process at the other end belongs to somebody else.
    #[error("the peer runs as user {peer}, but this socket serves user {owner} alone")]
    Stranger {
        /// The peer's user id.
        peer: u32,
        /// The user id that the socket serves.
        owner: u32,
    },
    /// The kernel did not say who the peer is.
    #[error("cannot learn who is at the other end of the socket: {0}")]
    Peer(#[source] std::io::Error),
}
