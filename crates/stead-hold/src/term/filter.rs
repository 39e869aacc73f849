//! Keeps questions to the terminal from a client's terminal: the hold has answered them.

use super::scan::{Scanner, State};
use memchr::memchr2;

/// Most bytes of a sequence that are looked at before it is let through. No question is that long.
const MAX_QUESTION: usize = 8 * 1024;

const ENQ: u8 = 0x05;
const ESC: u8 = 0x1b;

/// Drops from a stream of output every sequence that would make a terminal answer.
#[derive(Debug, Clone, Default)]
pub struct QueryFilter {
    scanner: Scanner,
    /// The sequence under way.
    held: Vec<u8>,
    /// The sequence under way is no question and has been let through so far.
    passing: bool,
}

impl QueryFilter {
    /// Filters a chunk. What is no question goes to `out` unchanged; the beginning of a sequence may be
    /// held back until the next chunk.
    pub fn filter(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        loop {
            if self.scanner.state() != State::Ground {
                let end = self.scanner.finish(input);
                let (sequence, rest) = input.split_at(end.unwrap_or(input.len()));
                if self.passing {
                    out.extend_from_slice(sequence);
                } else {
                    self.held.extend_from_slice(sequence);
                    if end.is_none() && self.held.len() > MAX_QUESTION {
                        out.append(&mut self.held);
                        self.passing = true;
                    }
                }
                if end.is_none() {
                    return;
                }
                self.passing = false;
                self.release(out);
                input = rest;
            }
            let stop = memchr2(ESC, ENQ, input);
            let (plain, rest) = input.split_at(stop.unwrap_or(input.len()));
            out.extend_from_slice(plain);
            match rest.first() {
                None => return,
                Some(&ENQ) => input = &rest[1..],
                Some(_) => {
                    self.held.push(ESC);
                    self.scanner.escape();
                    input = &rest[1..];
                }
            }
        }
    }

    /// Lets the held sequence through, unless it is a question.
    fn release(&mut self, out: &mut Vec<u8>) {
        if is_question(&self.held) {
            // Control characters within a control sequence act as if they came before it.
            if self.held.get(1) == Some(&b'[') {
                out.extend(self.held[1..].iter().filter(|b| matches!(b, 7..=15)));
            }
        } else {
            out.extend_from_slice(&self.held);
        }
        self.held.clear();
    }
}

/// Whether a complete sequence makes a terminal answer.
pub fn is_question(sequence: &[u8]) -> bool {
    // An escape character in the middle begins again.
    match sequence {
        [ESC, b'Z'] => true,
        [ESC, b'[', body @ .., last] => is_control_question(body, *last),
        [ESC, b']', body @ ..] => is_command_question(string(body)),
        [ESC, b'P', body @ ..] => {
            let body = string(body);
            body.starts_with(b"$q") || body.starts_with(b"+q")
        }
        [ESC, b'_', body @ ..] => {
            let body = string(body);
            let control = body.split(|b| *b == b';').next().unwrap_or_default();
            control
                .strip_prefix(b"G")
                .is_some_and(|keys| keys.split(|b| *b == b',').any(|k| k == b"a=q"))
        }
        _ => false,
    }
}

/// A string's body without its terminator.
fn string(body: &[u8]) -> &[u8] {
    let body = body.strip_suffix(b"\\").unwrap_or(body);
    body.strip_suffix(b"\x1b").or(body.strip_suffix(b"\x07")).unwrap_or(body)
}

fn is_control_question(body: &[u8], last: u8) -> bool {
    let mut text = [0; 64];
    let mut length = 0;
    for byte in body.iter().filter(|b| **b >= 0x20 && **b != 0x7f) {
        let Some(place) = text.get_mut(length) else { return false };
        *place = *byte;
        length += 1;
    }
    let body = &text[..length];
    let prefix = body.first().copied().filter(|b| (b'<'..=b'?').contains(b));
    let body = &body[usize::from(prefix.is_some())..];
    let parameters = body.iter().position(|b| !matches!(b, b'0'..=b';')).unwrap_or(body.len());
    let (parameters, intermediates) = body.split_at(parameters);
    let mut numbers = parameters.split(|b| matches!(b, b';' | b':')).map(|digits| {
        digits.iter().fold(0_u32, |n, d| n.saturating_mul(10).saturating_add(u32::from(d - b'0')))
    });
    let first = numbers.next().unwrap_or(0);
    let second = numbers.next().unwrap_or(0);
    match (prefix, intermediates, last) {
        (Some(b'?'), [], b'm') => first == 4,
        (Some(b'?'), [], b'S') => matches!(second, 1 | 4),
        (None, [], b't') => matches!(first, 11 | 13..=16 | 18..=21),
        (None | Some(b'>' | b'='), [], b'c')
        | (None | Some(b'?'), [], b'n')
        | (Some(b'>'), [], b'q')
        | (Some(b'?'), [], b'u')
        | (None | Some(b'?'), [b'$'], b'p')
        | (None, [b'$'], b'u' | b'w')
        | (None, [b'*'], b'y')
        | (None, [b'&'], b'u')
        | (None, [], b'x') => true,
        _ => false,
    }
}

fn is_command_question(body: &[u8]) -> bool {
    let mut parts = body.split(|b| *b == b';');
    match parts.next() {
        Some(b"4" | b"5") => parts.skip(1).step_by(2).any(|part| part == b"?"),
        Some(
            b"10" | b"11" | b"12" | b"13" | b"14" | b"15" | b"16" | b"17" | b"18" | b"19" | b"22",
        ) => parts.any(|part| part == b"?"),
        Some(b"7501") => parts.eq([b"?"]),
        Some(b"21") => parts.any(|part| part.ends_with(b"=?")),
        Some(b"52") => parts.nth(1) == Some(b"?"),
        Some(b"99") => {
            parts.next().is_some_and(|metadata| metadata.split(|b| *b == b':').any(|k| k == b"p=?"))
        }
        Some(b"1337") => parts.next().is_some_and(|command| {
            command == b"ReportCellSize"
                || command.starts_with(b"ReportVariable=")
                || command.starts_with(b"RequestUpload=")
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUESTIONS: [&str; 45] = [
        "\x1b]7501;?\x1b\\",
        "\x1b[c",
        "\x1b[0c",
        "\x1b[>c",
        "\x1b[>0c",
        "\x1b[=c",
        "\x1bZ",
        "\x05",
        "\x1b[5n",
        "\x1b[6n",
        "\x1b[?6n",
        "\x1b[?996n",
        "\x1b[>q",
        "\x1b[>0q",
        "\x1b[?u",
        "\x1b[?4m",
        "\x1b[?2026$p",
        "\x1b[4$p",
        "\x1b[14t",
        "\x1b[16t",
        "\x1b[18t",
        "\x1b[19t",
        "\x1b[21t",
        "\x1b[11t",
        "\x1b[13t",
        "\x1b[x",
        "\x1b[?1;1;0S",
        "\x1b]4;1;?\x07",
        "\x1b]4;1;#fff;2;?\x1b\\",
        "\x1b]10;?\x1b\\",
        "\x1b]11;?\x07",
        "\x1b]12;?\x07",
        "\x1b]10;#fff;?\x07",
        "\x1b]52;c;?\x07",
        "\x1b]21;foreground=?\x1b\\",
        "\x1b]99;i=1:p=?;\x1b\\",
        "\x1bP$qm\x1b\\",
        "\x1bP+q544e\x1b\\",
        "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\",
        "\x1b]1337;ReportCellSize\x07",
        "\x1b[2$w",
        "\x1b[1;1;1;1;1;1*y",
        "\x1b[15t",
        "\x1b[20t",
        "\x1b]17;?\x07",
    ];

    const OTHERS: [&str; 34] = [
        "plain text\r\n",
        "\x1b[m",
        "\x1b[1;31m",
        "\x1b[>4;2m",
        "\x1b[H",
        "\x1b[2J",
        "\x1b[?1049h",
        "\x1b[!p",
        "\x1b[2 q",
        "\x1b[u",
        "\x1b[>1u",
        "\x1b[<u",
        "\x1b[=1;1u",
        "\x1b[22;2t",
        "\x1b[23t",
        "\x1b[3S",
        "\x1b]0;what?\x07",
        "\x1b]4;1;#ff0000\x07",
        "\x1b]11;#000\x1b\\",
        "\x1b]8;;https://x.test/?a=?\x1b\\",
        "\x1b]52;c;aGk=\x07",
        "\x1b]777;notify;t;?\x07",
        "\x1bPq#0;2;0;0;0\x1b\\",
        "\x1b_Ga=T,f=100;AAAA\x1b\\",
        "\x1b7",
        "\x1b8",
        "\x1b(0",
        "\x1b[8;24;80t",
        "h\u{e9}\u{4e16}",
        "\x1b]133;D;0\x07",
        "\x1b[?25l",
        "\x1b[3\x18x",
        "\x1b]9;done?\x07",
        "\x1b]22;pointer\x07",
    ];

    fn filtered(chunks: &[&[u8]]) -> Vec<u8> {
        let mut filter = QueryFilter::default();
        let mut out = Vec::new();
        for chunk in chunks {
            filter.filter(chunk, &mut out);
        }
        out
    }

    #[test]
    fn questions_are_dropped_and_nothing_else() {
        for question in QUESTIONS {
            let text = format!("a{question}b");
            assert_eq!(filtered(&[text.as_bytes()]), b"ab", "{question:?}");
        }
        for other in OTHERS {
            assert_eq!(filtered(&[other.as_bytes()]), other.as_bytes(), "{other:?}");
        }
    }

    #[test]
    fn a_long_string_is_let_through_before_it_ends() {
        let mut text = b"\x1bPq".to_vec();
        text.resize(100_000, b'?');
        assert_eq!(filtered(&[&text]), text);
        text.extend_from_slice(b"\x1b\\\x1b[c.");
        let mut expected = text.clone();
        expected.truncate(text.len() - 4);
        expected.push(b'.');
        assert_eq!(filtered(&[&text]), expected);
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_does_not_matter(
            parts in prop::collection::vec((any::<bool>(), 0..200_usize), 0..12),
            cuts in prop::collection::vec(0..200_usize, 0..6),
        ) {
            let (mut stream, mut expected) = (Vec::new(), Vec::new());
            for (question, n) in parts {
                let text = if question { QUESTIONS[n % QUESTIONS.len()] } else { OTHERS[n % OTHERS.len()] };
                stream.extend_from_slice(text.as_bytes());
                if !question {
                    expected.extend_from_slice(text.as_bytes());
                }
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            prop_assert_eq!(filtered(&chunks), expected);
        }
    }
}
