//! Names of hosts as they are compared: lower case, ASCII, without the dot at the end.

use std::fmt;

/// A host name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Box<str>);

impl HostName {
    /// Reads a name as people and programs write it: any case, a trailing dot, other scripts. `None` if it is none,
    /// or an address.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut name = String::with_capacity(text.len());
        for (n, label) in text.split('.').enumerate() {
            if n > 0 {
                name.push('.');
            }
            let start = name.len();
            if label.is_ascii() {
                name.extend(label.chars().map(|c| c.to_ascii_lowercase()));
            } else {
                name.push_str("xn--");
                let lower: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
                punycode(&lower, &mut name)?;
            }
            let label = &name[start..];
            let fine =
                |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
            if label.is_empty() || label.len() > 63 || !label.bytes().all(fine) {
                return None;
            }
        }
        // A last label of digits (or 0x…) is what resolvers read as an address.
        let last = name.rsplit('.').next().unwrap_or("");
        if name.len() > 253 || last.bytes().next().is_some_and(|c| c.is_ascii_digit()) {
            return None;
        }
        Some(HostName(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is below `parent`, which itself is not.
    pub fn is_below(&self, parent: &HostName) -> bool {
        self.0.strip_suffix(&*parent.0).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 3492.
fn punycode(label: &[char], out: &mut String) -> Option<()> {
    const BASE: u32 = 36;
    let adapt = |mut delta: u32, points: u32, first: bool| {
        delta /= if first { 700 } else { 2 };
        delta += delta / points;
        let mut k = 0;
        while delta > (BASE - 1) * 26 / 2 {
            delta /= BASE - 1;
            k += BASE;
        }
        k + BASE * delta / (delta + 38)
    };
    let digit = |n: u32| char::from(if n < 26 { b'a' + n as u8 } else { b'0' + (n - 26) as u8 });
    if label.len() > 63 {
        return None;
    }
    out.extend(label.iter().filter(|c| c.is_ascii()));
    let basic = label.iter().filter(|c| c.is_ascii()).count() as u32;
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias, mut done) = (128u32, 0u32, 72u32, basic);
    while (done as usize) < label.len() {
        let next = label.iter().map(|c| u32::from(*c)).filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(done + 1)?)?;
        n = next;
        for c in label.iter().map(|c| u32::from(*c)) {
            if c < n {
                delta = delta.checked_add(1)?;
            } else if c == n {
                let (mut q, mut k) = (delta, BASE);
                loop {
                    let t = k.saturating_sub(bias).clamp(1, 26);
                    if q < t {
                        break;
                    }
                    out.push(digit(t + (q - t) % (BASE - t)));
                    q = (q - t) / (BASE - t);
                    k += BASE;
                }
                out.push(digit(q));
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        HostName::parse(text).map(|name| name.to_string())
    }

    #[test]
    fn a_name_is_read_in_any_spelling() {
        assert_eq!(read("GitHub.COM.").as_deref(), Some("github.com"));
        assert_eq!(read("bücher.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(read("München.DE").as_deref(), Some("xn--mnchen-3ya.de"));
        assert_eq!(read("他们为什么不说中文").as_deref(), Some("xn--ihqwcrb4cv8a8dqg056pqjye"));
        assert_eq!(read("_dmarc.example.org").as_deref(), Some("_dmarc.example.org"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["", ".", "a..b", "1.2.3.4", "0x7f.1", "a b", "a/b", "a:b", "x\0y", "a@b", "::1"]
        {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&"a".repeat(64)), None);
        assert_eq!(read(&"a.".repeat(128)), None);
    }

    #[test]
    fn below_needs_a_dot() {
        let name = |text| HostName::parse(text).expect("a name");
        assert!(name("a.x.org").is_below(&name("x.org")));
        assert!(!name("x.org").is_below(&name("x.org")));
        assert!(!name("ax.org").is_below(&name("x.org")));
    }
}
