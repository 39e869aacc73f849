//! Whose a file of keys for signing (PGP) is: fingerprints of the primary keys in it.

/// The fingerprints of all primary keys in a file, in capital letters, armoured or not. `sha1` is that of some bytes, in hexadecimal:
/// keys of version 4 are known by it.
pub(super) fn fingerprints(
    file: &[u8],
    sha1: impl Fn(&[u8]) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    let binary = if file.first().is_some_and(|first| first & 0x80 != 0) {
        file.to_vec()
    } else {
        dearmoured(&String::from_utf8_lossy(file)).ok_or("it is no key")?
    };
    let mut all = Vec::new();
    let mut rest = &*binary;
    while !rest.is_empty() {
        let (tag, body, after) = packet(rest).ok_or("it is cut short, or no key")?;
        rest = after;
        if tag != PRIMARY {
            continue;
        }
        if body.first() != Some(&4) {
            return Err("it has a key of a version that is not known".into());
        }
        let long = u16::try_from(body.len()).map_err(|_| "it has a key that is too long")?;
        let hashed = [&[0x99], &long.to_be_bytes()[..], body].concat();
        all.push(sha1(&hashed)?.to_uppercase());
    }
    if all.is_empty() { Err("it has no key".into()) } else { Ok(all) }
}

/// The kind of packet that a primary key is.
const PRIMARY: u8 = 6;

/// The first packet: its kind, what is in it, what comes after.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        return None;
    }
    let number = |from: &[u8]| from.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let (tag, long, head) = if first & 0x40 == 0 {
        let size = match first & 3 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return None,
        };
        (first >> 2 & 0xf, number(rest.get(..size)?), size)
    } else {
        let begin = usize::from(*rest.first()?);
        let (long, head) = match begin {
            0..192 => (begin, 1),
            192..224 => (((begin - 192) << 8) + usize::from(*rest.get(1)?) + 192, 2),
            255 => (number(rest.get(1..5)?), 5),
            // In pieces, as no key is.
            _ => return None,
        };
        (first & 0x3f, long, head)
    };
    let end = head.checked_add(long)?;
    Some((tag, rest.get(head..end)?, rest.get(end..)?))
}

/// What is in all armoured blocks of a text.
fn dearmoured(text: &str) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for block in text.split("-----BEGIN PGP PUBLIC KEY BLOCK-----").skip(1) {
        let (block, _) = block.split_once("-----END PGP PUBLIC KEY BLOCK-----")?;
        let block = block.trim_start_matches([' ', '\t', '\r']).strip_prefix('\n')?;
        let (mut bits, mut have) = (0_u32, 0);
        // Lines of the head have a colon, which base64 has not; the sum at the end begins with `=`.
        let lines = block.lines().map(str::trim).filter(|line| !line.contains(':'));
        for letter in lines.take_while(|line| !line.starts_with('=')).flat_map(str::bytes) {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => continue,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
            have += 6;
            if have >= 8 {
                have -= 8;
                all.push((bits >> have & 0xff) as u8);
            }
        }
    }
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// A key with a subkey, made for this test: nobody has its secret.
    const KEY: &str = include_str!("../../tests/maker/key.asc");
    const FINGERPRINT: &str = "BF9FB8E32C944BB9686B61563E4B12B1D707F616";

    fn sha1(bytes: &[u8]) -> Result<String, String> {
        let mut child = Command::new("sha1sum")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|why| why.to_string())?;
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let out = child.wait_with_output().unwrap().stdout;
        Ok(String::from_utf8_lossy(&out[..40]).into_owned())
    }

    #[test]
    fn a_key_is_known_by_its_primary_armoured_or_not() {
        assert_eq!(fingerprints(KEY.as_bytes(), sha1).unwrap(), [FINGERPRINT]);
        let binary = dearmoured(KEY).unwrap();
        assert_eq!(fingerprints(&binary, sha1).unwrap(), [FINGERPRINT]);
        // One that is put beside it does not hide.
        let two = [&binary[..], &binary[..]].concat();
        assert_eq!(fingerprints(&two, sha1).unwrap().len(), 2);
        let two = format!("{KEY}{KEY}");
        assert_eq!(fingerprints(two.as_bytes(), sha1).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_key_is_refused_whatever_it_is() {
        let binary = dearmoured(KEY).unwrap();
        for long in 0..binary.len() {
            let whole = [53, 93, 239, 292].contains(&long);
            let found = fingerprints(&binary[..long], sha1);
            assert_eq!(found.is_ok(), whole, "{long}: {found:?}");
        }
        for text in ["", "<html>", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nno\n", "\u{ff}"] {
            assert!(fingerprints(text.as_bytes(), sha1).is_err(), "{text}");
        }
    }
}
