//! What arrives on a socket, in pieces of any size: never a panic, and no difference how it was cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stead_wire::frame::Decoder;
use stead_wire::message::{ToClient, ToHold};

fuzz_target!(|data: &[u8]| {
    let Some((step, bytes)) = data.split_first() else { return };
    let in_pieces = frames(bytes, usize::from(*step) + 1);
    let at_once = frames(bytes, bytes.len().max(1));
    assert_eq!(in_pieces, at_once);
});

/// The frames that come out, each put through both readers, and how many bytes wait.
fn frames(bytes: &[u8], step: usize) -> (Vec<(u8, Vec<u8>)>, usize) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(step) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    if let Ok(Some(message)) = ToHold::read(frame) {
                        message.put(&mut Vec::new());
                    }
                    if let Ok(Some(message)) = ToClient::read(frame) {
                        message.put(&mut Vec::new());
                    }
                    frames.push((frame.kind, frame.payload.to_vec()));
                }
                Ok(None) => break,
                // Nobody follows such a stream any further.
                Err(_) => return (frames, 0),
            }
        }
        decoder.trim();
    }
    let pending = decoder.pending();
    (frames, pending)
}
